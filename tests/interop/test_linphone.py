"""Linphone outside (TLS, SRTP with SDES, digest), baresip inside (UDP, plain RTP), each with a tone of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.interop import baresip, linphone
from tests.interop.baresip import Phone
from tests.interop.ears import ALICE, CARRIER, hears
from tests.interop.flows import Flows
from tests.interop.linphone import Console
from tests.interop.server import PASSWORD

NUMBER = "+4930123"  # behind the carrier
Record = Callable[[], dict[str, object]]


@pytest.fixture
def alice(flows: Flows, tmp_path: Path) -> Iterator[Console]:
    with linphone.console(
        flows.lab.phone,
        tmp_path / "alice",
        user="alice",
        password=PASSWORD,
        server=f"{flows.lab.outside}:5061",
        tone=ALICE,
        trust=flows.server.trust(),
    ) as console:
        console.expect("RegistrationOk")
        yield console


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


def ring(alice: Console, carrier: Phone) -> None:
    alice.command(f"call {NUMBER}")
    carrier.expect("CALL_INCOMING")
    alice.expect("CallOutgoingRinging")


def connect(alice: Console, carrier: Phone) -> None:
    ring(alice, carrier)
    carrier.command("accept")
    alice.expect("CallStreamsRunning")
    carrier.expect("CALL_ESTABLISHED")


def ring_alice(flows: Flows, alice: Console, carrier: Phone) -> None:
    """Over the TLS connection she opened: she listens nowhere."""
    carrier.command("dial", f"sip:+4930111@{flows.lab.inside}")
    alice.expect("CallIncomingReceived")
    carrier.expect("CALL_RINGING")


def encryption(record: dict[str, object], leg: str) -> object:
    facts = record[leg]
    assert isinstance(facts, dict)
    return facts["srtp"]


def test_audio_both_ways_and_the_phone_hangs_up(alice: Console, carrier: Phone, record: Record) -> None:
    connect(alice, carrier)
    hears(alice, CARRIER)
    hears(carrier, ALICE)
    alice.command("terminate")
    carrier.expect("CALL_CLOSED")
    alice.expect("CallReleased")
    written = record()
    assert written["caller"] == "alice"
    assert written["released_by"] == "a"
    assert written["sip_status"] == 200
    assert encryption(written, "a") == "AES_256_CM_HMAC_SHA1_80"
    assert encryption(written, "b") is None


def test_the_carrier_hangs_up(alice: Console, carrier: Phone, record: Record) -> None:
    connect(alice, carrier)
    hears(alice, CARRIER)
    carrier.command("hangup")
    alice.expect("CallReleased")
    assert record()["released_by"] == "b"


def test_the_phone_holds_and_resumes(alice: Console, carrier: Phone, record: Record) -> None:
    connect(alice, carrier)
    hears(alice, CARRIER, 0.5)
    hears(carrier, ALICE, 0.5)
    alice.command("pause")
    carrier.expect("CALL_REMOTE_SDP")
    alice.expect("CallPaused")
    assert "a=sendonly" in carrier.log
    alice.command("resume")
    carrier.expect("CALL_REMOTE_SDP")
    alice.expect("CallStreamsRunning")
    hears(alice, CARRIER, 0.5)
    hears(carrier, ALICE, 0.5)
    alice.command("terminate")
    carrier.expect("CALL_CLOSED")
    assert record()["sip_status"] == 200


def test_the_carrier_holds_and_resumes(alice: Console, carrier: Phone, record: Record) -> None:
    connect(alice, carrier)
    hears(alice, CARRIER, 0.5)
    hears(carrier, ALICE, 0.5)
    carrier.command("hold")
    alice.expect("CallPausedByRemote")
    carrier.command("resume")
    alice.expect("CallStreamsRunning")
    hears(alice, CARRIER, 0.5)
    hears(carrier, ALICE, 0.5)
    carrier.command("hangup")
    alice.expect("CallReleased")
    assert record()["sip_status"] == 200


def test_cancel_while_it_rings(alice: Console, carrier: Phone, record: Record) -> None:
    ring(alice, carrier)
    alice.command("terminate")
    carrier.expect("CALL_CLOSED")
    alice.expect("CallReleased")
    written = record()
    assert written["answered"] is None
    assert written["sip_status"] == 487


def test_the_carrier_is_busy(alice: Console, carrier: Phone, record: Record) -> None:
    ring(alice, carrier)
    carrier.command("hangup")
    alice.expect("CallError")
    assert "SIP/2.0 486 " in alice.log
    assert record()["sip_status"] == 486


def test_a_call_to_the_registered_phone(flows: Flows, alice: Console, carrier: Phone, record: Record) -> None:
    ring_alice(flows, alice, carrier)
    alice.command("answer")
    carrier.expect("CALL_ESTABLISHED")
    alice.expect("CallStreamsRunning")
    hears(alice, CARRIER)
    hears(carrier, ALICE)
    alice.command("terminate")
    carrier.expect("CALL_CLOSED")
    assert record()["released_by"] == "b"


def test_the_carrier_gives_up_while_the_phone_rings(flows: Flows, alice: Console, carrier: Phone, record: Record) -> None:
    ring_alice(flows, alice, carrier)
    carrier.command("hangup")
    alice.expect("CallReleased")
    written = record()
    assert written["answered"] is None
    assert written["sip_status"] == 487


def test_the_phone_declines(flows: Flows, alice: Console, carrier: Phone, record: Record) -> None:
    ring_alice(flows, alice, carrier)
    alice.command("terminate")
    assert "603" in str(carrier.expect("CALL_CLOSED")["param"])
    assert record()["sip_status"] == 603
