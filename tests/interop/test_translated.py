"""Real peers that have nothing in common but what the relay translates: the laws of G.711, digits by INFO and by telephone-event."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop import baresip, server
from tests.interop.baresip import Phone
from tests.interop.ears import ALICE, CARRIER, hears
from tests.interop.namespaces import Lab
from tests.interop.server import PASSWORD, POLICY, Server
from tests.interop.sipp import sipp
from tests.interop.test_baresip import NUMBER, connect, only_record

PATIENCE = 20
TRANSLATED = (
    POLICY.replace("media: encrypted\n", "media: translated\n")
    .replace("media:\n", "media:\n  translated: {{srtp: sdes, codecs: [PCMU, telephone-event], g711: translate}}\n")
    .replace("    media: plain\n", "{info}    media: plain\n")
    .replace("plain: {{srtp: off, codecs: [PCMA, PCMU, G729, telephone-event]", "plain: {{srtp: off, codecs: [PCMA, telephone-event]{more}")
)
SAYS_INFO = (
    POLICY.replace("media:\n  encrypted", "media:\n  old: {{srtp: off, codecs: [PCMA], digits: info}}\n  encrypted")
    .replace("sip:{attacker}:5060\n    media: plain\n", "sip:{attacker}:5060\n    info: pass\n    media: old\n")
)  # fmt: skip


def translated(**more: str) -> str:
    """Only the braces of these are filled here, the others later."""
    return TRANSLATED.replace("{more}", more.get("more", "")).replace("{info}", more.get("info", ""))


@pytest.fixture
def policy_text() -> str:
    return translated()


@pytest.fixture
def sbc(lab: Lab, tmp_path: Path, policy_text: str) -> Iterator[Server]:
    with server.serve(lab, tmp_path / "sbc", policy_text) as running:
        yield running


@pytest.fixture
def alice(lab: Lab, sbc: Server, tmp_path: Path) -> Iterator[Phone]:
    """PCMU alone, with SRTP."""
    edge = f"{lab.outside}:5061;transport=tls"
    account = (
        f'<sip:alice@{edge}>;auth_user=alice;auth_pass={PASSWORD};outbound="sip:{edge}";regint=600;'
        "mediaenc=srtp-mand;audio_codecs=PCMU/8000/1;answermode=manual"
    )
    with baresip.phone(lab.phone, tmp_path / "alice", account, tone=ALICE, trust=sbc.trust()) as phone:
        phone.registered()
        yield phone


@pytest.fixture
def carrier(lab: Lab, sbc: Server, tmp_path: Path) -> Iterator[Phone]:
    """PCMA alone, in the clear."""
    account = f"<sip:{NUMBER}@{lab.carrier.address}>;regint=0;audio_codecs=PCMA/8000/1;answermode=manual"
    with baresip.phone(lab.carrier, tmp_path / "carrier", account, tone=CARRIER) as phone:
        yield phone


def test_COD_02_pcmu_with_srtp_and_pcma_without(sbc: Server, alice: Phone, carrier: Phone) -> None:
    connect(alice, carrier, "030123")
    hears(alice, CARRIER, 2.0)
    hears(carrier, ALICE, 2.0)
    alice.command("hold")
    carrier.expect("CALL_REMOTE_SDP")
    alice.command("resume")
    carrier.expect("CALL_REMOTE_SDP")
    hears(alice, CARRIER)
    hears(carrier, ALICE)
    alice.command("hangup")
    carrier.expect("CALL_CLOSED")
    record = only_record(sbc)
    assert record["translated"] == ["g711"]
    assert [record[side]["codecs"][0] for side in "ab"] == ["PCMU", "PCMA"]  # type: ignore[index]


def test_COD_02_called_by_who_has_pcma(lab: Lab, sbc: Server, alice: Phone, carrier: Phone) -> None:
    connect(carrier, alice, f"sip:+4930111@{lab.inside}")
    hears(alice, CARRIER, 2.0)
    hears(carrier, ALICE, 2.0)


class TestDigitsToInfo:
    """The carrier hears digits by INFO."""

    @pytest.fixture
    def policy_text(self) -> str:
        return translated(more=", digits: info", info="    info: pass\n")

    def test_DTMF_03_telephone_events_become_info(self, sbc: Server, alice: Phone, carrier: Phone) -> None:
        connect(alice, carrier, "030123")
        hears(carrier, ALICE)
        for key in "5#5":
            alice.command("sndcode", key)
            assert carrier.expect("CALL_DTMF_START")["param"] == key
        assert carrier.log.count("application/dtmf-relay") >= 3
        hears(carrier, ALICE)
        alice.command("hangup")
        carrier.expect("CALL_CLOSED")
        assert only_record(sbc)["translated"] == ["g711", "digits"]
        assert "Signal" not in sbc.log


class TestDigitsFromInfo:
    """A PBX says digits by INFO and has no telephone-events."""

    @pytest.fixture
    def policy_text(self) -> str:
        return SAYS_INFO

    def test_DTMF_03_info_becomes_a_telephone_event(self, lab: Lab, sbc: Server, carrier: Phone, tmp_path: Path) -> None:
        keys = {"caller": "+4940222", "called": NUMBER}
        calling = sipp(lab.attacker, tmp_path / "pbx", "digits_caller", f"{lab.outside}:5060", keys=keys, talk=2.0, patience=PATIENCE)
        carrier.expect("CALL_INCOMING")
        carrier.command("accept")
        carrier.expect("CALL_ESTABLISHED")
        pressed = [carrier.expect("CALL_DTMF_START")["param"] for _ in range(2)]
        assert pressed == ["5", "*"]
        assert calling.result().successful == 1
        assert "application/dtmf-relay" not in carrier.log, "INFO it got none"
        assert only_record(sbc)["translated"] == ["digits"]
