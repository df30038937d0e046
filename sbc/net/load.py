"""How busy we are, looked at four times a second: for our peers, for the log, and for the inbox, which puts in order what comes then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sbc.log import EventLog
from sbc.net.inbox import Inbox
from sbc.shield.gauge import Gauge

INTERVAL = 0.25  # seconds; half of what a peer that is told nothing else takes for granted (RFC 7339 s4.3)
PRESSED = 0.95  # of the time busy: streams show no queue that one could see otherwise
OVER_AFTER = 40  # looks without anything refused, ten seconds: one line in the log for an overload that comes in waves


class LoadWatch:
    """`spent`: seconds that our thread has run or wanted to. `report`: the percentage that peers are to spare us, when it changes."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float],
        spent: Callable[[], float],
        inbox: Inbox,
        report: Callable[[int], None],
        log: EventLog,
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._spent = spent
        self._inbox = inbox
        self._report = report
        self._log = log
        self._gauge = Gauge()
        self._share = 0
        self._timer: asyncio.TimerHandle | None = None
        self._last = (0.0, 0.0)
        self._counts = (0, 0)  # served, refused up to the last look
        self._calm = OVER_AFTER  # looks in a row without anything refused
        self._refused = 0  # since this overload began

    def start(self) -> None:
        self._last = (self._clock(), self._spent())
        self._timer = self._loop.call_later(INTERVAL, self._look)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        self._timer = self._loop.call_later(INTERVAL, self._look)
        now, spent = self._clock(), self._spent()
        load = min(1.0, (spent - self._last[1]) / max(now - self._last[0], INTERVAL / 10))
        self._last = (now, spent)
        inbox = self._inbox
        served, refused = inbox.served - self._counts[0], inbox.refused - self._counts[1]
        self._counts = (inbox.served, inbox.refused)
        inbox.press(load > PRESSED)
        share = self._gauge.look(load, served, refused)
        self._note(refused)
        if share != self._share:
            self._share = share
            self._report(share)

    def _note(self, refused: int) -> None:
        self._refused += refused
        if refused:
            if self._calm >= OVER_AFTER:
                self._log.event("warning", "overload_begun", {"refused": refused})
            self._calm = 0
        elif self._calm < OVER_AFTER:
            self._calm += 1
            if self._calm == OVER_AFTER:
                self._log.event("info", "overload_ended", {"refused": self._refused})
                self._refused = 0
