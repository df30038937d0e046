"""Whatever comes: a message or Malformed, within a few milliseconds."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.errors import ParseError, SipError
from sbc.sip.fields.auth import Challenge
from sbc.sip.fields.call_info import CallInfo
from sbc.sip.fields.charging_vector import ChargingVector
from sbc.sip.fields.contact import parse_contacts
from sbc.sip.fields.content import MediaType
from sbc.sip.fields.cseq import CSeq
from sbc.sip.fields.history_info import parse_history
from sbc.sip.fields.nameaddr import NameAddr, parse_list
from sbc.sip.fields.rack import RAck
from sbc.sip.fields.reason import parse_reasons, reasons_told
from sbc.sip.fields.retry_after import parse_retry_after
from sbc.sip.fields.session_expires import SessionExpires
from sbc.sip.fields.via import Via
from sbc.sip.fields.warning import Warning
from sbc.sip.framing import FramingLost, Message, StreamFramer
from sbc.sip.message import Request, Response
from sbc.sip.multipart import parts, sdp_of
from sbc.sip.parse import Malformed, parse_datagram, parse_message
from sbc.sip.rows import MAX_LINE
from sbc.sip.uri import Uri
from sbc.sip.validate import KNOWN_METHODS, check_request, check_response
from tests.cost import least_cpu
from tests.vectors.messages import VECTORS

MESSAGES = sorted([*(VECTORS / "samples").glob("*.sip"), *(VECTORS / "rfc4475").glob("*.dat"), *(VECTORS / "rfc5118").glob("*.dat")])
MUTATIONS = 200
LONGEST = 0.005  # seconds for one message

SPICE = [bytes([octet]) for octet in b'\r\n\0 \t"\\<>,;=:@%?/[]\xff'] + [b"%00", b"\r\n"]
SPICE += [
    b"\r\n ",
    b"\r\n\r\n",
    b"SIP/2.0",
    b"Via: ",
    b"l: 0\r\n",
    b"Content-Length: 5\r\n",
    b"9" * 40,
    b'"' * 40,
    b"<" * 40,
    b";a" * 200,
    b"," * 100,
]


def mutated(data: bytes, rng: random.Random) -> bytes:
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(data))
        end = min(len(data), start + rng.choice([0, 0, 1, 1, 3, 20, 100]))
        middle = rng.choice([rng.choice(SPICE), rng.randbytes(rng.randint(0, 8)), data[start:end] * 2, b""])
        data = data[:start] + middle + data[end:] or b"x"
    return data


def read(data: bytes) -> None:
    """All the parser and the first look do with a datagram, and the answer to a refusal."""
    try:
        message = parse_datagram(data)
        sdp_of(message)
        if isinstance(message, Response):
            check_response(message)
        else:
            check_request(message, methods=KNOWN_METHODS, supported=())
            message.stamp(("192.0.2.1", 5060))
        assert parse_datagram(message.encode()) == message
    except SipError as error:
        request = error.request if isinstance(error, Malformed) else None
        if request is not None:
            request.stamp(("192.0.2.1", 5060))
            Response.answer(request, error.status, error.reason, to_tag="t", headers=error.headers).encode()


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.name)
def test_mutations(path: Path) -> None:
    data = path.read_bytes()
    rng = random.Random(data)
    for _ in range(MUTATIONS):
        broken = mutated(data, rng)
        assert least_cpu(partial(read, broken), enough=LONGEST) < LONGEST


@pytest.mark.parametrize("path", MESSAGES[::4], ids=lambda path: path.name)
def test_mutations_on_a_stream(path: Path) -> None:
    """No frame that the parser then reads otherwise: it checks what the framer measured."""
    data = path.read_bytes()
    rng = random.Random(data)
    for _ in range(50):
        framer = StreamFramer()
        try:
            frames = framer.feed(mutated(data, rng) + data)
        except FramingLost as error:
            frames = error.frames
        for frame in frames:
            if isinstance(frame, Message):
                with suppress(Malformed):
                    assert parse_message(*frame).body == frame.body


@given(st.binary(max_size=2000))
def test_any_octets(data: bytes) -> None:
    read(data)
    read(b"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h\r\n" + data)


HEAD = (
    "INVITE sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@a>;tag=1\r\n"
    "To: <sip:b@h>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n"
)
UNITS = [*' \t a09"\\<>,;=:@%/[', "\r\n ", '\\"', "<>", ", ", ";a", ";a=b", "; ", "= ", "%4", "SIP/2.0/UDP "]
UNITS += ['"a" ', "<a>,", "a,", 'a="b",', "--b\r\n", "\xff", "é", "SIP / ", "a b ", ";branch=", "&a=b", "()"]


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize(
    "name", ["Via", "From", "To", "Call-ID", "CSeq", "Contact", "Max-Forwards", "Content-Length", "Require", "Accept", "X"]
)
def test_long_repetitions_in_a_header(name: str, unit: str) -> None:
    rows = [row for row in HEAD.split("\r\n") if not row.startswith(f"{name}:")]
    value = (unit * MAX_LINE)[: MAX_LINE - 20].rstrip("\r\n")
    data = "\r\n".join([*rows[:-1], f"{name}: {value}", "", ""]).encode()
    for variant in (data, data.replace(b"INVITE", b"REGISTER")):
        assert least_cpu(partial(read, variant), enough=4 * LONGEST) < 4 * LONGEST


@pytest.mark.parametrize("unit", UNITS)
def test_every_field_is_linear(unit: str) -> None:
    """Twice the text costs about twice the time: far below the fourfold of a quadratic pattern, measured where that shows."""
    fields: list[Callable[[str], object]] = [
        Via.parse,
        Via.salvage,
        NameAddr.parse,
        Uri.parse,
        CSeq.parse,
        MediaType.parse,
        Challenge.parse,
        Warning.parse,
        SessionExpires.parse,
        RAck.parse,
        parse_retry_after,
        lambda text: parse_contacts([text]),
        lambda text: parse_list([text]),
        lambda text: parse_reasons([text]),
        lambda text: reasons_told([text]),
        lambda text: parse_history([text]),
        ChargingVector.parse,
        lambda text: CallInfo.parse(text).host,
        lambda text: parts("multipart/mixed;boundary=b", text.encode()),
    ]
    prefixes = [
        "",
        "SIP/2.0/UDP h",
        "SIP/2.0/UDP h;a=",
        '"',
        "a <",
        "<sip:a@h>;a=",
        "sip:",
        "sip:u@h;",
        "Digest ",
        "Digest a=",
        "a/b;",
        "1;",
        "300 a ",
        "a;",
    ]
    for field in fields:
        for prefix in prefixes:
            text = prefix + unit * (64 * 1024 // len(unit)) + "\x01"
            assert least_cpu(partial(_quietly, field, text), enough=0.25) < 0.25


def _quietly(field: Callable[[str], object], text: str) -> None:
    with suppress(ParseError):
        field(text)


@pytest.mark.parametrize(
    "unit",
    [
        b"\0",
        b"\r\n",
        b"x",
        b"\xff",
        b" ",
        b"a: b\r\n",
        b"\r\n ",
        b"\n",
        b"Via: SIP/2.0/UDP h\r\n",
        b"v:SIP/2.0/UDP h,\r\n ",
        b"\r\n\r\n",
        b":",
    ],
)
def test_64_kib_of_garbage(unit: bytes) -> None:
    garbage = (unit * 65536)[:65507]
    for data in (garbage, b"INVITE sip:a@b SIP/2.0\r\n" + garbage[:65000], HEAD.encode() + garbage[:65000]):
        assert least_cpu(partial(read, data), enough=4 * LONGEST) < 4 * LONGEST


def test_garbage_at_random() -> None:
    rng = random.Random(1)
    for _ in range(50):
        data = rng.randbytes(65507)
        assert least_cpu(partial(read, data), enough=LONGEST) < LONGEST


def test_caches_are_bounded() -> None:
    """A stranger's texts push others out, they do not pile up: neither many nor long ones."""
    from sbc.sip import uri
    from sbc.sip.fields import cseq, nameaddr, via

    for number in range(6000):
        parse_datagram(
            HEAD.replace("c\r\n", f"{number}\r\n")
            .replace("z9hG4bK1", f"z9hG4bK{number}")
            .replace("<sip:a@a>", f"<sip:{number}@a>")
            .encode()
        )
    before = [module._parse_cached.cache_info().currsize for module in (uri, nameaddr, via, cseq)]
    assert max(before) <= 4096
    Uri.parse("sip:" + "u" * 1000 + "@h")
    NameAddr.parse("<sip:" + "u" * 1000 + "@h>")
    assert [module._parse_cached.cache_info().currsize for module in (uri, nameaddr, via, cseq)] == before


def test_request_type() -> None:
    """The messages above are requests for the most part: the mutations reach the request path."""
    assert sum(path.read_bytes()[:4] != b"SIP/" for path in MESSAGES) > 90
    assert isinstance(parse_datagram((HEAD + "\r\n").encode()), Request)
