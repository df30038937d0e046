"""Everything bad that a network can bring, thrown at a real process: it answers clearly or not at all, and goes on."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.bench.generator import run_load
from tests.bench.signalling import load_spec
from tests.bench.subject import CALLER, OUTSIDE, POLICY, TLS_PORT, UDP_PORT, Subject, subject

VECTORS = Path(__file__).parents[1] / "vectors"
STRANGER = "127.0.0.99"
SIP = (OUTSIDE, UDP_PORT)
UNGUARDED = POLICY + "shield: {bans: off}\n"  # whoever sends such things is banned otherwise, and nothing would be shown of what is behind
GROWTH_MB = 12.0  # caches that fill up to their bound; a leak of what is thrown at it here would be ten times that


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    with subject(tmp_path_factory.mktemp("sbc") / "run", policy=UNGUARDED) as process:
        expect_good_calls(process)
        yield process
        expect_good_calls(process)


def expect_good_calls(process: Subject) -> None:
    for tls in (False, True):
        result = run_load(load_spec(process, 10.0, 0.5, tls=tls))
        assert result.completed == result.offered
        assert not result.failures


@pytest.fixture
def unharmed(running: Subject) -> Iterator[Subject]:
    """The process of before is there afterwards, no larger than it was, and the next good call works."""
    before = running.usage().memory
    yield running
    expect_good_calls(running)
    assert running.usage().memory - before < GROWTH_MB
    assert "Traceback" not in running.log.read_text()


def torture() -> list[bytes]:
    folders = (VECTORS / "rfc4475", VECTORS / "rfc5118")
    messages = [path.read_bytes() for folder in folders for path in sorted(folder.glob("*.dat"))]
    messages += [path.read_bytes() for path in sorted((VECTORS / "samples").glob("*.sip"))]
    assert len(messages) > 100
    return messages


def udp(host: str, port: int = UDP_PORT) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((host, port))
    sock.settimeout(0.3)
    return sock


def secure() -> ssl.SSLSocket:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(socket.create_connection((OUTSIDE, TLS_PORT), timeout=5))


def drain(sock: socket.socket) -> list[bytes]:
    """All that is answered within a moment."""
    answers = []
    with contextlib.suppress(OSError):
        while data := sock.recv(65536):
            answers.append(data)
    return answers


def send(sock: socket.socket, data: bytes) -> None:
    """As much as the other side takes before it hangs up."""
    with contextlib.suppress(OSError):
        sock.sendall(data)


def test_torture_messages_from_a_stranger_on_udp_are_met_with_silence(unharmed: Subject) -> None:
    """Nothing is answered but a well-formed REGISTER or INVITE for us: one of them, to a tel: URI, gets its challenge."""
    with udp(STRANGER) as sock:
        for message in torture():
            sock.sendto(message, SIP)
        answers = drain(sock)
    assert [answer[:11] for answer in answers] == [b"SIP/2.0 401"]
    assert len(answers[0]) < max(len(message) for message in torture() if b"INVITE tel:" in message)


def test_torture_messages_from_a_trunk_are_answered_with_a_status_or_not_at_all(unharmed: Subject) -> None:
    with udp(CALLER) as sock:
        for message in torture():
            sock.sendto(message, SIP)
        answers = drain(sock)
    statuses = [answer.split(b" ", 2)[1] for answer in answers if answer.startswith(b"SIP/2.0 ")]
    assert len(statuses) > 30
    # 500: it was a call like any other, and nobody listens where it went
    assert {status for status in statuses if status > b"499"} <= {b"500", b"501", b"505"}


def test_torture_messages_on_a_connection(unharmed: Subject) -> None:
    for message in torture():
        with secure() as sock:
            sock.settimeout(0.05)
            send(sock, message)
            for answer in drain(sock):
                assert answer.startswith((b"SIP/2.0 4", b"SIP/2.0 5", b"\r\n")), answer


def test_a_truncated_stream(unharmed: Subject) -> None:
    whole = (VECTORS / "samples" / "pjsip_invite_sips_256.sip").read_bytes()
    for cut in range(0, len(whole), 97):
        with secure() as sock:
            send(sock, whole[:cut])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_64_KiB_of_garbage(unharmed: Subject, seed: int) -> None:
    garbage = Random(seed).randbytes(65536)
    with secure() as sock:
        send(sock, garbage)
        drain(sock)
    with udp(CALLER, 5071) as sock:  # on its usual port, answers of earlier tests may still be repeated
        sock.sendto(garbage[:65000], SIP)
        for start in range(0, 65536, 1024):
            sock.sendto(garbage[start : start + 1024], SIP)
        assert drain(sock) == []


def test_SYN_11_a_header_of_10_MB(unharmed: Subject) -> None:
    with secure() as sock:
        send(sock, b"OPTIONS sip:127.0.0.21 SIP/2.0\r\nX-Long: ")
        began = time.monotonic()
        for _ in range(160):
            send(sock, b"a" * 65536)
        assert time.monotonic() - began < 10
        sock.settimeout(5)
        with contextlib.suppress(ConnectionError):
            assert sock.recv(1) in (b"", b"S"), "closed, or an answer and closed"


def test_an_SDP_of_10_000_lines(unharmed: Subject) -> None:
    body = b"v=0\r\no=- 1 1 IN IP4 127.0.0.31\r\ns=-\r\nc=IN IP4 127.0.0.31\r\nt=0 0\r\nm=audio 6000 RTP/AVP 8\r\n" + b"a=x:1\r\n" * 10_000
    head = (
        f"INVITE sip:+4930123456@{OUTSIDE} SIP/2.0\r\nVia: SIP/2.0/UDP {CALLER}:{UDP_PORT};branch=z9hG4bK-big;rport\r\nMax-Forwards: 70\r\n"
        f"From: <sip:a@{CALLER}>;tag=1\r\nTo: <sip:b@{OUTSIDE}>\r\nCall-ID: big{os.getpid()}\r\nCSeq: 1 INVITE\r\n"
        f"Contact: <sip:a@{CALLER}:{UDP_PORT}>\r\nContent-Type: application/sdp\r\n"
    ).encode()
    with udp(CALLER) as sock:
        kept = body[:60_000]
        sock.sendto(head + b"Content-Length: %d\r\n\r\n" % len(kept) + kept, SIP)
        answers = drain(sock)
    final = next(answer for answer in answers if b"Call-ID: big" in answer and not answer.startswith(b"SIP/2.0 100"))
    assert final.startswith((b"SIP/2.0 400", b"SIP/2.0 488", b"SIP/2.0 513"))


def test_refused_calls_are_recorded(unharmed: Subject) -> None:
    """Of what a known trunk sent, each INVITE that was a call attempt has its record; strangers leave none."""
    time.sleep(1.1)  # the writer may be that late
    records = [json.loads(line) for line in (unharmed.folder / "var" / "records.jsonl").read_text().splitlines()]
    assert records
    assert {record["a"].get("trunk", record["a"].get("user")) for record in records} <= {"callers", "alice"}
