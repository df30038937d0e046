"""Offers and answers within a dialog: what the other leg wants of this peer, and the peer of the other leg (RFC 3264, RFC 6337)."""

from __future__ import annotations

from typing import Literal

from media.api import Side
from sbc.call.abilities import recv_info
from sbc.call.answer import PendingAnswer
from sbc.call.causes import refusal_to_peer
from sbc.call.change import GLARE, Change, Changing, differ
from sbc.call.usage import HeaderRows
from sbc.call.words import Cause, Changed, Offered, Settled, Word
from sbc.clock import Now
from sbc.errors import SipError
from sbc.sdp.offer import Description
from sbc.sip.message import Request
from sbc.sip.multipart import sdp_of
from sbc.sip.transactions import ServerTransaction

UPDATE_WITHIN_S = 16.0  # for ours to an UPDATE: half of what its sender waits (Timer F), which gave it to us a hop or two later


class Negotiation(Changing):
    """One exchange after the other, whoever begins it."""

    # What the other leg wants

    def offer_change(self, word: Changed | Offered, now: Now) -> None:
        if isinstance(word, Changed) and word.patience == "none":
            self._owed = word.description
            self.pay(now)
            return
        quick = self.early or (isinstance(word, Changed) and word.patience == "a transaction")
        obstacle = GLARE if self.early and isinstance(word, Offered) else self._obstacle()
        try:
            if obstacle is not None:
                self.say(Settled(None, obstacle), now)
                return
            body = self.our_offer(word.description) if isinstance(word, Changed) else b""
        except SipError as error:
            self.say(Settled(None, Cause(error.status, error.reason, headers=error.headers, by="sbc")), now)
            return
        self._send_change(Change("UPDATE" if body and quick and self.takes_update else "INVITE", body, word.description, "asked"), now)

    def answer_change(self, word: Settled, now: Now) -> None:
        if self._unanswered is not None:
            self._answer_in_ack(word, now)
            return
        if word.standing and (self._asked is not None or self._withdrawn):
            return
        asked = self._take_asked()
        if self.ended:
            return
        if asked is None:
            self._settle_without_asking(word, now)
        elif word.refused is not None:
            self.media.rollback()
            told = refusal_to_peer(word.refused)
            headers = (*told.headers, *(("Reason", value) for value in told.reasons))
            self.respond(asked, told.status, told.reason, headers, now=now)
        elif self._proposed is None:
            self._pass_offer(asked, word.description, now)
        else:
            self._pass_answer(asked, word.description or self.far, now)
        self.pay(now)

    def _take_asked(self) -> ServerTransaction | None:
        asked, self._asked = self._asked, None
        if self._asked_timer is not None:
            self._asked_timer.cancel()
            self._asked_timer = None
        return asked

    def _pass_offer(self, asked: ServerTransaction, far: Description | None, now: Now) -> None:
        try:
            body = self.our_offer(far)
        except SipError as error:
            self.respond(asked, error.status, error.reason, error.headers, now=now)
            self.say(Settled(None, Cause(error.status, error.reason, by="sbc")), now)
            return
        self._told(far)
        self.accept(asked, body, now, offers=True)

    def _pass_answer(self, asked: ServerTransaction, far: Description | None, now: Now) -> None:
        assert far is not None, "an answer answers something"
        try:
            body = self.media.make_answer(far, self.context.ids)
        except SipError as error:
            self.media.rollback()
            self.respond(asked, error.status, error.reason, error.headers, now=now)
            self.say(Changed(self.described, "none"), now)
            return
        self.described = self._proposed
        self._told(far)
        self.accept(asked, body, now)

    def _settle_without_asking(self, word: Settled, now: Now) -> None:
        """The other leg speaks of a change nobody here waits for: it is taken back, it was taken back too late, or it is news."""
        withdrawn, self._withdrawn = self._withdrawn, ""
        if word.refused is not None:
            if self._change is not None and self._change.purpose == "asked":
                self._cancel_change(now)
        elif withdrawn:
            self.say(Changed(self.described, "none") if withdrawn == "an offer" else Settled(None, Cause(487)), now)
        elif word.description is not None and differ(word.description, self.far):
            self._owed = word.description

    def _answer_in_ack(self, word: Settled, now: Now) -> None:
        """The peer's 2xx offered. If the other leg takes nothing of it, things stay as they were; if nothing was yet, that is the end."""
        response, self._unanswered = self._unanswered, None
        assert response is not None
        far = word.description if word.refused is None else self.far
        try:
            if far is None:
                raise SipError(status=488, reason="Not Acceptable Here")
            body = self.media.make_answer(far, self.context.ids)
        except SipError as error:
            self._refuse_in_ack(response, now)
            self.give_up(Cause(error.status, error.reason, by="sbc", note="offer not answered"), now)
            return
        self.described = self._proposed
        self._told(far)
        self.acknowledge(response, now, body)
        if word.refused is not None:
            self.say(Changed(self.described, "none"), now)
        self.pay(now)

    # What the peer wants

    def receive_change(self, transaction: ServerTransaction, now: Now) -> None:
        """Its re-INVITE or UPDATE."""
        request = transaction.request
        self.note_methods(request)
        if self.ended:
            self.respond(transaction, 481, now=now)
            return
        try:
            body = sdp_of(request)
            open_offer = self._open_offer() if body is not None or request.method == "INVITE" else ""
            if self._asked is not None or open_offer == "received":
                self.busy(transaction, now)
            elif open_offer == "sent":
                self.respond(transaction, 491, now=now)
            else:
                self._consider(transaction, body, now)
        except SipError as error:
            self.respond(transaction, error.status, error.reason, error.headers, now=now)

    def _open_offer(self) -> Literal["", "sent", "received"]:
        """Whose offer waits for its answer on this dialog. A 1xx that may be lost is no answer yet."""
        if self._change is not None and (self._change.method == "INVITE" or self._change.body):
            return "sent"
        if self._pending_answer is not None and self._pending_answer.offers:
            return "sent"
        if self._unanswered is not None:
            return "received"
        if self.early and not self.settled:
            return self.media.open_offer or ("received" if self.side is Side.A else "sent")
        return ""

    def _consider(self, transaction: ServerTransaction, body: bytes | None, now: Now) -> None:
        """Answer what changes nothing for the other leg ourselves, ask it about anything else."""
        update = transaction.method == "UPDATE"
        self._timer.agree_as_server(transaction.request, self.takes_update)
        if body is None:
            self.pass_name(transaction.request, now, goes_along=not update)
            if update:
                self.accept(transaction, b"", now)
            else:
                self._ask(transaction, None, Offered(None), now)
            return
        description = self.media.receive_offer(body, self.flow.secure)
        same = description == self.described
        ours = self.far is not None and (same or (update and not differ(description, self.described)))
        self.pass_name(transaction.request, now, goes_along=not ours)
        if ours:
            assert self.far is not None
            answer = self.media.make_answer(self.far, self.context.ids)
            self.described = description
            self.accept(transaction, answer, now)
            if not same:
                self.say(Changed(None), now)
            return
        self._ask(transaction, description, Changed(description, "a transaction" if update else "a person"), now)

    def _ask(self, transaction: ServerTransaction, description: Description | None, word: Word, now: Now) -> None:
        self._proposed = description
        self._asked = transaction
        if transaction.method == "INVITE":
            self.respond(transaction, 100, now=now)
        else:
            self._asked_timer = self.context.timers.start(now.monotonic + UPDATE_WITHIN_S, self._update_too_long)
        self.say(word, now)

    def _update_too_long(self, now: Now) -> None:
        self._asked_timer = None
        self.withdraw(504, now)  # RFC 3311 s5.2: 504 when it cannot be decided at once

    def withdraw(self, status: int, now: Now) -> None:
        """What the peer asked is answered so, and the other leg need not go on: the session stays as it was (RFC 3261 s14.2)."""
        asked = self._take_asked()
        if asked is not None:
            self._withdrawn = "an offer" if self._proposed is not None else "a call for one"
            self.media.rollback()
            self.respond(asked, status, now=now)
            self.say(Settled(None, Cause(487)), now)

    def accept(self, transaction: ServerTransaction, body: bytes, now: Now, told: HeaderRows = (), *, offers: bool = False) -> None:
        """2xx to an INVITE or UPDATE of the peer; to an INVITE it is repeated until its ACK. `told`: what crosses with it."""
        timer = self._timer.agree_as_server(transaction.request, self.takes_update)
        routes = self.record_route if transaction.method == "INVITE" else ()
        info = recv_info(self.party, self.across) if transaction.method == "INVITE" else ()
        headers = (("Contact", self.contact), *routes, *info, *timer, *(told or self.connected.rows(self.sent_by.host)))
        response = self.respond(transaction, 200, headers=headers, body=body, now=now)
        if transaction.method == "INVITE":
            self.early = False
            self.settled = True
            if self._pending_answer is not None:
                self._pending_answer.stop()
            self._pending_answer = PendingAnswer(self.context, response, transaction.flow, offers, self._no_ack, now, self.party.timers)
        if not self.early:
            self._timer.start(now)

    def receive_ack(self, request: Request, now: Now) -> None:
        """The ACK of our 2xx, which is over with this."""
        pending, self._pending_answer = self._pending_answer, None
        assert pending is not None
        pending.stop()
        if pending.offers:
            try:
                self.described = self.media.receive_answer(sdp_of(request) or b"")
            except SipError as error:
                self.media.rollback()
                self.give_up(Cause(error.status, error.reason, by="sbc", note="no answer in ACK"), now)
                return
            self.say(Settled(self.described), now)
        self.pay(now)

    def _no_ack(self, now: Now) -> None:
        self._pending_answer = None
        self.give_up(Cause(408, by="sbc", note="no ACK"), now)

    def drop_changes(self, now: Now) -> None:
        """The dialog ends: nothing of ours waits any more, and what the peer asked is over with it (RFC 5407 s3.1.4)."""
        self._timer.close()
        self._cancel_change(now)
        self._owed = None
        if self._owed_timer is not None:
            self._owed_timer.cancel()
            self._owed_timer = None
        asked = self._take_asked()
        if asked is not None:
            self.respond(asked, 487, now=now)
        if self._unanswered is not None:
            response, self._unanswered = self._unanswered, None
            self._refuse_in_ack(response, now)
        if self._pending_answer is not None:
            self._pending_answer.stop()
            self._pending_answer = None
