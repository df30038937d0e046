from __future__ import annotations

import pytest

from sbc.sip.fields.cseq import CSeq
from sbc.sip.fields.nameaddr import NameAddr
from sbc.sip.fields.via import Via
from sbc.sip.message import Headers, Request, Response
from sbc.sip.names import CONTACT, ROUTE, SUPPORTED, VIA, WWW_AUTHENTICATE, HeaderName
from sbc.sip.parse import parse_datagram
from sbc.sip.uri import Uri

ROWS = [("Via", "a"), ("Route", "<sip:x;lr>, <sip:y;lr>"), ("Supported", "timer"), ("v", "b, c"), ("X-Other", "1")]


def build(method: str = "INVITE", **changes: object) -> Request:
    values: dict[str, object] = {
        "via": Via("UDP", "192.0.2.1", 5060, "z9hG4bK1", wants_rport=True),
        "from_": NameAddr("Alice", Uri.sip("alice", "a.example"), (("tag", "1"),)),
        "to": NameAddr("", Uri.sip("bob", "b.example")),
        "call_id": "c@a",
        "cseq": CSeq(7, method),
    }
    return Request.build(method, Uri.sip("bob", "b.example"), **(values | changes))  # type: ignore[arg-type]


# Headers


def test_headers_are_an_ordered_multimap() -> None:
    headers = Headers(ROWS)
    assert headers.first("VIA") == "a"
    assert headers.all(VIA) == ["a", "b, c"]
    assert headers.values(VIA) == ["a", "b", "c"]
    assert headers.values(ROUTE) == ["<sip:x;lr>", "<sip:y;lr>"]
    assert headers.count(VIA) == 2
    assert "x-other" in headers
    assert CONTACT not in headers
    assert headers.first(CONTACT) is None
    assert headers.all(CONTACT) == []
    assert [name for name, _ in headers] == [HeaderName(name) for name, _ in ROWS]
    assert len(headers) == 5


def test_headers_change() -> None:
    headers = Headers(ROWS)
    headers.set(VIA, "z")
    assert next(iter(headers)) == (VIA, "z")
    assert headers.count(VIA) == 1
    headers.set("Supported", "path")
    assert list(headers)[2] == (SUPPORTED, "path")
    headers.set("New", "n")
    headers.prepend("Via", "y")
    headers.replace_first(VIA, "x")
    assert headers.all(VIA) == ["x", "z"]
    headers.remove("via")
    headers.remove("not-there")
    assert VIA not in headers
    assert [name for name, _ in headers] == ["route", "supported", "x-other", "new"]
    with pytest.raises(KeyError):
        headers.replace_first(VIA, "x")


def test_a_copy_is_a_copy() -> None:
    headers = Headers(ROWS)
    other = headers.copy()
    assert other == headers
    other.add("X", "y")
    assert other != headers
    assert "X" not in headers


def test_SYN_02_authentication_rows_are_never_split() -> None:
    headers = Headers([("WWW-Authenticate", 'Digest realm="a", qop="auth,auth-int"'), ("WWW-Authenticate", 'Digest realm="b"')])
    assert headers.values(WWW_AUTHENTICATE) == ['Digest realm="a", qop="auth,auth-int"', 'Digest realm="b"']


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\n", "\r", "a\0b"])
def test_SYN_12_no_value_breaks_a_line(value: str) -> None:
    headers = Headers(ROWS)
    for change in (headers.add, headers.set, headers.prepend, headers.replace_first):
        with pytest.raises(ValueError, match="CR, LF or NUL"):
            change(VIA, value)
    assert headers == Headers(ROWS)
    request = build()
    with pytest.raises(ValueError, match="CR, LF or NUL"):
        Response.answer(request, 200, value)
    with pytest.raises(ValueError, match="CR, LF or NUL"):
        Response.answer(request, 200, to_tag=value)
    with pytest.raises(ValueError, match="CR, LF or NUL"):
        build(call_id=value)


# Requests


