"""Looks for a target of a route that takes a request which is no call."""

from __future__ import annotations

from collections.abc import Callable

from sbc.call.bridge import Invitation
from sbc.call.callee import Target
from sbc.call.context import Context
from sbc.call.targets import Awaited, Lookup, locate, when_found
from sbc.call.words import Cause
from sbc.clock import Now
from sbc.policy.snapshot import Party, Route, Snapshot


class Search:
    """`attempt` sends to a target, or says why it cannot; `give_up` is told the last reason when no target is left."""

    def __init__(
        self,
        context: Context,
        snapshot: Snapshot,
        route: Route,
        invitation: Invitation,
        may_take: Callable[[Party], bool],
        attempt: Callable[[Target, Now], Cause | None],
        give_up: Callable[[Cause, Now], None],
    ) -> None:
        self._context = context
        self._snapshot = snapshot
        self._route = route
        self._invitation = invitation
        self._may_take = may_take
        self._attempt = attempt
        self._give_up = give_up
        self._remaining = list(route.send_to)
        self._servers: list[Target] = []  # of the party under way, to be tried when this one fails
        self._cause = Cause(480, by="sbc")

    def next(self, now: Now) -> None:
        self._servers = []
        while self._remaining:
            party = self._snapshot.party(self._remaining.pop(0))
            if not self._may_take(party):
                self._cause = Cause(403, by="sbc", note=f"not for {party.name}")
                continue
            found = locate(self._context, self._snapshot, party, self._invitation, now)
            if isinstance(found, (Lookup, Awaited)):
                when_found(self._context, self._snapshot, party, self._invitation, found, self._found, now)
                return
            if self._take(found, now):
                return
        self._give_up(self._cause, now)

    def failed(self, cause: Cause, now: Now) -> None:
        """The target said no, or nothing: another server of the same party after a 503, the next party if the route goes on from that."""
        self._cause = cause
        if cause.status == 503 and self._try_servers(now):
            return
        if cause.status in self._route.next_on and self._remaining:
            self.next(now)
        else:
            self._give_up(self._cause, now)

    def _take(self, found: list[Target] | Cause, now: Now) -> bool:
        """Whether a request is on its way."""
        if isinstance(found, Cause):
            self._cause = found
            return False
        self._servers = found
        return self._try_servers(now)

    def _try_servers(self, now: Now) -> bool:
        while self._servers:
            cause = self._attempt(self._servers.pop(0), now)
            if cause is None:
                return True
            self._cause = cause
        return False

    def _found(self, found: list[Target] | Cause, now: Now) -> None:
        if not self._take(found, now):
            self.next(now)
