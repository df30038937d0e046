"""Contract: G.711 in one law for who has the other (ITU-T G.711 s3)."""

from __future__ import annotations

import struct

import pytest

from media.api import Law, Suite
from media.keys import SUITES
from tests.unit.media.calls import Call
from tests.unit.media.oracle import protect_rtp
from tests.unit.media.packets import keys, rtp
from tests.unit.media.test_g711 import A_OF_MU, MU_OF_A
from tests.unit.media.worlds import World

ALL = bytes(range(256))
ONLY_A = {"payload_types": {8: 0, 13: 13, 101: 96, 18: 18}, "translate": {8: Law.MU}}
ONLY_MU = {"payload_types": {0: 8, 13: 13, 96: 101, 18: 18}, "translate": {0: Law.A}}


class Laws:
    """Alice has PCMA alone, Bob PCMU alone."""

    def test_COD_02_every_octet_both_ways(self, world: World) -> None:
        call = Call(world, a=ONLY_A, b=ONLY_MU)
        assert call.from_alice(rtp(1, payload=ALL, marker=True)).packet == rtp(1, payload_type=0, payload=MU_OF_A, marker=True)
        assert call.from_bob(rtp(1, payload_type=0, payload=ALL)).packet == rtp(1, payload_type=8, payload=A_OF_MU)

    @pytest.mark.parametrize(("kind", "leaves"), [(18, 18), (13, 13), (101, 96)])
    def test_COD_02_nothing_else_is_touched(self, world: World, kind: int, leaves: int) -> None:
        call = Call(world, a=ONLY_A, b=ONLY_MU)
        assert call.from_alice(rtp(1, payload_type=kind, payload=ALL)).packet == rtp(1, payload_type=leaves, payload=ALL)

    def test_COD_02_only_the_speech_of_a_packet(self, world: World) -> None:
        call = Call(world, a=ONLY_A, b=ONLY_MU)
        header, padding = struct.pack("!BBHIIIHHI", 0xB1, 8, 1, 160, 7, 99, 0xBEDE, 1, 0xD5D5D5D5), b"\0\0\3"
        arrived = call.from_alice(header + ALL + padding).packet
        assert arrived == header[:1] + b"\0" + header[2:] + MU_OF_A + padding
        empty = struct.pack("!BBHII", 0xA0, 8, 2, 160, 7) + b"\xd5\xd5\3"
        assert call.from_alice(empty).packet == empty[:1] + b"\0" + empty[2:]

    @pytest.mark.parametrize("suite", sorted(SUITES))
    def test_COD_02_under_srtp(self, world: World, suite: Suite) -> None:
        call = Call(world, a=ONLY_A | {"receive_keys": keys(1, suite)}, b=ONLY_MU | {"send_keys": keys(4, suite)})
        arrived = call.from_alice(protect_rtp(keys(1, suite), 0, rtp(1, payload=ALL))).packet
        assert arrived == protect_rtp(keys(4, suite), 0, rtp(1, payload_type=0, payload=MU_OF_A))
