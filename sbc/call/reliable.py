"""Reliable provisional responses of ours (RFC 3262 s3): numbered, repeated until their PRACK comes, one at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from sbc.call.context import Context
from sbc.call.usage import HeaderRows
from sbc.clock import Now
from sbc.effects import Send
from sbc.flow import Flow
from sbc.sip.fields.cseq import CSeq
from sbc.sip.fields.rack import HIGHEST_FIRST, RAck
from sbc.sip.message import Response
from sbc.sip.server import replacement
from sbc.sip.timers import Timer, TimerValues

Carried = Literal["", "answer", "offer"]


class ReliableProvisionals:
    """Those of one INVITE, whichever fork we speak as."""

    __slots__ = (
        *("_context", "_cseq", "_deadline", "_flow", "_give_up", "_interval", "_response", "_rseq", "_timer", "_values"),
        *("carried", "waits"),
    )

    def __init__(self, context: Context, cseq: CSeq, values: TimerValues) -> None:
        self.waits = False  # for a PRACK; until then the next one waits, too
        self.carried: Carried = ""  # in the last one
        self._context = context
        self._cseq = cseq
        # "chosen uniformly between 1 and 2**31 - 1" (s3)
        self._rseq = int.from_bytes(context.ids.random(4), "big") % HIGHEST_FIRST + 1
        self._values = values
        self._response: Response | None = None
        self._flow: Flow | None = None
        self._give_up: Callable[[Now], None] | None = None
        self._interval = 0.0
        self._deadline = 0.0
        self._timer: Timer | None = None

    @property
    def headers(self) -> HeaderRows:
        """Of the next one."""
        return (("Require", "100rel"), ("RSeq", str(self._rseq)))

    def sent(self, response: Response, flow: Flow, carried: Carried, give_up: Callable[[Now], None], now: Now) -> None:
        """It went out with `headers`: repeat it at T1, 2*T1, 4*T1 …, unlike a 2xx without a ceiling (s3).

        `give_up` is called when it was not acknowledged within 64*T1.
        """
        assert not self.waits, "one at a time"
        self.waits = True
        self.carried = carried
        self._response = response
        self._flow = flow
        self._give_up = give_up
        self._interval = self._values.t1
        self._deadline = now.monotonic + self._values.give_up
        self._timer = self._context.timers.start(now.monotonic + self._interval, self._repeat)

    def acknowledge(self, rack: RAck) -> bool:
        """Whether this is the one that waits; from now on it does not."""
        if not self.waits or rack != RAck(self._rseq, self._cseq):
            return False
        self.waits = False
        self._rseq += 1
        self.stop()
        return True

    def stop(self) -> None:
        """Repeat no more; a late PRACK is still recognised (s3: "MUST be prepared to process PRACK requests")."""
        self._give_up = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _repeat(self, now: Now) -> None:
        assert self._response is not None and self._flow is not None and self._give_up is not None
        if now.monotonic >= self._deadline:
            self._timer = None
            self._give_up(now)
            return
        if self._flow.connection and self._flow.connection in self._context.closed:
            self._flow = replacement(self._flow, self._response.via.port)
        self._context.emit(Send(self._response.encode(), self._flow))
        self._interval *= 2
        self._timer = self._context.timers.start(min(now.monotonic + self._interval, self._deadline), self._repeat)
