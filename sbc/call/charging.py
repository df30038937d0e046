"""A call that somebody else than its caller asks for: a redirection or a transfer is a new call of whoever asks.

The order is that of every call: normalise → limit → route. Emergency numbers are nothing special here: nobody else dials them for a caller.
"""

from __future__ import annotations

from sbc.call.context import Context
from sbc.call.reserving import error_of, place_on_route
from sbc.clock import Now
from sbc.errors import SipError
from sbc.frozen import frozen
from sbc.policy.decide import check_called, dialled, normalise, route
from sbc.policy.limits import Between, Refused, Reservation
from sbc.policy.snapshot import Party, Route, Snapshot
from sbc.sip.uri import Uri

_DIGITS = frozenset("+0123456789*#")


@frozen
class Placed:
    """`reservation`: of whoever asks for the call, `on_route`: of the route."""

    route: Route
    reservation: Reservation
    on_route: Reservation


def number_meant(snapshot: Snapshot, party: Party, uri: Uri) -> str:
    """The normalised number or name that `party` gave us as a target, read by its own dial plan.

    A number is a number whatever host it stands at; a name means somebody here only at one of our own addresses.
    Raises SipError: 484, 404 for a name elsewhere, 416 for a scheme without numbers.
    """
    if uri.scheme not in ("sip", "sips", "tel"):
        raise SipError(f"scheme {uri.scheme}", status=416, reason="Unsupported URI Scheme")
    number = normalise(party, dialled(uri))
    check_called(party, number)
    if not _DIGITS.issuperset(number) and not is_ours(snapshot, party, uri.host):
        raise SipError("a name of somewhere else", status=404, reason="Not Found")
    return number


def is_ours(snapshot: Snapshot, party: Party, host: str) -> bool:
    """Whether the host is a name or an address that we have in the party's network."""
    realm = snapshot.realms[party.realm]
    return host in realm.domains or any(host in (listener.address, listener.advertise) for listener in realm.listeners)


def place_call(context: Context, snapshot: Snapshot, party: Party, ends: Between, now: Now, reserved: Reservation | None = None) -> Placed:
    """A place among the limits of `party`, unless it has one `reserved`, its route to the number that is called, and a place on that.

    Raises SipError as for a call it dials itself; then nothing is reserved.
    """
    if context.draining:
        raise SipError("draining", status=503, reason="Service Unavailable")
    reservation = reserved or context.limits.reserve(party, now, "from", ends)
    if isinstance(reservation, Refused):
        raise error_of(reservation)
    try:
        chosen = route(snapshot, party, ends.called)
        if chosen is None:
            raise SipError("no route", status=404, reason="Not Found")
        return Placed(chosen, reservation, place_on_route(context, party, chosen, ends, now))
    except SipError:
        if reserved is None:
            context.limits.release(reservation)
        raise
