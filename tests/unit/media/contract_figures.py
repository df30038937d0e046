"""Contract: what a relay can say of how speech arrived, beyond counting it."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from tests.unit.media.calls import Call
from tests.unit.media.oracle import protect_rtp
from tests.unit.media.packets import keys, rtcp, rtp
from tests.unit.media.worlds import World

RTT = json.loads((Path(__file__).parents[2] / "vectors/media/rtp_rtcp.json").read_text())["rtt"]["example"]


def sender_report(time: int, ssrc: int = 0x1111) -> bytes:
    """With `time` as the middle 32 bits of its NTP time stamp."""
    return struct.pack("!BBHIHIHIII", 0x80, 200, 6, ssrc, 0xAAAA, time, 0xBBBB, 160, 1, 160)


def receiver_report(last_sender: int = 0, delay: int = 0, *, lost: int = 0, jitter: int = 0) -> bytes:
    block = struct.pack("!IIIIII", 0x1111, lost & 0xFFFFFF | 25 << 24, 70000, jitter, last_sender, delay)
    return struct.pack("!BBHI", 0x81, 201, 7, 0x2222) + block + rtcp()[8:]


def speak(call: Call, *sequences: int) -> None:
    for sequence in sequences:
        call.alice.send(rtp(sequence), call.ports.a)
    call.world.expect(call.bob, len(sequences))


class Figures:
    def test_what_comes_twice_hides_no_loss(self, world: World) -> None:
        call = Call(world)
        speak(call, 1, 2, 2, 2, 5, 5)
        stats = call.stats.a
        assert (stats.lost, stats.duplicates, stats.reordered, stats.loss_runs) == (2, 3, 0, 1)

    def test_what_comes_late_closes_a_gap(self, world: World) -> None:
        call = Call(world)
        speak(call, 1, 3, 2, 4, 8, 6)
        stats = call.stats.a
        assert (stats.lost, stats.reordered, stats.duplicates) == (2, 2, 0)
        assert stats.loss_runs == 2, "6 made two gaps, 5 and 7, of one"
        speak(call, 5, 7)
        assert (call.stats.a.lost, call.stats.a.loss_runs) == (0, 0)

    def test_gaps_over_the_wrap_and_longer_than_any_window(self, world: World) -> None:
        call = Call(world)
        speak(call, 65530, 65535, 3, 500, 500, 499)
        stats = call.stats.a
        assert (stats.loss_runs, stats.lost, stats.duplicates, stats.reordered) == (3, 4 + 3 + 495, 1, 1)

    def test_a_restart_is_no_gap(self, world: World) -> None:
        call = Call(world)
        speak(call, 1, 2, 30000, 30001, 30001, 30000)
        stats = call.stats.a
        assert (stats.loss_runs, stats.lost, stats.duplicates) == (0, 0, 2)

    def test_round_trip_by_the_reports_that_pass(self, world: World) -> None:
        """The example of RFC 3550 s6.4.1: 6.125 s from the report sent to its answer less the delay the peer states."""
        call = Call(world, b={"send_keys": keys(1)})
        last_sender, delay = int(RTT["lsr"], 16), int(RTT["dlsr"], 16)
        call.bob_rtcp.send(sender_report(last_sender), call.rtcp_ports[1])
        world.expect(call.alice_rtcp)
        assert call.stats.a.rtt_ms is None
        world.advance(delay / 65536 + RTT["rtt_seconds"])
        call.alice_rtcp.send(receiver_report(last_sender, delay, lost=7, jitter=80), call.rtcp_ports[0])
        world.expect(call.bob_rtcp)
        stats = call.stats
        assert stats.a.rtt_ms == pytest.approx(6125, abs=0.5)
        assert stats.b.rtt_ms is None
        assert (stats.a.reported_lost, stats.a.reported_jitter_ms) == (7, None), "nobody knows the clock before Bob speaks"
        call.from_bob(rtp(1))
        assert call.stats.a.reported_jitter_ms == pytest.approx(10)

    @pytest.mark.parametrize(("wait", "delay"), [(1.0, 65536 * 2), (11.0, 0)])
    def test_a_wrong_clock_gives_no_round_trip(self, world: World, wait: float, delay: int) -> None:
        call = Call(world)
        call.bob_rtcp.send(sender_report(77), call.rtcp_ports[1])
        world.expect(call.alice_rtcp)
        world.advance(wait)
        call.alice_rtcp.send(receiver_report(77, delay), call.rtcp_ports[0])
        world.expect(call.bob_rtcp)
        assert call.stats.a.rtt_ms is None

    def test_an_answer_to_no_report_of_ours_gives_no_round_trip(self, world: World) -> None:
        call = Call(world)
        for last_sender in (0, 5):
            call.alice_rtcp.send(receiver_report(last_sender, lost=-3), call.rtcp_ports[0])
            world.expect(call.bob_rtcp)
        assert (call.stats.a.rtt_ms, call.stats.a.reported_lost) == (None, -3)

    def test_failures_in_a_row_end_with_a_success(self, world: World) -> None:
        call = Call(world, a={"receive_keys": keys(1)})
        for sequence in range(3):
            call.dropped(call.alice, rtp(sequence), "srtp_auth_failed")
        assert call.stats.a.auth_failing == 3
        call.from_alice(protect_rtp(keys(1), 0, rtp(9)))
        assert (call.stats.a.auth_failing, call.stats.a.srtp_auth_failed) == (0, 3)
