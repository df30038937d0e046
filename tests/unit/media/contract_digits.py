"""Contract: digits as telephone-events (RFC 4733), sent for who says otherwise what was typed, and reported instead of sent on."""

from __future__ import annotations

import json
import struct
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from media.api import Digit, EventKind, MediaError, Side
from media.digits import MOST_REPORTED
from media.keys import Inbound
from tests.unit.media.calls import Call
from tests.unit.media.packets import event, keys, rtcp, rtp
from tests.unit.media.worlds import World

TRAIN = json.loads((Path(__file__).parents[2] / "vectors/media/rtp_rtcp.json").read_text())["rfc4733_digit5"]["packets"]
OWN = 0x2468ACE0
TO_BOB = {"events": (101, 8000), "ssrc": OWN}


class Event(NamedTuple):
    sequence: int
    timestamp: int
    ssrc: int
    marker: bool
    number: int
    end: bool
    duration: int


def read(packet: bytes) -> Event:
    first, second, sequence, timestamp, ssrc, number, flags, duration = struct.unpack("!BBHIIBBH", packet)
    assert (first, second & 0x7F, flags & 0x7F) == (0x80, 101, 10)
    return Event(sequence, timestamp, ssrc, second >= 0x80, number, flags >= 0x80, duration)


def typed(call: Call, count: int) -> list[Event]:
    """The next packets to Bob, 20 ms apart."""
    events = []
    for _ in range(count):
        events += [read(arrival.packet) for arrival in call.world.expect(call.bob)]
        call.world.advance(0.02)
    return events


def type_to_bob(call: Call, key: str = "5", duration: int = 100) -> None:
    call.world.engine.send_digit("call", Side.B, Digit(key, duration))


def digits(world: World) -> list[tuple[Side, str, int]]:
    return [(each.side, each.digit.key, each.digit.duration) for each in world.events if each.digit is not None]


