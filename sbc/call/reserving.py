"""Places among the limits: of who calls, of the route, and of who is called. Emergency calls get each whatever the limits say."""

from __future__ import annotations

from media.api import Side
from sbc.call.causes import LIMIT_REACHED, NO_CIRCUIT
from sbc.call.context import Context
from sbc.call.record import Facts
from sbc.call.words import Cause
from sbc.clock import Now
from sbc.errors import SipError
from sbc.policy.counters import Way
from sbc.policy.limits import Between, Refused, Reservation
from sbc.policy.snapshot import Party, Route
from sbc.shield.budgets import source_key


def between(facts: Facts, called: str = "") -> Between:
    """What limits may count for each of. `called`: where the call goes instead."""
    return Between(facts.caller, called or facts.called, source_key(facts.a.flow.remote[0]))


def way_of(side: Side) -> Way:
    return "from" if side is Side.A else "to"


def place_of_caller(context: Context, party: Party, facts: Facts, now: Now) -> Reservation:
    """Raises SipError: 503 without Retry-After to a trunk, which has other ways (and would stop all its traffic), 486 or 480 to a user."""
    if facts.emergency:
        return context.limits.reserve_exempt(party, "from", between(facts))
    ends = between(facts)
    refused = context.limits.may_request(party, ends, now)
    if refused is not None:
        raise error_of(refused)
    reserved = context.limits.reserve(party, now, "from", ends)
    if isinstance(reserved, Refused):
        raise error_of(reserved)
    return reserved


def place_on_route(context: Context, party: Party, route: Route, ends: Between, now: Now) -> Reservation:
    """The same for the route that a call of `party` takes, and for everybody together."""
    if route.emergency:
        return context.limits.reserve_route_exempt(route, ends)
    reserved = context.limits.reserve_route(route, party, ends, now)
    if isinstance(reserved, Refused):
        raise error_of(reserved)
    return reserved


def place_of_callee(context: Context, party: Party, route: Route, facts: Facts, now: Now) -> Reservation | Cause:
    """Or why the call cannot go there: the next target may do."""
    if route.emergency:
        return context.limits.reserve_exempt(party, "to", between(facts))
    reserved = context.limits.reserve(party, now, "to", between(facts))
    if isinstance(reserved, Refused):
        return Cause(reserved.status, q850=NO_CIRCUIT, reasons=(LIMIT_REACHED,), by="sbc", note=reserved.text)
    return reserved


def error_of(refused: Refused) -> SipError:
    return SipError(refused.text, status=refused.status, reason=refused.reason, headers=(("Reason", LIMIT_REACHED),))
