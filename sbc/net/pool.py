"""All connections by number and by peer; those we open ourselves, with what waits for them."""

from __future__ import annotations

import asyncio
import itertools
import socket
import ssl
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from sbc.effects import Send
from sbc.flow import Address, Flow, Transport
from sbc.net.admission import Ticket
from sbc.net.connection import StreamConnection
from sbc.net.limits import StreamLimits
from sbc.net.ports import Receiver
from sbc.net.stats import Stats
from sbc.net.tasks import Tasks

_IP_BIND_ADDRESS_NO_PORT = 24  # linux/in.h: choose the port at connect(), when the peer is known: 28,000 per peer, not in all

_Peer = tuple[str, Transport, Address]


@dataclass(slots=True)
class _Opening:
    """A connection on its way, and what waits for it."""

    flow: Flow
    identity: str
    waiting: deque[Send] = field(default_factory=deque)


class Pool:
    """Sends over streams: on the connection asked for, on any that fits, or on a new one (RFC 3261 s18, RFC 5923)."""

    def __init__(self, loop: asyncio.AbstractEventLoop, tasks: Tasks, receiver: Receiver, limits: StreamLimits, stats: Stats) -> None:
        self._loop = loop
        self._tasks = tasks
        self._receiver = receiver
        self._limits = limits
        self._stats = stats
        self._contexts: Mapping[str, ssl.SSLContext] = {}
        self._numbers = itertools.count(1)
        self._connections: dict[int, StreamConnection] = {}
        self._peers: dict[_Peer, list[StreamConnection]] = {}
        self._opening: dict[tuple[_Peer, str], _Opening] = {}
        self._opened = 0
        self._sweeper: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._connections)

    def start(self) -> None:
        """Watch the deadlines; again does no harm."""
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(self._limits.sweep, self._sweep)

    def trust(self, contexts: Mapping[str, ssl.SSLContext]) -> None:
        """The TLS side of connections opened from now on, by realm."""
        self._contexts = contexts

    def accept(self, flow: Flow, ticket: Ticket) -> StreamConnection:
        """The protocol of a connection somebody opened to us."""
        return self._connection(flow, "", ticket)

    def send(self, effect: Send) -> None:
        flow = effect.flow
        peer: _Peer = (flow.realm, flow.transport, flow.remote)
        is_response = effect.data.startswith(b"SIP/2.0")
        identity = _identity(effect)
        connection = self._connections.get(flow.connection) if flow.connection else None
        if connection is None or not connection.open:
            if flow.connection and not is_response:
                self._receiver.receive_failure(effect.key, "connection closed")
                return
            connection = self._find(peer, None if is_response else identity)
        if connection is not None:
            self._send_on(connection, effect)
        elif is_response:  # a connection of ours to the port the peer happened to come from would reach nobody
            self._receiver.receive_failure(effect.key, "connection closed")
        else:
            self._enqueue(peer, identity, effect)

    def close_flow(self, flow: Flow) -> None:
        connection = self._connections.get(flow.connection)
        if connection is not None:
            connection.close()

    async def close(self) -> None:
        """Close all connections once what is written has left, or reset them after StreamLimits.stop_time."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        connections = list(self._connections.values())
        for connection in connections:
            connection.close()
        await asyncio.gather(*(connection.wait_closed() for connection in connections))

    def connection_made(self, connection: StreamConnection) -> None:
        flow = connection.flow
        peer: _Peer = (flow.realm, flow.transport, flow.remote)
        self._connections[flow.connection] = connection
        self._peers.setdefault(peer, []).append(connection)
        if connection.ticket is None:
            self._stats.connections_opened += 1
            for effect in self._opening.pop((peer, connection.identity)).waiting:
                self._send_on(connection, effect)

    def connection_lost(self, connection: StreamConnection) -> None:
        flow = connection.flow
        peer: _Peer = (flow.realm, flow.transport, flow.remote)
        del self._connections[flow.connection]
        self._peers[peer].remove(connection)
        if not self._peers[peer]:
            del self._peers[peer]
        if connection.ticket is None:
            self._opened -= 1
        else:
            connection.ticket.leave()

    def _connection(self, flow: Flow, identity: str, ticket: Ticket | None) -> StreamConnection:
        return StreamConnection(
            flow._replace(connection=next(self._numbers)),
            identity,
            ticket,
            owner=self,
            receiver=self._receiver,
            limits=self._limits,
            stats=self._stats,
            clock=self._loop.time,
        )

    def _send_on(self, connection: StreamConnection, effect: Send) -> None:
        if connection.open:
            connection.send(effect.data, effect.key)
        else:
            self._receiver.receive_failure(effect.key, "connection closed")

    def _find(self, peer: _Peer, identity: str | None) -> StreamConnection | None:
        """An open connection to that peer that is proven to be `identity`; None: whoever it is."""
        for connection in self._peers.get(peer, ()):
            if connection.open and (identity is None or connection.identity == identity):
                return connection
        return None

    def _enqueue(self, peer: _Peer, identity: str, effect: Send) -> None:
        opening = self._opening.get((peer, identity))
        if opening is None:
            if self._opened >= self._limits.opened:
                self._receiver.receive_failure(effect.key, "too many connections")
                return
            self._opened += 1
            opening = self._opening[peer, identity] = _Opening(effect.flow, identity)
            self._tasks.start(self._open(peer, opening))
        if len(opening.waiting) >= self._limits.pending:
            self._receiver.receive_failure(effect.key, "too many messages wait for the connection")
        else:
            opening.waiting.append(effect)

    async def _open(self, peer: _Peer, opening: _Opening) -> None:
        connection = self._connection(opening.flow, opening.identity, None)
        try:
            await self._connect(connection)
            reason = connection.refusal
        except TimeoutError:
            reason = "no connection in time"
        except (OSError, OverflowError, ValueError) as error:  # ValueError: not a host name, for SNI
            reason = str(error) or type(error).__name__
        if not connection.made:
            self._opened -= 1
            self._stats.connections_failed += 1
            for effect in self._opening.pop((peer, opening.identity)).waiting:
                self._receiver.receive_failure(effect.key, reason)

    async def _connect(self, connection: StreamConnection) -> None:
        flow = connection.flow
        context = None
        if flow.transport == "TLS":
            context = self._contexts.get(flow.realm)
            if context is None:
                raise OSError("the realm has no TLS")
        sock = _outward_socket(flow)
        try:
            async with asyncio.timeout(self._limits.connect_time):
                await self._loop.sock_connect(sock, flow.remote)
            await self._loop.create_connection(
                lambda: connection,
                sock=sock,
                ssl=context,
                server_hostname=connection.identity if context else None,
                ssl_handshake_timeout=self._limits.handshake_time if context else None,
                ssl_shutdown_timeout=self._limits.close_time if context else None,
            )
        except BaseException:
            sock.close()
            raise

    def _sweep(self) -> None:
        now = self._loop.time()
        for connection in [each for each in self._connections.values() if each.deadline <= now]:
            connection.expire()
        self._sweeper = self._loop.call_later(self._limits.sweep, self._sweep)


def _identity(effect: Send) -> str:
    """Who the peer of a connection opened for this must be: the original domain, not what DNS made of it (RFC 5922 s4)."""
    if effect.flow.transport != "TLS":
        return ""
    return effect.server_name.lower().rstrip(".") or effect.flow.remote[0]


def _outward_socket(flow: Flow) -> socket.socket:
    """From the address of the listener, so that we leave by the right network, and any port. Raises OSError."""
    host = flow.local[0]
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
        sock.bind((host, 0))
    except OSError:
        sock.close()
        raise
    return sock
