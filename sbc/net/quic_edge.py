"""The UDP port at which sites arrive: connections by their ids, and nothing kept of anybody who has not shown that it is there.

Whoever begins is sent back a token first (Retry, RFC 9000 s8.1.2). What belongs to no connection costs a look at a table.
"""

from __future__ import annotations

import asyncio
import os
import socket
from dataclasses import dataclass
from typing import Protocol

from aioquic._buffer import Buffer
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.packet import QuicHeader, QuicPacketType, QuicProtocolVersion, encode_quic_retry, pull_quic_header

from media.api import EXPEDITED
from sbc.flow import Address
from sbc.link.frames import Frame
from sbc.link.retry import Tokens
from sbc.net.admission import Admission, Ticket
from sbc.net.limits import DATAGRAM, DATAGRAMS_PER_WAKEUP, UDP_BUFFER
from sbc.net.quic import CID_LENGTH, REFUSED, REPLACED, LinkConnection, Owner
from sbc.net.quic_bounds import BoundedConnection
from sbc.net.sockets import set_dscp
from sbc.net.stats import Stats
from sbc.shield.budgets import Budget, source_key
from sbc.shield.offences import Offence

RETRIES = (2000.0, 4000.0)  # a second in all: a thousand sites after a restart, and a bound on what forged ones cost
HINTS_PER_SOURCE = (2.0, 10.0)  # a second: sites whose connection is gone with an earlier process; each needs one
HINTS_IN_ALL = (500.0, 2000.0)
SHORTEST_HINTED = 40  # octets; a hint is shorter than what it answers (RFC 9000 s10.3)
HINT = 22
PROOF_TIME = 5.0  # seconds until a site must have proved who it is
SMALLEST_INITIAL = 1200  # octets (RFC 9000 s14.1)


class Greeter(Owner, Protocol):
    """Whoever has the endpoint. `source`: where somebody has shown that it is, by bringing a token back."""

    def proved(self, source: Address) -> None: ...

    def offended(self, source: Address, offence: Offence, reason: str) -> None: ...


@dataclass(slots=True)
class _Guest:
    """`source`: where the token was. Where its packets say that they come from now, may be anybody's address."""

    connection: LinkConnection
    source: Address
    ticket: Ticket
    cids: set[bytes]


