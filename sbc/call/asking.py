"""Requests that change nothing of the call: what crosses of them, and the wait for their answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from sbc.call.causes import cause_of_response
from sbc.call.words import Asked, Cause
from sbc.clock import Now
from sbc.frozen import frozen
from sbc.policy.snapshot import Party
from sbc.sip.message import Response
from sbc.sip.transactions import ClientTransaction

MAX_QUESTIONS = 8  # at a time and leg: somebody who types digits has one or two under way


@frozen
class Crossing:
    """What crosses of a request: these headers, Content-Type among them, and this body."""

    headers: tuple[tuple[str, str], ...]
    body: bytes


class Question:
    """`party` is asked, `word` is what crossed, `answered` the leg that was asked; whoever asked and the leg hear the outcome, once."""

    __slots__ = ("_answered", "_party", "_word")

    def __init__(self, party: Party, word: Asked, answered: Callable[[Asked, Cause, Now], None]) -> None:
        self._party = party
        self._word = word
        self._answered = answered

    def receive_response(self, transaction: ClientTransaction, response: Response, now: Now) -> None:
        if response.status >= 200:
            self._settle(cause_of_response(response, self._party), now)

    def transaction_failed(self, transaction: ClientTransaction, cause: Literal["timeout", "transport"], now: Now) -> None:
        self._settle(Cause(408 if cause == "timeout" else 503, by="sbc", note=cause), now)

    def _settle(self, cause: Cause, now: Now) -> None:
        self._word.reply(cause, now)
        self._answered(self._word, cause, now)
