"""TLS in which nothing is said: handshake messages after the handshake, each of which costs us more than its sender.

A KeyUpdate (RFC 8446 s4.6.3) is 27 octets and has us derive a key, and another when the peer asks for ours: some 20 us. OpenSSL does
as many of them as there are within one read, and tells nobody; what arrived on the wire without a word in it shows it.
"""

from __future__ import annotations

import asyncio
import socket
import struct

MOST = 8_192  # octets: 300 KeyUpdates, or 6 ms. Who writes few octets a record has them paid back by each octet said
WORTH = 16  # octets of the wire that one octet said stands for: a ping is 26 octets with 4 in them
ROOM_OF_STRANGERS = 4_096  # octets of the kernel's buffer: one read of it can cost us 4 ms; a REGISTER has 1,000
ROOM = 1 << 20  # cut to net.core.rmem_max by the kernel

_BYTES_RECEIVED = struct.Struct("@128xQ")  # of struct tcp_info, linux/tcp.h


class Unsaid:
    """Of one connection, counted from now on."""

    __slots__ = ("_received", "_sock", "octets")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._sock: socket.socket = transport.get_extra_info("socket")
        self.octets = 0
        self._received = self._received_now()

    def look(self, said: int) -> bool:
        """Whether it is too much by now; `said`: octets of messages since the last look."""
        received = self._received_now()
        self.octets = max(0, self.octets + received - self._received - WORTH * said)
        self._received = received
        return self.octets > MOST

    def _received_now(self) -> int:
        (count,) = _BYTES_RECEIVED.unpack(self._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_RECEIVED.size))
        return int(count)
