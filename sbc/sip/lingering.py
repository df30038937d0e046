"""What is left of a transaction that only has to know repetitions (Timers I, J, K, L): its key and the octets to repeat.

700 calls a second leave about 90,000 of them. As objects they would cost a full garbage collection 180 ms (measured);
keys and octets cost it 4 ms, because the collector does not look into tuples, text and octets.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from functools import partial
from typing import Generic, TypeVar

from sbc.clock import Now
from sbc.sip.timers import Timers

K = TypeVar("K", bound=Hashable)


class Lingering(Generic[K]):
    """Octets by key, each for a time of its own. There are few different times, so a queue for each and one timer a queue."""

    __slots__ = ("_octets", "_queues", "_timers")

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._octets: dict[K, bytes | None] = {}
        self._queues: dict[float, deque[tuple[float, K]]] = {}

    def add(self, key: K, octets: bytes | None, duration: float, now: Now) -> None:
        """`key` must be new; it is known until `duration` seconds have passed."""
        self._octets[key] = octets
        queue = self._queues.get(duration)
        if queue is None:
            queue = self._queues[duration] = deque()
        end = now.monotonic + duration
        if not queue:
            self._timers.start_common(end, partial(self._end, queue))
        queue.append((end, key))

    def __contains__(self, key: K) -> bool:
        return key in self._octets

    def __getitem__(self, key: K) -> bytes | None:
        """Raises KeyError."""
        return self._octets[key]

    def __len__(self) -> int:
        return len(self._octets)

    def _end(self, queue: deque[tuple[float, K]], now: Now) -> None:
        while queue and queue[0][0] <= now.monotonic:
            self._octets.pop(queue.popleft()[1], None)
        if queue:
            self._timers.start_common(queue[0][0], partial(self._end, queue))
