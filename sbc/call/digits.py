"""Digits between a side that says them by INFO and one that says them as telephone-events. None of them is ever in a log."""

from __future__ import annotations

import re
from collections import deque
from typing import Protocol

from media.api import Digit, Side
from sbc.call.context import Context
from sbc.call.info import key_of
from sbc.call.leg import Leg
from sbc.call.words import Asked, Cause
from sbc.clock import Now
from sbc.effects import Log
from sbc.errors import SipError
from sbc.sdp.relay import events_to
from sbc.sip.fields.content import MediaType
from sbc.sip.names import CONTENT_TYPE, INFO_PACKAGE

RELAY = "application/dtmf-relay"
_KINDS = (RELAY, "application/dtmf")
_MAX_FORWARDS = 70
MOST_WAITING = 32  # for one side: as many as the engine keeps for the other kind
_USUAL_MS = 160  # what a digit without a duration lasts

_SIGNAL = re.compile(r"(?:^|\n)\s*signal\s*=\s*(\S+)", re.IGNORECASE)
_DURATION = re.compile(r"(?:^|\n)\s*duration\s*=\s*([0-9]{1,5})\b", re.IGNORECASE)


def digit_of(word: Asked) -> Digit | None:
    """The digit that INFO says, as everybody says it; None: it says something else, or in a package."""
    content_type = next((value for name, value in word.headers if name == CONTENT_TYPE), "")
    if any(name == INFO_PACKAGE for name, _ in word.headers):
        return None
    try:
        if MediaType.parse(content_type).name not in _KINDS:
            return None
    except SipError:
        return None
    text = word.body.decode("latin-1")
    signal, duration = _SIGNAL.search(text), _DURATION.search(text)
    key = key_of(signal[1] if signal is not None else text)
    return Digit(key, int(duration[1]) if duration is not None else _USUAL_MS) if key is not None else None


def is_typed(near: Leg, far: Leg, word: Asked) -> Digit | None:
    """The digit that the peer of `near` says, if the one of `far` is to get it as a telephone-event."""
    if word.method != "INFO" or events_to(far.media.agreed, near.media.agreed) is None:
        return None
    return digit_of(word)


class Parties(Protocol):
    """A call and its legs."""

    @property
    def identifier(self) -> str: ...

    def leg_on(self, side: Side) -> Leg | None: ...


class Dictation:
    """Digits for one side by INFO: one after the other, each when the one before is answered, for INFOs may overtake each other."""

    def __init__(self, context: Context, call: Parties, side: Side) -> None:
        self._context = context
        self._call = call
        self._side = side
        self._waiting: deque[Digit] = deque()
        self._busy = False
        self._warned = False

    def add(self, digit: Digit, now: Now) -> None:
        """Beyond those that wait it is lost."""
        if len(self._waiting) >= MOST_WAITING:
            self._warn("too many digits")
            return
        self._waiting.append(digit)
        if not self._busy:
            self._next(now)

    def _next(self, now: Now) -> None:
        leg = self._call.leg_on(self._side)
        self._busy = leg is not None and bool(self._waiting)
        if leg is None or not self._busy:
            self._waiting.clear()
            return
        digit = self._waiting.popleft()
        body = f"Signal={digit.key}\r\nDuration={digit.duration}\r\n".encode()
        leg.tell(Asked("INFO", _MAX_FORWARDS, ((CONTENT_TYPE, RELAY),), body, self._answered), now)

    def _answered(self, cause: Cause, now: Now) -> None:
        if cause.status >= 300:
            self._warn(f"digits by INFO are answered {cause.status}")
        self._next(now)

    def _warn(self, what: str) -> None:
        """Once, and not of which digits."""
        if not self._warned:
            self._warned = True
            self._context.emit(Log("warning", what, {"call": self._call.identifier, "side": self._side.value}))
