"""Contract: SRTP and SRTCP on either side."""

from __future__ import annotations

from functools import partial

import pytest

from media.api import EventKind, Keys, MediaError, Side, Suite
from media.keys import Inbound, Outbound
from media.relay import MOST_PACKETS
from sbc.frozen import replace
from tests.unit.media.calls import Call
from tests.unit.media.oracle import named, protect_rtcp, protect_rtp
from tests.unit.media.packets import keys, rtcp, rtp
from tests.unit.media.worlds import World


def encrypted(world: World, a_suite: Suite = Suite.AES_CM_128_HMAC_SHA1_80, b_suite: Suite = Suite.AEAD_AES_128_GCM) -> Call:
    """Alice protects with keys 1 and is sent keys 2; Bob protects with keys 3 and is sent keys 4."""
    return Call(
        world,
        a={"receive_keys": keys(1, a_suite), "send_keys": keys(2, a_suite)},
        b={"receive_keys": keys(3, b_suite), "send_keys": keys(4, b_suite)},
    )


def on_wire(number: int, suite: Suite | None, packet: bytes) -> bytes:
    return packet if suite is None else protect_rtp(keys(number, suite), 0, packet)


def control_on_wire(number: int, suite: Suite | None) -> bytes:
    return rtcp() if suite is None else protect_rtcp(keys(number, suite), 1, rtcp())


ALICE = keys(1)
TO_BOB = keys(4, Suite.AEAD_AES_128_GCM)


