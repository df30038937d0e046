"""MediaEngine over the compiled core: names and ports here, packets there."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from media.alarm import Alarm
from media.api import (
    KEYPAD,
    Digit,
    EngineCapabilities,
    EventKind,
    Follow,
    Interface,
    Keys,
    Law,
    MediaError,
    MediaEvent,
    RelayPorts,
    RelayStats,
    Side,
    SideSpec,
    SideStats,
)
from media.control import Control
from media.dtls import LoopWorkshop
from media.interfaces import refusal
from media.latch import SocketAddress
from media.native import core
from media.native.keys import NUMBERS, SUITES
from media.native.tiers import AVAILABLE, DEFAULT, Express, Tiers
from media.ports import Choice

_EVENTS = (EventKind.FIRST_PACKET, EventKind.SILENCE, EventKind.KEY_FAILURE, EventKind.FLOOD, EventKind.SOURCE_CHANGED, EventKind.KEY_WORN)
_HANDSHAKE = len(_EVENTS)  # not for the listener
_DIGIT = _HANDSHAKE + 1
_INTRUSION = _DIGIT + 1
_FOLLOW = {each: number for number, each in enumerate(Follow)}
_SIDES = (Side.A, Side.B)

_LAWS = {Law.A: 1, Law.MU: 2}
_LONGEST_DIGIT = 60_000  # milliseconds; the core has room for some more, and makes less of it

_MACHINE = -1.0  # the clock of the machine

CAPABILITIES = EngineCapabilities(SUITES, AVAILABLE)


class _Relay(NamedTuple):
    handle: int
    interfaces: tuple[Interface, Interface]
    ports: tuple[int, int]


class NativeEngine(Control):
    """See MediaEngine. `workers` threads share the relays; `clock` may be one that tests move, by `set_clock`."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        workers: int = 1,
        clock: Callable[[], float] = time.monotonic,
        choose: Callable[[int], int] | None = None,
        sweep_every: float = 1.0,
        express: Express = DEFAULT,
    ) -> None:
        super().__init__(CAPABILITIES, clock, choose or Choice(os.urandom), LoopWorkshop(loop))
        self._loop = loop
        self._core = core.Engine(workers, sweep_every, _MACHINE)
        self._express = Tiers(self._core, workers, express)
        self._relays: dict[str, _Relay] = {}
        self._names: dict[int, str] = {}
        self._stopped = False
        self._alarm = Alarm(loop, clock, self.type)
        loop.add_reader(self._core.fileno(), self._deliver)

    @property
    def express(self) -> Tiers:
        return self._express

    def set_clock(self, seconds: float) -> None:
        """Let the core stand at that time until the next call."""
        self._core.set_clock(seconds)

    def provide(self, interfaces: Mapping[str, Interface]) -> None:
        super().provide(interfaces)
        self._tiers = self._express.provide(interfaces)

    def open(self, relay: str, interface_a: str, interface_b: str) -> RelayPorts:
        if relay in self._relays:
            raise MediaError(f"relay {relay!r} is open already")
        near, away = self._interfaces.find(interface_a), self._interfaces.find(interface_b)
        pairs: list[int] = []

        def bind(address: str, port: int) -> None:
            pairs.append(self._core.bind(address, port))

        ports: list[int] = []
        try:
            for interface in (near, away):
                ports.append(self._interfaces.take(interface, bind))  # noqa: PERF401 - what was taken before an error goes back
            handle = self._core.open(*pairs)
        except (MediaError, OSError) as error:
            for pair, port, interface in zip(pairs, ports, (near, away), strict=False):
                self._core.unbind(pair)
                self._interfaces.give_back(interface, port)
            if isinstance(error, MediaError):
                raise
            raise refusal(error, f"relay {relay!r}") from error
        self._relays[relay] = _Relay(handle, (near, away), (ports[0], ports[1]))
        self._names[handle] = relay
        return RelayPorts((near.address, ports[0]), (away.address, ports[1]), self.fingerprint)

    def apply(self, relay: str, a: SideSpec, b: SideSpec) -> None:
        handle = self._find(relay).handle
        try:
            self._core.update(handle, _told(a), _told(b))
        except (ValueError, OverflowError) as error:
            raise MediaError(str(error)) from None
        except OSError as error:
            raise refusal(error, f"relay {relay!r}") from error

    def stats(self, relay: str) -> RelayStats:
        return self._stats(relay, *self._core.stats(self._find(relay).handle))

    def close(self, relay: str) -> RelayStats:
        found = self._find(relay)
        del self._relays[relay], self._names[found.handle]
        stats = self._stats(relay, *self._core.close(found.handle))
        self._associations.close(relay)
        self._type_no_more(relay)
        for interface, port in zip(found.interfaces, found.ports, strict=True):
            self._interfaces.release(interface, port)
        return stats

    def shutdown(self) -> None:
        self._interfaces.provide({})
        self._associations.shutdown()
        self._alarm.cancel()
        self._typing.clear()
        self._relays.clear()
        self._names.clear()
        if not self._stopped:
            self._stopped = True
            self._loop.remove_reader(self._core.fileno())
            self._core.stop()
            self._express.close()

    def add_digit(self, relay: str, side: Side, digit: Digit) -> None:
        event, duration = KEYPAD.index(digit.key), min(digit.duration, _LONGEST_DIGIT)
        self._core.add_digit(self._find(relay).handle, side is Side.B, event, duration)

    def type_one(self, relay: str, side: Side) -> float | None:
        return self._core.type(self._find(relay).handle, side is Side.B)

    def wake_at(self, due: float) -> None:
        self._alarm.ring_at(due)

    def send_handshake(self, relay: str, side: Side, rtcp: bool, octets: bytes, destination: SocketAddress) -> None:
        self._core.send(self._find(relay).handle, side is Side.B, rtcp, octets, (destination[0], destination[1]))

    def report(self, relay: str, side: Side, kind: EventKind) -> None:
        self._loop.call_soon(self._tell, self._find(relay).handle, side, kind)

    def _stats(self, relay: str, a: core._Stats, b: core._Stats) -> RelayStats:
        return RelayStats(SideStats(*a, self._associations.suite(relay, Side.A)), SideStats(*b, self._associations.suite(relay, Side.B)))

    def _find(self, relay: str) -> _Relay:
        try:
            return self._relays[relay]
        except KeyError:
            raise MediaError(f"no relay {relay!r}") from None

    def _deliver(self) -> None:
        for handle, side, event in self._core.take_events():
            if event == _HANDSHAKE:
                self._receive_handshake(handle, _SIDES[side])
            elif event == _DIGIT:
                self._take_digits(handle, _SIDES[side])
            elif event == _INTRUSION:
                self._loop.call_soon(self._tell, handle, _SIDES[side], EventKind.INTRUSION)
            else:
                self._loop.call_soon(self._tell, handle, _SIDES[side], _EVENTS[event])  # one at a time: a listener may raise

    def _receive_handshake(self, handle: int, side: Side) -> None:
        name = self._names.get(handle)  # the listener may have closed it just now
        if name is not None:
            for rtcp, octets, source in self._core.take_handshake(handle, side is Side.B):
                self._associations.receive(name, side, rtcp, octets, source)

    def _take_digits(self, handle: int, side: Side) -> None:
        if handle in self._names:
            for event, duration in self._core.take_digits(handle, side is Side.B):
                self._loop.call_soon(self._tell, handle, side, EventKind.DIGIT, Digit(KEYPAD[event], duration))

    def _tell(self, handle: int, side: Side, kind: EventKind, digit: Digit | None = None) -> None:
        name = self._names.get(handle)  # it may have been closed just now
        if name is not None and self._listener is not None:
            source = None
            if kind == EventKind.INTRUSION:
                stats = self.stats(name)
                source = (stats.a if side is Side.A else stats.b).stranger
            self._listener(MediaEvent(name, side, kind, digit, source))


def _told(spec: SideSpec) -> core._Spec:
    rtcp_receive_keys, rtcp_send_keys = spec.rtcp_keys or (None, None)
    return (
        spec.remote,
        spec.remote_rtcp,
        spec.rtcp_mux,
        spec.latch_from,
        _numbered(spec.receive_keys),
        _numbered(spec.send_keys),
        _numbered(rtcp_receive_keys),
        _numbered(rtcp_send_keys),
        dict(spec.payload_types),
        dict(spec.clock_rates),
        spec.send,
        spec.silence,
        spec.udptl,
        spec.dtls is not None,
        None if spec.ice is None else (spec.ice.username, spec.ice.password),
        {kind: _LAWS[law] for kind, law in spec.translate.items()},
        spec.reported,
        spec.events,
        spec.ssrc,
        spec.one_stream,
        _FOLLOW[spec.follow],
        spec.dscp,
    )


def _numbered(keys: Keys | None) -> tuple[tuple[int, bytes, bytes, int], ...]:
    if keys is None:
        return ()
    return tuple([(NUMBERS[each.suite], each.master, each.mki, each.lifetime or 0) for each in (keys, *keys.more)])
