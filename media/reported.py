"""What a peer reports by RTCP of what it is sent."""

from __future__ import annotations

from media.rtp import Reports


class Reported:
    """Of one side."""

    __slots__ = ("_sender_time", "_sender_time_at", "jitter", "lost", "round_trip")

    def __init__(self) -> None:
        self._sender_time = 0  # of the last sender report sent to the peer, and when; 0: none
        self._sender_time_at = 0.0
        self.round_trip: float | None = None  # seconds
        self.lost: int | None = None
        self.jitter = 0  # in units of the clock of what the peer is sent

    def sent(self, sender_time: int, now: float) -> None:
        """A sender report to the peer."""
        self._sender_time, self._sender_time_at = sender_time, now

    def note(self, reports: Reports, now: float) -> None:
        """From the peer."""
        if reports.lost is None:
            return
        self.lost, self.jitter = reports.lost, reports.jitter
        if reports.last_sender and reports.last_sender == self._sender_time:
            self.round_trip = reports.round_trip(now - self._sender_time_at, self.round_trip)
