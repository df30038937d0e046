"""Opening, updating and closing relays: what every engine does alike. The engines add the packet I/O."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Mapping
from typing import NamedTuple

from media.api import EventKind, Interface, MediaError, MediaEvent, PortsExhausted, RelayPorts, RelayStats, Side, SideSpec
from media.ports import PortPool
from media.relay import Half, Route, forms

# Ports of other processes met in one `open` before it gives up: each costs a system call, and is set aside for the next.
MAX_TRIES = 64

# The machine's limits, gone as soon as calls end.
_TEMPORARY = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Relay(NamedTuple):
    a: Half
    b: Half


class RelayControl:
    """The MediaEngine protocol but for `_attach`, `_detach` and `_post`.

    `clock` is monotonic seconds; `choose(n)` a random number below `n`, for port numbers nobody can guess.
    """

    def __init__(self, clock: Callable[[], float], choose: Callable[[int], int]) -> None:
        self._clock = clock
        self._choose = choose
        self._interfaces: dict[str, Interface] = {}
        self._pools: dict[Interface, PortPool] = {}
        self._relays: dict[str, Relay] = {}
        self._listener: Callable[[MediaEvent], None] | None = None

    def _attach(self, half: Half, address: str, port: int) -> None:
        """Bind RTP to `port` and RTCP to the next, connect them with `half`. All or nothing; raises OSError."""
        raise NotImplementedError

    def _detach(self, half: Half) -> None:
        """Undo `_attach`."""
        raise NotImplementedError

    def _post(self, half: Half, kind: EventKind) -> None:
        """Have `_deliver` called once no method of the engine is running."""
        raise NotImplementedError

    def provide(self, interfaces: Mapping[str, Interface]) -> None:
        """See MediaEngine. An interface that stays as it is keeps its quarantine."""
        pools = {each: self._pools.get(each) or PortPool(each, self._choose) for each in interfaces.values()}
        self._interfaces, self._pools = dict(interfaces), pools

    def on_event(self, listener: Callable[[MediaEvent], None]) -> None:
        self._listener = listener

    def open(self, relay: str, interface_a: str, interface_b: str) -> RelayPorts:
        if relay in self._relays:
            raise MediaError(f"relay {relay!r} is open already")
        a = self._open_half(relay, Side.A, interface_a)
        try:
            b = self._open_half(relay, Side.B, interface_b)
        except MediaError:
            self._detach(a)
            self._pools[a.interface].give_back(a.port)
            raise
        a.far, b.far = b, a
        self._relays[relay] = Relay(a, b)
        return RelayPorts((a.interface.address, a.port), (b.interface.address, b.port))

    def update(self, relay: str, a: SideSpec, b: SideSpec) -> None:
        halves = self._find(relay)
        if a.udptl is not b.udptl:
            raise MediaError("UDPTL on one side only")
        if any(spec.udptl and (spec.receive_keys or spec.send_keys or spec.payload_types) for spec in (a, b)):
            raise MediaError("UDPTL has neither keys nor payload types")
        checked = [(half, spec, Route.of(spec, _family(half.interface)), forms(spec)) for half, spec in zip(halves, (a, b), strict=True)]
        now = self._clock()
        for half, spec, route, table in checked:
            half.update(spec, route, table, now)

    def stats(self, relay: str) -> RelayStats:
        a, b = self._find(relay)
        return RelayStats(a.stats(), b.stats())

    def close(self, relay: str) -> RelayStats:
        halves = self._find(relay)
        del self._relays[relay]
        now = self._clock()
        for half in halves:
            self._detach(half)
            pool = self._pools.get(half.interface)
            if pool is not None:
                pool.release(half.port, now)
        a, b = halves
        del a.far, b.far  # a cycle: the collector shall not have to find it
        return RelayStats(a.stats(), b.stats())

    def shutdown(self) -> None:
        for relay in list(self._relays):
            self.close(relay)
        self._interfaces, self._pools = {}, {}

    def sweep(self) -> None:
        """Look for silent peers."""
        now = self._clock()
        for a, b in self._relays.values():
            a.watch(now)
            b.watch(now)

    def _find(self, relay: str) -> Relay:
        try:
            return self._relays[relay]
        except KeyError:
            raise MediaError(f"no relay {relay!r}") from None

    def _open_half(self, relay: str, side: Side, name: str) -> Half:
        interface = self._interfaces.get(name)
        if interface is None:
            raise MediaError(f"no interface {name!r}")
        pool = self._pools[interface]
        half = Half(relay, side, interface, self._post)
        now = self._clock()
        for _ in range(MAX_TRIES):
            port = pool.take(now)
            try:
                self._attach(half, interface.address, port)
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    pool.release(port, now)
                    continue
                pool.give_back(port)
                cause = PortsExhausted if error.errno in _TEMPORARY else MediaError
                raise cause(f"{interface.address} port {port}: {error.strerror}") from error
            half.port = port
            return half
        raise PortsExhausted(f"{interface.address}: other processes hold the ports")

    def _deliver(self, half: Half, kind: EventKind) -> None:
        relay = self._relays.get(half.relay)
        if relay is not None and half in relay and self._listener is not None:
            self._listener(MediaEvent(half.relay, half.side, kind))


def _family(interface: Interface) -> int:
    return socket.AF_INET6 if ":" in interface.address else socket.AF_INET
