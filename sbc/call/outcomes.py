"""What came of the last attempts at each trunk. For people who look: nothing is decided by it."""

from __future__ import annotations

from collections import deque

from sbc.clock import Now
from sbc.flow import Flow
from sbc.frozen import frozen
from sbc.policy.snapshot import Party, Trunk

FAILURES = 5  # of each trunk: what an operator reads before turning to the call records
SERVERS = 8  # of each trunk; those heard of last


@frozen
class Outcome:
    """`at`: seconds since the epoch. `server` is None when it never got as far as one."""

    at: float
    status: int
    note: str = ""
    server: Flow | None = None


class Outcomes:
    """By name of the trunk: as many as the policies seen have of them."""

    def __init__(self) -> None:
        self._failures: dict[str, deque[Outcome]] = {}
        self._servers: dict[str, dict[Flow, Outcome]] = {}

    def failed(self, party: Party, status: int, note: str, server: Flow | None, now: Now) -> None:
        if not isinstance(party, Trunk):
            return
        outcome = Outcome(now.wall, status, note, server)
        self._failures.setdefault(party.name, deque(maxlen=FAILURES)).append(outcome)
        if server is not None:
            self._heard(party, server, outcome)

    def answered(self, party: Party, server: Flow, now: Now) -> None:
        if isinstance(party, Trunk):
            self._heard(party, server, Outcome(now.wall, 200, server=server))

    def failures(self, trunk: str) -> tuple[Outcome, ...]:
        """The last ones, newest first."""
        return tuple(reversed(self._failures.get(trunk, ())))

    def servers(self, trunk: str) -> tuple[Outcome, ...]:
        """Of each server tried lately the last outcome, newest first. A trunk that registers has none: it is where it registered."""
        return tuple(reversed(self._servers.get(trunk, {}).values()))

    def _heard(self, trunk: Trunk, server: Flow, outcome: Outcome) -> None:
        if trunk.peer is None:
            return
        servers = self._servers.setdefault(trunk.name, {})
        servers.pop(server, None)
        servers[server] = outcome
        if len(servers) > SERVERS:
            del servers[next(iter(servers))]
