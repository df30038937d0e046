"""aioquic with bounds on what the other end can make us keep, and a look at what it still has to send.

It opens its windows by what has come, even if that waits behind a gap: whoever leaves the first octet out would get another window
for each one it fills, and each is memory of ours. Here the window moves by what was handed over.
"""

from __future__ import annotations

from typing import Any

from aioquic.quic.connection import Limit, QuicConnection, QuicConnectionError
from aioquic.quic.packet import QuicErrorCode, QuicFrameType

OPENING = 64 * 1024  # octets that may wait of somebody who has proved nothing: the first frame has 24 KiB at most
WINDOW = 1024 * 1024  # after that: all that an end keeps for the other, which is what a new connection begins with
STREAMS = 2  # that the other end may open: its SIP, and what `sbc.link.frames` has
CRYPTO = 32 * 1024  # octets of a TLS handshake: five certificates of 4 KiB


class BoundedConnection(QuicConnection):
    """`handed_over` is to be called with what was taken of its streams; `trust` once it is known who is there."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._received = Window(QuicFrameType.MAX_DATA, "max_data", OPENING)
        self._local_max_data: Limit = self._received
        self._local_max_streams_bidi = Limit(QuicFrameType.MAX_STREAMS_BIDI, "max_streams_bidi", STREAMS)
        self._local_max_streams_uni = Limit(QuicFrameType.MAX_STREAMS_UNI, "max_streams_uni", 0)

    def trust(self) -> None:
        self._received.size = WINDOW

    def handed_over(self, octets: int) -> None:
        self._received.taken += octets

    def unheard(self, stream: int) -> int:
        """Octets said on that stream that the other end has not confirmed."""
        known = self._streams.get(stream)
        return len(known.sender._buffer) if known is not None else 0

    def is_held_up(self, now: float) -> bool:
        """Whether packets are to keep their distance, or something that was to be sent is not under way yet."""
        if self._datagrams_pending or self._loss._pacer.next_send_time(now) is not None:
            return True
        return any(len(each.sender._pending) and not each.is_blocked for each in self._streams_queue)

    @property
    def awaits_answer(self) -> bool:
        """Whether something that has to be answered is under way. What was said before a Retry is not: its octets stay counted for ever."""
        return any(space.ack_eliciting_in_flight for space in self._loss.spaces)

    def drop_media(self) -> int:
        """What is held up of it; how many there were."""
        dropped = len(self._datagrams_pending)
        self._datagrams_pending.clear()
        return dropped

    def _handle_crypto_frame(self, context: Any, frame_type: int, buf: Any) -> None:
        begin = buf.tell()
        end = buf.pull_uint_var() + buf.pull_uint_var()
        buf.seek(begin)
        if end - self._crypto_streams[context.epoch].receiver.starting_offset() > CRYPTO:
            raise QuicConnectionError(QuicErrorCode.CRYPTO_BUFFER_EXCEEDED, frame_type, "too much of a handshake")
        super()._handle_crypto_frame(context, frame_type, buf)


class Window(Limit):
    """How many octets may come on all streams. When aioquic would double that, it becomes `size` beyond what was taken."""

    taken = 0

    def __init__(self, frame_type: int, name: str, value: int) -> None:
        self.size = self._value = value
        super().__init__(frame_type, name, value)

    @property
    def value(self) -> int:
        return self._value

    @value.setter
    def value(self, _: int) -> None:
        reach = self.taken + self.size
        if reach >= self._value + self.size // 2:  # not a word of it with each packet
            self._value = reach
