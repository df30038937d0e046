"""Looks for a target of a route that takes a request which is no call."""

from __future__ import annotations

from collections.abc import Callable

from sbc.call.bridge import Invitation
from sbc.call.callee import Target
from sbc.call.context import Context
from sbc.call.targets import Lookup, locate, target_at
from sbc.call.words import Cause
from sbc.clock import Now
from sbc.effects import Resolve
from sbc.flow import Address
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
        self._cause = Cause(480, by="sbc")

    def next(self, now: Now) -> None:
        while self._remaining:
            party = self._snapshot.party(self._remaining.pop(0))
            if not self._may_take(party):
                self._cause = Cause(403, by="sbc", note=f"not for {party.name}")
                continue
            found = locate(self._context, self._snapshot, party, self._invitation, now)
            if isinstance(found, Lookup):
                self._ask(party, found)
                return
            cause = found if isinstance(found, Cause) else self._attempt(found, now)
            if cause is None:
                return
            self._cause = cause
        self._give_up(self._cause, now)

    def failed(self, cause: Cause, now: Now) -> None:
        """The target said no, or nothing: the next one, if the route goes on from that and there is one."""
        self._cause = cause
        if cause.status in self._route.next_on and self._remaining:
            self.next(now)
        else:
            self._give_up(cause, now)

    def _ask(self, party: Party, lookup: Lookup) -> None:
        question = self._context.ids.tag()

        def answered(addresses: tuple[Address, ...], now: Now) -> None:
            self._cause = Cause(503, by="sbc", note=f"{lookup.host} has no address")
            for address in addresses:
                found = target_at(self._context, self._snapshot, party, self._invitation, address)
                cause = found if isinstance(found, Cause) else self._attempt(found, now)
                if cause is None:
                    return
                self._cause = cause
            self.next(now)

        self._context.questions[question] = answered
        self._context.emit(Resolve(question, lookup.host, lookup.port))
