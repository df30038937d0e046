"""Session timers of one leg (RFC 4028): who refreshes, when, and what happens when nobody does. Each leg has its own."""

from __future__ import annotations

from collections.abc import Callable

from sbc.clock import Now
from sbc.errors import ParseError, SipError
from sbc.sip.fields.session_expires import SessionExpires, parse_min_se
from sbc.sip.fields.tokens import parse_tokens
from sbc.sip.message import Request, Response
from sbc.sip.names import MIN_SE, SESSION_EXPIRES, SUPPORTED
from sbc.sip.timers import Timer, Timers

SESSION_EXPIRES_S = 1800  # recommended by RFC 4028 s4
MIN_SE_S = 90  # "MUST NOT be less than 90 seconds" (s5); smaller values of peers are read as 90


class SessionTimer:
    """`refresh` is called at half the interval when that is our part, `expire` when the peer has missed its own."""

    __slots__ = ("_expire", "_interval", "_min_se", "_refresh", "_timer", "_timers", "_we_refresh")

    def __init__(self, timers: Timers, refresh: Callable[[Now], None], expire: Callable[[Now], None]) -> None:
        self._timers = timers
        self._refresh = refresh
        self._expire = expire
        self._interval = 0
        self._min_se = MIN_SE_S  # the peer's, once it has told us
        self._we_refresh = False
        self._timer: Timer | None = None

    def agree_as_server(self, request: Request, takes_update: bool) -> tuple[tuple[str, str], ...]:
        """Headers for our 2xx to this INVITE or UPDATE. Raises SipError 422 when the peer asks for too short an interval (s9)."""
        supported = "timer" in parse_tokens(request.headers.all(SUPPORTED))
        asked = read_session_expires(request)
        if not supported:
            self._refresh_alone(takes_update)
            return ()
        if asked is not None and asked.seconds < MIN_SE_S:
            raise SipError(status=422, reason="Session Interval Too Small", headers=(("Min-SE", str(MIN_SE_S)),))
        self._interval = max(asked.seconds if asked else SESSION_EXPIRES_S, read_min_se(request))
        refresher = (asked.refresher if asked else None) or "uac"
        self._we_refresh = refresher == "uas"
        headers: tuple[tuple[str, str], ...] = (("Session-Expires", f"{self._interval};refresher={refresher}"),)
        # "If the refresher parameter is 'uac', the UAS MUST place a Require header field with value 'timer'" (s9)
        return headers if self._we_refresh else (*headers, ("Require", "timer"))

    def agree_as_client(self, response: Response, takes_update: bool) -> None:
        """Take what the 2xx to our INVITE or UPDATE settles (s7.2)."""
        agreed = read_session_expires(response)
        if agreed is None:
            self._refresh_alone(takes_update)
            return
        self._interval = max(agreed.seconds, MIN_SE_S)
        self._we_refresh = agreed.refresher != "uas"

    def _refresh_alone(self, takes_update: bool) -> None:
        """The peer knows no session timer. An UPDATE shows whether it is still there; else that is left to the watchdog on the
        media: not every peer survives a re-INVITE.
        """
        self._interval = SESSION_EXPIRES_S if takes_update else 0
        self._we_refresh = True

    def lengthen(self, response: Response) -> None:
        """The peer's 422 to a request of ours: ask for what it wants (s7.3)."""
        self._min_se = read_min_se(response)
        if self._interval:
            self._interval = max(self._interval, self._min_se)

    @property
    def offer(self) -> tuple[tuple[str, str], ...]:
        """Headers of an INVITE or UPDATE of ours: the interval that holds, with the refresher that was agreed (s7.4)."""
        least = (("Min-SE", str(self._min_se)),) if self._min_se > MIN_SE_S else ()
        if not self._interval:
            return (("Session-Expires", str(max(SESSION_EXPIRES_S, self._min_se))), *least)
        # refresher is relative to this request: we are its UAC
        return (("Session-Expires", f"{self._interval};refresher={'uac' if self._we_refresh else 'uas'}"), *least)

    def start(self, now: Now) -> None:
        """(Re)start after any 2xx to an INVITE or UPDATE."""
        self.stop()
        if not self._interval:
            return
        if self._we_refresh:
            self._timer = self._timers.start(now.monotonic + self._interval / 2, self._refresh)
        else:  # "BYE … before the session expiration … minimum of 32 seconds and one third of the session interval" (s10)
            margin = min(32.0, self._interval / 3)
            self._timer = self._timers.start(now.monotonic + self._interval - margin, self._expire)

    def again(self, delay: float, now: Now) -> None:
        """The refresh was refused: once more in `delay` seconds."""
        self.stop()
        self._timer = self._timers.start(now.monotonic + delay, self._refresh)

    def close(self) -> None:
        """Stop for good and let go of the leg: without a cycle its memory is free at once."""
        self.stop()
        self._refresh = self._expire = _nothing

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _nothing(now: Now) -> None:
    """Stands in for the leg that has ended."""


def read_session_expires(message: Request | Response) -> SessionExpires | None:
    value = message.headers.first(SESSION_EXPIRES)
    try:
        return SessionExpires.parse(value) if value else None
    except ParseError:
        return None  # optional header, wrong: as if absent (SYN-09)


def read_min_se(message: Request | Response) -> int:
    """Min-SE in seconds, never below 90 (Nortel and Grandstream send 0)."""
    value = message.headers.first(MIN_SE)
    try:
        return max(MIN_SE_S, parse_min_se(value)) if value else MIN_SE_S
    except ParseError:
        return MIN_SE_S
