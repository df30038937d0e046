"""One listener for streams, TCP to WSS: owns accept(), so that budgets are asked before a handshake costs anything."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable
from errno import EMFILE, ENFILE, ENOBUFS, ENOMEM

from sbc.flow import Address, Flow, Transport
from sbc.net.admission import Admission, Ticket
from sbc.net.connection import StreamConnection
from sbc.net.framing import Framing, PlainFraming
from sbc.net.limits import ACCEPT_PAUSE, ACCEPTS_PER_WAKEUP, StreamLimits
from sbc.net.sockets import set_dscp
from sbc.net.stats import Stats
from sbc.net.tasks import Tasks
from sbc.net.unsaid import ROOM_OF_STRANGERS
from sbc.shield.offences import Offence

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with RST, leaving no TIME_WAIT behind for a refused connection
_EXHAUSTED = frozenset({EMFILE, ENFILE, ENOBUFS, ENOMEM})


class StreamListener:
    """Owns `sock`, listening and non-blocking. `realm`, `context` (TLS, WSS), `framing` are set before `start` and by each new policy."""

    def __init__(
        self,
        sock: socket.socket,
        transport: Transport,
        accept: Callable[[Flow, Ticket, Framing], StreamConnection],
        *,
        loop: asyncio.AbstractEventLoop,
        tasks: Tasks,
        admission: Admission,
        limits: StreamLimits,
        stats: Stats,
        failed: Callable[[Flow, str], None],
        offended: Callable[[Flow, Offence], None],
    ) -> None:
        """`failed` is told of handshakes that were not finished, `offended` of connections beyond what a source may have."""
        name = sock.getsockname()
        self.realm = ""
        self.context: ssl.SSLContext | None = None
        self.framing: Callable[[], Framing] = PlainFraming
        self.transport = transport
        self.local: Address = (name[0], name[1])
        self._sock = sock
        self._accept = accept
        self._loop = loop
        self._tasks = tasks
        self._admission = admission
        self._limits = limits
        self._stats = stats
        self._failed = failed
        self._offended = offended
        self._pause: asyncio.TimerHandle | None = None

    def mark(self, dscp: int) -> None:
        """Also of what is accepted from now on, which inherits it."""
        set_dscp(self._sock, dscp)

    def start(self) -> None:
        self._pause = None
        self._loop.add_reader(self._sock.fileno(), self._acceptable)

    def duplicate(self) -> socket.socket:
        """The same socket once more, for a listener that takes the place of this one."""
        return self._sock.dup()

    def close(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._sock.fileno())
        self._sock.close()

    def _acceptable(self) -> None:
        for _ in range(ACCEPTS_PER_WAKEUP):
            try:
                sock, address = self._sock.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._loop.remove_reader(self._sock.fileno())
                    self._pause = self._loop.call_later(ACCEPT_PAUSE, self.start)
                    return
                continue  # that peer has gone already
            self._admit(sock, (address[0], address[1]))

    def _admit(self, sock: socket.socket, remote: Address) -> None:
        ticket = self._admission.admit(remote[0], handshake=self.transport != "TCP")
        if isinstance(ticket, str):
            if ticket == "banned":
                self._stats.connections_banned += 1
            elif ticket == "handshakes":
                self._stats.handshakes_refused += 1
            else:
                self._stats.connections_refused += 1
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            sock.close()
            if ticket != "banned":
                self._offended(Flow(self.realm, self.transport, self.local, remote), "flood")
            return
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._stats.connections_accepted += 1
        self._tasks.start(self._adopt(sock, Flow(self.realm, self.transport, self.local, remote), ticket, self.context))

    async def _adopt(self, sock: socket.socket, flow: Flow, ticket: Ticket, context: ssl.SSLContext | None) -> None:
        connection = self._accept(flow, ticket, self.framing())
        if context is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM_OF_STRANGERS)
        handshake, shutdown = (self._limits.handshake_time, self._limits.farewell_time) if context else (None, None)
        try:
            await self._loop.connect_accepted_socket(
                lambda: connection, sock, ssl=context, ssl_handshake_timeout=handshake, ssl_shutdown_timeout=shutdown
            )
        except OSError as error:  # ssl.SSLError, ConnectionError and TimeoutError are all of them
            self._stats.handshakes_failed += 1
            self._failed(flow, getattr(error, "reason", None) or str(error) or type(error).__name__)
        finally:
            if not connection.made:
                ticket.leave()
                sock.close()
            elif connection.ready:
                ticket.shaken()
