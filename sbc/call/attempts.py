"""Whom a call tries to reach: the targets of its route one after the other, the servers of each, and where they send it on."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from media.api import Side
from sbc.call.blocking import kept_from, unwelcome
from sbc.call.bridge import sent_on
from sbc.call.callee import CalleeLeg, Target
from sbc.call.causes import better, may_go_on
from sbc.call.change import GLARE
from sbc.call.charging import place_call
from sbc.call.health import server_answered, server_failed
from sbc.call.leg import Leg
from sbc.call.record import attempt_of
from sbc.call.redirect import Detours
from sbc.call.reserving import between, place_of_callee
from sbc.call.states import CallState
from sbc.call.targets import Awaited, Lookup, locate, when_found
from sbc.call.words import Cause, Released, Settled
from sbc.clock import Now
from sbc.errors import SipError
from sbc.frozen import replace
from sbc.policy.snapshot import Party

if TYPE_CHECKING:
    from sbc.call.call import Call


class Attempts:
    """The call is told whom to prepare for, or to refuse its caller when nobody is left.

    cause  the best of what the targets said so far
    """

    __slots__ = ("_call", "_detours", "_remaining", "_servers", "cause")

    def __init__(self, call: Call) -> None:
        self.cause = Cause(480, by="sbc", note="no target could be reached")
        self._call = call
        self._remaining = list(call.route.send_to)
        self._detours = Detours(call.facts.called)
        self._servers: list[Target] = []  # of the same party, to be tried when this one fails

    def only(self, target: Target, now: Now) -> None:
        """Nobody else will do."""
        self._remaining = []
        self._call.prepare(target, now)

    def next(self, now: Now) -> None:
        """The next target of the route that can be reached, or the refusal."""
        call = self._call
        call.drop_attempt(now)
        while self._remaining:
            party = call.snapshot.party(self._remaining.pop(0))
            blocked = kept_from(party, call.route, call.invitation, call.facts)
            if blocked is not None:
                self._note(party, blocked, now)
                if may_go_on(blocked, call.route):
                    continue
                call.refuse(now)
                return
            found = (
                unwelcome(party, call.route, call.invitation, call.facts.a.party)
                or self._reserve(party, now)
                or locate(call.context, call.snapshot, party, call.invitation, now)
            )
            if isinstance(found, Cause):
                call.places.release(Side.B)
                self._note(party, found, now)
            elif isinstance(found, (Lookup, Awaited)):
                when_found(call.context, call.snapshot, party, call.invitation, found, partial(self._found, party), now)
                return
            else:
                self._try_servers(found, now)
                return
        if not self._take_detour(now):
            call.refuse(now)

    def refused(self, leg: Leg, word: Released, now: Now) -> None:
        """A server that failed before its callee rang has others that may do better (RFC 3263 s4.3), all of them at the same party."""
        call = self._call
        assert call.a is not None and call.target is not None
        target, failure = call.target, leg.failure if isinstance(leg, CalleeLeg) else None
        if failure is None:
            server_answered(call.context, leg.flow)
            cause = word.cause
            if cause.contacts and not call.route.emergency and call.takeover is None:
                cause = self._detours.redirect(call.snapshot, leg.party, cause, call.a.sent_by)
            self.failed(cause, now)
            return
        if target.server_name:
            server_failed(call.context, leg.flow, now, failure.retry_after)
        if not failure.answered:
            call.context.homes.doubted(target.party.name, now)
        if leg.flow != target.flow and not failure.answered:  # too long for UDP, but there is no TCP: better that than nothing
            self._servers.insert(0, replace(target, stream=None))
        if call.state is not CallState.DIALLING or not self._servers:
            self.failed(word.cause, now)
            return
        self._note(target.party, word.cause, now)
        call.b = None
        call.a.tell(Settled(None, GLARE), now)  # whatever it wanted of this server, it will not get
        self._try_servers(self._servers, now)

    def failed(self, cause: Cause, now: Now) -> None:
        """Who was tried last: the next target if the route says so for this status, else the caller hears it."""
        call = self._call
        assert call.target is not None
        self._note(call.target.party, cause, now)
        if self._remaining and may_go_on(cause, call.route):
            self.next(now)
        elif cause.status >= 600 or not self._take_detour(now):
            call.refuse(now)

    def _reserve(self, party: Party, now: Now) -> Cause | None:
        call = self._call
        place = place_of_callee(call.context, party, call.route, call.facts, call.a, now)
        if isinstance(place, Cause):
            return place
        call.places.give(Side.B, place)
        return None

    def _found(self, party: Party, found: list[Target] | Cause, now: Now) -> None:
        """DNS has answered, or the party is back."""
        if self._call.state is CallState.ENDED:
            return
        if isinstance(found, list):
            self._try_servers(found, now)
        else:
            self._note(party, found, now)
            self.next(now)

    def _try_servers(self, servers: list[Target], now: Now) -> None:
        self._servers = servers
        self._call.prepare(servers.pop(0), now)

    def _take_detour(self, now: Now) -> bool:
        """Go on to where a callee has sent us: a new call of that callee, by its limits and routes. False: nowhere."""
        call = self._call
        call.drop_attempt(now)
        while (detour := self._detours.next()) is not None and call.invitation.max_forwards:
            party, number = detour
            try:
                ends, charged = between(call.facts, number), call.places.charged_to(party)
                placed = place_call(call.context, call.snapshot, party, ends, now, reserved=charged)
            except SipError as error:
                call.facts.attempts.append({"target": party.name, "status": error.status, "note": f"redirected to {number}: {error}"})
                continue
            call.places.charge(party, placed.reservation)
            call.places.give_route(placed.on_route)
            call.route = placed.route
            call.invitation = sent_on(call.invitation, number)
            self._remaining = list(placed.route.send_to)
            self.next(now)
            return True
        return False

    def _note(self, party: Party, cause: Cause, now: Now) -> None:
        call = self._call
        self.cause = better(self.cause, cause) if call.facts.attempts else cause
        server = call.b.flow if call.b is not None else None
        call.facts.attempts.append(attempt_of(party, cause, server))
        call.context.outcomes.failed(party, cause.status, cause.note or cause.reason, server, now)
