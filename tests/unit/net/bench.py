"""A network on loopback with a scripted neighbour above it, and peers below it."""

from __future__ import annotations

import asyncio
import ipaddress
import random
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from media.api import Interface
from sbc.clock import Now
from sbc.effects import Effect
from sbc.errors import SipError
from sbc.flow import Address, Flow, Transport
from sbc.inputs import FlowClosed, Input, LoadChanged
from sbc.net.limits import StreamLimits
from sbc.net.network import Network
from sbc.net.stats import Stats
from sbc.net.tasks import Tasks
from sbc.policy import values
from sbc.policy.realms import KeyPair, Listener, Presented, Realm
from sbc.policy.snapshot import Snapshot, Strangers, Trunk
from sbc.sdp.rules import MediaRules
from sbc.shield.bans import Proof
from sbc.shield.offences import Offence
from sbc.shield.queue import Rank
from sbc.sip.fields.via import Via
from sbc.sip.message import Request, Response
from sbc.sip.uri import Uri
from sbc.views import Answer, CallsView, Question

LOCALHOST = "127.0.0.1"
QUICK = StreamLimits(sweep=0.01, close_time=0.3, stop_time=0.3, connect_time=0.5, handshake_time=0.3)

T = TypeVar("T")


def run(coroutine: Coroutine[object, object, T], seconds: float = 20.0) -> T:
    """On the loop of production, with an end."""

    async def bounded() -> T:
        async with asyncio.timeout(seconds):
            return await coroutine

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(bounded())


async def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    """Fails when `condition` does not become true in time."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not condition():
        assert loop.time() < end, "did not happen in time"
        await asyncio.sleep(0.005)


def free_port() -> int:
    """None that the system gives to those who ask for any, or it could be somebody else's when it is used."""
    while True:
        port = random.randint(22_000, 29_999)
        with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, suppress(OSError):
            tcp.bind((LOCALHOST, port))
            udp.bind((LOCALHOST, port))
            return port


