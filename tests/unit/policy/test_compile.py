"""What the words of the language become."""

from __future__ import annotations

import dataclasses
import shutil

import pytest

from media.api import Follow, Interface, Packets, Suite
from sbc.policy import values
from sbc.policy.counters import LimitRules
from sbc.policy.problems import PolicyErrors
from sbc.policy.realms import KeyPair
from sbc.policy.snapshot import Peer, Strangers
from sbc.sdp.rules import KEPT, USUAL_SUITES, OfferRules
from sbc.sip.timers import TimerValues
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
    assert realm.certificates == (KeyPair(str(certs / "edge.pem"), str(certs / "edge.key")),)
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
        ("sip:gw.Carrier.example", Peer("sip:gw.Carrier.example", "gw.carrier.example", None, None)),
        ("sip:10.0.0.1:5080;transport=TCP", Peer("sip:10.0.0.1:5080;transport=TCP", "10.0.0.1", 5080, "TCP")),
        ("sip:[2001:DB8::1]:5080", Peer("sip:[2001:DB8::1]:5080", "2001:db8::1", 5080, None)),
        ("sip:x;transport=udp", Peer("sip:x;transport=udp", "x", None, "UDP")),
        ("sip:x;transport=tls", Peer("sip:x;transport=tls", "x", None, "TLS")),
        ("sips:x", Peer("sips:x", "x", None, None, True)),
        ("sips:x;transport=tcp", Peer("sips:x;transport=tcp", "x", None, "TLS", True)),
    ],
)
def test_peers(text: str, peer: Peer) -> None:
    assert values.peer(text) == peer


@pytest.mark.parametrize(("said", "meant"), [("", "sockets"), (", packets: sockets", "sockets"), (", packets: xdp", "xdp")])
def test_how_packets_come_and_go(folder: Folder, said: str, meant: str) -> None:
    realm = f"{{signalling: [udp://127.0.0.9:5060], relay: {{address: 127.0.0.9, ports: 20000-20999{said}}}}}"
    snapshot = folder.load(MINIMAL, f"realms: {{r: {realm}}}").snapshot
    assert snapshot.realms["r"].relay.packets == Packets(meant)


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
  m: {srtp: optional, codecs: [G729, pcma], suites: [AEAD_AES_128_GCM], silence: 2m, early_media: listen, fax: pass}
  n: {srtp: off, codecs: [PCMA, telephone-event], digits_from: withhold, digits_to: withhold}
  o: {srtp: off, codecs: [PCMU, Telephone-Event], g711: translate, digits: info, ssrc: rewrite}
trunks: {t: {realm: inside, media: m, limits: a, accept_from: ["::ffff:10.0.0.1"]}, u: {realm: inside, media: n},
  v: {realm: inside, media: o, info: pass}}
""",
    ).snapshot
    assert snapshot.limits["a"] == LimitRules("a", 5, 1.5, 14400.0, None, True)
    assert snapshot.strangers == Strangers(403, LimitRules("s", requests=5.0))
    trunk = snapshot.trunks["t"]
    assert trunk.limits == (snapshot.limits["a"],)
    assert snapshot.everybody == ()
    assert trunk.accept_from == ("10.0.0.1/32",)
    media = trunk.media
    assert (media.codecs, media.srtp, media.suites, media.silence) == (("G729", "pcma"), "optional", (Suite.AEAD_AES_128_GCM,), 120.0)
    assert (media.early, media.fax, media.digits_from, media.digits_to) == ("listen", "pass", "pass", "pass")
    assert (snapshot.trunks["u"].media.digits_from, snapshot.trunks["u"].media.digits_to) == ("withhold", "withhold")
    assert (media.g711, media.digits, media.ssrc) == ("pass", "pass", "keep")
    media = snapshot.trunks["v"].media
    assert (media.g711, media.digits, media.ssrc) == ("translate", "info", "rewrite")
    assert media.codecs == ("PCMU",), "who says digits by INFO has no telephone-events"


def test_what_is_done_with_offers(folder: Folder) -> None:
    media = """
media:
  m: {srtp: off, codecs: [PCMA, G729, ILBC], offers_from: {strip: [ilbc, CN]}, annexb: refuse, ptime: 20ms, maxptime: 40ms,
    offers_to: {allow: [pcma, iLBC], prefer: [ilbc], require: [Telephone-Event]}}
  n: {srtp: off, codecs: [PCMA], offers_to: {prefer: as_offered}, digits: info}
