"""What is left of a broken request, to answer it by."""

from __future__ import annotations

from sbc.errors import ParseError
from sbc.sip.fields.cseq import CSeq
from sbc.sip.fields.nameaddr import NameAddr
from sbc.sip.fields.via import Via
from sbc.sip.grammar import is_token
from sbc.sip.message import ECHOED, Headers, Request
from sbc.sip.names import CALL_ID, CSEQ, FROM, TO, VIA, HeaderName
from sbc.sip.uri import Uri

_MAX_LINES = 256
_MAX_LINE = 2048
_MAX_VIAS = 8  # broken and from far away: not worth an answer longer than the question

_NOWHERE = Uri("sip", host="invalid")  # RFC 2606 s2: never the name of anything
_NOBODY = NameAddr("", _NOWHERE)


def salvage(head: bytes) -> Request | None:
    """A request that `Response.answer` can answer, None when there is no way to route one or `head` is no request.

    From, To, Call-ID and CSeq are echoed as they came, however broken (they are the sender's own words), and left out where they
    are missing; each Via is written anew from what could be read of it.
    """
    lines = head.decode("utf-8", "surrogateescape").replace("\r\n ", " ").replace("\r\n\t", " ").split("\r\n", _MAX_LINES)
    method, _, rest = lines[0].partition(" ")
    if not is_token(method):  # also every response: a token has no slash
        return None
    rows = _echoed_rows(lines[1:_MAX_LINES])
    vias = [value for name, value in rows if name == VIA]
    if not 1 <= len(vias) <= _MAX_VIAS:
        return None
    try:
        via, *others = [_via(item) for value in vias for item in value.split(",") if item.strip(" \t;")]
    except (ParseError, ValueError):  # unreadable, or none at all
        return None
    headers = Headers([(VIA, str(value)) for value in (via, *others)])
    for name, value in rows:
        if name not in headers:
            headers.add(name, value)
    return Request(
        method,
        _uri(rest.lstrip(" ").partition(" ")[0]),
        headers,
        b"",
        via,
        _address(headers.first(FROM)),
        _address(headers.first(TO)),
        headers.first(CALL_ID) or "",
        _cseq(headers.first(CSEQ), method),
    )


def _echoed_rows(lines: list[str]) -> list[tuple[HeaderName, str]]:
    rows = []
    for line in lines:
        text, colon, value = line.partition(":")
        if not colon or len(line) > _MAX_LINE or "\r" in line or "\n" in line or "\0" in line:
            continue
        try:
            name = HeaderName(text.rstrip(" \t"))
        except ParseError:
            continue
        if name in ECHOED:
            rows.append((name, value.strip(" \t")))
    return rows


def _via(text: str) -> Via:
    try:
        return Via.parse(text.strip(" \t"))
    except ParseError:
        return Via.salvage(text.strip(" \t"))


def _uri(text: str) -> Uri:
    try:
        return Uri.parse(text)
    except ParseError:
        return _NOWHERE


def _address(text: str | None) -> NameAddr:
    try:
        return NameAddr.parse(text) if text else _NOBODY
    except ParseError:
        return _NOBODY


def _cseq(text: str | None, method: str) -> CSeq:
    try:
        return CSeq.parse(text) if text else CSeq(0, method)
    except ParseError:
        return CSeq(0, method)
