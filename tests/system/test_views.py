"""`sbc calls`, `sbc call`, `sbc registrations` and `sbc trunks` beside a running process."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sbc.sip.fields.nameaddr import NameAddr
from sbc.sip.message import Request, Response
from tests.system.peers import ROOT, Phone, Sbc, running

OUTSIDE, INSIDE = "127.0.0.91", "127.0.0.92"
CARRIER, PHONE = "127.0.0.93", "127.0.0.94"
POLICY = f"""\
version: 1
realms:
  outside:
    signalling: [udp://{OUTSIDE}:5060, tcp://{OUTSIDE}:5060]
    relay: {{address: {OUTSIDE}, ports: 20000-20099}}
  inside:
    signalling: [udp://{INSIDE}:5060]
    relay: {{address: {INSIDE}, ports: 20000-20099}}
trunks:
  carrier: {{realm: inside, accept_from: [{CARRIER}], peer: "sip:{CARRIER}", media: plain, limits: carrier}}
users:
  alice: {{realm: outside, password: {{file: alice.secret}}, media: plain}}
routes:
  - {{name: to-alice, when: {{trunk: carrier, to: "*"}}, send_to: [alice]}}
emergency: {{outside: none, inside: none}}
limits:
  carrier: {{calls: 7}}
media:
  plain: {{srtp: off, codecs: [PCMA]}}
"""


@pytest.fixture
def sbc(tmp_path: Path) -> Iterator[Sbc]:
    with running(tmp_path / "sbc", POLICY) as sbc:
        yield sbc


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", "sbc", *map(str, arguments))
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def look(sbc: Sbc, *arguments: str) -> Any:
    done = run(*arguments, "--socket", sbc.folder / "sbc.sock", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_what_is_seen_while_a_call_is_on(sbc: Sbc) -> None:
    with (
        contextlib.closing(Phone.tcp("alice", PHONE, OUTSIDE)) as alice,
        contextlib.closing(Phone.udp("carrier", CARRIER, INSIDE)) as carrier,
    ):
        alice.register(OUTSIDE)
        (registered,) = look(sbc, "registrations")["registrations"]
        assert (registered["account"], registered["transport"], registered["state"]) == ("alice", "TCP", "registered")
        assert registered["source"].startswith(f"{PHONE}:")
        carrier.call(f"sip:+49301@{INSIDE}")
        invite = alice.expect("INVITE")
        assert isinstance(invite, Request)
        body = f"v=0\r\no=- 1 1 IN IP4 {PHONE}\r\ns=-\r\nc=IN IP4 {PHONE}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8\r\n".encode()
        contact = (("Contact", alice.contact),)
        alice.send(Response.answer(invite, 200, to_tag="a", headers=contact, body=body, content_type="application/sdp"))
        ok = carrier.expect(200)
        assert isinstance(ok, Response)
        target = str(NameAddr.parse(ok.headers.first("Contact") or "").uri)
        carrier.send(carrier.request("ACK", target, str(ok.to)))
        (call,) = look(sbc, "calls", "--trunk", "carrier", "--number", "49301")["calls"]
        assert (call["state"], call["a"]["party"], call["b"]["party"], call["a"]["speech"]) == ("connected", "carrier", "alice", "PCMA")
        whole = look(sbc, "call", call["id"])["call"]
        assert whole["media"]["a"]["packets_received"] == 0
        assert whole["b"]["peer"] == registered["source"]
        (trunk,) = look(sbc, "trunks")["trunks"]
        assert (trunk["name"], trunk["calls"], trunk["limit"]) == ("carrier", 1, 7)
        (limit,) = look(sbc, "limits", "carrier")["limits"]
        assert (limit["scope"], limit["what"], limit["now"], limit["most"]) == ("carrier", "calls", 1, 7)
        assert look(sbc, "calls", "--trunk", "alice", "--number", "555") == {"version": 1, "calls": [], "matching": 0, "total": 1}
        shown = run("calls", "--socket", sbc.folder / "sbc.sock").stdout
        assert call["id"] in shown
        assert "carrier → alice" in shown
    assert "no such call" in run("call", "none", "--socket", sbc.folder / "sbc.sock").stderr


def test_the_doctor_looks_at_a_peer_that_is_there_and_at_one_that_is_not(sbc: Sbc) -> None:
    look_at = ("doctor", "carrier", "--policies", sbc.folder / "policies", "--socket", sbc.folder / "sbc.sock")
    ill = run(*look_at)
    assert ill.returncode == 1
    assert f"wrong UDP {CARRIER}:5060: no connection (Connection refused)" in ill.stdout
    assert ill.stdout.splitlines()[-1] == "trunk carrier: 1 wrong"
    peer = subprocess.Popen([sys.executable, "-m", "sbc", "testpeer", "--address", f"{CARRIER}:5060"], cwd=ROOT, stdout=subprocess.PIPE)
    with peer:
        assert peer.stdout is not None
        peer.stdout.readline()
        well = run(*look_at)
        peer.terminate()
    assert well.returncode == 0, well.stdout
    assert f"good  UDP {CARRIER}:5060: OPTIONS is answered 200" in well.stdout
    assert "good  0 calls in progress, of 7" in well.stdout
    assert well.stdout.splitlines()[-1] == "trunk carrier: nothing wrong found"


def test_a_killed_process_leaves_a_socket_that_the_next_one_replaces(sbc: Sbc) -> None:
    sbc.kill()
    done = run("calls", "--socket", sbc.folder / "sbc.sock")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "no sbc answers at" in done.stderr
    sbc.start()
    assert look(sbc, "calls")["total"] == 0


def test_a_second_process_does_not_take_the_place_of_the_first(sbc: Sbc, tmp_path: Path) -> None:
    other = tmp_path / "policies"
    shutil.copytree(sbc.folder / "policies", other)
    (other / "sbc.yaml").write_text(POLICY.replace(":5060", ":5070").replace("20000-20099", "21000-21099"))
    done = run("run", other, "--records", tmp_path / "other.jsonl", "--socket", sbc.folder / "sbc.sock")
    assert done.returncode == 1
    assert "another sbc answers at" in done.stderr
