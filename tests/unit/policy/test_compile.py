"""What the words of the language become."""

from __future__ import annotations

import dataclasses

import pytest

from media.api import Interface, Suite
from sbc.policy import values
from sbc.policy.snapshot import LimitRules, Peer, Strangers
from tests.unit.policy.conftest import MINIMAL, Folder

DUAL = """\
version: 1
realms:
  edge:
    signalling: ["udp://[::1]:5060", udp://127.0.0.1, "tls://[::1]"]
    advertise: 203.0.113.1
    relay: {address: 127.0.0.1, ports: 20000-20999}
    certificate: edge
    client_ca: ../certs/ca.pem
emergency: {edge: none}
"""


def test_a_realm_of_two_families_advertises_to_one(folder: Folder) -> None:
    realm = folder.load(DUAL).snapshot.realms["edge"]
    assert [(each.transport, each.local, each.advertise) for each in realm.listeners] == [
        ("UDP", ("::1", 5060), "::1"),
        ("UDP", ("127.0.0.1", 5060), "203.0.113.1"),
        ("TLS", ("::1", 5061), "::1"),
    ]
    assert (realm.relay, realm.relay_advertise) == (Interface("127.0.0.1", 20000, 20999), "203.0.113.1")
    assert (realm.domains, realm.digest_realm) == (("203.0.113.1",), "203.0.113.1")
    certs = folder.root / "certs"
    assert (realm.certificate, realm.certificate_file, realm.key_file) == ("edge", str(certs / "edge.pem"), str(certs / "edge.key"))
    assert realm.client_ca is not None
    assert realm.client_ca.endswith("/ca.pem")


@pytest.mark.parametrize(
    ("written", "compiled"),
    [
        ("", ("SHA-256", "MD5")),
        (", digest: [MD5]", ("MD5",)),
        (", digest: [sha-512-256, MD5, SHA-256]", ("SHA-512-256", "MD5", "SHA-256")),
    ],
)
def test_digest_algorithms(folder: Folder, written: str, compiled: tuple[str, ...]) -> None:
    text = MINIMAL.replace("outside: {signalling", "outside: {domains: [a.example]" + written + ", signalling")
    assert folder.load(text).snapshot.realms["outside"].digest_algorithms == compiled


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("[]", "realms.outside.digest: "),
        ("MD5", "realms.outside.digest: "),
        ("[SHA-25]", "realms.outside.digest.0: 'SHA-25' is none of MD5, SHA-256, SHA-512-256, did you mean 'SHA-256'?"),
        ("[MD5, md5]", "realms.outside.digest: names an algorithm twice"),
    ],
)
def test_wrong_digest_algorithms(folder: Folder, written: str, problem: str) -> None:
    (error,) = folder.errors(MINIMAL.replace("outside: {signalling", f"outside: {{digest: {written}, signalling"))
    assert problem in error


@pytest.mark.parametrize(
    ("text", "peer"),
    [
        ("sip:gw.Carrier.example", Peer("sip:gw.Carrier.example", "gw.carrier.example", None, "UDP")),
        ("sip:10.0.0.1:5080;transport=TCP", Peer("sip:10.0.0.1:5080;transport=TCP", "10.0.0.1", 5080, "TCP")),
        ("sip:[2001:DB8::1]:5080", Peer("sip:[2001:DB8::1]:5080", "2001:db8::1", 5080, "UDP")),
        ("sip:x;transport=tls", Peer("sip:x;transport=tls", "x", None, "TLS")),
        ("sips:x", Peer("sips:x", "x", None, "TLS")),
    ],
)
def test_peers(text: str, peer: Peer) -> None:
    assert values.peer(text) == peer


def test_limits_media_and_strangers(folder: Folder) -> None:
    snapshot = folder.load(
        MINIMAL
        + """
limits:
  a: {calls: 5, new_calls: 90/m, longest_call: 4h, shared: true}
  s: {requests: 5/s}
strangers: {answer: 403, limits: s}
""",
        """
media:
  m: {srtp: optional, codecs: [G729, pcma], suites: [AEAD_AES_128_GCM], silence: 2m}
trunks: {t: {realm: inside, media: m, limits: a, accept_from: ["::ffff:10.0.0.1"]}}
""",
    ).snapshot
    assert snapshot.limits["a"] == LimitRules("a", 5, 1.5, 14400.0, None, True)
    assert snapshot.strangers == Strangers(403, LimitRules("s", requests=5.0))
    trunk = snapshot.trunks["t"]
    assert trunk.limits is snapshot.limits["a"]
    assert trunk.accept_from == ("10.0.0.1/32",)
    media = trunk.media
    assert (media.codecs, media.srtp, media.suites, media.silence) == (("G729", "pcma"), "optional", (Suite.AEAD_AES_128_GCM,), 120.0)


@pytest.mark.parametrize("srtp", ["sdes", "[sdes]"])
def test_sdes_is_required_and_offers_every_suite(folder: Folder, srtp: str) -> None:
    snapshot = folder.load(MINIMAL + "trunks: {t: {realm: inside, media: m}}", f"media: {{m: {{srtp: {srtp}, codecs: [PCMA]}}}}").snapshot
    assert snapshot.trunks["t"].media.srtp == "required"
    assert set(snapshot.trunks["t"].media.suites) == set(Suite)


def test_a_snapshot_is_frozen_and_named_after_its_text(folder: Folder) -> None:
    one, same, other = (folder.load(text).snapshot for text in (MINIMAL, MINIMAL, MINIMAL + "# x\n"))
    assert one.digest == same.digest != other.digest
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.version = 2  # type: ignore[misc]
    with pytest.raises(KeyError):
        one.party("nobody")


def test_recordings_are_for_those_who_ask(folder: Folder) -> None:
    text = MINIMAL + "trunks: {kept: {realm: inside, media: plain, record: failed}, other: {realm: inside, media: plain}}\n"
    trunks = folder.load(text).snapshot.trunks
    assert (trunks["kept"].record, trunks["other"].record) == ("failed", "never")
    (error,) = folder.errors(text.replace("record: failed", "record: sometimes"))
    assert "trunks.kept.record: " in error
