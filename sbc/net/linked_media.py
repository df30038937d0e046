"""Media of linked sites: the relay sees a peer at one address of this machine, and we are that peer, for all calls of all links.

A side that is at a link sends from its own port as ever, which tells us the call, and so the flow at the other end: the port of the
relay there, as the session description has it. What comes by the link names our port in the same way. So there is one socket, one
table, and nothing to agree on besides what SIP says anyway.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from media.api import (
    Digit,
    EngineCapabilities,
    Interface,
    LinkStats,
    MediaEngine,
    MediaError,
    MediaEvent,
    RelayPorts,
    RelayStats,
    Side,
    SideSpec,
    SideStats,
    Tier,
)
from sbc.flow import Address
from sbc.frozen import replace
from sbc.net.limits import DATAGRAM, UDP_BUFFER
from sbc.policy.sites import LOOPBACK

PACKETS_PER_WAKEUP = 128  # a round of 100 calls; then SIP gets its turn


class Carrier(Protocol):
    """sbc.net.links."""

    def send_media(self, link: str, flow: int, packet: bytes) -> None: ...

    def flush(self) -> None: ...

    def figures(self, link: str) -> LinkStats | None: ...


@dataclass(frozen=True, slots=True)
class _Way:
    """From one port of ours to the flow at the other end of that link."""

    link: str
    flow: int


class LinkedMedia:
    """A MediaEngine in front of another one; what is at no link passes as it is. `connect` before the first relay."""

    _carrier: Carrier

    def __init__(self, engine: MediaEngine, loop: asyncio.AbstractEventLoop) -> None:
        self.unknown = 0  # packets that came by a link for no call of it
        self._engine = engine
        self._loop = loop
        self._socket: socket.socket | None = None
        self._here = (LOOPBACK, 0)
        self._ports: dict[str, tuple[Address, Address]] = {}
        self._links: dict[str, tuple[str, str]] = {}  # of the sides of a relay
        self._ways: dict[int, _Way] = {}

    def connect(self, carrier: Carrier) -> None:
        self._carrier = carrier

    def receive(self, link: str, flow: int, packet: bytes) -> None:
        """What came by that link for our port `flow`."""
        way = self._ways.get(flow)
        if way is None or way.link != link or self._socket is None:
            self.unknown += 1
            return
        with suppress(OSError):  # the buffer of the relay is full: lost, as on the wire
            self._socket.sendto(packet, (LOOPBACK, flow))

    # MediaEngine

    @property
    def capabilities(self) -> EngineCapabilities:
        return self._engine.capabilities

    @property
    def fingerprint(self) -> str:
        return self._engine.fingerprint

    def provide(self, interfaces: Mapping[str, Interface]) -> None:
        self._engine.provide(interfaces)

    def tiers(self) -> Mapping[str, Tier]:
        return self._engine.tiers()

    def on_event(self, listener: Callable[[MediaEvent], None]) -> None:
        self._engine.on_event(listener)

    def open(self, relay: str, interface_a: str, interface_b: str) -> RelayPorts:
        ports = self._engine.open(relay, interface_a, interface_b)
        self._ports[relay] = (ports.a, ports.b)
        return ports

    def update(self, relay: str, a: SideSpec, b: SideSpec) -> None:
        if not (a.link or b.link) or relay not in self._ports:
            self._engine.update(relay, a, b)
            return
        here = self._listen()
        self._links[relay] = (a.link, b.link)
        for own, spec in zip(self._ports[relay], (a, b), strict=True):
            self._set_way(own, spec)
        self._engine.update(relay, _as_seen(a, here), _as_seen(b, here))

    def send_digit(self, relay: str, side: Side, digit: Digit) -> None:
        self._engine.send_digit(relay, side, digit)

    def stats(self, relay: str) -> RelayStats:
        return self._with_links(relay, self._engine.stats(relay))

    def close(self, relay: str) -> RelayStats:
        for host, port in self._ports.pop(relay, ()):
            if host == LOOPBACK:
                self._ways.pop(port, None)
                self._ways.pop(port + 1, None)
        stats = self._with_links(relay, self._engine.close(relay))
        self._links.pop(relay, None)
        return stats

    def shutdown(self) -> None:
        self._engine.shutdown()
        if self._socket is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def _listen(self) -> tuple[str, int]:
        if self._socket is None:
            try:
                opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                opened.setblocking(False)
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UDP_BUFFER)
                opened.bind((LOOPBACK, 0))
            except OSError as error:
                raise MediaError(f"media of linked sites: {error.strerror}") from error
            self._loop.add_reader(opened.fileno(), self._readable)
            self._socket, self._here = opened, opened.getsockname()
        return self._here

    def _set_way(self, here: Address, spec: SideSpec) -> None:
        host, port = here
        if host != LOOPBACK:  # another relay may have the same port there, of a call by a link
            return
        for own, far in ((port, spec.remote), (port + 1, spec.remote_rtcp)):
            if spec.link and far is not None:
                self._ways[own] = _Way(spec.link, far[1])
            else:
                self._ways.pop(own, None)

    def _readable(self) -> None:
        assert self._socket is not None
        receive, ways, send = self._socket.recvfrom, self._ways, self._carrier.send_media
        for _ in range(PACKETS_PER_WAKEUP):
            try:
                packet, (host, port) = receive(DATAGRAM)
            except BlockingIOError:
                break
            except OSError:  # a relay's port that has just closed
                continue
            way = ways.get(port)
            if way is not None and host == LOOPBACK:
                send(way.link, way.flow, packet)
        self._carrier.flush()

    def _with_links(self, relay: str, stats: RelayStats) -> RelayStats:
        links = self._links.get(relay)
        if links is None:
            return stats
        a, b = [self._with_link(link, side) for link, side in zip(links, (stats.a, stats.b), strict=True)]
        return RelayStats(a, b)

    def _with_link(self, link: str, side: SideStats) -> SideStats:
        return replace(side, link=self._carrier.figures(link)) if link else side


def _as_seen(spec: SideSpec, here: tuple[str, int]) -> SideSpec:
    """By the relay, which knows nothing of links."""
    if not spec.link:
        return spec
    return replace(
        spec,
        link="",
        remote=here if spec.remote is not None else None,
        remote_rtcp=here if spec.remote_rtcp is not None else None,
        latch_from=(),
    )
