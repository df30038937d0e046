"""Two of us in a row: a phone registers through the one at the edge at the one behind it, which has the password."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sbc.sip.fields.contact import Contact
from sbc.sip.message import Request, Response
from tests.system.peers import Phone, Sbc, running

OUTSIDE, INSIDE = "127.0.0.81", "127.0.0.82"  # of the edge
CORE, BEYOND = "127.0.0.83", "127.0.0.84"  # of the registrar
PHONE, CARRIER = "127.0.0.85", "127.0.0.86"
DOMAIN = "example.net"
EDGE_POLICY = f"""\
version: 1
realms:
  outside:
    signalling: [udp://{OUTSIDE}:5060, tcp://{OUTSIDE}:5060]
    relay: {{address: {OUTSIDE}, ports: 20000-20099}}
    domains: [{DOMAIN}]
  inside:
    signalling: [udp://{INSIDE}:5060, tcp://{INSIDE}:5060]
    relay: {{address: {INSIDE}, ports: 20000-20099}}
trunks:
  core: {{realm: inside, accept_from: [{CORE}], peer: "sip:{CORE};transport=tcp", media: plain}}
users:
  alice: {{realm: outside, register_at: core, media: plain}}
routes:
  - {{name: to-core, when: {{user: alice, to: "*"}}, send_to: [core]}}
emergency: {{outside: none, inside: none}}
media:
  plain: {{srtp: off, codecs: [PCMA]}}
"""
CORE_POLICY = f"""\
version: 1
realms:
  edge:
    signalling: [udp://{CORE}:5060, tcp://{CORE}:5060]
    relay: {{address: {CORE}, ports: 20000-20099}}
    domains: [{DOMAIN}]
  beyond:
    signalling: [udp://{BEYOND}:5060]
    relay: {{address: {BEYOND}, ports: 20000-20099}}
trunks:
  carrier: {{realm: beyond, accept_from: [{CARRIER}], peer: "sip:{CARRIER}", media: plain}}
users:
  alice: {{realm: edge, password: {{file: alice.secret}}, media: plain}}
routes:
  - {{name: to-alice, when: {{trunk: carrier, to: "*"}}, send_to: [alice]}}
emergency: {{edge: none, beyond: none}}
media:
  plain: {{srtp: off, codecs: [PCMA]}}
"""


@dataclass
class Stage:
    edge: Sbc
    core: Sbc
    alice: Phone
    carrier: Phone

    def call(self) -> None:
        """From beyond the registrar to the phone."""
        self.carrier.call(f"sip:alice@{BEYOND}")
        self.answer_call()

    def answer_call(self) -> None:
        invite = self.alice.expect("INVITE")
        assert isinstance(invite, Request)
        assert f"<{invite.uri}>" == self.alice.contact
        self.alice.send(Response.answer(invite, 486, to_tag="busy"))
        self.carrier.expect(486)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with contextlib.ExitStack() as closing:
        core = closing.enter_context(running(tmp_path / "core", CORE_POLICY))
        edge = closing.enter_context(running(tmp_path / "edge", EDGE_POLICY))
        alice = closing.enter_context(contextlib.closing(Phone.tcp("alice", PHONE, OUTSIDE)))
        carrier = closing.enter_context(contextlib.closing(Phone.udp("carrier", CARRIER, BEYOND)))
        yield Stage(edge, core, alice, carrier)


def test_a_password_that_only_the_registrar_knows_and_a_call_back(stage: Stage) -> None:
    ok = stage.alice.register(DOMAIN)
    assert Contact.parse(ok.headers.first("Contact") or "").uri.host == "192.168.1.9"
    stage.call()


def test_an_outbound_phone_is_called_by_its_path_and_on_its_next_connection(stage: Stage) -> None:
    """The registrar speaks RFC 5626, too, and has the Path of the edge as its Route; killed, both know who is there."""
    outbound = (("Supported", "path, outbound"),)
    flow = ';reg-id=1;+sip.instance="<urn:uuid:00000000-0000-1000-8000-aabbccddeeff>"'
    contact = stage.alice.contact
    stage.alice.contact = contact + flow
    ok = stage.alice.register(DOMAIN, outbound)
    assert ok.headers.first("Require") == "outbound"
    stage.alice.contact = contact
    stage.call()


def test_what_the_edge_answers_itself_is_no_question_of_the_registrar(stage: Stage) -> None:
    stage.alice.register(DOMAIN)
    stage.core.kill()
    for _ in range(3):
        stage.alice.send(stage.alice.request("REGISTER", f"sip:{DOMAIN}", f"<sip:alice@{DOMAIN}>"))
        stage.alice.expect(200)
