"""What crosses of an INVITE's body beside its session description: where the caller is, ISUP, whatever both sides name (RFC 5621)."""

from __future__ import annotations

from collections.abc import Sequence

from sbc.errors import ParseError, SipError
from sbc.frozen import frozen
from sbc.policy.snapshot import Party
from sbc.sip.fields.content import MediaType
from sbc.sip.message import Headers, Request
from sbc.sip.multipart import SDP, Part, parts
from sbc.sip.names import (
    CONTENT_DISPOSITION,
    CONTENT_ENCODING,
    CONTENT_ID,
    CONTENT_LANGUAGE,
    CONTENT_TRANSFER_ENCODING,
    CONTENT_TYPE,
)

LOCATION = "application/pidf+xml"  # of somebody who calls for help (RFC 6442): whoever helps gets it
DESCRIBING = (CONTENT_TYPE, CONTENT_ID, CONTENT_DISPOSITION, CONTENT_LANGUAGE, CONTENT_ENCODING, CONTENT_TRANSFER_ENCODING)


@frozen
class Body:
    """One part.

    required  whoever does not understand it is not to take the call
    listed    whoever sent it may send such a thing
    helps     it says where somebody is who calls for help
    """

    kind: str
    headers: tuple[tuple[str, str], ...]
    content: bytes
    required: bool
    listed: bool
    helps: bool


def bodies_of(request: Request, party: Party, *, emergency: bool) -> tuple[Body, ...]:
    """Those of `party` that could cross, and those that must. A broken body has none: whoever looks for a description in it will say so."""
    text = request.headers.first(CONTENT_TYPE)
    if request.method != "INVITE" or not request.body or text is None:
        return ()
    try:
        kind = MediaType.parse(text).name
        if kind == SDP:  # nearly always
            return ()
        found = parts(text, request.body) if kind == "multipart/mixed" else [Part(request.headers, request.body)]
        bodies = [_body(part, party, emergency=emergency) for part in found if part.type != SDP]
    except ParseError:
        return ()
    return tuple([body for body in bodies if body.listed or body.helps or body.required])


def told_to(party: Party, bodies: Sequence[Body]) -> list[Body]:
    """Those that cross to `party`. SipError 415 when one that is required does not."""
    told = []
    for body in bodies:
        if body.helps or (body.listed and body.kind in party.headers.pass_bodies):
            told.append(body)
        elif body.required:
            headers = (("Accept", ", ".join((SDP, *sorted(party.headers.pass_bodies)))),)
            raise SipError(f"{party.name} gets no {body.kind}", status=415, reason="Unsupported Media Type", headers=headers)
    return told


def packed(description: bytes, bodies: Sequence[Body], boundary: str) -> tuple[bytes, str]:
    """Body and Content-Type of an INVITE; `boundary` is known to nobody who wrote a part. "", "" when there is nothing to say."""
    if not bodies:
        return description, SDP if description else ""
    pieces = [_piece(((CONTENT_TYPE.spelling, SDP),), description)] if description else []
    pieces += [_piece(body.headers, body.content) for body in bodies]
    line = f"--{boundary}\r\n".encode()
    return b"".join([line + piece for piece in pieces]) + f"--{boundary}--\r\n".encode(), f'multipart/mixed;boundary="{boundary}"'


def _body(part: Part, party: Party, *, emergency: bool) -> Body:
    """ParseError."""
    listed, helps = part.type in party.headers.pass_bodies, emergency and part.type == LOCATION
    return Body(part.type, _describing(part.headers), part.body, part.handling == "required", listed, helps)


def _describing(headers: Headers) -> tuple[tuple[str, str], ...]:
    return tuple([(name.spelling, value) for name in DESCRIBING if (value := headers.first(name)) is not None])


def _piece(headers: Sequence[tuple[str, str]], content: bytes) -> bytes:
    head = "".join([f"{name}: {value}\r\n" for name, value in headers])
    return head.encode("utf-8", "surrogateescape") + b"\r\n" + content + b"\r\n"
