"""One timer on the loop, set again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Alarm:
    """`clock` is the seconds that `ring_at` speaks of."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Callable[[], float], ring: Callable[[], None]) -> None:
        self._loop = loop
        self._clock = clock
        self._ring = ring
        self._timer: asyncio.TimerHandle | None = None

    def ring_at(self, due: float) -> None:
        """Then, and not when it was asked for before."""
        self.cancel()
        self._timer = self._loop.call_later(max(0.0, due - self._clock()), self._ring)

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
