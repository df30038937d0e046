"""Linphone outside (TLS, SRTP with SDES, digest), baresip inside (UDP, plain RTP), each with a tone of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop import baresip, linphone
from tests.interop.baresip import Phone
from tests.interop.ears import ALICE, CARRIER, hears
from tests.interop.linphone import Console
from tests.interop.namespaces import Lab
from tests.interop.server import PASSWORD, Server

NUMBER = "+4930123"  # behind the carrier


@pytest.fixture
def alice(lab: Lab, sbc_server: Server, tmp_path: Path) -> Iterator[Console]:
    with linphone.console(
        lab.phone,
        tmp_path / "alice",
        user="alice",
        password=PASSWORD,
        server=f"{lab.outside}:5061",
        tone=ALICE,
        trust=sbc_server.trust(),
    ) as console:
        console.expect("RegistrationOk")
        yield console


@pytest.fixture
def carrier(lab: Lab, sbc_server: Server, tmp_path: Path) -> Iterator[Phone]:
    account = f"<sip:{NUMBER}@{lab.carrier.address}>;regint=0;audio_codecs=PCMA/8000/1;answermode=manual"
    with baresip.phone(lab.carrier, tmp_path / "carrier", account, tone=CARRIER) as phone:
        yield phone


def ring(alice: Console, carrier: Phone) -> None:
    alice.command(f"call {NUMBER}")
    carrier.expect("CALL_INCOMING")
    alice.expect("CallOutgoingRinging")


def connect(alice: Console, carrier: Phone) -> None:
    ring(alice, carrier)
    carrier.command("accept")
    alice.expect("CallStreamsRunning")
    carrier.expect("CALL_ESTABLISHED")


def ring_alice(lab: Lab, alice: Console, carrier: Phone) -> None:
    """Over the TLS connection she opened: she listens nowhere."""
    carrier.command("dial", f"sip:+4930111@{lab.inside}")
    alice.expect("CallIncomingReceived")
    carrier.expect("CALL_RINGING")


def only_record(server: Server) -> dict[str, object]:
    (record,) = server.records(1)
    return record


def encryption(record: dict[str, object], leg: str) -> object:
    facts = record[leg]
    assert isinstance(facts, dict)
    return facts["srtp"]


def test_audio_both_ways_and_the_phone_hangs_up(sbc_server: Server, alice: Console, carrier: Phone) -> None:
    connect(alice, carrier)
    hears(alice, CARRIER)
    hears(carrier, ALICE)
    alice.command("terminate")
    carrier.expect("CALL_CLOSED")
    alice.expect("CallReleased")
    record = only_record(sbc_server)
    assert record["caller"] == "alice"
    assert record["released_by"] == "a"
    assert record["sip_status"] == 200
    assert encryption(record, "a") == "AES_CM_128_HMAC_SHA1_80"
    assert encryption(record, "b") is None


def test_the_carrier_hangs_up(sbc_server: Server, alice: Console, carrier: Phone) -> None:
    connect(alice, carrier)
    hears(alice, CARRIER)
    carrier.command("hangup")
    alice.expect("CallReleased")
    assert only_record(sbc_server)["released_by"] == "b"


def test_the_phone_holds_and_resumes(sbc_server: Server, alice: Console, carrier: Phone) -> None:
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
    assert only_record(sbc_server)["sip_status"] == 200


def test_the_carrier_holds_and_resumes(sbc_server: Server, alice: Console, carrier: Phone) -> None:
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
    assert only_record(sbc_server)["sip_status"] == 200


def test_cancel_while_it_rings(sbc_server: Server, alice: Console, carrier: Phone) -> None:
    ring(alice, carrier)
    alice.command("terminate")
    carrier.expect("CALL_CLOSED")
    alice.expect("CallReleased")
    record = only_record(sbc_server)
    assert record["answered"] is None
    assert record["sip_status"] == 487


def test_the_carrier_is_busy(sbc_server: Server, alice: Console, carrier: Phone) -> None:
    ring(alice, carrier)
    carrier.command("hangup")
    alice.expect("CallError")
    assert "SIP/2.0 486 " in alice.log
    assert only_record(sbc_server)["sip_status"] == 486


def test_a_call_to_the_registered_phone(lab: Lab, sbc_server: Server, alice: Console, carrier: Phone) -> None:
    ring_alice(lab, alice, carrier)
    alice.command("answer")
    carrier.expect("CALL_ESTABLISHED")
    alice.expect("CallStreamsRunning")
    hears(alice, CARRIER)
    hears(carrier, ALICE)
    alice.command("terminate")
    carrier.expect("CALL_CLOSED")
    assert only_record(sbc_server)["released_by"] == "b"


def test_the_carrier_gives_up_while_the_phone_rings(lab: Lab, sbc_server: Server, alice: Console, carrier: Phone) -> None:
    ring_alice(lab, alice, carrier)
    carrier.command("hangup")
    alice.expect("CallReleased")
    record = only_record(sbc_server)
    assert record["answered"] is None
    assert record["sip_status"] == 487


def test_the_phone_declines(lab: Lab, sbc_server: Server, alice: Console, carrier: Phone) -> None:
    ring_alice(lab, alice, carrier)
    alice.command("terminate")
    assert "603" in str(carrier.expect("CALL_CLOSED")["param"])
    assert only_record(sbc_server)["sip_status"] == 603
