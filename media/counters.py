"""What is counted of one side, and the figures it makes with what was measured and reported."""

from __future__ import annotations

from media.api import SideStats, Suite
from media.latch import SocketAddress
from media.reported import Reported
from media.rtp import Reception


class Counters:
    """As SideStats has them. `datagrams_received`: of `packets_received`, those without sequence numbers to count losses by (UDPTL)."""

    __slots__ = (
        "auth_failed",
        "auth_failing",
        "datagrams_received",
        "malformed",
        "octets_received",
        "octets_sent",
        "over_rate",
        "packets_received",
        "packets_sent",
        "payload_type_mismatch",
        "replayed",
        "rtcp_received",
        "rtcp_sent",
        "source_changes",
        "stun_refused",
        "wrong_source",
    )

    def __init__(self) -> None:
        self.packets_received = self.octets_received = self.packets_sent = self.octets_sent = 0
        self.rtcp_received = self.rtcp_sent = self.datagrams_received = 0
        self.over_rate = self.wrong_source = self.malformed = self.payload_type_mismatch = 0
        self.auth_failed = self.auth_failing = self.replayed = 0
        self.stun_refused = self.source_changes = 0

    def stats(
        self,
        reception: Reception,
        reported: Reported,
        rate: int,
        locked: SocketAddress | None,
        stranger: SocketAddress | None,
        suite: Suite | None,
    ) -> SideStats:
        """`rate`: the clock of what the peer is sent, in Hz; `suite`: of the keys a handshake made."""
        counted = self.packets_received - self.datagrams_received - reception.duplicates
        return SideStats(
            packets_received=self.packets_received,
            octets_received=self.octets_received,
            packets_sent=self.packets_sent,
            octets_sent=self.octets_sent,
            rtcp_received=self.rtcp_received,
            rtcp_sent=self.rtcp_sent,
            lost=max(0, reception.expected - counted),
            jitter_ms=reception.jitter_ms,
            wrong_source=self.wrong_source,
            srtp_auth_failed=self.auth_failed,
            replayed=self.replayed,
            malformed=self.malformed,
            payload_type_mismatch=self.payload_type_mismatch,
            over_rate=self.over_rate,
            stun_refused=self.stun_refused,
            latched=(locked[0], locked[1]) if locked else None,
            reordered=reception.reordered,
            duplicates=reception.duplicates,
            loss_runs=reception.loss_runs,
            auth_failing=self.auth_failing,
            rtt_ms=None if reported.round_trip is None else reported.round_trip * 1000,
            reported_lost=reported.lost,
            reported_jitter_ms=reported.jitter * 1000 / rate if reported.lost is not None and rate else None,
            source_changes=self.source_changes,
            stranger=(stranger[0], stranger[1]) if stranger else None,
            suite=suite,
        )
