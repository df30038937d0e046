"""Linked sites: what their realm, their trunks and they themselves need of each other. Pure."""

from __future__ import annotations

from collections import defaultdict

from sbc.policy.checking.checker import Checker
from sbc.policy.problems import Path
from sbc.policy.sites import LOOPBACK, site_address

# Ways to a trunk, and proofs of who it is, that a link takes the place of
INSTEAD = ("accept_from", "accepts_registration", "authenticates", "peer", "register_to", "accept_certificate", "certificate")


def check(checker: Checker) -> None:
    linked = {name for name, realm in checker.policy.realms.items() if any(each.transport == "QUIC" for each in realm.signalling)}
    for name in linked:
        _realm(checker, name)
    for section, name, party in checker.policy.parties():
        if party.realm in linked and getattr(party, "link", None) is None:
            checker.error((section, name, "realm"), "is for linked sites: give this trunk a 'link', or another realm")
    _trunks(checker, linked)
    _sites(checker)


def _realm(checker: Checker, name: str) -> None:
    path: Path = ("realms", name)
    realm = checker.policy.realms[name]
    if len(realm.signalling) > 1:
        checker.error((*path, "signalling"), "quic:// needs a realm of its own, and one address of it")
    if realm.relay.address != LOOPBACK:
        checker.error((*path, "relay", "address"), f"media of linked sites comes by their link: write {LOOPBACK}")
    if realm.advertise is not None:
        checker.error((*path, "advertise"), "nobody is told an address here: sites have that of the edge in their own file")


def _trunks(checker: Checker, linked: set[str]) -> None:
    at: dict[str, list[str]] = defaultdict(list)
    for name, trunk in checker.policy.trunks.items():
        if trunk.link is None:
            continue
        path: Path = ("trunks", name)
        if trunk.realm not in linked and trunk.realm in checker.policy.realms:
            checker.error((*path, "link"), f"realm {trunk.realm!r} has no quic:// listener")
        for key in INSTEAD:
            if getattr(trunk, key) is not None:
                checker.error((*path, key), "its calls come and go by the link of its site alone: take this out")
        at[trunk.link].append(name)
        site = checker.policy.sites.get(trunk.link)
        realm = checker.policy.realms.get(trunk.realm)
        if site is not None and site.certificate is not None and realm is not None and realm.client_ca is None:
            checker.error(("sites", trunk.link, "certificate"), f"signed by whom? Give realm {trunk.realm!r} a 'client_ca'")
    for site_name, names in at.items():
        for other in names[1:]:
            checker.error(("trunks", other, "link"), f"site {site_name!r} is trunk {names[0]!r} already")


def _sites(checker: Checker) -> None:
    used = {trunk.link for trunk in checker.policy.trunks.values()}
    taken: dict[str, str] = {}
    for name in checker.policy.sites:
        if name not in used:
            checker.warn(("sites", name), "no trunk is at this site: it may connect, and nothing comes of it")
        other = taken.setdefault(site_address(name)[0], name)
        if other != name:
            checker.error(("sites", name), f"cannot be told from {other!r}, by chance: rename it")
