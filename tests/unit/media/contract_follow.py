"""Contract: a peer that a NAT gave another address in the middle of a call, and everybody who only pretends to be one."""

from __future__ import annotations

import pytest

from media.api import EventKind, Follow, Side
from media.keys import Inbound, Outbound
from media.latch import FOLLOW_AFTER, FOLLOW_EVERY
from tests.unit.media.calls import Call
from tests.unit.media.packets import keys, rtcp, rtp
from tests.unit.media.worlds import Peer, World

ALICE, TO_ALICE = keys(1), keys(2)
QUIET = FOLLOW_AFTER + 0.1
AUTHENTICATED, SAME_ADDRESS = {"follow": Follow.AUTHENTICATED}, {"follow": Follow.SAME_ADDRESS}


def encrypted(world: World, follow: Follow = Follow.AUTHENTICATED) -> tuple[Call, Outbound]:
    """Alice has been heard, and has been silent for long enough since."""
    call = Call(world, a={"receive_keys": ALICE, "send_keys": TO_ALICE, "follow": follow})
    alice = Outbound(ALICE)
    call.from_alice(alice.rtp(rtp(1)))
    world.advance(QUIET)
    return call, alice


def plain(world: World, follow: Follow = Follow.SAME_ADDRESS) -> Call:
    call = Call(world, a={"follow": follow})
    for sequence in (1, 2):
        call.from_alice(rtp(sequence))
    world.advance(QUIET)
    return call


def followed(call: Call, peer: Peer, packet: bytes) -> bytes:
    """What Bob hears of a packet that `peer` sends in Alice's place."""
    peer.send(packet, call.ports.a)
    heard = call.world.expect(call.bob)[0].packet
    assert call.stats.a.latched == peer.address
    return heard


