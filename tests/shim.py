"""A router of UDP in the way to one server: it loses, delays, gives its clients other addresses, and can be cut."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable
from functools import partial

from sbc.flow import Address

DATAGRAM = 65_535


class Shim:
    """Clients send to `local` and are seen by `server` as coming from sockets of ours, one for each client.

    loss     share of datagrams that is lost, each way
    delay    seconds each way
    is_cut   nothing passes
    """

    def __init__(self, server: Address, *, seed: int = 1, local: Address = ("127.0.0.1", 0)) -> None:
        self.loss = 0.0
        self.delay = 0.0
        self.is_cut = False
        self.passed = 0
        self.lost = 0
        self._server = server
        self._random = random.Random(seed)
        self._loop = asyncio.get_running_loop()
        self._front = _opened(local)
        self._backs: dict[Address, socket.socket] = {}
        self.local: Address = self._front.getsockname()
        self._loop.add_reader(self._front.fileno(), self._from_clients)

    def close(self) -> None:
        self._loop.remove_reader(self._front.fileno())
        self._front.close()
        self.rebind()

    def rebind(self) -> None:
        """Every client comes from another port from now on."""
        for back in self._backs.values():
            self._loop.remove_reader(back.fileno())
            back.close()
        self._backs.clear()

    def _from_clients(self) -> None:
        for _ in range(256):
            try:
                data, client = self._front.recvfrom(DATAGRAM)
            except BlockingIOError:
                return
            except OSError:  # ICMP: a client has gone
                continue
            self._pass(partial(self._to_server, data, client))

    def _from_server(self, back: socket.socket, client: Address) -> None:
        for _ in range(256):
            try:
                data = back.recv(DATAGRAM)
            except BlockingIOError:
                return
            except OSError:
                continue
            self._pass(partial(self._front.sendto, data, client))

    def _pass(self, send: Callable[[], object]) -> None:
        if self.is_cut or self._random.random() < self.loss:
            self.lost += 1
            return
        self.passed += 1
        if self.delay:
            self._loop.call_later(self.delay, self._try, send)
        else:
            self._try(send)

    def _to_server(self, data: bytes, client: Address) -> None:
        self._back(client).sendto(data, self._server)

    @staticmethod
    def _try(send: Callable[[], object]) -> None:
        try:
            send()
        except OSError:  # closed meanwhile, or nobody there
            return

    def _back(self, client: Address) -> socket.socket:
        back = self._backs.get(client)
        if back is None:
            back = self._backs[client] = _opened((self._server[0], 0))
            self._loop.add_reader(back.fileno(), self._from_server, back, client)
        return back


def _opened(address: Address) -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.setblocking(False)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
    opened.bind(address)
    return opened
