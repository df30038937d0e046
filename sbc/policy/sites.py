"""Linked sites, compiled: what the trunk at one gets, and by which address the core knows it. Pure.

A site has no address of its own that stays, so that each gets one of the loopback network.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from ipaddress import IPv4Address

from sbc.flow import Address
from sbc.frozen import replace
from sbc.policy import model
from sbc.policy.counters import LimitRules
from sbc.policy.realms import Site
from sbc.policy.snapshot import Peer, Trunk

LOOPBACK = "127.0.0.1"
PORT = 5060
CALLS = 50  # by one connection: half a core at either end
_FIRST = int(IPv4Address("127.64.0.0"))
_SIZE = 1 << 22  # 127.64.0.0/10: no packet from elsewhere can claim it (RFC 1122 s3.2.1.3)


def site_address(site: str) -> Address:
    """The same in every process. That of two sites may be the same by chance: `sbc check` says so, and one of them is renamed."""
    return str(IPv4Address(_FIRST + int.from_bytes(hashlib.sha256(site.encode()).digest()[:4], "big") % _SIZE)), PORT


def sites_of(sites: Mapping[str, model.SiteModel], limits: dict[str, LimitRules]) -> dict[str, Site]:
    """What their connections can carry is added to `limits`."""
    found = {name: _site(name, site) for name, site in sites.items()}
    limits |= {rules.name: rules for rules in map(capacity, found.values())}
    return found


def capacity(site: Site) -> LimitRules:
    """What its connections can carry. No object of the policy can be called so: names have no spaces."""
    return LimitRules(f"link of {site.name}", calls=site.calls)


def with_link(trunk: Trunk, link: str | None, sites: Mapping[str, Site]) -> Trunk:
    """The trunk, if it is at a linked site: reached there, known by that, and with no more calls than fit."""
    if link is None:
        return trunk
    host, port = site_address(link)
    return replace(
        trunk,
        link=link,
        peer=Peer(f"sip:{host}:{port};transport=quic", host, port, "QUIC"),
        accept_certificate=(link,),
        media=replace(trunk.media, link=link),
        limits=(*trunk.limits, capacity(sites[link])),
    )


def _site(name: str, site: model.SiteModel) -> Site:
    connections = site.connections or 1
    calls = connections * (site.calls_per_connection or CALLS)
    return Site(name, frozenset(site.pin or ()), site.certificate or "", connections, calls)
