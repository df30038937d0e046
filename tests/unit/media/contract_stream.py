"""Contract: one stream for a peer, whoever is heard (RFC 3550 s8.2 allows other sources; some peers do not)."""

from __future__ import annotations

import struct

import pytest

from media.api import Digit, Law, Side, SideSpec
from media.keys import Inbound
from tests.unit.media.calls import Call
from tests.unit.media.packets import keys, rtp
from tests.unit.media.worlds import World

OWN = 0xABCDEF01
ALICE, CAROL, BOB = 0x1111, 0x3333, 0x2222


def numbers(packet: bytes) -> tuple[int, int, int]:
    sequence, timestamp, ssrc = struct.unpack("!HII", packet[2:12])
    return sequence, timestamp, ssrc


def report(kind: int, count: int, *words: int) -> bytes:
    return struct.pack(f"!BBH{len(words)}I", 0x80 | count, kind, len(words), *words)


class OneStream:
    def call(self, world: World) -> Call:
        return Call(world, b={"one_stream": True, "ssrc": OWN})

    def crosses(self, call: Call, side: Side, packet: bytes) -> bytes:
        """RTCP from that side as the other one gets it."""
        sender, receiver = (call.alice_rtcp, call.bob_rtcp) if side is Side.A else (call.bob_rtcp, call.alice_rtcp)
        sender.send(packet, call.rtcp_ports[side is Side.B])
        return call.world.expect(receiver)[0].packet

    def test_RTP_07_numbers_and_timestamps_go_on(self, world: World) -> None:
        call = self.call(world)
        assert numbers(call.from_alice(rtp(65535)).packet) == (65535, 65535 * 160, OWN)
        world.advance(0.1)
        assert numbers(call.from_alice(rtp(7, ssrc=CAROL)).packet) == (0, 65535 * 160 + 800, OWN)
        assert numbers(call.from_alice(rtp(9, ssrc=CAROL)).packet) == (2, 65535 * 160 + 800 + 320, OWN), "what is lost stays lost"
        assert numbers(call.from_alice(rtp(8, ssrc=CAROL)).packet)[0] == 1
        assert numbers(call.from_alice(rtp(3)).packet)[0] == 3
        assert call.from_bob(rtp(5, ssrc=BOB)).packet == rtp(5, ssrc=BOB)

    def test_RTP_07_the_rest_of_the_packet_stays(self, world: World) -> None:
        call = self.call(world)
        packet = struct.pack("!BBHIIIHHI", 0xB1, 0x88, 1, 160, 7, 99, 0xBEDE, 1, 0) + b"speech\x00\x02"
        assert call.from_alice(packet).packet == packet[:8] + struct.pack("!I", OWN) + packet[12:]

    def test_RTP_07_under_srtp_nothing_is_counted_twice(self, world: World) -> None:
        call = self.call(world)
        call.change(b={"send_keys": keys(4)})
        bob = Inbound(keys(4))
        arriving = [rtp(500), rtp(501), rtp(500, ssrc=CAROL), rtp(502), rtp(501, ssrc=CAROL)]
        received = [numbers(bob.rtp(call.from_alice(packet).packet)) for packet in arriving]
        assert [each[0] for each in received] == [500, 501, 502, 503, 504]

    def test_RTP_07_digits_are_in_it(self, world: World) -> None:
        call = self.call(world)
        call.change(b={"events": (101, 8000)})
        world.engine.send_digit("call", Side.B, Digit("1", 80))
        assert numbers(world.expect(call.bob)[0].packet) == ((OWN & 0x7FFF) + 1, OWN, OWN)
        assert numbers(call.from_alice(rtp(7)).packet) == ((OWN & 0x7FFF) + 2, OWN, OWN)

    def test_RTP_02_reports_name_the_stream(self, world: World) -> None:
        """SR, SDES and BYE of who is heard, with the time of the stream; of who is heard no more they stay what they are."""
        call = self.call(world)
        call.from_alice(rtp(100))
        world.advance(0.02)
        call.from_alice(rtp(7, ssrc=CAROL))
        shift = (101 * 160 - 7 * 160) & 0xFFFFFFFF
        sender = report(200, 0, CAROL, 1, 2, 7 * 160, 3, 4)
        names = report(202, 2, CAROL, 0x01026869, 0, ALICE, 0x01000000) + report(203, 2, CAROL, ALICE)
        assert self.crosses(call, Side.A, sender + names) == (
            report(200, 0, OWN, 1, 2, 7 * 160 + shift & 0xFFFFFFFF, 3, 4)
            + report(202, 2, OWN, 0x01026869, 0, ALICE, 0x01000000)
            + report(203, 2, OWN, ALICE)
        )
        stale = report(200, 0, ALICE, 1, 2, 100 * 160, 3, 4) + report(203, 1, ALICE)
        assert self.crosses(call, Side.A, stale) == stale

    def test_RTP_02_what_bob_says_of_it_is_said_of_who_is_heard(self, world: World) -> None:
        call = self.call(world)
        call.from_alice(rtp(100))
        call.from_alice(rtp(7, ssrc=CAROL))
        assert self.crosses(call, Side.B, report(201, 1, BOB, OWN, 0, 65536 + 101, 0, 0, 0)) == (
            report(201, 1, BOB, CAROL, 0, 65536 + 7, 0, 0, 0)
        )
        assert self.crosses(call, Side.B, report(206, 1, BOB, OWN)) == report(206, 1, BOB, CAROL)
        assert self.crosses(call, Side.B, report(205, 1, BOB)) == report(205, 1, BOB)
        assert self.crosses(call, Side.B, report(204, 0, BOB, 0x41424344)) == report(204, 0, BOB, 0x41424344)
        extended = (BOB, 0x07000008, OWN, *range(7), 0x06000002, OWN, 101 << 16 | 102, 0x05000006, OWN, 1, 2, ALICE, 3, 4, 0x04000002, 5, 6)
        named = (BOB, 0x07000008, CAROL, *range(7), 0x06000002, CAROL, 7 << 16 | 8, 0x05000006, CAROL, 1, 2, ALICE, 3, 4, 0x04000002, 5, 6)
        assert self.crosses(call, Side.B, report(207, 0, *extended)) == report(207, 0, *named)

    def test_RTP_02_who_only_listens_reports_under_our_name(self, world: World) -> None:
        call = self.call(world)
        assert self.crosses(call, Side.A, report(201, 0, ALICE)) == report(201, 0, OWN)

    @pytest.mark.parametrize(
        "words", [(CAROL, 0x01FF6869), (CAROL,), (CAROL, 0x07000008, OWN), (CAROL, 0x05000009, OWN, 1, 2), (CAROL, 0x01000001, OWN)]
    )
    @pytest.mark.parametrize("kind", [202, 203, 207])
    def test_RTP_02_reports_that_are_cut_off(self, world: World, kind: int, words: tuple[int, ...]) -> None:
        call = self.call(world)
        call.from_alice(rtp(7, ssrc=CAROL))
        for side in Side:
            assert len(self.crosses(call, side, report(kind, 31, *words))) == 4 + 4 * len(words)

    def test_what_a_kernel_cannot_do(self) -> None:
        assert not SideSpec(payload_types={8: 0}, ssrc=OWN).needs_user_space
        for spec in (
            SideSpec(translate={8: Law.MU}),
            SideSpec(reported=(101,)),
            SideSpec(events=(101, 8000)),
            SideSpec(one_stream=True),
        ):
            assert spec.needs_user_space
