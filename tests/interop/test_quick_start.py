"""What the README tells a newcomer to do first, on a machine of its own."""

from __future__ import annotations

import json
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from sbc import devcerts
from tests.interop.namespaces import Lab
from tests.interop.server import DRAIN_TIMEOUT, ROOT, START_TIMEOUT
from tests.interop.wait import until

CALLER, URL = "+12155550121", "https://localhost/stir.pem"


def test_serve_call_and_stop(lab: Lab, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    devcerts.make(tmp_path / "certs")
    record = called(lab, tmp_path)
    assert record["sip_status"] == 200


def test_it_signs_with_what_make_dev_certs_made(lab: Lab, tmp_path: Path) -> None:
    """As docs/identity.md has it."""
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    devcerts.make(tmp_path / "certs")
    devcerts.make_stir(tmp_path / "certs")
    policy = (tmp_path / "policies" / "sbc.yaml").read_text()
    policy = policy.replace("  alice:\n", f'  alice:\n    numbers: ["{CALLER}"]\n').replace("  testpeer:\n", "  testpeer:\n    sign: A\n")
    policy += f"identity: {{roots: ../certs/sti-ca.pem, sign: {{certificate: stir, url: {URL}}}}}\n"
    (tmp_path / "policies" / "sbc.yaml").write_text(policy)
    record = called(lab, tmp_path, "--number", "+12155550131")
    assert (record["b"]["signed"]["ppt"], record["b"]["signed"]["attest"], record["b"]["signed"]["problem"]) == ("shaken", "A", None)
    assert "certificate_not_published" in (tmp_path / "log").read_text()


def called(lab: Lab, tmp_path: Path, *options: str) -> dict[str, Any]:
    """The record of a call through the SBC of the policy there."""
    sbc = [sys.executable, "-m", "sbc"]
    path = {"PYTHONPATH": str(ROOT)}
    log = tmp_path / "log"
    server = lab.sbc.start([*sbc, "run", "policies", "--testpeer"], log=log, cwd=tmp_path, env=path)
    until(lambda: "answering calls" in log.read_text() and "records in" in log.read_text(), START_TIMEOUT, f"no start, see {log}")

    call = lab.sbc.start([*sbc, "testcall", *options], log=tmp_path / "call", cwd=tmp_path, env=path)
    assert call.wait(30) == 0, (tmp_path / "call").read_text()
    assert "sound both ways" in (tmp_path / "call").read_text()

    server.send_signal(signal.SIGINT)
    assert server.wait(DRAIN_TIMEOUT) == 0, log.read_text()
    (line,) = (tmp_path / "var" / "records.jsonl").read_text().splitlines()
    record: dict[str, Any] = json.loads(line)
    return record
