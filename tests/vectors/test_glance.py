"""What a glance takes for a call, and answers, is what a whole reading would have."""

from __future__ import annotations

import random

import pytest

from sbc.flow import Flow
from sbc.sip.glance import call_to, refusal
from sbc.sip.message import Request, Response
from sbc.sip.names import REQUIRE, RESOURCE_PRIORITY
from sbc.sip.parse import Malformed, parse_datagram
from sbc.sip.transactions import stateless_response
from tests.vectors.messages import VECTORS
from tests.vectors.test_callflows import FILES, messages

SAMPLES = [path.read_bytes() for path in sorted((VECTORS / "samples").glob("*.sip"))]
PRINTED = [data for file in FILES for data in messages(file)]
FLOW = Flow("outside", "UDP", ("192.0.2.1", 5060), ("192.0.2.201", 5099))
TAG = "0000feed"
NOISE = (b"", b"\r\n", b" ", b";", b":", b"\t", b",", b"\xff", b"\0", b"tag=")
PLAIN = (
    b"INVITE sip:+4930123456@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.201:5060;branch=z9hG4bKa;rport\r\n"
    b"Via: SIP/2.0/TCP 10.0.0.9;branch=z9hG4bKb\r\nf: <sip:a@192.0.2.201>;tag=1\r\nTo: <sip:b@192.0.2.1>\r\ni: 7@a\r\n"
    b"CSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContact: <sip:a@192.0.2.201>\r\nContent-Length: 0\r\n\r\n"
)


def read(data: bytes) -> Request | Response | None:
    try:
        return parse_datagram(data)
    except Malformed:
        return None


def in_full(request: Request) -> bytes:
    return stateless_response(Response.answer(request, 503, to_tag=TAG), request, FLOW)[0]


def check(data: bytes) -> bool:
    """Whether there was something to compare."""
    uri = call_to(data)
    message = read(data)
    if uri is None or not isinstance(message, Request):
        return False
    assert (message.method, message.uri, message.to.tag) == ("INVITE", uri, "")
    assert not message.headers.has_any(frozenset({REQUIRE, RESOURCE_PRIORITY}))
    found = refusal(data, FLOW, 503, TAG)
    if found is None:
        return False
    via, answer = found
    assert via == message.via
    assert answer == in_full(message)
    return True


def test_of_all_printed_messages() -> None:
    assert sum(map(check, PRINTED + SAMPLES)) > 50


def test_of_what_came_of_them_by_chance() -> None:
    chance = random.Random(7)
    calls = [data for data in PRINTED + SAMPLES if call_to(data)]
    compared = 0
    for _ in range(4000):
        data = bytearray(chance.choice(calls))
        for _ in range(chance.randint(1, 3)):
            place = chance.randrange(len(data))
            data[place : place + chance.randint(0, 2)] = chance.choice(NOISE)
        compared += check(bytes(data))
    assert compared > 500


def test_where_the_answer_goes_is_stamped() -> None:
    found = refusal(PLAIN, FLOW, 503, TAG)
    assert found is not None
    assert found[1].startswith(
        b"SIP/2.0 503 Service Unavailable\r\nVia: SIP/2.0/UDP 192.0.2.201:5060;branch=z9hG4bKa;received=192.0.2.201;rport=5099\r\n"
        b"Via: SIP/2.0/TCP 10.0.0.9;branch=z9hG4bKb\r\n"
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"INVITE sip", b"OPTIONS sip"),
        (b"To: <sip:b@192.0.2.1>", b"t: <sip:b@192.0.2.1> ; TAG = x"),  # a dialog there is
        (b"To: <sip:b@192.0.2.1>", b"To: <sip:b@192.0.2.1>\r\n ;tag=x"),  # the same, folded
        (b"Max-Forwards: 70", b"resource-priority: ets.0"),
        (b"Max-Forwards: 70", b"Require: resource-priority"),
        (b";rport", b";rport;oc"),  # it is to be told of our overload
        (b"sip:+4930123456@192.0.2.1", b"sip:"),
        (b"sip:+4930123456@192.0.2.1", b"sip:\xff@192.0.2.1"),
    ],
)
def test_what_is_read_in_full(old: bytes, new: bytes) -> None:
    assert call_to(PLAIN) is not None
    assert call_to(PLAIN.replace(old, new)) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b";branch=z9hG4bKa", b";branch=old"),  # matched the way of RFC 2543
        (b";branch=z9hG4bKa", b";branch=z9hG4bK"),
        (b"CSeq: 1 INVITE", b"CSeq: 1 BYE"),
        (b"CSeq: 1 INVITE\r\n", b""),
        (b"i: 7@a", b"i: 7@a\r\nCall-ID: 8@a"),
        (b"SIP/2.0/UDP", b"SIP/2.0/UDP/"),
        (b"\r\n\r\n", b"\r\n"),
        (b"i: 7@a", b"i: 7\0@a"),
    ],
)
def test_what_is_answered_in_full(old: bytes, new: bytes) -> None:
    assert refusal(PLAIN, FLOW, 503, TAG) is not None
    assert refusal(PLAIN.replace(old, new), FLOW, 503, TAG) is None
