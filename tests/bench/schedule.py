"""What shall happen later, in one heap."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable
from typing import Any


class Schedule:
    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._count = 0

    def after(self, delay: float, action: Callable[..., None], *arguments: Any) -> None:
        self._count += 1
        heapq.heappush(self._heap, (time.monotonic() + delay, self._count, action, arguments))

    def run(self) -> None:
        now = time.monotonic()
        while self._heap and self._heap[0][0] <= now:
            _, _, action, arguments = heapq.heappop(self._heap)
            action(*arguments)

    def wait(self, longest: float) -> float:
        """Seconds until the next action, at most `longest`."""
        if not self._heap:
            return longest
        return min(longest, max(0.0, self._heap[0][0] - time.monotonic()))