class Typed:
    """Digits that Bob gets as events."""

    def test_DTMF_01_one_event(self, world: World) -> None:
        """The packets of RFC 4733 s2.5.1: one timestamp, the marker on the first, a duration that grows, the end three times."""
        call = Call(world, b=TO_BOB)
        type_to_bob(call)
        events = typed(call, 7)
        assert [each.duration for each in events] == [160, 320, 480, 640, 800, 800, 800]
        assert [each.marker for each in events] == [True, *[False] * 6]
        assert [each.end for each in events] == [False] * 4 + [True] * 3
        assert {(each.number, each.timestamp, each.ssrc) for each in events} == {(5, OWN, OWN)}
        assert [after.sequence - before.sequence for before, after in pairwise(events)] == [1] * 6
        world.advance(0.2)
        assert call.bob.pending() == []
        assert (call.stats.b.packets_sent, call.stats.b.octets_sent) == (7, 7 * 16)

    def test_DTMF_03_the_stream_goes_on_around_an_event(self, world: World) -> None:
        """One SSRC, numbers without a gap, and timestamps as if the event had been in it from the beginning (RFC 4733 s2.2.1)."""
        call = Call(world, b=TO_BOB)
        sent = [call.from_alice(rtp(65533 + n)).packet for n in range(2)]
        assert sent == [rtp(65533), rtp(65534)]
        world.advance(0.02)
        type_to_bob(call)
        first, ssrc = world.expect(call.bob)[0].packet, 0x1111
        assert read(first) == Event(65535, 65534 * 160 + 160, ssrc, True, 5, False, 160)
        relayed = call.from_alice(rtp(65535)).packet
        assert relayed == rtp(65535)[:2] + b"\0\0" + rtp(65535)[4:]
        world.advance(0.02)
        assert read(world.expect(call.bob)[0].packet)[:3] == (1, 65534 * 160 + 160, ssrc)
        assert call.from_alice(rtp(65536)).packet[2:8] == struct.pack("!HI", 2, 65536 * 160)
        assert (call.stats.b.packets_sent, call.stats.a.lost) == (6, 0)

    def test_DTMF_03_the_end_comes_even_when_speech_stops(self, world: World) -> None:
        call = Call(world, b=TO_BOB)
        call.from_alice(rtp(1))
        type_to_bob(call)
        assert [each.end for each in typed(call, 7)][-3:] == [True] * 3

    def test_DTMF_03_one_digit_after_the_other(self, world: World) -> None:
        call = Call(world, b=TO_BOB)
        for key in "1#D":
            type_to_bob(call, key, 80)
        began = []
        for number in (1, 11, 15):
            events = typed(call, 6)
            assert {each.number for each in events} == {number}
            began.append(events[0].timestamp - OWN)
            assert call.bob.pending() == []
            world.advance(0.021)
        assert began == [0, 7 * 160 + 8, 2 * (7 * 160 + 8)]

    def test_DTMF_03_nobody_to_type_to(self, world: World) -> None:
        call = Call(world)
        type_to_bob(call)
        call.change(b=TO_BOB | {"send": False})
        type_to_bob(call)
        world.advance(0.02)
        call.change(b={"events": None, "send": True})
        world.advance(0.02)
        world.turn()
        assert call.bob.pending() == []
        with pytest.raises(MediaError):
            world.engine.send_digit("another", Side.B, Digit("1", 100))

    @pytest.mark.parametrize("changes", [{"events": (128, 8000)}, {"events": (101, 7999)}, {"events": (101, 192001)}, {"ssrc": 1 << 32}])
    def test_events_that_do_not_exist(self, world: World, changes: dict[str, object]) -> None:
        call = Call(world)
        with pytest.raises(MediaError):
            call.change(b=changes)

    def test_DTMF_03_what_is_late_has_no_place_any_more(self, world: World) -> None:
        call = Call(world, b=TO_BOB)
        for sequence in (1, 2, 4):
            call.from_alice(rtp(sequence))
        type_to_bob(call)
        assert read(world.expect(call.bob)[0].packet).sequence == 5
        for sequence in (3, 4):
            call.alice.send(rtp(sequence), call.ports.a)
        assert call.from_alice(rtp(5)).packet[2:4] == b"\0\6"
        assert call.from_alice(rtp(6)).packet[2:4] == b"\0\7"
        assert call.from_alice(rtp(5)).packet[2:4] == b"\0\6", "as late, but behind the event"
        assert call.from_alice(rtp(500)).packet[2:4] == b"\1\xf5"
        assert call.from_alice(rtp(4)).packet[2:4] == b"\0\5", "a stream that begins again is not late"

    def test_DTMF_03_under_srtp(self, world: World) -> None:
        call = Call(world, b=TO_BOB | {"send_keys": keys(4)})
        bob = Inbound(keys(4))
        assert bob.rtp(call.from_alice(rtp(1)).packet) == rtp(1)
        type_to_bob(call)
        assert read(bob.rtp(world.expect(call.bob)[0].packet)).sequence == 2
        assert bob.rtp(call.from_alice(rtp(2)).packet)[2:4] == b"\0\3"

    def test_RTP_02_reports_of_bob_count_what_alice_sent(self, world: World) -> None:
        call = Call(world, b=TO_BOB)
        call.from_alice(rtp(7))
        type_to_bob(call)
        world.expect(call.bob)
        block = struct.pack("!IIIIII", 0x1111, 0, 65536 + 8, 0, 0, 0)
        other = struct.pack("!IIIIII", 0x9999, 0, 65536 + 8, 0, 0, 0)
        report = struct.pack("!BBHI", 0x82, 201, 13, 0x2222) + block + other
        call.bob_rtcp.send(report, call.rtcp_ports[1])
        expected = report[:16] + struct.pack("!I", 65536 + 7) + report[20:]
        assert world.expect(call.alice_rtcp)[0].packet == expected
        call.alice_rtcp.send(rtcp(), call.rtcp_ports[0])
        assert world.expect(call.bob_rtcp)[0].packet == rtcp()


