"""Killed in the middle of it, and started again: whoever had its 200 is still registered."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sbc.sip.message import Request, Response
from sbc.store.registrations import WRITTEN_WITHIN
from tests.system.peers import Phone, Sbc, running

OUTSIDE, INSIDE = "127.0.0.71", "127.0.0.72"
CARRIER = "127.0.0.73"
POLICY = f"""\
version: 1
realms:
  outside:
    signalling: [udp://{OUTSIDE}:5060, tcp://{OUTSIDE}:5060]
    relay: {{address: {OUTSIDE}, ports: 20000-20099}}
  inside:
    signalling: [udp://{INSIDE}:5060]
    relay: {{address: {INSIDE}, ports: 20000-20099}}
trunks:
  carrier: {{realm: inside, accept_from: [{CARRIER}], peer: "sip:{CARRIER}", media: plain}}
users:
  alice: {{realm: outside, password: {{file: alice.secret}}, media: plain}}
  bob: {{realm: outside, password: {{file: alice.secret}}, media: plain}}
routes:
  - {{name: to-phones, when: {{trunk: carrier, to: "*"}}, send_to: [alice]}}
emergency: {{outside: none, inside: none}}
media:
  plain: {{srtp: off, codecs: [PCMA]}}
"""


@pytest.fixture
def sbc(tmp_path: Path) -> Iterator[Sbc]:
    with running(tmp_path / "sbc", POLICY) as sbc:
        yield sbc


@pytest.fixture
def carrier() -> Iterator[Phone]:
    with contextlib.closing(Phone.udp("carrier", CARRIER, INSIDE)) as phone:
        yield phone


def call_alice(carrier: Phone) -> None:
    carrier.call(f"sip:alice@{INSIDE}")
    carrier.expect(100)


def test_killed_and_started_again_a_phone_on_udp_is_called_at_once(sbc: Sbc, carrier: Phone) -> None:
    with (
        contextlib.closing(Phone.udp("alice", "127.0.0.74", OUTSIDE)) as alice,
        contextlib.closing(Phone.udp("bob", "127.0.0.76", OUTSIDE)) as bob,
    ):
        bob.register(OUTSIDE)
        alice.register(OUTSIDE)
        time.sleep(WRITTEN_WITHIN + 0.5)  # the bound that is promised is no more than a second
        sbc.kill()
        sbc.start()
        assert '"registrations found" accounts=2 bindings=2 waited_for=0' in sbc.log
        call_alice(carrier)
        invite = alice.expect("INVITE")
        assert isinstance(invite, Request)
        alice.send(Response.answer(invite, 486, to_tag="busy"))
        carrier.expect(486)


def test_killed_and_started_again_a_phone_on_a_connection_is_waited_for(sbc: Sbc, carrier: Phone) -> None:
    with contextlib.closing(Phone.tcp("alice", "127.0.0.75", OUTSIDE)) as alice:
        alice.register(OUTSIDE)
        time.sleep(WRITTEN_WITHIN + 0.5)
        sbc.kill()
    sbc.start()
    call_alice(carrier)
    with contextlib.closing(Phone.tcp("alice", "127.0.0.75", OUTSIDE)) as alice:
        alice.register(OUTSIDE)
        invite = alice.expect("INVITE")
        assert isinstance(invite, Request)
        alice.send(Response.answer(invite, 486, to_tag="busy"))
        carrier.expect(486)
