"""Octets to messages (RFC 3261 s7, s18.3, s25): strict on what routing and framing hang on, deaf to the rest.

Only the top Via, From, To, Call-ID, CSeq and the Request-URI are typed here; every other header keeps its text.
"""

from __future__ import annotations

from collections.abc import Mapping

from sbc.errors import ParseError
from sbc.sip.fields.contact import parse_contacts
from sbc.sip.fields.cseq import CSeq
from sbc.sip.fields.nameaddr import NameAddr
from sbc.sip.fields.via import Via
from sbc.sip.grammar import is_token, parse_number, split_commas
from sbc.sip.message import Headers, Request, Response
from sbc.sip.names import CALL_ID, CONTACT, CONTENT_LENGTH, CSEQ, FROM, MAX_FORWARDS, TO, VIA, HeaderName
from sbc.sip.rows import MAX_HEAD as MAX_HEAD
from sbc.sip.rows import read_rows
from sbc.sip.salvage import salvage
from sbc.sip.status import reason_phrase
from sbc.sip.uri import Uri

# Checked before anything costs more than one look at the octets. Precedents: h11 (16 KiB for a whole head), nginx (8 KiB a line).
MAX_MESSAGE = 256 * 1024  # a stream; a datagram cannot be longer than 64 KiB
MAX_VIAS = 64  # hops: Max-Forwards begins at 70, and each Via comes back in each response

HIGHEST_CONTENT_LENGTH = 2**31 - 1
MAGIC_COOKIE = "z9hG4bK"  # RFC 3261 s8.1.1.7


class Malformed(ParseError):
    """`request` is what could be read of a request, enough to route an answer by; None for a response or if too little was left."""

    def __init__(self, detail: str, *, status: int = 400, request: Request | None = None) -> None:
        super().__init__(detail, status=status, reason=reason_phrase(status))
        self.request = request


def is_keepalive(data: bytes) -> bool:
    """Nothing but line ends or zeros: peers keep their NAT open with those (RFC 5626 s4.4.1 and older practice)."""
    return not data.strip(b"\r\n\0")


def parse_datagram(data: bytes) -> Request | Response:
    """One datagram. Malformed.

    Without Content-Length the body goes to the end of the datagram; octets beyond Content-Length are dropped (RFC 3261 s18.3).
    """
    if data[:1] in (b"\r", b"\n"):
        data = data.lstrip(b"\r\n")  # RFC 3261 s7.5
    end = data.find(b"\r\n\r\n")
    if end < 0:  # no empty line: tolerated where a line ends all the same (RFC 5118 s4.10 as archived)
        head, rest = data.removesuffix(b"\r\n"), b""
    else:
        head, rest = data[:end], data[end + 4 :]
    try:
        message, length = _parse(head)
        if length is not None and length != len(rest):
            if length > len(rest):
                raise ParseError("body shorter than Content-Length")
            rest = rest[:length]
    except ParseError as error:
        raise malformed(error, head) from error
    message.body = rest
    return message


def parse_message(head: bytes, body: bytes) -> Request | Response:
    """One message as a stream was framed: `head` without the empty line, `body` as long as Content-Length said. Malformed."""
    try:
        message, length = _parse(head)
        if length != len(body):
            raise ParseError("Content-Length is not that of the body")
    except ParseError as error:
        raise malformed(error, head) from error
    message.body = body
    return message


def malformed(error: ParseError, head: bytes) -> Malformed:
    """`error` with what can be read of the request."""
    return Malformed(str(error), status=error.status, request=salvage(head[:MAX_HEAD]))


def _parse(head: bytes) -> tuple[Request | Response, int | None]:
    """The message without its body, and Content-Length."""
    start, names, values, first = read_rows(head)
    if b"\0" in head:
        _check_nul(start, names, values)
    if len(first) < len(names):
        _merge_repeated(names, values)
    length = None
    if CONTENT_LENGTH in first:
        length = parse_number(_take(names, values, CONTENT_LENGTH), HIGHEST_CONTENT_LENGTH)
    if start[:4].upper() == "SIP/":
        return _response(start, names, values, first), length
    return _request(start, names, values, first), length


_SINGLE = (CALL_ID, CSEQ, FROM, TO, MAX_FORWARDS, CONTENT_LENGTH)


