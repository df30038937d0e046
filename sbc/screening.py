"""Whether anything is done for a new request: its number, its caller, its way, a place among the limits. All raise SipError if not."""

from __future__ import annotations

from sbc.call.blocking import refuse_from
from sbc.call.bridge import callers
from sbc.call.causes import UNALLOCATED
from sbc.call.context import Context
from sbc.call.identities import screened
from sbc.call.record import Facts
from sbc.call.reserving import between, place_of_caller, place_on_route
from sbc.call.targets import NOT_SECURE
from sbc.clock import Now
from sbc.errors import SipError
from sbc.flow import Flow
from sbc.policy.decide import check_called, check_caller, emergency_called, emergency_route, help_called, normalise, route
from sbc.policy.inventory import UNASSIGNED
from sbc.policy.limits import Between, Reservation
from sbc.policy.snapshot import Party, Route
from sbc.registrar.register import RETRY_S
from sbc.shield.budgets import source_key
from sbc.sip.fields.via import Via
from sbc.sip.message import Request
from sbc.sip.names import VIA
from sbc.sip.uri import Uri

RETRY_WHEN_DRAINING_S = (5, 30)  # each its own, or all come back at once


def screen_caller(context: Context, party: Party, request: Request, facts: Facts) -> None:
    """Who is said to call, as far as `party` may say so."""
    facts.caller_said, facts.caller = facts.caller, screened(party, request, facts.caller)
    numbers = tuple(callers(party, request, facts.caller))
    check_caller(context.snapshot, party, numbers)
    refuse_from(party, numbers, facts.id)


def normalise_called(context: Context, party: Party, uri: Uri, facts: Facts) -> Route | None:
    """The number to call. The route too when it is an emergency number: as dialled, before the dial plan can spoil it, or by it."""
    facts.step = "number"
    chosen = emergency_route(context.snapshot, party, uri)
    if chosen is not None:
        facts.called = help_called(uri)
    else:
        facts.called = normalise(party, facts.dialled)
        chosen = emergency_called(context.snapshot, party, facts.called)
        if chosen is None:
            check_called(party, facts.called)
    facts.emergency = chosen is not None
    return chosen


def reserve_place(context: Context, party: Party, facts: Facts, now: Now) -> Reservation:
    """A place among the party's limits. Emergency calls get one while we drain, too."""
    if not facts.emergency:
        refuse_when_draining(context)
    return place_of_caller(context, party, facts, now)


def reserve_route(
    context: Context, party: Party, facts: Facts, chosen: Route | None, caller: Reservation, now: Now, *, replaces: bool
) -> tuple[Route, Reservation]:
    """The route, and a place on it. When there is none the `caller` has no place either. `replaces`: that of a call in progress."""
    try:
        facts.step = "route"
        chosen = chosen or _route(context, party, facts)
        facts.step = "limits"
        facts.route, facts.route_line = chosen.name, chosen.line
        if replaces:
            return chosen, context.limits.reserve_route_exempt(chosen, between(facts))
        return chosen, place_on_route(context, party, chosen, between(facts), now)
    except SipError:
        context.limits.release(caller)
        raise


def _route(context: Context, party: Party, facts: Facts) -> Route:
    chosen = route(context.snapshot, party, facts.called)
    if chosen is None:
        unassigned = context.snapshot.inventory.owner_of(facts.called) == UNASSIGNED
        what = "ours, and unassigned" if unassigned else "no route"
        raise SipError(what, status=404, reason="Not Found", headers=(("Reason", UNALLOCATED),))
    return chosen


def refuse_when_draining(context: Context) -> None:
    if context.draining:
        first, last = RETRY_WHEN_DRAINING_S
        seconds = first + int.from_bytes(context.ids.random(8), "big") % (last - first + 1)
        raise SipError("draining", status=503, reason="Service Unavailable", headers=(("Retry-After", str(seconds)),))


def refuse_too_many(context: Context, party: Party, now: Now) -> None:
    if not context.limits.may_send(party, now):
        raise SipError(f"too many requests of {party.name}", status=503, reason="Service Unavailable")


def refuse_beyond(context: Context, party: Party | None, request: Request, flow: Flow, now: Now) -> None:
    """503 for one request too many. OPTIONS are answered always: a refusal costs as much, and says that we are out of order."""
    if party is None or request.method == "OPTIONS":
        return
    refused = context.limits.may_request(party, Between(source=source_key(flow.remote[0])), now)
    if refused is not None:
        headers = (("Retry-After", str(RETRY_S)),) if request.method == "REGISTER" else ()
        raise SipError(refused.text, status=503, reason="Service Unavailable", headers=headers)


def refuse_insecure(request: Request, flow: Flow, facts: Facts) -> None:
    """A sips URI wants TLS on each hop, and the first one was none (RFC 5630 s5.1.2). Emergencies come as they can."""
    if request.uri.scheme == "sips" and not flow.secure and not facts.emergency:
        raise SipError(
            f"sips over {flow.transport}", status=NOT_SECURE.status, reason="Temporarily Unavailable", headers=NOT_SECURE.headers
        )


def refuse_loop(context: Context, request: Request) -> None:
    """482 when a Via below the top is one of ours (RFC 3261 s16.3 step 4)."""
    for value in request.headers.all(VIA)[1:]:  # the parser gave each a row of its own
        via = Via.parse(value)
        if context.is_us(via.host, via.port):
            raise SipError("our own Via", status=482, reason="Loop Detected")
