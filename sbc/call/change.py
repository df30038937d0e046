"""Re-INVITEs and UPDATEs of ours: changes, what is owed to the peer, refreshes; one offer at a time (RFC 3261 s14, RFC 3311, RFC 4028)."""

from __future__ import annotations

import contextlib
from typing import Literal

from media.api import Side
from sbc.call.abilities import invite_abilities
from sbc.call.answer import PendingAnswer
from sbc.call.causes import cause_of_response
from sbc.call.connected import ConnectedIdentity
from sbc.call.context import Context
from sbc.call.crossing import NOTHING
from sbc.call.session_ids import SessionIds
from sbc.call.session_timer import SessionTimer
from sbc.call.usage import HeaderRows, Usage
from sbc.call.words import Cause, Changed, Named, Released, Settled, Word
from sbc.clock import Now
from sbc.errors import ParseError, SipError
from sbc.flow import Flow
from sbc.policy.realms import Realm
from sbc.policy.snapshot import Party
from sbc.sdp.offer import Description, MediaLeg
from sbc.sip.dialog import Dialog
from sbc.sip.message import Request, Response
from sbc.sip.multipart import sdp_of
from sbc.sip.timers import Timer
from sbc.sip.transactions import ClientTransaction, ServerTransaction

DIALOG_GONE = (408, 481)  # answers to a request inside a dialog that end the dialog (RFC 3261 s12.2.1.2, RFC 5057)
CHANGE_WITHIN_S = 60.0  # for the final answer to a re-INVITE; a person may have to agree to it, but not for ever
REFRESH_AGAIN_S = 10.0  # after a refresh was refused: long enough for a passing trouble, short against any interval

GLARE = Cause(491, by="sbc", note="glare")


class Change:
    """A re-INVITE or UPDATE of ours.

    body      our offer; empty: an UPDATE that changes nothing of the session, or an INVITE that has the peer offer
    proposed  what `far` is once the offer is agreed to
    purpose   "asked": the other leg waits for the outcome · "owed": agreed on already, without this peer ·
              "refresh": for the session timer · "named": the peer is to know who is at the other end
    """

    __slots__ = ("body", "dialog", "lengthened", "method", "proposed", "purpose", "timer", "transaction")

    def __init__(
        self,
        method: Literal["INVITE", "UPDATE"],
        body: bytes,
        proposed: Description | None,
        purpose: Literal["asked", "owed", "refresh", "named"],
    ) -> None:
        self.method = method
        self.body = body
        self.proposed = proposed
        self.purpose = purpose
        self.lengthened = False  # a 422 was obeyed already
        self.dialog: Dialog | None = None
        self.timer: Timer | None = None
        self.transaction: ClientTransaction | None = None

    @property
    def calls_for_offer(self) -> bool:
        return self.method == "INVITE" and not self.body


