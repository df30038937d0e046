"""What one peer is sent, as one stream of RTP: where packets of our own stand among those that are relayed, or where whoever is heard
shall sound like one sender. Sequence numbers go on by one, timestamps with the clock, and RTCP is told the same.
"""

from __future__ import annotations

from struct import Struct

from media.rtp import MAX_MISORDER, RECEIVER_REPORT, REPORT_BLOCK, RTCP_HEADER, SENDER_INFO, SENDER_REPORT

_SDES = 202
_BYE = 203
_APP = 204
_FEEDBACK = (205, 206)  # RFC 4585 s6.1: of transport, of payload
_EXTENDED_REPORT = 207
_SPEAKERS = frozenset((SENDER_REPORT, RECEIVER_REPORT, _APP, *_FEEDBACK, _EXTENDED_REPORT))

# Blocks of an extended report that name a source (RFC 3611 s4), those with a range of sequence numbers first; the third kind names
# one in each of its parts.
_RANGES = frozenset((1, 2, 3, 6))
_METRICS = 7
_DELAYS = 5
_DELAYS_PART = 12

_HEADER = Struct("!HII")  # sequence number, timestamp, SSRC
_UINT16 = Struct("!H")
_UINT32 = Struct("!I")


class Stream:
    """`ssrc` is what its packets bear, once there was one; `rate` the clock of the last in Hz."""

    __slots__ = ("_at", "_boundary", "_own", "_sequence", "_shift", "_single", "_source", "_time_shift", "_timestamp", "rate", "ssrc")

    def __init__(self) -> None:
        self._own = 0
        self._single = False
        self._source = -1  # the SSRC that arrives; -1: none yet
        self.ssrc = -1  # the one that leaves; -1: none yet
        self._shift = 0  # from the sequence numbers that arrive to those that leave, modulo 2^32
        self._time_shift = 0
        self._sequence = 0  # the last that left
        self._timestamp = 0
        self._at = 0.0  # when what has that timestamp left first
        self._boundary = -1  # sequence number of the source behind which numbers were shifted last; -1: that is long past
        self.rate = 8000

    def use(self, own: int, *, single: bool) -> None:
        """`own`: our SSRC, for packets of ours before there are others, and for all if they are to be a `single` stream."""
        self._own = own
        self._single = single

    def passed(self, packet: bytes, rate: int, now: float) -> bytes:
        """A well-formed packet as it goes on; empty when it should have come before numbers were shifted: its own is taken."""
        sequence, timestamp, source = _HEADER.unpack_from(packet, 2)
        if source != self._source:
            if self._single and self.ssrc >= 0:
                self._shift = self._sequence + 1 - sequence & 0xFFFF
                self._time_shift = self.time(now) - timestamp & 0xFFFFFFFF
            self._source, self._boundary = source, -1
            late = False
        else:
            if self._boundary >= 0:
                if self._boundary - sequence & 0xFFFF < MAX_MISORDER:
                    return b""
                if MAX_MISORDER <= sequence - self._boundary & 0xFFFF < 0x8000:
                    self._boundary = -1
            late = self._sequence - sequence - self._shift & 0xFFFF < MAX_MISORDER
        leaving = sequence + self._shift & 0xFFFF, timestamp + self._time_shift & 0xFFFFFFFF, self._own if self._single else source
        self.ssrc = leaving[2]
        if not late:
            self._sequence = leaving[0]
            self.rate = rate or self.rate
            if leaving[1] != self._timestamp:
                self._timestamp, self._at = leaving[1], now
        if leaving == (sequence, timestamp, source):
            return packet
        return packet[:2] + _HEADER.pack(*leaving) + packet[12:]

    def swallow(self, packet: bytes) -> None:
        """It does not go on, and what comes after it closes up."""
        sequence, _, source = _HEADER.unpack_from(packet, 2)
        ahead = sequence - self._sequence + self._shift & 0xFFFF
        if source == self._source and 0 < ahead <= MAX_MISORDER:
            self._shift = self._shift - 1 & 0xFFFFFFFF
            self._sequence = sequence + self._shift & 0xFFFF
            self._boundary = sequence

    def time(self, now: float) -> int:
        """The timestamp of what happens now."""
        return self._timestamp + int((now - self._at) * self.rate + 0.5) & 0xFFFFFFFF

    def begin(self, rate: int, now: float) -> None:
        """Without a packet to go on from: everything is as hard to guess as our SSRC is (RFC 3550 s5.1)."""
        if self.ssrc < 0:
            self.ssrc = self._timestamp = self._own
            self._sequence = self._own & 0x7FFF  # not near the end, where SRTP begins to count roll-overs (RFC 3711 s3.3.1)
            self.rate, self._at = rate, now

    def own(self, second: int, timestamp: int, payload: bytes) -> bytes:
        """A packet of ours after the last one. `second`: its marker bit and payload type."""
        self._boundary = self._sequence - self._shift & 0xFFFF
        self._sequence = self._sequence + 1 & 0xFFFF
        self._shift = self._shift + 1 & 0xFFFFFFFF
        return bytes((0x80, second)) + _HEADER.pack(self._sequence, timestamp, self.ssrc) + payload

    # Of RTCP

    def name(self, octets: bytearray, at: int) -> bool:
        """The SSRC there is of who sends this stream, or has another one: false. It becomes the one that leaves."""
        if self._source not in (-1, _UINT32.unpack_from(octets, at)[0]):
            return False
        if self._single:
            _UINT32.pack_into(octets, at, self._own)
        return True

    def stamp(self, octets: bytearray, at: int) -> None:
        """What stands there is a timestamp of the source."""
        _UINT32.pack_into(octets, at, _UINT32.unpack_from(octets, at)[0] + self._time_shift & 0xFFFFFFFF)

    def is_named(self, octets: bytearray, at: int) -> bool:
        """Whether the SSRC there is the one that leaves. If so it becomes the one that arrives, if there is one."""
        if _UINT32.unpack_from(octets, at)[0] != self.ssrc:
            return False
        if self._source >= 0:
            _UINT32.pack_into(octets, at, self._source)
        return True

    def count(self, octets: bytearray, at: int) -> None:
        """What stands there is an extended sequence number, as it left."""
        _UINT32.pack_into(octets, at, _UINT32.unpack_from(octets, at)[0] - self._shift & 0xFFFFFFFF)

    def count_range(self, octets: bytearray, at: int) -> None:
        """The same of two plain ones."""
        for each in (at, at + 2):
            _UINT16.pack_into(octets, each, _UINT16.unpack_from(octets, each)[0] - self._shift & 0xFFFF)


