"""One relay engine among its peers, in memory or on loopback, behind one face for the contract tests."""

from __future__ import annotations

import asyncio
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import NamedTuple

from media.api import Address, Interface, MediaEngine, MediaEvent, RelayPorts, Side
from media.fake import FakeEngine
from media.native.engine import NativeEngine
from media.portable import PortableEngine

DEADLINE = 5.0
PORTS = 42000, 42999


class Arrival(NamedTuple):
    packet: bytes
    source: Address


class Peer(ABC):
    address: Address

    @abstractmethod
    def send(self, packet: bytes, to: Address) -> None: ...

    @abstractmethod
    def pending(self) -> list[Arrival]:
        """What has arrived and was not yet taken."""


class World(ABC):
    """`near` (127.0.0.2) is the interface of the A sides, `away` (127.0.0.3) that of the B sides."""

    engine: MediaEngine
    ours6 = theirs6 = "::1"
    theirs6_put_oddly = "0:0::1"

    def __init__(self) -> None:
        self.events: list[MediaEvent] = []
        self.ports: dict[str, RelayPorts] = {}

    def begin(self, interfaces: Mapping[str, Interface] | None = None) -> None:
        self.engine.provide(interfaces or {"near": Interface("127.0.0.2", *PORTS), "away": Interface("127.0.0.3", *PORTS)})
        self.engine.on_event(self.events.append)

    def open(self, relay: str = "call", a: str = "near", b: str = "away") -> RelayPorts:
        self.ports[relay] = self.engine.open(relay, a, b)
        return self.ports[relay]

    def expect(self, peer: Peer, count: int = 1) -> list[Arrival]:
        """The next `count` packets at `peer`, which are all there are."""
        arrived: list[Arrival] = []

        def enough() -> bool:
            arrived.extend(peer.pending())
            return len(arrived) >= count

        self.until(enough)
        assert len(arrived) == count
        return arrived

    @abstractmethod
    def peer(self, host: str = "127.0.0.10", port: int = 0) -> Peer: ...

    @abstractmethod
    def occupy(self, address: Address) -> None:
        """Another process binds that UDP port."""

    @abstractmethod
    def advance(self, seconds: float) -> None:
        """Let the engine's clock go on."""

    @abstractmethod
    def until(self, condition: Callable[[], bool]) -> None:
        """Let the engine work until `condition` holds; fail when it never does."""

    @abstractmethod
    def until_stepping(self, condition: Callable[[], bool]) -> None:
        """The same where `condition` takes a step itself each time it is asked."""

    @abstractmethod
    def turn(self) -> None:
        """Let the engine do whatever is due."""

    @abstractmethod
    def end(self) -> None: ...


class FakePeer(Peer):
    def __init__(self, world: FakeWorld, address: Address) -> None:
        self.address = address
        self.arrived: list[Arrival] = []
        self._world = world

    def send(self, packet: bytes, to: Address) -> None:
        self._world.deliver(packet, self.address, to)

    def pending(self) -> list[Arrival]:
        self._world.collect()
        arrived, self.arrived = self.arrived, []
        return arrived


