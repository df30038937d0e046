"""A 2xx to INVITE is repeated until its ACK comes, on any transport (RFC 3261 s13.3.1.4)."""

from __future__ import annotations

from collections.abc import Callable

from sbc.call.context import Context
from sbc.clock import Now
from sbc.effects import Send
from sbc.flow import Flow
from sbc.sip.message import Response
from sbc.sip.server import replacement
from sbc.sip.timers import Timer, TimerValues


class PendingAnswer:
    """Our 2xx, waiting for its ACK. `give_up` is called when none came within 64*T1."""

    __slots__ = ("_context", "_deadline", "_flow", "_give_up", "_interval", "_response", "_timer", "_values", "cseq", "offers")

    def __init__(
        self,
        context: Context,
        response: Response,
        flow: Flow,
        offers: bool,
        give_up: Callable[[Now], None],
        now: Now,
        values: TimerValues,
    ) -> None:
        self.cseq = response.cseq.number
        self.offers = offers  # our 2xx carries an offer: the ACK must carry the answer
        self._context = context
        self._response = response
        self._flow = flow
        self._give_up = give_up
        self._values = values
        self._interval = values.t1
        self._deadline = now.monotonic + values.give_up
        self._timer: Timer = context.timers.start(now.monotonic + values.t1, self._repeat)

    def stop(self) -> None:
        self._timer.cancel()

    def _repeat(self, now: Now) -> None:
        if now.monotonic >= self._deadline:
            self._give_up(now)
            return
        if self._flow.connection and self._flow.connection in self._context.closed:
            self._flow = replacement(self._flow, self._response.via.port)
        self._context.emit(Send(self._response.encode(), self._flow))
        self._interval = min(2 * self._interval, self._values.t2)
        self._timer = self._context.timers.start(min(now.monotonic + self._interval, self._deadline), self._repeat)
