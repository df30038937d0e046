"""A way between a site and an edge on one machine: each sees the other at an address of the way, which loses and delays.

site ── front, the edge's ports ══ back, one port of the site's ── edge
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import socket
from collections.abc import Iterable

from sbc.flow import Address

BUFFER = 4 * 1024 * 1024
SWING = 0.7  # seconds in which the delay goes up and down once: slowly, so that nothing overtakes anything


class Path:
    """`loss`: share that does not arrive, `delay` and `jitter`: seconds; the same both ways."""

    def __init__(self, loss: float, delay: float, jitter: float) -> None:
        self.loss = loss
        self.lost = self.passed = 0
        self._delay, self._jitter = delay, jitter
        self._random = random.Random(1)
        self._loop = asyncio.get_running_loop()
        self._sockets: list[socket.socket] = []

    def nat(self, front: str, ports: Iterable[int], back: Address, server: str, client: Address | None = None) -> None:
        """Datagrams to `front` come to `server`, to the same port, from `back`, and the other way round.

        `client`: who is there before it has said anything.
        """
        behind = self._open(back)
        clients = dict.fromkeys(ports, client)
        fronts = {port: self._open((front, port)) for port in clients}

        def to_server(port: int) -> None:
            for data, source in _read(fronts[port]):
                clients[port] = source
                self._pass(behind, data, (server, port))

        def to_client() -> None:
            for data, (_, port) in _read(behind):
                if (there := clients.get(port)) is not None:
                    self._pass(fronts[port], data, there)

        self._loop.add_reader(behind, to_client)
        for port, sock in fronts.items():
            self._loop.add_reader(sock, to_server, port)

    def close(self) -> None:
        for sock in self._sockets:
            self._loop.remove_reader(sock)
            sock.close()

    def _open(self, address: Address) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sockets.append(sock)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        sock.setblocking(False)
        sock.bind(address)
        return sock

    def _pass(self, sock: socket.socket, data: bytes, to: Address) -> None:
        if self._random.random() < self.loss:
            self.lost += 1
            return
        self.passed += 1
        delay = self._delay + self._jitter * math.sin(2 * math.pi * self._loop.time() / SWING)
        self._loop.call_later(delay, _send, sock, data, to)


def _read(sock: socket.socket) -> Iterable[tuple[bytes, Address]]:
    for _ in range(256):
        try:
            yield sock.recvfrom(65_535)
        except BlockingIOError:
            return
        except OSError:  # ICMP: nobody there
            continue


def _send(sock: socket.socket, data: bytes, to: Address) -> None:
    with contextlib.suppress(OSError):  # closed meanwhile
        sock.sendto(data, to)
