"""Both engines' rules: a peer that was said to be at a private address and is heard from another host is behind a NAT. Nobody who writes
that address on packets takes its place.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from media.api import Address, Interface, RelayStats, Side, SideSpec
from media.fake import FakeEngine
from tests.fuzz.driven import HOSTS, PORT, DrivenRelay
from tests.unit.media.packets import rtp

PRIVATE = ["10.0.0.0", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.7.9", "100.64.0.1", "100.127.255.255"]
PRIVATE6 = ["fc00::1", "fdff:ffff::1"]
OTHERS = ["9.255.255.255", "11.0.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0", "100.63.255.255", "100.128.0.0"]
OTHERS6 = ["fbff::1", "fe00::1", "2001:db8::1"]
NAT = {Side.A: "203.0.113.9", Side.B: "2001:db8::9"}

Packets = list[tuple[Side, Address]]


def by_python(a: SideSpec, b: SideSpec, packets: Packets) -> RelayStats:
    engine = FakeEngine()
    engine.provide({side: Interface(HOSTS[side], PORT, PORT + 1) for side in Side})
    engine.open("call", *Side)
    engine.update("call", a, b)
    for side, source in packets:
        engine.receive("call", side, rtp(1), source if side is Side.A else (*source, 0, 0), rtcp=False)
    return engine.close("call")


def by_c(a: SideSpec, b: SideSpec, packets: Packets) -> RelayStats:
    relay = DrivenRelay(1000.0)
    relay.update(a, b)
    for side, source in packets:
        relay.receive(side, rtp(1), source, rtcp=False)
    return relay.close()


Run = Callable[[SideSpec, SideSpec, Packets], RelayStats]


def latched(run: Run, said: str, first: str) -> Address | None:
    """Where the peer is that was said to be at port 4000 of `said`, after packets from another port of `first` and from there."""
    side = Side.B if ":" in said else Side.A
    spec = SideSpec(remote=(said, 4000), latch_from=(NAT[side],), payload_types={8: 8})
    a, b = (spec if each is side else SideSpec() for each in Side)
    stats = run(a, b, [(side, (first, 5000)), (side, (said, 4000))])
    return (stats.a if side is Side.A else stats.b).latched


@pytest.mark.parametrize("run", [by_python, by_c])
@pytest.mark.parametrize("said", [*PRIVATE, *PRIVATE6, *OTHERS, *OTHERS6])
def test_RTP_03_a_private_address_is_not_where_a_peer_behind_nat_is(run: Run, said: str) -> None:
    outside = NAT[Side.B if ":" in said else Side.A]
    assert latched(run, said, outside) == ((outside, 5000) if said in PRIVATE + PRIVATE6 else (said, 4000))
    assert latched(run, said, said) == (said, 4000), "a private network has no NAT between"
