"""What there is to do when nothing comes from the peer of a side, or nothing goes to it. Whoever looks says what has, and when."""

from __future__ import annotations

# A peer that is sent nothing else gets an empty datagram that often, so that what lies between keeps the way open (RFC 6263 s4.1, s7).
# Seconds.
KEEP_ALIVE_EVERY = 15.0


class Silence:
    """Of the peer."""

    __slots__ = ("_heard", "_known", "_since")

    def __init__(self) -> None:
        self._heard = 0
        self._since = 0.0
        self._known = False

    def begin(self, now: float) -> None:
        """It is not silent until then."""
        self._since, self._known = now, False

    def is_new(self, heard: int, longest: float, now: float) -> bool:
        """Whether there is one, of `longest` seconds: said once, until more is heard."""
        if heard != self._heard:
            self._heard, self._since, self._known = heard, now, False
        elif not self._known and now - self._since >= longest:
            self._known = True
            return True
        return False


class KeepAlive:
    """For the peer."""

    __slots__ = ("_sent", "_since")

    def __init__(self) -> None:
        self._sent = 0
        self._since = 0.0

    def begin(self, sent: int, now: float) -> None:
        """It needs none until then."""
        self._sent, self._since = sent, now

    def is_due(self, sent: int, now: float) -> bool:
        """Whether nothing has been sent for so long. It counts as sent."""
        if sent != self._sent:
            self._sent, self._since = sent, now
        elif now - self._since >= KEEP_ALIVE_EVERY:
            self._since = now
            return True
        return False
