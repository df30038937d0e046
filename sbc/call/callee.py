"""The leg that faces the callee: we are the UAC (RFC 3261 s13.2). One leg is one attempt at one target."""

from __future__ import annotations

import contextlib
from typing import Literal

from media.api import Side
from sbc.call.abilities import invite_abilities
from sbc.call.bridge import Invitation, from_of
from sbc.call.causes import cause_of_response
from sbc.call.context import Context
from sbc.call.leg import Hear, Leg
from sbc.call.session_timer import SESSION_EXPIRES_S, read_min_se
from sbc.call.usage import SDP_TYPE
from sbc.call.words import Answered, Cause, Progressed, Released, Word
from sbc.clock import Now
from sbc.effects import Send
from sbc.errors import ParseError, SipError
from sbc.flow import Flow
from sbc.frozen import frozen
from sbc.policy.snapshot import Party, Realm
from sbc.sdp.offer import Description, MediaLeg
from sbc.sip.dialog import Dialog
from sbc.sip.fields.cseq import CSeq
from sbc.sip.fields.nameaddr import NameAddr
from sbc.sip.message import Request, Response
from sbc.sip.multipart import sdp_of
from sbc.sip.names import CONTACT, RECORD_ROUTE
from sbc.sip.transactions import ClientTransaction
from sbc.sip.uri import Uri


@frozen
class Target:
    """Where one attempt goes: the Request-URI (a registered Contact, or number and peer), and the way there."""

    party: Party
    uri: Uri
    flow: Flow


def dialog_of(request: Request, response: Response) -> tuple[Dialog, bool]:
    """The dialog a 2xx makes, and whether its Contact and Record-Route could be read.

    If not, the Request-URI stands in for them: even then the 2xx has to be acknowledged and its call ended.
    """
    try:
        return Dialog.from_response(request, response), True
    except ParseError:
        response.headers.remove(CONTACT)
        response.headers.remove(RECORD_ROUTE)
        return Dialog.from_response(request, response), False


