"""Servers that failed a short while ago are tried last: not every caller shall wait for the same dead address again."""

from __future__ import annotations

from math import inf

from sbc.clock import Now
from sbc.flow import Flow
from sbc.tap import Answered, unrecorded

SHORTEST_S = 30.0  # a restart, or a link that came back; RFC 3263 s4.3 leaves the time open, RFC 3261 s21.5.4 the server's Retry-After
LONGEST_S = 300.0
REMEMBERED = 4096  # servers; far more than all trunks together have


class Penalties:
    """By flow: realm, transport, our address and the server's. Twice as long after each failure that follows another."""

    __slots__ = ("_until", "holds", "is_over", "passed")

    def __init__(self, answered: Answered = unrecorded) -> None:
        self._until: dict[Flow, tuple[float, float]] = {}  # the instant it ends, and how long it was
        self.holds = answered(self._holds)
        self.is_over = answered(self._is_over)
        self.passed = answered(self._passed)

    def __len__(self) -> int:
        return len(self._until)

    def failed(self, server: Flow, now: Now, retry_after: float = 0.0) -> None:
        """`retry_after`: the seconds it asked for itself; 0: it said nothing."""
        _, before = self._until.pop(server, (0.0, 0.0))
        length = min(max(SHORTEST_S, 2.0 * before, retry_after), LONGEST_S)
        if len(self._until) >= REMEMBERED:
            del self._until[next(iter(self._until))]  # the one that failed longest ago
        self._until[server] = (now.monotonic + length, length)

    def _passed(self, server: Flow) -> bool:
        """It answered. Whether that is news: it had failed before."""
        return self._until.pop(server, None) is not None

    def left(self, server: Flow, now: Now) -> float | None:
        """Seconds until its penalty is over, 0 if it was not heard of since, inf while it is asked; None: it has none. To be shown."""
        until = self._until.get(server)
        return None if until is None else max(0.0, until[0] - now.monotonic)

    def extend(self, server: Flow) -> None:
        """Until it failed or passed."""
        self._until[server] = (inf, self._until.get(server, (0.0, 0.0))[1])

    def _holds(self, server: Flow, now: Now) -> bool:
        return self._until.get(server, (0.0, 0.0))[0] > now.monotonic

    def _is_over(self, server: Flow, now: Now) -> bool:
        """It had a penalty, and has not been heard since."""
        return server in self._until and not self._holds(server, now)
