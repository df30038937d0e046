"""Which media addresses a peer may name: a relay that sends wherever it is told floods third parties and reaches into our own network."""

from __future__ import annotations

import ipaddress
from enum import Enum
from functools import lru_cache

LOWEST_PORT = 1024  # below sit the services of other hosts, never RTP
SIGNALLING_PORTS = frozenset((5060, 5061))


class Scope(Enum):
    """What kind of host an address names."""

    PUBLIC = "public"
    PRIVATE = "private"
    LOOPBACK = "loopback"
    UNSPECIFIED = "unspecified"  # 0.0.0.0 and ::, the hold of RFC 2543
    MULTICAST = "multicast"
    FORBIDDEN = "forbidden"  # rest of 0/8, link-local (cloud metadata), reserved, broadcast
    NAME = "name"  # a host name: never resolved here


_THIS_NETWORK = ipaddress.IPv4Network("0.0.0.0/8")
_SHARED = ipaddress.IPv4Network("100.64.0.0/10")  # RFC 6598: carrier NAT, as private as RFC 1918
_PRIVATE = (
    _SHARED,
    ipaddress.IPv4Network("10.0.0.0/8"),
    ipaddress.IPv4Network("172.16.0.0/12"),
    ipaddress.IPv4Network("192.168.0.0/16"),
)
_UNIQUE_LOCAL = ipaddress.IPv6Network("fc00::/7")
_SITE_LOCAL = ipaddress.IPv6Network("fec0::/10")
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


@lru_cache(maxsize=4096)
def locate(text: str) -> tuple[Scope, str]:
    """The scope and the plain numeric form of an address: IPv4 mapped into IPv6 comes out as IPv4, a name as it is."""
    plain = text.partition("/")[0]  # the TTL of a multicast address
    try:
        address: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(plain)
    except ValueError:
        return (Scope.NAME if _is_name(plain) else Scope.FORBIDDEN), plain
    if isinstance(address, ipaddress.IPv6Address):
        mapped = address.ipv4_mapped
        if mapped is None:
            return _scope_6(address), str(address)
        address = mapped
    return _scope_4(address), str(address)


def port_allowed(port: int) -> bool:
    return port >= LOWEST_PORT and port not in SIGNALLING_PORTS


def _is_name(text: str) -> bool:
    # A top-level label is alphabetic (RFC 3696 s2): "1.2.3.400", "0x7f.1" and "2130706433" are disguised addresses.
    top = text.rstrip(".").rpartition(".")[2]
    return top[:1] in _LETTERS and ":" not in text


def _scope_4(address: ipaddress.IPv4Address) -> Scope:
    if address.is_unspecified:
        return Scope.UNSPECIFIED
    if address.is_loopback:
        return Scope.LOOPBACK
    if address.is_multicast:
        return Scope.MULTICAST
    if address in _THIS_NETWORK or address.is_link_local or address.is_reserved:
        return Scope.FORBIDDEN
    return Scope.PRIVATE if any(address in network for network in _PRIVATE) else Scope.PUBLIC


def _scope_6(address: ipaddress.IPv6Address) -> Scope:
    if address.is_unspecified:
        return Scope.UNSPECIFIED
    if address.is_loopback:
        return Scope.LOOPBACK
    if address.is_multicast:
        return Scope.MULTICAST
    # Scoped text ("%eth0") names an interface of ours; IPv4-compatible and other transition forms hide an IPv4 address.
    if address.scope_id or address.is_link_local or address in _SITE_LOCAL or address.is_reserved:
        return Scope.FORBIDDEN
    if address.sixtofour is not None or address.teredo is not None:
        return Scope.FORBIDDEN
    return Scope.PRIVATE if address in _UNIQUE_LOCAL else Scope.PUBLIC