class FakeWorld(World):
    def __init__(self) -> None:
        super().__init__()
        self.engine: FakeEngine = FakeEngine()
        self._peers: dict[Address, FakePeer] = {}

    def peer(self, host: str = "127.0.0.10", port: int = 0) -> Peer:
        address = host, port or 50000 + 2 * len(self._peers)
        self._peers[address] = FakePeer(self, address)
        return self._peers[address]

    def deliver(self, packet: bytes, source: Address, to: Address) -> None:
        for relay, ports in self.ports.items():
            for side, (host, port) in ((Side.A, ports.a), (Side.B, ports.b)):
                if to in ((host, port), (host, port + 1)):
                    self.engine.receive(relay, side, packet, source, rtcp=to[1] != port)

    def collect(self) -> None:
        for sent in self.engine.take_sent():
            ports = self.ports[sent.relay]
            host, port = ports.a if sent.side is Side.A else ports.b
            receiver = self._peers.get((sent.destination[0], sent.destination[1]))
            if receiver is not None:
                receiver.arrived.append(Arrival(sent.packet, (host, port + sent.rtcp)))

    def occupy(self, address: Address) -> None:
        self.engine.in_use.add(address)

    def advance(self, seconds: float) -> None:
        self.engine.advance(seconds)

    def until(self, condition: Callable[[], bool]) -> None:
        assert condition()

    def until_stepping(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < deadline, "did not happen"
            self.turn()

    def turn(self) -> None:
        self.engine.advance(0)

    def end(self) -> None:
        self.engine.shutdown()


class SocketPeer(Peer):
    """Takes the socket over."""

    def __init__(self, made: socket.socket, host: str, port: int) -> None:
        self.socket = made
        self.socket.setblocking(False)
        self.socket.bind((host, port))
        self.address = self.socket.getsockname()[:2]

    def send(self, packet: bytes, to: Address) -> None:
        self.socket.sendto(packet, to)

    def pending(self) -> list[Arrival]:
        arrived: list[Arrival] = []
        while True:
            try:
                packet, source = self.socket.recvfrom(4096)
            except BlockingIOError:
                return arrived
            arrived.append(Arrival(packet, source[:2]))


class LoopbackWorld(World):
    """An engine on a real loop, with a clock that the test moves."""

    sweeps_take = 0.006

    def __init__(self, loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
        super().__init__()
        self._loop = loop_factory()
        self._now = 1000.0
        self._sockets: list[socket.socket] = []
        self.engine = self._build()

    def _build(self) -> MediaEngine:
        return PortableEngine(self._loop, clock=lambda: self._now, sweep_every=0.002)

    def peer(self, host: str = "127.0.0.10", port: int = 0) -> Peer:
        made = self._socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self._sockets.append(made)
        return self._peer(made, host, port)

    def _socket(self, family: socket.AddressFamily) -> socket.socket:
        """Where the peers are."""
        return socket.socket(family, socket.SOCK_DGRAM)

    def _peer(self, made: socket.socket, host: str, port: int) -> Peer:
        return SocketPeer(made, host, port)

    def occupy(self, address: Address) -> None:
        taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        taken.bind(address)
        self._sockets.append(taken)

    def advance(self, seconds: float) -> None:
        self.turn()  # what was sent before belongs to the time before
        self._go_to(self._now + seconds)
        self.turn()

    def _go_to(self, now: float) -> None:
        self._now = now

    def until(self, condition: Callable[[], bool]) -> None:
        async def wait() -> None:
            deadline = time.monotonic() + DEADLINE
            while not condition():
                assert time.monotonic() < deadline, "did not happen"
                await asyncio.sleep(0.0005)

        self._loop.run_until_complete(wait())

    def until_stepping(self, condition: Callable[[], bool]) -> None:
        self.until(condition)

    def turn(self) -> None:
        """Two sweeps, and the packets that are there."""
        swept: list[object] = []
        self._loop.call_later(self.sweeps_take, swept.append, None)
        self.until(lambda: bool(swept))

    def end(self) -> None:
        self.engine.shutdown()
        for each in self._sockets:
            each.close()
        self._loop.run_until_complete(asyncio.sleep(0))  # uvloop closes handles a turn later
        self._loop.close()


class NativeWorld(LoopbackWorld):
    """NativeEngine: the packets move on a thread of its own, by the same moved clock."""

    engine: NativeEngine
    sweeps_take = 0.03  # a busy machine lets the thread wait

    def _build(self) -> MediaEngine:
        engine = NativeEngine(self._loop, clock=lambda: self._now, sweep_every=0.002)
        engine.set_clock(self._now)
        return engine

    def _go_to(self, now: float) -> None:
        super()._go_to(now)
        self.engine.set_clock(now)
