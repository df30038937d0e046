"""Whatever comes by a WebSocket, and in whatever pieces: the same messages, in bounded memory, and never an error of ours."""

from __future__ import annotations

import contextlib
from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from sbc.net.websocket import MAX_FRAGMENTS, WebSocket
from sbc.sip import framing
from sbc.sip.framing import FramingLost, Message, Ping
from sbc.sip.parse import MAX_MESSAGE, Malformed, parse_datagram, parse_message
from tests.fuzz.mutate import CHEAP, messages, mutate

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: sip\r\n\r\n"
)
LINE_ENDS = (b"", b"\r\n", b"\r\n\r\n", b"\r\n\r\n\r\n\r\n", b"\0\0\0\0")


def fragments(data: bytes, random: Random, opcode: Opcode) -> bytes:
    """One WebSocket message, cut into frames, with pings between them."""
    cuts = sorted(random.randrange(len(data) + 1) for _ in range(random.choice((0, 0, 0, 1, 3, MAX_FRAGMENTS - 1))))
    octets = b""
    for number, (start, end) in enumerate(pairwise([0, *cuts, len(data)])):
        octets += Frame(opcode, data[start:end], fin=number == len(cuts)).serialize(mask=True)
        opcode = Opcode.CONT
        if random.random() < 0.05:
            octets += Frame(random.choice((Opcode.PING, Opcode.PONG)), b"x" * random.randint(0, 125)).serialize(mask=True)
    return octets


def conversation(random: Random) -> bytes:
    octets = HANDSHAKE if random.random() < 0.9 else mutate(HANDSHAKE, random, [HANDSHAKE])
    for _ in range(random.randint(1, 5)):
        data = random.choice(messages())
        if random.random() < 0.3:
            data = random.choice((mutate(data, random, messages()), data + data, random.choice(LINE_ENDS)))
        octets += fragments(data, random, random.choice((Opcode.TEXT, Opcode.BINARY)))
    return mutate(octets, random, [octets]) if random.random() < 0.2 else octets


def outcome(octets: bytes, cuts: list[int]) -> tuple[list[framing.Frame], str]:
    web = WebSocket()
    found: list[framing.Frame] = []
    for start, end in pairwise([0, *cuts, len(octets)]):
        try:
            found += web.feed(octets[start:end])
        except FramingLost as error:
            return _merged(found + error.frames), f"{error.status} {error}"
        web.take_replies()
        web.wrap(b"SIP/2.0 200 OK\r\n\r\n")
        assert web.buffered <= MAX_MESSAGE + len(octets)
        if web.ended:
            break
    web.farewell()
    return _merged(found), ""


def _merged(found: list[framing.Frame]) -> list[framing.Frame]:
    """Pings in a row as one."""
    again = [isinstance(frame, Ping) and isinstance(before, Ping) for before, frame in pairwise(found)]
    return [frame for frame, more in zip(found, [False, *again], strict=False) if not more]


@CHEAP
@given(st.integers(0, 2**32))
def test_any_split_gives_the_same_messages(seed: int) -> None:
    random = Random(seed)
    octets = conversation(random)
    whole = outcome(octets, [len(HANDSHAKE)])
    size = random.choice([size for size in (1, 2, 3, 7, 100, 1000, 65_536) if size * 5000 > len(octets)])
    assert outcome(octets, list(range(size, len(octets), size))) == whole
    assert outcome(octets, sorted(random.randrange(len(octets) + 1) for _ in range(random.randint(1, 20)))) == whole
    for frame in whole[0]:
        if isinstance(frame, Message):
            with contextlib.suppress(Malformed):
                parse_message(*frame)


@CHEAP
@given(st.integers(0, 2**32))
def test_what_a_datagram_would_say_a_websocket_says_too(seed: int) -> None:
    random = Random(seed)
    data = random.choice(messages())
    with contextlib.suppress(Malformed):
        parsed = parse_datagram(data)
        data = parsed.encode()
        (frame,), lost = outcome(HANDSHAKE + fragments(data, random, Opcode.BINARY), [])
        assert not lost
        assert isinstance(frame, Message)
        assert parse_message(*frame).encode() == data
