"""SIPp outside over TLS, with an SRTP of its own making, baresip inside (UDP, plain RTP)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sbc import devcerts
from sbc.probe.tones import RATE, Law, encode, tone
from tests.interop import baresip
from tests.interop.baresip import Phone
from tests.interop.ears import ALICE, CARRIER, hears
from tests.interop.flows import Flows
from tests.interop.namespaces import TOPOLOGY
from tests.interop.sid import Sid
from tests.interop.sipp import Sipp, sipp
from tests.interop.wait import until

NUMBER = "+4930123"  # behind the carrier
TALK = 6.0  # seconds
SCENARIOS = Path(__file__).parent

POLICY = """\
version: 1
realms:
  outside:
    signalling: [tls://{outside}:5061]
    relay: {{address: {outside}, ports: 20000-20999}}
    certificate: edge
    client_ca: AUTHORITY
    client_certificates: optional
  inside:
    signalling: [udp://{inside}:5060]
    relay: {{address: {inside}, ports: 30000-30999}}
trunks:
  carrier: {{realm: inside, accept_from: [{carrier}], peer: "sip:{carrier}:5060", media: plain}}
  pbx: {{realm: outside, accept_from: [{attacker}], peer: "sip:{attacker}:5061;transport=tls", media: encrypted}}
routes:
  - {{name: out, when: {{trunk: pbx, to: "+*"}}, send_to: [carrier]}}
  - {{name: in, when: {{trunk: carrier, to: "+*"}}, send_to: [pbx]}}
media:
  encrypted: {{srtp: sdes, suites: [AES_CM_128_HMAC_SHA1_80, AES_CM_128_HMAC_SHA1_32], codecs: [PCMA, PCMU, telephone-event]}}
  plain: {{srtp: off, codecs: [PCMA, PCMU, telephone-event]}}
emergency: {{outside: none, inside: none}}
"""

SUITES = {"AES_CM_128_HMAC_SHA1_80": "cryptosuiteaescm128sha1801audio", "AES_CM_128_HMAC_SHA1_32": "cryptosuiteaescm128sha1321audio"}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with what the PBX shows, and who signed it."""
    folder = tmp_path_factory.mktemp("pbx")
    devcerts.make(folder, [TOPOLOGY["attacker"][0].ipv4], users=())
    return folder


@pytest.fixture(scope="module")
def policy(certificates: Path) -> str:
    return POLICY.replace("AUTHORITY", str(certificates / "ca.pem"))


@pytest.fixture
def carrier(flows: Flows, tmp_path: Path) -> Iterator[Phone]:
    account = f"<sip:{NUMBER}@{flows.lab.carrier.address}>;regint=0;audio_codecs=PCMA/8000/1;answermode=auto"
    with baresip.phone(flows.lab.carrier, tmp_path / "carrier", account, tone=CARRIER) as phone:
        yield phone


def calls(flows: Flows, peers: Path, folder: Path, suite: str, media: str) -> Sipp:
    """It does `media` as soon as it is answered."""
    folder.mkdir()
    scenario = folder / "caller"
    scenario.with_suffix(".xml").write_text((SCENARIOS / "caller.xml").read_text().replace("SUITE", SUITES[suite]).replace("MEDIA", media))
    return sipp(
        flows.lab.attacker,
        folder,
        str(scenario),
        f"{flows.lab.outside}:5061",
        transport="l1",
        keys={"caller": "+4940222", "called": NUMBER},
        talk=TALK,
        program=Sid(peers / "sid").command("usr/bin/sipp"),
        options=("-tls_ca", flows.server.trust(), "-mi", flows.lab.attacker.address),
    )


def leg_of(flows: Flows, before: int, side: str) -> dict[str, object]:
    leg = flows.server.records(before + 1)[before][side]
    assert isinstance(leg, dict)
    return leg


@pytest.mark.parametrize("suite", SUITES)
def test_what_it_encrypts_is_heard(flows: Flows, peers: Path, carrier: Phone, tmp_path: Path, suite: str) -> None:
    before = len(flows.server.records())
    speech = tmp_path / "tone.alaw"  # SIPp sends the octets of a file as they are
    speech.write_bytes(encode(tone(ALICE, count=int(TALK * RATE)), Law.PCMA))
    calling = calls(flows, peers, tmp_path / "sipp", suite, f'rtp_stream="{speech},1,8,PCMA/8000"')
    carrier.expect("CALL_ESTABLISHED")
    hears(carrier, ALICE, 3.0)
    assert calling.result().successful == 1
    leg = leg_of(flows, before, "a")
    assert leg["srtp"] == suite
    media = leg["media"]
    assert isinstance(media, dict)
    assert (media["srtp_auth_failed"], media["replayed"]) == (0, 0)


def test_called_it_sends_back_what_it_has_decrypted(flows: Flows, peers: Path, certificates: Path, carrier: Phone, tmp_path: Path) -> None:
    before = len(flows.server.records())
    answering = sipp(
        flows.lab.attacker,
        tmp_path / "sipp",
        str(SCENARIOS / "callee"),
        port=5061,
        transport="l1",
        program=Sid(peers / "sid").command("usr/bin/sipp"),
        options=("-tls_cert", certificates / "edge.pem", "-tls_key", certificates / "edge.key", "-mi", flows.lab.attacker.address),
    )
    until(lambda: ":5061 " in flows.lab.attacker.run(["ss", "-Hltn"]), 5.0, "SIPp does not listen")
    carrier.command("dial", f"sip:+4940222@{flows.lab.inside}")
    carrier.expect("CALL_ESTABLISHED")
    hears(carrier, CARRIER, 3.0)
    carrier.command("hangup")
    assert answering.result().successful == 1
    leg = leg_of(flows, before, "b")
    assert leg["srtp"] == "AES_CM_128_HMAC_SHA1_80"