class CalleeLeg(Leg):
    def __init__(self, context: Context, target: Target, realm: Realm, media: MediaLeg, hear: Hear) -> None:
        super().__init__(context, Side.B, target.party, realm, target.flow, media, hear)
        self.target = target
        self.call_id = context.ids.call_id()
        self._invitation: Invitation | None = None
        self._body = b""
        self._invite: ClientTransaction | None = None
        self._answered: ClientTransaction | None = None  # kept while further 2xx may come
        self._cancelled = False
        self._min_se_retried = False

    def dial(self, invitation: Invitation, far: Description | None, now: Now) -> None:
        """Send the INVITE; `far` is the caller's offer, None: the caller sent none and we make one of our own.

        Raises SipError when this callee cannot be offered any of it.
        """
        self.far = far
        self._invitation = invitation
        self._body = self.media.make_offer(far, self.context.ids, self.flow.secure)
        self.context.dialogs[self.call_id, self.local_tag] = self
        self._send_invite(1, self._timer.offer, now)

    def _send_invite(self, cseq: int, interval: tuple[tuple[str, str], ...], now: Now) -> None:
        assert self._invitation is not None
        uri = self.target.uri
        to = Uri(uri.scheme, uri.user, None, uri.host, uri.port)
        headers = (("Contact", self.contact), *invite_abilities(self.party), *interval, *self._invitation.headers)
        request = Request.build(
            "INVITE",
            self.target.uri,
            via=self.sent_by.via(self.context.ids.branch()),
            from_=from_of(self._invitation, self.sent_by.host, self.local_tag),
            to=NameAddr("", to),
            call_id=self.call_id,
            cseq=CSeq(cseq, "INVITE"),
            max_forwards=self._invitation.max_forwards,
            headers=headers,
            body=self._body,
            content_type=SDP_TYPE,
        )
        self._invite = self.context.transactions.client(request, self.flow, now, self)

    def tell(self, word: Word, now: Now) -> None:
        if self.dialog is None and isinstance(word, Released):
            self._cancel(word.cause, now)
        elif self.dialog is not None and self._invite is None:
            super().tell(word, now)
        else:
            raise AssertionError(f"{word!r} to a callee who has not answered")

    def abandon(self, cause: Cause, now: Now) -> None:
        """The call has no more use for this attempt; what still comes is undone here."""
        if self.dialog is None:
            self._cancel(cause, now)
        else:
            self._say_bye(cause, now)

    def _cancel(self, cause: Cause, now: Now) -> None:
        """CANCEL, held back until the peer has said anything at all (RFC 3261 s9.1)."""
        if self._cancelled or self.ended:
            return
        self._cancelled = self.ended = True
        if self._invite is not None:
            reasons = tuple(("Reason", value) for value in cause.reasons)  # RFC 3326: "answered elsewhere", say
            self.context.transactions.cancel(self._invite, now, self, reasons)

    def receive_response(self, transaction: ClientTransaction, response: Response, now: Now) -> None:
        if transaction is self._invite:
            if response.status < 200:
                self._receive_progress(response, now)
            elif response.status < 300:
                self._receive_answer(transaction, response, now)
            else:
                self._receive_refusal(transaction, response, now)
        elif response.cseq.method == "INVITE" and self._is_other_fork(response):
            self._end_fork(transaction, response, now)
        else:
            super().receive_response(transaction, response, now)

    def _receive_progress(self, response: Response, now: Now) -> None:
        if self.ended:
            return
        description = None
        with contextlib.suppress(SipError):  # early media we cannot use is no reason to end a call that may still be answered
            body = sdp_of(response)
            if body is not None:
                self.described = description = self.media.receive_answer(body)
        self.hear(self, Progressed(response.status, response.reason, description), now)

    def _receive_answer(self, transaction: ClientTransaction, response: Response, now: Now) -> None:
        self._invite, self._answered = None, transaction
        self.dialog, readable = dialog_of(transaction.request, response)
        self.acknowledge(response, now)
        if self._cancelled:  # 200 crossed our CANCEL (RFC 3261 s13.2.2.4)
            self.ended = False
            self._say_bye(Cause(200, by="sbc"), now)
            return
        try:
            body = sdp_of(response)
            if not readable:
                raise SipError("malformed Contact or Record-Route", status=502, reason="Bad Gateway")
            if body is not None:
                self.described = self.media.receive_answer(body)
            elif self.described is None:
                raise SipError(status=488, reason="Not Acceptable Here")
        except SipError as error:
            self._give_up(Cause(error.status, error.reason, by="sbc", note="bad answer"), now)
            return
        self._timer.agree_as_client(response)
        self._timer.start(now)
        self.hear(self, Answered(self.described), now)

    def _receive_refusal(self, transaction: ClientTransaction, response: Response, now: Now) -> None:
        if response.status == 422 and not self._min_se_retried and not self.ended:
            self._retry_with_longer_interval(transaction, response, now)
            return
        self._fail(cause_of_response(response), now)

    def _retry_with_longer_interval(self, transaction: ClientTransaction, response: Response, now: Now) -> None:
        """Same Call-ID and From tag, next CSeq, the interval the peer wants (RFC 4028 s7.3)."""
        self._min_se_retried = True
        least = read_min_se(response)
        interval = (("Session-Expires", str(max(least, SESSION_EXPIRES_S))), ("Min-SE", str(least)))
        self._send_invite(transaction.request.cseq.number + 1, interval, now)

    def _fail(self, cause: Cause, now: Now) -> None:
        self._invite = None
        already_ended = self.ended
        self.ended = True
        self.context.dialogs.pop((self.call_id, self.local_tag), None)
        if not already_ended:
            self.hear(self, Released(cause), now)

    def transaction_failed(self, transaction: ClientTransaction, cause: Literal["timeout", "transport"], now: Now) -> None:
        if transaction is self._invite:
            # "treated as if a 408 / 503 … had been received" (RFC 3261 s8.1.3.1)
            self._fail(Cause(408 if cause == "timeout" else 503, note=cause), now)
        else:
            super().transaction_failed(transaction, cause, now)

    def _end(self, now: Now) -> None:
        super()._end(now)
        if self._answered is not None:  # or the call would live on in memory for another 32 s
            self._answered.release()
            self._answered = None

    # Other forks: the first 2xx won (RFC 3261 s13.2.2.4)

    def _is_other_fork(self, response: Response) -> bool:
        return self.dialog is not None and 200 <= response.status < 300 and response.to.tag != self.dialog.remote_tag

    def _end_fork(self, transaction: ClientTransaction, response: Response, now: Now) -> None:
        fork, _ = dialog_of(transaction.request, response)
        ack = fork.ack(response.cseq.number, via=self.sent_by.via(self.context.ids.branch()))
        self.context.emit(Send(ack.encode(), self.flow))
        bye = fork.request("BYE", via=self.sent_by.via(self.context.ids.branch()), contact=None)
        self.context.transactions.client(bye, self.flow, now, self)
