"""A real PBX registers over TLS with the configuration that `sbc pbx-config` prints; baresip inside is the carrier."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.interop import baresip, server
from tests.interop.asterisk import pbx
from tests.interop.asterisk.pbx import BUSY, ECHO, TALK, Pbx
from tests.interop.baresip import Phone
from tests.interop.ears import ALICE, CARRIER, hears
from tests.interop.namespaces import Lab
from tests.interop.server import PASSWORD, ROOT, Server
from tests.interop.sid import Sid
from tests.interop.wait import until

NUMBER = "+4930123"  # behind the carrier
REGISTERED_WITHIN = (
    25.0  # seconds: retry_interval, max_random_initial_delay as it comes, and the handshake on a machine that does much else
)
REFUSALS = 11  # Asterisk's default is to give up after ten

POLICY = """\
version: 1
realms:
  outside:
    signalling: [tls://{outside}:5061]
    relay: {{address: {outside}, ports: 20000-20999}}
    certificate: edge
    domains: [{outside}]
  inside:
    signalling: [udp://{inside}:5060]
    relay: {{address: {inside}, ports: 30000-30999}}
trunks:
  carrier: {{realm: inside, accept_from: [{carrier}], peer: "sip:{carrier}:5060", media: plain}}
  office:
    realm: outside
    accepts_registration: {{user: office, password: {{file: ../certs/alice.secret}}}}
    numbers: ["+4930555*"]
    media: encrypted
routes:
  - {{name: in, when: {{trunk: carrier, to: "+4930555*"}}, send_to: [office]}}
  - {{name: out, when: {{trunk: office, to: "+*"}}, send_to: [carrier]}}
media:
  encrypted: {{srtp: sdes, codecs: [PCMA, PCMU, telephone-event]}}
  plain: {{srtp: off, codecs: [PCMA, PCMU, telephone-event]}}
emergency: {{outside: none, inside: none}}
"""


@pytest.fixture
def sbc_server(lab: Lab, tmp_path: Path) -> Iterator[Server]:
    with server.serve(lab, tmp_path / "sbc", POLICY) as running:
        yield running


@pytest.fixture
def sid(peers: Path) -> Sid:
    return Sid(peers / "sid")


def pjsip(sbc_server: Server) -> str:
    """What an operator is given to paste."""
    policies, authority = sbc_server.folder / "policies", sbc_server.trust()
    command: list[str | Path] = [sys.executable, "-m", "sbc", "pbx-config", "asterisk", "office", "--policies", policies, "--show-password"]
    return subprocess.run([*command, "--ca-file", authority], cwd=ROOT, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def asterisk(lab: Lab, sbc_server: Server, sid: Sid, tmp_path: Path) -> Iterator[Pbx]:
    with pbx.pbx(lab.phone, tmp_path / "pbx", sid, pjsip(sbc_server)) as running:
        yield running


@pytest.fixture
def carrier(lab: Lab, sbc_server: Server, tmp_path: Path) -> Iterator[Phone]:
    account = f"<sip:{NUMBER}@{lab.carrier.address}>;regint=0;audio_codecs=PCMA/8000/1;answermode=manual"
    with baresip.phone(lab.carrier, tmp_path / "carrier", account, tone=CARRIER) as phone:
        yield phone


def call_the_pbx(lab: Lab, carrier: Phone, number: str) -> None:
    carrier.command("dial", f"sip:{number}@{lab.inside}")
    carrier.expect("CALL_ESTABLISHED", 20.0)


def hang_up(carrier: Phone, asterisk: Pbx) -> None:
    carrier.command("hangup")
    until(lambda: asterisk.channels() == 0, 5.0, "Asterisk still has a channel")


def called_and_calling(lab: Lab, asterisk: Pbx, carrier: Phone) -> None:
    """Both are heard, whoever calls."""
    call_the_pbx(lab, carrier, TALK)
    hears(carrier, ALICE, 2.0)
    hears(asterisk, CARRIER, 2.0)
    hang_up(carrier, asterisk)
    asterisk.call(NUMBER)
    carrier.expect("CALL_INCOMING")
    carrier.command("accept")
    carrier.expect("CALL_ESTABLISHED")
    hears(carrier, ALICE, 2.0)
    hears(asterisk, CARRIER, 2.0)
    hang_up(carrier, asterisk)


def test_it_is_called_and_calls(lab: Lab, sbc_server: Server, asterisk: Pbx, carrier: Phone) -> None:
    asterisk.registered(REGISTERED_WITHIN)
    called_and_calling(lab, asterisk, carrier)
    came, went = sbc_server.records(2)
    for record, leg in ((came, "b"), (went, "a")):
        facts = record[leg]
        assert isinstance(facts, dict)
        assert facts["srtp"] == "AES_CM_128_HMAC_SHA1_80"
        assert record["sip_status"] == 200


def test_its_echo_comes_back(lab: Lab, asterisk: Pbx, carrier: Phone) -> None:
    asterisk.registered(REGISTERED_WITHIN)
    call_the_pbx(lab, carrier, ECHO)
    hears(carrier, CARRIER, 3.0)
    hang_up(carrier, asterisk)


def test_it_is_busy(lab: Lab, sbc_server: Server, asterisk: Pbx, carrier: Phone) -> None:
    asterisk.registered(REGISTERED_WITHIN)
    carrier.command("dial", f"sip:{BUSY}@{lab.inside}")
    assert "486" in str(carrier.expect("CALL_CLOSED")["param"])
    (record,) = sbc_server.records(1)
    assert record["sip_status"] == 486


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_it_is_back_after_the_SBC_was_restarted(lab: Lab, sbc_server: Server, asterisk: Pbx, carrier: Phone, how: signal.Signals) -> None:
    asterisk.registered(REGISTERED_WITHIN)
    sbc_server.restart(how)
    asterisk.registered(REGISTERED_WITHIN)
    called_and_calling(lab, asterisk, carrier)


@pytest.mark.parametrize("end", [Pbx.stop, Pbx.kill])
def test_it_is_back_after_it_was_restarted(lab: Lab, asterisk: Pbx, carrier: Phone, end: Callable[[Pbx], None]) -> None:
    asterisk.registered(REGISTERED_WITHIN)
    end(asterisk)
    asterisk.start()
    asterisk.registered(REGISTERED_WITHIN)
    called_and_calling(lab, asterisk, carrier)


@pytest.mark.timeout(300)
def test_a_password_put_right_at_the_SBC_is_enough(lab: Lab, sbc_server: Server, sid: Sid, carrier: Phone, tmp_path: Path) -> None:
    """Nobody touches Asterisk, which has been refused more often than it has patience for as it comes."""
    configuration = pjsip(sbc_server)
    secret = sbc_server.folder / "certs" / "alice.secret"
    secret.write_text("wrong\n")
    sbc_server.reload()
    with pbx.pbx(lab.phone, tmp_path / "pbx", sid, configuration) as asterisk:
        until(lambda: asterisk.log.count("retrying in '5'") >= REFUSALS, REFUSALS * 15.0, "Asterisk does not try again")
        assert asterisk.registration() == "Rejected"
        secret.write_text(f"{PASSWORD}\n")
        sbc_server.reload()
        asterisk.registered(REGISTERED_WITHIN)
        called_and_calling(lab, asterisk, carrier)
