"""A real SBC in a process of its own that can be killed, and phones made of a socket."""

from __future__ import annotations

import contextlib
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

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

ROOT = Path(__file__).parents[2]
START_S = 60.0  # on a machine that does much else; mostly it is one
PASSWORD = "wonderland"  # of everybody: alice.secret


@dataclass
class Sbc:
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0
    options: tuple[str, ...] = ()

    def start(self) -> None:
        self.starts += 1
        log = self.folder / f"log{self.starts}"
        with log.open("wb") as sink:
            files = (self.folder / "policies", "--records", self.folder / "records.jsonl")
            command: tuple[str | Path, ...] = (sys.executable, "-m", "sbc", "run", *files, *self.options)
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=sink, stderr=subprocess.STDOUT)
        end = time.monotonic() + START_S
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


@contextlib.contextmanager
def running(folder: Path, policy: str, *options: str) -> Iterator[Sbc]:
    """An SBC with that policy in the empty `folder`; it must not have logged a fault at the end."""
    (folder / "policies").mkdir(parents=True)
    (folder / "policies" / "sbc.yaml").write_text(policy)
    devcerts.write_new(folder / "policies" / "alice.secret", f"{PASSWORD}\n".encode(), devcerts.PRIVATE_MODE)
    sbc = Sbc(folder, options=options)
    try:
        sbc.start()
        yield sbc
        assert "Traceback" not in sbc.log
    finally:
        if sbc.process is not None and sbc.process.poll() is None:
            sbc.process.terminate()
            sbc.process.wait(15)


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
    def udp(cls, name: str, host: str, server: str) -> Phone:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((host, 5060))
        sock.connect((server, 5060))
        return cls(name, sock, f"<sip:{name}@{host}>", "UDP")

    @classmethod
    def tcp(cls, name: str, host: str, server: str) -> Phone:
        """It says that it is behind a NAT."""
        sock = socket.create_connection((server, 5060), 5, source_address=(host, 0))
        return cls(name, sock, f"<sip:{name}@192.168.1.9:{sock.getsockname()[1]};transport=tcp>", "TCP")

    @classmethod
    def tls(cls, name: str, host: str, server: str, authority: Path) -> Phone:
        context = ssl.create_default_context(cafile=authority)
        plain = socket.create_connection((server, 5061), 5, source_address=(host, 0))
        sock = context.wrap_socket(plain, server_hostname=server)
        return cls(name, sock, f"<sip:{name}@{host}:{sock.getsockname()[1]};transport=tls>", "TLS")

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

    def expect(self, what: str | int, seconds: float = 15.0) -> Request | Response:
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

    def register(self, domain: str, headers: tuple[tuple[str, str], ...] = ()) -> Response:
        """Answered 200 when this returns."""
        uri, to = f"sip:{domain}", f"<sip:{self.name}@{domain}>"
        self.send(self.request("REGISTER", uri, to, headers))
        challenge = self.expect(401)
        challenges = [Challenge.parse(row) for row in challenge.headers.all("WWW-Authenticate")]
        row = answer(challenges, self.name, PASSWORD, "REGISTER", uri, 1, "cnonce")
        self.send(self.request("REGISTER", uri, to, (*headers, ("Authorization", row))))
        ok = self.expect(200)
        assert isinstance(ok, Response)
        return ok

    def call(self, uri: str) -> None:
        host = self.sock.getsockname()[0]
        self.send(self.request("INVITE", uri, f"<{uri}>", body=description(host, "m=audio 40000 RTP/AVP 8")))

    def close(self) -> None:
        self.sock.close()


def description(host: str, *lines: str) -> bytes:
    """SDP of somebody at `host`; `lines` from m= on."""
    return "\r\n".join(("v=0", f"o=- 1 1 IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0", *lines, "")).encode()
