"""A policy on loopback with one trunk to look at, and a peer that answers OPTIONS as told."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from sbc import devcerts
from sbc.doctor.reach import Reached, reach
from sbc.policy.load import load_policy
from sbc.policy.snapshot import Snapshot
from sbc.sip.framing import Message, StreamFramer
from sbc.sip.message import Request, Response
from sbc.sip.parse import parse_datagram, parse_message
from tests.unit.net.bench import free_port, run

OURS, PEER = "127.0.0.41", "127.0.0.42"
POLICY = """\
version: 1
realms:
  outside:
    signalling: [udp://{ours}:5060, tls://{ours}:{tls}, tcp://{ours}:5060]
    relay: {{address: {ours}, ports: 20000-20999}}
    certificate: edge
    client_ca: ../certs/ca.pem
    client_certificates: optional
    domains: [sbc.example.net]
    name_servers: [127.0.0.43]
trunks:
  peer: {{realm: outside, peer: "{peer}", media: plain}}
  office: {{realm: outside, accepts_registration: {{user: office, password: {{env: SBC_TEST_SECRET}}}}, media: plain}}
media:
  plain: {{srtp: off, codecs: [PCMA]}}
emergency: {{outside: none}}
"""

Answer = Callable[[Request, tuple[str, int]], Response | None]


def ok(request: Request, source: tuple[str, int]) -> Response:
    request.stamp(source)
    return Response.answer(request, 200, to_tag="x")


@dataclass
class Place:
    """`tls`: the port of our TLS listener; `port`: of the peer."""

    folder: Path
    tls: int
    port: int

    def snapshot(self, peer: str = "sip:{peer}:{port}", change: Callable[[str], str] = lambda text: text) -> Snapshot:
        text = POLICY.format(ours=OURS, tls=self.tls, peer=peer.format(peer=PEER, port=self.port))
        (self.folder / "policies" / "sbc.yaml").write_text(change(text))
        return load_policy(self.folder / "policies").snapshot

    def reach(self, peer: str, answer: Answer | None, *, certificate: str = "", dns_port: int = 53) -> Reached:
        """What is found on the way to the peer; `certificate`: it speaks TLS with that one. None: it is not there."""
        snapshot = self.snapshot(peer)

        async def scene() -> Reached:
            if answer is None:
                return await reach(snapshot, snapshot.trunks["peer"], dns_port=dns_port)
            async with self.serving(answer, certificate):
                return await reach(snapshot, snapshot.trunks["peer"], dns_port=dns_port)

        return run(scene())

    @asynccontextmanager
    async def serving(self, answer: Answer, certificate: str = "") -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        context = None
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.folder / f"{certificate}.pem", self.folder / f"{certificate}.key")
        transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(answer), local_addr=(PEER, self.port))
        server = await asyncio.start_server(lambda reader, writer: _converse(answer, reader, writer), PEER, self.port, ssl=context)
        try:
            yield
        finally:
            transport.close()
            server.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        request = parse_datagram(data)
        assert isinstance(request, Request)
        response = self._answer(request, address)
        if response is not None:
            self._transport.sendto(response.encode(), address)


async def _converse(answer: Answer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    framer = StreamFramer()
    while octets := await reader.read(65536):
        for frame in framer.feed(octets):
            assert isinstance(frame, Message)
            request = parse_message(*frame)
            assert isinstance(request, Request)
            response = answer(request, writer.get_extra_info("peername"))
            if response is not None:
                writer.write(response.encode())
    writer.close()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("doctor")
    devcerts.make(folder / "certs", ["sbc.example.net", "peer.example", PEER], users=())
    devcerts.make(folder / "others", ["peer.example"], users=())
    return folder


@pytest.fixture
def place(tmp_path: Path, certificates: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("SBC_TEST_SECRET", "geheim")
    (tmp_path / "policies").mkdir()
    for name in ("certs", "others"):
        (tmp_path / name).mkdir()
        for file in (certificates / name).iterdir():
            copy = tmp_path / name / file.name
            copy.write_bytes(file.read_bytes())
            copy.chmod(file.stat().st_mode & 0o777)
    return Place(tmp_path, free_port(), free_port())
