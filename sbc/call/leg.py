"""One side of a call: an INVITE dialog usage with one peer (RFC 3261 s12-15), once both have said yes.

How it comes about differs by direction and is in sbc.call.caller and sbc.call.callee.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from media.api import Side
from sbc.call.abilities import invite_abilities, recv_info
from sbc.call.answer import PendingAnswer
from sbc.call.asking import MAX_QUESTIONS, Crossing, Question
from sbc.call.causes import cause_of_request, cause_of_response, refusal_to_peer
from sbc.call.context import Context
from sbc.call.info import crossing_info
from sbc.call.message import crossing_message
from sbc.call.reports import Reported
from sbc.call.session_timer import SessionTimer
from sbc.call.usage import SDP_TYPE, HeaderRows, Usage
from sbc.call.words import Answered, Asked, Cause, Changed, Referred, Released, Word
from sbc.clock import Now
from sbc.errors import SipError
from sbc.flow import Flow
from sbc.policy.snapshot import Party, Realm
from sbc.sdp.offer import Description, MediaLeg
from sbc.sip.fields.refer_to import ReferTo
from sbc.sip.message import Request, Response
from sbc.sip.multipart import sdp_of
from sbc.sip.names import REFER_SUB, REFER_TO
from sbc.sip.timers import Timer
from sbc.sip.transactions import ClientTransaction, ServerTransaction
from sbc.sip.validate import hops_left

DIALOG_GONE = (408, 481)  # answers to a request inside a dialog that end the dialog (RFC 3261 s12.2.1.2, RFC 5057)
CHANGE_WITHIN_S = 60.0  # for the final answer to a re-INVITE; a person may have to agree to it, but not for ever
REFRESH_AGAIN_S = 10.0  # after a refresh was refused: long enough for a passing trouble, short against any interval

Hear = Callable[["Leg", Word, Now], None]


class Leg(Usage):
    """Hears `tell(word)` from the call, speaks to it through `hear(leg, word, now)`; SIP stays on this side of both."""

    def __init__(self, context: Context, side: Side, party: Party, realm: Realm, flow: Flow, media: MediaLeg, hear: Hear) -> None:
        super().__init__(context, side, party, realm, flow)
        self.media = media
        self.hear = hear
        self._owns_call_id = side is Side.B
        self.described: Description | None = None  # what the peer last said and was agreed to
        self.far: Description | None = None  # what the other leg's peer last said
        self.record_route: HeaderRows = ()  # to be copied into answers that make the dialog (RFC 3261 s12.1.1)
        self.ended = False
        self._pending_answer: PendingAnswer | None = None
        self._asked: ServerTransaction | None = None  # re-INVITE of the peer, waiting for the other leg
        self._withdrawn = False  # … and then cancelled
        self._change: ClientTransaction | None = None  # re-INVITE of ours
        self._change_timer: Timer | None = None
        self._refreshing = False  # … sent for the session timer only
        self._proposed: Description | None = None  # what `described` (asked) or `far` (change) will be if it is agreed to
        self._farewell: Cause | None = None  # BYE to be sent once the peer's ACK is in
        self._bye: ClientTransaction | None = None
        self.owner: object = None  # the call, for whoever finds the leg by its dialog
        self.reported = Reported()
        self._questions = 0  # of the far peer to ours, not answered yet
        self._timer = SessionTimer(context.timers, self._refresh, self._expire)

    # What the call tells us

    def tell(self, word: Word, now: Now) -> None:
        match word:
            case Changed(description):
                self._offer_change(description, now)
            case Answered(description, refused):
                self._answer_change(description, refused, now)
            case Released(cause):
                self._say_bye(cause, now)
            case Asked():
                self._ask(word, now)
            case _:
                raise AssertionError(f"{word!r} to a leg in a dialog")

    def _offer_change(self, description: Description | None, now: Now) -> None:
        if self.ended or self._change or self._asked or self._pending_answer:
            self.hear(self, Answered(None, Cause(491, by="sbc", note="glare")), now)
            return
        try:
            body = self._our_offer(description)
        except SipError as error:
            self.hear(self, Answered(None, Cause(error.status, error.reason, headers=error.headers, by="sbc")), now)
            return
        self._proposed = description
        self._send_reinvite(body, now)

    def _answer_change(self, description: Description | None, refused: Cause | None, now: Now) -> None:
        asked, self._asked = self._asked, None
        if self.ended:
            return
        if asked is None:
            self._settle_without_asking(refused, now)
        elif refused is not None:
            self.media.rollback()
            told = refusal_to_peer(refused)
            self.respond(asked, told.status, told.reason, told.headers, now=now)
        else:
            self._pass_answer(asked, description or self.far, now)

    def _pass_answer(self, asked: ServerTransaction, far: Description | None, now: Now) -> None:
        assert far is not None, "an answer answers something"
        try:
            body = self.media.make_answer(far, self.context.ids)
        except SipError as error:
            self.media.rollback()
            self.respond(asked, error.status, error.reason, error.headers, now=now)
            return
        self.described, self.far = self._proposed, far
        self._accept(asked, body, now)

    def _settle_without_asking(self, refused: Cause | None, now: Now) -> None:
        """The other leg speaks of a change nobody here waits for: it is taken back, or it was taken back too late."""
        withdrawn, self._withdrawn = self._withdrawn, False
        if refused is not None and self._change is not None:
            self.context.transactions.cancel(self._change, now, self)
        elif refused is None and withdrawn:
            self.hear(self, Changed(self.described), now)

    def abandon(self, cause: Cause, now: Now) -> None:
        """The call has no more use for this leg; what still comes is undone here."""
        self._say_bye(cause, now)

    def renew(self, now: Now) -> None:
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
        if request.method == "ACK":
            self._receive_ack(request, now)
            return
        dialog.receive(request)
        self.heard_from(flow)
        transaction = self.context.transactions.server(request, flow, now, self)
        match request.method:
            case "BYE":
                self._receive_bye(transaction, now)
            case "INVITE":
                self._receive_reinvite(transaction, now)
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
        pending = self._pending_answer
        if pending is None or request.cseq.number != pending.cseq:
            return
        pending.stop()
        self._pending_answer = None
        if self._farewell is not None:
            self._say_bye(self._farewell, now)
            return
        if not pending.offers:
            return
        before = self.described
        try:
            self.described = self.media.receive_answer(sdp_of(request) or b"")
        except SipError as error:
            self.media.rollback()
            self._give_up(Cause(error.status, error.reason, by="sbc", note="no answer in ACK"), now)
            return
        self.hear(self, Changed(None), now)
        # The far side has to know of a hold, or of codecs that are no longer taken here
        if before is not None and (before.direction, before.codecs) != (self.described.direction, self.described.codecs):
            self.hear(self, Changed(self.described), now)

    def _receive_bye(self, transaction: ServerTransaction, now: Now) -> None:
        cause = cause_of_request(transaction.request)
        self.respond(transaction, 200, now=now)
        already_ended = self.ended
        self._end(now)
        if not already_ended:
            self.hear(self, Released(cause), now)

    def _receive_reinvite(self, transaction: ServerTransaction, now: Now) -> None:
        if self.ended:
            self.respond(transaction, 481, now=now)
        elif self._asked is not None:
            self.busy(transaction, now)
        elif self._change is not None or (self._pending_answer is not None and self._pending_answer.offers):
            self.respond(transaction, 491, now=now)
        else:
            try:
                self._consider(transaction, now)
            except SipError as error:
                self.respond(transaction, error.status, error.reason, error.headers, now=now)

    def _consider(self, transaction: ServerTransaction, now: Now) -> None:
        """Answer a re-INVITE that changes nothing ourselves, ask the other leg about any other."""
        self._timer.agree_as_server(transaction.request)
        body = sdp_of(transaction.request)
        if body is None:
            self._accept(transaction, self._our_offer(self.far), now, offers=True)
            return
        description = self.media.receive_offer(body, self.flow.secure)
        if description == self.described and self.far is not None:
            self._accept(transaction, self.media.make_answer(self.far, self.context.ids), now)
            return
        self._proposed = description
        self._asked = transaction
        self._withdrawn = False
        self.respond(transaction, 100, now=now)
        self.hear(self, Changed(description), now)

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
            self.hear(self, Referred(refer_to, request.cseq.number, silent, hops, self._replying(transaction)), now)

    def _replying(self, transaction: ServerTransaction) -> Callable[[Cause, Now], None]:
        def reply(cause: Cause, now: Now) -> None:
            told = refusal_to_peer(cause)
            self.respond(transaction, told.status, told.reason, told.headers, now=now)

        return reply

    def _ask(self, word: Asked, now: Now) -> None:
        if self.ended or self.dialog is None:
            word.reply(Cause(480, by="sbc", note="nobody there to ask"), now)
        elif self._questions >= MAX_QUESTIONS:
            word.reply(Cause(500, headers=(("Retry-After", "1"),), by="sbc", note="too many questions at once"), now)
        else:
            self._questions += 1
            request = self.asking(word)
            self.context.transactions.client(request, self.dialog_flow(now), now, Question(word, self._answered_question))

    def _answered_question(self, word: Asked, cause: Cause, now: Now) -> None:
        self._questions -= 1
        # Anything else leaves the dialog as it is (RFC 5057 s5.1, RFC 6086 s4.2.1); a NOTIFY speaks of a subscription only
        if cause.status == 481 and word.method != "NOTIFY" and not self.ended:
            self._end(now)
            self.hear(self, Released(cause), now)

    def cancel(self, cause: Cause, now: Now) -> None:
        """The peer's CANCEL found an INVITE of this dialog: the session stays as it was (RFC 3261 s9.2, s14.2)."""
        if self._asked is not None:
            asked, self._asked = self._asked, None
            self._withdrawn = True
            self.media.rollback()
            self.respond(asked, 487, now=now)
            self.hear(self, Answered(None, Cause(487)), now)

    # Answers of the peer

    def receive_response(self, transaction: ClientTransaction, response: Response, now: Now) -> None:
        if transaction is self._bye:
            if response.status >= 200:
                self._forget()
        elif transaction is self._change:
            if response.status >= 200:
                self._settle_change(response, now)
        elif response.cseq.method == "INVITE" and 200 <= response.status < 300:
            self.acknowledge_again(response)

    def _settle_change(self, response: Response, now: Now) -> None:
        self._forget_change()
        refreshing, self._refreshing = self._refreshing, False
        if response.status >= 300:
            self.media.rollback()
            self._change_refused(response, refreshing, now)
            return
        self.acknowledge(response, now)
        if self.ended:
            return
        self._timer.agree_as_client(response)
        self._timer.start(now)
        try:
            self.described = self.media.receive_answer(sdp_of(response) or b"")
        except SipError as error:
            self.media.rollback()
            word: Word = Answered(None, Cause(error.status, error.reason, by="sbc", note="bad answer"))
        else:
            self.far = self._proposed or self.far
            word = Answered(self.described)
        self.hear(self, Changed(None) if refreshing else word, now)

    def _change_refused(self, response: Response, refreshing: bool, now: Now) -> None:
        if self.ended:
            return
        if response.status in DIALOG_GONE:
            self._end(now)
            self.hear(self, Released(cause_of_response(response)), now)
        elif refreshing:
            self._refresh_later(response.status, now)
        else:
            self.hear(self, Answered(None, cause_of_response(response)), now)

    def transaction_failed(self, transaction: ClientTransaction, cause: Literal["timeout", "transport"], now: Now) -> None:
        if transaction is self._bye:
            self._forget()
        elif transaction is self._change:
            self._forget_change()
            self.media.rollback()
            self._give_up(Cause(408 if cause == "timeout" else 503, by="sbc", note=f"re-INVITE: {cause}"), now)

    def ack_missing(self, transaction: ServerTransaction, now: Now) -> None:
        """No ACK for a refusal: nothing of ours depends on it (RFC 3261 s17.2.1)."""

    # Session timer

    def _refresh(self, now: Now) -> None:
        if self.ended:
            return
        if self._change or self._asked or self._pending_answer or self.far is None:
            self._timer.again(REFRESH_AGAIN_S, now)  # if what is under way succeeds, it starts the timer anew
            return
        try:
            body = self._our_offer(self.far)
        except SipError:
            self._timer.again(REFRESH_AGAIN_S, now)
            return
        self._refreshing = True
        self._proposed = None
        self._send_reinvite(body, now)

    def _refresh_later(self, status: int, now: Now) -> None:
        """After 491 wait 2.1-4 s as owner of the Call-ID, else 0-2 s, in steps of 10 ms (RFC 3261 s14.1)."""
        delay = REFRESH_AGAIN_S
        if status == 491:
            steps = int.from_bytes(self.context.ids.random(2), "big")
            delay = 2.1 + steps % 191 / 100 if self._owns_call_id else steps % 201 / 100
        self._timer.again(delay, now)

    def _expire(self, now: Now) -> None:
        self._give_up(Cause(408, by="sbc", note="session timer expired"), now)

    # What we send

    def _our_offer(self, description: Description | None) -> bytes:
        """What the far side said, as an offer to our peer. Raises SipError when nothing of it can be offered here."""
        return self.media.make_offer(description, self.context.ids, self.flow.secure)

    def _send_reinvite(self, body: bytes, now: Now) -> None:
        headers = (*invite_abilities(self.party), *self._timer.offer)
        request = self.request("INVITE", body, headers)
        self._change = self.context.transactions.client(request, self.dialog_flow(now), now, self)
        self._change_timer = self.context.timers.start(now.monotonic + CHANGE_WITHIN_S, self._cancel_change)

    def _cancel_change(self, now: Now) -> None:
        if self._change is not None:
            self.context.transactions.cancel(self._change, now, self)

    def _forget_change(self) -> None:
        self._change = None
        if self._change_timer is not None:
            self._change_timer.cancel()
            self._change_timer = None

    def _accept(self, transaction: ServerTransaction, body: bytes, now: Now, *, offers: bool = False) -> None:
        """2xx to an INVITE of the peer, repeated until its ACK."""
        timer = self._timer.agree_as_server(transaction.request)
        headers = (("Contact", self.contact), *self.record_route, *recv_info(self.party), *timer)
        response = self.respond(transaction, 200, headers=headers, body=body, now=now)
        if self._pending_answer is not None:
            self._pending_answer.stop()
        self._pending_answer = PendingAnswer(self.context, response, transaction.flow, offers, self._no_ack, now)
        self._timer.start(now)

    def _no_ack(self, now: Now) -> None:
        self._pending_answer = None
        if self._farewell is not None:
            self._say_bye(self._farewell, now)
        else:
            self._give_up(Cause(408, by="sbc", note="no ACK"), now)

    # Ends

    def _give_up(self, cause: Cause, now: Now) -> None:
        """End both sides for a reason of our own."""
        if self.ended:
            return
        self._say_bye(cause, now)
        self.hear(self, Released(cause), now)

    def _say_bye(self, cause: Cause, now: Now) -> None:
        if self._pending_answer is not None:
            # "The callee's UA MUST NOT send a BYE on a confirmed dialog until it has received an ACK …" (RFC 3261 s15)
            self._farewell = cause
            self.ended = True
            return
        if self._bye is not None or self.dialog is None or (self.ended and self._farewell is None):
            return
        self._farewell = None
        self._end(now)
        self.context.dialogs[self.dialog.call_id, self.local_tag] = self  # a BYE that crosses ours gets its 200
        headers = tuple(("Reason", value) for value in cause.reasons)
        self._bye = self.context.transactions.client(self.request("BYE", headers=headers), self.dialog_flow(now), now, self)

    def _end(self, now: Now) -> None:
        self.ended = True
        self._timer.close()
        self._cancel_change(now)
        if self._asked is not None:  # the waiting re-INVITE ends with the dialog (RFC 5407 s3.1.4)
            asked, self._asked = self._asked, None
            self.respond(asked, 487, now=now)
        if self._pending_answer is not None:
            self._pending_answer.stop()
            self._pending_answer = None
        self._forget()

    def _forget(self) -> None:
        if self.dialog is not None:
            self.context.dialogs.pop((self.dialog.call_id, self.local_tag), None)
