"""What the network is told of the packets that leave."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable, Iterator

import pytest
import uvloop

from media.api import EXPEDITED, Interface, Side, SideSpec
from sbc.frozen import replace
from tests.unit.media.packets import rtcp, rtp
from tests.unit.media.worlds import LoopbackWorld, NativeWorld

WORLDS: dict[str, Callable[[], LoopbackWorld]] = {
    "portable": lambda: LoopbackWorld(asyncio.new_event_loop),
    "native": lambda: NativeWorld(uvloop.new_event_loop),
}
AF31 = 26


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest) -> Iterator[LoopbackWorld]:
    world = WORLDS[request.param]()
    world.begin({"near": Interface("127.0.0.2", 42000, 42999), "away": Interface("::1", 42000, 42999)})
    yield world
    world.end()


class Peer:
    """One that sees the traffic class of what it gets."""

    def __init__(self, host: str) -> None:
        six = ":" in host
        self.socket = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind((host, 0))
        option = (socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS) if six else (socket.IPPROTO_IP, socket.IP_RECVTOS)
        self.socket.setsockopt(*option, 1)
        self.address = self.socket.getsockname()[:2]

    def seen(self, world: LoopbackWorld) -> int:
        """DSCP and ECN of the next packet."""
        octets: list[bytes] = []

        def arrived() -> bool:
            try:
                octets.extend(data for _, _, data in self.socket.recvmsg(2048, 64)[1])
            except BlockingIOError:
                return False
            return True

        world.until(arrived)
        (octet,) = octets
        return int.from_bytes(octet[:4], sys.byteorder)


@pytest.mark.parametrize("mux", [False, True])
def test_RTP_10_packets_are_marked_as_their_side_says(world: LoopbackWorld, mux: bool) -> None:
    ports = world.open()
    peers = {Side.A: Peer("127.0.0.10"), Side.B: Peer("::1")}
    controls = {Side.A: Peer("127.0.0.10"), Side.B: Peer("::1")}
    specs = {
        side: SideSpec(remote=peers[side].address, remote_rtcp=controls[side].address, rtcp_mux=mux, payload_types={8: 8}) for side in Side
    }

    def marks(side: Side, sequence: int) -> tuple[int, int]:
        """What the peer of `side` sees of RTP and RTCP."""
        to = ports.b if side is Side.A else ports.a
        other = side.other
        peers[other].socket.sendto(rtp(sequence), to)
        (peers if mux else controls)[other].socket.sendto(rtcp(), to if mux else (to[0], to[1] + 1))
        return peers[side].seen(world), (peers if mux else controls)[side].seen(world)

    world.engine.update("call", specs[Side.A], specs[Side.B])
    for side in Side:
        assert marks(side, 1) == (EXPEDITED << 2,) * 2, "the usual"
    world.engine.update("call", replace(specs[Side.A], dscp=AF31), replace(specs[Side.B], dscp=0))
    assert marks(Side.A, 2) == (AF31 << 2,) * 2
    assert marks(Side.B, 2) == (0, 0)
    for peer in (*peers.values(), *controls.values()):
        peer.socket.close()


def test_RTP_10_a_port_that_is_bound_again_is_marked_like_the_other(world: LoopbackWorld) -> None:
    ports = world.open()
    bob, bob_rtcp, alice = Peer("::1"), Peer("::1"), world.peer()
    a = SideSpec(remote=alice.address, payload_types={8: 8})
    b = SideSpec(remote=bob.address, remote_rtcp=bob_rtcp.address, rtcp_mux=True, payload_types={8: 8}, dscp=AF31)
    world.engine.update("call", a, b)
    world.advance(6)
    world.engine.update("call", a, replace(b, rtcp_mux=False))
    alice.send(rtcp(), (ports.a[0], ports.a[1] + 1))
    assert bob_rtcp.seen(world) == AF31 << 2
    bob.socket.close()
    bob_rtcp.socket.close()
