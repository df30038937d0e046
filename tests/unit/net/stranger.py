"""Somebody at the port for sites who is none, or who is no good one."""

from __future__ import annotations

import asyncio
import socket

from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import ConnectionTerminated

from sbc.net.quic import ALPN


class Client:
    """Somebody who speaks QUIC, and no more than the test says."""

    def __init__(self, port: int, **options: object) -> None:
        configuration = QuicConfiguration(alpn_protocols=[ALPN], verify_mode=0, max_datagram_frame_size=1350, **options)  # type: ignore[arg-type]
        self.quic = QuicConnection(configuration=configuration)
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        self.sock.bind(("127.0.0.1", 0))
        self.loop = asyncio.get_running_loop()
        self.quic.connect(("127.0.0.1", port), self.loop.time())
        self.events: list[str] = []
        self.reason = ""

    def is_greedy(self) -> None:
        """It takes for allowed whatever it wants to say."""
        self.quic._remote_max_streams_bidi = 1 << 20
        self.quic._remote_max_data = 1 << 40

    def skip(self, stream: int, octets: int) -> None:
        """The next that is said on that stream stands so far behind what was said before."""
        skip(self.quic, stream, octets)

    async def take_token(self) -> None:
        """As far as the edge keeps nothing of it."""
        for data, address in self.quic.datagrams_to_send(self.loop.time()):
            self.sock.sendto(data, address)
        await asyncio.sleep(0.1)
        data, source = self.sock.recvfrom(2048)
        self.quic.receive_datagram(data, source, self.loop.time())

    async def run(self, seconds: float) -> None:
        end = self.loop.time() + seconds
        while self.loop.time() < end and not self.reason:
            for data, address in self.quic.datagrams_to_send(self.loop.time()):
                self.sock.sendto(data, address)
            await asyncio.sleep(0.01)
            while True:
                try:
                    data, source = self.sock.recvfrom(2048)
                except BlockingIOError:
                    break
                self.quic.receive_datagram(data, source, self.loop.time())
            if (due := self.quic.get_timer()) is not None and due <= self.loop.time():
                self.quic.handle_timer(self.loop.time())
            while (event := self.quic.next_event()) is not None:
                self.events.append(type(event).__name__)
                if isinstance(event, ConnectionTerminated):
                    self.reason = event.reason_phrase


def skip(quic: QuicConnection, stream: int, octets: int) -> None:
    """The next that `quic` says on that stream stands so far behind what was said before; what is between never comes."""
    found = quic._get_or_create_stream_for_send(stream)
    found.max_stream_data_remote = 1 << 40
    sender = found.sender
    sender._buffer_start = sender._buffer_stop = sender._buffer_stop + octets
