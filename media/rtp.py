"""What a relay reads of RTP and RTCP: whether a packet is well formed, and reception figures (RFC 3550)."""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

# What an Ethernet carries, and the size of libsrtp's buffer in pylibsrtp. Media packets are never longer.
MAX_PACKET = 1500

RTP_HEADER = 12
RTCP_HEADER = 8  # the common header and the sender's SSRC

# RFC 5761 s4: with multiplexing, second octets 192-223 (payload types 64-95 with the marker bit) are RTCP.
FIRST_RTCP_TYPE = 192
LAST_RTCP_TYPE = 223

SENDER_REPORT = 200
RECEIVER_REPORT = 201
REPORT_BLOCK = 24
SENDER_INFO = 20

# RFC 3550 A.1: a jump forward of less than MAX_DROPOUT is loss, a step back of less than MAX_MISORDER is reordering,
# anything else is a restarted stream once a second packet in sequence confirms it.
MAX_DROPOUT = 3000
MAX_MISORDER = 100

# What 3000 packets of 20 ms take: a peer that was quiet for longer has to be heard from where it was. Seconds.
LONGEST_PAUSE = 60

_SEQUENCE_TIMESTAMP_SSRC = Struct("!HII").unpack_from
_UINT16 = Struct("!H").unpack_from
_UINT32 = Struct("!I").unpack_from
_BLOCK = Struct("!IIIII").unpack_from  # of a report, behind its SSRC

_SEEN = (1 << 128) - 1


def well_formed_rtp(packet: bytes) -> bool:
    """Version 2, and header, CSRC list and extension inside the packet (RFC 3550 A.1). Holds for SRTP too."""
    length = len(packet)
    if not RTP_HEADER <= length <= MAX_PACKET or packet[0] & 0xC0 != 0x80:
        return False
    header = RTP_HEADER + 4 * (packet[0] & 0x0F)
    if packet[0] & 0x10:
        if length < header + 4:
            return False
        header += 4 + 4 * _UINT16(packet, header + 2)[0]
    return header <= length


def header_size(packet: bytes) -> int:
    """Octets before the payload of a well-formed packet."""
    header = RTP_HEADER + 4 * (packet[0] & 0x0F)
    if packet[0] & 0x10:
        header += 4 + 4 * _UINT16(packet, header + 2)[0]
    return header


def padding_fits(packet: bytes) -> bool:
    """The padding count of a well-formed, decrypted packet with the P bit is between 1 and the payload (RFC 3550 A.1)."""
    return 1 <= packet[-1] <= len(packet) - header_size(packet)


def payload_end(packet: bytes) -> int:
    """Where the payload of a packet whose padding fits ends."""
    return len(packet) - (packet[-1] if packet[0] & 0x20 else 0)


def starts_like_rtcp(packet: bytes) -> bool:
    """All that can be said of a packet that may still be encrypted: SRTCP leaves the first eight octets clear."""
    return RTCP_HEADER <= len(packet) <= MAX_PACKET and packet[0] & 0xC0 == 0x80 and FIRST_RTCP_TYPE <= packet[1] <= LAST_RTCP_TYPE


def well_formed_rtcp(packet: bytes) -> bool:
    """The lengths of a compound packet add up and reports hold their blocks (RFC 3550 A.2); RFC 5506 reduced size passes."""
    end = len(packet)
    at = 0
    while at < end:
        if end - at < 4 or packet[at] & 0xC0 != 0x80 or not FIRST_RTCP_TYPE <= packet[at + 1] <= LAST_RTCP_TYPE:
            return False
        size = 4 + 4 * _UINT16(packet, at + 2)[0]
        if at + size > end:
            return False
        if packet[at] & 0x20 and at + size != end:
            return False  # RFC 3550 s6.4.1: only the last packet of a compound is padded
        kind = packet[at + 1]
        if kind in (SENDER_REPORT, RECEIVER_REPORT):
            fixed = RTCP_HEADER + (SENDER_INFO if kind == SENDER_REPORT else 0)
            if size < fixed + REPORT_BLOCK * (packet[at] & 0x1F):
                return False
        at += size
    return at > 0


# RFC 3550 s6.4.1 gives the round trip by clocks of two machines; what comes out longer than this is a wrong clock. Seconds.
LONGEST_ROUND_TRIP = 10.0


class Reports(NamedTuple):
    """What a relay reads of a compound RTCP packet: the time of its sender report, and its first report block (RFC 3550 s6.4).

    sender_time      middle 32 bits of the sender report's NTP time stamp, None without one
    lost             cumulative number of packets lost, None without a block; it may be negative
    jitter           in units of the clock
    last_sender      the `sender_time` the block answers, 0: none yet
    delay            since that one came, in 1/65536 s
    """

    sender_time: int | None = None
    lost: int | None = None
    jitter: int = 0
    last_sender: int = 0
    delay: int = 0

    def round_trip(self, passed: float, before: float | None) -> float | None:
        """Seconds, of the `passed` since the sender report was sent that the block answers; `before` where a clock is wrong."""
        trip = passed - self.delay / 65536
        return trip if 0 <= trip < LONGEST_ROUND_TRIP else before


