"""Who may have a connection: asked right after accept(), before TLS or a parser costs anything."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Literal

from sbc.net.limits import StreamLimits
from sbc.net.ports import Doorman
from sbc.shield.budgets import Budget

Refusal = Literal["banned", "connections", "handshakes", "strangers"]


class Admission:
    """Counts connections, handshakes and strangers, in all and per source: an IPv4 address or an IPv6 /64 (one customer's)."""

    def __init__(self, limits: StreamLimits, clock: Callable[[], float], doorman: Doorman) -> None:
        self._limits = limits
        self._clock = clock
        self._doorman = doorman
        self._begun = Budget(limits.handshake_rate, limits.handshake_burst)
        self._sources: dict[str, _Count] = {}  # those with at least one connection: bounded by their total
        self._all = _Count()

    @property
    def connections(self) -> int:
        return self._all.connections

    def admit(self, host: str, handshake: bool) -> Ticket | Refusal:
        """A ticket, to be given back; `handshake`: it starts with one."""
        limits = self._limits
        if self.is_banned(host):
            return "banned"
        source = source_of(host)
        count = self._sources.get(source) or _Count()
        if self._all.connections >= limits.connections or count.connections >= limits.connections_per_source:
            return "connections"
        if handshake and (self._all.handshakes >= limits.handshakes or count.handshakes >= limits.handshakes_per_source):
            return "handshakes"
        if handshake and not self._begun.take(source, self._clock()):
            return "handshakes"
        if count.strangers >= limits.strangers_per_source:
            return "strangers"
        self._sources[source] = count
        return Ticket(self, source, handshake)

    def is_banned(self, host: str) -> bool:
        return self._doorman.refuses_connection(host, self._clock())

    def _change(self, source: str, connections: int, handshakes: int, strangers: int) -> None:
        count = self._sources[source]
        for each in (count, self._all):
            each.connections += connections
            each.handshakes += handshakes
            each.strangers += strangers
        if not count.connections:
            del self._sources[source]


class Ticket:
    """One admitted connection, a stranger's until `proven`. Each method may be called again without harm."""

    __slots__ = ("_admission", "_handshake", "_held", "_source", "stranger")

    def __init__(self, admission: Admission, source: str, handshake: bool) -> None:
        self._admission = admission
        self._source = source
        self._handshake = handshake
        self._held = True
        self.stranger = True
        admission._change(source, 1, int(handshake), 1)

    def shaken(self) -> None:
        """The handshake is over, well or badly."""
        if self._handshake:
            self._handshake = False
            self._admission._change(self._source, 0, -1, 0)

    def proven(self) -> None:
        """Whoever is there has proved who it is."""
        if self.stranger:
            self.stranger = False
            self._admission._change(self._source, 0, 0, -1)

    def leave(self) -> None:
        self.shaken()
        self.proven()
        if self._held:
            self._held = False
            self._admission._change(self._source, -1, 0, 0)


class _Count:
    __slots__ = ("connections", "handshakes", "strangers")

    def __init__(self) -> None:
        self.connections = 0
        self.handshakes = 0
        self.strangers = 0


def source_of(host: str) -> str:
    """What counts as one source."""
    if ":" not in host:
        return host
    address = ip_address(host.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped) if mapped is not None else address.packed[:8].hex()