class Encryption:
    @pytest.mark.parametrize("a_suite", Suite)
    @pytest.mark.parametrize("b_suite", [None, *Suite])
    def test_SRTP_08_every_suite_to_every_other(self, world: World, a_suite: Suite, b_suite: Suite | None) -> None:
        """Against packets made from the RFCs; a suite the engine does not claim to have is refused."""
        if not {a_suite, b_suite or a_suite} <= world.engine.capabilities.suites:
            with pytest.raises(MediaError):
                encrypted(world, a_suite, b_suite or a_suite)
            return
        call = encrypted(world, a_suite, b_suite or a_suite)
        if b_suite is None:
            call.change(b={"receive_keys": None, "send_keys": None})
        assert call.from_alice(on_wire(1, a_suite, rtp(1))).packet == on_wire(4, b_suite, rtp(1))
        assert call.from_bob(on_wire(3, b_suite, rtp(2))).packet == on_wire(2, a_suite, rtp(2))
        call.alice_rtcp.send(control_on_wire(1, a_suite), call.rtcp_ports[0])
        assert world.expect(call.bob_rtcp)[0].packet == control_on_wire(4, b_suite)
        call.bob_rtcp.send(control_on_wire(3, b_suite), call.rtcp_ports[1])
        assert world.expect(call.alice_rtcp)[0].packet == control_on_wire(2, a_suite)

    def test_payload_types_are_mapped_under_srtp(self, world: World) -> None:
        call = encrypted(world)
        call.change(a={"payload_types": {96: 8}})
        packet = call.from_alice(Outbound(ALICE).rtp(rtp(1, payload_type=96, marker=True))).packet
        assert Inbound(TO_BOB).rtp(packet) == rtp(1, payload_type=8, marker=True)

    @pytest.mark.parametrize("suite", [Suite.AES_CM_128_HMAC_SHA1_32, Suite.AEAD_AES_128_GCM])
    def test_SRTP_06_the_key_before_serves_across_suites(self, world: World, suite: Suite) -> None:
        """Under the new suite the old packets may look too short, or like SRTCP in the clear: no reason to drop them."""
        other = Suite.AEAD_AES_128_GCM if suite is not Suite.AEAD_AES_128_GCM else Suite.AES_CM_128_HMAC_SHA1_32
        call = Call(world, a={"receive_keys": keys(1, suite)})
        call.change(a={"receive_keys": keys(2, other)})
        noise = rtp(1, payload=b"")
        assert call.from_alice(protect_rtp(keys(1, suite), 0, noise)).packet == noise
        for index in range(1, 20):
            call.alice_rtcp.send(protect_rtcp(keys(1, suite), index, rtcp()), call.rtcp_ports[0])
            assert world.expect(call.bob_rtcp)[0].packet == rtcp()
        call.from_alice(protect_rtp(keys(2, other), 0, rtp(2)))
        call.dropped(call.alice, protect_rtp(keys(1, suite), 0, rtp(3)), "srtp_auth_failed")

    def test_muxed_srtcp(self, world: World) -> None:
        call = encrypted(world)
        call.change(a={"rtcp_mux": True}, b={"rtcp_mux": True})
        packet = call.from_alice(Outbound(ALICE).rtcp(rtcp())).packet
        assert Inbound(TO_BOB).rtcp(packet) == rtcp()

    def test_plain_rtp_does_not_pass_for_srtp(self, world: World) -> None:
        call = encrypted(world)
        call.dropped(call.alice, rtp(1), "srtp_auth_failed")
        call.dropped(call.alice_rtcp, rtcp(), "malformed", call.rtcp_ports[0])

    def test_RTP_03_only_an_authenticated_packet_locks(self, world: World) -> None:
        call = encrypted(world)
        forger = world.peer("127.0.0.10")
        call.dropped(forger, Outbound(keys(9)).rtp(rtp(1)), "srtp_auth_failed")
        call.dropped(forger, Outbound(keys(9)).rtcp(rtcp()), "srtp_auth_failed", call.rtcp_ports[0])
        assert call.stats.a.latched is None
        call.from_alice(Outbound(ALICE).rtp(rtp(1)))
        assert call.stats.a.latched == call.alice.address

    def test_RTP_03_bleed_of_authentic_packets(self, world: World) -> None:
        call = encrypted(world)
        alice = Outbound(ALICE)
        mallory = world.peer("127.0.0.66")
        call.dropped(mallory, alice.rtp(rtp(1)), "wrong_source")
        call.from_alice(alice.rtp(rtp(2)))
        call.dropped(mallory, alice.rtp(rtp(3)), "wrong_source")
        call.dropped(world.peer("127.0.0.10"), alice.rtp(rtp(4)), "wrong_source")

    def test_SRTP_04_replay(self, world: World) -> None:
        call = encrypted(world)
        alice = Outbound(ALICE)
        packets = [alice.rtp(rtp(sequence)) for sequence in range(300)]
        for packet in packets[200:]:
            call.from_alice(packet)
        call.dropped(call.alice, packets[250], "replayed")
        call.dropped(call.alice, packets[100], "replayed")  # older than the window
        assert Inbound(TO_BOB).rtp(call.from_alice(packets[199]).packet) == rtp(199)  # late, not replayed
        control = alice.rtcp(rtcp())
        call.alice_rtcp.send(control, call.rtcp_ports[0])
        world.expect(call.bob_rtcp)
        call.dropped(call.alice_rtcp, control, "replayed", call.rtcp_ports[0])

    def test_SRTP_04_the_window_moves_only_after_authentication(self, world: World) -> None:
        call = encrypted(world)
        alice = Outbound(ALICE)
        call.from_alice(alice.rtp(rtp(1)))
        call.dropped(call.alice, Outbound(keys(9)).rtp(rtp(30000)), "srtp_auth_failed")
        call.from_alice(alice.rtp(rtp(2)))

    def test_SRTP_04_roll_over(self, world: World) -> None:
        call = encrypted(world)
        alice, bob = Outbound(ALICE), Inbound(TO_BOB)
        for sequence in range(65500, 65600):
            assert bob.rtp(call.from_alice(alice.rtp(rtp(sequence))).packet) == rtp(sequence)
        assert (call.stats.a.lost, call.stats.a.srtp_auth_failed) == (0, 0)

    def test_SRTP_06_equal_keys_keep_roll_over_and_replay_state(self, world: World) -> None:
        call = encrypted(world)
        alice, bob = Outbound(ALICE), Inbound(TO_BOB)
        for sequence in range(65530, 65540):
            protected = alice.rtp(rtp(sequence))
            bob.rtp(call.from_alice(protected).packet)
        equal = Keys(ALICE.suite, bytes(ALICE.master))
        call.change(a={"receive_keys": equal, "remote": call.alice.address}, b={"send_keys": Keys(TO_BOB.suite, bytes(TO_BOB.master))})
        call.dropped(call.alice, protected, "replayed")
        assert bob.rtp(call.from_alice(alice.rtp(rtp(65540))).packet) == rtp(65540)

    def test_SRTP_06_what_was_heard_before_an_update_with_equal_keys_stays_replay(self, world: World) -> None:
        call = Call(world, a={"receive_keys": ALICE})  # Bob's side plain: protecting twice would be refused there
        protected = Outbound(ALICE).rtp(rtp(1))
        call.from_alice(protected)
        call.change(a={"receive_keys": Keys(ALICE.suite, bytes(ALICE.master))})
        call.dropped(call.alice, protected, "replayed")

    def test_SRTP_06_new_keys_make_new_contexts(self, world: World) -> None:
        call = encrypted(world)
        alice = Outbound(ALICE)
        for sequence in range(65530, 65540):
            call.from_alice(alice.rtp(rtp(sequence)))
        call.change(a={"receive_keys": keys(11)}, b={"send_keys": keys(14)})
        alice, bob = Outbound(keys(11)), Inbound(keys(14))  # both begin with ROC 0
        assert bob.rtp(call.from_alice(alice.rtp(rtp(65540))).packet) == rtp(65540)

    def test_SRTP_06_packets_in_flight_under_the_old_key(self, world: World) -> None:
        call = encrypted(world)
        before, after, bob = Outbound(ALICE), Outbound(keys(11)), Inbound(TO_BOB)
        call.from_alice(before.rtp(rtp(1)))
        call.change(a={"receive_keys": keys(11)})
        assert bob.rtp(call.from_alice(before.rtp(rtp(2))).packet) == rtp(2)
        call.dropped(call.alice, Outbound(keys(9)).rtp(rtp(3)), "srtp_auth_failed")
        assert bob.rtp(call.from_alice(after.rtp(rtp(3))).packet) == rtp(3)
        call.dropped(call.alice, before.rtp(rtp(4)), "srtp_auth_failed")  # the new key is in use: the old one is gone

    def test_from_plain_to_srtp_and_back(self, world: World) -> None:
        call = Call(world)
        call.from_alice(rtp(1))
        call.change(a={"receive_keys": ALICE})
        call.dropped(call.alice, rtp(2), "srtp_auth_failed")
        assert call.from_alice(Outbound(ALICE).rtp(rtp(2))).packet == rtp(2)
        call.change(a={"receive_keys": None})
        assert call.from_alice(rtp(3)).packet == rtp(3)

    def test_several_sources_at_once_and_one_after_the_other(self, world: World) -> None:
        call = encrypted(world)
        alice, bob = Outbound(ALICE), Inbound(TO_BOB)
        for sequence in range(10):
            for ssrc in (1, 2, 3):
                packet = rtp(sequence * (ssrc + 5), ssrc=ssrc)
                assert bob.rtp(call.from_alice(alice.rtp(packet)).packet) == packet
        for ssrc in range(10, 30):
            assert bob.rtp(call.from_alice(alice.rtp(rtp(1, ssrc=ssrc))).packet) == rtp(1, ssrc=ssrc)
            call.alice_rtcp.send(alice.rtcp(rtcp(ssrc)), call.rtcp_ports[0])
            assert bob.rtcp(world.expect(call.bob_rtcp)[0].packet) == rtcp(ssrc)

    def test_RTP_09_what_does_not_authenticate_takes_nothing_from_the_peer(self, world: World) -> None:
        call = encrypted(world)
        alice = Outbound(ALICE)
        call.from_alice(alice.rtp(rtp(1)))
        for failed in range(50, MOST_PACKETS + 100, 50):
            for _ in range(50):
                call.alice.send(rtp(2, payload=b"forged" * 10), call.ports.a)
            world.until(partial(self._has_failed, call, failed))
        call.from_alice(alice.rtp(rtp(3)))
        assert call.stats.a.over_rate == 0

    @staticmethod
    def _has_failed(call: Call, count: int) -> bool:
        return call.stats.a.srtp_auth_failed == count

    def test_a_doubled_plain_packet_is_not_protected_twice(self, world: World) -> None:
        call = Call(world, b={"send_keys": TO_BOB})
        call.from_alice(rtp(1, payload=b"one text"))
        call.dropped(call.alice, rtp(1, payload=b"another!"), "replayed")

    def test_padding_is_checked_after_decryption(self, world: World) -> None:
        call = Call(world, a={"receive_keys": ALICE})
        bad = bytearray(rtp(1, payload=b"speech\xff"))
        bad[0] |= 0x20
        call.dropped(call.alice, Outbound(ALICE).rtp(bytes(bad)), "malformed")

    def test_too_long_to_protect(self, world: World) -> None:
        call = Call(world, b={"send_keys": TO_BOB})
        call.dropped(call.alice, rtp(1, payload=bytes(1480)), "malformed")
        call.from_alice(rtp(2))

    def test_hold_keeps_the_roll_over_counter(self, world: World) -> None:
        call = encrypted(world)
        alice, bob = Outbound(ALICE), Inbound(TO_BOB)
        bob.rtp(call.from_alice(alice.rtp(rtp(65530))).packet)
        call.change(b={"send": False})
        for sequence in range(65531, 65541):
            call.alice.send(alice.rtp(rtp(sequence)), call.ports.a)
        world.until(lambda: call.stats.a.packets_received == 11)
        call.change(b={"send": True})
        assert bob.rtp(call.from_alice(alice.rtp(rtp(65541))).packet) == rtp(65541)

    def test_ten_failures_from_the_start_are_a_key_failure(self, world: World) -> None:
        call = encrypted(world)
        for sequence in range(9):
            call.dropped(call.alice, Outbound(keys(9)).rtp(rtp(sequence)), "srtp_auth_failed")
        world.turn()
        assert call.events(EventKind.KEY_FAILURE) == []
        for sequence in range(9, 12):
            call.dropped(call.alice, Outbound(keys(9)).rtp(rtp(sequence)), "srtp_auth_failed")
        world.turn()
        assert call.events(EventKind.KEY_FAILURE) == [Side.A]

    def test_failures_after_a_success_are_not_the_key(self, world: World) -> None:
        call = encrypted(world)
        call.from_alice(Outbound(ALICE).rtp(rtp(100)))
        for sequence in range(12):
            call.dropped(call.alice, Outbound(keys(9)).rtp(rtp(sequence + 101)), "srtp_auth_failed")
        world.turn()
        assert call.events(EventKind.KEY_FAILURE) == []

    def test_each_new_key_can_fail(self, world: World) -> None:
        call = encrypted(world)
        call.from_alice(Outbound(ALICE).rtp(rtp(100)))
        call.change(a={"receive_keys": keys(11)})
        for sequence in range(10):
            call.dropped(call.alice, Outbound(keys(9)).rtp(rtp(sequence + 101)), "srtp_auth_failed")
        world.turn()
        assert call.events(EventKind.KEY_FAILURE) == [Side.A]

    @pytest.mark.parametrize("suite", [Suite.AES_CM_128_HMAC_SHA1_32, Suite.AEAD_AES_128_GCM])
    def test_SRTP_05_keys_with_a_name_on_both_sides(self, world: World, suite: Suite) -> None:
        theirs, ours = replace(keys(1, suite), mki=b"\1"), replace(keys(2, suite), mki=b"\0\0\0\1")
        call = Call(world, a={"receive_keys": theirs, "send_keys": ours})
        assert call.from_alice(named(theirs, protect_rtp(theirs, 0, rtp(1)))).packet == rtp(1)
        assert call.from_bob(rtp(1)).packet == named(ours, protect_rtp(ours, 0, rtp(1)))
        call.alice_rtcp.send(named(theirs, protect_rtcp(theirs, 1, rtcp()), is_rtcp=True), call.rtcp_ports[0])
        assert world.expect(call.bob_rtcp)[0].packet == rtcp()
        call.bob_rtcp.send(rtcp(), call.rtcp_ports[1])
        assert world.expect(call.alice_rtcp)[0].packet == named(ours, protect_rtcp(ours, 1, rtcp()), is_rtcp=True)
        call.dropped(call.alice, protect_rtp(theirs, 0, rtp(2)), "srtp_auth_failed")
        for sequence in (30000, 60000, 65540):
            assert call.from_bob(rtp(sequence)).packet == named(ours, protect_rtp(ours, sequence >> 16, rtp(sequence)))
            call.change(a={"receive_keys": replace(theirs), "send_keys": replace(ours)})

    def test_SRTP_06_the_key_before_serves_under_its_name(self, world: World) -> None:
        before, after = replace(ALICE, mki=b"\1"), replace(keys(11), mki=b"\2")
        call = Call(world, a={"receive_keys": before})
        call.change(a={"receive_keys": after})
        assert call.from_alice(named(before, protect_rtp(before, 0, rtp(1)))).packet == rtp(1)
        assert call.from_alice(named(after, protect_rtp(after, 0, rtp(2)))).packet == rtp(2)
        call.dropped(call.alice, named(before, protect_rtp(before, 0, rtp(3))), "srtp_auth_failed")

    def test_SRTP_04_a_key_that_is_used_for_too_long_is_told_of_once(self, world: World) -> None:
        call = Call(world, a={"receive_keys": replace(ALICE, lifetime=3)})
        alice = Outbound(ALICE)
        for sequence in (1, 2):
            call.from_alice(alice.rtp(rtp(sequence)))
        world.turn()
        assert call.events(EventKind.KEY_WORN) == []
        for sequence in (3, 4, 5):
            call.from_alice(alice.rtp(rtp(sequence)))
            call.alice_rtcp.send(alice.rtcp(rtcp()), call.rtcp_ports[0])
            world.expect(call.bob_rtcp)
        world.turn()
        assert call.events(EventKind.KEY_WORN) == [Side.A]
        call.change(a={"receive_keys": replace(keys(11), lifetime=1)})
        call.from_alice(Outbound(keys(11)).rtp(rtp(6)))
        world.turn()
        assert call.events(EventKind.KEY_WORN) == [Side.A, Side.A]

    def test_SRTP_07_keys_are_not_shown(self, world: World) -> None:
        call = encrypted(world)
        call.from_alice(Outbound(ALICE).rtp(rtp(1)))
        shown = f"{call.a!r} {call.stats!r} {world.engine!r} {world.events!r}"
        assert ALICE.master.hex() not in shown
        assert repr(ALICE.master)[2:-1] not in shown
