"""The engine in Python: sockets on an asyncio loop, SRTP by libsrtp. Runs without compiler or privilege."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import time
from collections.abc import Callable

from media.alarm import Alarm
from media.api import EXPEDITED, Digit, EngineCapabilities, EventKind
from media.control import RelayControl
from media.dtls import LoopWorkshop
from media.keys import SUITES
from media.latch import SocketAddress
from media.ports import Choice
from media.relay import Half
from media.rtp import MAX_PACKET

# Packets taken per wake-up of the loop: some 2 ms of work, after which signalling has its turn.
BATCH = 64

CAPABILITIES = EngineCapabilities(SUITES, ("portable",))

_DATAGRAM = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC

_Receive = Callable[[int], tuple[bytes, SocketAddress]]
_Handle = Callable[[bytes, SocketAddress, float], None]


class PortableEngine(RelayControl):
    """See MediaEngine. Every socket sits in one epoll of the engine's own, and the loop watches only that:
    opening costs the loop nothing, and one wake-up serves all sockets that are ready.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        clock: Callable[[], float] = time.monotonic,
        choose: Callable[[int], int] | None = None,
        sweep_every: float = 1.0,
    ) -> None:
        super().__init__(CAPABILITIES, clock, choose or Choice(os.urandom), LoopWorkshop(loop))
        self._loop = loop
        self._poll = select.epoll()
        self._readers: dict[int, tuple[_Receive, _Handle]] = {}
        self._sockets: dict[Half, tuple[socket.socket, socket.socket]] = {}
        self._alarm = Alarm(loop, clock, self.type)
        self._sweep_every = sweep_every
        self._sweeper = loop.call_later(sweep_every, self._sweep)
        loop.add_reader(self._poll.fileno(), self._serve)

    def shutdown(self) -> None:
        super().shutdown()
        self._sweeper.cancel()
        self._alarm.cancel()
        if not self._poll.closed:
            self._loop.remove_reader(self._poll.fileno())
            self._poll.close()

    def _attach(self, half: Half, address: str, port: int) -> None:
        rtp = _bound(address, port)
        try:
            rtcp = _bound(address, port + 1)
        except OSError:
            rtp.close()
            raise
        try:
            self._listen(rtp, half.receive)
            self._listen(rtcp, half.receive_rtcp)
        except OSError:  # the kernel has no room in its epoll
            for bound in (rtp, rtcp):
                self._readers.pop(bound.fileno(), None)
                bound.close()
            raise
        half.send_rtp, half.send_rtcp = rtp.sendto, rtcp.sendto
        self._sockets[half] = rtp, rtcp

    def _listen(self, bound: socket.socket, handle: _Handle) -> None:
        descriptor = bound.fileno()
        self._poll.register(descriptor, select.EPOLLIN)
        self._readers[descriptor] = bound.recvfrom, handle

    def _detach(self, half: Half) -> None:
        for bound in self._sockets.pop(half):
            del self._readers[bound.fileno()]
            self._poll.unregister(bound)  # closed, it would stay and be ready for ever while a forked process has it
            bound.close()
        del half.send_rtp, half.send_rtcp

    def _mark(self, half: Half, dscp: int) -> None:
        for bound in self._sockets[half]:
            _set_dscp(bound, dscp)

    def _post(self, half: Half, kind: EventKind, digit: Digit | None = None, /) -> None:
        self._loop.call_soon(self._deliver, half, kind, digit)

    def wake_at(self, due: float) -> None:
        self._alarm.ring_at(due)

    def _serve(self) -> None:
        """One datagram from each socket that is ready. The epoll is level-triggered: what stays comes up again."""
        now = self._clock()
        for descriptor, _ in self._poll.poll(0, BATCH):
            reader = self._readers.get(descriptor)
            if reader is None:  # closed by what this batch brought about
                continue
            receive, handle = reader
            try:
                packet, source = receive(MAX_PACKET + 1)  # one more than is allowed: cut packets must not pass for whole ones
            except OSError:  # gone again: a wrong checksum shows as ready until it is read
                continue
            handle(packet, source, now)

    def _sweep(self) -> None:
        self.sweep()
        self._sweeper = self._loop.call_later(self._sweep_every, self._sweep)


def _bound(address: str, port: int) -> socket.socket:
    """A non-blocking UDP socket. Raises OSError."""
    bound = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, _DATAGRAM)
    try:
        bound.bind((address, port))
        _set_dscp(bound, EXPEDITED)
    except OSError:
        bound.close()
        raise
    return bound


def _set_dscp(bound: socket.socket, dscp: int) -> None:
    """ECN stays clear. Raises OSError."""
    if bound.family == socket.AF_INET6:
        bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, dscp << 2)
    else:
        bound.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, dscp << 2)