def translated(packet: bytes, out: Stream, back: Stream) -> bytes:
    """A well-formed compound RTCP packet in terms of who gets it. `out`: what that one is sent; `back`: what the packet's sender is."""
    octets = bytearray(packet)
    at = 0
    while at < len(octets):
        kind, end = octets[at + 1], at + 4 + 4 * _UINT16.unpack_from(octets, at + 2)[0]
        count = octets[at] & 0x1F
        if kind == _SDES:
            _chunks(octets, at + 4, end, count, out)
        elif kind == _BYE:
            for each in range(at + 4, min(end, at + 4 + 4 * count) - 3, 4):
                out.name(octets, each)
        elif end - at >= RTCP_HEADER:
            _speaker(octets, at, end, out, back)
        at = end
    return bytes(octets)


def _speaker(octets: bytearray, at: int, end: int, out: Stream, back: Stream) -> None:
    """A packet that begins with its sender's SSRC."""
    kind, block = octets[at + 1], at + RTCP_HEADER
    if kind not in _SPEAKERS:
        return
    heard = out.name(octets, at + 4)
    if kind == SENDER_REPORT:
        if heard:
            out.stamp(octets, block + 8)
        block += SENDER_INFO
    if kind in (SENDER_REPORT, RECEIVER_REPORT):
        for each in range(block, block + REPORT_BLOCK * (octets[at] & 0x1F), REPORT_BLOCK):
            if back.is_named(octets, each):
                back.count(octets, each + 8)
    elif kind in _FEEDBACK and block + 4 <= end:
        back.is_named(octets, block)
    elif kind == _EXTENDED_REPORT:
        _extended(octets, block, end, back)


def _chunks(octets: bytearray, at: int, end: int, count: int, out: Stream) -> None:
    """Each an SSRC and items, up to one of type 0 and to a multiple of four octets (RFC 3550 s6.5)."""
    for _ in range(count):
        if at + 4 > end:
            return
        out.name(octets, at)
        item = at + 4
        while item + 1 < end and octets[item]:
            item += 2 + octets[item + 1]
        at += (item - at) // 4 * 4 + 4


def _extended(octets: bytearray, at: int, end: int, back: Stream) -> None:
    while at + 8 <= end:
        kind, after = octets[at], at + 4 + 4 * _UINT16.unpack_from(octets, at + 2)[0]
        if after > end:
            return
        if kind == _DELAYS:
            for part in range(at + 4, after - 3, _DELAYS_PART):
                back.is_named(octets, part)
        elif kind in _RANGES and after - at >= 12 and back.is_named(octets, at + 4):
            back.count_range(octets, at + 8)
        elif kind == _METRICS and after - at >= 8:
            back.is_named(octets, at + 4)
        at = after
