"""Sets of addresses, asked with the keys that sources are counted under."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_network

from sbc.shield.budgets import source_key

V6_BITS = 64  # of a key: whoever has one address of a /64 has them all


class Networks:
    """`texts`: addresses and networks. A source of IPv6 is in them when any of its /64 is."""

    __slots__ = ("_v4", "_v6")

    def __init__(self, texts: Iterable[str] = ()) -> None:
        v4: dict[int, set[int]] = {}
        v6: dict[int, set[int]] = {}
        for text in texts:
            network = ip_network(text, strict=False)
            first = int(network.network_address)
            if isinstance(network, IPv6Network):
                shift = max(0, V6_BITS - network.prefixlen)
                v6.setdefault(shift, set()).add(first >> (128 - V6_BITS) >> shift)
            else:
                shift = 32 - network.prefixlen
                v4.setdefault(shift, set()).add(first >> shift)
        self._v4 = tuple(v4.items())
        self._v6 = tuple(v6.items())

    def has(self, source: str) -> bool:
        """`source`: a key of `source_key`."""
        if ":" in source:
            number, found = int(IPv6Address(source + "::")) >> (128 - V6_BITS), self._v6
        else:
            number, found = int(IPv4Address(source)), self._v4
        return any(number >> shift in networks for shift, networks in found)


def shown(source: str) -> str:
    """A key of `source_key` as people and packet filters write it."""
    return f"{IPv6Address(source + '::')}/64" if ":" in source else source


def key_of(text: str) -> str:
    """The key of an address, or of what `shown` made of one. ValueError for people: neither."""
    try:
        network = ip_network(text.strip(), strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is not an address: write one like 192.0.2.7 or 2001:db8::7") from None
    return source_key(str(network.network_address))
