"""The remote site's end: keeps so many connections to the edge, opens another one before the old one is given up.

An outage shows by packets that are not answered; after a restart of the edge it says that it knows nothing of us. Both are only
hints: what stands goes on being used until a new connection does.
"""

from __future__ import annotations

import asyncio
import random
import socket
from contextlib import suppress
from typing import Protocol

from media.api import EXPEDITED
from sbc.flow import Address
from sbc.net.limits import DATAGRAM, DATAGRAMS_PER_WAKEUP, UDP_BUFFER
from sbc.net.quic import REPLACED, LinkConnection, Owner, site_configuration
from sbc.net.quic_bounds import BoundedConnection
from sbc.net.sockets import set_dscp

SILENCE = 2.5  # seconds without an answer: five lost probes, or an outage
PING_EVERY = 10.0  # seconds, while nothing else is said: NATs forget UDP after 30
LOOK_EVERY = 0.25
ATTEMPT = (1.0, 2.0, 4.0)  # seconds that the first, the second, every later attempt may take: satellites need two
BACK_OFF = (0.1, 0.2, 0.4, 0.8)  # seconds between attempts, and as much again by chance; the last holds for PATIENT seconds
PATIENT = 300.0  # an edge that was not there for so long is looked for less often
LATER = 15.0


class Site(Owner, Protocol):
    def attempted(self, connection: LinkConnection, slot: int) -> None:
        """It is about to connect."""
        ...

    def not_found(self, problem: str) -> None: ...


class Socket:
    """A UDP socket for one connection: another one has another mapping in the NATs on the way."""

    def __init__(self, loop: asyncio.AbstractEventLoop, family: int, owner: Site) -> None:
        self.connection: LinkConnection | None = None
        self.hinted = False
        self._loop = loop
        self._sock = socket.socket(family, socket.SOCK_DGRAM)
        self._sock.setblocking(False)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UDP_BUFFER)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UDP_BUFFER)
        set_dscp(self._sock, EXPEDITED)
        self._sock.bind(("", 0))
        loop.add_reader(self._sock.fileno(), self._readable)
        self.connection = LinkConnection(BoundedConnection(configuration=site_configuration()), loop, self._send, owner)

    def close(self) -> None:
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()

    def _send(self, data: bytes, address: Address) -> None:
        with suppress(OSError):  # no way there for now: QUIC says it again
            self._sock.sendto(data, address)

    def _readable(self) -> None:
        connection = self.connection
        assert connection is not None
        for _ in range(DATAGRAMS_PER_WAKEUP):
            try:
                data, source = self._sock.recvfrom(DATAGRAM)
            except BlockingIOError:
                break
            except OSError:  # ICMP: nobody listens there for now
                continue
            if connection.is_foreign(data):
                self.hinted = True
            else:
                connection.receive(data, (source[0], source[1]))
        connection.flush()


class Slot:
    """One of the connections: `keep` runs for as long as it is wanted."""

    def __init__(self, number: int, host: str, port: int, loop: asyncio.AbstractEventLoop, site: Site) -> None:
        self._number = number
        self._where = (host, port)
        self._loop = loop
        self._site = site
        self._open: list[Socket] = []

    async def keep(self) -> None:
        failed = 0
        since = self._loop.time()
        try:
            while True:
                if (found := await self._attempt(failed)) is not None:
                    failed = 0
                    await self._watch(found)
                    since = self._loop.time()
                else:
                    patient = self._loop.time() - since < PATIENT
                    pause = BACK_OFF[min(failed, len(BACK_OFF) - 1)] if patient else LATER
                    failed += 1
                    await asyncio.sleep(pause * (1 + random.random()))  # noqa: S311 - so that not all come back at once
        finally:
            for each in self._open:
                if each.connection is not None:
                    each.connection.close(REPLACED, "the site stops")
                each.close()

    async def _attempt(self, failed: int) -> Socket | None:
        """A connection by which both ends have proved who they are; after so many attempts in vain."""
        patience = ATTEMPT[min(failed, len(ATTEMPT) - 1)]
        try:
            found = await self._loop.getaddrinfo(*self._where, type=socket.SOCK_DGRAM)
            family, *_, address = found[failed % len(found)]
            opened = Socket(self._loop, family, self._site)
        except OSError as error:
            self._site.not_found(str(error))
            return None
        connection = opened.connection
        assert connection is not None
        self._open.append(opened)
        self._site.attempted(connection, self._number)
        connection.connect((str(address[0]), int(address[1])))
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await connection.settled.wait()
        if not connection.proven:
            connection.close(REPLACED, "no answer in time")
        self._drop_dead()
        return opened if connection.is_open else None

    async def _watch(self, opened: Socket) -> None:
        """Until there is reason to believe that it is of no use any more."""
        connection = opened.connection
        assert connection is not None
        pinged = self._loop.time()
        while connection.is_open and not opened.hinted:
            await asyncio.sleep(LOOK_EVERY)
            now = self._loop.time()
            if connection.waiting_since is not None and now - connection.waiting_since > SILENCE:
                break
            if now - pinged > PING_EVERY and connection.is_open:
                pinged = now
                connection.ping()
                connection.flush()
        self._drop_dead()

    def _drop_dead(self) -> None:
        for each in [each for each in self._open if each.connection is None or not each.connection.is_open]:
            each.close()
            self._open.remove(each)
