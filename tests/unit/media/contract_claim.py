"""Contract: somebody who writes the peer's address on its packets and is faster than the peer, and the peer after that."""

from __future__ import annotations

import pytest

from media.api import Follow, Interface
from media.keys import Outbound
from media.latch import FOLLOW_AFTER
from media.relay import MOST_PACKETS
from tests.unit.media.calls import Call
from tests.unit.media.packets import keys, rtcp, rtp
from tests.unit.media.worlds import Peer, World

SIGNALLING = "127.0.0.20"
FAX = b"\0\1\2\xc0\x11\0\0"


def usurped(world: World, host: str = "127.0.0.10") -> tuple[Call, Peer]:
    """Somebody at `host` is taken for Alice, of whom nothing has been heard."""
    call, mallory = Call(world, a={"latch_from": (SIGNALLING,)}), world.peer(host)
    mallory.send(rtp(1, ssrc=0x2222), call.ports.a)
    world.expect(call.bob)
    assert call.stats.a.latched == mallory.address
    return call, mallory


class Claims:
    @pytest.mark.parametrize("host", ["127.0.0.10", SIGNALLING])
    def test_RTP_03_whoever_was_faster_loses_the_place_to_where_the_peer_was_said_to_be(self, world: World, host: str) -> None:
        call, mallory = usurped(world, host)
        for sequence in range(100, 103):
            assert call.from_alice(rtp(sequence)).packet == rtp(sequence)
            call.dropped(mallory, rtp(sequence, ssrc=0x2222), "wrong_source")
        call.bob.send(rtp(1), call.ports.b)
        world.expect(call.alice)
        assert mallory.pending() == []
        stats = call.stats.a
        assert (stats.latched, stats.wrong_source, stats.source_changes) == (call.alice.address, 3, 0)

    def test_RTP_03_once_at_its_place_the_peer_loses_it_to_nobody(self, world: World) -> None:
        call, _ = usurped(world)
        call.from_alice(rtp(100))
        world.advance(FOLLOW_AFTER + 0.1)
        call.change(a={"payload_types": {8: 8}})
        for host in ("127.0.0.10", SIGNALLING):
            call.dropped(world.peer(host), rtp(101), "wrong_source")
        assert call.from_alice(rtp(101)).packet == rtp(101)

    def test_RTP_03_what_is_not_valid_claims_nothing(self, world: World) -> None:
        call, mallory = usurped(world)
        call.dropped(call.alice, b"\x80\x08", "malformed")
        call.dropped(call.alice, rtp(1, payload_type=97), "payload_type_mismatch")
        assert call.stats.a.latched == mallory.address
        mallory.send(rtp(2, ssrc=0x2222), call.ports.a)
        world.expect(call.bob)

    def test_RTP_03_the_port_before_or_after_is_not_where_the_peer_was_said_to_be(self, world: World) -> None:
        call, mallory = usurped(world)
        host, port = call.alice.address
        for each in (port - 1, port + 1):
            call.change(a={"remote": (host, each)})
            mallory.send(rtp(2, ssrc=0x2222), call.ports.a)
            world.expect(call.bob)
            world.advance(1)
            mallory.send(rtp(3, ssrc=0x2222), call.ports.a)
            world.expect(call.bob)
            call.dropped(call.alice, rtp(100), "wrong_source")

    def test_RTP_03_a_flood_in_its_place_leaves_the_peer_its_allowance(self, world: World) -> None:
        call, mallory = usurped(world)
        for start in range(1, MOST_PACKETS, 27):
            for sequence in range(start, start + 27):
                mallory.send(rtp(sequence, ssrc=0x2222), call.ports.a)
            world.expect(call.bob, 27)
        call.dropped(mallory, rtp(MOST_PACKETS, ssrc=0x2222), "over_rate")
        call.dropped(call.alice, b"\x80\x08", "malformed")
        call.dropped(mallory, rtp(MOST_PACKETS + 1, ssrc=0x2222), "over_rate")
        for sequence in range(100, 103):
            call.from_alice(rtp(sequence))

    def test_RTP_03_rtcp_claims_its_own_port(self, world: World) -> None:
        call = Call(world)
        mallory = world.peer("127.0.0.10")
        mallory.send(rtcp(), call.rtcp_ports[0])
        world.expect(call.bob_rtcp)
        call.alice_rtcp.send(rtcp(), call.rtcp_ports[0])
        world.expect(call.bob_rtcp)
        call.dropped(mallory, rtcp(), "wrong_source", call.rtcp_ports[0])
        call.bob_rtcp.send(rtcp(), call.rtcp_ports[1])
        world.expect(call.alice_rtcp)

    def test_RTP_03_fax_claims_too(self, world: World) -> None:
        call = Call(world, a={"udptl": True, "payload_types": {}}, b={"udptl": True, "payload_types": {}})
        mallory = world.peer("127.0.0.10")
        mallory.send(FAX, call.ports.a)
        world.expect(call.bob)
        assert call.from_alice(FAX).packet == FAX
        call.dropped(mallory, FAX, "wrong_source")

    def test_RTP_03_a_lock_that_was_proven_is_claimed_by_nobody(self, world: World) -> None:
        call = Call(world, a={"receive_keys": keys(1)})
        alice, at_another_port = Outbound(keys(1)), world.peer("127.0.0.10")
        at_another_port.send(alice.rtp(rtp(1)), call.ports.a)
        world.expect(call.bob)
        call.dropped(call.alice, alice.rtp(rtp(2)), "wrong_source")
        call.change(a={"receive_keys": None})
        call.dropped(call.alice, rtp(3), "wrong_source")
        assert call.stats.a.latched == at_another_port.address

    def test_RTP_03_a_peer_that_was_followed_is_where_it_was_followed_to(self, world: World) -> None:
        call = Call(world, a={"follow": Follow.SAME_ADDRESS})
        for sequence in (1, 2):
            call.from_alice(rtp(sequence))
        call.alice_rtcp.send(rtcp(), call.rtcp_ports[0])
        world.expect(call.bob_rtcp)
        world.advance(FOLLOW_AFTER + 0.1)
        moved, moved_rtcp = world.peer("127.0.0.10"), world.peer("127.0.0.10")
        moved.send(rtp(3), call.ports.a)
        world.expect(call.bob)
        moved_rtcp.send(rtcp(), call.rtcp_ports[0])
        world.expect(call.bob_rtcp)
        call.dropped(call.alice, rtp(4), "wrong_source")
        call.dropped(call.alice_rtcp, rtcp(), "wrong_source", call.rtcp_ports[0])
        assert call.stats.a.source_changes == 1

    def test_RTP_03_a_new_remote_begins_anew(self, world: World) -> None:
        """Where it proved to be before says nothing of another peer."""
        call = Call(world, a={"receive_keys": keys(1)})
        call.from_alice(Outbound(keys(1)).rtp(rtp(1)))
        server, mallory = world.peer("127.0.0.30"), world.peer("127.0.0.30")
        call.change(a={"remote": server.address, "receive_keys": None})
        mallory.send(rtp(1), call.ports.a)
        world.expect(call.bob)
        server.send(rtp(2), call.ports.a)
        world.expect(call.bob)
        call.dropped(mallory, rtp(3), "wrong_source")

    def test_RTP_03_claims_by_ipv6(self, world: World) -> None:
        world.engine.provide({"six": Interface(world.ours6, 42000, 42999)})
        world.open(a="six", b="six")
        call = Call(world, hosts=(world.theirs6, world.theirs6))
        mallory = world.peer(world.theirs6)
        mallory.send(rtp(1, ssrc=0x2222), call.ports.a)
        world.expect(call.bob)
        call.from_alice(rtp(1))
        call.dropped(mallory, rtp(2), "wrong_source")
        assert call.stats.a.latched == call.alice.address