def test_build_and_encode() -> None:
    request = build(headers=[("Contact", "<sip:alice@192.0.2.1>")], body=b"v=0\r\n", content_type="application/sdp")
    assert request.encode() == (
        b"INVITE sip:bob@b.example SIP/2.0\r\n"
        b"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;rport\r\n"
        b"Max-Forwards: 70\r\n"
        b'From: "Alice" <sip:alice@a.example>;tag=1\r\n'
        b"To: <sip:bob@b.example>\r\n"
        b"Call-ID: c@a\r\n"
        b"CSeq: 7 INVITE\r\n"
        b"Contact: <sip:alice@192.0.2.1>\r\n"
        b"Content-Type: application/sdp\r\n"
        b"Content-Length: 5\r\n"
        b"\r\n"
        b"v=0\r\n"
    )
    assert parse_datagram(request.encode()) == request


def test_content_length_is_always_right() -> None:
    request = build(headers=[("Content-Length", "999"), ("l", "1")], body=b"abc")
    assert request.encode().count(b"ontent-Length") == 1
    assert request.encode().endswith(b"Content-Length: 3\r\n\r\nabc")


def test_stamp() -> None:
    request = build()
    request.headers.add(VIA, "SIP/2.0/UDP h")
    request.stamp(("203.0.113.1", 6000))
    assert (request.via.received, request.via.rport) == ("203.0.113.1", 6000)
    assert request.headers.all(VIA) == [str(request.via), "SIP/2.0/UDP h"]


# Responses


def test_UAS_04_an_answer_echoes_what_names_the_transaction() -> None:
    request = build(headers=[("Via", "SIP/2.0/UDP h;branch=z9hG4bK2"), ("Timestamp", "54"), ("Subject", "x")])
    answer = Response.answer(request, 200, to_tag="t", headers=[("Contact", "<sip:b@h>")], body=b"v=0\r\n", content_type="application/sdp")
    assert answer.encode() == (
        b"SIP/2.0 200 OK\r\n"
        b"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;rport\r\n"
        b'From: "Alice" <sip:alice@a.example>;tag=1\r\n'
        b"To: <sip:bob@b.example>;tag=t\r\n"
        b"Call-ID: c@a\r\n"
        b"CSeq: 7 INVITE\r\n"
        b"Via: SIP/2.0/UDP h;branch=z9hG4bK2\r\n"
        b"Contact: <sip:b@h>\r\n"
        b"Content-Type: application/sdp\r\n"
        b"Content-Length: 5\r\n"
        b"\r\n"
        b"v=0\r\n"
    )
    assert answer.to.tag == "t"
    assert parse_datagram(answer.encode()) == answer


def test_100_carries_the_timestamp_and_no_tag() -> None:
    answer = Response.answer(build(headers=[("Timestamp", "54")]), 100)
    assert answer.headers.first("Timestamp") == "54"
    assert (answer.reason, answer.to.tag) == ("Trying", "")


def test_a_tag_that_is_there_stays() -> None:
    request = build(to=NameAddr("", Uri.sip("bob", "b.example"), (("tag", "theirs"),)))
    answer = Response.answer(request, 200, to_tag="ours")
    assert answer.to.tag == "theirs"
    assert answer.headers.first("To") == "<sip:bob@b.example>;tag=theirs"


@pytest.mark.parametrize(
    ("status", "reason"), [(486, "Busy Here"), (499, "Bad Request"), (699, "Global Failure"), (199, "Early Dialog Terminated")]
)
def test_usual_reason_phrases(status: int, reason: str) -> None:
    assert Response.answer(build(), status).reason == reason
    assert Response.answer(build(), status, "Network Blocked").reason == "Network Blocked"


def test_octets_that_are_no_text_leave_as_they_came() -> None:
    data = build().encode().replace(b"Alice", b"Al\xff\xfe\xc3\xa9")
    message = parse_datagram(data)
    assert b"Al\xff\xfe\xc3\xa9" in message.encode()
    assert isinstance(message, Request)
    assert b"Al\xff\xfe\xc3\xa9" in Response.answer(message, 200).encode()
    assert b"Al\xff\xfe\xc3\xa9" in str(message.from_).encode("utf-8", "surrogateescape")
