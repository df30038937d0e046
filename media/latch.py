"""Where the peer of one side is: as signalled, and as its packets show it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import TypeAlias

from media.api import Address, MediaError, SideSpec

SocketAddress: TypeAlias = tuple[str, int] | tuple[str, int, int, int]
"""As the socket module has it: host, port, and for IPv6 flow label and scope."""

Receive: TypeAlias = Callable[[bytes, SocketAddress, float], None]

# Hosts a peer may send from besides its own (SideSpec.latch_from): signalling adds one as a rule.
MOST_FROM = 6

# After a new `remote`, packets from the source locked before may still be on the way: they pass, but cannot take the lock.
IN_FLIGHT = 0.5

# Nothing has to come from where a peer is for that long before it may have moved. While it is heard there, somebody who sees its packets
# and is faster than they are could have them come from elsewhere. Seconds.
FOLLOW_AFTER = 1.0

# A NAT forgets its mappings once; whoever moves more often than that is not behind one. Seconds.
FOLLOW_EVERY = 5.0

MAX_USERNAME, MAX_PASSWORD = 512, 256  # octets: RFC 8489 s14.3, RFC 8839 s5.4


# Where NATs have hosts behind them (RFC 1918, RFC 6598, RFC 4193).
_PRIVATE = tuple([ip_network(each) for each in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")])


@dataclass(frozen=True, slots=True)
class Route:
    """The addresses of a SideSpec, checked and in canonical form."""

    remote: Address | None
    remote_rtcp: Address | None
    hosts: frozenset[str]
    rtcp_hosts: frozenset[str]

    @classmethod
    def of(cls, spec: SideSpec, family: int) -> Route:
        """Raises MediaError for an address that is not numeric or, as a destination, of another family."""
        if spec.ice is not None and (len(spec.ice.username) > MAX_USERNAME or len(spec.ice.password) > MAX_PASSWORD):
            raise MediaError("ICE user name or password is too long")
        if len(spec.latch_from) > MOST_FROM:
            raise MediaError(f"more than {MOST_FROM} hosts to latch from")
        remote = _destination(spec.remote, family)
        remote_rtcp = _destination(spec.remote_rtcp, family)
        hosts = frozenset(_host(host, _family(host)) for host in spec.latch_from)
        hosts = frozenset(host for host in hosts if _family(host) == family)  # others can never be a source
        if remote is not None:
            hosts |= {remote[0]}
        if spec.ice is not None:
            return cls(None, remote_rtcp, frozenset(), hosts | {remote_rtcp[0]} if remote_rtcp else hosts)
        return cls(remote, remote_rtcp, hosts, hosts | {remote_rtcp[0]} if remote_rtcp else hosts)


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


NOWHERE = Route(None, None, frozenset(), frozenset())


def _destination(address: Address | None, family: int) -> Address | None:
    if address is None:
        return None
    host, port = address
    if not 0 < port < 65536:
        raise MediaError(f"port {port} is not a destination")
    return _host(host, family), port


def _host(host: str, family: int) -> str:
    try:
        return socket.inet_ntop(family, socket.inet_pton(family, host))
    except (OSError, ValueError):
        raise MediaError(f"{host!r} is not a numeric address of this relay's family") from None


class Latch:
    """Where one port's peer is: as signalled until its first valid packet, then where that came from."""

    __slots__ = (
        "_former",
        "_former_until",
        "_hosts",
        "_moved_at",
        "_moved_host",
        "_remote",
        "_settled",
        "destination",
        "heard_at",
        "locked",
    )

    def __init__(self) -> None:
        self._remote: Address | None = None
        self._hosts: frozenset[str] = frozenset()
        self._former: SocketAddress | None = None
        self._former_until = 0.0
        self.destination: SocketAddress | None = None
        self.locked: SocketAddress | None = None
        self.heard_at = 0.0  # when something last came from where the peer is or may be, or that was last said
        self._moved_at = -FOLLOW_EVERY
        self._moved_host: str | None = None
        self._settled = False  # not only by its address is known that the peer is there

    def allow(self, hosts: frozenset[str]) -> None:
        self._hosts = hosts

    def redirect(self, remote: Address | None, now: float) -> None:
        """The peer said it is at `remote` from now on."""
        if self.locked is not None:
            self._former, self._former_until = self.locked, now + IN_FLIGHT
        self._remote = self.destination = remote
        self.locked = None
        self._moved_host = None
        self._settled = False
        self.heard_at = now

    def admits(self, source: SocketAddress) -> bool:
        """May the peer send from `source`? Asked while `source` is not the locked one."""
        if self.locked is not None:
            return False
        host = source[0].partition("%")[0]
        return host in self._hosts or host == self._moved_host

    def lock(self, source: SocketAddress, now: float, *, proven: bool) -> None:
        """A valid packet came from an admitted source while none was locked; `proven`: it authenticated."""
        if source == self._former and now < self._former_until and source[:2] != self._remote:
            return
        self._former = None
        self.locked = self.destination = source
        self._settled = self._settled or proven

    def is_claimed(self, source: SocketAddress) -> bool:
        """Is `source` exactly where the peer was said to be, and somebody else taken for it who proved nothing? Where that is a private
        address, another host stands for it: a NAT. Asked while `source` is not the locked one.
        """
        if self.locked is None or self._settled or source[:2] != self._remote:
            return False
        return source[0] == self.locked[0] or not any(ip_address(source[0]) in network for network in _PRIVATE)

    def vacate(self) -> None:
        """Nobody is where the peer may be, until `lock`."""
        self.locked = None

    def may_move(self, now: float) -> bool:
        """May the peer have gone elsewhere?"""
        return now - self.heard_at >= FOLLOW_AFTER and now - self._moved_at >= FOLLOW_EVERY

    def is_neighbour(self, source: SocketAddress) -> bool:
        """Is `source` another port of where the peer was?"""
        return self.locked is not None and source[0] == self.locked[0]

    def move(self, source: SocketAddress, now: float) -> None:
        """The peer is at `source` now."""
        self._former = None
        self.locked = self.destination = source
        self._settled = True
        self.heard_at = self._moved_at = now

    def reopen(self, source: SocketAddress) -> None:
        """What the peer sends to its other port comes from `source` now, so that this may come from that host, too."""
        self.locked = None
        self._settled = True
        self._moved_host = source[0].partition("%")[0]
