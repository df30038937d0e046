"""A soft phone outside (TLS, SRTP with SDES, digest) and one inside (UDP, plain RTP), each with a tone of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop import baresip
from tests.interop.baresip import Phone
from tests.interop.ears import ALICE, CARRIER, hears
from tests.interop.namespaces import Lab
from tests.interop.server import PASSWORD, Server
from tests.interop.wait import Expired

NUMBER = "+4930123"  # behind the carrier
GUESSES = 30


def alice_account(lab: Lab, password: str = PASSWORD) -> str:
    edge = f"{lab.outside}:5061;transport=tls"
    return (
        f'<sip:alice@{edge}>;auth_user=alice;auth_pass={password};outbound="sip:{edge}";regint=600;'
        "mediaenc=srtp-mand;audio_codecs=PCMA/8000/1;answermode=manual"
    )


@pytest.fixture
def alice(lab: Lab, sbc_server: Server, tmp_path: Path) -> Iterator[Phone]:
    with baresip.phone(lab.phone, tmp_path / "alice", alice_account(lab), tone=ALICE, trust=sbc_server.trust()) as phone:
        phone.registered()
        yield phone


@pytest.fixture
def carrier(lab: Lab, sbc_server: Server, tmp_path: Path) -> Iterator[Phone]:
    account = f"<sip:{NUMBER}@{lab.carrier.address}>;regint=0;audio_codecs=PCMA/8000/1;answermode=manual"
    with baresip.phone(lab.carrier, tmp_path / "carrier", account, tone=CARRIER) as phone:
        yield phone


def connect(caller: Phone, callee: Phone, target: str) -> None:
    caller.command("dial", target)
    callee.expect("CALL_INCOMING")
    caller.expect("CALL_RINGING")
    callee.command("accept")
    caller.expect("CALL_ESTABLISHED")
    callee.expect("CALL_ESTABLISHED")


def only_record(server: Server) -> dict[str, object]:
    (record,) = server.records(1)
    return record


def test_audio_both_ways_and_the_phone_hangs_up(lab: Lab, sbc_server: Server, alice: Phone, carrier: Phone) -> None:
    connect(alice, carrier, "030123")
    hears(alice, CARRIER, 2.0)
    hears(carrier, ALICE, 2.0)
    alice.command("hangup")
    carrier.expect("CALL_CLOSED")
    record = only_record(sbc_server)
    assert record["called"] == NUMBER
    assert record["dialled"] == "030123"
    assert record["released_by"] == "a"
    assert record["sip_status"] == 200


def test_the_carrier_hangs_up(lab: Lab, sbc_server: Server, alice: Phone, carrier: Phone) -> None:
    connect(alice, carrier, NUMBER)
    hears(alice, CARRIER)
    carrier.command("hangup")
    alice.expect("CALL_CLOSED")
    assert only_record(sbc_server)["released_by"] == "b"


def test_hold_and_resume(lab: Lab, sbc_server: Server, alice: Phone, carrier: Phone) -> None:
    connect(alice, carrier, NUMBER)
    hears(alice, CARRIER, 2.0)  # recordings are told apart by the second they begin in
    hears(carrier, ALICE)
    alice.command("hold")
    carrier.expect("CALL_REMOTE_SDP")
    assert "a=sendonly" in carrier.log
    with pytest.raises(AssertionError):
        hears(alice, CARRIER, 0.5)
    alice.command("resume")
    carrier.expect("CALL_REMOTE_SDP")
    hears(alice, CARRIER, 2.0)
    hears(carrier, ALICE, 2.0)
    alice.command("hangup")
    carrier.expect("CALL_CLOSED")
    assert only_record(sbc_server)["sip_status"] == 200


def test_ctrl_c_ends_the_call_on_both_sides(lab: Lab, sbc_server: Server, alice: Phone, carrier: Phone) -> None:
    connect(alice, carrier, NUMBER)
    hears(alice, CARRIER)
    sbc_server.stop()
    alice.expect("CALL_CLOSED")
    carrier.expect("CALL_CLOSED")
    assert only_record(sbc_server)["released_by"] == "sbc"


def test_cancel_while_it_rings(lab: Lab, sbc_server: Server, alice: Phone, carrier: Phone) -> None:
    alice.command("dial", NUMBER)
    carrier.expect("CALL_INCOMING")
    alice.expect("CALL_RINGING")
    alice.command("hangup")
    carrier.expect("CALL_CLOSED")
    record = only_record(sbc_server)
    assert record["answered"] is None
    assert record["sip_status"] == 487


def test_the_carrier_is_busy(lab: Lab, sbc_server: Server, alice: Phone, carrier: Phone) -> None:
    alice.command("dial", NUMBER)
    carrier.expect("CALL_INCOMING")
    carrier.command("hangup")
    assert "486" in str(alice.expect("CALL_CLOSED")["param"])
    assert only_record(sbc_server)["sip_status"] == 486


def test_a_call_to_the_registered_phone(lab: Lab, sbc_server: Server, alice: Phone, carrier: Phone) -> None:
    """Over the TLS connection the phone opened: it listens nowhere."""
    connect(carrier, alice, f"sip:+4930111@{lab.inside}")
    hears(alice, CARRIER, 2.0)
    hears(carrier, ALICE, 2.0)
    alice.command("hangup")
    carrier.expect("CALL_CLOSED")
    assert only_record(sbc_server)["released_by"] == "b"


def test_a_wrong_password_gets_nowhere(lab: Lab, sbc_server: Server, tmp_path: Path) -> None:
    """This phone tries again and again at once; it is not let in, and after some attempts not even answered."""
    with baresip.phone(lab.phone, tmp_path / "mallory", alice_account(lab, "guess"), tone=ALICE, trust=sbc_server.trust()) as phone:
        with pytest.raises(Expired):
            phone.registered(3.0)
        assert "SIP/2.0 200" not in phone.log
        assert 2 <= phone.log.count("\nREGISTER sip:") <= GUESSES
