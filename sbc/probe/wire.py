"""SIP over UDP and TLS for a test peer: sockets on one side, parsed messages and flows on the other."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from itertools import count
from typing import cast

from sbc.flow import Address, Flow
from sbc.sip.framing import Ping, StreamFramer
from sbc.sip.message import Request, Response
from sbc.sip.parse import Malformed, parse_datagram, parse_message

Receiver = Callable[[Request | Response, Flow], None]


class Wire:
    """Every socket of one agent. What does not parse is dropped: a test peer answers no riddles."""

    def __init__(self, receive: Receiver) -> None:
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        self._numbers = count(1)
        self._datagrams: dict[Address, asyncio.DatagramTransport] = {}
        self._streams: dict[int, asyncio.Transport] = {}
        self._servers: list[asyncio.Server] = []

    async def bind_udp(self, local: Address) -> Address:
        """The address really bound, when `local` left the port open. Raises OSError."""
        transport, protocol = await self._loop.create_datagram_endpoint(lambda: _Datagrams(self._receive), local_addr=local)
        self._datagrams[protocol.local] = transport
        return protocol.local

    async def listen_tls(self, local: Address, context: ssl.SSLContext) -> Address:
        """Accept connections. Raises OSError."""
        server = await self._loop.create_server(self._stream, *local, ssl=context)
        self._servers.append(server)
        address: Address = server.sockets[0].getsockname()[:2]
        return address

    async def connect_tls(self, remote: Address, context: ssl.SSLContext, server_name: str) -> tuple[Flow, ssl.SSLObject]:
        """A connection to `remote`, whose certificate must carry `server_name`. Raises OSError, ssl.SSLError among them."""
        transport, stream = await self._loop.create_connection(self._stream, *remote, ssl=context, server_hostname=server_name)
        return stream.flow, transport.get_extra_info("ssl_object")

    def send(self, data: bytes, flow: Flow, key: str = "") -> None:
        """To where `flow` leads; a connection that is gone swallows it, as a broken network would."""
        if flow.transport == "UDP":
            self._datagrams[flow.local].sendto(data, flow.remote)
        elif (stream := self._streams.get(flow.connection)) is not None:
            stream.write(data)

    def close(self) -> None:
        for server in self._servers:
            server.close()
        for transport in (*self._datagrams.values(), *self._streams.values()):
            transport.close()

    def _stream(self) -> _Stream:
        return _Stream(self._receive, next(self._numbers), self._streams)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, receive: Receiver) -> None:
        self.local: Address = ("", 0)
        self._receive = receive

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.local = transport.get_extra_info("sockname")[:2]

    def datagram_received(self, data: bytes, addr: Address) -> None:
        try:
            message = parse_datagram(data)
        except Malformed:
            return
        self._receive(message, Flow("", "UDP", self.local, addr[:2]))

    def error_received(self, exc: Exception) -> None:
        """Nobody there: the transaction's timer says so soon enough."""


class _Stream(asyncio.Protocol):
    def __init__(self, receive: Receiver, number: int, streams: dict[int, asyncio.Transport]) -> None:
        self.flow = Flow("", "TLS", ("", 0), ("", 0))
        self._receive, self._number, self._streams = receive, number, streams
        self._framer = StreamFramer()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._streams[self._number] = cast(asyncio.Transport, transport)
        local, remote = transport.get_extra_info("sockname")[:2], transport.get_extra_info("peername")[:2]
        self.flow = Flow("", "TLS", local, remote, self._number)

    def connection_lost(self, exc: Exception | None) -> None:
        self._streams.pop(self._number, None)

    def data_received(self, data: bytes) -> None:
        transport = self._streams[self._number]
        try:
            for frame in self._framer.feed(data):
                if isinstance(frame, Ping):
                    transport.write(b"\r\n")  # RFC 5626 s4.4.1
                else:
                    self._receive(parse_message(*frame), self.flow)
        except Malformed:
            transport.close()
