"""What the README tells a newcomer to do first, on a machine of its own."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sbc import devcerts, passports
from tests.interop.namespaces import Lab, Namespace
from tests.interop.server import DRAIN_TIMEOUT, ROOT, START_TIMEOUT
from tests.interop.wait import until

CALLED, URL = "+12155550131", "https://localhost:8443/stir.pem"
OPTION = "insecure_loopback: {authority: ../certs/ca.pem, certificate: edge}"
SBC = [sys.executable, "-m", "sbc"]
ENVIRONMENT = {"PYTHONPATH": str(ROOT)}
PEER = "127.0.0.3"
INCOMING = """\
INVITE sip:+12155550121@127.0.0.2:5060 SIP/2.0
Via: SIP/2.0/UDP 127.0.0.3:5070;branch=z9hG4bK{name}
Max-Forwards: 70
From: <sip:{caller}@127.0.0.3>;tag=quick
To: <sip:+12155550121@127.0.0.2>
Call-ID: {name}
CSeq: 1 INVITE
Contact: <sip:127.0.0.3:5070>
{identity}
Content-Length: 0

"""


@dataclass
class Quick:
    """The policy as it is shipped, in a folder of its own."""

    host: Namespace
    folder: Path

    @contextmanager
    def served(self) -> Iterator[None]:
        server = self.host.start([*SBC, "run", "policies", "--testpeer"], log=self.folder / "log", cwd=self.folder, env=ENVIRONMENT)
        until(self._ready, START_TIMEOUT, f"no start, see {self.folder}/log")
        yield
        server.send_signal(signal.SIGINT)
        assert server.wait(DRAIN_TIMEOUT) == 0, self.log()

    def _ready(self) -> bool:
        return all(text in self.log() for text in ("answering calls", "records in", "certificate_"))

    def testcall(self) -> str:
        output = self.folder / "call"
        call = self.host.start([*SBC, "testcall"], log=output, cwd=self.folder, env=ENVIRONMENT)
        assert call.wait(30) == 0, output.read_text()
        return output.read_text()

    def calls_in(self, name: str, identity: str) -> None:
        """A call of the peer to alice, who is not there."""
        invite = INCOMING.format(name=name, caller=CALLED, identity=identity).replace("\n", "\r\n")
        with self.host.socket(socket.SOCK_DGRAM) as peer:
            peer.bind((PEER, 5070))
            peer.settimeout(10)
            peer.sendto(invite.encode(), ("127.0.0.2", 5060))
            while (answer := peer.recv(65535)).startswith(b"SIP/2.0 1"):
                continue
            assert answer.startswith(b"SIP/2.0 480"), answer

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "var" / "records.jsonl").read_text().splitlines()]


@pytest.fixture
def quick(lab: Lab, tmp_path: Path) -> Quick:
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    devcerts.make(tmp_path / "certs")
    devcerts.make_stir(tmp_path / "certs")
    return Quick(lab.sbc, tmp_path)


def test_serve_call_sign_verify_and_stop(quick: Quick) -> None:
    with quick.served():
        said = quick.testcall()
    assert "sound both ways" in said
    assert "identity  signed A, verified: TN-Validation-Passed-A" in said
    (record,) = quick.records()
    assert record["sip_status"] == 200
    assert (record["b"]["signed"]["ppt"], record["b"]["signed"]["attest"], record["b"]["signed"]["problem"]) == ("shaken", "A", None)
    assert f"certificate_published url={URL}" in quick.log()


def test_it_verifies_calls_of_its_peer(quick: Quick) -> None:
    claims = passports.claims_of("B", CALLED, "+12155550121", "3b6e5e6e-0d4c-4bd5-9a2f-6a0f0f2f4f11", None)
    signed = passports.header(claims, quick.folder / "certs" / "stir.key", URL, "shaken")
    with quick.served():
        quick.calls_in("good", signed)
        quick.calls_in("none", "Subject: nothing signed")
        quick.calls_in("another", signed.replace(".", ".e", 1))
    found = [(record["stir"]["verstat"], record["stir"]["attest"]) for record in quick.records()]
    assert found == [("TN-Validation-Passed", "B"), ("No-TN-Validation", None), ("TN-Validation-Failed", None)]


def test_without_the_option_nothing_is_served_here(quick: Quick) -> None:
    policy = quick.folder / "policies" / "sbc.yaml"
    assert OPTION in policy.read_text()
    policy.write_text(re.sub(f"  {re.escape(OPTION)}.*", "", policy.read_text()))
    with quick.served():
        said = quick.testcall()
    assert f"identity  signed, not verified: TN-Validation-Failed, {URL}: All connection attempts failed" in said
    assert "sound both ways" in said
    assert f"certificate_not_published url={URL}" in quick.log()
    assert "localhost leads inside" in quick.log()
