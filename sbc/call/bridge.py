"""What may cross from the caller's leg to the callee's: a short list of names. Everything else stays behind."""

from __future__ import annotations

import re
from urllib.parse import quote

from sbc.frozen import frozen
from sbc.sip.fields.nameaddr import NameAddr
from sbc.sip.message import Headers, Request
from sbc.sip.names import DATE, IDENTITY, RESOURCE_PRIORITY, HeaderName
from sbc.sip.uri import Uri

ANONYMOUS_HOST = "anonymous.invalid"  # RFC 3323 s4.1.1.3: an anonymous caller has no domain to hide

CROSSING = (
    IDENTITY,  # signed by its originator; "never alter or remove" (RFC 8224 s4.1)
    HeaderName("Priority"),
    HeaderName("Privacy"),  # whoever shows the number must know (RFC 3323 s4.2)
)
CROSSING_IN_EMERGENCIES = (HeaderName("Geolocation"), HeaderName("Geolocation-Routing"), RESOURCE_PRIORITY)


_needs_no_escape = re.compile(r"[+A-Za-z0-9_.\-]*+").fullmatch


@frozen
class Invitation:
    """What the callee's leg needs to know of a call: who, whom, how many hops are left, and the headers that cross."""

    caller: str  # user part of From, escapes kept; "" when there is none
    caller_name: str
    anonymous: bool
    called: str
    service: Uri | None  # an emergency call to a service URN, which stays one (RFC 5031)
    max_forwards: int
    headers: tuple[tuple[HeaderName, str], ...]


def invitation_of(request: Request, called: str, caller: str, max_forwards: int, *, emergency: bool) -> Invitation:
    """`called` and `caller` are normalised numbers or user parts."""
    return Invitation(
        caller=caller,
        caller_name=request.from_.display,
        anonymous=request.from_.uri.host == ANONYMOUS_HOST,
        called=called,
        service=request.uri if emergency and request.uri.scheme == "urn" else None,
        max_forwards=max_forwards,
        headers=crossing_headers(request.headers, emergency=emergency),
    )


def crossing_headers(headers: Headers, *, emergency: bool) -> tuple[tuple[HeaderName, str], ...]:
    crossing = [(name, value) for name in CROSSING for value in headers.all(name)]
    if emergency:
        crossing += [(name, value) for name in CROSSING_IN_EMERGENCIES for value in headers.all(name)]
    date = headers.first(DATE)
    if date is not None and any(name == IDENTITY for name, _ in crossing):
        crossing.append((DATE, date))  # the signature covers its moment (RFC 8224 s4.1)
    return tuple(crossing)


def user_part(text: str) -> str:
    """A number or name as the user part of a URI: whatever would end it early is escaped (RFC 3261 s19.1.2)."""
    return text if _needs_no_escape(text) else quote(text, safe="-_.!~*'()&=+$,/")


def from_of(invitation: Invitation, host: str, tag: str) -> NameAddr:
    """From on the callee's leg: the caller's name and number, our own host."""
    if invitation.anonymous:
        host = ANONYMOUS_HOST
    uri = Uri.sip(user_part(invitation.caller) or None, host)
    return NameAddr(invitation.caller_name, uri).with_tag(tag)
