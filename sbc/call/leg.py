"""One side of a call: an INVITE dialog usage with one peer (RFC 3261 s12-15), once both have said yes.

How it comes about differs by direction and is in sbc.call.caller and sbc.call.callee.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from media.api import Side
from sbc.call.answer import PendingAnswer
from sbc.call.causes import cause_of_request, cause_of_response
from sbc.call.context import ALLOW, SUPPORTED, Context, flow_within
from sbc.call.session_timer import SessionTimer
from sbc.call.words import Answered, Cause, Changed, Released, Word
from sbc.clock import Now
from sbc.effects import Send
from sbc.errors import SipError
from sbc.flow import Flow
from sbc.policy.snapshot import Party, Realm
from sbc.sdp.offer import Description, MediaLeg
from sbc.sip.dialog import Dialog
from sbc.sip.message import Request, Response
from sbc.sip.multipart import sdp_of
from sbc.sip.transactions import ClientTransaction, ServerTransaction

SDP_TYPE = "application/sdp"
DIALOG_GONE = (408, 481)  # answers to a request inside a dialog that end the dialog (RFC 3261 s12.2.1.2, RFC 5057)

Hear = Callable[["Leg", Word, Now], None]


class Leg:
    """Hears `tell(word)` from the call, speaks to it through `hear(leg, word, now)`; SIP stays on this side of both."""

    def __init__(self, context: Context, side: Side, party: Party, realm: Realm, flow: Flow, media: MediaLeg, hear: Hear) -> None:
        self.context = context
        self.side = side
        self.party = party
        self.realm = realm
        self.flow = flow
        self.media = media
        self.hear = hear
        self.local_tag = context.ids.tag()
        self.sent_by = context.sent_by(flow)
        self.contact = self.sent_by.contact(self.local_tag)
        self.dialog: Dialog | None = None
        self.described: Description | None = None  # what the peer last said
        self.far: Description | None = None  # what the other leg's peer last said
        self.record_route: tuple[tuple[str, str], ...] = ()  # to be copied into answers that make the dialog (RFC 3261 s12.1.1)
        self.ended = False
        self._pending_answer: PendingAnswer | None = None
        self._asked: ServerTransaction | None = None  # re-INVITE of the peer, waiting for the other leg
        self._change: ClientTransaction | None = None  # re-INVITE of ours
        self._refreshing = False  # … sent for the session timer only
        self._last_ack: tuple[int, bytes, Flow] | None = None
        self._farewell: Cause | None = None  # BYE to be sent once the peer's ACK is in
        self._bye: ClientTransaction | None = None
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
            case _:
                raise AssertionError(f"{word!r} to a leg in a dialog")

    def _offer_change(self, description: Description | None, now: Now) -> None:
        self.far = description
        if self.ended or self._change or self._asked or self._pending_answer:
            self.hear(self, Answered(None, Cause(491, by="sbc", note="glare")), now)
            return
        try:
            body = self._our_offer()
        except SipError as error:
            self.hear(self, Answered(None, Cause(error.status, error.reason, headers=error.headers, by="sbc")), now)
            return
        self._send_reinvite(body, now)

    def _answer_change(self, description: Description | None, refused: Cause | None, now: Now) -> None:
        asked, self._asked = self._asked, None
        if asked is None or self.ended:
            return
        if refused is not None:
            self.media.rollback()
            self._respond(asked, refused.status, refused.reason, refused.headers, now=now)
            return
        self.far = description or self.far
        assert self.far is not None, "an answer answers something"
        self._accept(asked, self.media.make_answer(self.far, self.context.ids), now)

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
        transaction = self.context.transactions.server(request, flow, now, self)
        match request.method:
            case "BYE":
                self._receive_bye(transaction, now)
            case "INVITE":
                self._receive_reinvite(transaction, now)
            case "OPTIONS":
                self._respond(transaction, 200, headers=(("Accept", SDP_TYPE),), now=now)
            case _:
                self._respond(transaction, 405, now=now)

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
        try:
            self.described = self.media.receive_answer(sdp_of(request) or b"")
        except SipError as error:
            self.media.rollback()
            self._give_up(Cause(error.status, error.reason, by="sbc", note="no answer in ACK"), now)
            return
        self.hear(self, Changed(None), now)

    def _receive_bye(self, transaction: ServerTransaction, now: Now) -> None:
        cause = cause_of_request(transaction.request)
        self._respond(transaction, 200, now=now)
        already_ended = self.ended
        self._end(now)
        if not already_ended:
            self.hear(self, Released(cause), now)

    def _receive_reinvite(self, transaction: ServerTransaction, now: Now) -> None:
        if self.ended:
            self._respond(transaction, 481, now=now)
        elif self._asked is not None:  # RFC 3261 s14.2
            seconds = self.context.ids.random(1)[0] % 11
            self._respond(transaction, 500, headers=(("Retry-After", str(seconds)),), now=now)
        elif self._change is not None or (self._pending_answer is not None and self._pending_answer.offers):
            self._respond(transaction, 491, now=now)
        else:
            try:
                self._consider(transaction, now)
            except SipError as error:
                self._respond(transaction, error.status, error.reason, error.headers, now=now)

    def _consider(self, transaction: ServerTransaction, now: Now) -> None:
        """Answer a re-INVITE that changes nothing ourselves, ask the other leg about any other."""
        self._timer.agree_as_server(transaction.request)
        body = sdp_of(transaction.request)
        if body is None:
            self._accept(transaction, self._our_offer(), now, offers=True)
            return
        description = self.media.receive_offer(body, self.flow.secure)
        if description == self.described and self.far is not None:
            self._accept(transaction, self.media.make_answer(self.far, self.context.ids), now)
            return
        self.described = description
        self._asked = transaction
        self._respond(transaction, 100, now=now)
        self.hear(self, Changed(description), now)

    def cancel(self, cause: Cause, now: Now) -> None:
        """The peer's CANCEL found an INVITE of this dialog: the session stays as it was (RFC 3261 s9.2, s14.2)."""
        if self._asked is not None:
            asked, self._asked = self._asked, None
            self.media.rollback()
            self._respond(asked, 487, now=now)

    # Answers of the peer

    def receive_response(self, transaction: ClientTransaction, response: Response, now: Now) -> None:
        if transaction is self._bye:
            if response.status >= 200:
                self._forget()
        elif transaction is self._change:
            if response.status >= 200:
                self._settle_change(response, now)
        elif response.cseq.method == "INVITE" and 200 <= response.status < 300:
            self._acknowledge_again(response)

    def _settle_change(self, response: Response, now: Now) -> None:
        self._change = None
        refreshing, self._refreshing = self._refreshing, False
        if response.status >= 300:
            self.media.rollback()
            if response.status in DIALOG_GONE:
                self._end(now)
                self.hear(self, Released(cause_of_response(response)), now)
            elif refreshing:
                self._retry_refresh(response.status, now)
            else:
                self.hear(self, Answered(None, cause_of_response(response)), now)
            return
        self._acknowledge(response)
        self._timer.agree_as_client(response)
        self._timer.start(now)
        try:
            self.described = self.media.receive_answer(sdp_of(response) or b"")
        except SipError as error:
            self.media.rollback()
            word: Word = Answered(None, Cause(error.status, error.reason, by="sbc", note="bad answer"))
        else:
            word = Answered(self.described)
        self.hear(self, Changed(None) if refreshing else word, now)

    def transaction_failed(self, transaction: ClientTransaction, cause: Literal["timeout", "transport"], now: Now) -> None:
        if transaction is self._bye:
            self._forget()
        elif transaction is self._change:
            self._change = None
            self.media.rollback()
            self._give_up(Cause(408 if cause == "timeout" else 503, by="sbc", note=f"re-INVITE: {cause}"), now)

    def ack_missing(self, transaction: ServerTransaction, now: Now) -> None:
        """No ACK for a refusal: nothing of ours depends on it (RFC 3261 s17.2.1)."""

    # Session timer

    def _refresh(self, now: Now) -> None:
        if self.ended or self._change or self._asked or self._pending_answer:
            return  # whatever is under way restarts the timer
        self._refreshing = True
        self._send_reinvite(self.media.last_body, now)

    def _retry_refresh(self, status: int, now: Now) -> None:
        """After 491 wait 2.1-4 s as owner of the Call-ID, else 0-2 s, in steps of 10 ms (RFC 3261 s14.1)."""
        if status == 491:
            steps = int.from_bytes(self.context.ids.random(2), "big")
            delay = 2.1 + steps % 191 / 100 if self.side is Side.B else steps % 201 / 100
            self.context.timers.start(now.monotonic + delay, self._refresh)
        else:  # refused, but the dialog stands: the next round may do better
            self._timer.start(now)

    def _expire(self, now: Now) -> None:
        self._give_up(Cause(408, by="sbc", note="session timer expired"), now)

    # What we send

    def request(self, method: str, body: bytes = b"", headers: tuple[tuple[str, str], ...] = ()) -> Request:
        assert self.dialog is not None
        return self.dialog.request(
            method,
            via=self.sent_by.via(self.context.ids.branch()),
            contact=self.contact if method == "INVITE" else None,
            headers=headers,
            body=body,
            content_type=SDP_TYPE if body else "",
        )

    def dialog_flow(self) -> Flow:
        assert self.dialog is not None
        return flow_within(self.party, self.realm, self.flow, self.dialog.next_hop, bool(self.dialog.route_set))

    def _our_offer(self) -> bytes:
        """What the far side said, as an offer to our peer. Raises SipError when nothing of it can be offered here."""
        return self.media.make_offer(self.far, self.context.ids, self.flow.secure)

    def _send_reinvite(self, body: bytes, now: Now) -> None:
        headers = (("Allow", ALLOW), ("Supported", SUPPORTED), *self._timer.offer)
        self._change = self.context.transactions.client(self.request("INVITE", body, headers), self.dialog_flow(), now, self)

    def _respond(
        self,
        transaction: ServerTransaction,
        status: int,
        reason: str = "",
        headers: tuple[tuple[str, str], ...] = (),
        body: bytes = b"",
        *,
        now: Now,
    ) -> Response:
        if status in (200, 405):
            headers = (("Allow", ALLOW), ("Supported", SUPPORTED), *headers)
        response = Response.answer(
            transaction.request,
            status,
            reason,
            to_tag="" if status == 100 else self.local_tag,
            headers=headers,
            body=body,
            content_type=SDP_TYPE if body else "",
        )
        self.context.transactions.respond(transaction, response, now)
        return response

    def _accept(self, transaction: ServerTransaction, body: bytes, now: Now, *, offers: bool = False) -> None:
        """2xx to an INVITE of the peer, repeated until its ACK."""
        headers = (("Contact", self.contact), *self.record_route, *self._timer.agree_as_server(transaction.request))
        response = self._respond(transaction, 200, headers=headers, body=body, now=now)
        if self._pending_answer is not None:
            self._pending_answer.stop()
        self._pending_answer = PendingAnswer(self.context, response, transaction.flow, offers, self._no_ack, now)
        self._timer.start(now)

    def _acknowledge(self, response: Response) -> None:
        assert self.dialog is not None
        ack = self.dialog.ack(response.cseq.number, via=self.sent_by.via(self.context.ids.branch()))
        self._last_ack = (response.cseq.number, ack.encode(), self.dialog_flow())
        self.context.emit(Send(self._last_ack[1], self._last_ack[2]))

    def _acknowledge_again(self, response: Response) -> None:
        if self._last_ack is not None and self._last_ack[0] == response.cseq.number:
            self.context.emit(Send(self._last_ack[1], self._last_ack[2]))

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
        self._bye = self.context.transactions.client(self.request("BYE", headers=headers), self.dialog_flow(), now, self)

    def _end(self, now: Now) -> None:
        self.ended = True
        self._timer.close()
        if self._asked is not None:  # the waiting re-INVITE ends with the dialog (RFC 5407 s3.1.4)
            asked, self._asked = self._asked, None
            self._respond(asked, 487, now=now)
        if self._pending_answer is not None:
            self._pending_answer.stop()
            self._pending_answer = None
        self._forget()

    def _forget(self) -> None:
        if self.dialog is not None:
            self.context.dialogs.pop((self.dialog.call_id, self.local_tag), None)
