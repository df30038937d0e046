"""What a service manager hears of `sbc run`, from its start to its end."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.peers import ROOT, START_S, Phone

OUTSIDE, CARRIER, DESK = "127.0.0.111", "127.0.0.112", "127.0.0.113"
POLICY = f"""\
version: 1
realms:
  outside:
    signalling: [udp://{OUTSIDE}:5060]
    relay: {{address: {OUTSIDE}, ports: 20000-20099}}
trunks:
  carrier: {{realm: outside, accept_from: [{CARRIER}], peer: "sip:{CARRIER}", media: plain}}
  desk: {{realm: outside, accept_from: [{DESK}], peer: "sip:{DESK}", media: plain}}
routes:
  - {{name: to-desk, when: {{trunk: carrier, to: "*"}}, send_to: [desk]}}
emergency: {{outside: none}}
media:
  plain: {{srtp: off, codecs: [PCMA]}}
"""


def heard(manager: socket.socket, *, alive: bool = False) -> list[str]:
    """The next message, line by line; `alive`: that it is so much as alive counts, too."""
    while True:
        lines = manager.recv(4096).decode().splitlines()
        if alive or lines != ["WATCHDOG=1"]:
            return lines


def test_it_hears_when_we_serve_reload_live_and_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "sbc.yaml").write_text(POLICY)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    command = (sys.executable, "-m", "sbc", "run", tmp_path / "policies", "--records", tmp_path / "records.jsonl", "--drain", "30")
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
        contextlib.closing(Phone.udp("carrier", CARRIER, OUTSIDE)) as carrier,
        contextlib.closing(Phone.udp("desk", DESK, OUTSIDE)) as desk,
        (tmp_path / "log").open("wb") as log,
    ):
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(START_S)
        with subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log) as process:
            try:
                assert heard(manager, alive=True) == ["READY=1", "STATUS=serving"]
                carrier.call(f"sip:+49301@{OUTSIDE}")
                carrier.expect(100, seconds=1.0)
                desk.expect("INVITE")
                assert heard(manager, alive=True) == ["WATCHDOG=1"]
                process.send_signal(signal.SIGHUP)
                assert heard(manager)[0] == "RELOADING=1"
                assert heard(manager)[0] == "READY=1"
                process.send_signal(signal.SIGTERM)
                assert heard(manager)[0] == "STOPPING=1"
                status, extension = heard(manager)
                assert status.startswith("STATUS=ending: 1 call is still there, for ")
                assert extension.startswith("EXTEND_TIMEOUT_USEC=")
                while heard(manager, alive=True) != ["WATCHDOG=1"]:
                    pass
                process.send_signal(signal.SIGABRT)  # as if it did not come any more
                assert process.wait(10) == -signal.SIGABRT
            finally:
                process.kill()
    text = (tmp_path / "log").read_text()
    assert "policy_changed" in text
    assert "Fatal Python error: Aborted" in text
    assert '/sbc/app.py", line' in text
