"""The leg that faces the callee: we are the UAC (RFC 3261 s13.2). One leg is one attempt at one server."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import Literal

from media.api import Side
from sbc.call.abilities import invite_abilities
from sbc.call.answering import answering, room_for_credentials
from sbc.call.bodies import Body, packed, told_to
from sbc.call.bridge import Invitation, from_of, host_told, rows_of, to_of
from sbc.call.causes import cause_of_response, seconds_of, taken_for
from sbc.call.context import SUPPORTED, Context
from sbc.call.crossing import read_answer
from sbc.call.editing import hearing, sending, sent
from sbc.call.forks import MAX_FORKS, Fork, dialog_of, rseq_of
from sbc.call.leg import Hear, Leg
from sbc.call.record import LegFacts
from sbc.call.session_ids import SessionIds
from sbc.call.signing import as_json, ask, doubted, signed_rows, to_sign
from sbc.call.usage import LONGEST_DATAGRAM, SDP_TYPE, HeaderRows
from sbc.call.words import Answered, Cause, Progressed, Released, Settled, Word
from sbc.clock import Now
from sbc.effects import Send
from sbc.errors import ParseError, SipError
from sbc.flow import Flow
from sbc.frozen import frozen
from sbc.identity.signature import Signature, ToSign
from sbc.policy.realms import Realm
from sbc.policy.snapshot import Party
from sbc.sdp.offer import Description, MediaLeg
from sbc.sip.dialog import Dialog
from sbc.sip.fields.cseq import CSeq
from sbc.sip.fields.rack import RAck
from sbc.sip.message import Request, Response
from sbc.sip.multipart import sdp_of
from sbc.sip.names import MAX_BREADTH, REASON, ROUTE
from sbc.sip.timers import TimerValues
from sbc.sip.transactions import ClientTransaction
from sbc.sip.uri import Uri

EARLY_DIALOG_OVER = 199  # RFC 6228
FLOW_FAILED = 430  # said by the proxy at the other end of a flow: there may be another one to the same phone (RFC 5626 s5.3)


@frozen
class Target:
    """Where one attempt goes: the Request-URI (a registered Contact, or number and peer), and the way there.

    timers        of the INVITE
    server_name   who a TLS server must prove to be
    stream        by TCP to the same server, for an INVITE that is too long for UDP; None: there is no other way
    route         the proxies on the way, as Route has them
    """

    party: Party
    uri: Uri
    flow: Flow
    timers: TimerValues
    server_name: str = ""
    stream: Flow | None = None
    route: tuple[str, ...] = ()

    @property
    def route_rows(self) -> tuple[tuple[str, str], ...]:
        return tuple([(ROUTE, value) for value in self.route])


@frozen
class Failure:
    """The server failed, not the callee: another one may do better (RFC 3263 s4.3).

    `answered`: by a 503, and `retry_after` seconds from now it may be asked again; not: silence, or a transport that broke.
    """

    answered: bool
    retry_after: float = 0.0


class CalleeLeg(Leg):
    """Rings at one server. Of the forks behind it the one that described its media last has the leg; the first 2xx keeps it."""

    def __init__(self, context: Context, target: Target, realm: Realm, session: SessionIds, media: MediaLeg, hear: Hear) -> None:
        super().__init__(context, Side.B, target.party, realm, target.flow, session, media, hear)
        session.forget(Side.B)
        self.target = target
        self.contact = self.sent_by.contact(self.local_tag, target.uri)
        self.call_id = context.ids.call_id()
        self.facts = LegFacts(target.party, target.flow, self.call_id, media)
        self.failure: Failure | None = None
        self._invitation: Invitation | None = None
        self._body = b""
        self._beside: list[Body] = []  # what goes with it
        self._supported = SUPPORTED
        self._opening = media.mark  # where the exchange stands for a fork that has said nothing
        self._dialled: Description | None = None  # what such a fork knows of the caller
        self._invite: ClientTransaction | None = None
        self._answered: ClientTransaction | None = None  # kept while further 2xx may come
        self._forks: dict[str, Fork] = {}  # by To tag, until one of them has won
        self._fork: Fork | None = None  # the one that has the leg
        self._cancelled = False
        self._min_se_retried = False
        self._signature: HeaderRows | None = None  # None: nobody has been asked

    def dial(self, invitation: Invitation, far: Description | None, supported: str, now: Now) -> None:
        """Send the INVITE; `far` is the caller's offer, None: the callee is to make one. `supported`: the extensions it may use.

        Raises SipError when this callee cannot be offered any of it.
        """
        self.far = self._dialled = far
        self._beside = told_to(self.party, invitation.bodies)
        self._invitation = invitation
        if invitation.masked:
            self.connected.mask()
            self.facts.shows = "nobody" if invitation.said.anonymous else invitation.caller
        self._supported = supported
        if far is not None or self.party.early_offer:
            self._body = self.our_offer(far)
        self._opening = self.media.mark
        self.context.dialogs[self.call_id, self.local_tag] = self
        if self.flow.secure and self.target.server_name:
            self.context.peers.expect(self.target.server_name, self.flow)
        self._send_invite(1, now)

    def _send_invite(self, cseq: int, now: Now) -> None:
        request = self._build_invite(cseq)
        if self._signature is None and self._awaits_signature(request, now):
            return
        stream = self.target.stream
        if stream is not None and self.flow != stream and request.length + room_for_credentials(self.party) > LONGEST_DATAGRAM:
            self.flow = self.facts.flow = stream
            self.sent_by = self.context.sent_by(stream, self.party)
            self.contact = self.sent_by.contact(self.local_tag, self.target.uri)
            request = self._build_invite(cseq)
        again = answering(self.context, self.party, None, self.note_proof)
        self._invite = self.context.transactions.client(
            request, self.flow, now, self, self.target.timers, again=again, heard=hearing(self.party)
        )

    def _awaits_signature(self, request: Request, now: Now) -> bool:
        """Whether there is something to be signed of this INVITE; it is sent when that is done."""
        assert self._invitation is not None
        self._signature = ()
        asked = to_sign(request, self._invitation, self.across, self.party, now)
        if not isinstance(asked, ToSign):
            self.facts.signed = as_json(asked, None) if asked is not None else None
            return False
        ask(self.context, asked, partial(self._signed, request, asked))
        return True

    def _signed(self, request: Request, asked: ToSign, signature: Signature, now: Now) -> None:
        if self.ended:
            return
        self.facts.signed = as_json(asked, signature)
        self._signature = signed_rows(request, asked, signature)
        try:
            self._send_invite(request.cseq.number, now)
        except SipError as error:
            self._fail(Cause(error.status, error.reason, headers=error.headers, by="sbc", note=str(error)), now)

    def _build_invite(self, cseq: int) -> Request:
        assert self._invitation is not None
        uri = self.target.uri
        body, content_type = packed(self._body, self._beside, self.local_tag)
        headers = (
            *self.target.route_rows,
            ("Contact", self.contact),
            *invite_abilities(self.party, self.across, self._supported),
            *self._timer.offer,
            *self._crossing(self._invitation),
            *(self._signature or ()),
        )
        request = Request.build(
            "INVITE",
            self.target.uri,
            via=self.sent_by.via(self.context.ids.branch()),
            from_=from_of(self._invitation, self.party, host_told(self.party, self.sent_by.host), self.local_tag),
            to=to_of(uri),
            call_id=self.call_id,
            cseq=CSeq(cseq, "INVITE"),
            max_forwards=self._invitation.max_forwards,
            headers=headers,
            body=body,
            content_type=content_type,
        )
        return sent(self.party, request)

    def _crossing(self, invitation: Invitation) -> HeaderRows:
        breadth = invitation.max_breadth
        rows = () if breadth is None else ((MAX_BREADTH, str(breadth)),)
        told = rows_of(invitation, self.party, host_told(self.party, self.sent_by.host))
        return (*rows, *told, *self.session.rows(Side.B))

    def tell(self, word: Word, now: Now) -> None:
        match word:
            case Released(cause) if self.early:
                self._cancel(cause, now)
            case Settled() if self._fork is not None and self._fork.owes is not None:
                self._answer_in_prack(self._fork, word, now)
            case _:
                super().tell(word, now)

    def abandon(self, cause: Cause, now: Now) -> None:
        """The call has no more use for this attempt; what still comes is undone here."""
        if self.early:
            self._cancel(cause, now)
        else:
            self._say_bye(cause, now)

    def _cancel(self, cause: Cause, now: Now) -> None:
        """CANCEL, held back until the peer has said anything at all (RFC 3261 s9.1)."""
        if self._cancelled or self.ended:
            return
        self._cancelled = self.ended = True
        self.drop_changes(now)
        if self._invite is not None:
            reasons = tuple(("Reason", value) for value in cause.reasons)  # RFC 3326: "answered elsewhere", say
            self.context.transactions.cancel(self._invite, now, self, (*reasons, *self.session.rows(Side.B)))
        else:  # nothing was sent: it waits for its signature
            self.end(now)

    # Requests of forks

    def receive_request(self, request: Request, flow: Flow, now: Now) -> None:
        if self.early:
            fork = self._forks.get(request.from_.tag)
            if fork is None or request.method not in ("UPDATE", "OPTIONS"):  # a callee has no BYE before its 2xx (RFC 3261 s15)
                if request.method != "ACK":
                    raise SipError("no confirmed dialog", status=481, reason="Call/Transaction Does Not Exist")
                return
            if fork is not self._fork and not request.body:  # nothing in it for which that fork would need the leg
                fork.dialog.receive(request)
                transaction = self.context.transactions.server(request, flow, now, self, self.party.timers, sending(self.party))
                self.respond(transaction, 200, headers=(("Contact", self.contact),), now=now)
                return
            self._enter(fork, now)
        super().receive_request(request, flow, now)

    def _enter(self, fork: Fork, now: Now) -> None:
        """From now on this fork has the leg: its dialog, its exchange of descriptions."""
        before = self._fork
        if fork is before:
            return
        if before is not None:
            self.withdraw(491, now)
            before.media, before.described, before.told, before.settled = self.media.mark, self.described, self.far, self.settled
        self._fork = fork
        self.dialog = fork.dialog
        self.media.resume(fork.media)
        self.described, self.settled = fork.described, fork.settled

    def knows(self, remote_tag: str) -> bool:
        return remote_tag in self._forks or super().knows(remote_tag)

    def _fork_of(self, transaction: ClientTransaction, response: Response) -> Fork | None:
        """The early dialog of a 1xx, made when it is the first one with that tag. None: it makes none that could be used."""
        tag = response.to.tag
        fork = self._forks.get(tag)
        if fork is None and tag and len(self._forks) < MAX_FORKS:
            with contextlib.suppress(ParseError):
                fork = self._forks[tag] = Fork(Dialog.from_response(transaction.request, response), self._opening, self._dialled)
        return fork

    # Answers to the INVITE

    def receive_response(self, transaction: ClientTransaction, response: Response, now: Now) -> None:
        self._learn(response)
        if self._signature and self.facts.signed is not None and REASON in response.headers:
            self.facts.signed = doubted(self.facts.signed, self._signature, response)
        if transaction is self._invite:
            if response.status < 200:
                self._receive_progress(transaction, response, now)
            elif response.status < 300:
                self._receive_answer(transaction, response, now)
            else:
                self._receive_refusal(transaction, response, now)
        elif response.cseq.method == "INVITE" and self._is_other_fork(response):
            self._end_fork(transaction, response, now)
        else:
            super().receive_response(transaction, response, now)

    def _receive_progress(self, transaction: ClientTransaction, response: Response, now: Now) -> None:
        if self.ended:
            return
        self.note_methods(response)
        self.connected.heard(response)
        fork = self._fork_of(transaction, response)
        rseq = rseq_of(response) if fork is not None else None
        if fork is not None and rseq is not None:
            if fork.rseq is not None and rseq != fork.rseq + 1:
                self._acknowledge_progress_again(fork, rseq)
                return
            owing = self._fork is not None and self._fork.owes is not None
            if owing and (fork is self._fork or response.body):
                return  # one offer at a time: as long as we do not acknowledge this one, it will be repeated
            fork.rseq = rseq
        if response.status == EARLY_DIALOG_OVER:  # of that fork; the caller's dialog with us goes on
            self._forks.pop(response.to.tag, None)
            return
        try:
            body = sdp_of(response)
        except SipError:
            body = None
        description = None
        if body is not None:
            description = self._offered_early(fork, response, body, now) if not self._body else self._answered_early(fork, rseq, body, now)
        if fork is not None and rseq is not None and not self.ended and fork.owes is None:
            self._acknowledge_progress(fork, response, b"", now)
        if not self.ended:
            self.say(Progressed(response.status, response.reason, description, rseq is not None, read_answer(response, self.party)), now)

    def _answered_early(self, fork: Fork | None, rseq: int | None, body: bytes, now: Now) -> Description | None:
        """The answer to our INVITE's offer; once it came reliably, what comes after it is a repetition."""
        if fork is not None:
            self._enter(fork, now)
            if self.settled:
                return self.described
        with contextlib.suppress(SipError):  # early media we cannot use is no reason to end a call that may still be answered
            self._take_first_answer(body)
            if rseq is not None:
                self.settled = True
            return self.described
        return None

    def _offered_early(self, fork: Fork | None, response: Response, body: bytes, now: Now) -> Description | None:
        """Our INVITE had no offer: a reliable 1xx may make one, which the PRACK answers (RFC 3262 s5). Another 1xx may not."""
        if fork is None or rseq_of(response) is None:
            return None
        self._enter(fork, now)
        if self.settled or fork.owes is not None:
            return self.described
        fork.owes = response
        try:
            self.described = self.media.receive_offer(body, self.flow.secure)
        except SipError as error:
            self._answer_in_prack(fork, Settled(None, Cause(error.status, error.reason, by="sbc", note="bad offer")), now)
            return None
        return self.described

    def _answer_in_prack(self, fork: Fork, word: Settled, now: Now) -> None:
        response, fork.owes = fork.owes, None
        assert response is not None
        cause = word.refused or Cause(488, by="sbc")
        if word.description is not None and word.refused is None:
            try:
                body = self.media.make_answer(word.description, self.context.ids)
            except SipError as error:
                cause = Cause(error.status, error.reason, headers=error.headers, by="sbc", note="offer not answered")
            else:
                self.far = word.description
                self.settled = True
                self._acknowledge_progress(fork, response, body, now)
                self.pay(now)
                return
        self._acknowledge_progress(fork, response, self.refusal_of_offer(response), now)
        self._cancel(cause, now)
        self.say(Released(cause), now)

    def _acknowledge_progress(self, fork: Fork, response: Response, body: bytes, now: Now) -> None:
        """PRACK: it tells which response has come, and so is not held up by what the caller thinks of it."""
        assert fork.rseq is not None
        request = fork.dialog.request(
            "PRACK",
            via=self.sent_by.via(self.context.ids.branch()),
            headers=(("RAck", str(RAck(fork.rseq, response.cseq))), *self.session.rows(Side.B)),
            body=body,
            content_type=SDP_TYPE if body else "",
        )
        transaction = self.dispatch(sent(self.party, request), now, self, fork.dialog)
        fork.prack = request.encode(), transaction.flow

    def _acknowledge_progress_again(self, fork: Fork, rseq: int) -> None:
        """Out of order is dropped and will be repeated; a repetition gets the same octets, and is looked at no further (RFC 3262 s4)."""
        if rseq == fork.rseq and fork.prack is not None:
            self.context.emit(Send(*fork.prack))

    def _receive_answer(self, transaction: ClientTransaction, response: Response, now: Now) -> None:
        self._invite, self._answered = None, transaction
        self.note_methods(response)
        self.connected.heard(response)
        before = self._fork
        fork, readable = self._confirmed(transaction, response)
        self._enter(fork, now)
        self._forks.clear()
        self.early = False
        cancelled = self._cancelled  # 200 crossed our CANCEL (RFC 3261 s13.2.2.4)
        if cancelled or self._body or self.settled:
            self.acknowledge(response, now, b"" if self._body or self.settled else self.refusal_of_offer(response))
        if cancelled:
            self.ended = False
            self._say_bye(Cause(200, by="sbc"), now)
            return
        try:
            if not readable:
                raise SipError("malformed Contact or Record-Route", status=502, reason="Bad Gateway")
            self._read_answer(response)
        except SipError as error:
            self._unanswered = None if self._body or self.settled else response
            self.give_up(Cause(error.status, error.reason, by="sbc", note=f"bad answer: {error}"), now)
            return
        self.settled = True
        self._timer.agree_as_client(response, self.takes_update)
        self._timer.start(now)
        if self._dialled and fork is not before and fork.told != self.far:  # the caller has changed its mind with another fork since
            self._owed, self.far = self._owed or self.far, fork.told
        self.say(Answered(self.described, read_answer(response, self.party)), now)
        self.pay(now)

    def _confirmed(self, transaction: ClientTransaction, response: Response) -> tuple[Fork, bool]:
        fork = self._forks.get(response.to.tag)
        if fork is not None:
            try:
                fork.dialog.receive_response(response)
            except ParseError:
                return fork, False
            return fork, True
        dialog, readable = dialog_of(transaction.request, response)
        return Fork(dialog, self._opening, self._dialled), readable

    def _read_answer(self, response: Response) -> None:
        """What the 2xx says of the session. Raises SipError when that is no answer, or no offer where one is due."""
        body = sdp_of(response)
        if self.settled:
            return
        if not self._body:
            self._proposed = self.described = self.media.receive_offer(body or b"", self.flow.secure)
            self._unanswered = response
        elif body is not None:
            self._take_first_answer(body)
        elif self.described is None:
            raise SipError(status=488, reason="Not Acceptable Here")

    def _take_first_answer(self, body: bytes) -> None:
        """Raises SipError. Where we made the offer for a caller who had none, the caller is taken at what the callee chose of it."""
        self.described = self.media.receive_answer(body)
        self.far = self.far or self.described

    def _receive_refusal(self, transaction: ClientTransaction, response: Response, now: Now) -> None:
        if response.status == 422 and not self._min_se_retried and not self.ended:
            self._min_se_retried = True
            self._forks.clear()  # early dialogs end with their INVITE
            self._fork = self.dialog = None
            self.settled = False
            self.media.resume(self._opening)
            self._timer.lengthen(response)  # same Call-ID and From tag, next CSeq (RFC 4028 s7.3)
            self._send_invite(transaction.request.cseq.number + 1, now)
            return
        cause = taken_for(self.party, cause_of_response(response, self.party))
        if cause.status == 503 or (cause.status == FLOW_FAILED and self.target.route):
            self.failure = Failure(answered=True, retry_after=seconds_of(response) or 0)
        self._fail(cause, now)

    def _fail(self, cause: Cause, now: Now) -> None:
        self._invite = None
        already_ended = self.ended
        self.end(now)
        if not already_ended:
            self.say(Released(cause), now)

    def transaction_failed(self, transaction: ClientTransaction, cause: Literal["timeout", "transport"], now: Now) -> None:
        if transaction is self._invite:
            # "treated as if a 408 / 503 … had been received" (RFC 3261 s8.1.3.1)
            self.failure = Failure(answered=False)
            self._fail(Cause(408 if cause == "timeout" else 503, note=cause), now)
        else:
            super().transaction_failed(transaction, cause, now)

    def end(self, now: Now) -> None:
        super().end(now)
        self._forks.clear()
        if self._answered is not None:  # or the call would live on in memory for another 32 s
            self._answered.release()
            self._answered = None

    def _forget(self) -> None:
        self.context.dialogs.pop((self.call_id, self.local_tag), None)

    # Other forks: the first 2xx won (RFC 3261 s13.2.2.4)

    def _is_other_fork(self, response: Response) -> bool:
        return not self.early and self.dialog is not None and 200 <= response.status < 300 and response.to.tag != self.dialog.remote_tag

    def _end_fork(self, transaction: ClientTransaction, response: Response, now: Now) -> None:
        fork, _ = dialog_of(transaction.request, response)
        refusal = b"" if self._body else self.refusal_of_offer(response)
        ack = fork.ack(
            response.cseq.number,
            via=self.sent_by.via(self.context.ids.branch()),
            headers=self._proof,
            body=refusal,
            content_type=SDP_TYPE if refusal else "",
        )
        self.context.emit(Send(sent(self.party, ack).encode(), self.flow))
        bye = fork.request("BYE", via=self.sent_by.via(self.context.ids.branch()), contact=None)
        again = answering(self.context, self.party, fork)
        self.context.transactions.client(sent(self.party, bye), self.flow, now, self, self.party.timers, again=again)