def read_reports(packet: bytes) -> Reports:
    """Of a well-formed compound packet."""
    reports = Reports()
    at = 0
    while at < len(packet):
        kind, size = packet[at + 1], 4 + 4 * _UINT16(packet, at + 2)[0]
        blocks = at + RTCP_HEADER
        if kind == SENDER_REPORT:
            reports = reports._replace(sender_time=_UINT32(packet, at + RTCP_HEADER + 2)[0])
            blocks += SENDER_INFO
        if kind in (SENDER_REPORT, RECEIVER_REPORT) and packet[at] & 0x1F and reports.lost is None:
            word, _, jitter, last_sender, delay = _BLOCK(packet, blocks + 4)
            lost = word & 0xFFFFFF
            reports = reports._replace(lost=lost - (lost >> 23 << 24), jitter=jitter, last_sender=last_sender, delay=delay)
        at += size
    return reports


class Reception:
    """Expected packets and interarrival jitter of what one peer sends (RFC 3550 A.1, A.3, A.8).

    A new SSRC, or a restart of the sequence, begins a new count; what was expected before is kept.
    """

    __slots__ = (
        "_before",
        "_first",
        "_highest",
        "_jitter",
        "_probation",
        "_rate",
        "_seen",
        "_ssrc",
        "_timestamp",
        "_transit",
        "duplicates",
        "loss_runs",
        "reordered",
    )

    def __init__(self) -> None:
        self._ssrc = -1
        self._first = 0  # sequence number the count began with
        self._highest = 0  # extended: cycles * 65536 + sequence number
        self._before = 0  # packets expected of earlier sources
        self._probation = -1  # the sequence number that would confirm a restart
        self._rate = 0
        self._timestamp = 0
        self._transit = 0.0
        self._jitter = 0.0
        self._seen = 0  # bit n: the packet n before the highest was there
        self.reordered = self.duplicates = self.loss_runs = 0

    @property
    def rate(self) -> int:
        """The clock of what came last, in Hz; 0: unknown."""
        return self._rate

    @property
    def expected(self) -> int:
        """Packets the peer must have sent, by its sequence numbers."""
        return self._before + (self._highest - self._first + 1 if self._ssrc >= 0 else 0)

    @property
    def jitter_ms(self) -> float:
        return self._jitter * 1000 / self._rate if self._rate else 0.0

    def count(self, packet: bytes, rate: int, arrival: float) -> None:
        """One valid packet that arrived at `arrival` (seconds); `rate` is the clock of its payload type in Hz, 0: unknown."""
        sequence, timestamp, ssrc = _SEQUENCE_TIMESTAMP_SSRC(packet, 2)
        if ssrc != self._ssrc:
            self._start(sequence, ssrc)
        else:
            ahead = (sequence - self._highest) & 0xFFFF
            if ahead > 0x10000 - MAX_MISORDER or not ahead:
                self._note_late(-ahead & 0xFFFF)
            elif ahead < MAX_DROPOUT:
                self._highest += ahead
                self._seen = self._seen << ahead & _SEEN | 1
                self.loss_runs += ahead > 1
            else:
                if sequence != self._probation:
                    self._probation = (sequence + 1) & 0xFFFF
                    return
                self._start((sequence - 1) & 0xFFFF, ssrc)
                self._highest += 1
                self._seen = 3
        if not rate:
            return
        transit = arrival * rate - timestamp
        if rate != self._rate:
            self._rate = rate
            self._jitter = 0.0
        elif timestamp == self._timestamp:
            return  # packets of one telephone event share a timestamp (RFC 4733 s2.2.1.2): the wait between them is not jitter
        else:
            # Modulo 2^32, for the timestamp wraps.
            difference = (transit - self._transit + 0x80000000) % 0x100000000 - 0x80000000
            self._jitter += (abs(difference) - self._jitter) / 16
        self._transit = transit
        self._timestamp = timestamp

    def continues(self, packet: bytes) -> bool:
        """Is this what the source that is counted would send next, or after a pause?"""
        sequence, timestamp, ssrc = _SEQUENCE_TIMESTAMP_SSRC(packet, 2)
        if ssrc != self._ssrc or not 0 < (sequence - self._highest) & 0xFFFF < MAX_DROPOUT:
            return False
        pause: int = (timestamp - self._timestamp) & 0xFFFFFFFF
        return pause <= LONGEST_PAUSE * self._rate

    def is_past(self, packet: bytes) -> bool:
        """Has its source been heard further on already? Whoever holds back what got lost on its way to us could bring it later."""
        sequence, _, ssrc = _SEQUENCE_TIMESTAMP_SSRC(packet, 2)
        return ssrc == self._ssrc and not 0 < (sequence - self._highest) & 0xFFFF < 0x8000

    def _note_late(self, behind: int) -> None:
        if self._seen >> behind & 1:
            self.duplicates += 1
            return
        self.reordered += 1
        newer, older = self._seen >> behind - 1 & 1, self._seen >> behind + 1 & 1
        self.loss_runs += 1 - newer - older  # it closes a gap, shortens one, or makes two of one
        self._seen |= 1 << behind

    def _start(self, sequence: int, ssrc: int) -> None:
        self._before = self.expected
        self._ssrc = ssrc
        self._first = self._highest = sequence
        self._seen = 1
        self._probation = -1
        self._rate = 0
        self._jitter = 0.0
