"""A soft phone whose SRTP keys come by DTLS, with and without ICE, and one inside with plain RTP."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop import baresip, server
from tests.interop.baresip import Phone
from tests.interop.ears import ALICE, CARRIER, hears
from tests.interop.namespaces import Lab
from tests.interop.server import PASSWORD, POLICY, Server
from tests.interop.test_baresip import NUMBER, connect, only_record
from tests.interop.wait import until

WITH_DTLS = POLICY.replace("encrypted: {{srtp: sdes,", "encrypted: {{srtp: [dtls, sdes],")


@pytest.fixture
def sbc_server(lab: Lab, tmp_path: Path) -> Iterator[Server]:
    with server.serve(lab, tmp_path / "sbc", WITH_DTLS) as running:
        yield running


@pytest.fixture
def carrier(lab: Lab, sbc_server: Server, tmp_path: Path) -> Iterator[Phone]:
    account = f"<sip:{NUMBER}@{lab.carrier.address}>;regint=0;audio_codecs=PCMA/8000/1;answermode=manual"
    with baresip.phone(lab.carrier, tmp_path / "carrier", account, tone=CARRIER) as phone:
        yield phone


@contextlib.contextmanager
def alice(lab: Lab, folder: Path, trust: Path, options: str, *, mux: bool = True) -> Iterator[Phone]:
    edge = f"{lab.outside}:5061;transport=tls"
    account = (
        f'<sip:alice@{edge}>;auth_user=alice;auth_pass={PASSWORD};outbound="sip:{edge}";regint=600;'
        f"{options};audio_codecs=PCMA/8000/1;answermode=manual"
    )
    with baresip.phone(lab.phone, folder, account, tone=ALICE, trust=trust, mux=mux) as phone:
        phone.registered()
        yield phone


def suite(server: Server) -> object:
    """Of the phone's leg, in the record of the only call."""
    record = only_record(server)
    side = next(side for side in (record["a"], record["b"]) if isinstance(side, dict) and side.get("user") == "alice")
    return side["srtp"]


def talk(phone: Phone, carrier: Phone) -> None:
    """Both are heard, then the phone hangs up."""
    hears(phone, CARRIER, 2.0)
    hears(carrier, ALICE, 2.0)
    phone.command("hangup")
    carrier.expect("CALL_CLOSED")


@pytest.mark.parametrize("options", ["mediaenc=dtls_srtp", "mediaenc=dtls_srtp;medianat=ice"])
def test_DTLS_03_a_call_both_ways(lab: Lab, sbc_server: Server, carrier: Phone, tmp_path: Path, options: str) -> None:
    with alice(lab, tmp_path / "alice", sbc_server.trust(), options) as phone:
        connect(phone, carrier, NUMBER)
        talk(phone, carrier)
        assert "DTLS-SRTP complete" in phone.log
        assert suite(sbc_server) is not None


@pytest.mark.parametrize("options", ["mediaenc=dtls_srtp", "mediaenc=dtls_srtp;medianat=ice"])
def test_DTLS_01_a_call_to_the_phone(lab: Lab, sbc_server: Server, carrier: Phone, tmp_path: Path, options: str) -> None:
    with alice(lab, tmp_path / "alice", sbc_server.trust(), options) as phone:
        connect(carrier, phone, f"sip:+4930111@{lab.inside}")
        talk(phone, carrier)
        assert "DTLS-SRTP complete" in phone.log
        assert suite(sbc_server) is not None


def test_DTLS_05_hold_and_resume_without_another_handshake(lab: Lab, sbc_server: Server, carrier: Phone, tmp_path: Path) -> None:
    with alice(lab, tmp_path / "alice", sbc_server.trust(), "mediaenc=dtls_srtp") as phone:
        connect(phone, carrier, NUMBER)
        hears(phone, CARRIER, 2.0)
        phone.command("hold")
        carrier.expect("CALL_REMOTE_SDP")
        phone.command("resume")
        carrier.expect("CALL_REMOTE_SDP")
        talk(phone, carrier)
        assert phone.log.count("DTLS-SRTP complete") == 1
        assert only_record(sbc_server)["note"] is None


def test_DTLS_03_without_multiplexed_RTCP_there_are_two_handshakes(lab: Lab, sbc_server: Server, carrier: Phone, tmp_path: Path) -> None:
    with alice(lab, tmp_path / "alice", sbc_server.trust(), "mediaenc=dtls_srtp", mux=False) as phone:
        connect(phone, carrier, NUMBER)
        until(lambda: phone.log.count("DTLS-SRTP complete") == 2, 10.0, "no two handshakes", phone.pump)
        hears(phone, CARRIER, 6.5)  # each sends its first report after 5 s
        talk(phone, carrier)
        a, b = only_record(sbc_server)["a"], only_record(sbc_server)["b"]
        for side in (a, b):
            assert isinstance(side, dict)
            assert side["media"]["rtcp_received"] > 0
            assert side["media"]["rtcp_sent"] > 0


def test_with_SDES_the_same_policy_takes_the_phone_as_before(lab: Lab, sbc_server: Server, carrier: Phone, tmp_path: Path) -> None:
    with alice(lab, tmp_path / "alice", sbc_server.trust(), "mediaenc=srtp-mand", mux=False) as phone:
        connect(phone, carrier, NUMBER)
        talk(phone, carrier)
        assert "DTLS-SRTP complete" not in phone.log
