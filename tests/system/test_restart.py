"""Killed in the middle of it, and started again: whoever had its 200 is still registered."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sbc import devcerts
from sbc.sip.digest import answer
from sbc.sip.fields.auth import Challenge
from sbc.sip.fields.cseq import CSeq
from sbc.sip.fields.nameaddr import NameAddr
from sbc.sip.fields.via import Via
from sbc.sip.framing import Message, StreamFramer
from sbc.sip.message import Request, Response
from sbc.sip.parse import parse_datagram, parse_message
from sbc.sip.uri import Uri
from sbc.store.registrations import WRITTEN_WITHIN

ROOT = Path(__file__).parents[2]
OUTSIDE, INSIDE = "127.0.0.71", "127.0.0.72"
CARRIER = "127.0.0.73"
DOMAIN = f"sip:{OUTSIDE}"
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
  carrier: {{realm: inside, accept_from: [{CARRIER}], peer: "sip:{CARRIER}", media: plain}}
users:
  alice: {{realm: outside, password: {{file: alice.secret}}, media: plain}}
  bob: {{realm: outside, password: {{file: alice.secret}}, media: plain}}
routes:
  - {{name: to-phones, when: {{trunk: carrier, to: "*"}}, send_to: [alice]}}
emergency: {{outside: none, inside: none}}
media:
  plain: {{srtp: off, codecs: [PCMA]}}
"""


@dataclass
class Sbc:
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0

    def start(self) -> None:
        self.starts += 1
        log = self.folder / f"log{self.starts}"
        with log.open("wb") as sink:
            command = (sys.executable, "-m", "sbc", "run", self.folder / "policies", "--records", self.folder / "records.jsonl")
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=sink, stderr=subprocess.STDOUT)
        end = time.monotonic() + 20
        while b"stop with Ctrl-C" not in log.read_bytes():
            assert self.process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.02)

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        assert self.process.wait(10) == -signal.SIGKILL

    @property
    def log(self) -> str:
        return (self.folder / f"log{self.starts}").read_text()


@pytest.fixture
def sbc(tmp_path: Path) -> Iterator[Sbc]:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "sbc.yaml").write_text(POLICY)
    devcerts.write_new(tmp_path / "policies" / "alice.secret", b"wonderland\n", devcerts.PRIVATE_MODE)
    running = Sbc(tmp_path)
    running.start()
    try:
        yield running
        assert "Traceback" not in running.log
    finally:
        if running.process is not None and running.process.poll() is None:
            running.process.terminate()
            running.process.wait(15)


@dataclass
class Phone:
    """`contact`: what it says it is reached at; by TCP its connection is the only way there is."""

    name: str
    sock: socket.socket
    contact: str
    transport: str
    framer: StreamFramer = field(default_factory=StreamFramer)
    inbox: list[Request | Response] = field(default_factory=list)
    cseq: int = 0

    @classmethod
    def udp(cls, name: str, host: str) -> Phone:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((host, 5060))
        sock.connect((INSIDE if name == "carrier" else OUTSIDE, 5060))
        return cls(name, sock, f"<sip:{name}@{host}>", "UDP")

    @classmethod
    def tcp(cls, name: str) -> Phone:
        sock = socket.create_connection((OUTSIDE, 5060), 5, source_address=("127.0.0.75", 0))
        return cls(name, sock, f"<sip:{name}@192.168.1.9:{sock.getsockname()[1]};transport=tcp>", "TCP")

    def send(self, message: Request | Response) -> None:
        self.sock.sendall(message.encode())

    def request(self, method: str, uri: str, to: str, headers: tuple[tuple[str, str], ...] = (), body: bytes = b"") -> Request:
        self.cseq += 1
        host, port = self.sock.getsockname()
        return Request.build(
            method,
            Uri.parse(uri),
            via=Via(self.transport, host, port, branch=f"z9hG4bK{self.name}{time.monotonic_ns()}", wants_rport=True),
            from_=NameAddr.parse(f"<sip:{self.name}@{host}>;tag=t"),
            to=NameAddr.parse(to),
            call_id=f"{self.name}-{port}",
            cseq=CSeq(self.cseq, method),
            headers=(("Contact", self.contact), ("User-Agent", "x" * 250), *headers),
            body=body,
            content_type="application/sdp" if body else "",
        )

    def expect(self, what: str | int, seconds: float = 5.0) -> Request | Response:
        """The next message that is one of these; others are passed over."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            while self.inbox:
                message = self.inbox.pop(0)
                if what == (message.method if isinstance(message, Request) else message.status):
                    return message
            self.sock.settimeout(max(0.01, end - time.monotonic()))
            with contextlib.suppress(TimeoutError, ConnectionRefusedError):
                data = self.sock.recv(65536)
                frames = [parse_datagram(data)] if self.transport == "UDP" else self._framed(data)
                self.inbox += frames
        raise AssertionError(f"{self.name} expected {what}")

    def _framed(self, data: bytes) -> list[Request | Response]:
        return [parse_message(*frame) for frame in self.framer.feed(data) if isinstance(frame, Message)]

    def register(self) -> None:
        """Answered 200 when this returns."""
        to = f"<sip:{self.name}@{OUTSIDE}>"
        self.send(self.request("REGISTER", DOMAIN, to))
        challenge = self.expect(401)
        challenges = [Challenge.parse(row) for row in challenge.headers.all("WWW-Authenticate")]
        row = answer(challenges, self.name, "wonderland", "REGISTER", DOMAIN, 1, "cnonce")
        self.send(self.request("REGISTER", DOMAIN, to, (("Authorization", row),)))
        self.expect(200)

    def close(self) -> None:
        self.sock.close()


SDP = f"v=0\r\no=- 1 1 IN IP4 {CARRIER}\r\ns=-\r\nc=IN IP4 {CARRIER}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8\r\n".encode()


@pytest.fixture
def carrier() -> Iterator[Phone]:
    with contextlib.closing(Phone.udp("carrier", CARRIER)) as phone:
        yield phone


def call_alice(carrier: Phone) -> None:
    uri = f"sip:alice@{INSIDE}"
    carrier.send(carrier.request("INVITE", uri, f"<{uri}>", body=SDP))
    carrier.expect(100)


def test_killed_and_started_again_a_phone_on_udp_is_called_at_once(sbc: Sbc, carrier: Phone) -> None:
    with contextlib.closing(Phone.udp("alice", "127.0.0.74")) as alice, contextlib.closing(Phone.udp("bob", "127.0.0.76")) as bob:
        bob.register()
        alice.register()
        time.sleep(WRITTEN_WITHIN + 0.5)  # the bound that is promised is no more than a second
        sbc.kill()
        sbc.start()
        assert '"registrations found" accounts=2 bindings=2 waited_for=0' in sbc.log
        call_alice(carrier)
        invite = alice.expect("INVITE", 2.0)
        assert isinstance(invite, Request)
        alice.send(Response.answer(invite, 486, to_tag="busy"))
        carrier.expect(486)


def test_killed_and_started_again_a_phone_on_a_connection_is_waited_for(sbc: Sbc, carrier: Phone) -> None:
    with contextlib.closing(Phone.tcp("alice")) as alice:
        alice.register()
        time.sleep(WRITTEN_WITHIN + 0.5)
        sbc.kill()
    sbc.start()
    call_alice(carrier)
    with contextlib.closing(Phone.tcp("alice")) as alice:
        alice.register()
        invite = alice.expect("INVITE", 2.0)
        assert isinstance(invite, Request)
        alice.send(Response.answer(invite, 486, to_tag="busy"))
        carrier.expect(486)
