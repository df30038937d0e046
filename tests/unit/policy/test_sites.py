"""Linked sites: what the policy says of them, and what it may not."""

from __future__ import annotations

import pytest

from sbc.policy.sites import CALLS, LOOPBACK, site_address
from tests.unit.policy.conftest import Folder

PIN = ":".join(["AB"] * 32)
REALM = 'signalling: ["quic://127.0.0.9:5063"], relay: {address: 127.0.0.1, ports: 21000-21999}, certificate: edge'
POLICY = """\
version: 1
realms:
  sites: {{{realm}}}
  inside: {{signalling: [udp://127.0.0.2:5060], relay: {{address: 127.0.0.2, ports: 30000-30999}}}}
sites:
  {sites}
trunks:
  {trunks}
  carrier: {{realm: inside, accept_from: [10.0.0.1], peer: "sip:10.0.0.1", media: plain}}
routes:
  - {{name: in, when: {{trunk: carrier, to: "*"}}, send_to: [berlin]}}
limits: {{few: {{calls: 10}}}}
media: {{plain: {{srtp: off, codecs: [PCMA]}}}}
emergency: {{sites: none, inside: none}}
"""
SITES = f'berlin: {{pin: "{PIN}"}}'
TRUNK = "berlin: {realm: sites, link: berlin, media: plain, limits: [few]}"


def text(realm: str = REALM, sites: str = SITES, trunks: str = TRUNK) -> str:
    return POLICY.format(realm=realm, sites=sites, trunks=trunks)


def test_a_trunk_at_a_site_is_reached_and_known_by_its_link(folder: Folder) -> None:
    snapshot = folder.load(text()).snapshot
    trunk = snapshot.trunks["berlin"]
    assert trunk.peer is not None
    assert ((trunk.peer.host, trunk.peer.port), trunk.peer.transport) == (site_address("berlin"), "QUIC")
    assert snapshot.certified["sites", "berlin"] is trunk
    assert (trunk.link, trunk.media.link) == ("berlin", "berlin")
    assert snapshot.trunks["carrier"].media.link == ""
    assert [(rules.name, rules.calls) for rules in trunk.limits] == [("few", 10), ("link of berlin", CALLS)]
    assert snapshot.limits["link of berlin"].calls == CALLS
    assert snapshot.sites["berlin"].pins == {PIN}


def test_more_connections_carry_more_calls(folder: Folder) -> None:
    sites = f"berlin: {{pin: '{PIN.lower().replace(':', '')}', connections: 3, calls_per_connection: 40}}"
    snapshot = folder.load(text(sites=sites)).snapshot
    assert snapshot.limits["link of berlin"].calls == 120
    assert snapshot.sites["berlin"].pins == {PIN}


def test_the_address_of_a_site_is_its_own_and_stays() -> None:
    assert site_address("berlin") == ("127.120.169.63", 5060)
    assert site_address("paris") != site_address("berlin")


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"trunks": TRUNK.replace("link: berlin", "link: bernin")}, "there is no site 'bernin', did you mean 'berlin'?"),
        ({"trunks": TRUNK.replace(", link: berlin", ", peer: 'sip:10.0.0.2'")}, "is for linked sites: give this trunk a 'link'"),
        ({"trunks": TRUNK.replace("realm: sites", "realm: inside")}, "realm 'inside' has no quic:// listener"),
        ({"trunks": TRUNK.replace("link: berlin", "link: berlin, accept_from: [10.0.0.9]")}, "by the link of its site alone"),
        ({"trunks": f"{TRUNK}\n  twin: {{realm: sites, link: berlin, media: plain}}"}, "site 'berlin' is trunk 'berlin' already"),
        ({"realm": REALM.replace("127.0.0.1,", "127.0.0.9,")}, f"media of linked sites comes by their link: write {LOOPBACK}"),
        ({"realm": REALM.replace(":5063\"", ":5063\", udp://127.0.0.9:5060")}, "quic:// needs a realm of its own"),
        ({"realm": REALM.replace(", certificate: edge", "")}, "quic:// needs 'certificate: NAME'"),
        ({"realm": REALM + ", advertise: 203.0.113.1"}, "nobody is told an address here"),
        ({"sites": 'berlin: {pin: "AB:CD"}'}, "a pin is the SHA-256 of a certificate"),
        ({"sites": "berlin: {connections: 2}"}, "exactly one of them"),
        ({"sites": "berlin: {certificate: berlin.example}"}, "signed by whom? Give realm 'sites' a 'client_ca'"),
        ({"sites": f'berlin: {{pin: "{PIN}", connections: 11}}'}, "less than or equal to 10"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_an_error(folder: Folder, changed: dict[str, str], problem: str) -> None:
    assert any(problem in line for line in folder.errors(text(**changed))), folder.errors(text(**changed))


def test_a_site_without_a_trunk_is_warned_of(folder: Folder) -> None:
    sites = f'{SITES}\n  paris: {{pin: "{PIN}"}}'
    assert any("sites.paris: no trunk is at this site" in line for line in folder.warnings(text(sites=sites)))
    assert folder.warnings(text()) == []
