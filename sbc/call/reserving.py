"""Places among the limits: of who calls, of the route, and of who is called. Emergency calls get each whatever the limits say."""

from __future__ import annotations

from media.api import Side
from sbc.call.causes import LIMIT_REACHED, NO_CIRCUIT
from sbc.call.context import Context
from sbc.call.leg import Leg
from sbc.call.places import Places
from sbc.call.record import Facts
from sbc.call.words import Cause
from sbc.clock import Now
from sbc.errors import SipError
from sbc.policy.counters import Way
from sbc.policy.limits import Between, Refused, Reservation
from sbc.policy.snapshot import Party, Route
from sbc.sdp.bandwidth import offered_bits
from sbc.sdp.codecs import full_offer
from sbc.sdp.offer import Description
from sbc.sdp.translation import offered_codecs
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


def place_of_callee(context: Context, party: Party, route: Route, facts: Facts, caller: Leg | None, now: Now) -> Reservation | Cause:
    """Or why the call cannot go there: the next target may do, and if there is none it is we who have no room.

    Room for media is that for the most its offer may come to.
    """
    if route.emergency:
        return context.limits.reserve_exempt(party, "to", between(facts))
    bits = 0
    if context.limits.measures(party):
        bits = _bits_to(context, party, caller.offer if caller is not None else None)
    reserved = context.limits.reserve(party, now, "to", between(facts), bits)
    return _cause_of(reserved) if isinstance(reserved, Refused) else reserved


def widen(context: Context, places: Places, leg: Leg, route: Route, facts: Facts, now: Now) -> Cause | None:
    """Room for the media that the caller offers, on its side and on the route; or why it cannot have any."""
    place, on_route = places.on(leg.side), places.on_route
    if place is None or on_route is None or route.emergency or not context.limits.measures(leg.party, route):
        return None
    bits, ends = _bits_from(leg), between(facts)
    widened = context.limits.widen(place, leg.party, ends, bits, now)
    if isinstance(widened, Refused):
        return _cause_of(widened)
    places.give(leg.side, widened)
    widened = context.limits.widen_route(on_route, route, leg.party, ends, bits, now)
    if isinstance(widened, Refused):
        return _cause_of(widened)
    places.widen_route(widened)
    return None


def _bits_from(leg: Leg) -> int:
    said, rules = leg.offer, leg.party.media
    ipv6 = ":" in leg.realm.relay.address
    if said is None:
        return offered_bits("audio", full_offer(rules), None, encrypted=rules.srtp != "off", ipv6=ipv6)
    return offered_bits(said.kind, said.codecs, said.ptime, encrypted=said.keyed != "", ipv6=ipv6)


def _bits_to(context: Context, party: Party, said: Description | None) -> int:
    rules = party.media
    realm = context.snapshot.realms.get(party.realm)
    ipv6 = realm is not None and ":" in realm.relay.address
    kind, ptime = (said.kind, said.ptime) if said is not None else ("audio", None)
    return offered_bits(kind, offered_codecs(said, rules), ptime, encrypted=rules.srtp != "off", ipv6=ipv6)


def _cause_of(refused: Refused) -> Cause:
    warning = NO_ROOM if refused.which == "bandwidth" else ()
    return Cause(
        refused.status, refused.reason, NO_CIRCUIT, (LIMIT_REACHED,), headers=warning, by="sbc", note=refused.text, out_of_service=True
    )


NO_ROOM = (("Warning", '370 sbc "Insufficient bandwidth"'),)


def error_of(refused: Refused) -> SipError:
    return SipError(refused.text, status=refused.status, reason=refused.reason, headers=(("Reason", LIMIT_REACHED),))
