"""What crosses of requests that carry a body from one party to the other, within calls and outside of them."""

from __future__ import annotations

from sbc.call.asking import Crossing
from sbc.errors import SipError
from sbc.policy.snapshot import Party
from sbc.sip.message import Request
from sbc.sip.names import (
    CONTENT_DISPOSITION,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_TYPE,
    EXPIRES,
    SUBJECT,
    HeaderName,
)

MAX_BODY = 32_768  # a long SMS has 1,530 octets, a location 2,000; more belongs into a session (RFC 3428 s8)
CONTENT = (CONTENT_TYPE, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE)
CROSSING: dict[str, tuple[HeaderName, ...]] = {"MESSAGE": (*CONTENT, EXPIRES, SUBJECT)}


def crossing_message(request: Request, party: Party) -> Crossing:
    """What crosses of a MESSAGE within a call. Raises SipError 413."""
    if len(request.body) > MAX_BODY:
        raise SipError(status=413, reason="Request Entity Too Large")
    return Crossing(crossing_rows(request, CROSSING["MESSAGE"]), request.body)


def crossing_rows(request: Request, names: tuple[HeaderName, ...]) -> tuple[tuple[str, str], ...]:
    return tuple([(name, value) for name in names for value in request.headers.all(name)])
