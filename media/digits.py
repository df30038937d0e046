"""Digits as telephone-events (RFC 4733): made of what somebody else says was typed, and read to be told to somebody else."""

from __future__ import annotations

from collections import deque
from struct import Struct

from media.api import KEYPAD, Digit
from media.stream import Stream

# Between the packets of an event: that of speech (RFC 4733 s2.5.1.2). Seconds.
STEP = 0.02
STEPS_IN_A_SECOND = 50

# What detectors take for a digit at least, with three packets before the first that says it ends. Steps.
SHORTEST = 4
# Nobody means more by one digit. Steps.
LONGEST = 300

# "The final packet for each event SHOULD be sent a total of three times" (RFC 4733 s2.5.1.4).
ENDS = 3

# Digits that wait to be sent to one peer: a number has 15, a card 19.
MOST_WAITING = 32

# Digits of one peer that are reported in a second: no human types faster than 20.
MOST_REPORTED = 32

# An event of which nothing was heard for so long has ended, and its ends are lost. Seconds.
UNHEARD = 0.5

# Clocks of telephone-events in Hz: those of speech, and with room for SHORTEST in the field for the duration.
LEAST_CLOCK, MOST_CLOCK = 8000, 192_000

_VOLUME = 10  # -10 dBm0, as most send it
_END = 0x80
_PAYLOAD = Struct("!BBH")
_LONGEST_FIELD = 0xFFFF


class Typist:
    """Types to one peer: one digit after the other, with silence between them."""

    __slots__ = ("_clock", "_due", "_ends", "_event", "_step", "_steps", "_timestamp", "_type", "_waiting")

    def __init__(self) -> None:
        self._type = 0
        self._clock = 0
        self._waiting: deque[tuple[int, int]] = deque()  # number of the event, steps
        self._event = -1  # that is under way; -1: none
        self._steps = self._step = self._ends = 0
        self._timestamp = 0
        self._due = 0.0

    def use(self, events: tuple[int, int] | None) -> None:
        """Payload type and clock; None: there is nobody to type to any more."""
        if events is None:
            self._waiting.clear()
            self._event = -1
            self._clock = 0
        else:
            self._type, self._clock = events

    @property
    def busy(self) -> bool:
        return self._event >= 0 or bool(self._waiting)

    @property
    def due(self) -> float:
        """When the next packet is; of use while it is busy."""
        return self._due

    def add(self, digit: Digit) -> None:
        if self._clock and len(self._waiting) < MOST_WAITING:
            most = min(LONGEST, _LONGEST_FIELD * STEPS_IN_A_SECOND // self._clock)
            steps = -(-digit.duration * STEPS_IN_A_SECOND // 1000)
            self._waiting.append((KEYPAD.index(digit.key), max(SHORTEST, min(steps, most))))

    def packet(self, stream: Stream, now: float) -> bytes:
        """What is due in `stream`; empty: nothing."""
        if not self.busy or now < self._due:
            return b""
        self._due = now + STEP
        marker = 0
        if self._event < 0:
            self._event, self._steps = self._waiting.popleft()
            self._step = self._ends = 0
            stream.begin(self._clock, now)
            self._timestamp = stream.time(now)
            marker = 0x80
        if self._step < self._steps:
            self._step += 1
        end = self._step == self._steps
        duration = min(self._step * self._clock // STEPS_IN_A_SECOND, _LONGEST_FIELD)  # the clock may have become another meanwhile
        payload = _PAYLOAD.pack(self._event, _VOLUME | (_END if end else 0), duration)
        if end:
            self._ends += 1
            if self._ends == ENDS:
                self._event = -1
                self._due = now + 2 * STEP
        return stream.own(marker | self._type, self._timestamp, payload)


class Reader:
    """Reads what one peer types: each event once, by its timestamp (RFC 4733 s2.5.2)."""

    __slots__ = ("_at", "_before", "_clock", "_duration", "_event", "_open", "_ssrc", "_timestamp", "allowance")

    def __init__(self) -> None:
        self.allowance = MOST_REPORTED
        self._open = False  # the event has not ended
        self._ssrc = -1  # -1: there was none yet
        self._timestamp = 0
        self._event = 0
        self._before = 0  # of an event longer than its field: the segments before this one, in units of the clock
        self._duration = 0
        self._clock = 0
        self._at = 0.0

    def read(self, header: tuple[int, int, bool], payload: bytes, clock: int, now: float) -> list[Digit]:
        """The digits that end with this packet. `header`: its timestamp, SSRC and marker bit."""
        if len(payload) < _PAYLOAD.size:
            return []
        event, flags, duration = _PAYLOAD.unpack_from(payload)
        timestamp, ssrc, marked = header
        if event >= len(KEYPAD):
            return []
        ended: list[Digit] = []
        if ssrc == self._ssrc and timestamp == self._timestamp:
            if not self._open:
                return []  # its end once more
            self._duration = max(self._duration, duration)
        elif ssrc == self._ssrc and (self._timestamp - timestamp & 0xFFFFFFFF) < self._clock:
            return []  # late by less than a second: of an event before
        else:
            segment = self._open and ssrc == self._ssrc and event == self._event and not marked
            if segment and timestamp == self._timestamp + self._duration & 0xFFFFFFFF:
                self._before += self._duration  # RFC 4733 s2.5.1.3
            else:
                ended = self._ended()
                self._before = 0
            self._open, self._ssrc, self._event, self._duration = True, ssrc, event, duration
        self._timestamp, self._clock, self._at = timestamp, clock or 8000, now
        if flags & _END:
            ended += self._ended()
        return ended

    def overdue(self, now: float) -> list[Digit]:
        """The digit whose end does not come any more."""
        return self._ended() if now - self._at >= UNHEARD else []

    def _ended(self) -> list[Digit]:
        if not self._open:
            return []
        self._open = False
        if self.allowance <= 0:
            return []
        self.allowance -= 1
        return [Digit(KEYPAD[self._event], (self._before + self._duration) * 1000 // self._clock)]