class Changing(Usage):
    """What both kinds of leg share of the offers we make.

    described   what the peer last said and was agreed to
    far         what the other leg's peer last said, and ours was told
    early       the dialog is not confirmed yet
    settled     its first offer has been answered so that both sides know of it: more may follow (RFC 3311 s5.1)
    """

    def __init__(self, context: Context, side: Side, party: Party, realm: Realm, flow: Flow, session: SessionIds, media: MediaLeg) -> None:
        super().__init__(context, side, party, realm, flow, session)
        self.media = media
        self.connected = ConnectedIdentity(party)
        self._owns_call_id = side is Side.B
        self.described: Description | None = None
        self.far: Description | None = None
        self.record_route: HeaderRows = ()  # to be copied into answers that make the dialog (RFC 3261 s12.1.1)
        self.ended = False
        self.early = True
        self.settled = False
        self._pending_answer: PendingAnswer | None = None
        self._asked: ServerTransaction | None = None  # re-INVITE or UPDATE of the peer, waiting for the other leg
        self._asked_timer: Timer | None = None
        self._proposed: Description | None = None  # … with this offer; None: it calls for one
        self._withdrawn: Literal["", "an offer", "a call for one"] = ""  # … and then taken back, before the other leg has spoken
        self._change: Change | None = None
        self._owed: Description | None = None  # the peer still has to be told
        self._owed_timer: Timer | None = None
        self._unanswered: Response | None = None  # 2xx with an offer, which our ACK has to answer
        self._timer = SessionTimer(context.timers, self._refresh, self._expire)

    # What a kind of leg does with the outcome

    def say(self, word: Word, now: Now) -> None:
        """To the call."""
        raise NotImplementedError

    def give_up(self, cause: Cause, now: Now) -> None:
        """End both sides for a reason of our own."""
        raise NotImplementedError

    def end(self, now: Now) -> None:
        """The dialog is over, without a BYE of ours."""
        raise NotImplementedError

    def receive_response(self, transaction: ClientTransaction, response: Response, now: Now) -> None:
        raise NotImplementedError

    def transaction_failed(self, transaction: ClientTransaction, cause: Literal["timeout", "transport"], now: Now) -> None:
        raise NotImplementedError

    # Our re-INVITEs and UPDATEs

    def our_offer(self, description: Description | None) -> bytes:
        """What the far side said, as an offer to our peer. Raises SipError when nothing of it can be offered here."""
        return self.media.make_offer(description, self.context.ids, self.flow.secure)

    def _obstacle(self) -> Cause | None:
        """Why we cannot make an offer now."""
        if self.ended or self._change or self._asked or self._pending_answer or self._unanswered:
            return GLARE
        if self.early and not self.settled:
            return GLARE
        return Cause(488, by="sbc", note="no UPDATE") if self.early and not self.takes_update else None

    def _send_change(self, change: Change, now: Now) -> None:
        headers = (*invite_abilities(self.party, self.across), *self._timer.offer, *self.connected.rows(self.sent_by.host))
        request = self.request(change.method, change.body, headers)
        change.dialog = self.dialog
        change.transaction = self.dispatch(request, now, self)
        self._change = change
        if change.method == "INVITE":
            change.timer = self.context.timers.start(now.monotonic + CHANGE_WITHIN_S, self._cancel_change)

    def _cancel_change(self, now: Now) -> None:
        """An UPDATE cannot be cancelled; if it is agreed to, whoever took it back says so once more."""
        if self._change is not None and self._change.method == "INVITE":
            assert self._change.transaction is not None
            self.context.transactions.cancel(self._change.transaction, now, self)

    def is_change(self, transaction: ClientTransaction) -> bool:
        return self._change is not None and self._change.transaction is transaction

    def _take_change(self) -> Change:
        change, self._change = self._change, None
        assert change is not None
        if change.timer is not None:
            change.timer.cancel()
        return change

    def settle_change(self, response: Response, now: Now) -> None:
        """The final answer to a re-INVITE or UPDATE of ours."""
        change = self._take_change()
        current = change.dialog is self.dialog  # else another fork has the leg by now
        self.note_methods(response)
        if response.status >= 300:
            if change.body and current:
                self.media.rollback()
            if not self.ended:
                self._change_refused(change, response, now)
                self.pay(now)
            return
        if change.method == "UPDATE":
            assert change.dialog is not None
            with contextlib.suppress(ParseError):  # a Contact we cannot read leaves the target as it was
                change.dialog.receive_response(response)
        elif self.ended or not change.calls_for_offer:
            self.acknowledge(response, now, self.refusal_of_offer(response) if change.calls_for_offer else b"")
        if self.ended:
            return
        self._timer.agree_as_client(response, self.takes_update)
        if not self.early:
            self._timer.start(now)
        self.pass_name(response, now, goes_along=change.purpose == "asked")
        if change.calls_for_offer:
            self._take_offer(response, now)
        elif change.body:
            self._take_answer(change, response, now) if current else self._fail_change(change, GLARE, now)
        self.pay(now)

    def _take_offer(self, response: Response, now: Now) -> None:
        """The 2xx to our INVITE without an offer has one."""
        try:
            self._proposed = self.media.receive_offer(sdp_of(response) or b"", self.flow.secure)
        except SipError as error:
            cause = Cause(error.status, error.reason, by="sbc", note="bad offer")
            self._refuse_in_ack(response, now)
            self.say(Settled(None, cause), now)
            self.give_up(cause, now)  # what was agreed before is over with the streams that were refused
            return
        self._unanswered = response
        self.say(Settled(self._proposed), now)

    def _refuse_in_ack(self, response: Response, now: Now) -> None:
        """ "… create an answer that rejects the offered media, and then send a BYE" (RFC 3261 s13.2.2.4, RFC 3264 s6)."""
        self.media.rollback()
        self.acknowledge(response, now, self.refusal_of_offer(response))

    def refusal_of_offer(self, message: Response) -> bytes:
        with contextlib.suppress(SipError):
            return self.media.refuse(sdp_of(message) or b"")
        return b""

    def _take_answer(self, change: Change, response: Response, now: Now) -> None:
        before = self.described
        try:
            self.described = self.media.receive_answer(sdp_of(response) or b"")
        except SipError as error:
            self.media.retract()
            self._fail_change(change, Cause(error.status, error.reason, by="sbc", note=f"bad answer: {error}"), now)
            if change.purpose == "asked":
                self._restore(now)
            return
        if change.purpose == "asked":
            self._told(change.proposed)
            self.say(Settled(self.described), now)
        else:
            self.far = change.proposed or self.far
            self.say(Changed(self.described if differ(self.described, before) else None, "none"), now)

    def _restore(self, now: Now) -> None:
        """The peer agreed to what could not be used, and believes now that what was in force is gone: that is offered once more."""
        if self._owed is not None or self._obstacle() is not None or self.far is None:
            return  # what is owed will do as well
        with contextlib.suppress(SipError):
            self._send_change(Change("UPDATE" if self.early else "INVITE", self.our_offer(self.far), self.far, "owed"), now)

    def _told(self, far: Description | None) -> None:
        """The peer knows this of the other side now; whatever was owed before is out of date."""
        self.far = far
        self._owed = None

    def _fail_change(self, change: Change, cause: Cause, now: Now) -> None:
        """Only the other leg that asked for it wants to know."""
        if change.purpose == "asked":
            self.say(Settled(None, cause), now)

    def _change_refused(self, change: Change, response: Response, now: Now) -> None:
        if response.status in DIALOG_GONE and not self.early:
            self.end(now)
            self.say(Released(cause_of_response(response, self.party)), now)
        elif response.status == 422 and not change.lengthened and change.dialog is self.dialog:
            self._timer.lengthen(response)
            self._try_longer(change, now)
        elif change.method == "UPDATE" and response.status in (405, 501) and not self.early:
            self.takes_update = False  # whatever its Allow said
            body = self.our_offer(change.proposed or self.far)
            self._send_change(Change("INVITE", body, change.proposed, change.purpose), now)
        elif change.purpose == "asked":
            self.say(Settled(None, cause_of_response(response, self.party)), now)
        elif change.purpose == "refresh":
            self._timer.again(self._back_off(response.status), now)
        elif response.status in (491, 500):
            self._owed = self._owed or change.proposed
            self.connected.untold = self.connected.untold or change.purpose == "named"
            self._owed_timer = self.context.timers.start(now.monotonic + self._back_off(response.status), self._pay_again)

    def _try_longer(self, change: Change, now: Now) -> None:
        """The same once more with the interval the peer wants (RFC 4028 s7.3)."""
        again = Change(change.method, change.body, change.proposed, change.purpose)
        again.lengthened = True
        if change.body:
            again.body = self.our_offer(change.proposed or self.far)
        self._send_change(again, now)

    def change_failed(self, cause: Literal["timeout", "transport"], now: Now) -> None:
        """No answer to our re-INVITE or UPDATE: the dialog is over (RFC 5057)."""
        change = self._take_change()
        self.media.rollback()
        failure = Cause(408 if cause == "timeout" else 503, by="sbc", note=f"{change.method}: {cause}")
        if self.early:
            self._fail_change(change, failure, now)  # the INVITE that is under way will tell more
        else:
            self.give_up(failure, now)

    # What the peer still has to be told

    def pay(self, now: Now) -> None:
        """Bring the peer in line with what was agreed on without it, as soon as that is possible."""
        if self._owed_timer is not None or self._obstacle() is not None:
            return
        if self._owed is None:
            if self.connected.untold:
                self._say_name(now)
            return
        description, self._owed = self._owed, None
        if not differ(description, self.far):
            return
        known = self.media.last_body
        try:
            body = self.our_offer(description)
        except SipError:  # nothing of it can be offered here: then it stays as it was
            return
        if body == known:  # what it was told last came to the same; whether the other side knows its answer to that is another matter
            self.media.rollback()
            self.far = description
            self.say(Changed(self.described, "none"), now)
        else:
            self._send_change(Change("UPDATE" if self.early else "INVITE", body, description, "owed"), now)

    def _pay_again(self, now: Now) -> None:
        self._owed_timer = None
        self.pay(now)

    # Who is there

    def pass_name(self, message: Request | Response, now: Now, *, goes_along: bool) -> None:
        """What the peer says of who it is, in a request or a 2xx within the dialog."""
        said = self.connected.heard(message)
        if said is not NOTHING:
            self.say(Named(said, goes_along), now)

    def learn_name(self, word: Named, now: Now) -> None:
        self.connected.learn(word.said, self.sent_by.host)
        if not word.goes_along:
            self.pay(now)

    def _say_name(self, now: Now) -> None:
        if self.takes_update:
            self._send_change(Change("UPDATE", b"", None, "named"), now)
        elif self.far is not None:
            with contextlib.suppress(SipError):
                self._send_change(Change("INVITE", self.our_offer(self.far), None, "named"), now)

    # Session timer

    def _refresh(self, now: Now) -> None:
        if self.ended:
            return
        if self._obstacle() is not None or self.far is None:
            self._timer.again(REFRESH_AGAIN_S, now)  # if what is under way succeeds, it starts the timer anew
        elif self.takes_update:  # no offer in it, so that it meets none (RFC 4028 s7.4)
            self._send_change(Change("UPDATE", b"", None, "refresh"), now)
        else:
            try:
                body = self.our_offer(self.far)
            except SipError:
                self._timer.again(REFRESH_AGAIN_S, now)
                return
            self._send_change(Change("INVITE", body, None, "refresh"), now)

    def _back_off(self, status: int) -> float:
        """Seconds. After 491 2.1-4 s as owner of the Call-ID, else 0-2 s, in steps of 10 ms (RFC 3261 s14.1)."""
        if status != 491:
            return REFRESH_AGAIN_S
        steps = int.from_bytes(self.context.ids.random(2), "big")
        return 2.1 + steps % 191 / 100 if self._owns_call_id else steps % 201 / 100

    def _expire(self, now: Now) -> None:
        self.give_up(Cause(408, by="sbc", note="session timer expired"), now)


def differ(new: Description, old: Description | None) -> bool:
    """Whether the far side has to know: addresses and keys are a matter between this peer and us."""
    return old is None or _essence(new) != _essence(old)


def _essence(description: Description) -> tuple[object, ...]:
    codecs = [(codec.key, codec.fmtp) for codec in description.codecs]
    return description.kind, description.fax, codecs, description.direction, description.ptime, description.maxptime, description.bandwidth
