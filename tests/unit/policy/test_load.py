"""Every mistake gets a line of its own with file, line, column, path and what to do."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from sbc import devcerts
from sbc.policy.load import load_policy
from sbc.policy.problems import PolicyErrors
from tests.unit.policy.conftest import MINIMAL, Folder


def test_the_example_of_the_guide(folder: Folder) -> None:
    text = MINIMAL + 'routes:\n  - {name: out, when: {trunk: t, too: "+*"}, send_to: [t]}\n'
    assert folder.errors(text) == [
        "a.yaml:8:17: routes.0.when: needs 'to'",
        "a.yaml:8:31: routes.0.when.trunk: there is no trunk 't'",
        "a.yaml:8:34: routes.0.when.too: unknown key, did you mean 'to'?",
        "a.yaml:8:56: routes.0.send_to.0: there is no trunk or user 't'",
    ]


@pytest.mark.parametrize(
    ("addition", "expected"),
    [
        ("route: []", "a.yaml:7:1: route: unknown key, did you mean 'routes'?"),
        ("heads: {}", "a.yaml:7:1: heads: unknown key"),
        ("number: {}", "a.yaml:7:1: number: unknown key, did you mean 'numbers'?"),
        ("identities: {}", "a.yaml:7:1: identities: unknown key, did you mean 'identity'?"),
        ("trunks: {t: {realm: insid, media: plain}}", "a.yaml:7:21: trunks.t.realm: there is no realm 'insid', did you mean 'inside'?"),
        ("trunks: {t: {realm: inside, media: plan}}", "a.yaml:7:36: trunks.t.media: there is no media 'plan', did you mean 'plain'?"),
        ("trunks: {t: {realm: inside, media: plain, limits: x}}", "a.yaml:7:51: trunks.t.limits: there is no limits 'x'"),
        ("trunks: {t: {realm: inside}}", "a.yaml:7:10: trunks.t: needs 'media'"),
        (
            "trunks: {t: {realm: inside, media: plain, headers_ou: [x]}}",
            "a.yaml:7:43: trunks.t.headers_ou: unknown key, did you mean 'headers_out'?",
        ),
        ("trunks: {t: {realm: inside, media: plain, accept_from: []}}", "a.yaml:7:56: trunks.t.accept_from: must not be empty"),
        ("trunks: {t: {realm: inside, media: plain, accept_from: 10.0.0.1}}", "a.yaml:7:56: trunks.t.accept_from: must be a list"),
        (
            "trunks: {t: {realm: inside, media: plain, accept_from: [0.0.0.0/0]}}",
            "trunks.t.accept_from.0: would accept calls from everyone",
        ),
        (
            "trunks: {t: {realm: inside, media: plain, accept_from: [10.0.0.1/24]}}",
            "a.yaml:7:57: trunks.t.accept_from.0: '10.0.0.1/24' has bits set behind its prefix, did you mean '10.0.0.0/24'",
        ),
        ("trunks: {t: {realm: inside, media: plain, accept_from: ['::/0']}}", "everyone"),
        ("trunks: {t: {realm: inside, media: plain, peer: 10.0.0.1}}", "trunks.t.peer: "),
        ("trunks: {t: {realm: inside, media: plain, peer: sip:a@b}}", "trunks.t.peer: a peer is a host without user"),
        (
            "trunks: {t: {realm: inside, media: plain, peer: 'sip:b;tranport=tcp'}}",
            "unknown parameter 'tranport', did you mean 'transport'?",
        ),
        ("trunks: {t: {realm: inside, media: plain, peer: sip:b;transport=ws}}", "transport is udp, tcp or tls"),
        ("trunks: {t: {realm: inside, media: plain, peer: sip:b;transport=tcp}}", "realm 'inside' has no tcp:// listener"),
        ("trunks: {t: {realm: inside, media: plain, peer: 'sip:[::1]'}}", "has no udp:// listener of this address family"),
        ("trunks: {t: {realm: inside, media: plain, peer: sip:127.0.0.2}}", "is our own listener"),
        ('trunks: {t: {realm: inside, media: plain, dial_plan: {"0x": "+"}}}', "a.yaml:7:55: trunks.t.dial_plan.0x: the beginning"),
        ('trunks: {t: {realm: inside, media: plain, dial_plan: {"0": "x"}}}', "a.yaml:7:60: trunks.t.dial_plan.0: what stands"),
        ("trunks: {-t: {realm: inside, media: plain}}", "a.yaml:7:10: trunks.-t: a name has"),
        ("trunks: {t: {realm: inside, media: plain, info: yes}}", "a.yaml:7:49: trunks.t.info: "),
        ("trunks: {t: {realm: inside, media: plain, info_packages: [foo]}}", "trunks.t.info_packages: no INFO passes at all"),
        ("trunks: {t: {realm: inside, media: plain, info: pass, info_packages: ['a b']}}", "info_packages.0: a name of letters"),
        ("trunks: {t: {realm: inside, media: plain, redirects: yes}}", "a.yaml:7:54: trunks.t.redirects: "),
        ("trunks: {t: {realm: inside, media: plain, transfers: end}}", "a.yaml:7:54: trunks.t.transfers: "),
        ("trunks: {t: {realm: inside, media: plain, messages: true}}", "a.yaml:7:53: trunks.t.messages: "),
        ("trunks: {t: {realm: inside, media: plain, events: []}}", "a.yaml:7:51: trunks.t.events: must not be empty"),
        ("trunks: {t: {realm: inside, media: plain, events: [a/b]}}", "a.yaml:7:52: trunks.t.events.0: a name of letters"),
        ("trunks: {t: {realm: inside, media: plain, priorities: [esnt]}}", "trunks.t.priorities.0: 'esnt' is none of dsn, drsn, q735"),
        ("users: {u: {realm: outside, media: plain, password: {env: NOT_SET_ANYWHERE}}}", "users.u.password.env: environment variable"),
        ("users: {u: {realm: outside, media: plain, password: {}}}", "users.u.password: a secret comes from exactly one"),
        ("users: {u: {realm: outside, media: plain, password: {file: a, env: b}}}", "users.u.password: a secret comes from exactly one"),
        ("limits: {l: {calls: 0}}", "a.yaml:7:21: limits.l.calls: must be at least 1"),
        ("limits: {l: {calls: many}}", "a.yaml:7:21: limits.l.calls: must be a number"),
        ('limits: {l: {calls: "5"}}', "a.yaml:7:21: limits.l.calls: must be a number"),
        ("limits: {l: {new_calls: 20}}", "a.yaml:7:25: limits.l.new_calls: a rate is"),
        ("limits: {l: {longest_call: 4}}", "a.yaml:7:28: limits.l.longest_call: a duration is"),
        ("limits: {l: {calls: 1, shared: yes}}", "a.yaml:7:32: limits.l.shared: must be true or false"),
        ("limits: {l: {}}", "a.yaml:7:13: limits.l: limits nothing"),
        ("limits: {l: {requests: 5/s, then: ban 10m}}", "a.yaml:7:29: limits.l.then: unknown key"),
        ("strangers: {answer: 200}", "a.yaml:7:21: strangers.answer: write nothing"),
        ("limits: {l: {calls: 1}}\nstrangers: {limits: l}", "a.yaml:8:21: strangers.limits: strangers make no calls"),
        (
            "limits: {l: {requests: 1/s, for_each: source}}\nstrangers: {limits: l}",
            "a.yaml:8:21: strangers.limits: strangers make no calls",
        ),
        ("limits: {l: {calls: 1, for_each: number}}", "a.yaml:7:34: limits.l.for_each: must be 'caller', 'called' or 'source'"),
        ("limits: {l: {for_each: caller, burst: 3}}", "a.yaml:7:13: limits.l: limits nothing"),
        ("limits: {l: {bandwidth: 10}}", "a.yaml:7:25: limits.l.bandwidth: a bandwidth is a number of bits per second with its unit: 512k"),
        ("limits: {l: {bandwidth: 0M}}", "a.yaml:7:25: limits.l.bandwidth: a bandwidth is"),
        ("limits: {l: {calls: 3, burst: 3}}", "a.yaml:7:13: limits.l: 'burst' belongs to a rate"),
        ("limits: {l: {new_calls: 3/w}}", "a.yaml:7:25: limits.l.new_calls: a rate is a number per second, minute, hour or day"),
        ("limits: {l: {calls: 3, calls_to: 4}}", "a.yaml:7:13: limits.l: calls_to is never reached"),
        ("limits: {l: {new_calls: 1/s, new_calls_from: 61/m}}", "a.yaml:7:13: limits.l: new_calls_from is never reached"),
        ("trunks: {t: {realm: inside, media: plain, limits: [l]}}", "a.yaml:7:52: trunks.t.limits.0: there is no limits 'l'"),
        ("trunks: {t: {realm: inside, media: plain, limits: []}}", "a.yaml:7:51: trunks.t.limits: must not be empty"),
        (
            "limits: {l: {calls: 1}}\ntrunks: {t: {realm: inside, media: plain, limits: [l, l]}}",
            "a.yaml:8:55: trunks.t.limits.1: 'l' is already in this list",
        ),
        ("everybody: {limits: l}", "a.yaml:7:21: everybody.limits: there is no limits 'l'"),
        ("everybody: {}", "a.yaml:7:1: everybody: needs 'limits'"),
        (
            "limits: {l: {calls_to: 1}}\neverybody: {limits: l}",
            "everybody.limits: 'calls_to' is for trunks and users: to everybody together",
        ),
        ("routes: {}", "a.yaml:7:9: routes: must be a list"),
        ('routes: [{name: r, when: {to: "*"}, send_to: [x]}]', "a.yaml:7:26: routes.0.when: say whose calls"),
        ('routes: [{name: r, when: {realm: inside, user: x, to: "*"}, send_to: [x]}]', "routes.0.when: say whose calls"),
        ('routes: [{name: r, when: {realm: inside, to: "*"}, send_to: []}]', "a.yaml:7:61: routes.0.send_to: must not be empty"),
        ("routes: [{name: r, when: {realm: inside, to: []}, send_to: [x]}]", "a.yaml:7:46: routes.0.when.to: must not be empty"),
        ('routes: [{name: r, when: {realm: inside, to: "4*9"}, send_to: [x]}]', "routes.0.when.to: write a number or name"),
        ('routes: [{name: r, when: {realm: inside, to: "*"}, send_to: [x], next_on: [200]}]', "routes.0.next_on.0: write a final status"),
        ('routes: [{name: r, when: {realm: inside, to: "*"}, send_to: [x], ring_for: 60}]', "routes.0.ring_for: a duration is"),
        (
            "trunks: {t: {realm: inside, media: plain, accept_from: [10.0.0.1]}}\n"
            'routes: [{name: r, when: {trunk: t, to: "*"}, send_to: [t]}]',
            "a.yaml:8:57: routes.0.send_to.0: trunk 't' cannot be reached",
        ),
        (
            "trunks: {t: {realm: inside, media: plain, peer: sip:x}}\n"
            'routes: [{name: r, when: {trunk: t, to: "1"}, send_to: [t, t]}, {name: r, when: {trunk: t, to: "1"}, send_to: [t]}]',
            "a.yaml:8:60: routes.0.send_to.1: 't' is already in this list",
        ),
        (
            "trunks:\n  a: {realm: inside, media: plain, accept_from: [10.0.0.0/24]}\n"
            "  b: {realm: inside, media: plain, accept_from: [10.1.0.0/24, 10.0.0.0/24]}",
            "a.yaml:9:63: trunks.b.accept_from.1: 10.0.0.0/24 is already trunk 'a' at a.yaml:8",
        ),
        (
            "trunks:\n  a: {realm: inside, media: plain, accept_from: [10.0.0.0/24]}\n"
            '  b: {realm: inside, media: plain, accept_from: ["::ffff:10.0.0.0/120"]}',
            "a.yaml:9:50: trunks.b.accept_from.0: 10.0.0.0/24 is already trunk 'a'",
        ),
        (
            "trunks: {x: {realm: inside, media: plain}}\nusers: {x: {realm: inside, media: plain, password: {env: SBC_TEST_SECRET}}}",
            "a.yaml:8:9: users.x: there is a trunk of this name at a.yaml:7",
        ),
        (
            "trunks: {t: {realm: inside, media: plain, accepts_registration: {user: x, password: {env: SBC_TEST_SECRET}}}}\n"
            "users: {x: {realm: inside, media: plain, password: {env: SBC_TEST_SECRET}}}",
            "a.yaml:7:72: trunks.t.accepts_registration.user: 'x' is already an account of realm 'inside' at a.yaml:8",
        ),
        (
            "trunks: {t: {realm: inside, media: plain, peer: sip:x, accepts_registration: {user: x, password: {env: SBC_TEST_SECRET}}}}",
            "a.yaml:7:49: trunks.t.peer: calls go to where it registered from",
        ),
        ("users: {u: {realm: inside, media: plain}}", "a.yaml:7:12: users.u: needs 'password', or 'register_at' when a registrar behind"),
        (
            "trunks: {t: {realm: inside, media: plain, peer: sip:x}}\n"
            "users: {u: {realm: inside, media: plain, register_at: t, password: {env: SBC_TEST_SECRET}}}",
            "a.yaml:8:12: users.u: needs 'password', or 'register_at' when a registrar behind us checks it: exactly one of them",
        ),
        (
            "trunks: {t: {realm: inside, media: plain, accepts_registration: {user: x}}}",
            "a.yaml:7:65: trunks.t.accepts_registration: needs 'password', or 'register_at'",
        ),
        (
            "trunks: {core: {realm: inside, media: plain, peer: sip:x}}\nusers: {u: {realm: outside, media: plain, register_at: cor}}",
            "a.yaml:8:56: users.u.register_at: there is no trunk 'cor', did you mean 'core'?",
        ),
        (
            "trunks:\n  core: {realm: inside, media: plain, accept_from: [10.0.0.1]}\n"
            "  pbx: {realm: outside, media: plain, accepts_registration: {user: x, register_at: core}}",
            "a.yaml:9:84: trunks.pbx.accepts_registration.register_at: trunk 'core' has no 'peer' to send REGISTER to",
        ),
    ],
)
def test_what_is_refused_and_where(folder: Folder, addition: str, expected: str) -> None:
    errors = folder.errors(MINIMAL + addition)
    assert any(expected in error for error in errors), errors


def test_a_route_has_no_direction_and_sees_calls_only(folder: Folder) -> None:
    assert folder.errors(
        MINIMAL + "limits: {l: {requests: 1/s}, m: {new_calls_from: 1/s}}\ntrunks: {t: {realm: inside, media: plain, peer: sip:x}}\n"
        'routes: [{name: r, when: {realm: inside, to: "*"}, send_to: [t], limits: [m, l, n]}]'
    ) == [
        "a.yaml:9:75: routes.0.limits.0: 'new_calls_from' is for trunks and users: to a route a call has no direction",
        "a.yaml:9:78: routes.0.limits.1: 'requests' is for trunks, users, realms, everybody and strangers: a route sees calls only",
        "a.yaml:9:81: routes.0.limits.2: there is no limits 'n'",
    ]


@pytest.mark.parametrize(
    ("realm", "expected"),
    [
        ("signalling: []", "realms.r.signalling: must not be empty"),
        ("signalling: [udp://127.0.0.1:5060], registration: {longest: 30s}", "realms.r.registration.longest: must be at least 60"),
        ("signalling: [udp://localhost:5060]", "'localhost' is not an IP address"),
        ("signalling: [udp://0.0.0.0:5060]", "is not the address of one interface"),
        ("signalling: [tsl://127.0.0.9:5061]", "'tsl' is none of udp, tcp, tls, ws, wss and quic, did you mean 'tls'?"),
        ("signalling: [udp://127.0.0.9:0]", "a port is a number"),
        ("signalling: [127.0.0.9]", "write it as udp://"),
        (
            "signalling: [udp://127.0.0.1:5060]",
            "b.yaml:1:27: realms.r.signalling.0: this address and port is already listened on at a.yaml:3",
        ),
        ("signalling: [tls://127.0.0.9:5061]", "b.yaml:1:26: realms.r.signalling: tls:// needs 'certificate: NAME'"),
        ("signalling: [tls://127.0.0.9:5061, tcp://127.0.0.9:5061], certificate: edge", "realms.r.signalling.1: this address and port"),
        ("signalling: [tls://127.0.0.9:5061], certificate: nope", "certs/nope.pem: No such file"),
        ("signalling: [tls://127.0.0.9:5061], certificate: [edge, nope]", "realms.r.certificate.1: "),
        ("signalling: [wss://127.0.0.9]", "realms.r.signalling: wss:// needs 'certificate: NAME'"),
        ("signalling: [ws://127.0.0.9, tcp://127.0.0.9:80]", "realms.r.signalling.1: this address and port"),
        ("signalling: [udp://127.0.0.9:5060], origins: [https://a.example]", "realms.r.origins: is about WebSockets"),
        ("signalling: [ws://127.0.0.9], origins: [a.example]", "realms.r.origins.0: write where the page comes from as https://HOST"),
        ("signalling: [ws://127.0.0.9], origins: ['*']", "realms.r.origins.0: write where the page"),
        ("signalling: [ws://127.0.0.9], origins: []", "realms.r.origins: must not be empty"),
        ("signalling: [udp://127.0.0.9:5060], client_certificates: optional", "realms.r.client_certificates: asks for client"),
        ("signalling: [tls://127.0.0.9:5061], certificate: ../edge", "realms.r.certificate: a name has"),
        ("signalling: [udp://127.0.0.9:5060], client_ca: ../certs/ca.pem", "no listener is tls://"),
        ("signalling: [tls://127.0.0.9:5061], certificate: edge, client_ca: ../certs/ca.key", "holds no readable PEM certificate"),
        ("signalling: [udp://127.0.0.9:5060], advertise: 2001:db8::1", "realms.r.advertise: no listener has an address of this family"),
        ("signalling: [udp://127.0.0.9:5060], advertise: sbc.example.net", "realms.r.advertise: 'sbc.example.net' is not an IP address"),
        ("signalling: [udp://127.0.0.9:5060], domains: [a b]", "realms.r.domains.0: 'a b' is neither a host name"),
    ],
)
def test_realms(folder: Folder, realm: str, expected: str) -> None:
    errors = folder.errors(MINIMAL, f"realms: {{r: {{{realm}, relay: {{address: 127.0.0.9, ports: 40000-40999}}}}}}")
    assert any(expected in error for error in errors), errors


@pytest.mark.parametrize(
    ("address", "ports", "expected"),
    [
        ("127.0.0.9", "20000", "write it as FIRST-LAST"),
        ("127.0.0.9", "20001-20002", "not even one call fits"),
        ("127.0.0.9", "30000-20000", "not even one call fits"),
        ("127.0.0.9", "500-2000", "ports below 1024"),
        ("127.0.0.9", "60000-70000", "a port is a number from 1 to 65535"),
        ("127.0.0.1", "20998-22000", "overlaps with the ports of realm 'outside' on the same address"),
        ("127.0.0.1", "5000-5100", "contains the signalling port of udp://127.0.0.1:5060"),
    ],
)
def test_relay_ports(folder: Folder, address: str, ports: str, expected: str) -> None:
    text = f"realms: {{r: {{signalling: [udp://127.0.0.9:5060], relay: {{address: {address}, ports: {ports}}}}}}}"
    errors = folder.errors(MINIMAL, text)
    assert any(error.startswith("b.yaml:1:") and expected in error for error in errors), errors


def test_packets_come_and_go_in_ways_there_are(folder: Folder) -> None:
    text = "realms: {r: {signalling: [udp://127.0.0.9:5060], relay: {address: 127.0.0.9, ports: 20000-20999, packets: dpdk}}}"
    (error,) = folder.errors(MINIMAL, text)
    assert error.startswith("b.yaml:1:")
    assert "realms.r.relay.packets: must be 'sockets' or 'xdp'" in error


def test_xdp_at_one_network_of_several(folder: Folder) -> None:
    realm = "{{signalling: [udp://127.0.0.{0}:5060], relay: {{address: 127.0.0.{0}, ports: 20000-29999, packets: xdp}}}}"
    one = "realms: {r: " + realm.format(9) + "}"
    both = "realms: {r: " + realm.format(9) + ", s: " + realm.format(8) + "}"
    assert any("no other one does" in warning for warning in folder.warnings(MINIMAL, one))
    assert not any("no other one does" in warning for warning in folder.warnings(MINIMAL, both))


@pytest.mark.parametrize(
    ("media", "expected"),
    [
        ("{srtp: on, codecs: [PCMA]}", "media.m.srtp: must be 'off', 'sdes', 'dtls', 'optional' or a list of 'sdes' and 'dtls'"),
        ("{srtp: [sdes, zrtp], codecs: [PCMA]}", "media.m.srtp: must be 'off', 'sdes', 'dtls', 'optional' or a list of"),
        ("{srtp: [], codecs: [PCMA]}", "media.m.srtp: must be "),
        ("{srtp: [dtls, dtls], codecs: [PCMA]}", "media.m.srtp: names a way twice"),
        ("{srtp: false, codecs: [PCMA]}", "media.m.srtp: must be 'off', 'sdes', 'dtls', 'optional' or a list of"),
        ("{srtp: [sdes, dtls], codecs: [PCMA], suites: [AES_256_CM_HMAC_SHA1_80]}", "media.m.suites: none of these can come of DTLS"),
        ("{srtp: dtls, codecs: [PCMA], fax: pass}", "media.m.fax: T.38 has no encryption here"),
        ("{codecs: [PCMA]}", "media.m: needs 'srtp'"),
        ("{srtp: off}", "media.m: needs 'codecs'"),
        ("{srtp: off, codecs: []}", "media.m.codecs: must not be empty"),
        ("{srtp: off, codecs: [telephone-event, CN]}", "no audio codec among them"),
        ("{srtp: off, codecs: [PCMA, pcma]}", "media.m.codecs.1: 'pcma' is already in this list"),
        ("{srtp: sdes, codecs: [PCMA], suites: [AES_CM_128_HMAC_SHA1_81]}", "did you mean 'AES_CM_128_HMAC_SHA1_80'?"),
        ("{srtp: off, codecs: [PCMA], suites: [AEAD_AES_128_GCM]}", "media.m.suites: suites without SRTP"),
        ("{srtp: sdes, codecs: [PCMA], fax: pass}", "media.m.fax: T.38 has no encryption here"),
        ("{srtp: off, codecs: [PCMA], fax: yes}", "media.m.fax: "),
        ("{srtp: off, codecs: [PCMA], early_media: one-way}", "media.m.early_media: "),
        ("{srtp: off, codecs: [PCMA, telephone-event], digits_to: refuse}", "media.m.digits_to: must be 'pass' or 'withhold'"),
        ("{srtp: off, codecs: [PCMA], follow: always}", "media.m.follow: must be 'never', 'authenticated' or 'same_address'"),
        (
            "{srtp: off, codecs: [PCMA], follow: authenticated}",
            "media.m.follow: plain RTP authenticates nothing: 'never', or 'same_address'",
        ),
        ("{srtp: [dtls, sdes], codecs: [PCMA], follow: same_address}", "with 'srtp: dtls, sdes' it is 'authenticated'"),
        ("{srtp: off, codecs: [PCMA], dscp: eff}", "media.m.dscp: 'eff' is no DSCP, did you mean 'ef'?"),
        (
            "{srtp: off, codecs: [PCMA], dscp: 64}",
            "media.m.dscp: '64' is no DSCP: write ef, cs0 to cs7, af11 to af43, or a number from 0 to 63",
        ),
        ("{srtp: off, codecs: [PCMA], offers_to: {}}", "media.m.offers_to: does nothing"),
        ("{srtp: off, codecs: [PCMA], offers_to: {strip: []}}", "media.m.offers_to.strip: must not be empty"),
        ("{srtp: off, codecs: [PCMA, G729], offers_to: {allow: [PCMA], strip: [G729]}}", "take one of them"),
        ("{srtp: off, codecs: [PCMA], offers_to: {prefer: keep}}", "media.m.offers_to.prefer: must be a list of codecs, or"),
        ("{srtp: off, codecs: [PCMA], offers_from: {strip: [G722]}}", "offers_from.strip.0: 'G722' is not among the codecs"),
        ("{srtp: off, codecs: [PCMA], offers_from: {strip: [pcma]}}", "media.m.offers_from: no audio codec is left"),
        ("{srtp: off, codecs: [PCMA, G729], offers_to: {prefer: [G729, g729]}}", "prefer.1: 'g729' is already in this list"),
        (
            "{srtp: off, codecs: [PCMA, G729], offers_to: {allow: [PCMA], require: [G729]}}",
            "media.m.offers_to.require.0: 'G729' is not left in such an offer: see 'allow'",
        ),
        (
            "{srtp: off, codecs: [PCMA], offers_to: {strip: [CN], require: [CN]}}",
            "media.m.offers_to.require.0: 'CN' is not left in such an offer: see 'strip'",
        ),
        ("{srtp: off, codecs: [PCMA], annexb: refuse}", "media.m.annexb: G729 is not among the codecs"),
        ("{srtp: off, codecs: [G729], annexb: no}", "media.m.annexb: must be 'pass' or 'refuse'"),
        ("{srtp: off, codecs: [PCMA], ptime: 20}", "media.m.ptime: a packet has 5ms to 200ms of speech: 20ms"),
        ("{srtp: off, codecs: [PCMA], ptime: 1s}", "media.m.ptime: a packet has"),
        ("{srtp: off, codecs: [PCMA], ptime: 30ms, maxptime: 20ms}", "media.m.ptime: is longer than maxptime, 20ms"),
        (
            "{srtp: off, codecs: [PCMA], digits_to: withhold, offers_to: {strip: [telephone-event]}}",
            "media.m.digits_to: without telephone-event, which 'offers_to' strips",
        ),
        ("{srtp: off, codecs: [PCMA, Telephone-Event, RED], digits_from: withhold}", "media.m.digits_from: RED (RFC 2198) carries"),
        ("{srtp: off, codecs: [PCMA], digits: rfc2833}", "media.m.digits: must be 'pass', 'rfc4733' or 'info'"),
        (
            "{srtp: off, codecs: [PCMA], digits: rfc4733, offers_from: {strip: [Telephone-Event]}}",
            "media.m.digits: RFC 4733 is telephone-event, which 'offers_from' strips",
        ),
        ("{srtp: off, codecs: [PCMA], g711: yes}", "media.m.g711: must be 'pass' or 'translate'"),
        ("{srtp: off, codecs: [G729], g711: translate}", "media.m.g711: neither PCMA nor PCMU"),
        ("{srtp: off, codecs: [PCMA], ssrc: true}", "media.m.ssrc: must be 'keep' or 'rewrite'"),
    ],
)
def test_media(folder: Folder, media: str, expected: str) -> None:
    errors = folder.errors(MINIMAL.replace("media: {", f"media: {{m: {media}, "))
    assert any(expected in error for error in errors), errors


def test_DTMF_03_digits_by_info_need_info(folder: Folder) -> None:
    text = MINIMAL.replace("media: {", "media: {m: {srtp: off, codecs: [PCMA], digits: info, digits_to: withhold}, ")
    (error,) = folder.errors(text, "trunks: {t: {realm: inside, media: m}}")
    assert error == "b.yaml:1:36: trunks.t.media: media 'm' has its digits come by INFO, which is refused: say 'info: pass', too"
    assert folder.load(text, "trunks: {t: {realm: inside, media: m, info: pass}}").snapshot.trunks["t"].media.digits == "info"


def test_DTMF_04_no_event_tells_what_is_withheld(folder: Folder) -> None:
    text = MINIMAL.replace("media: {", "media: {m: {srtp: off, codecs: [PCMA, telephone-event], digits_to: withhold}, ")
    errors = folder.errors(text, "trunks: {t: {realm: inside, media: m, events: [dialog, KPML]}}")
    assert errors == ["b.yaml:1:56: trunks.t.events.1: tells digits, which media 'm' withholds"]


def test_all_mistakes_are_reported_at_once(folder: Folder) -> None:
    errors = folder.errors(MINIMAL + "limits: {l: {calls: 0}}\nx: 1", "trunks: {t: {realm: nowhere, media: plain, nope: 1}}")
    assert [error.split(" ", 1)[0] for error in errors] == ["a.yaml:7:21:", "a.yaml:8:1:", "b.yaml:1:21:", "b.yaml:1:44:"]


def test_a_name_in_two_files_names_both(folder: Folder) -> None:
    errors = folder.errors(MINIMAL, "media: {plain: {srtp: off, codecs: [PCMA]}}")
    assert len(errors) == 1
    assert errors[0].startswith("b.yaml:1:9: media.plain: is already defined at ")
    assert errors[0].endswith("a.yaml:5")


def test_after_a_broken_file_nothing_is_called_missing(folder: Folder) -> None:
    assert len(folder.errors("version: 1\nrealms: [", "trunks: {t: {realm: r, media: m}}")) == 1


def test_a_file_and_nothing_are_no_folders(tmp_path: Path) -> None:
    (tmp_path / "sbc.yaml").write_text(MINIMAL)
    with pytest.raises(PolicyErrors, match=rf"a policy is a folder: name {tmp_path},"):
        load_policy(tmp_path / "sbc.yaml")
    with pytest.raises(PolicyErrors, match="no such folder"):
        load_policy(tmp_path / "nowhere")


def test_an_empty_folder_and_a_missing_version(folder: Folder) -> None:
    assert "no *.yaml file there" in folder.errors()[0]
    assert any("needs 'version: 1'" in error for error in folder.errors(MINIMAL.replace("version: 1\n", "")))
    assert any("version 1 of the language" in error for error in folder.errors(MINIMAL.replace("version: 1", "version: 2")))


def test_a_password_in_the_policy_is_refused_and_not_repeated(folder: Folder) -> None:
    errors = folder.errors(MINIMAL + "users: {u: {realm: outside, media: plain, password: hunter2}}")
    assert errors == ["a.yaml:7:53: users.u.password: a secret is never written in a policy: use {file: …} or {env: …}"]


@pytest.mark.parametrize(
    ("content", "mode", "expected"),
    [
        (b"geheim\n", 0o644, "is open to every user of this machine"),
        (b"geheim\n", 0o602, "is open to every user of this machine"),
        (b"", 0o600, "is empty"),
        (b"\n", 0o600, "is empty"),
        (b"a\nb\n", 0o600, "must be one line"),
        (b"a\x00b", 0o600, "must be one line"),
        (b"\xff", 0o600, "is not UTF-8"),
        (b"x" * 2000, 0o600, "is longer than"),
    ],
)
def test_secret_files(folder: Folder, content: bytes, mode: int, expected: str) -> None:
    secret = folder.root / "certs" / "u.secret"
    secret.write_bytes(content)
    secret.chmod(mode)
    errors = folder.errors(MINIMAL + "users: {u: {realm: outside, media: plain, password: {file: ../certs/u.secret}}}")
    assert len(errors) == 1
    assert errors[0].startswith("a.yaml:7:60: users.u.password.file: ")
    assert expected in errors[0]


def test_secrets_are_read_and_never_shown(folder: Folder) -> None:
    (folder.root / "certs" / "t.secret").touch(0o640)
    (folder.root / "certs" / "t.secret").write_text("Pässwörd 1\r\n")
    snapshot = folder.load(
        MINIMAL + "users: {u: {realm: outside, media: plain, password: {env: SBC_TEST_SECRET}}}\n"
        "trunks: {t: {realm: inside, media: plain, accepts_registration: {user: x, password: {file: ../certs/t.secret}}}}"
    ).snapshot
    registers = snapshot.trunks["t"].registers
    assert registers is not None
    assert (snapshot.users["u"].password, registers.password) == ("geheim", "Pässwörd 1")
    assert "geheim" not in repr(snapshot)
    assert "Pässwörd" not in repr(snapshot)


def test_certificates_must_fit_their_key(folder: Folder) -> None:
    certs = folder.root / "certs"
    text = MINIMAL.replace("udp://127.0.0.1:5060", "tls://127.0.0.1:5061").replace(
        "relay: {address: 127.0.0.1", "certificate: edge, relay: {address: 127.0.0.1"
    )
    assert folder.load(text).snapshot.realms["outside"].certificates[0].key == str(certs / "edge.key")
    (certs / "edge.key").chmod(0o644)
    assert "is open to every user" in folder.errors(text)[0]
    (certs / "edge.key").chmod(0o600)
    (certs / "edge.key").write_bytes((certs / "ca.key").read_bytes())
    assert "is not the key of" in folder.errors(text)[0]
    (certs / "edge.key").write_text("x")
    assert "holds no readable PEM private key" in folder.errors(text)[0]
    os.remove(certs / "edge.key")
    assert "No such file" in folder.errors(text)[0]


PBX = "trunks: {t: {realm: inside, media: plain, peer: sip:x, accept_from: [10.0.0.1]}}\n"
SLIPS = 'routes: [{name: r, when: {trunk: t, to: "*", not_to: "+882*"}, send_to: [t]}]'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (MINIMAL.replace("outside: none, ", ""), ["a.yaml:3:3: realms.outside: has no 'emergency'"]),
        (MINIMAL.replace("20000-20999", "20000-20019"), ["a.yaml:3:84: realms.outside.relay.ports: room for 10 calls only"]),
        (
            MINIMAL.replace("[PCMA]", "[PCMA, PCMB]"),
            ["a.yaml:5:43: media.plain.codecs.1: 'PCMB' is not a usual codec name, did you mean 'PCM"],
        ),
        (
            MINIMAL.replace("srtp: off", "srtp: sdes") + "users: {u: {realm: outside, media: plain, password: {env: SBC_TEST_SECRET}}}",
            ["a.yaml:7:36: users.u.media: SRTP keys cross the network readable: realm 'outside' has no tls:// or wss:// listener"],
        ),
        (
            MINIMAL.replace("srtp: off", "srtp: optional") + "trunks: {t: {realm: inside, media: plain, peer: sip:x}}",
            ["a.yaml:7:36: trunks.t.media: SRTP keys cross the network readable: the peer is reached by UDP"],
        ),
        (
            MINIMAL
            + 'trunks: {t: {realm: inside, media: plain, peer: sip:x}}\nroutes: [{name: r, when: {trunk: t, to: "*"}, send_to: [t]}]',
            ["a.yaml:8:34: routes.0.when.trunk: trunk 't' has no accept_from, accept_certificate, accepts_registration, authenticates"],
        ),
        (
            MINIMAL.replace("udp://127.0.0.1:5060]", "ws://127.0.0.1:80]"),
            ["a.yaml:3:25: realms.outside.signalling: browsers will be refused"],
        ),
        (MINIMAL.replace("udp://127.0.0.1:5060]", "ws://127.0.0.1:80], origins: [https://a.example]"), []),
        (
            MINIMAL.replace("udp://127.0.0.1:5060]", "ws://127.0.0.1:80], origins: [https://a.example], digest: [MD5, SHA-256]"),
            ["a.yaml:3:84: realms.outside.digest: JsSIP and SIP.js read the last challenge only"],
        ),
        (
            MINIMAL + "trunks: {c: {realm: inside, media: plain, peer: sip:x}}\nusers: {u: {realm: outside, media: plain, register_at: c}}",
            ["a.yaml:8:56: users.u.register_at: trunk 'c' has no accept_from, accept_certificate or authenticates"],
        ),
        (
            MINIMAL + PBX + 'routes: [{name: r, when: {realm: inside, to: "*", not_to: "+882*"}, send_to: [t]}]',
            ["a.yaml:8:59: routes.0.when.not_to: 't' has no dial_plan: what it dials as 00… has no '+', and passes"],
        ),
        (MINIMAL + PBX + 'routes: [{name: r, when: {trunk: t, to: ["+*", "+1"], not_to: "+882*"}, send_to: [t]}]', []),
        (MINIMAL + PBX + 'routes: [{name: r, when: {trunk: t, to: "*", not_to: "882"}, send_to: [t]}]', []),
        (MINIMAL + PBX.replace("[10.0.0.1]", '[10.0.0.1], dial_plan: {"00": "+"}') + SLIPS, []),
        (MINIMAL, []),
    ],
)
def test_warnings_do_not_stop(folder: Folder, text: str, expected: list[str]) -> None:
    warnings = folder.warnings(text)
    assert len(warnings) == len(expected), warnings
    assert all(warning.startswith(start) for warning, start in zip(warnings, expected, strict=True)), warnings


def test_hidden_and_nested_files_do_not_count(folder: Folder) -> None:
    (folder.path / "examples").mkdir()
    (folder.path / "examples" / "x.yaml").write_text("nonsense: 1")
    (folder.path / ".draft.yaml").write_text("nonsense: 1")
    folder.load(MINIMAL)


def test_an_unreadable_file_is_an_error(folder: Folder) -> None:
    (folder.path / "z.yaml").mkdir()
    (folder.path / "a.yaml").write_text(MINIMAL)
    with pytest.raises(PolicyErrors, match="cannot be read"):
        load_policy(folder.path)


@pytest.mark.parametrize(("days", "expected"), [(10, "the certificate expires on"), (0, "the certificate expired on"), (100, None)])
def test_certificates_about_to_expire(folder: Folder, monkeypatch: pytest.MonkeyPatch, days: int, expected: str | None) -> None:
    monkeypatch.setattr(devcerts, "VALID_DAYS", days)
    shutil.rmtree(folder.root / "certs")
    devcerts.make(folder.root / "certs")
    text = MINIMAL.replace("udp://127.0.0.1:5060]", "tls://127.0.0.1:5061], certificate: edge")
    warnings = folder.warnings(text)
    assert len(warnings) == (expected is not None)
    assert all(f"a.yaml:3:62: realms.outside.certificate: {expected}" in warning for warning in warnings), warnings


TLS = MINIMAL.replace("udp://127.0.0.2:5060]", "tls://127.0.0.2:5061], certificate: edge")
CALLED = "peer: 'sip:gw.example;transport=tls'"
FOUND = "peer: 'sip:gw.example'"  # DNS may say by TLS


@pytest.mark.parametrize(
    ("policy", "trunks", "expected"),
    [
        (MINIMAL, "{t: {accept_certificate: [a.example], %s}}", "trunks.t.accept_certificate: realm 'inside' has no tls:// listener"),
        (TLS, "{t: {accept_certificate: ['*.example'], %s}}", "trunks.t.accept_certificate.0: '*.example' is neither a host name"),
        (TLS, "{t: {accept_certificate: [a.example], %s}, u: {accept_certificate: [A.example], %s}}", "a.example is already trunk 't'"),
        (TLS, "{t: {accept_certificate: [bücher.example], %s}}", "write an international name in its ASCII form, xn--…"),
        (TLS, "{t: {certificate: edge, %s}}", "trunks.t.certificate: is for connections to a 'peer' over TLS"),
        (TLS, "{t: {insecure_wildcard_certificates: true, %s}}", "trunks.t.insecure_wildcard_certificates: is for connections"),
        (TLS, "{t: {wildcard_certificates: true, %s}}", "unknown key, did you mean 'insecure_wildcard_certificates'?"),
        (TLS, "{t: {" + CALLED + ", certificate: none, %s}}", "certs/none.pem: No such file"),
        (TLS, "{t: {" + CALLED + ", certificate: edge, %s}, u: {" + CALLED + ", %s}}", "are shared with trunk 't', which has other"),
        (MINIMAL, "{t: {" + FOUND + ", certificate: edge, %s}}", "trunks.t.certificate: is for connections"),
        (TLS, "{t: {" + FOUND + ", certificate: edge, %s}, u: {" + CALLED + ", %s}}", "are shared with trunk 't', which has other"),
    ],
)
def test_TLS_05_keys_of_trunks(folder: Folder, policy: str, trunks: str, expected: str) -> None:
    errors = folder.errors(policy + "trunks: " + trunks.replace("%s", "realm: inside, media: plain"))
    assert len(errors) == 1, errors
    assert expected in errors[0]


CLI = MINIMAL + (
    "trunks:\n"
    "  who: {realm: outside, media: plain, accept_from: [10.9.9.9], peer: sip:y, numbers: +4930}\n"
    "  nobody: {realm: outside, media: plain, accept_from: [10.9.9.8], peer: sip:z}\n"
    "  white: {realm: inside, media: plain, peer: sip:x, cli: shown}\n"
    "  grey: {realm: inside, media: plain, peer: sip:x, cli: hidden}\n"
    "  plain: {realm: inside, media: plain, peer: sip:x}\n"
)


@pytest.mark.parametrize(
    ("route", "problem"),
    [
        ("send_to: [white, plain]", None),
        ("send_to: [plain], cli: shown, needs_caller: true, shows: caller", None),
        ("send_to: [grey], cli: hidden, shows: nobody, needs_caller: false", None),
        ("send_to: [white, grey]", "send_to.1: trunk 'grey' has 'cli: hidden', and trunk 'white' 'cli: shown': a route leads to one kind"),
        ("send_to: [plain, grey], cli: call-center", "send_to.1: trunk 'grey' has 'cli: hidden', and the route 'cli: call-center'"),
        ("send_to: [grey], needs_caller: true", "needs_caller: trunk 'grey' has 'cli: hidden', which shows no caller: take out one of"),
        ("send_to: [white], needs_caller: false", "needs_caller: trunk 'white' has 'cli: shown', which needs one: take out one of the two"),
        ("send_to: [white], shows: nobody", "shows: trunk 'white' has 'cli: shown', which shows the caller: take out one of the two"),
        (
            'send_to: [plain], cli: hidden, shows: "+493012345"',
            "shows: the route has 'cli: hidden', which shows nobody: take out one of the two",
        ),
        ("send_to: [plain], cli: nobody", "cli: must be 'shown', 'hidden' or 'call-center'"),
    ],
)
def test_kinds_of_routes(folder: Folder, route: str, problem: str | None) -> None:
    text = CLI + f'routes: [{{name: r, when: {{trunk: who, to: "*"}}, {route}}}]\n'
    if problem is None:
        folder.load(text)
    else:
        (error,) = folder.errors(text)
        assert f"routes.0.{problem}" in error


def test_a_trunk_that_shows_nobody_is_signed_nothing_and_calls_nobody_back(folder: Folder) -> None:
    signing = "identity: {sign: {service: {url: https://x}, origid: y}}\n"
    errors = folder.errors(CLI.replace("cli: hidden", "cli: hidden, sign: A") + signing)
    assert any("trunks.grey.sign: with 'cli: hidden' it is shown no caller that could be signed for" in error for error in errors)
    text = CLI.replace("emergency: {outside: none", "emergency: {outside: {numbers: [112], send_to: [grey]}")
    assert any("who calls for help by 'grey' cannot be called back: it has 'cli: hidden'" in each for each in folder.warnings(text))


def test_a_caller_without_numbers_cannot_be_called_back(folder: Folder) -> None:
    for who, warned in (("who", 0), ("nobody", 1)):
        text = CLI + f'routes: [{{name: r, when: {{trunk: {who}, to: "*"}}, send_to: [plain], cli: call-center}}]\n'
        assert sum("has no number of its own, so that none of its calls" in each for each in folder.warnings(text)) == warned
