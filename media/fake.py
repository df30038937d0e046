"""An engine in memory, for tests: the real rules of a relay, with the network and the clock in the test's hands."""

from __future__ import annotations

import errno
from typing import NamedTuple

from media.api import Digit, EngineCapabilities, EventKind, Side
from media.control import RelayControl
from media.dtls import Immediate
from media.keys import SUITES
from media.latch import SocketAddress
from media.relay import Half


class Sent(NamedTuple):
    """A datagram that left the relay towards the peer of `side`, from its RTP or RTCP port."""

    relay: str
    side: Side
    rtcp: bool
    packet: bytes
    destination: SocketAddress


class FakeEngine(RelayControl):
    """See MediaEngine. Hooks: `receive` brings a packet, `take_sent` tells what left, `advance` lets time pass.

    Ports come in a fixed order. `in_use` holds (address, port) pairs that other processes have.
    Events come out of the hooks, and for what the protocol's own methods caused, of the next hook.
    """

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(EngineCapabilities(SUITES, ("memory",)), lambda: self.now, lambda ports: 0, Immediate())
        self.in_use: set[tuple[str, int]] = set()
        self._sent: list[Sent] = []
        self._events: list[tuple[Half, EventKind, Digit | None]] = []

    def receive(self, relay: str, side: Side, packet: bytes, source: SocketAddress, *, rtcp: bool = False) -> None:
        """A datagram from `source` arrives on a port of `side`. Raises MediaError for an unknown relay."""
        a, b = self._find(relay)
        half = a if side is Side.A else b
        (half.receive_rtcp if rtcp else half.receive)(packet, source, self.now)
        self._deliver_all()

    def take_sent(self) -> list[Sent]:
        """What left since the last call, in order."""
        sent, self._sent = self._sent, []
        return sent

    def advance(self, seconds: float) -> None:
        self.now += seconds
        self.type()
        self.sweep()
        self._associations.tick()
        self._deliver_all()

    def _attach(self, half: Half, address: str, port: int) -> None:
        taken = {(address, port), (address, port + 1)}
        if taken & self.in_use:
            raise OSError(errno.EADDRINUSE, "Address already in use")
        self.in_use |= taken
        half.port = port
        half.send_rtp = lambda packet, to: self._sent.append(Sent(half.relay, half.side, False, packet, to))
        half.send_rtcp = lambda packet, to: self._sent.append(Sent(half.relay, half.side, True, packet, to))

    def _detach(self, half: Half) -> None:
        self.in_use -= {(half.interface.address, half.port), (half.interface.address, half.port + 1)}
        del half.send_rtp, half.send_rtcp

    def _mark(self, half: Half, dscp: int) -> None:
        """What leaves here has no IP header."""

    def _post(self, half: Half, kind: EventKind, digit: Digit | None = None, /) -> None:
        self._events.append((half, kind, digit))

    def wake_at(self, due: float) -> None:
        """`advance` looks every time."""

    def _deliver_all(self) -> None:
        events, self._events = self._events, []
        for half, kind, digit in events:
            self._deliver(half, kind, digit)
