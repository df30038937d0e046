"""Contract: what a relay lets through, where it sends, what it counts. Plain RTP and RTCP."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from media.api import INTRUSIONS, EventKind, Interface, Side, SideSpec, SideStats
from media.relay import MOST_PACKETS
from tests.unit.media.calls import Call
from tests.unit.media.packets import keys, rtcp, rtp
from tests.unit.media.worlds import World

VECTORS = json.loads((Path(__file__).parents[2] / "vectors/media/rtp_rtcp.json").read_text())


class Traffic:
    def test_hosts_of_another_family_say_nothing_of_where_the_peer_is(self, world: World) -> None:
        call = Call(world, a={"remote": None, "remote_rtcp": None, "latch_from": ("2001:db8::1",)})
        call.alice.send(rtp(1), call.ports.a)
        world.turn()
        assert call.stats.a == SideStats()

    def test_RTP_04_both_ways_from_the_port_the_peer_sends_to(self, world: World) -> None:
        call = Call(world)
        assert call.from_alice(rtp(1)) == (rtp(1), call.ports.b)
        assert call.from_bob(rtp(2)) == (rtp(2), call.ports.a)

    def test_nothing_crosses_before_the_first_update(self, world: World) -> None:
        world.open()
        early, stranger = world.peer("127.0.0.12"), world.peer("127.0.0.13")
        early.send(rtp(1), world.ports["call"].a)
        world.turn()
        world.engine.update("call", SideSpec(remote=("127.0.0.10", 50000)), SideSpec())
        stranger.send(rtp(2), world.ports["call"].a)
        world.until(lambda: world.engine.stats("call").a.wrong_source >= 1)
        world.turn()
        # Media that overtakes its answer is early, not wrong: only the stranger counts.
        assert world.engine.stats("call").a == SideStats(wrong_source=1, stranger=stranger.address)

    def test_payload_types_are_mapped_and_the_marker_kept(self, world: World) -> None:
        call = Call(world, a={"payload_types": {96: 101, 8: 8}}, b={"payload_types": {101: 96, 8: 8}})
        assert call.from_alice(rtp(1, payload_type=96, marker=True)).packet == rtp(1, payload_type=101, marker=True)
        assert call.from_alice(rtp(2, payload_type=96)).packet == rtp(2, payload_type=101)
        assert call.from_bob(rtp(3, payload_type=101, marker=True)).packet == rtp(3, payload_type=96, marker=True)

    def test_DTMF_01_events_pass_unchanged(self, world: World) -> None:
        call = Call(world)
        for each in VECTORS["rfc4733_digit5"]["packets"]:
            packet = bytes.fromhex(each["hex"])
            assert call.from_alice(packet).packet == packet
        assert call.stats.a.lost == 0

    def test_DTMF_02_lost_doubled_and_reordered_events_pass_as_they_came(self, world: World) -> None:
        """One digit a timestamp is the receiver's to see; a relay that repaired the train would press the key twice."""
        call = Call(world, a={"payload_types": {101: 96}}, b={"payload_types": {96: 101}})
        train = [bytes.fromhex(each["hex"]) for each in VECTORS["rfc4733_digit5"]["packets"]]
        arriving = [train[1], train[1], train[3], train[2], *train[-1:] * 3]
        for packet in arriving:
            call.alice.send(packet, call.ports.a)
        received = [arrival.packet for arrival in world.expect(call.bob, len(arriving))]
        assert received == [packet[:1] + bytes([packet[1] & 0x80 | 96]) + packet[2:] for packet in arriving]
        assert call.stats.a.jitter_ms == 0

    def test_RTP_01_other_payload_types_are_dropped_and_counted(self, world: World) -> None:
        call = Call(world)
        call.dropped(call.alice, rtp(1, payload_type=97), "payload_type_mismatch")
        assert call.stats.a.latched is None
        call.from_alice(rtp(2))
        assert call.stats.a.lost == 0

    @pytest.mark.parametrize("bad", [each for each in VECTORS["bad"] if "RTCP" not in each["name"]], ids=lambda each: each["name"])
    def test_RTP_01_malformed_rtp(self, world: World, bad: dict[str, str]) -> None:
        call = Call(world, a={"payload_types": {0: 0}})
        call.dropped(call.alice, bytes.fromhex(bad["hex"]), "malformed")
        assert call.stats.a.latched is None

    @pytest.mark.parametrize(
        "bad", [each for each in VECTORS["bad"] if "RTCP" in each["name"] or "1-octet" in each["name"]], ids=lambda each: each["name"]
    )
    def test_RTP_02_malformed_rtcp(self, world: World, bad: dict[str, str]) -> None:
        call = Call(world)
        call.dropped(call.alice_rtcp, bytes.fromhex(bad["hex"]), "malformed", call.rtcp_ports[0])

    @pytest.mark.parametrize(
        "packet", [b"\x80", rtp(1)[:11], b"\x04\x01\x00\x00" + bytes(16), b"\x16" + bytes(40), rtp(1, payload=bytes(1489))]
    )
    def test_neither_rtp_nor_rtcp(self, world: World, packet: bytes) -> None:
        call = Call(world, a={"rtcp_mux": True})
        call.dropped(call.alice, packet, "malformed")

    def test_csrc_extension_and_padding_pass(self, world: World) -> None:
        call = Call(world)
        body = struct.pack("!BBHIIIHHI", 0xB1, 8, 1, 160, 7, 99, 0xBEDE, 1, 0) + b"speech\x00\x02"
        assert call.from_alice(body).packet == body

    @pytest.mark.parametrize("good", VECTORS["rtcp"], ids=lambda each: each["name"])
    def test_RTP_02_rtcp_passes_between_the_odd_ports(self, world: World, good: dict[str, str]) -> None:
        call = Call(world)
        packet = bytes.fromhex(good["hex"])
        call.alice_rtcp.send(packet, call.rtcp_ports[0])
        assert world.expect(call.bob_rtcp) == [(packet, call.rtcp_ports[1])]
        assert (call.stats.a.rtcp_received, call.stats.b.rtcp_sent) == (1, 1)
        assert call.stats.a.packets_received == 0

    def test_RTP_05_muxed_rtcp(self, world: World) -> None:
        call = Call(world, a={"rtcp_mux": True}, b={"rtcp_mux": True})
        assert call.from_alice(rtcp()) == (rtcp(), call.ports.b)
        assert call.from_bob(rtcp()) == (rtcp(), call.ports.a)
        assert (call.stats.a.rtcp_received, call.stats.a.rtcp_sent, call.stats.a.packets_received) == (1, 1, 0)

    def test_RTP_05_mux_on_one_side_only(self, world: World) -> None:
        call = Call(world, a={"rtcp_mux": True})
        call.alice.send(rtcp(), call.ports.a)
        assert world.expect(call.bob_rtcp) == [(rtcp(), call.rtcp_ports[1])]
        call.bob_rtcp.send(rtcp(), call.rtcp_ports[1])
        assert world.expect(call.alice) == [(rtcp(), call.ports.a)]

    def test_RTP_05_without_mux_the_rtp_port_takes_no_rtcp(self, world: World) -> None:
        call = Call(world)
        call.dropped(call.alice, rtcp(), "payload_type_mismatch")

    def test_RTP_05_the_odd_port_stays_open_with_mux(self, world: World) -> None:
        call = Call(world, a={"rtcp_mux": True}, b={"rtcp_mux": True})
        call.alice_rtcp.send(rtcp(), call.rtcp_ports[0])
        assert world.expect(call.bob) == [(rtcp(), call.ports.b)]

    def test_XR_01_extended_reports_pass_as_they_came(self, world: World) -> None:
        """VoIP metrics and a block nobody knows (RFC 3611 s4.7, s4.8), after the receiver report they travel with."""
        call = Call(world)
        blocks = bytes((7, 0, 0, 8)) + bytes(range(32)) + bytes((99, 0, 0, 1)) + b"what"
        packet = rtcp() + struct.pack("!BBHI", 0x80, 207, 1 + len(blocks) // 4, 0x1111) + blocks
        call.alice_rtcp.send(packet, call.rtcp_ports[0])
        assert world.expect(call.bob_rtcp)[0].packet == packet
        assert call.stats.a.malformed == 0

    def test_rtp_on_the_rtcp_port(self, world: World) -> None:
        call = Call(world)
        call.dropped(call.alice_rtcp, rtp(1), "malformed", call.rtcp_ports[0])

    def test_RTP_03_media_goes_where_signalled_until_the_peer_is_heard(self, world: World) -> None:
        call = Call(world)
        call.from_bob(rtp(1))
        moved = world.peer("127.0.0.10")
        moved.send(rtp(1), call.ports.a)
        world.expect(call.bob)
        call.bob.send(rtp(2), call.ports.b)
        assert world.expect(moved)[0].packet == rtp(2)
        assert call.alice.pending() == []
        assert call.stats.a.latched == moved.address

    def test_RTP_03_a_peer_behind_nat_is_found_at_its_signalling_address(self, world: World) -> None:
        call = Call(world, a={"remote": ("10.1.2.3", 4000), "latch_from": ("127.0.0.20",)})
        behind_nat = world.peer("127.0.0.20")
        behind_nat.send(rtp(1), call.ports.a)
        world.expect(call.bob)
        call.bob.send(rtp(2), call.ports.b)
        assert world.expect(behind_nat)[0].packet == rtp(2)

    def test_no_remote_sends_nowhere_but_listens(self, world: World) -> None:
        call = Call(world, a={"remote": None, "latch_from": ("127.0.0.10",)})
        call.bob.send(rtp(1), call.ports.b)
        world.until(lambda: call.stats.b.packets_received == 1)
        assert call.stats.a.packets_sent == 0
        call.from_alice(rtp(1))
        assert call.from_bob(rtp(2)).packet == rtp(2)

    def test_RTP_03_bleed_from_a_third_host(self, world: World) -> None:
        call = Call(world)
        mallory = world.peer("127.0.0.66")
        call.dropped(mallory, rtp(1), "wrong_source")
        assert call.stats.a.latched is None
        call.from_alice(rtp(1))
        call.dropped(mallory, rtp(2), "wrong_source")
        call.from_bob(rtp(1))
        assert mallory.pending() == []
        assert call.stats.a.latched == call.alice.address
        assert call.stats.a.packets_received == 1

    def test_RTP_03_who_goes_on_sending_from_elsewhere_is_told_of_once(self, world: World) -> None:
        call = Call(world)
        mallory = world.peer("127.0.0.66")
        call.from_alice(rtp(1))
        for sequence in range(INTRUSIONS - 1):
            call.dropped(mallory, rtp(sequence), "wrong_source")
        assert call.events(EventKind.INTRUSION) == []
        for sequence in range(3):
            call.dropped(mallory, rtp(sequence), "wrong_source")
        assert call.events(EventKind.INTRUSION) == [Side.A]
        (told,) = [event for event in world.events if event.kind == EventKind.INTRUSION]
        assert (told.source, call.stats.a.stranger) == (mallory.address, mallory.address)
        assert call.stats.b.stranger is None

    def test_RTP_03_of_those_who_send_from_elsewhere_the_last_is_known(self, world: World) -> None:
        call = Call(world)
        call.from_alice(rtp(1))
        call.dropped(world.peer("127.0.0.66"), rtp(1), "wrong_source")
        world.turn()
        last = world.peer("127.0.0.77")
        call.dropped(last, rtcp(), "wrong_source", call.rtcp_ports[0])
        assert call.stats.a.stranger == last.address

    def test_RTP_03_the_lock_holds_against_other_ports_and_allowed_hosts(self, world: World) -> None:
        call = Call(world, a={"latch_from": ("127.0.0.20",)})
        call.from_alice(rtp(1))
        call.dropped(world.peer("127.0.0.10"), rtp(2), "wrong_source")
        call.dropped(world.peer("127.0.0.20"), rtp(2), "wrong_source")
        assert call.from_alice(rtp(2)).packet == rtp(2)

    def test_RTP_03_malformed_packets_do_not_lock(self, world: World) -> None:
        call = Call(world)
        call.dropped(world.peer("127.0.0.10"), b"\x80\x08", "malformed")
        assert call.from_alice(rtp(1)).packet == rtp(1)

    def test_RTP_03_rtcp_locks_apart_by_the_same_hosts(self, world: World) -> None:
        call = Call(world, a={"latch_from": ("127.0.0.20",)})
        call.from_alice(rtp(1))
        call.dropped(world.peer("127.0.0.66"), rtcp(), "wrong_source", call.rtcp_ports[0])
        behind_nat = world.peer("127.0.0.20")
        behind_nat.send(rtcp(), call.rtcp_ports[0])
        world.expect(call.bob_rtcp)
        call.dropped(world.peer("127.0.0.10"), rtcp(), "wrong_source", call.rtcp_ports[0])
        call.bob_rtcp.send(rtcp(), call.rtcp_ports[1])
        world.expect(behind_nat)
        assert call.stats.a.latched == call.alice.address

    def test_RTP_03_a_new_remote_unlocks(self, world: World) -> None:
        call = Call(world)
        call.from_alice(rtp(1))
        server = world.peer("127.0.0.30")
        call.change(a={"remote": server.address})
        call.bob.send(rtp(1), call.ports.b)
        assert world.expect(server)[0].packet == rtp(1)
        call.dropped(call.alice, rtp(2), "wrong_source")
        server.send(rtp(3), call.ports.a)
        world.expect(call.bob)
        assert call.stats.a.latched == server.address

    def test_RTP_03_a_new_remote_unlocks_rtcp_too(self, world: World) -> None:
        call = Call(world, a={"remote_rtcp": None})
        call.alice_rtcp.send(rtcp(), call.rtcp_ports[0])
        world.expect(call.bob_rtcp)
        call.change(a={"remote": ("127.0.0.30", 4000)})
        call.bob_rtcp.send(rtcp(), call.rtcp_ports[1])
        world.until(lambda: call.stats.b.rtcp_received == 1)
        assert call.stats.a.rtcp_sent == 0
        call.dropped(call.alice_rtcp, rtcp(), "wrong_source", call.rtcp_ports[0])

    def test_RTP_03_a_new_rtcp_address_alone(self, world: World) -> None:
        call = Call(world)
        call.from_alice(rtp(1))
        call.alice_rtcp.send(rtcp(), call.rtcp_ports[0])
        world.expect(call.bob_rtcp)
        moved = world.peer("127.0.0.30")
        call.change(a={"remote_rtcp": moved.address})
        call.bob_rtcp.send(rtcp(), call.rtcp_ports[1])
        world.expect(moved)
        assert call.stats.a.latched == call.alice.address

    def test_RTP_03_the_same_remote_keeps_the_lock(self, world: World) -> None:
        call = Call(world, a={"latch_from": ("127.0.0.20",)})
        behind_nat = world.peer("127.0.0.20")
        behind_nat.send(rtp(1), call.ports.a)
        world.expect(call.bob)
        call.change(a={"payload_types": {8: 8}, "send": True})
        call.bob.send(rtp(1), call.ports.b)
        world.expect(behind_nat)
        call.dropped(world.peer("127.0.0.10"), rtp(2), "wrong_source")

    def test_packets_in_flight_pass_but_do_not_lock_the_old_port_again(self, world: World) -> None:
        call = Call(world)
        call.from_alice(rtp(1))
        moved = world.peer("127.0.0.10")
        call.change(a={"remote": moved.address})
        assert call.from_alice(rtp(2)).packet == rtp(2)
        moved.send(rtp(3), call.ports.a)
        world.expect(call.bob)
        assert call.stats.a.latched == moved.address

    def test_a_peer_that_stayed_where_it_was_is_locked_again(self, world: World) -> None:
        call = Call(world, a={"remote": ("10.1.2.3", 4000), "latch_from": ("127.0.0.10",)})
        call.from_alice(rtp(1))
        call.change(a={"remote": ("10.1.2.3", 4002)})
        world.advance(1.0)
        call.from_alice(rtp(2))
        assert call.stats.a.latched == call.alice.address

    def test_RTP_09_no_side_sends_more_than_speech_has(self, world: World) -> None:
        call = Call(world)
        for start in range(0, MOST_PACKETS, 50):
            for sequence in range(start, start + 50):
                call.alice.send(rtp(sequence), call.ports.a)
            world.expect(call.bob, 50)
        call.dropped(call.alice, rtp(MOST_PACKETS), "over_rate")
        call.dropped(call.alice_rtcp, rtcp(), "over_rate", call.rtcp_ports[0])
        call.from_bob(rtp(1))
        world.turn()
        assert call.events(EventKind.FLOOD) == [Side.A]
        stranger = world.peer("127.0.0.66")
        world.advance(2)
        for _ in range(10):
            call.dropped(stranger, rtp(1), "wrong_source")
        call.from_alice(rtp(MOST_PACKETS + 1))
        assert call.stats.a.packets_received == MOST_PACKETS + 1

    def test_hold_sends_nothing_but_goes_on_counting(self, world: World) -> None:
        call = Call(world, b={"send": False})
        call.alice.send(rtp(1), call.ports.a)
        world.until(lambda: call.stats.a.packets_received == 1)
        assert call.bob.pending() == []
        assert call.stats.b.packets_sent == 0
        assert call.from_bob(rtp(1)).packet == rtp(1)
        call.change(b={"send": True})
        assert call.from_alice(rtp(2)).packet == rtp(2)
        assert call.stats.a.lost == 0

    def test_hold_does_not_stop_rtcp(self, world: World) -> None:
        call = Call(world, b={"send": False})
        call.alice_rtcp.send(rtcp(), call.rtcp_ports[0])
        assert world.expect(call.bob_rtcp)[0].packet == rtcp()

    def test_a_held_side_locks_all_the_same(self, world: World) -> None:
        call = Call(world, a={"send": False}, b={"send": False})
        call.alice.send(rtp(1), call.ports.a)
        world.until(lambda: call.stats.a.latched == call.alice.address)
        world.until(lambda: call.events(EventKind.FIRST_PACKET) == [Side.A])

    def test_update_in_the_middle_of_a_stream_loses_nothing(self, world: World) -> None:
        call = Call(world)
        for sequence in range(60):
            call.alice.send(rtp(sequence), call.ports.a)
            if sequence % 7 == 0:
                call.change()
        arrived = world.expect(call.bob, 60)
        assert [packet for packet, _ in arrived] == [rtp(sequence) for sequence in range(60)]

    def test_packets_and_octets_are_counted_as_on_the_wire(self, world: World) -> None:
        call = Call(world, b={"send_keys": keys(1)})
        for sequence in range(3):
            call.from_alice(rtp(sequence))
        size = len(rtp(0))
        stats = call.stats
        assert (stats.a.packets_received, stats.a.octets_received) == (3, 3 * size)
        assert (stats.b.packets_sent, stats.b.octets_sent) == (3, 3 * (size + 10))
        assert (stats.b.packets_received, stats.a.packets_sent) == (0, 0)

    def test_lost_packets_across_the_wrap(self, world: World) -> None:
        call = Call(world)
        for sequence in (65533, 65534, 0, 1, 65535, 4):
            call.from_alice(rtp(sequence))
        assert call.stats.a.lost == 2
        for sequence in (700, 702):
            call.from_alice(rtp(sequence, ssrc=0x2222))  # another source starts its own count
        assert call.stats.a.lost == 3
        call.from_alice(rtp(702, ssrc=0x2222))
        assert call.stats.a.lost >= 0

    def test_jitter(self, world: World) -> None:
        call = Call(world)
        fixture = VECTORS["jitter"]
        arrival = 0
        for number, each in enumerate(fixture["packets"]):
            world.advance((each["arrival_ms"] - arrival) / 1000)
            arrival = each["arrival_ms"]
            call.from_alice(struct.pack("!BBHII", 0x80, 8, number, each["ts"], 1) + b"speech")
        assert call.stats.a.jitter_ms == pytest.approx(fixture["expected_jitter_ms"], rel=1e-5)

    def test_unknown_clock_has_no_jitter(self, world: World) -> None:
        call = Call(world, a={"clock_rates": {}})
        call.from_alice(rtp(1))
        world.advance(1)
        call.from_alice(rtp(2))
        assert call.stats.a.jitter_ms == 0

    def test_ipv6(self, world: World) -> None:
        world.engine.provide({"six": Interface(world.ours6, 42000, 42999)})
        world.open(a="six", b="six")
        call = Call(world, hosts=(world.theirs6, world.theirs6), a={"latch_from": (world.theirs6_put_oddly, "127.0.0.1")})
        assert call.from_alice(rtp(1)) == (rtp(1), call.ports.b)
        assert call.from_bob(rtp(2)) == (rtp(2), call.ports.a)
        assert call.stats.a.latched == call.alice.address
        call.dropped(world.peer(world.theirs6), rtp(3), "wrong_source")
