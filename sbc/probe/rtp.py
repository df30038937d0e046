"""RTP packets and what their numbering says about the way they came (RFC 3550)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from sbc.errors import ParseError

_HEADER = struct.Struct("!BBHII")
_VERSION = 0x80


@dataclass(frozen=True, slots=True)
class Packet:
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False

    def encode(self) -> bytes:
        second = self.payload_type | (0x80 if self.marker else 0)
        return _HEADER.pack(_VERSION, second, self.sequence, self.timestamp, self.ssrc) + self.payload

    @classmethod
    def parse(cls, data: bytes) -> Packet:
        """Contributing sources, extension and padding are skipped (RFC 3550 s5.1). Raises ParseError."""
        if len(data) < _HEADER.size or data[0] & 0xC0 != _VERSION:
            raise ParseError("not an RTP packet")
        first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
        start, end = _HEADER.size + 4 * (first & 0x0F), len(data)
        if first & 0x10:
            if end < start + 4:
                raise ParseError("RTP header extension cut short")
            start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
        if first & 0x20:
            end -= data[-1]
        if start > end:
            raise ParseError("RTP packet shorter than its header says")
        return cls(second & 0x7F, sequence, timestamp, ssrc, data[start:end], bool(second & 0x80))


class Reception:
    """Loss and jitter of one stream (RFC 3550 appendices A.3 and A.8)."""

    def __init__(self, clock_rate: int = 8000) -> None:
        self.received = 0
        self._clock_rate = clock_rate
        self._ssrc: int | None = None
        self._earlier = 0  # expected of the sources before this one
        self._first = self._highest = 0  # extended sequence numbers
        self._transit: float | None = None
        self._jitter = 0.0  # in clock units

    def receive(self, packet: Packet, arrival: float) -> None:
        """`arrival` in seconds on any steady clock."""
        self.received += 1
        if packet.ssrc != self._ssrc:
            self._restart(packet)
        else:
            self._highest = max(self._highest, self._extend(packet.sequence))
        transit = arrival * self._clock_rate - packet.timestamp
        if self._transit is not None:
            self._jitter += (abs(transit - self._transit) - self._jitter) / 16
        self._transit = transit

    @property
    def expected(self) -> int:
        return 0 if self._ssrc is None else self._earlier + self._highest - self._first + 1

    @property
    def lost(self) -> int:
        return max(0, self.expected - self.received)

    @property
    def jitter_ms(self) -> float:
        return 1000 * self._jitter / self._clock_rate

    def _restart(self, packet: Packet) -> None:
        self._earlier = self.expected
        self._ssrc = packet.ssrc
        self._first = self._highest = packet.sequence
        self._transit = None

    def _extend(self, sequence: int) -> int:
        """The number nearest to the highest so far that ends in these 16 bits."""
        step = (sequence - self._highest) & 0xFFFF
        return self._highest + (step if step < 0x8000 else step - 0x10000)