trunks: {t: {realm: inside, media: m}, u: {realm: inside, media: n, info: pass}, v: {realm: inside, media: plain}}
"""
    trunks = folder.load(MINIMAL, media).snapshot.trunks
    rules = trunks["t"].media
    assert rules.offers_from == OfferRules(strip=frozenset({"iLBC", "CN"}))
    assert rules.offers_to == OfferRules(frozenset({"PCMA", "iLBC"}), frozenset(), ("iLBC",), ("telephone-event",))
    assert (rules.annexb, rules.ptime, rules.maxptime, rules.kept) == ("refuse", 20, 40, KEPT)
    assert trunks["u"].media.offers_to == OfferRules(prefer=())
    assert trunks["u"].media.kept == {"CN"}
    assert (trunks["v"].media.offers_to, trunks["v"].media.kept) == (OfferRules(), KEPT)


def test_limits_of_whom(folder: Folder) -> None:
    snapshot = folder.load(
        MINIMAL
        + """
limits:
  way: {calls: 60, calls_from: 50, calls_to: 40, new_calls: 6/s, new_calls_from: 5/s, new_calls_to: 4/s, burst: 9, bandwidth: 10M}
  each: {for_each: caller, new_calls: 864/d, burst: 5, requests: 1/s}
  all: {calls: 9}
