"""One request that crossed from the other leg, until its answer is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from sbc.call.causes import cause_of_response
from sbc.call.words import Cause
from sbc.clock import Now
from sbc.sip.message import Response
from sbc.sip.transactions import ClientTransaction

MAX_QUESTIONS = 8  # at a time and leg: somebody who types digits has one or two under way


class Question:
    """`reply` is whoever asked, `answered` the leg that was asked; both hear the outcome, once."""

    __slots__ = ("_answered", "_reply")

    def __init__(self, reply: Callable[[Cause, Now], None], answered: Callable[[Cause, Now], None]) -> None:
        self._reply = reply
        self._answered = answered

    def receive_response(self, transaction: ClientTransaction, response: Response, now: Now) -> None:
        if response.status >= 200:
            self._settle(cause_of_response(response), now)

    def transaction_failed(self, transaction: ClientTransaction, cause: Literal["timeout", "transport"], now: Now) -> None:
        self._settle(Cause(408 if cause == "timeout" else 503, by="sbc", note=cause), now)

    def _settle(self, cause: Cause, now: Now) -> None:
        self._reply(cause, now)
        self._answered(cause, now)
