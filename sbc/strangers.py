"""Requests of whom we do not know: what they hear, and what the shield is told of them."""

from __future__ import annotations

from collections.abc import Callable

from sbc.call.context import Context
from sbc.clock import Now
from sbc.effects import CloseFlow, Offended, Send
from sbc.flow import Flow
from sbc.shield.scanners import scanner_sign
from sbc.sip.message import Request, Response
from sbc.sip.transactions import stateless_response


class Strangers:
    """`may_answer`: whether whoever is there gets one more word out of us."""

    def __init__(self, context: Context, may_answer: Callable[[Flow, Now], bool]) -> None:
        self._context = context
        self._may_answer = may_answer

    def turn_away(self, request: Request, flow: Flow, now: Now) -> None:
        """As the policy has it: silence, or an answer. A connection is closed, unless it was that of one of ours."""
        if not self.accuse_scanner(request, flow):
            self._context.emit(Offended(flow, "stranger", "connection" if flow.reliable else None, request.method))
        strangers = self._context.snapshot.strangers
        if strangers.answer is not None:
            if self._may_answer(flow, now):
                answer_stateless(self._context, self._context.answer(request, strangers.answer), request, flow)
        elif flow.reliable and self._has_left(flow):  # a call of its may go on there
            answer_stateless(self._context, self._context.answer(request, 403), request, flow)
        elif flow.reliable:
            self._context.emit(CloseFlow(flow))

    def accuse_scanner(self, request: Request, flow: Flow) -> bool:
        """Whether it says of itself that it is one."""
        sign = scanner_sign(request)
        if sign:
            self._context.emit(Offended(flow, "scanner", "connection" if flow.reliable else None, sign))
        return bool(sign)

    def _has_left(self, flow: Flow) -> bool:
        """Whoever is there was one of ours, and a new policy has it no more."""
        name, snapshot = self._context.peers.who(flow.connection), self._context.snapshot
        return bool(name) and name not in snapshot.trunks and name not in snapshot.users


def answer_stateless(context: Context, response: Response, request: Request, flow: Flow) -> None:
    context.emit(Send(*stateless_response(response, request, flow)))
