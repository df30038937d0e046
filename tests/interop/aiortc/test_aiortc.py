"""aiortc outside (WSS, DTLS-SRTP, a full ICE agent), baresip inside (UDP, plain RTP), each with a tone of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop import baresip
from tests.interop.aiortc import phone
from tests.interop.aiortc.phone import RtcPhone
from tests.interop.baresip import Phone
from tests.interop.ears import ALICE, CARRIER, hears
from tests.interop.flows import Flows
from tests.interop.server import PASSWORD

NUMBER = "+4930123"  # behind the carrier

POLICY = """\
version: 1
realms:
  outside:
    signalling: ["wss://{outside}:443", "tls://{outside}:5061"]
    origins: ["https://phone.example.net"]
    relay: {{address: {outside}, ports: 20000-20999}}
    certificate: edge
    domains: [example.net]
  inside:
    signalling: [udp://{inside}:5060]
    relay: {{address: {inside}, ports: 30000-30999}}
trunks:
  carrier: {{realm: inside, accept_from: [{carrier}], peer: "sip:{carrier}:5060", media: plain}}
users:
  alice: {{realm: outside, password: {{file: ../certs/alice.secret}}, media: browser}}
routes:
  - {{name: to-alice, when: {{trunk: carrier, to: "+4930111"}}, send_to: [alice]}}
  - {{name: out, when: {{user: alice, to: "+*"}}, send_to: [carrier]}}
media:
  browser: {{srtp: dtls, codecs: [opus, PCMA, PCMU, telephone-event]}}
  plain: {{srtp: off, codecs: [opus, PCMA, PCMU, telephone-event]}}
emergency: {{outside: none, inside: none}}
"""

CODECS = {"PCMU": "PCMU/8000/1", "PCMA": "PCMA/8000/1", "opus": "opus/48000/2"}  # as baresip calls them


@pytest.fixture(scope="module")
def policy() -> str:
    return POLICY


@pytest.fixture(params=CODECS)
def codec(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def alice(flows: Flows, peers: Path, tmp_path: Path, codec: str) -> Iterator[RtcPhone]:
    with phone.rtc_phone(
        flows.lab.phone,
        tmp_path / "alice",
        peers / "aiortc" / "bin" / "python",
        server=f"wss://{flows.lab.outside}",
        user="alice",
        password=PASSWORD,
        domain="example.net",
        tone=ALICE,
        codec=codec,
        trust=flows.server.trust(),
    ) as running:
        running.expect("registered")
        yield running


@pytest.fixture
def carrier(flows: Flows, tmp_path: Path, codec: str) -> Iterator[Phone]:
    account = f"<sip:{NUMBER}@{flows.lab.carrier.address}>;regint=0;audio_codecs={CODECS[codec]};answermode=manual"
    with baresip.phone(flows.lab.carrier, tmp_path / "carrier", account, tone=CARRIER, channels=int(CODECS[codec][-1])) as running:
        yield running


def test_a_call_both_ways(flows: Flows, alice: RtcPhone, carrier: Phone, codec: str) -> None:
    before = len(flows.server.records())
    alice.command(f"call {NUMBER}")
    carrier.expect("CALL_INCOMING")
    alice.expect("answer 180")
    carrier.command("accept")
    alice.expect("established")
    hears(alice, CARRIER, 2.0)
    hears(carrier, ALICE, 2.0)
    alice.command("hangup")
    carrier.expect("CALL_CLOSED")
    record = flows.server.records(before + 1)[before]
    leg = record["a"]
    assert isinstance(leg, dict)
    assert leg["codecs"][0] == codec
    assert leg["srtp"] is not None


def test_a_call_to_it(flows: Flows, alice: RtcPhone, carrier: Phone) -> None:
    carrier.command("dial", f"sip:+4930111@{flows.lab.inside}")
    alice.expect("incoming")
    alice.command("answer")
    carrier.expect("CALL_ESTABLISHED")
    hears(alice, CARRIER, 2.0)
    hears(carrier, ALICE, 2.0)
    carrier.command("hangup")
    alice.expect("ended")
