"""Token buckets with bounded memory: what a source may cost us before it has proved who it is."""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache
from ipaddress import IPv6Address

_CACHED_KEYS = 4096  # IPv6 text is slow to read
MAX_SOURCES = 10_000  # about 2 MB; the least recently seen source is forgotten first


class Budget:
    """`rate` per second and `burst` at once, for each key apart. Memory is bounded whatever the number of keys."""

    __slots__ = ("_buckets", "_burst", "_rate", "refused")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # key -> (tokens, when counted)
        self.refused = 0

    def take(self, key: str, now: float) -> bool:
        """One token of this key's bucket, if there is one; `now` in monotonic seconds."""
        tokens, since = self._buckets.pop(key, (self._burst, now))
        tokens = min(self._burst, tokens + (now - since) * self._rate)
        allowed = tokens >= 1.0
        self._buckets[key] = (tokens - 1.0 if allowed else tokens, now)
        if len(self._buckets) > MAX_SOURCES:
            self._buckets.popitem(last=False)
        if not allowed:
            self.refused += 1
        return allowed

    def has(self, key: str, now: float) -> bool:
        """Whether there is a token to be taken."""
        tokens, since = self._buckets.get(key, (self._burst, now))
        return tokens + (now - since) * self._rate >= 1.0

    def __len__(self) -> int:
        return len(self._buckets)


def source_key(host: str) -> str:
    """One bucket for an IPv4 address or an IPv6 /64: whoever has one address of a /64 has them all."""
    return _key_of_ipv6(host) if ":" in host else host


@lru_cache(maxsize=_CACHED_KEYS)
def _key_of_ipv6(host: str) -> str:
    address = IPv6Address(host.partition("%")[0])
    mapped = address.ipv4_mapped
    return str(mapped) if mapped is not None else address.exploded[:19]