def _merge_repeated(names: list[HeaderName], values: list[str]) -> None:
    """Headers that may be there once, and are there again, must agree: two readers would choose differently."""
    for single in _SINGLE:
        while names.count(single) > 1:
            value = _take(names, values, single)
            if values[names.index(single)] != value:
                raise ParseError(f"{single.spelling} twice")


def _check_nul(start: str, names: list[HeaderName], values: list[str]) -> None:
    """The grammar has NUL in one place, after the backslash of a quoted string (RFC 4475 s3.1.1.2).

    It is let in where that text is only ever echoed to its sender or written anew without it.
    """
    for name, value in zip(names, values, strict=True):
        if "\0" in value and (name not in (FROM, TO) or value.count("\0") != value.count("\\\0")):
            raise ParseError("NUL")
    if "\0" in start:
        raise ParseError("NUL")


def _take(names: list[HeaderName], values: list[str], name: HeaderName) -> str:
    position = names.index(name)
    del names[position]
    return values.pop(position)


def _one(first: Mapping[HeaderName, str], name: HeaderName) -> str:
    value = first.get(name)
    if value is None:
        raise ParseError(f"no {name.spelling}")
    return value


def _request(start: str, names: list[HeaderName], values: list[str], first: Mapping[HeaderName, str]) -> Request:
    words = start.split(" ")
    if len(words) != 3:
        raise ParseError("malformed request line")
    method, target, version = words
    if version != "SIP/2.0":
        _check_version(version)
    if not is_token(method):
        raise ParseError("malformed method")
    uri = Uri.parse(target)
    if uri.headers:  # "not allowed" there (RFC 3261 s19.1.1), and a way to inject some
        raise ParseError("headers in the Request-URI")
    via, from_, to, call_id, cseq = _mandatory(names, values, first)
    if cseq.method != method:
        raise ParseError("CSeq of another method")
    if via.branch == MAGIC_COOKIE:
        raise ParseError("branch without content")
    if MAX_FORWARDS in first:
        parse_number(first[MAX_FORWARDS], 255)
    if method == "REGISTER":
        parse_contacts([v for n, v in zip(names, values, strict=True) if n is CONTACT])
    return Request(method, uri, Headers.adopt(names, values), b"", via, from_, to, call_id, cseq)


def _response(start: str, names: list[HeaderName], values: list[str], first: Mapping[HeaderName, str]) -> Response:
    version, _, rest = start.partition(" ")
    if version != "SIP/2.0":
        _check_version(version)
    code, _, reason = rest.partition(" ")
    if len(code) != 3:
        raise ParseError("malformed status")
    status = parse_number(code, 699)
    if status < 100:
        raise ParseError("malformed status")
    via, from_, to, call_id, cseq = _mandatory(names, values, first)
    return Response(status, reason, Headers.adopt(names, values), b"", via, from_, to, call_id, cseq)


def _check_version(text: str) -> None:
    protocol, _, version = text.partition("/")
    if protocol.upper() != "SIP" or not version:
        raise ParseError("malformed version")
    if version != "2.0":
        raise ParseError("another version of SIP", status=505)


def _mandatory(names: list[HeaderName], values: list[str], first: Mapping[HeaderName, str]) -> tuple[Via, NameAddr, NameAddr, str, CSeq]:
    top = _one(first, VIA)
    if "," in top or names.count(VIA) > 1:
        top = _split_vias(names, values)
    call_id = _one(first, CALL_ID)
    if not call_id or " " in call_id or "\t" in call_id:
        raise ParseError("malformed Call-ID")
    return (
        Via.parse(top),
        NameAddr.parse(_one(first, FROM)),
        NameAddr.parse(_one(first, TO)),
        call_id,
        CSeq.parse(_one(first, CSEQ)),
    )


def _split_vias(names: list[HeaderName], values: list[str]) -> str:
    """Gives each Via value a row of its own, so that the top one can be read and stamped alone, and returns the top one."""
    if any("," in v for n, v in zip(names, values, strict=True) if n is VIA):
        pairs = [(n, item) for n, v in zip(names, values, strict=True) for item in (split_commas(v) if n is VIA else (v,))]
        names[:] = [n for n, _ in pairs]
        values[:] = [v for _, v in pairs]
    if names.count(VIA) > MAX_VIAS:
        raise ParseError("too many Vias")
    if VIA not in names:
        raise ParseError("no Via")
    return values[names.index(VIA)]
