"""Contract: UDPTL passes as it is, by the rules that hold for speech."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from media.api import EventKind, MediaError, Side
from sbc.frozen import replace
from tests.unit.media.calls import Call
from tests.unit.media.packets import keys, rtp
from tests.unit.media.worlds import World

FAX: dict[str, Any] = {"udptl": True, "payload_types": {}, "clock_rates": {}, "remote_rtcp": None}


def udptl(sequence: int, primary: bytes = b"\x00", *earlier: bytes) -> bytes:
    """A datagram with redundancy: the packets sent before, newest first (T.38 s9.1)."""
    packets = b"".join(bytes([len(each)]) + each for each in earlier)
    return struct.pack("!HB", sequence, len(primary)) + primary + bytes([0, len(earlier)]) + packets


def fax(world: World) -> Call:
    return Call(world, a=dict(FAX), b=dict(FAX))


PAGE = udptl(7, b"\xc0\x01" + bytes(range(70)), b"\x05\x06", b"\x07")


class Fax:
    def test_FAX_01_datagrams_pass_untouched_both_ways(self, world: World) -> None:
        call = fax(world)
        for packet in (udptl(0), PAGE, udptl(0x8008, b"\x55" * 40), udptl(1, bytes(127))):
            assert call.from_alice(packet) == (packet, call.ports.b)
            assert call.from_bob(packet) == (packet, call.ports.a)
        assert (call.stats.a.packets_received, call.stats.b.packets_sent) == (4, 4)
        assert call.stats.a.octets_received == call.stats.b.octets_sent > 250
        assert (call.stats.a.lost, call.stats.a.malformed, call.stats.a.latched) == (0, 0, call.alice.address)

    @pytest.mark.parametrize(
        "packet",
        [
            struct.pack("!HH", 1, 0x8000 | 200) + bytes(200) + b"\x00\x00",  # a length of two octets
            udptl(2, b"\x01"),
            udptl(2, b"\x01", b"", b"\x02"),
            struct.pack("!HB", 3, 1) + b"\x01",  # without error recovery
            struct.pack("!HB", 4, 1) + b"\x01\x80\x01\x03\x01\x01\x05",  # parity
        ],
    )
    def test_every_form_of_datagram(self, world: World, packet: bytes) -> None:
        assert fax(world).from_alice(packet).packet == packet

    @pytest.mark.parametrize(
        "packet",
        [
            b"",
            b"\x00",
            b"\x00\x01\x00",
            b"\x00\x01\x00\x00\x00",
            b"\x00\x01\x05\x00",
            b"\x00\x01\x80",
            udptl(1, bytes(100))[:60],
            PAGE[:-1],
            PAGE + b"\x00",
        ],
    )
    def test_FAX_01_what_is_no_udptl_is_dropped_and_counted(self, world: World, packet: bytes) -> None:
        call = fax(world)
        call.dropped(call.alice, packet, "malformed")
        assert call.stats.a.latched is None

    def test_FAX_01_speech_that_comes_late_does_not_disturb_the_fax(self, world: World) -> None:
        call = Call(world)
        call.from_alice(rtp(1))
        call.change(a=FAX, b=FAX)
        for sequence in (0, 1, 0x0100, 0x0800, 0x7FFF, 0x8000, 0xFFFF):
            for octet in (0x00, 0x01, 0x80, 0xD5, 0xFF):
                call.dropped(call.alice, rtp(sequence, payload=bytes([octet]) * 160), "malformed")
        call.from_alice(udptl(0))

    def test_FAX_01_a_third_host_is_neither_relayed_nor_followed(self, world: World) -> None:
        call = fax(world)
        call.from_alice(udptl(0))
        call.dropped(world.peer("127.0.0.66"), udptl(1), "wrong_source")
        call.dropped(world.peer("127.0.0.10"), udptl(1), "wrong_source")
        assert call.from_bob(udptl(1)).source == call.ports.a

    def test_a_peer_behind_nat_is_found(self, world: World) -> None:
        call = Call(world, a=FAX | {"remote": ("10.9.9.9", 4000), "latch_from": ("127.0.0.10",)}, b=dict(FAX))
        call.from_alice(udptl(0))
        call.from_bob(udptl(0))

    def test_hold_and_silence_hold_for_fax_too(self, world: World) -> None:
        call = Call(world, a=FAX | {"silence": 60.0}, b=FAX | {"send": False})
        call.alice.send(udptl(0), call.ports.a)
        world.until(lambda: call.stats.a.packets_received == 1)
        assert call.bob.pending() == []
        world.advance(1)
        world.advance(58)
        assert call.events(EventKind.SILENCE) == []
        world.advance(4)
        assert call.events(EventKind.SILENCE) == [Side.A]
        assert call.events(EventKind.FIRST_PACKET) == [Side.A]

    def test_from_speech_to_fax_and_back(self, world: World) -> None:
        call = Call(world)
        for sequence in (1, 4):
            call.from_alice(rtp(sequence))
        speech = call.a, call.b
        call.change(a=FAX, b=FAX)
        for sequence in range(10):
            call.from_alice(udptl(sequence))
        assert call.stats.a.lost == 2, "of the speech, and no datagram counts against it"
        call.a, call.b = speech
        call.change()
        call.from_alice(rtp(5))
        call.dropped(call.alice, udptl(11, b"\x01" * 20), "malformed")

    @pytest.mark.parametrize("wrong", [{"udptl": False}, {"receive_keys": keys(1)}, {"send_keys": keys(2)}, {"payload_types": {8: 8}}])
    def test_both_sides_alike_without_keys_and_payload_types(self, world: World, wrong: dict[str, Any]) -> None:
        call = Call(world)
        with pytest.raises(MediaError):
            world.engine.update("call", replace(call.a, **FAX), replace(call.b, **(FAX | wrong)))
        call.from_bob(rtp(1))