users: {u: {realm: outside, media: plain, password: {env: SBC_TEST_SECRET}, limits: [way, each]}}
routes: [{name: r, when: {user: u, to: "*"}, send_to: [u], limits: all}]
everybody: {limits: all}
"""
    ).snapshot
    way = LimitRules(
        "way", 60, 6.0, calls_from=50, calls_to=40, new_calls_from=5.0, new_calls_to=4.0, burst=9, bandwidth=10_000_000,
    )  # fmt: skip
    assert snapshot.users["u"].limits == (way, LimitRules("each", None, 0.01, None, 1.0, burst=5, for_each="caller"))
    assert snapshot.routes[0].limits == snapshot.everybody == (LimitRules("all", 9),)


def test_room_for_less_than_one_call_is_a_warning(folder: Folder) -> None:
    trunk = "limits: {a: {bandwidth: 79k}, b: {bandwidth: 80k}}\ntrunks: {t: {realm: inside, media: plain, limits: [b, a]}}"
    (warning,) = folder.warnings(MINIMAL + trunk)
    assert warning == ("a.yaml:8:51: trunks.t.limits: 'a' has no room for one call: with the codecs of media 'plain' that takes 80k")


def test_a_slow_rate_without_a_burst_is_a_warning(folder: Folder) -> None:
    limits = "limits: {a: {new_calls: 50/d}, b: {new_calls: 50/d, burst: 5}, c: {new_calls: 1/m}}"
    (warning,) = folder.warnings(MINIMAL + limits)
    assert warning == (
        "a.yaml:7:25: limits.a.new_calls: means one call every 1728 seconds and never two at once: say 'burst', how many may come at once"
    )


@pytest.mark.parametrize(
    ("srtp", "required", "keying"),
    [("dtls", "required", ("dtls",)), ("[dtls, sdes]", "required", ("dtls", "sdes")), ("optional", "optional", ("sdes",))],
)
def test_where_keys_come_from(folder: Folder, srtp: str, required: str, keying: tuple[str, ...]) -> None:
    snapshot = folder.load(MINIMAL + "trunks: {t: {realm: inside, media: m}}", f"media: {{m: {{srtp: {srtp}, codecs: [PCMA]}}}}").snapshot
    media = snapshot.trunks["t"].media
    assert (media.srtp, media.keying) == (required, keying)


@pytest.mark.parametrize("srtp", ["sdes", "[sdes]"])
def test_sdes_is_required_and_offers_every_suite(folder: Folder, srtp: str) -> None:
    snapshot = folder.load(MINIMAL + "trunks: {t: {realm: inside, media: m}}", f"media: {{m: {{srtp: {srtp}, codecs: [PCMA]}}}}").snapshot
    assert snapshot.trunks["t"].media.srtp == "required"
    assert snapshot.trunks["t"].media.suites == USUAL_SUITES


def test_no_suite_is_offered_that_the_media_engine_lacks(folder: Folder) -> None:
    text = MINIMAL + "trunks: {t: {realm: inside, media: m}}", "media: {m: {srtp: sdes, codecs: [PCMA]}}"
    has = {Suite.AEAD_AES_128_GCM, Suite.AES_CM_128_HMAC_SHA1_80}
    assert folder.load(*text, suites=has).snapshot.trunks["t"].media.suites == (Suite.AEAD_AES_128_GCM, Suite.AES_CM_128_HMAC_SHA1_80)
    asked = text[1].replace("codecs", "suites: [AES_256_CM_HMAC_SHA1_80], codecs")
    with pytest.raises(PolicyErrors, match=r"media\.m\.suites\.0: the media engine that runs here has no AES_256_CM_HMAC_SHA1_80"):
        folder.load(text[0], asked, suites=has)


@pytest.mark.interpreted
def test_a_snapshot_is_frozen_and_named_after_its_text(folder: Folder) -> None:
    one, same, other = (folder.load(text).snapshot for text in (MINIMAL, MINIMAL, MINIMAL + "# x\n"))
    assert one.digest == same.digest != other.digest
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.version = 2  # type: ignore[misc]
    with pytest.raises(KeyError):
        one.party("nobody")


@pytest.mark.parametrize(
    ("written", "all_of_them", "first"),
    [
        ("", TimerValues(), TimerValues()),
        (", timers: {t1: 200ms}", TimerValues(0.2), TimerValues(0.2)),
        (", timers: {give_up_after: 6s}", TimerValues(), TimerValues(invite_timeout=6.0)),
        (", timers: {t1: 1s, give_up_after: 1s}", TimerValues(1.0), TimerValues(1.0, invite_timeout=1.0)),
    ],
)
def test_TXN_13_timers_of_a_trunk(folder: Folder, written: str, all_of_them: TimerValues, first: TimerValues) -> None:
    trunk = folder.load(MINIMAL + f"trunks: {{t: {{realm: inside, media: plain{written}}}}}").snapshot.trunks["t"]
    assert (trunk.timers, trunk.invite_timers) == (all_of_them, first)


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("{}", "trunks.t.timers: sets nothing: give t1 or give_up_after"),
        ("{t1: 99ms}", "trunks.t.timers.t1: a time from 100ms to 2s"),
        ("{t1: 3s}", "trunks.t.timers.t1: a time from 100ms to 2s"),
        ("{t1: 500}", "trunks.t.timers.t1: a time from 100ms to 2s"),
        ("{t1: 2s, give_up_after: 1s}", "trunks.t.timers: give_up_after is shorter than t1"),
        ("{give_up_after: 500ms}", "trunks.t.timers.give_up_after: a duration is a number with its unit"),
        ("{give_up: 5s}", "trunks.t.timers.give_up: unknown key, did you mean 'give_up_after'?"),
    ],
)
def test_TXN_13_wrong_timers(folder: Folder, written: str, problem: str) -> None:
    (error,) = folder.errors(MINIMAL + f"trunks: {{t: {{realm: inside, media: plain, timers: {written}}}}}")
    assert problem in error


def test_name_servers_of_a_realm(folder: Folder) -> None:
    text = MINIMAL.replace("outside: {signalling", "outside: {name_servers: [192.0.2.53, '2001:DB8::53'], signalling")
    realms = folder.load(text).snapshot.realms
    assert (realms["outside"].name_servers, realms["inside"].name_servers) == (("192.0.2.53", "2001:db8::53"), ())
    (error,) = folder.errors(text.replace("192.0.2.53", "ns.example"))
    assert "realms.outside.name_servers.0: 'ns.example' is not an IP address" in error
    (error,) = folder.errors(text.replace("[192.0.2.53, '2001:DB8::53']", "[]"))
    assert "realms.outside.name_servers: " in error


@pytest.mark.parametrize(
    ("peer", "listener", "problem"),
    [
        ("sip:gw.example", "tls://127.0.0.2:5061", None),  # DNS may know of TLS
        ("sip:gw.example:5060", "tcp://127.0.0.2:5060", "has no udp:// listener to send from"),
        ("sip:192.0.2.1", "tcp://127.0.0.2:5060", "has no udp:// listener to send from"),
        ("sips:gw.example", "udp://127.0.0.2:5060", "has no tls:// listener to send from"),
        ("sip:gw.example;transport=tcp", "udp://127.0.0.2:5060", "has no tcp:// listener to send from"),
    ],
)
def test_DNS_01_a_peer_needs_a_listener_to_be_reached_from(folder: Folder, peer: str, listener: str, problem: str | None) -> None:
    inside = f"signalling: ['{listener}']" + (", certificate: edge" if listener.startswith("tls") else "")
    text = MINIMAL.replace("signalling: [udp://127.0.0.2:5060]", inside) + f"trunks: {{t: {{realm: inside, media: plain, peer: '{peer}'}}}}"
    if problem is None:
        assert folder.load(text).snapshot.trunks["t"].peer is not None
    else:
        (error,) = folder.errors(text)
        assert problem in error


NAMED = "tls://127.0.0.1:5061], certificate: [edge, other]"
BY_NAME = (
    "trunks: {t: {realm: outside, media: plain, accept_certificate: [A.example], peer: 'sip:a.example;transport=tls', certificate: other}}"
)


@pytest.mark.parametrize(
    ("realm", "trunks", "presented"),
    [
        ("", "", "never"),
        ("", BY_NAME, "optional"),
        (", client_ca: ../certs/ca.pem", BY_NAME, "required"),
        (", client_ca: ../certs/ca.pem, client_certificates: optional", "", "optional"),
        (", client_certificates: required", "", "required"),
    ],
)
def test_TLS_05_who_has_to_present_a_certificate(folder: Folder, realm: str, trunks: str, presented: str) -> None:
    for half in ("pem", "key"):
        shutil.copy(folder.root / "certs" / f"edge.{half}", folder.root / "certs" / f"other.{half}")
    snapshot = folder.load(MINIMAL.replace("udp://127.0.0.1:5060]", NAMED + realm) + trunks).snapshot
    outside = snapshot.realms["outside"]
    assert outside.client_certificates == presented
    assert [pair.certificate.rpartition("/")[2] for pair in outside.certificates] == ["edge.pem", "other.pem"]
    if trunks:
        trunk = snapshot.trunks["t"]
        assert snapshot.certified == {("outside", "a.example"): trunk}
        assert trunk.certificate == outside.certificates[1]
        assert not trunk.wildcard_certificates


def test_WS_01_websockets(folder: Folder) -> None:
    written = 'ws://127.0.0.1, "wss://[::1]"], certificate: edge, origins: [HTTPS://A.example, "http://localhost:8080"]'
    realm = folder.load(MINIMAL.replace("udp://127.0.0.1:5060]", written)).snapshot.realms["outside"]
    assert [(each.transport, each.local) for each in realm.listeners] == [("WS", ("127.0.0.1", 80)), ("WSS", ("::1", 443))]
    assert realm.origins == ("https://a.example", "http://localhost:8080")


def test_recordings_are_for_those_who_ask(folder: Folder) -> None:
    text = MINIMAL + "trunks: {kept: {realm: inside, media: plain, record: failed}, other: {realm: inside, media: plain}}\n"
    trunks = folder.load(text).snapshot.trunks
    assert (trunks["kept"].record, trunks["other"].record) == ("failed", "never")
    (error,) = folder.errors(text.replace("record: failed", "record: sometimes"))
    assert "trunks.kept.record: " in error


MARKED = """
realms:
  marked:
    signalling: [udp://127.0.0.9:5060]
    relay: {address: 127.0.0.9, ports: 30000-30999}
    dscp: {media: AF41, signalling: cs5}
media:
  usual: {srtp: optional, codecs: [PCMA]}
  own: {srtp: off, codecs: [PCMA], dscp: 0, follow: same_address}
  still: {srtp: sdes, codecs: [PCMA], follow: never}
trunks:
  a: {realm: inside, media: usual}
  b: {realm: marked, media: usual}
  c: {realm: marked, media: own}
  d: {realm: inside, media: still}
"""


def test_RTP_10_the_media_object_marks_before_the_realm_does(folder: Folder) -> None:
    snapshot = folder.load(MINIMAL, MARKED).snapshot
    assert {name: trunk.media.dscp for name, trunk in snapshot.trunks.items()} == {"a": 46, "b": 34, "c": 0, "d": 46}
    assert {name: realm.dscp for name, realm in snapshot.realms.items()} == {"inside": 24, "outside": 24, "marked": 40}


def test_RTP_03_who_is_followed(folder: Folder) -> None:
    snapshot = folder.load(MINIMAL, MARKED).snapshot
    follow = {name: trunk.media.follow for name, trunk in snapshot.trunks.items()}
    assert follow == {"a": Follow.AUTHENTICATED, "b": Follow.AUTHENTICATED, "c": Follow.SAME_ADDRESS, "d": Follow.NEVER}


@pytest.mark.parametrize(("text", "number"), [("ef", 46), ("CS7", 56), ("af11", 10), ("af43", 38), ("va", 44), ("0", 0), ("63", 63)])
def test_dscp_by_name_and_number(text: str, number: int) -> None:
    assert values.dscp(text) == number
