"""Whether it is worth asking somebody who has not answered of late."""

from __future__ import annotations

FAILURES = 5  # in a row: one may be lost, and with five a whole second of a busy time
REST = 10.0  # seconds that nobody asks; then one does, and if that fails the next rest begins


class Breaker:
    """Times are of one clock, in seconds."""

    def __init__(self) -> None:
        self._failures = 0
        self._until = 0.0

    @property
    def is_open(self) -> bool:
        return self._failures >= FAILURES

    def allows(self, now: float) -> bool:
        if not self.is_open:
            return True
        if now < self._until:
            return False
        self._until = now + REST  # this one tries; the others go on as before until it has been answered
        return True

    def succeeded(self) -> None:
        self._failures = 0

    def failed(self, now: float) -> None:
        self._failures += 1
        self._until = now + REST
