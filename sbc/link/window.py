"""How much may be under way: congestion control for a link that carries calls (RFC 9002 s7 leaves the choice; RFC 8085 s3.1).

Speech has a constant rate, and calls are counted before they are taken: what has to be noticed is a path that cannot carry them, not
that of a hundred packets two were lost by radio. New Reno takes any loss for congestion: with 2 % loss and 100 ms round trip it would
leave a hundredth of what fifty calls need. So the window shrinks when a tenth of a round trip's packets is gone, as a circuit breaker
(RFC 8083 s4.3 has the same order), and otherwise grows while it is used.
"""

from __future__ import annotations

from collections.abc import Iterable

from aioquic.quic.congestion.base import QuicCongestionControl, register_congestion_control
from aioquic.quic.packet_builder import QuicSentPacket

NAME = "sbc-link"
SMALLEST = 16 * 1024  # octets: ten calls at 100 ms round trip are heard even right after an outage
FIRST = 64 * 1024  # fifty calls at 100 ms round trip
LARGEST = 1024 * 1024  # a hundred calls at a second
TOLERATED = 0.1  # share of packets
LEAST_COUNTED = 20  # packets: of fewer a share says nothing
BACK_OFF = 0.7


class VoiceWindow(QuicCongestionControl):
    """lost, acked: packets in all, for those who look."""

    def __init__(self, *, max_datagram_size: int) -> None:
        super().__init__(max_datagram_size=max_datagram_size)
        self.congestion_window = FIRST
        self.lost = 0
        self.acked = 0
        self._round_acked = 0
        self._round_lost = 0
        self._round_end = 0.0
        self._rtt = 0.1

    def on_packet_acked(self, *, now: float, packet: QuicSentPacket) -> None:
        used = self.bytes_in_flight > self.congestion_window // 2
        self.bytes_in_flight -= packet.sent_bytes
        self.acked += 1
        self._round_acked += 1
        if used:
            self.congestion_window = min(LARGEST, self.congestion_window + packet.sent_bytes)
        self._judge(now)

    def on_packet_sent(self, *, packet: QuicSentPacket) -> None:
        self.bytes_in_flight += packet.sent_bytes

    def on_packets_expired(self, *, packets: Iterable[QuicSentPacket]) -> None:
        for packet in packets:
            self.bytes_in_flight -= packet.sent_bytes

    def on_packets_lost(self, *, now: float, packets: Iterable[QuicSentPacket]) -> None:
        for packet in packets:
            self.bytes_in_flight -= packet.sent_bytes
            self.lost += 1
            self._round_lost += 1
        self._judge(now)

    def on_persistent_congestion(self) -> None:
        self.congestion_window = SMALLEST

    def on_rtt_measurement(self, *, now: float, rtt: float) -> None:
        self._rtt = rtt

    def _judge(self, now: float) -> None:
        counted = self._round_acked + self._round_lost
        if now < self._round_end or counted < LEAST_COUNTED:
            return
        if self._round_lost > TOLERATED * counted:
            self.congestion_window = max(SMALLEST, int(self.congestion_window * BACK_OFF))
        self._round_acked = self._round_lost = 0
        self._round_end = now + self._rtt


register_congestion_control(NAME, VoiceWindow)
