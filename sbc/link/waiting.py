"""Media that waits for the congestion window: what is late goes first, so that what is left is worth hearing. Pure."""

from __future__ import annotations

from collections import deque

LATE = 0.060  # seconds; a jitter buffer that grew by more would be worse than the gap
MOST = 1000  # datagrams: 100 calls both ways for 60 ms, and then some


class MediaQueue:
    """dropped: too late, or too many. delay: seconds that what was taken had waited, smoothed."""

    def __init__(self) -> None:
        self.dropped = 0
        self.delay = 0.0
        self._waiting: deque[tuple[float, bytes]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, datagram: bytes, now: float) -> None:
        if len(self._waiting) >= MOST:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append((now, datagram))

    def take(self, room: int, now: float) -> list[bytes]:
        """What fits into `room` octets, oldest first, without what has waited for too long."""
        waiting = self._waiting
        while waiting and now - waiting[0][0] > LATE:
            waiting.popleft()
            self.dropped += 1
        taken: list[bytes] = []
        while waiting and room > 0:
            since, datagram = waiting.popleft()
            self.delay += (now - since - self.delay) / 16
            room -= len(datagram)
            taken.append(datagram)
        return taken
