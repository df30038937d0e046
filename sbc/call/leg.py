"""One side of a call: an INVITE dialog usage with one peer (RFC 3261 s12-15), once both have said yes.

How it comes about differs by direction and is in sbc.call.caller and sbc.call.callee.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from media.api import Side
from sbc.call.causes import cause_of_request
from sbc.call.context import Context
from sbc.call.negotiation import Negotiation
from sbc.call.session_ids import SessionIds
from sbc.call.usage import SDP_TYPE
from sbc.call.words import Cause, Changed, Offered, Released, Settled, Word
from sbc.clock import Now
from sbc.errors import SipError
from sbc.flow import Flow
from sbc.policy.snapshot import Party, Realm
from sbc.sdp.offer import MediaLeg
from sbc.sip.message import Request, Response
from sbc.sip.transactions import ClientTransaction, ServerTransaction

Hear = Callable[["Leg", Word, Now], None]


class Leg(Negotiation):
    """Hears `tell(word)` from the call, speaks to it through `hear(leg, word, now)`; SIP stays on this side of both."""

    def __init__(
        self, context: Context, side: Side, party: Party, realm: Realm, flow: Flow, session: SessionIds, media: MediaLeg, hear: Hear
    ) -> None:
        super().__init__(context, side, party, realm, flow, session, media)
        self.hear = hear
        self._farewell: Cause | None = None  # BYE to be sent once the peer's ACK is in
        self._bye: ClientTransaction | None = None

    def say(self, word: Word, now: Now) -> None:
        self.hear(self, word, now)

    def tell(self, word: Word, now: Now) -> None:
        """What the call has for us."""
        match word:
            case Changed() | Offered():
                self.offer_change(word, now)
            case Settled():
                self.answer_change(word, now)
            case Released(cause):
                self._say_bye(cause, now)
            case _:
                raise AssertionError(f"{word!r} to a leg in a dialog")

    # Requests inside the dialog

    def receive_request(self, request: Request, flow: Flow, now: Now) -> None:
        """A request of the peer that names this dialog. Raises SipError for what is not acceptable."""
        dialog = self.dialog
        if dialog is None or request.from_.tag != dialog.remote_tag:
            if request.method != "ACK":
                raise SipError("another fork's dialog", status=481, reason="Call/Transaction Does Not Exist")
            return
        self.session.learn(self.side, request.headers)
        if request.method == "ACK":
            self._receive_ack(request, now)
            return
        dialog.receive(request)
        self.heard_from(flow)
        transaction = self.context.transactions.server(request, flow, now, self, self.party.timers)
        match request.method:
            case "BYE":
                self._receive_bye(transaction, now)
            case "INVITE" | "UPDATE":
                self.receive_change(transaction, now)
            case "PRACK":
                self._receive_prack(transaction, now)
            case "OPTIONS":
                self.respond(transaction, 200, headers=(("Accept", SDP_TYPE),), now=now)
            case _:
                self.respond(transaction, 405, now=now)

    def _receive_ack(self, request: Request, now: Now) -> None:
        if self._pending_answer is None or request.cseq.number != self._pending_answer.cseq:
            return
        if self._farewell is None:
            self.receive_ack(request, now)
            return
        self._pending_answer.stop()
        self._pending_answer = None
        self._say_bye(self._farewell, now)

    def _receive_bye(self, transaction: ServerTransaction, now: Now) -> None:
        cause = cause_of_request(transaction.request)
        self.respond(transaction, 200, now=now)
        already_ended = self.ended
        self.end(now)
        if not already_ended:
            self.say(Released(cause), now)

    def _receive_prack(self, transaction: ServerTransaction, now: Now) -> None:
        """Only a caller has something to acknowledge so."""
        self.respond(transaction, 481, now=now)

    def cancel(self, cause: Cause, now: Now) -> None:
        """The peer's CANCEL found an INVITE of this dialog: the session stays as it was (RFC 3261 s9.2, s14.2)."""
        if self._asked is not None and self._asked.method == "INVITE":
            self.withdraw(487, now)

    # Answers of the peer

    def receive_response(self, transaction: ClientTransaction, response: Response, now: Now) -> None:
        self._learn(response)
        if transaction is self._bye:
            if response.status >= 200:
                self._forget()
        elif self.is_change(transaction):
            if response.status >= 200:
                self.settle_change(response, now)
        elif response.cseq.method == "INVITE" and 200 <= response.status < 300:
            self.acknowledge_again(response)

    def _learn(self, response: Response) -> None:
        if not self.ended:  # or a late answer of one target would speak for the next
            self.session.learn(self.side, response.headers)

    def transaction_failed(self, transaction: ClientTransaction, cause: Literal["timeout", "transport"], now: Now) -> None:
        if transaction is self._bye:
            self._forget()
        elif self.is_change(transaction):
            self.change_failed(cause, now)

    def ack_missing(self, transaction: ServerTransaction, now: Now) -> None:
        """No ACK for a refusal: nothing of ours depends on it (RFC 3261 s17.2.1)."""

    # Ends

    def give_up(self, cause: Cause, now: Now) -> None:
        if self._farewell is not None:  # ended before the ACK, which now will not come any more
            self._say_bye(self._farewell, now)
        elif not self.ended:
            self._say_bye(cause, now)
            self.say(Released(cause), now)

    def _say_bye(self, cause: Cause, now: Now) -> None:
        if self._pending_answer is not None:
            # "The callee's UA MUST NOT send a BYE on a confirmed dialog until it has received an ACK …" (RFC 3261 s15)
            self._farewell = cause
            self.ended = True
            return
        if self._bye is not None or self.dialog is None or (self.ended and self._farewell is None):
            return
        self._farewell = None
        self.end(now)
        self.context.dialogs[self.dialog.call_id, self.local_tag] = self  # a BYE that crosses ours gets its 200
        headers = tuple(("Reason", value) for value in cause.reasons)
        bye = self.request("BYE", headers=headers)
        self._bye = self.context.transactions.client(bye, self.dialog_flow(now), now, self, self.party.timers)

    def end(self, now: Now) -> None:
        self.ended = True
        self.drop_changes(now)
        self._forget()

    def _forget(self) -> None:
        if self.dialog is not None:
            self.context.dialogs.pop((self.dialog.call_id, self.local_tag), None)
