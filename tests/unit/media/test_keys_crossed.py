"""What one implementation of SRTP protects the other opens, whatever becomes of the packets on the way."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media import keys as libsrtp
from media.api import Suite
from media.keys import Refused
from media.native import keys as native
from media.rtp import starts_like_rtcp, well_formed_rtp
from sbc.frozen import replace
from tests.unit.media.packets import keys, rtcp, rtp

SUITES = sorted(libsrtp.SUITES)
STARTS = (0, 1, 32767, 32768, 65500, 65535)
STEPS = (1,) * 16 + (2, 5, 63, 64, 127, 128, 129, 3000, 30000, 32767)
LENGTHS = (0, 1, 15, 16, 17, 160, 1200)


class Stream:
    """What one source sends; `number` goes on where a sequence number of 16 bits begins again."""

    def __init__(self, ssrc: int, random: Random) -> None:
        self.ssrc = ssrc
        self.number = random.choice(STARTS)

    def next(self, random: Random) -> bytes:
        self.number += random.choice(STEPS)
        packet = rtp(self.number, ssrc=self.ssrc, payload=random.randbytes(random.choice(LENGTHS)), marker=random.random() < 0.5)
        form = random.random()
        if form < 0.1:  # a header extension, of which SRTP leaves the header alone
            return b"\x90" + packet[1:12] + b"\xbe\xde\0\1abcd" + packet[12:]
        if form < 0.2:
            return b"\x82" + packet[1:12] + b"CSRCCSRC" + packet[12:]
        return packet


def opened(context: Any, kind: str, packet: bytes) -> bytes | type[Refused]:
    try:
        result: bytes = getattr(context, kind)(packet)
        return result
    except Refused as refusal:
        return type(refusal)


@pytest.mark.parametrize("suite", SUITES)
@given(seed=st.integers(0, 2**32), length=st.integers(1, 150), loss=st.sampled_from((0.0, 0.1, 0.5)))
def test_SRTP_04_both_implementations_are_one(suite: Suite, seed: int, length: int, loss: float) -> None:
    random = Random(seed)
    key = replace(keys(1, suite), mki=random.choice((b"", b"", b"\1", b"\0\0\0\1")))
    senders = libsrtp.Outbound(key), native.Outbound(key)
    receivers = libsrtp.Inbound(key), native.Inbound(key)
    streams = [Stream(ssrc, random) for ssrc in (1, 2, 0xFFFFFFFF)]
    under_way: list[tuple[str, bytes]] = []
    for _ in range(length):
        stream = random.choice(streams)
        kind, plain = ("rtcp", rtcp(stream.ssrc)) if random.random() < 0.2 else ("rtp", stream.next(random))
        ours, theirs = (opened(sender, kind, plain) for sender in senders)
        assert ours == theirs
        if isinstance(ours, bytes) and random.random() >= loss:
            under_way.append((kind, ours))
        while under_way and random.random() < 0.7:
            place = random.choice((0, 0, 0, -1, random.randrange(len(under_way))))
            kind, packet = under_way[place] if random.random() < 0.1 else under_way.pop(place)  # twice
            if random.random() < 0.05:
                spoilt = bytearray(packet)
                spoilt[random.randrange(len(spoilt))] ^= 1 << random.randrange(8)
                packet = bytes(spoilt)
            if not (well_formed_rtp if kind == "rtp" else starts_like_rtcp)(packet):
                continue  # the relay looks first
            one, other = (opened(receiver, kind, packet) for receiver in receivers)
            assert one == other


@pytest.mark.parametrize("suite", SUITES)
def test_SRTP_04_in_order_across_many_roll_overs(suite: Suite) -> None:
    """Every packet arrives, each implementation opening what the other protected."""
    pairs: list[tuple[Any, Any]] = [
        (libsrtp.Outbound(keys(1, suite)), native.Inbound(keys(1, suite))),
        (native.Outbound(keys(1, suite)), libsrtp.Inbound(keys(1, suite))),
    ]
    for number in range(0, 20 * 65536, 997):
        plain = rtp(number)
        for sender, receiver in pairs:
            assert receiver.rtp(sender.rtp(plain)) == plain