class Reported:
    """Events of Alice's that are told instead of sent on."""

    def call(self, world: World, clock: int = 8000) -> Call:
        return Call(world, a={"payload_types": {8: 8}, "reported": (101,), "clock_rates": {8: 8000, 101: clock}})

    def send(self, call: Call, *packets: bytes) -> list[tuple[Side, str, int]]:
        """What is reported of these, once speech that follows has crossed."""
        del call.world.events[:]
        for packet in packets:
            call.alice.send(packet, call.ports.a)
        call.alice.send(rtp(0, ssrc=9), call.ports.a)
        assert [arrival.packet for arrival in call.world.expect(call.bob)] == [rtp(0, ssrc=9)]
        call.world.turn()
        return digits(call.world)

    def test_DTMF_02_one_digit_for_one_event(self, world: World) -> None:
        call = self.call(world)
        assert self.send(call, *(bytes.fromhex(each["hex"]) for each in TRAIN)) == [(Side.A, "5", 120)]
        assert call.stats.a.payload_type_mismatch == 0
        assert call.stats.a.latched == call.alice.address
        assert EventKind.FIRST_PACKET not in [each.kind for each in world.events if each.digit]

    @pytest.mark.parametrize("kept", [(0,), (5,), (7,), (2, 6), (6, 2, 0), (7, 6, 5, 4, 3, 2, 1, 0)])
    def test_DTMF_02_whatever_is_lost_or_late(self, world: World, kept: tuple[int, ...]) -> None:
        call = self.call(world)
        told = self.send(call, *(bytes.fromhex(TRAIN[each]["hex"]) for each in kept))
        if not told:
            world.advance(0.4)
            assert digits(world) == []
            world.advance(1.2)
            told = digits(world)
        assert [each[:2] for each in told] == [(Side.A, "5")]
        world.advance(2)
        assert len(digits(world)) == 1

    def test_DTMF_02_the_next_event_ends_one_whose_end_is_lost(self, world: World) -> None:
        call = self.call(world)
        pressed = (event(1, 160, 1, 160, marker=True), event(2, 160, 1, 320), event(9, 1600, 1, 160, marker=True))
        assert self.send(call, *pressed) == [(Side.A, "1", 40)]
        assert self.send(call, event(10, 1600, 1, 800, end=True), event(3, 160, 1, 480)) == [(Side.A, "1", 100)]

    def test_DTMF_01_an_event_longer_than_its_field(self, world: World) -> None:
        """Segment after segment, each with a timestamp of its own (RFC 4733 s2.5.1.3)."""
        call = self.call(world)
        segments = event(1, 0, 9, 65535, marker=True), event(2, 65535, 9, 465, end=True), event(3, 65535, 9, 465, end=True)
        assert self.send(call, *segments) == [(Side.A, "9", 8250)]

    def test_DTMF_03_durations_are_in_units_of_the_clock(self, world: World) -> None:
        assert self.send(self.call(world, 48000), event(1, 0, 15, 4800, end=True)) == [(Side.A, "D", 100)]

    def test_DTMF_03_speech_closes_up_where_an_event_was(self, world: World) -> None:
        """Or its receiver would take every digit for a loss."""
        call = self.call(world)
        assert call.from_alice(rtp(10)).packet == rtp(10)
        for sequence in (11, 12, 14):
            call.alice.send(event(sequence, 1600, 5, 160), call.ports.a)
        assert call.from_alice(rtp(15)).packet[2:4] == b"\0\x0c", "13 is lost, or late"
        call.alice.send(rtp(13), call.ports.a)
        call.alice.send(event(13, 1600, 5, 160), call.ports.a)
        assert call.from_alice(rtp(16)).packet[2:4] == b"\0\x0d"
        block = struct.pack("!IIIIII", 0x1111, 0, 65536 + 13, 0, 0, 0)
        call.bob_rtcp.send(struct.pack("!BBHI", 0x81, 201, 7, 0x2222) + block, call.rtcp_ports[1])
        assert world.expect(call.alice_rtcp)[0].packet[16:20] == struct.pack("!I", 65536 + 16)
        assert call.from_alice(rtp(7, ssrc=3)).packet == rtp(4, ssrc=3)[:4] + rtp(7, ssrc=3)[4:]

    def test_DTMF_02_no_digits(self, world: World) -> None:
        """Other events (a flash), and too little of one."""
        call = self.call(world)
        assert self.send(call, event(1, 0, 16, 800, end=True), event(2, 8000, 1, 800, end=True)[:15]) == []
        padded = b"\xa0" + event(3, 16000, 1, 800, end=True)[1:15] + b"\1"
        assert self.send(call, padded) == []

    def test_DTMF_02_a_stream_that_begins_again(self, world: World) -> None:
        call = self.call(world)
        assert len(self.send(call, event(1, 1_000_000, 1, 800, end=True), event(2, 5, 1, 800, end=True))) == 2
        assert len(self.send(call, event(3, 5, 1, 800, end=True, ssrc=7))) == 1

    def test_DTMF_03_more_than_anybody_types(self, world: World) -> None:
        call = self.call(world)
        flood = [event(number, number * 800, 1, 400, end=True) for number in range(MOST_REPORTED + 10)]
        assert len(self.send(call, *flood)) == MOST_REPORTED
        world.advance(1.1)
        assert len(self.send(call, event(100, 800_000, 1, 400, end=True))) == 1

    def test_DTMF_04_no_digit_is_printed(self) -> None:
        assert "7" not in repr(Digit("7", 100))
        for wrong in ("", "12", "a", "E"):
            with pytest.raises(MediaError):
                Digit(wrong, 100)
