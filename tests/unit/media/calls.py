"""A relay between Alice (side A) and Bob (side B)."""

from __future__ import annotations

from typing import Any

from media.api import Address, EventKind, RelayStats, Side, SideSpec
from sbc.frozen import replace
from tests.unit.media.worlds import Arrival, Peer, World

CODECS = {8: 8, 0: 0, 101: 101}
CLOCKS = {8: 8000, 0: 8000, 101: 8000}


class Call:
    """`a` and `b` are changes to the plain SideSpec of each side."""

    def __init__(
        self,
        world: World,
        *,
        a: dict[str, Any] | None = None,
        b: dict[str, Any] | None = None,
        hosts: tuple[str, str] = ("127.0.0.10", "127.0.0.11"),
    ) -> None:
        self.world = world
        self.ports = world.ports.get("call") or world.open("call")
        self.alice, self.bob = world.peer(hosts[0]), world.peer(hosts[1])
        self.alice_rtcp, self.bob_rtcp = world.peer(hosts[0]), world.peer(hosts[1])
        common: dict[str, Any] = {"payload_types": CODECS, "clock_rates": CLOCKS}
        self.a = SideSpec(remote=self.alice.address, remote_rtcp=self.alice_rtcp.address, **common)
        self.b = SideSpec(remote=self.bob.address, remote_rtcp=self.bob_rtcp.address, **common)
        self.change(a=a, b=b)

    def change(self, *, a: dict[str, Any] | None = None, b: dict[str, Any] | None = None) -> None:
        self.a, self.b = replace(self.a, **(a or {})), replace(self.b, **(b or {}))
        self.world.engine.update("call", self.a, self.b)

    @property
    def rtcp_ports(self) -> tuple[Address, Address]:
        (a_host, a_port), (b_host, b_port) = self.ports.a, self.ports.b
        return (a_host, a_port + 1), (b_host, b_port + 1)

    @property
    def stats(self) -> RelayStats:
        return self.world.engine.stats("call")

    def from_alice(self, packet: bytes) -> Arrival:
        """Alice's packet as it reaches Bob."""
        self.alice.send(packet, self.ports.a)
        return self.world.expect(self.bob)[0]

    def from_bob(self, packet: bytes) -> Arrival:
        self.bob.send(packet, self.ports.b)
        return self.world.expect(self.alice)[0]

    def dropped(self, sender: Peer, packet: bytes, counter: str, to: Address | None = None) -> None:
        """`packet`, sent to side A, is counted under `counter` and reaches nobody."""
        before = getattr(self.stats.a, counter)
        sender.send(packet, to or self.ports.a)
        self.world.until(lambda: getattr(self.stats.a, counter) == before + 1)
        assert self.bob.pending() == []
        assert self.bob_rtcp.pending() == []

    def events(self, kind: EventKind) -> list[Side]:
        """The sides that reported `kind`, in order."""
        return [event.side for event in self.world.events if (event.relay, event.kind) == ("call", kind)]