class Following:
    def test_RTP_03_an_authentic_packet_from_elsewhere_is_followed(self, world: World) -> None:
        call, alice = encrypted(world)
        moved = world.peer("127.0.0.20")
        assert followed(call, moved, alice.rtp(rtp(2))) == rtp(2)
        call.bob.send(rtp(1), call.ports.b)
        assert Inbound(TO_ALICE).rtp(world.expect(moved)[0].packet) == rtp(1)
        assert call.alice.pending() == []
        call.dropped(call.alice, alice.rtp(rtp(3)), "wrong_source")
        assert call.stats.a.wrong_source == 1
        world.until(lambda: call.events(EventKind.SOURCE_CHANGED) == [Side.A])

    def test_RTP_03_nobody_is_followed_where_policy_says_never(self, world: World) -> None:
        call, alice = encrypted(world, Follow.NEVER)
        call.dropped(world.peer("127.0.0.20"), alice.rtp(rtp(2)), "wrong_source")
        call.dropped(world.peer("127.0.0.10"), alice.rtp(rtp(3)), "wrong_source")
        assert call.stats.a.latched == call.alice.address
        assert call.stats.a.source_changes == 0

    def test_RTP_03_a_replay_from_elsewhere_is_not_followed(self, world: World) -> None:
        """Nor relayed, nor taken for a failure of Alice's."""
        call, alice = encrypted(world)
        mallory = world.peer("127.0.0.66")
        taken = alice.rtp(rtp(2))
        call.from_alice(taken)
        world.advance(QUIET)
        call.dropped(mallory, taken, "wrong_source")
        call.bob.send(rtp(1), call.ports.b)
        world.expect(call.alice)
        assert mallory.pending() == []
        stats = call.stats.a
        assert (stats.latched, stats.replayed, stats.source_changes) == (call.alice.address, 0, 0)
        call.from_alice(alice.rtp(rtp(3)))

    def test_RTP_03_what_got_lost_and_comes_from_elsewhere_later_is_not_followed(self, world: World) -> None:
        """It is authentic and new to us, and whoever kept it back needs no key."""
        call, alice = encrypted(world)
        lost = alice.rtp(rtp(2))
        call.from_alice(alice.rtp(rtp(3)))
        world.advance(QUIET)
        mallory = world.peer("127.0.0.66")
        call.dropped(mallory, lost, "wrong_source")
        assert call.stats.a.latched == call.alice.address
        followed(call, world.peer("127.0.0.20"), alice.rtp(rtp(4)))

    def test_RTP_03_what_others_forge_is_no_failure_of_the_peer(self, world: World) -> None:
        call, alice = encrypted(world)
        mallory, forger = world.peer("127.0.0.66"), Outbound(keys(9))
        call.change(a={"receive_keys": keys(11)})
        for sequence in range(12):
            call.dropped(mallory, forger.rtp(rtp(sequence)), "wrong_source")
        call.dropped(mallory, rtp(2), "wrong_source")
        world.turn()
        assert call.events(EventKind.KEY_FAILURE) == []
        assert (call.stats.a.srtp_auth_failed, call.stats.a.auth_failing) == (0, 0)
        assert call.from_alice(alice.rtp(rtp(2))).packet == rtp(2)

    def test_RTP_03_while_the_peer_is_heard_nobody_takes_its_place(self, world: World) -> None:
        """Not even with packets of its own that somebody was faster to deliver."""
        call, alice = encrypted(world)
        mallory = world.peer("127.0.0.66")
        call.from_alice(alice.rtp(rtp(2)))
        world.advance(FOLLOW_AFTER - 0.1)
        call.dropped(mallory, alice.rtp(rtp(3)), "wrong_source")
        call.dropped(call.alice, b"\x80", "malformed")  # whatever comes from there: it is alive
        world.advance(FOLLOW_AFTER - 0.1)
        call.dropped(mallory, alice.rtp(rtp(4)), "wrong_source")
        assert call.stats.a.latched == call.alice.address

    def test_RTP_03_nobody_is_followed_twice_in_five_seconds(self, world: World) -> None:
        call, alice = encrypted(world)
        second, third = world.peer("127.0.0.20"), world.peer("127.0.0.21")
        followed(call, second, alice.rtp(rtp(2)))
        world.advance(FOLLOW_EVERY - 0.1)
        call.dropped(third, alice.rtp(rtp(3)), "wrong_source")
        world.advance(0.2)
        followed(call, third, alice.rtp(rtp(4)))
        world.turn()
        assert call.stats.a.source_changes == 2
        assert call.events(EventKind.SOURCE_CHANGED) == [Side.A], "told once"

    def test_RTP_03_before_anything_was_heard_an_authentic_packet_shows_the_peer(self, world: World) -> None:
        """Its signalling and its media left the NAT with different addresses."""
        call = Call(world, a={"receive_keys": ALICE, **AUTHENTICATED})
        alice, elsewhere = Outbound(ALICE), world.peer("127.0.0.20")
        call.dropped(elsewhere, alice.rtp(rtp(1)), "wrong_source")
        world.advance(QUIET)
        assert followed(call, elsewhere, alice.rtp(rtp(2))) == rtp(2)

    def test_RTP_03_a_new_remote_has_its_second_before_anybody_is_followed(self, world: World) -> None:
        call, alice = encrypted(world)
        server = world.peer("127.0.0.30")
        call.change(a={"remote": server.address})
        call.dropped(call.alice, alice.rtp(rtp(2)), "wrong_source")
        server.send(alice.rtp(rtp(3)), call.ports.a)
        world.expect(call.bob)
        assert call.stats.a.source_changes == 0

    def test_RTP_03_packets_under_the_key_before_are_authentic_too(self, world: World) -> None:
        call, alice = encrypted(world)
        call.change(a={"receive_keys": keys(11)})
        followed(call, world.peer("127.0.0.20"), alice.rtp(rtp(2)))

    def test_RTP_03_rtcp_follows(self, world: World) -> None:
        call, alice = encrypted(world)
        call.alice_rtcp.send(alice.rtcp(rtcp()), call.rtcp_ports[0])
        world.expect(call.bob_rtcp)
        moved, moved_rtcp = world.peer("127.0.0.20"), world.peer("127.0.0.20")
        call.dropped(moved_rtcp, alice.rtcp(rtcp()), "wrong_source", call.rtcp_ports[0])
        world.advance(QUIET)
        followed(call, moved, alice.rtp(rtp(2)))
        call.dropped(world.peer("127.0.0.66"), alice.rtcp(rtcp()), "wrong_source", call.rtcp_ports[0])
        moved_rtcp.send(alice.rtcp(rtcp()), call.rtcp_ports[0])
        world.expect(call.bob_rtcp)
        call.bob_rtcp.send(rtcp(), call.rtcp_ports[1])
        world.expect(moved_rtcp)
        call.dropped(call.alice_rtcp, alice.rtcp(rtcp()), "wrong_source", call.rtcp_ports[0])

    def test_RTP_03_reports_alone_move_nothing(self, world: World) -> None:
        """They come every few seconds: a silence between them says nothing."""
        call, alice = encrypted(world)
        call.change(a={"rtcp_mux": True})
        call.dropped(world.peer("127.0.0.20"), alice.rtcp(rtcp()), "wrong_source")
        assert call.stats.a.latched == call.alice.address

    def test_RTP_03_what_is_not_agreed_on_moves_nothing(self, world: World) -> None:
        call, alice = encrypted(world)
        call.dropped(world.peer("127.0.0.20"), alice.rtp(rtp(2, payload_type=97)), "wrong_source")

    def test_RTP_03_plain_speech_is_followed_to_another_port(self, world: World) -> None:
        call = plain(world)
        moved = world.peer("127.0.0.10")
        assert followed(call, moved, rtp(60)) == rtp(60)
        call.bob.send(rtp(1), call.ports.b)
        assert world.expect(moved)[0].packet == rtp(1)
        call.dropped(call.alice, rtp(61), "wrong_source")
        assert call.stats.a.source_changes == 1

    def test_RTP_03_plain_speech_is_never_followed_to_another_host(self, world: World) -> None:
        call = plain(world)
        call.dropped(world.peer("127.0.0.20"), rtp(3), "wrong_source")
        call.change(a={"latch_from": ("127.0.0.20",)})
        call.dropped(world.peer("127.0.0.20"), rtp(3), "wrong_source")

    def test_RTP_03_plain_speech_is_not_followed_by_default(self, world: World) -> None:
        call = plain(world, Follow.AUTHENTICATED)
        call.dropped(world.peer("127.0.0.10"), rtp(3), "wrong_source")

    @pytest.mark.parametrize(
        "strange",
        [rtp(3, ssrc=0x2222), rtp(2), rtp(1), rtp(3002), rtp(3)[:4] + b"\xff\xff\0\0" + rtp(3)[8:], rtp(3)[:4] + rtp(0)[4:8] + rtp(3)[8:]],
        ids=["other source", "the last again", "an earlier one", "far ahead", "time far ahead", "time behind"],
    )
    def test_RTP_03_plain_speech_is_followed_only_where_it_goes_on(self, world: World, strange: bytes) -> None:
        call = plain(world)
        moved = world.peer("127.0.0.10")
        call.dropped(moved, strange, "wrong_source")
        assert call.stats.a.latched == call.alice.address
        followed(call, moved, rtp(3))

    def test_RTP_03_plain_speech_goes_on_where_its_numbers_begin_again(self, world: World) -> None:
        call = Call(world, a=SAME_ADDRESS)
        for sequence in (65534, 65535):
            call.from_alice(rtp(sequence))
        world.advance(QUIET)
        assert followed(call, world.peer("127.0.0.10"), rtp(65536)) == rtp(65536)
