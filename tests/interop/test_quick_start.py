"""What the README tells a newcomer to do first, on a machine of its own."""

from __future__ import annotations

import json
import shutil
import signal
import sys
from pathlib import Path

from sbc import devcerts
from tests.interop.namespaces import Lab
from tests.interop.server import DRAIN_TIMEOUT, ROOT, START_TIMEOUT
from tests.interop.wait import until


def test_serve_call_and_stop(lab: Lab, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    devcerts.make(tmp_path / "certs")
    sbc = [sys.executable, "-m", "sbc"]
    path = {"PYTHONPATH": str(ROOT)}
    log = tmp_path / "log"
    server = lab.sbc.start([*sbc, "run", "policies", "--testpeer"], log=log, cwd=tmp_path, env=path)
    until(lambda: "answering calls" in log.read_text() and "records in" in log.read_text(), START_TIMEOUT, f"no start, see {log}")

    call = lab.sbc.start([*sbc, "testcall"], log=tmp_path / "call", cwd=tmp_path, env=path)
    assert call.wait(30) == 0, (tmp_path / "call").read_text()
    assert "sound both ways" in (tmp_path / "call").read_text()

    server.send_signal(signal.SIGINT)
    assert server.wait(DRAIN_TIMEOUT) == 0, log.read_text()
    (record,) = (tmp_path / "var" / "records.jsonl").read_text().splitlines()
    assert json.loads(record)["sip_status"] == 200