def message(method: str = "OPTIONS", branch: str = "z9hG4bK1", body: bytes = b"") -> bytes:
    head = (
        f"{method} sip:someone@{LOCALHOST} SIP/2.0\r\n"
        f"Via: SIP/2.0/TCP {LOCALHOST}:5999;branch={branch}\r\n"
        f"From: <sip:a@{LOCALHOST}>;tag=1\r\nTo: <sip:b@{LOCALHOST}>\r\nCall-ID: {branch}\r\nCSeq: 1 {method}\r\n"
        f"Max-Forwards: 70\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


RESPONSE = message().replace(b"OPTIONS sip:someone@127.0.0.1 SIP/2.0", b"SIP/2.0 200 OK")


class Ear:
    """A Receiver that remembers, and may answer."""

    def __init__(self) -> None:
        self.datagrams: list[tuple[bytes, Flow]] = []
        self.messages: list[tuple[bytes, bytes, Flow]] = []
        self.malformed: list[tuple[SipError, Flow]] = []
        self.failures: list[tuple[str, str]] = []
        self.handshakes: list[tuple[Flow, str]] = []
        self.closed: list[Flow] = []
        self.offences: list[tuple[str, Offence]] = []
        self.vouches: list[str] = []
        self.on_message: Callable[[bytes, Flow], bool] = lambda head, flow: True
        self.on_malformed: Callable[[SipError, Flow], None] = lambda error, flow: None

    def receive(self, event: Input) -> None:
        assert isinstance(event, FlowClosed)
        self.closed.append(event.flow)

    def receive_datagrams(self, batch: list[tuple[bytes, Flow]]) -> None:
        self.datagrams += batch

    def receive_message(self, head: bytes, body: bytes, flow: Flow) -> bool:
        self.messages.append((head, body, flow))
        return self.on_message(head, flow)

    def receive_malformed(self, error: SipError, request: Request | None, flow: Flow) -> None:
        self.malformed.append((error, flow))
        self.on_malformed(error, flow)

    def handshake_failed(self, flow: Flow, reason: str) -> None:
        self.handshakes.append((flow, reason))

    def offended(self, flow: Flow, offence: Offence) -> None:
        self.offences.append((flow.remote[0], offence))

    def vouched(self, flow: Flow) -> None:
        self.vouches.append(flow.remote[0])

    def receive_failure(self, key: str, reason: str) -> None:
        self.failures.append((key, reason))


class OpenDoor:
    """A Doorman and a Watch: everybody is let in but who is in `banned`, and what it is told it remembers."""

    def __init__(self) -> None:
        self.banned: set[str] = set()
        self.offences: list[tuple[Flow, Offence, Proof | None]] = []
        self.vouches: list[Flow] = []

    def refuses_datagram(self, host: str, data: bytes, now: float) -> bool:
        return host in self.banned

    def refuses_connection(self, host: str, now: float) -> bool:
        return host in self.banned

    def offended(self, flow: Flow, offence: Offence, proof: Proof | None, note: str = "") -> None:
        self.offences.append((flow, offence, proof))

    def vouched(self, flow: Flow) -> None:
        self.vouches.append(flow)


class ScriptedCore:
    """Answers each input with the effects `script` gives for it; an exception in it is the core's own."""

    def __init__(self, script: Callable[[Input], list[Effect]] = lambda event: []) -> None:
        self.script = script
        self.inputs: list[Input] = []
        self.timeouts: list[float] = []
        self.effects: list[Effect] = []
        self.due: list[float] = []
        self.ranks: dict[Address, Rank] = {}
        self.calls = 0
        self.leaving = False
        self.in_use: set[Flow] = set()
        self.stray: list[Flow] = []
        self.going: list[Flow] = []
        self.on_timeout: Callable[[], None] = lambda: None
        self._inside = False

    def receive(self, event: Input, now: Now, /) -> None:
        assert not self._inside, "re-entered"
        if isinstance(event, LoadChanged):  # how busy this machine is, is no matter of the test
            return
        self._inside = True
        try:
            self.inputs.append(event)
            self.effects += self.script(event)
        finally:
            self._inside = False

    def handle_timeout(self, now: Now) -> None:
        self.timeouts.append(now.monotonic)
        self.due = [at for at in self.due if at > now.monotonic]
        self.on_timeout()

    def next_timeout(self) -> float | None:
        return min(self.due, default=None)

    def take_effects(self) -> list[Effect]:
        effects, self.effects = self.effects, []
        return effects

    def has_invite(self, via: Via, flow: Flow) -> bool:
        return False

    def rank(self, message: Request | Response | Uri | None, flow: Flow) -> Rank:
        return self.ranks.get(flow.remote, Rank.TRUNK)

    def tell(self, request: Request, flow: Flow, now: Now) -> None: ...

    def busy(self) -> int:
        return self.calls

    def flows_in_use(self) -> frozenset[Flow]:
        return frozenset(self.in_use)

    def strays(self) -> tuple[Flow, ...]:
        return tuple(self.stray)

    def departed(self) -> tuple[Flow, ...]:
        return (*self.stray, *self.going)

    def is_leaving(self) -> bool:
        return self.leaving

    def leftovers(self) -> dict[str, int]:
        return {"calls": self.calls} if self.calls else {}

    def ask(self, question: Question, now: Now) -> Answer:
        return CallsView((), self.calls, self.calls)


def realm(
    *listeners: tuple[Transport, int],
    name: str = "outside",
    certificate: Path | None = None,
    key: Path | None = None,
    client_ca: Path | None = None,
    client_certificates: Presented | None = None,
    more: tuple[Path, ...] = (),
    origins: tuple[str, ...] = (),
    address: str = LOCALHOST,
    dscp: int = 24,
) -> Realm:
    return Realm(
        name=name,
        listeners=tuple(Listener(transport, address, port, address) for transport, port in listeners),
        advertise=None,
        relay=Interface(LOCALHOST, 40000, 40099),
        relay_advertise=LOCALHOST,
        certificates=tuple(
            KeyPair(str(each), str((key if each is certificate else None) or each.with_suffix(".key")))
            for each in (certificate, *more)
            if each is not None
        ),
        client_ca=str(client_ca) if client_ca else None,
        client_certificates=client_certificates or ("required" if client_ca else "never"),
        domains=(),
        digest_realm="sbc",
        digest_algorithms=("MD5",),
        has_digest_users=False,
        origins=origins,
        dscp=dscp,
    )


def trunk(peer: str, *, certificate: Path | None = None, wildcard_certificates: bool = False) -> Trunk:
    """One that is called over TLS by that name."""
    return Trunk(
        name=peer,
        realm="outside",
        accept_from=(),
        peer=values.peer(f"sip:{peer};transport=tls"),
        registers=None,
        media=MediaRules(codecs=("PCMA",), srtp="off", suites=(), silence=None),
        certificate=KeyPair(str(certificate), str(certificate.with_suffix(".key"))) if certificate else None,
        wildcard_certificates=wildcard_certificates,
    )


def snapshot(*realms: Realm, trunks: tuple[Trunk, ...] = ()) -> Snapshot:
    return Snapshot(
        version=1,
        digest="0" * 12,
        realms={each.name: each for each in realms},
        trunks={each.name: each for each in trunks},
        users={},
        routes=(),
        emergency={},
        strangers=Strangers(),
        limits={},
        sources={},
        accounts={},
        route_tables={},
    )


class Bench:
    """One network over `ear`, listening on what the realm says."""

    def __init__(self, limits: StreamLimits) -> None:
        loop = asyncio.get_running_loop()
        self.faults: list[BaseException] = []
        self.ear = Ear()
        self.peers: list[Peer] = []
        self.stats = Stats()
        self.tasks = Tasks(loop, self.faults.append)
        self.doorman = OpenDoor()
        self.network = Network(loop, self.tasks, self.ear, self.stats, self.doorman, limits)

    def local(self, transport: Transport) -> Address:
        return next(each.address for each in self.network.listening() if each.transport == transport)

    def reload(self, *realms: Realm, trunks: tuple[Trunk, ...] = ()) -> None:
        self.network.apply(snapshot(*realms, trunks=trunks))

    async def connect(self, transport: Transport, context: ssl.SSLContext | None = None, name: str = "edge.example") -> Peer:
        streams = await asyncio.open_connection(*self.local(transport), ssl=context, server_hostname=name if context else None)
        self.peers.append(Peer(*streams))
        return self.peers[-1]

    def flow(self, transport: Transport, remote: Address, connection: int = 0) -> Flow:
        return Flow("outside", transport, self.local(transport), remote, connection)


@asynccontextmanager
async def bench(*realms: Realm, trunks: tuple[Trunk, ...] = (), limits: StreamLimits = QUICK) -> AsyncIterator[Bench]:
    it = Bench(limits)
    try:
        it.reload(*realms, trunks=trunks)
        yield it
    finally:
        for peer in it.peers:
            peer.close()
        await it.network.close()
        await it.tasks.close()
        assert it.faults == []


class Peer:
    """The other end of one stream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @property
    def address(self) -> Address:
        host, port = self.writer.get_extra_info("sockname")[:2]
        return host, port

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def closed(self) -> bytes:
        """What still came until the other side closed, or reset, the connection."""
        data = b""
        try:
            while octets := await self.reader.read(65536):
                data += octets
        except (ConnectionError, ssl.SSLError):
            pass
        return data

    def close(self) -> None:
        self.writer.transport.abort()


@asynccontextmanager
async def server(
    context: ssl.SSLContext | None = None, on_peer: Callable[[Peer], Awaitable[None]] | None = None
) -> AsyncIterator[tuple[Address, list[Peer]]]:
    """Somebody who listens; the peers it got."""
    peers: list[Peer] = []

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.append(Peer(reader, writer))
        if on_peer is not None:
            await on_peer(peers[-1])

    listening = await asyncio.start_server(accepted, LOCALHOST, 0, ssl=context)
    try:
        yield listening.sockets[0].getsockname()[:2], peers
    finally:
        listening.close()
        for peer in peers:
            peer.close()


class Authority:
    """Makes certificates in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        self._certificate = (
            self._build(self._name, self._key.public_key(), 365).add_extension(constraints, True).sign(self._key, hashes.SHA256())
        )
        self.pem = folder / "ca.pem"
        self.pem.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def issue(
        self, name: str, *alternatives: x509.GeneralName, days: int = 365, common_name: str = "", usage: x509.ObjectIdentifier | None = None
    ) -> Path:
        """The path of NAME.pem; NAME.key is beside it."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else [])
        builder = self._build(subject, key.public_key(), days)
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=not common_name)
        if usage is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        path = self._folder / f"{name}.pem"
        path.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        path.with_suffix(".key").write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        return path

    def revoke(self, *certificates: Path) -> None:
        """Put a revocation list beside the authority's certificate."""
        now = datetime.now(UTC)
        builder = x509.CertificateRevocationListBuilder(self._name, now - timedelta(days=1), now + timedelta(days=1))
        for path in certificates:
            number = x509.load_pem_x509_certificate(path.read_bytes()).serial_number
            builder = builder.add_revoked_certificate(x509.RevokedCertificateBuilder(number, now).build())
        crl = builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        self.pem.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM) + crl)

    def edge(self) -> Path:
        return self.issue("edge", x509.DNSName("edge.example"), x509.IPAddress(ipaddress.ip_address(LOCALHOST)))

    def client(self, certificate: Path | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.pem)
        if certificate is not None:
            context.load_cert_chain(certificate, certificate.with_suffix(".key"))
        return context

    def server(self, certificate: Path) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, certificate.with_suffix(".key"))
        return context

    def _build(self, subject: x509.Name, key: ec.EllipticCurvePublicKey, days: int) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return x509.CertificateBuilder(
            issuer_name=self._name,
            subject_name=subject,
            public_key=key,
            serial_number=x509.random_serial_number(),
            not_valid_before=now - timedelta(days=400),
            not_valid_after=now + timedelta(days=days),
        )