class EdgeEndpoint:
    """Owns `sock`, bound and non-blocking. Passes on to `greeter` what connections say."""

    def __init__(self, sock: socket.socket, greeter: Greeter, loop: asyncio.AbstractEventLoop, admission: Admission, stats: Stats) -> None:
        name = sock.getsockname()
        self.local: Address = (name[0], name[1])
        self.configuration: QuicConfiguration | None = None
        self._sock = sock
        self._greeter = greeter
        self._loop = loop
        self._admission = admission
        self._stats = stats
        self._tokens = Tokens(os.urandom(32))
        self._retries = Budget(*RETRIES)
        self._hints = Budget(*HINTS_PER_SOURCE)
        self._hints_in_all = Budget(*HINTS_IN_ALL)
        self._by_cid: dict[bytes, LinkConnection] = {}
        self._guests: dict[LinkConnection, _Guest] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UDP_BUFFER)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UDP_BUFFER)
        set_dscp(sock, EXPEDITED)

    def __len__(self) -> int:
        return len(self._guests)

    def start(self) -> None:
        self._loop.add_reader(self._sock.fileno(), self._readable)
        self._sweep()

    def close(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in list(self._guests):
            connection.close(REPLACED, "the edge stops")
        self._loop.remove_reader(self._sock.fileno())
        self._sock.close()

    def prove(self, connection: LinkConnection) -> None:
        """Who is there is known: no stranger, and its handshake is over."""
        connection.prove()
        guest = self._guests[connection]
        guest.ticket.shaken()
        guest.ticket.proven()
        self._greeter.proved(guest.source)

    # What connections say, for the greeter, but for their ids and their ends

    def receive_ready(self, connection: LinkConnection) -> None:
        self._greeter.receive_ready(connection)

    def receive_frame(self, connection: LinkConnection, frame: Frame) -> None:
        self._greeter.receive_frame(connection, frame)

    def receive_signalling(self, connection: LinkConnection, data: bytes) -> None:
        self._greeter.receive_signalling(connection, data)

    def receive_media(self, connection: LinkConnection, data: bytes) -> None:
        self._greeter.receive_media(connection, data)

    def receive_end(self, connection: LinkConnection, reason: str) -> None:
        guest = self._guests.pop(connection)
        guest.ticket.leave()
        for cid in guest.cids:
            del self._by_cid[cid]
        if not connection.proven:
            self._stats.handshakes_failed += 1
            self._greeter.offended(guest.source, "handshake", reason)
        self._greeter.receive_end(connection, reason)

    def connection_id(self, connection: LinkConnection, cid: bytes, *, valid: bool) -> None:
        guest = self._guests[connection]
        if valid:
            self._by_cid[cid] = connection
            guest.cids.add(cid)
        else:
            self._by_cid.pop(cid, None)
            guest.cids.discard(cid)

    # Datagrams

    def _readable(self) -> None:
        touched: dict[LinkConnection, None] = {}
        for _ in range(DATAGRAMS_PER_WAKEUP):
            try:
                data, source = self._sock.recvfrom(DATAGRAM)
            except BlockingIOError:
                break
            except OSError:
                continue
            connection = self._whose(data, (source[0], source[1]))
            if connection is not None:
                connection.receive(data, (source[0], source[1]))
                touched[connection] = None
        for connection in touched:
            connection.flush()

    def _whose(self, data: bytes, source: Address) -> LinkConnection | None:
        """The connection a datagram belongs to, perhaps one that begins with it."""
        if data[:1] and not data[0] & 0x80:  # nearly always: a packet with a short header
            connection = self._by_cid.get(data[1 : 1 + CID_LENGTH])
            if connection is None:
                self._hint(data, source)
            return connection
        try:
            header = pull_quic_header(Buffer(data=data), host_cid_length=CID_LENGTH)
        except ValueError:
            self._stats.link_junk += 1
            return None
        connection = self._by_cid.get(header.destination_cid)
        if connection is None and header.packet_type == QuicPacketType.INITIAL and len(data) >= SMALLEST_INITIAL:
            return self._greet(header, source)
        if connection is None:
            self._stats.link_junk += 1
        return connection

    def _greet(self, header: QuicHeader, source: Address) -> LinkConnection | None:
        now = self._loop.time()
        version = header.version
        if self.configuration is None or version not in (QuicProtocolVersion.VERSION_1, QuicProtocolVersion.VERSION_2):
            return None
        if self._admission.is_banned(source[0]):
            self._stats.connections_banned += 1
            return None
        if not header.token:
            if self._retries.take("", now):
                chosen = os.urandom(CID_LENGTH)
                token = self._tokens.make(source, header.destination_cid, chosen, now)
                self._send(
                    encode_quic_retry(
                        version=version,
                        source_cid=chosen,
                        destination_cid=header.source_cid,
                        original_destination_cid=header.destination_cid,
                        retry_token=token,
                    ),
                    source,
                )
            return None
        original = self._tokens.original(header.token, source, header.destination_cid, now)
        if original is None:  # anybody may have written it, in anybody's name
            self._stats.link_junk += 1
            return None
        ticket = self._admission.admit(source[0], handshake=True)
        if isinstance(ticket, str):
            self._stats.handshakes_refused += 1
            self._greeter.offended(source, "flood", ticket)
            return None
        quic = BoundedConnection(
            configuration=self.configuration,
            original_destination_connection_id=original,
            retry_source_connection_id=header.destination_cid,
        )
        connection = LinkConnection(quic, self._loop, self._send, self)
        self._guests[connection] = _Guest(connection, source, ticket, {header.destination_cid, quic.host_cid})
        self._by_cid[header.destination_cid] = self._by_cid[quic.host_cid] = connection
        self._stats.connections_accepted += 1
        return connection

    def _hint(self, data: bytes, source: Address) -> None:
        """Whoever sent that believes in a connection that we know nothing of: it may want to look whether it still stands."""
        now = self._loop.time()
        self._stats.link_junk += 1
        if len(data) < SHORTEST_HINTED or not self._hints_in_all.take("", now):
            return
        if self._hints.take(source_key(source[0]), now):
            self._send(bytes((0x40 | os.urandom(1)[0] & 0x3F,)) + os.urandom(HINT - 1), source)

    def _send(self, data: bytes, address: Address) -> None:
        try:
            self._sock.sendto(data, address)
        except OSError:  # the buffer is full, or the way there is closed for now: QUIC finds out by itself
            self._stats.datagrams_dropped += 1

    def _sweep(self) -> None:
        """Whoever takes too long to prove who it is."""
        now = self._loop.time()
        for connection in [each for each in self._guests if not each.proven and now - each.began > PROOF_TIME]:
            connection.close(REFUSED, "not proved in time")
        self._sweeper = self._loop.call_later(1.0, self._sweep)
