"""What every engine does alike, and what those do alike whose packets are handled in Python. The engines add the packet I/O."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from media.api import (
    Digit,
    EngineCapabilities,
    EventKind,
    Interface,
    MediaError,
    MediaEvent,
    Packets,
    RelayPorts,
    RelayStats,
    Side,
    SideSpec,
    SideStats,
    Tier,
)
from media.dtls import Associations, Workshop
from media.forms import forms
from media.handshake import Identity
from media.interfaces import Interfaces
from media.keys import SUITES
from media.latch import Route, SocketAddress
from media.relay import Half


class Relay(NamedTuple):
    a: Half
    b: Half


class Control:
    """The MediaEngine protocol as far as no packet, no port and no relay is in it, and what DTLS needs of an engine.

    `clock` is monotonic seconds; `choose(n)` a random number below `n`, for port numbers nobody can guess.
    """

    def __init__(
        self, capabilities: EngineCapabilities, clock: Callable[[], float], choose: Callable[[int], int], workshop: Workshop
    ) -> None:
        self._capabilities = capabilities
        self._clock = clock
        self._interfaces = Interfaces(clock, choose)
        self._listener: Callable[[MediaEvent], None] | None = None
        self._tiers: Mapping[str, Tier] = {}
        self._associations = Associations(Identity(), workshop, clock, self)
        self._typing: dict[tuple[str, Side], None] = {}  # to whose peers digits are sent

    def add_digit(self, relay: str, side: Side, digit: Digit) -> None:
        """Have it sent by `type_one`. Raises MediaError."""
        raise NotImplementedError

    def type_one(self, relay: str, side: Side) -> float | None:
        """Send what is due of the digits to that side. When the next is; None: no more."""
        raise NotImplementedError

    def wake_at(self, due: float) -> None:
        """Have `type` called then, or not much later, instead of when it was last asked for."""
        raise NotImplementedError

    def apply(self, relay: str, a: SideSpec, b: SideSpec) -> None:
        """Have both sides do that now. Raises MediaError."""
        raise NotImplementedError

    def send_handshake(self, relay: str, side: Side, rtcp: bool, octets: bytes, destination: SocketAddress) -> None:
        """From the RTP or the RTCP port of that side. What cannot be sent is lost, as on the wire."""
        raise NotImplementedError

    def report(self, relay: str, side: Side, kind: EventKind) -> None:
        """Tell the listener, once no method of the engine is running."""
        raise NotImplementedError

    @property
    def capabilities(self) -> EngineCapabilities:
        return self._capabilities

    @property
    def fingerprint(self) -> str:
        return self._associations.identity.fingerprint

    def provide(self, interfaces: Mapping[str, Interface]) -> None:
        self._interfaces.provide(interfaces)
        self._tiers = sockets_only(self._capabilities, interfaces)

    def tiers(self) -> Mapping[str, Tier]:
        return self._tiers

    def on_event(self, listener: Callable[[MediaEvent], None]) -> None:
        self._listener = listener

    def update(self, relay: str, a: SideSpec, b: SideSpec) -> None:
        if a.udptl is not b.udptl:
            raise MediaError("UDPTL on one side only")
        if any(spec.udptl and (spec.receive_keys or spec.send_keys or spec.payload_types or spec.needs_user_space) for spec in (a, b)):
            raise MediaError("UDPTL has neither keys nor payload types")
        for spec in (a, b):
            if not 0 <= spec.dscp < 64:
                raise MediaError(f"DSCP {spec.dscp} does not exist")
        self._associations.update(relay, a, b)

    def send_digit(self, relay: str, side: Side, digit: Digit) -> None:
        self.add_digit(relay, side, digit)
        self._typing[relay, side] = None
        self.type()

    def type(self) -> None:
        """Send what is due of all digits."""
        dues = {each: self.type_one(*each) for each in self._typing}
        self._typing = dict.fromkeys(each for each, due in dues.items() if due is not None)
        if self._typing:
            self.wake_at(min(due for due in dues.values() if due is not None))

    def _type_no_more(self, relay: str) -> None:
        """It is closed."""
        for side in Side:
            self._typing.pop((relay, side), None)


def sockets_only(capabilities: EngineCapabilities, interfaces: Mapping[str, Interface]) -> dict[str, Tier]:
    """The tiers of an engine that has no other."""
    name = capabilities.tiers[-1]
    problem = f"XDP is for the compiled media engine, and this is {name}"
    return {each: Tier(name, problem if interface.packets == Packets.XDP else "") for each, interface in interfaces.items()}


class RelayControl(Control):
    """The MediaEngine protocol but for `_attach`, `_detach`, `_mark` and `_post`: for engines whose packets pass through media/relay.py."""

    def __init__(
        self, capabilities: EngineCapabilities, clock: Callable[[], float], choose: Callable[[int], int], workshop: Workshop
    ) -> None:
        super().__init__(capabilities, clock, choose, workshop)
        self._relays: dict[str, Relay] = {}

    def _attach(self, half: Half, address: str, port: int) -> None:
        """Bind RTP to `port` and RTCP to the next, connect them with `half`. All or nothing; raises OSError."""
        raise NotImplementedError

    def _detach(self, half: Half) -> None:
        """Undo `_attach`."""
        raise NotImplementedError

    def _mark(self, half: Half, dscp: int) -> None:
        """Packets sent from both ports of `half` have that DSCP from now on."""
        raise NotImplementedError

    def _post(self, half: Half, kind: EventKind, digit: Digit | None = None, /) -> None:
        """Have `_deliver` called once no method of the engine is running."""
        raise NotImplementedError

    def open(self, relay: str, interface_a: str, interface_b: str) -> RelayPorts:
        if relay in self._relays:
            raise MediaError(f"relay {relay!r} is open already")
        a = self._open_half(relay, Side.A, interface_a)
        try:
            b = self._open_half(relay, Side.B, interface_b)
        except MediaError:
            self._detach(a)
            self._interfaces.give_back(a.interface, a.port)
            raise
        a.far, b.far = b, a
        self._relays[relay] = Relay(a, b)
        return RelayPorts((a.interface.address, a.port), (b.interface.address, b.port), self.fingerprint)

    def apply(self, relay: str, a: SideSpec, b: SideSpec) -> None:
        halves = self._find(relay)
        refuse_unknown_suites((a, b))
        checked = [(half, spec, Route.of(spec, _family(half.interface)), forms(spec)) for half, spec in zip(halves, (a, b), strict=True)]
        now = self._clock()
        for half, spec, route, table in checked:
            if spec.dscp != half.dscp:
                self._mark(half, spec.dscp)
            half.update(spec, route, table, now)

    def add_digit(self, relay: str, side: Side, digit: Digit) -> None:
        self._half(relay, side).add_digit(digit)

    def type_one(self, relay: str, side: Side) -> float | None:
        return self._half(relay, side).type(self._clock())

    def stats(self, relay: str) -> RelayStats:
        a, b = self._find(relay)
        return RelayStats(self._stats(a), self._stats(b))

    def close(self, relay: str) -> RelayStats:
        halves = self._find(relay)
        del self._relays[relay]
        for half in halves:
            self._detach(half)
            self._interfaces.release(half.interface, half.port)
        a, b = halves
        stats = RelayStats(self._stats(a), self._stats(b))
        del a.far, b.far  # a cycle: the collector shall not have to find it
        self._associations.close(relay)
        self._type_no_more(relay)
        return stats

    def shutdown(self) -> None:
        self._associations.shutdown()
        for relay in list(self._relays):
            self.close(relay)
        self._interfaces.provide({})

    def sweep(self) -> None:
        """Look for silent peers."""
        now = self._clock()
        for a, b in self._relays.values():
            a.watch(now)
            b.watch(now)

    def send_handshake(self, relay: str, side: Side, rtcp: bool, octets: bytes, destination: SocketAddress) -> None:
        half = self._half(relay, side)
        with suppress(OSError):
            (half.send_rtcp if rtcp else half.send_rtp)(octets, destination)

    def report(self, relay: str, side: Side, kind: EventKind) -> None:
        self._post(self._half(relay, side), kind)

    def _half(self, relay: str, side: Side) -> Half:
        a, b = self._find(relay)
        return a if side is Side.A else b

    def _stats(self, half: Half) -> SideStats:
        return half.stats(self._associations.suite(half.relay, half.side))

    def _handshake(self, half: Half, rtcp: bool, octets: bytes, source: SocketAddress) -> None:
        self._associations.receive(half.relay, half.side, rtcp, octets, source)

    def _find(self, relay: str) -> Relay:
        try:
            return self._relays[relay]
        except KeyError:
            raise MediaError(f"no relay {relay!r}") from None

    def _open_half(self, relay: str, side: Side, name: str) -> Half:
        half = Half(relay, side, self._interfaces.find(name), self._post, self._handshake)
        half.port = self._interfaces.take(half.interface, partial(self._attach, half))
        return half

    def _deliver(self, half: Half, kind: EventKind, digit: Digit | None = None) -> None:
        relay = self._relays.get(half.relay)
        if relay is not None and half in relay and self._listener is not None:
            source = half.stranger[:2] if kind == EventKind.INTRUSION and half.stranger is not None else None
            self._listener(MediaEvent(half.relay, half.side, kind, digit, source))


def refuse_unknown_suites(specs: tuple[SideSpec, SideSpec]) -> None:
    for spec in specs:
        for keys in (spec.receive_keys, spec.send_keys):
            if keys is not None and keys.suite not in SUITES:
                raise MediaError(f"libsrtp as it is wrapped here has no {keys.suite}")


def _family(interface: Interface) -> int:
    return socket.AF_INET6 if ":" in interface.address else socket.AF_INET
