from __future__ import annotations

import pytest

from sbc.errors import ParseError
from sbc.sip.multipart import MAX_PARTS, parts, sdp_of
from sbc.sip.parse import parse_datagram

MIXED = "multipart/mixed;boundary=b"
SDP = b"Content-Type: application/sdp\r\n\r\nv=0\r\n"


def body(*pieces: bytes, boundary: bytes = b"b", end: bytes = b"--\r\n") -> bytes:
    return b"".join([b"--" + boundary + b"\r\n" + piece + b"\r\n" for piece in pieces]) + b"--" + boundary + end


def test_SYN_13_parts() -> None:
    first, second = parts(MIXED, b"preamble\r\n" + body(SDP, b"c: Text/HTML;x=y\r\nX: 1\r\n\r\n\0\r\n--bb\r\n") + b"epilogue\r\n--b\r\n")
    assert (first.type, first.body) == ("application/sdp", b"v=0\r\n")
    assert (second.type, second.body) == ("text/html", b"\0\r\n--bb\r\n")
    assert second.headers.first("x") == "1"


@pytest.mark.parametrize("boundary", ["b", "a b", "=_:'()+,./-?", "x" * 70])
def test_SYN_13_any_boundary(boundary: str) -> None:
    (part,) = parts(f'multipart/mixed; boundary="{boundary}"', body(SDP, boundary=boundary.encode(), end=b"--"))
    assert part.body == b"v=0\r\n"


def test_parts_without_headers_or_body() -> None:
    bare, empty, padded = parts(MIXED, body(b"\r\nhello", b"\r\n", SDP).replace(b"--b\r\nContent", b"--b \t\r\nContent"))
    assert (bare.type, bare.handling, bare.body, empty.body) == ("text/plain", "", b"hello", b"")
    assert padded.type == "application/sdp"


def test_handling() -> None:
    optional, required, silent = parts(
        MIXED,
        body(
            b"Content-Disposition: signal;handling=OPTIONAL\r\n\r\n",
            b"Content-Disposition: signal ; handling=required\r\n\r\n",
            b"Content-Disposition: recording-session\r\n\r\n",
        ),
    )
    assert (optional.handling, required.handling, silent.handling) == ("optional", "required", "")


@pytest.mark.parametrize(
    ("content_type", "data"),
    [
        ("multipart/mixed", body(SDP)),
        ("multipart/mixed;boundary=" + "x" * 71, body(SDP)),
        ("nonsense", body(SDP)),
        (MIXED, b""),
        (MIXED, b"--b\r\n" + SDP),
        (MIXED, body(b"no empty line")),
        (MIXED, body(b"X" * 5000 + b": y\r\n\r\n")),
        (MIXED, body(b"no colon\r\n\r\n")),
        (MIXED, body(b"X: a\nb\r\n\r\n")),
        (MIXED, body(*[SDP] * (MAX_PARTS + 1))),
    ],
)
def test_SYN_13_refused(content_type: str, data: bytes) -> None:
    with pytest.raises(ParseError):
        parts(content_type, data)


def test_as_many_parts_as_there_may_be() -> None:
    assert len(parts(MIXED, body(*[SDP] * MAX_PARTS))) == MAX_PARTS


@pytest.mark.parametrize(
    ("content_type", "data", "expected"),
    [
        ("application/sdp", b"v=0\r\n", b"v=0\r\n"),
        ("Application/SDP;x=y", b"v=0\r\n", b"v=0\r\n"),
        ("application/sdp", b"", None),
        ("text/plain", b"v=0\r\n", None),
        ("multipart/alternative;boundary=b", body(SDP), None),
        (MIXED, body(b"\r\nhello", SDP), b"v=0\r\n"),
        (MIXED, body(b"\r\nhello"), None),
    ],
)
def test_sdp_of(content_type: str, data: bytes, expected: bytes | None) -> None:
    head = (
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h\r\nFrom: sip:a@a\r\nTo: sip:b@b\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n"
        f"Content-Type: {content_type}\r\n\r\n"
    )
    assert sdp_of(parse_datagram(head.encode() + data)) == expected
