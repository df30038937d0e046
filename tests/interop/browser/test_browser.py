"""Chromium outside with the two usual web phones (WSS, DTLS-SRTP, ICE), baresip inside (UDP, plain RTP), each with a tone of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.interop import baresip
from tests.interop.baresip import Phone
from tests.interop.browser import chromium
from tests.interop.browser.chromium import ORIGIN, WebPhone
from tests.interop.ears import ALICE, CARRIER, hears
from tests.interop.flows import Flows
from tests.interop.server import PASSWORD

NUMBER = "+4930123"  # behind the carrier
Record = Callable[[], dict[str, object]]

POLICY = f"""\
version: 1
realms:
  outside:
    signalling: ["wss://{{outside}}:443", "tls://{{outside}}:5061"]
    origins: ["{ORIGIN}"]
    relay: {{{{address: {{outside}}, ports: 20000-20999}}}}
    certificate: edge
    domains: [example.net]
  inside:
    signalling: [udp://{{inside}}:5060]
    relay: {{{{address: {{inside}}, ports: 30000-30999}}}}
trunks:
  carrier: {{{{realm: inside, accept_from: [{{carrier}}], peer: "sip:{{carrier}}:5060", media: plain}}}}
users:
  alice: {{{{realm: outside, password: {{{{file: ../certs/alice.secret}}}}, media: browser}}}}
routes:
  - {{{{name: to-alice, when: {{{{trunk: carrier, to: "+4930111"}}}}, send_to: [alice]}}}}
  - {{{{name: out, when: {{{{user: alice, to: "+*"}}}}, send_to: [carrier]}}}}
media:
  browser: {{{{srtp: dtls, codecs: [PCMA, PCMU, telephone-event], silence: 60s}}}}
  plain: {{{{srtp: off, codecs: [PCMA, PCMU, telephone-event]}}}}
emergency: {{{{outside: none, inside: none}}}}
"""


@pytest.fixture(scope="module")
def policy() -> str:
    return POLICY


@pytest.fixture(params=["jssip", "sipjs"])
def alice(flows: Flows, peers: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[WebPhone]:
    account = {"server": f"wss://{flows.lab.outside}", "domain": "example.net", "user": "alice", "password": PASSWORD}
    with chromium.web_phone(
        flows.lab.phone,
        tmp_path / "alice",
        peers / "npm" / "dist",
        stack=request.param,
        tone=ALICE,
        certificate=flows.server.folder / "certs" / "edge.pem",
        account=account,
    ) as phone:
        phone.expect("registered")
        yield phone


@pytest.fixture
def carrier(flows: Flows, tmp_path: Path) -> Iterator[Phone]:
    account = f"<sip:{NUMBER}@{flows.lab.carrier.address}>;regint=0;audio_codecs=PCMA/8000/1;answermode=manual"
    with baresip.phone(flows.lab.carrier, tmp_path / "carrier", account, tone=CARRIER) as phone:
        yield phone


@pytest.fixture
def record(flows: Flows) -> Record:
    """What is written of the call of this test, as soon as it is over."""
    before = len(flows.server.records())
    return lambda: flows.server.records(before + 1)[before]


def connect(alice: WebPhone, carrier: Phone) -> None:
    alice.run(f"phone.call('{NUMBER}')")
    carrier.expect("CALL_INCOMING")
    alice.expect("ringing")
    carrier.command("accept")
    alice.expect("answered")
    carrier.expect("CALL_ESTABLISHED")


def test_a_call_both_ways(alice: WebPhone, carrier: Phone, record: Record) -> None:
    connect(alice, carrier)
    hears(alice, CARRIER, 2.0)
    hears(carrier, ALICE, 2.0)
    alice.run("phone.hangUp()")
    carrier.expect("CALL_CLOSED")
    written = record()
    assert written["released_by"] == "a"
    leg = written["a"]
    assert isinstance(leg, dict)
    assert leg["srtp"] is not None


def test_a_call_to_the_browser(flows: Flows, alice: WebPhone, carrier: Phone, record: Record) -> None:
    carrier.command("dial", f"sip:+4930111@{flows.lab.inside}")
    alice.expect("incoming")
    carrier.expect("CALL_RINGING")
    alice.run("phone.answer()")
    carrier.expect("CALL_ESTABLISHED")
    alice.expect("answered")
    hears(alice, CARRIER, 2.0)
    hears(carrier, ALICE, 2.0)
    carrier.command("hangup")
    alice.expect("ended")
    assert record()["sip_status"] == 200


def test_hold_and_resume(alice: WebPhone, carrier: Phone, record: Record) -> None:
    connect(alice, carrier)
    hears(alice, CARRIER)
    alice.run("phone.hold()")
    alice.expect("held")
    carrier.expect("CALL_REMOTE_SDP")
    assert "a=sendonly" in carrier.log
    with pytest.raises(AssertionError):
        hears(alice, CARRIER, 0.5)
    alice.run("phone.resume()")
    alice.expect("resumed")
    carrier.expect("CALL_REMOTE_SDP")
    hears(alice, CARRIER)
    hears(carrier, ALICE)
    alice.run("phone.hangUp()")
    carrier.expect("CALL_CLOSED")
    written = record()
    assert written["sip_status"] == 200
    assert written["note"] is None


def test_digits_arrive(alice: WebPhone, carrier: Phone) -> None:
    connect(alice, carrier)
    hears(carrier, ALICE)
    alice.run("phone.digits('7')")
    assert carrier.expect("CALL_DTMF_START")["param"] == "7"
    alice.run("phone.hangUp()")
    carrier.expect("CALL_CLOSED")


def test_cancel_while_it_rings(alice: WebPhone, carrier: Phone, record: Record) -> None:
    alice.run(f"phone.call('{NUMBER}')")
    carrier.expect("CALL_INCOMING")
    alice.expect("ringing")
    alice.run("phone.hangUp()")
    carrier.expect("CALL_CLOSED")
    assert record()["sip_status"] == 487


def test_a_page_loaded_anew_is_called_where_it_is_now(flows: Flows, alice: WebPhone, carrier: Phone, record: Record) -> None:
    """What it said before goes with the page: nobody took leave."""
    alice.reload()
    alice.expect("registered")
    carrier.command("dial", f"sip:+4930111@{flows.lab.inside}")
    alice.expect("incoming")
    alice.run("phone.answer()")
    carrier.expect("CALL_ESTABLISHED")
    hears(alice, CARRIER)
    hears(carrier, ALICE)
    alice.run("phone.hangUp()")
    carrier.expect("CALL_CLOSED")
    assert record()["released_by"] == "b"
