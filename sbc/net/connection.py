"""One connection, TCP to WSS, accepted or opened: frames in, octets out, and a deadline for whatever comes next."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from typing import Protocol, cast

from sbc.flow import Address, Flow
from sbc.inputs import FlowClosed
from sbc.net.admission import Ticket
from sbc.net.framing import Framing
from sbc.net.identity import Expected, names
from sbc.net.limits import StreamLimits
from sbc.net.ports import Receiver
from sbc.net.stats import Stats
from sbc.net.unsaid import ROOM, Unsaid
from sbc.sip.framing import Frame, FramingLost, Message

_PONG = b"\r\n"  # RFC 5626 s4.4.1
_PING = b"\r\n\r\n"
_KEEPALIVE = 2  # octets: half a ping is a keep-alive of older phones, not a message begun


class Owner(Protocol):
    def connection_made(self, connection: StreamConnection) -> None: ...

    def connection_lost(self, connection: StreamConnection) -> None:
        """Exactly once for every connection made."""
        ...


class StreamConnection(asyncio.Protocol):
    """`ticket`: of an accepted connection; None: we opened it, and a TLS peer must be the one `expected`.

    deadline   loop time at which `expire` is to be called
    made       it stood, and the peer was who it should be
    refusal    why it was not, or ""
    alias      host and port of requests that may go by it, though the peer opened it
    """

    def __init__(
        self,
        flow: Flow,
        expected: Expected | None,
        ticket: Ticket | None,
        framing: Framing,
        *,
        owner: Owner,
        receiver: Receiver,
        limits: StreamLimits,
        stats: Stats,
        clock: Callable[[], float],
    ) -> None:
        self.flow = flow
        self.expected = expected
        self.ticket = ticket
        self.deadline = float("inf")
        self.made = False
        self.refusal = ""
        self.alias: Address | None = None
        self._owner = owner
        self._receiver = receiver
        self._limits = limits
        self._stats = stats
        self._clock = clock
        self._framing = framing
        self._transport: asyncio.Transport | None = None
        self._gone = asyncio.Event()
        self._unheard: deque[str] = deque(maxlen=limits.unheard)
        self._silent = ticket is not None  # until the first whole message; whom we called may wait for ours
        self._used = False  # the core knows this flow
        self._begun = False  # in the middle of a message
        self._pinged = False  # a pong may come
        self._pong_until = float("inf")  # loop time when it must have
        self._malformed = 0
        self._messages = 0
        self._stranger_until = float("inf")
        self._said = 0  # octets since the last look at what came without any
        self._unsaid: Unsaid | None = None

    @property
    def ready(self) -> bool:
        """Its handshakes are over."""
        return self._framing.ready

    @property
    def open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def send(self, data: bytes, key: str) -> None:
        """Only while `open`."""
        self._used = True
        if key:
            self._unheard.append(key)
        self._write(self._framing.wrap(data))

    def ping(self, within: float) -> None:
        """As a client (RFC 5626 s4.4.1): the connection ends if nothing is heard `within` that many seconds; 0: that is no matter."""
        if self.open and not self._begun:
            self._write(_PING)
            self._pinged = True
            if within:
                self._pong_until = min(self._pong_until, self._clock() + within)
            self._wait(self._limits.idle_time)

    def close(self) -> None:
        """Let what is written leave, for a while."""
        if self.open:
            assert self._transport is not None
            self._write(self._framing.farewell())
            self.deadline = self._clock() + self._limits.close_time
            self._transport.close()

    def prove(self) -> None:
        """Whoever is there has proved who it is: no more a stranger."""
        if self._is_stranger:
            assert self.ticket is not None
            self.ticket.proven()
            if self._unsaid is not None and self._transport is not None:
                self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
            if self.open and not self._begun:
                self._wait(self._limits.idle_time)

    def look(self) -> None:
        """At what TLS costs us of which nothing is heard."""
        if self._unsaid is None or not self.open:
            return
        said, self._said = self._said, 0
        if self._unsaid.look(said):
            self._stats.connections_rekeying += 1
            if self._is_stranger:
                self._receiver.offended(self.flow, "rekeying")
            assert self._transport is not None
            self._transport.abort()

    def expire(self) -> None:
        """The deadline is over."""
        if self._transport is None:
            return
        if self._transport.is_closing():
            self._transport.abort()
            return
        if self._silent or self._begun or self._pong_until <= self._clock():
            self._stats.connections_slow += 1
            if self._is_stranger:
                self._receiver.offended(self.flow, "slow")
        elif self._is_stranger and self._stranger_until <= self._clock():
            self._stats.connections_unproven += 1
            self._receiver.offended(self.flow, "slow")
        else:
            self._stats.connections_idle += 1
        self.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        certificate = transport.get_extra_info("peercert") if self.flow.secure else None
        if self.expected is not None:
            self.refusal = self.expected.refusal(certificate)
        if self.refusal:
            self._transport.abort()  # RFC 5922 s7.3: no match, not one request
            return
        self.made = True
        if self.flow.secure:
            self._unsaid = Unsaid(self._transport)
        if proven := names(certificate):
            self.flow = self.flow._replace(names=proven)
        if self.ticket is not None:
            self._stranger_until = self._clock() + self._limits.stranger_time
        if not self.ready:
            self._wait(self._limits.handshake_time)
        else:
            self._wait(self._limits.first_message_time if self._silent else self._limits.idle_time)
        self._owner.connection_made(self)

    def data_received(self, data: bytes) -> None:
        if not self.open:
            return
        self._said += len(data)
        self._unheard.clear()
        self._pong_until = float("inf")
        if self._pinged and data == _PONG:  # two of them in a row would look like a ping
            self._pinged = False
            self._wait(self._limits.idle_time)
            return
        upgraded = self.ready
        lost: FramingLost | None = None
        try:
            frames = self._framing.feed(data)
        except FramingLost as error:
            frames, lost = error.frames, error
        self._write(self._framing.take_replies())
        if self.ready and not upgraded:
            self._upgraded()
        self._receive_frames(frames)
        if lost is not None and self.open:  # answer what can be answered
            self._used = True
            self._receiver.receive_malformed(lost, lost.request, self.flow)
        if lost is not None or self._framing.ended:
            self.close()

    def eof_received(self) -> bool:
        return False  # half-open connections are of no use: close

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._gone.set()
        if not self.made:
            return
        if not self.ready:
            self._stats.handshakes_failed += 1
        self._owner.connection_lost(self)
        # Nothing was heard since these were sent. They may have arrived; a transaction that is over does not mind.
        for key in self._unheard:
            self._receiver.receive_failure(key, str(error) if error else "connection closed")
        if self._used:
            self._receiver.receive(FlowClosed(self.flow))

    async def wait_closed(self) -> None:
        """Until it is gone, after `close`, or reset after StreamLimits.stop_time."""
        try:
            async with asyncio.timeout(self._limits.stop_time):
                await self._gone.wait()
        except TimeoutError:
            if self._transport is not None:
                self._transport.abort()

    @property
    def _is_stranger(self) -> bool:
        return self.ticket is not None and self.ticket.stranger

    def _write(self, data: bytes) -> None:
        transport = self._transport
        assert transport is not None
        if data:
            transport.write(data)
            if transport.get_write_buffer_size() > self._limits.unsent:
                self._stats.connections_overflowed += 1
                transport.abort()

    def _upgraded(self) -> None:
        """The handshake of a WebSocket is over."""
        if self.ticket is not None:
            self.ticket.shaken()
        self._wait(self._limits.first_message_time)

    def _receive_frames(self, frames: list[Frame]) -> None:
        messages = 0
        for frame in frames:
            if isinstance(frame, Message):
                messages += 1
                self._receive_message(frame.head, frame.body)
                if not self.open:
                    return
        if messages < len(frames):  # one pong for all pings of a segment: a flood of them shall not come back as one
            self._stats.keepalives += 1
            self.send(_PONG, "")
        self._set_deadline(messages)

    def _receive_message(self, head: bytes, body: bytes) -> None:
        self._used = True
        self._messages += 1
        if self._messages > self._limits.stranger_messages and self._is_stranger:
            self._stats.connections_unproven += 1
            self._receiver.offended(self.flow, "slow")
            self.close()
            return
        if self._receiver.receive_message(head, body, self.flow):
            self._silent = False
            return
        self._malformed += 1
        if self._malformed >= self._limits.malformed:
            self.close()

    def _set_deadline(self, messages: int) -> None:
        """A message begun has its own deadline, which more octets of it do not move (slow loris)."""
        begun = self._framing.buffered > _KEEPALIVE
        if self._silent:
            return  # the deadline set when it was opened still counts, keep-alives or not
        if not begun:
            self._wait(self._limits.idle_time)
        elif messages or not self._begun:
            self._wait(self._limits.message_time)
        self._begun = begun

    def _wait(self, seconds: float) -> None:
        """So long at most for what comes next; a stranger's time does not begin anew."""
        self.deadline = self._clock() + seconds
        if self._is_stranger:
            self.deadline = min(self.deadline, self._stranger_until)
        self.deadline = min(self.deadline, self._pong_until)
