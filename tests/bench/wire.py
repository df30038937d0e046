"""Sockets of the load generator: one selector, non-blocking, messages in and out as octets.

A `Peer` is whom a message came from and where an answer goes: an address for UDP, a `Connection` for TLS.
"""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Iterator
from typing import Protocol

Address = tuple[str, int]
_BUFFER = 8 << 20  # octets of socket buffer: a second of load while the other side of the machine is busy
_SO_RCVBUFFORCE = 33  # linux/asm-generic/socket.h; goes past net.core.rmem_max, for root only
_BATCH = 256  # messages read before timers get their turn


class Connection:
    """One TLS connection, either end of it, and its unfinished messages."""

    def __init__(self, sock: ssl.SSLSocket) -> None:
        self.sock = sock
        self.local: Address = sock.getsockname()[:2]
        self.shaking = False
        self.closed = False
        self._inbox = bytearray()
        self._outbox = bytearray()

    def send(self, data: bytes) -> None:
        self._outbox += data
        self.flush()

    def flush(self) -> None:
        while self._outbox and not self.closed and not self.shaking:
            try:
                del self._outbox[: self.sock.send(self._outbox)]
            except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
                return
            except OSError:
                self.closed = True

    def receive(self) -> Iterator[bytes]:
        """Whole messages that have arrived; keep-alive CRLFs are skipped (RFC 5626 s4.4.1)."""
        if self.shaking and not self._shake():
            return
        while not self.closed:
            try:
                data = self.sock.recv(65536)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                break
            except OSError:
                data = b""
            if not data:
                self.closed = True
            self._inbox += data
        yield from self._messages()

    def _shake(self) -> bool:
        try:
            self.sock.do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        except OSError:
            self.closed = True
        self.shaking = False
        return not self.closed

    def _messages(self) -> Iterator[bytes]:
        data = bytes(self._inbox)
        start = 0
        while True:
            while data.startswith(b"\r\n", start):
                start += 2
            head = data.find(b"\r\n\r\n", start)
            if head < 0:
                break
            row = data.find(b"\r\nContent-Length:", start, head + 2)
            size = int(data[row + 17 : data.find(b"\r\n", row + 2)]) if row >= 0 else 0
            end = head + 4 + size
            if end > len(data):
                break
            yield data[start:end]
            start = end
        del self._inbox[:start]


Peer = Address | Connection


class Wire(Protocol):
    peers: list[Peer]
    """Whom a caller may send to; empty for a callee."""

    reliable: bool

    def send(self, data: bytes, peer: Peer) -> None: ...

    def receive(self, timeout: float) -> Iterator[tuple[bytes, Peer]]:
        """Messages that arrive within `timeout` seconds, as soon as there are any."""
        ...

    def local(self, peer: Peer) -> Address: ...

    def close(self) -> None: ...


def listening(local: Address) -> socket.socket:
    """For datagrams, with room for a second of them."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    sock.bind(local)
    return sock


class UdpWire:
    """One socket. `remote`: whom to call; None: answer whoever calls."""

    reliable = False

    def __init__(self, local: Address, remote: Address | None = None) -> None:
        self._sock = listening(local)
        self._sock.setblocking(False)
        self._poll = select.epoll()
        self._poll.register(self._sock, select.EPOLLIN)
        self.peers: list[Peer] = [remote] if remote else []

    def local(self, peer: Peer) -> Address:
        address: Address = self._sock.getsockname()
        return address

    def send(self, data: bytes, peer: Peer) -> None:
        assert isinstance(peer, tuple)
        try:
            self._sock.sendto(data, peer)
        except OSError:  # refused or full: as good as lost on the way, retransmission deals with it
            return

    def receive(self, timeout: float) -> Iterator[tuple[bytes, Peer]]:
        if not self._poll.poll(timeout):
            return
        for _ in range(_BATCH):
            try:
                yield self._sock.recvfrom(65535)
            except BlockingIOError:
                return
            except OSError:
                continue

    def close(self) -> None:
        self._poll.close()
        self._sock.close()


class TlsWire:
    """Connections made to one server, or accepted by one listener."""

    reliable = True

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._listener: socket.socket | None = None
        self._connections: dict[int, Connection] = {}
        self._poll = select.epoll()
        self.peers: list[Peer] = []

    @classmethod
    def connect(cls, context: ssl.SSLContext, local: str, remote: Address, count: int, server_name: str) -> TlsWire:
        wire = cls(context)
        for _ in range(count):
            plain = socket.create_connection(remote, timeout=10, source_address=(local, 0))
            wire.peers.append(wire._keep(context.wrap_socket(plain, server_hostname=server_name)))
        return wire

    @classmethod
    def listen(cls, context: ssl.SSLContext, local: Address) -> TlsWire:
        wire = cls(context)
        wire._listener = socket.create_server(local, backlog=1024)
        wire._listener.setblocking(False)
        wire._poll.register(wire._listener, select.EPOLLIN)
        return wire

    def local(self, peer: Peer) -> Address:
        assert isinstance(peer, Connection)
        return peer.local

    def send(self, data: bytes, peer: Peer) -> None:
        assert isinstance(peer, Connection)
        peer.send(data)

    def receive(self, timeout: float) -> Iterator[tuple[bytes, Peer]]:
        for descriptor, _ in self._poll.poll(timeout):
            if self._listener is not None and descriptor == self._listener.fileno():
                self._accept(self._listener)
                continue
            connection = self._connections[descriptor]
            for message in connection.receive():
                yield message, connection
            connection.flush()
            if connection.closed:
                self._drop(descriptor)

    def close(self) -> None:
        for descriptor in list(self._connections):
            self._drop(descriptor)
        if self._listener is not None:
            self._listener.close()
        self._poll.close()

    def _accept(self, listener: socket.socket) -> None:
        plain, _ = listener.accept()
        self._keep(self._context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)).shaking = True

    def _keep(self, sock: ssl.SSLSocket) -> Connection:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        connection = self._connections[sock.fileno()] = Connection(sock)
        self._poll.register(sock, select.EPOLLIN)
        return connection

    def _drop(self, descriptor: int) -> None:
        connection = self._connections.pop(descriptor)
        connection.closed = True
        self._poll.unregister(descriptor)
        connection.sock.close()
