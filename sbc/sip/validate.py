"""What a user agent looks at before it does anything with a request (RFC 3261 s8.2), and with a response (s8.1.3.3)."""

from __future__ import annotations

from collections.abc import Collection

from sbc.errors import ParseError, SipError
from sbc.sip.fields.content import Disposition, MediaType
from sbc.sip.fields.max_forwards import DEFAULT, max_forwards
from sbc.sip.fields.tokens import parse_tokens
from sbc.sip.grammar import split_rows
from sbc.sip.message import Headers, Request, Response
from sbc.sip.multipart import SDP, Part, parts
from sbc.sip.names import (
    ACCEPT,
    ACCEPT_ENCODING,
    ALLOW,
    CONTENT_DISPOSITION,
    CONTENT_ENCODING,
    CONTENT_TYPE,
    PROXY_REQUIRE,
    REQUIRE,
    UNSUPPORTED,
    VIA,
    HeaderName,
)
from sbc.sip.status import reason_phrase

KNOWN_METHODS = frozenset({
    "ACK", "BYE", "CANCEL", "INFO", "INVITE", "MESSAGE", "NOTIFY", "OPTIONS", "PRACK", "PUBLISH", "REFER", "REGISTER",
    "SUBSCRIBE", "UPDATE",
})  # fmt: skip
KNOWN_SCHEMES = frozenset({"sip", "sips", "tel", "urn"})  # urn:service:sos is an emergency call (RFC 5031)
_CARRY_SESSIONS = frozenset({"INVITE", "PRACK", "UPDATE"})  # the bodies we must understand; others' are nobody's or passed on
_TAKES_SDP = frozenset({SDP, "application/*", "*/*"})
_HOP_BY_HOP = frozenset({"ACK", "CANCEL"})  # no Require, no answer to an ACK (RFC 3261 s8.2.2.3, s17)


def check_request(
    request: Request, *, methods: Collection[str], supported: Collection[str], for_us: bool = False, bodies: Collection[str] = ()
) -> None:
    """Raises SipError with the answer and its headers when a request cannot be served, in the order of RFC 3261 s8.2.

    `methods` are those we serve, `supported` the option tags; `for_us`: it ends here, so Max-Forwards 0 is no matter.
    `bodies`: media types that an INVITE may carry beside its session description, lower case.
    """
    _check_method(request, methods)
    if request.uri.scheme not in KNOWN_SCHEMES:
        raise _refusal(416, f"scheme {request.uri.scheme}")
    if request.method == "REGISTER" and request.to.uri.scheme not in ("sip", "sips"):
        raise ParseError("an address of record of another scheme")  # RFC 3261 s10.3
    if request.method in _HOP_BY_HOP:
        return
    if not for_us:
        hops_left(request)
    _check_extensions(request, supported)
    if request.method in _CARRY_SESSIONS:
        _check_body(request, bodies if request.method == "INVITE" else ())
    if request.method == "INVITE":
        _check_accept(request)


def check_response(response: Response) -> None:
    """ParseError for one that is not ours alone: a user agent's request has one Via (RFC 3261 s8.1.3.3). Drop it."""
    if response.headers.count(VIA) > 1:
        raise ParseError("response with more than one Via")


def hops_left(request: Request) -> int:
    """Max-Forwards for the other leg (RFC 7332 s4). SipError 483 when there are none left."""
    hops = max_forwards(request.headers)
    if hops is None:
        return DEFAULT
    if hops == 0:
        raise _refusal(483, "Max-Forwards 0")
    return hops - 1


def _refusal(status: int, detail: str, name: HeaderName | None = None, value: str = "") -> SipError:
    headers = () if name is None else ((name, value),)
    return SipError(detail, status=status, reason=reason_phrase(status), headers=headers)


def _check_method(request: Request, methods: Collection[str]) -> None:
    if request.method not in methods:
        status = 405 if request.method in KNOWN_METHODS else 501
        raise _refusal(status, "method", ALLOW, ", ".join(sorted(methods)))


def _check_extensions(request: Request, supported: Collection[str]) -> None:
    """Proxy-Require too: nobody behind us will ever see it."""
    headers = request.headers
    if REQUIRE not in headers and PROXY_REQUIRE not in headers:
        return
    unsupported = [tag for tag in parse_tokens(headers.all(REQUIRE) + headers.all(PROXY_REQUIRE)) if tag not in supported]
    if unsupported:
        raise _refusal(420, "extension", UNSUPPORTED, ", ".join(unsupported))


def _check_body(request: Request, bodies: Collection[str]) -> None:
    """415 for a body that must be understood and is not (RFC 3261 s8.2.3). Languages are not looked at: SDP has none."""
    headers = request.headers
    if not request.body or _handling(headers) == "optional":
        return
    encoding = headers.first(CONTENT_ENCODING)
    if encoding is not None and encoding.lower() != "identity":
        raise _refusal(415, "Content-Encoding", ACCEPT_ENCODING, "identity")
    text = headers.first(CONTENT_TYPE) or ""
    kind = _media_type(text)
    if kind != SDP and kind not in bodies and not (kind == "multipart/mixed" and _acceptable(parts(text, request.body), bodies)):
        raise _refusal(415, "Content-Type", ACCEPT, ", ".join((SDP, *sorted(bodies))))


def _handling(headers: Headers) -> str:
    text = headers.first(CONTENT_DISPOSITION)
    return "" if text is None else Disposition.parse(text).handling


def _acceptable(found: list[Part], bodies: Collection[str]) -> bool:
    """Besides SDP nothing that says it is required; what says nothing is left where there is SDP (RFC 5621 s8 is stricter)."""
    others = [part for part in found if part.type != SDP and part.type not in bodies]
    allowed = ("optional", "") if len(others) < len(found) else ("optional",)
    return all(part.handling in allowed for part in others)


def _check_accept(request: Request) -> None:
    """406 when the caller takes no SDP; no Accept means it does (RFC 3261 s20.1)."""
    rows = request.headers.all(ACCEPT)
    if rows and not any(_media_range(item) in _TAKES_SDP for item in split_rows(rows)):
        raise _refusal(406, "Accept without application/sdp")


def _media_range(text: str) -> str:
    """Not parsed: a row has room for thousands, and nothing hangs on those that are malformed."""
    return text.partition(";")[0].strip(" \t").lower()


def _media_type(text: str) -> str:
    """ "type/subtype", "" for what is none."""
    try:
        return MediaType.parse(text).name
    except ParseError:
        return ""
