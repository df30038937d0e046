from __future__ import annotations

import asyncio
import re
import signal
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sbc import devcerts
from sbc.errors import ConfigError
from sbc.probe import testcall, testpeer
from sbc.probe.agent import Login
from sbc.probe.console import parse_address
from sbc.probe.testpeer import Mode
from sbc.sip.message import Request
from tests.unit.probe.until import until

HOST = "127.0.0.1"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certs")
    devcerts.make(folder)
    return folder


def _call(certificates: Path, number: str, mode: Mode = Mode.ECHO, judge: testpeer.Judge | None = None) -> tuple[int, list[str], list[str]]:
    """The exit status, the lines of the caller, the lines of the callee."""
    ours: list[str] = []
    theirs: list[str] = []
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificates / "edge.pem", certificates / "edge.key")
    client = ssl.create_default_context(cafile=certificates / "ca.pem")

    async def run() -> int:
        peer = asyncio.get_running_loop().create_task(testpeer.answer_calls((HOST, 0), mode, server, theirs.append, judge=judge))
        await until(lambda: theirs)
        port = int(theirs[0].partition(",")[0].rpartition(":")[2])
        status = await testcall.call((HOST, port), client, Login("alice", "secret"), number, 2.0, ours.append)
        await until(lambda: len(theirs) >= 2)
        peer.cancel()
        await asyncio.gather(peer, return_exceptions=True)
        return status

    return asyncio.run(run()), ours, theirs


def test_a_call_to_the_test_peer_hears_both_tones(certificates: Path) -> None:
    status, lines, _ = _call(certificates, "1000")
    assert status == 0, lines
    assert [line.split()[0] for line in lines] == ["tls", "ringing", "digest", "answered", "media", "ended", "packets", "600", "1000", "OK"]
    assert "TLSv1.3" in lines[0]
    assert "SRTP AEAD_AES_256_GCM" in lines[4]
    assert " 0 lost, 0 rejected" in lines[6]
    assert "back after" in lines[8]


def test_what_the_peer_makes_of_a_signature_is_said_on_both_sides(certificates: Path) -> None:
    async def judge(invite: Request) -> str:
        return f"not signed by {invite.from_.uri.user}"

    status, lines, theirs = _call(certificates, "1000", judge=judge)
    assert status == 0, lines
    assert "identity  not signed by alice" in lines
    assert "call from alice to 1000: not signed by alice" in theirs


def test_a_peer_that_does_not_echo_fails_the_call_and_the_hint_says_so(certificates: Path) -> None:
    status, lines, _ = _call(certificates, "1000", Mode.TONE)
    assert status == 1
    assert [line for line in lines if line.startswith("FAILED")] == [f"FAILED    {testcall._NO_ECHO}"]


def test_a_busy_number_is_busy(certificates: Path) -> None:
    status, lines, theirs = _call(certificates, "5486")
    assert status == 1
    assert lines[-1].startswith("FAILED    486 Busy Here")
    assert theirs[-1] == "call from alice to 5486: busy"


def test_a_number_that_never_answers_is_given_up(certificates: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(testcall, "_ANSWER_SECONDS", 0.3)
    status, lines, theirs = _call(certificates, "5480")
    assert status == 1
    assert "not answered" in lines[-1]
    assert theirs[1] == "call from alice to 5480: ringing"


def test_a_certificate_of_somebody_else_is_not_trusted(certificates: Path, tmp_path: Path) -> None:
    devcerts.make(tmp_path)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificates / "edge.pem", certificates / "edge.key")
    client = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    lines: list[str] = []

    async def run() -> int:
        listener = await asyncio.start_server(lambda reader, writer: None, HOST, 0, ssl=server)
        port = listener.sockets[0].getsockname()[1]
        status = await testcall.call((HOST, port), client, Login("alice", ""), "1", 1.0, lines.append)
        listener.close()
        return status

    assert asyncio.run(run()) == 1
    assert "does not hold" in lines[0]


def test_nobody_listening_is_said_in_one_line(certificates: Path) -> None:
    lines: list[str] = []
    client = ssl.create_default_context()
    status = asyncio.run(testcall.call((HOST, 9), client, Login("alice", ""), "1", 1.0, lines.append))
    assert (status, len(lines)) == (1, 1)
    assert "no TLS connection to 127.0.0.1:9" in lines[0]


def test_nobody_is_no_number() -> None:
    with pytest.raises(ConfigError, match="--number: it is empty"):
        testcall.main(number="")


def test_a_missing_password_file_is_the_operators_to_mend(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"alice\.secret: No such file"):
        testcall.main(password_file=tmp_path / "alice.secret")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_test_peer_ends_well_when_told_to(number: signal.Signals) -> None:
    command = "import sys; from sbc.probe import testpeer; sys.exit(testpeer.main('127.0.0.1:0'))"
    # a shell's background job has SIGINT ignored, and hands that down
    with subprocess.Popen(["env", "--default-signal=INT", sys.executable, "-c", command], stdout=subprocess.PIPE) as peer:
        assert peer.stdout is not None
        assert peer.stdout.readline().startswith(b"answering calls on udp://127.0.0.1:")
        peer.send_signal(number)
        assert peer.wait(10) == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"address": "192.0.2.1:5060"}, "cannot listen on 192.0.2.1:5060"),
        ({"address": "nowhere:x"}, "not an address"),
        ({"mode": "loud"}, "there are echo, tone, ring, busy"),
        ({"certificate": Path("/missing.pem")}, "/missing.pem (it has to hold its key, too, without --key)"),
    ],
)
def test_what_the_test_peer_cannot_do_is_said_in_one_line(arguments: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(complaint)) as error:
        testpeer.main(**arguments)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.1", ("127.0.0.1", 5060)), ("host:1", ("host", 1)), ("[::1]:2", ("::1", 2)), ("[::1]", ("::1", 5060))],
)
def test_addresses_are_read(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text, 5060) == address


@pytest.mark.parametrize("text", ["", ":5060", "host:", "host:x", "host:65536", "::1"])
def test_what_is_no_address_is_said(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_address(text, 5060)
