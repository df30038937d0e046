"""One side of a call: an INVITE dialog usage with one peer (RFC 3261 s12-15), once both have said yes.

How it comes about differs by direction and is in sbc.call.caller and sbc.call.callee.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from media.api import Side
from sbc.call.asking import MAX_QUESTIONS, Crossing, Question
from sbc.call.causes import cause_of_request, refusal_to_peer
from sbc.call.context import Context
from sbc.call.crossing import read_referred_by
from sbc.call.editing import sending
from sbc.call.info import crossing_info
from sbc.call.message import crossing_message
from sbc.call.negotiation import Negotiation
from sbc.call.reports import Reported
from sbc.call.session_ids import SessionIds
from sbc.call.usage import SDP_TYPE
from sbc.call.words import Asked, Cause, Changed, Named, Offered, Referred, Released, Settled, Word
from sbc.clock import Now
from sbc.errors import SipError
from sbc.flow import Flow
from sbc.policy.realms import Realm
from sbc.policy.snapshot import Party
from sbc.sdp.offer import Description, MediaLeg
from sbc.sip.fields.refer_to import ReferTo
from sbc.sip.message import Request, Response
from sbc.sip.names import REFER_SUB, REFER_TO
from sbc.sip.transactions import ClientTransaction, ServerTransaction
from sbc.sip.validate import hops_left

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
        self.owner: object = None  # the call, for whoever finds the leg by its dialog
        self.reported = Reported()
        self.reasons: tuple[str, ...] = ()  # values of Reason in what it answers the INVITE with
        self._questions = 0  # of the far peer to ours, not answered yet

    def say(self, word: Word, now: Now) -> None:
        self.hear(self, word, now)

    def tell(self, word: Word, now: Now) -> None:
        """What the call has for us."""
        match word:
            case Changed() | Offered():
                self.offer_change(word, now)
            case Settled():
                self.answer_change(word, now)
            case Named():
                self.learn_name(word, now)
            case Released(cause):
                self._say_bye(cause, now)
            case Asked():
                self._put(word, now)
            case _:
                raise AssertionError(f"{word!r} to a leg in a dialog")

    @property
    def offer(self) -> Description | None:
        """What the peer offers to whoever is called for it."""
        return self.described

    @property
    def answers_early(self) -> bool:
        """An offer in a reliable 1xx would get its answer."""
        return True

    def abandon(self, cause: Cause, now: Now) -> None:
        """The call has no more use for this leg; what still comes is undone here."""
        self._say_bye(cause, now)

    def knows(self, remote_tag: str) -> bool:
        """Whether this is the tag of the peer in a dialog we have with it."""
        return self.dialog is not None and self.dialog.remote_tag == remote_tag

    def renew(self) -> None:
        """The far side's media will come from elsewhere. Once there is an answer, a change tells so."""

    def flow_closed(self, now: Now) -> None:
        """The connection the call began on is gone. Once there is an answer, the call goes on: media does not need it."""

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
        transaction = self.context.transactions.server(request, flow, now, self, self.party.timers, sending(self.party))
        match request.method:
            case "BYE":
                self._receive_bye(transaction, now)
            case "INVITE" | "UPDATE":
                self.receive_change(transaction, now)
            case "PRACK":
                self._receive_prack(transaction, now)
            case "OPTIONS":
                self.respond(transaction, 200, headers=(("Accept", SDP_TYPE),), now=now)
            case "INFO":
                self._ask_far(transaction, crossing_info, now)
            case "MESSAGE":
                self._ask_far(transaction, crossing_message, now)
            case "REFER":
                self._receive_refer(transaction, now)
            case "NOTIFY":
                self._ask_far(transaction, self.reported.crossing, now)
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

    def _ask_far(self, transaction: ServerTransaction, crossing: Callable[[Request, Party], Crossing | None], now: Now) -> None:
        """Let a request that changes nothing cross, as far as `crossing` lets it; None: it has arrived, it was for us."""
        request = transaction.request
        try:
            crosses = crossing(request, self.party)
            hops = hops_left(request)
        except SipError as error:
            self.respond(transaction, error.status, error.reason, error.headers, now=now)
            return
        if crosses is None or self.ended:
            self.respond(transaction, 481 if self.ended else 200, now=now)
        else:
            self.hear(self, Asked(request.method, hops, crosses.headers, crosses.body, self._replying(transaction)), now)

    def _receive_refer(self, transaction: ServerTransaction, now: Now) -> None:
        request = transaction.request
        try:
            refer_to = ReferTo.parse_rows(request.headers.all(REFER_TO))
            hops = hops_left(request)
        except SipError as error:
            self.respond(transaction, error.status, error.reason, error.headers, now=now)
            return
        if self.ended:
            self.respond(transaction, 481, now=now)
        else:
            silent = (request.headers.first(REFER_SUB) or "").strip().lower() == "false"
            referred_by = read_referred_by(request.headers, self.party)
            self.hear(self, Referred(refer_to, request.cseq.number, silent, hops, referred_by, self._replying(transaction)), now)

    def _replying(self, transaction: ServerTransaction) -> Callable[[Cause, Now], None]:
        def reply(cause: Cause, now: Now) -> None:
            told = refusal_to_peer(cause)
            self.respond(transaction, told.status, told.reason, told.headers, now=now)

        return reply

    def _put(self, word: Asked, now: Now) -> None:
        if self.ended or self.dialog is None:
            word.reply(Cause(480, by="sbc", note="nobody there to ask"), now)
        elif self._questions >= MAX_QUESTIONS:
            word.reply(Cause(500, headers=(("Retry-After", "1"),), by="sbc", note="too many questions at once"), now)
        else:
            self._questions += 1
            self.dispatch(self.asking(word), now, Question(self.party, word, self._answered_question))

    def _answered_question(self, word: Asked, cause: Cause, now: Now) -> None:
        self._questions -= 1
        # Anything else leaves the dialog as it is (RFC 5057 s5.1, RFC 6086 s4.2.1); a NOTIFY speaks of a subscription only
        if cause.status == 481 and word.method != "NOTIFY" and not self.ended:
            self.end(now)
            self.hear(self, Released(cause), now)

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
        self._bye = self.dispatch(self.request("BYE", headers=headers), now, self)

    def end(self, now: Now) -> None:
        self.ended = True
        self.drop_changes(now)
        self._forget()

    def _forget(self) -> None:
        if self.dialog is not None:
            self.context.dialogs.pop((self.dialog.call_id, self.local_tag), None)
