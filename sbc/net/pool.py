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
from sbc.net.framing import Framing, PlainFraming
from sbc.net.identity import Expected
from sbc.net.limits import StreamLimits
from sbc.net.ports import Receiver
from sbc.net.sockets import set_dscp
from sbc.net.stats import Stats
from sbc.net.tasks import Tasks
from sbc.net.tls import Outward

TURNS = 4  # of sweeps until each connection that is no stranger's has been looked at: a look is a system call
_IP_BIND_ADDRESS_NO_PORT = 24  # linux/in.h: choose the port at connect(), when the peer is known: 28,000 per peer, not in all

WEB_SOCKETS: frozenset[Transport] = frozenset({"WS", "WSS"})  # browsers: nobody can connect to them (RFC 7118 s5)

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
        self._outward: Mapping[str, Outward] = {}
        self._dscp: Mapping[str, int] = {}
        self._numbers = itertools.count(1)
        self._connections: dict[int, StreamConnection] = {}
        self._peers: dict[_Peer, list[StreamConnection]] = {}
        self._aliases: dict[_Peer, list[StreamConnection]] = {}  # accepted, and yet good for requests (RFC 5923)
        self._opening: dict[tuple[_Peer, str], _Opening] = {}
        self._opened = 0
        self._sweeper: asyncio.TimerHandle | None = None
        self._looker: asyncio.TimerHandle | None = None
        self._strange: dict[int, StreamConnection] = {}  # of those with TLS
        self._turn = 0

    def __len__(self) -> int:
        return len(self._connections)

    def start(self) -> None:
        """Watch the deadlines; again does no harm."""
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(self._limits.sweep, self._sweep)
            self._looker = self._loop.call_later(self._limits.look, self._look)

    def trust(self, outward: Mapping[str, Outward], dscp: Mapping[str, int]) -> None:
        """The TLS side of connections opened from now on, and how they are marked, by realm."""
        self._outward, self._dscp = outward, dscp

    def accept(self, flow: Flow, ticket: Ticket, framing: Framing) -> StreamConnection:
        """The protocol of a connection somebody opened to us."""
        return self._connection(flow, None, ticket, framing)

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
            connection = None if flow.transport in WEB_SOCKETS else self._find(peer, None if is_response else identity)
        if connection is not None:
            self._send_on(connection, effect)
        elif flow.transport in WEB_SOCKETS or (is_response and flow.connection):
            # A connection of ours to the port the peer happened to come from would reach nobody. Without `connection` the
            # port is that of its sent-by (RFC 3261 s18.2.2).
            self._receiver.receive_failure(effect.key, "connection closed")
        else:
            self._enqueue(peer, identity, effect)

    def close_flow(self, flow: Flow) -> None:
        connection = self._connections.get(flow.connection)
        if connection is not None:
            connection.close()

    def trust_flow(self, flow: Flow, alias: int) -> None:
        """Whoever is there has proved who it is; `alias` is the port that this connection may stand for, 0: none (RFC 5923 s8)."""
        connection = self._connections.get(flow.connection)
        if connection is None:
            return
        connection.prove()
        self._strange.pop(flow.connection, None)
        if alias and connection.alias is None:
            connection.alias = (flow.remote[0], alias)
            self._aliases.setdefault((flow.realm, flow.transport, connection.alias), []).append(connection)

    def keep_alive(self, flow: Flow, within: float) -> None:
        """Ping by that connection, if it still stands; `within` that many seconds there must be an answer, 0: there need not."""
        connection = self._connections.get(flow.connection)
        if connection is not None:
            connection.ping(within)

    async def close(self) -> None:
        """Close all connections once what is written has left, or reset them after StreamLimits.stop_time."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        if self._looker is not None:
            self._looker.cancel()
        connections = list(self._connections.values())
        for connection in connections:
            connection.close()
        await asyncio.gather(*(connection.wait_closed() for connection in connections))

    def connection_made(self, connection: StreamConnection) -> None:
        flow = connection.flow
        peer: _Peer = (flow.realm, flow.transport, flow.remote)
        self._connections[flow.connection] = connection
        self._peers.setdefault(peer, []).append(connection)
        if connection.ticket is not None and flow.secure:
            self._strange[flow.connection] = connection
        if connection.ticket is None:
            self._stats.connections_opened += 1
            for effect in self._opening.pop((peer, _name(connection.expected))).waiting:
                self._send_on(connection, effect)

    def connection_lost(self, connection: StreamConnection) -> None:
        flow = connection.flow
        peer: _Peer = (flow.realm, flow.transport, flow.remote)
        del self._connections[flow.connection]
        self._strange.pop(flow.connection, None)
        _remove(self._peers, peer, connection)
        if connection.alias is not None:
            _remove(self._aliases, (flow.realm, flow.transport, connection.alias), connection)
        if connection.ticket is None:
            self._opened -= 1
        else:
            connection.ticket.leave()

    def _connection(self, flow: Flow, expected: Expected | None, ticket: Ticket | None, framing: Framing) -> StreamConnection:
        return StreamConnection(
            flow._replace(connection=next(self._numbers), names=()),
            expected,
            ticket,
            framing,
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
            if connection.open and (identity is None or _name(connection.expected) == identity):
                return connection
        for connection in self._aliases.get(peer, ()):
            if connection.open and (identity is None or identity in connection.flow.names):
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
        outward = self._outward.get(opening.flow.realm) if opening.identity else None
        expected = outward.expected(opening.identity) if outward is not None else None
        connection = self._connection(opening.flow, expected, None, PlainFraming())
        try:
            if opening.identity and outward is None:
                raise OSError("the realm has no TLS")
            await self._connect(connection, outward.context_for(opening.identity) if outward is not None else None)
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

    async def _connect(self, connection: StreamConnection, context: ssl.SSLContext | None) -> None:
        flow = connection.flow
        sock = _outward_socket(flow, self._dscp.get(flow.realm, 0))
        try:
            async with asyncio.timeout(self._limits.connect_time):
                await self._loop.sock_connect(sock, flow.remote)
            await self._loop.create_connection(
                lambda: connection,
                sock=sock,
                ssl=context,
                server_hostname=_name(connection.expected) if context else None,
                ssl_handshake_timeout=self._limits.handshake_time if context else None,
                ssl_shutdown_timeout=self._limits.farewell_time if context else None,
            )
        except BaseException:
            sock.close()
            raise

    def _sweep(self) -> None:
        now = self._loop.time()
        before, self._turn = self._turn, int(now / self._limits.sweep)
        turns = {each % TURNS for each in range(max(before, self._turn - TURNS) + 1, self._turn + 1)}  # some, if we were held up
        for number, connection in list(self._connections.items()):
            if connection.deadline <= now:
                connection.expire()
            elif number % TURNS in turns:
                connection.look()
        self._sweeper = self._loop.call_later(self._limits.sweep, self._sweep)

    def _look(self) -> None:
        for connection in list(self._strange.values()):
            connection.look()
        self._looker = self._loop.call_later(self._limits.look, self._look)


def _identity(effect: Send) -> str:
    """Who the peer of a connection opened for this must be: the original domain, not what DNS made of it (RFC 5922 s4)."""
    if effect.flow.transport != "TLS":
        return ""
    proven = effect.flow.names
    return effect.server_name.lower().rstrip(".") or (proven[0] if proven else effect.flow.remote[0])


def _name(expected: Expected | None) -> str:
    return expected.name if expected is not None else ""


def _remove(table: dict[_Peer, list[StreamConnection]], peer: _Peer, connection: StreamConnection) -> None:
    table[peer].remove(connection)
    if not table[peer]:
        del table[peer]


def _outward_socket(flow: Flow, dscp: int) -> socket.socket:
    """From the address of the listener, so that we leave by the right network, and any port. Raises OSError."""
    host = flow.local[0]
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
        set_dscp(sock, dscp)
        sock.bind((host, 0))
    except OSError:
        sock.close()
        raise
    return sock
