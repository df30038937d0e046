"""The leg that faces the caller: we are the UAS of its INVITE (RFC 3261 s13.3)."""

from __future__ import annotations

from media.api import Side
from sbc.call.causes import status_told
from sbc.call.change import differ
from sbc.call.context import Context
from sbc.call.crossing import Said, rows_for
from sbc.call.editing import sending
from sbc.call.leg import Hear, Leg
from sbc.call.reliable import Carried, ReliableProvisionals
from sbc.call.session_ids import SessionIds
from sbc.call.usage import HeaderRows
from sbc.call.words import Answered, Cause, Changed, Named, Offered, Progressed, Released, Settled, Word
from sbc.clock import Now
from sbc.errors import ParseError, SipError
from sbc.flow import Flow
from sbc.frozen import replace
from sbc.policy.realms import Realm
from sbc.policy.snapshot import Party, User
from sbc.sdp.offer import Description, MediaLeg
from sbc.sip.dialog import Dialog, record_route_rows
from sbc.sip.fields.rack import RAck
from sbc.sip.fields.tokens import parse_tokens
from sbc.sip.message import Request
from sbc.sip.multipart import sdp_of
from sbc.sip.names import RACK, REQUIRE, SUPPORTED
from sbc.sip.timers import Timer
from sbc.sip.transactions import ServerTransaction

# Tags of ours that a late PRACK may name: one is waited for at a time, and a callee that changes its mind more often is none we have met.
MAX_RETIRED = 8
PROGRESS_REPEAT_S = 60.0  # "at least once every minute", so that no proxy's Timer C fires (RFC 3261 s13.3.1.1)


class CallerLeg(Leg):
    """Answers the INVITE it was made for: 100 at once, then what the call tells.

    The caller sees one early dialog as long as one answer holds, whichever fork or target of the callee's side speaks
    (docs/decisions/0010).
    """

    def __init__(
        self,
        context: Context,
        party: Party,
        realm: Realm,
        flow: Flow,
        transaction: ServerTransaction,
        session: SessionIds,
        media: MediaLeg,
        hear: Hear,
        now: Now,
    ) -> None:
        super().__init__(context, Side.A, party, realm, flow, session, media, hear)
        request = transaction.request
        self.contact = self.sent_by.contact(self.local_tag, request.uri)
        session.learn(Side.A, request.headers)
        required = parse_tokens(request.headers.all(REQUIRE))
        self._invite: ServerTransaction | None = transaction
        self._offerless = False
        self._wants_reliable = "100rel" in required
        self._takes_reliable = self._wants_reliable or "100rel" in parse_tokens(request.headers.all(SUPPORTED))
        self._provisionals = ReliableProvisionals(context, request.cseq, party.timers)
        self._waiting: dict[int, Progressed] = {}  # by status, until the one before has its PRACK
        self._held: Answered | None = None  # for the same
        self._opening = media.mark  # where the exchange stands for a fork that has said nothing
        self._described = False  # something of ours in the dialog we have now
        self._retired: dict[str, None] = {}  # our tags of forks that are over, the oldest first
        self._progress: Progressed | None = None
        self._progress_timer: Timer | None = None
        self.respond(transaction, 100, now=now)

    def begin(self, request: Request, now: Now) -> None:
        """Read the offer and say `Offered`. Raises SipError: 422, 400 for a broken description, 488."""
        self.note_methods(request)
        self._timer.agree_as_server(request, self.takes_update)
        body = sdp_of(request)
        self._offerless = body is None
        if body is not None:
            self.described = self.media.receive_offer(body, self.flow.secure)
        self._opening = self.media.mark
        self.connected.heard(request)
        self.dialog = Dialog.from_request(request, self.local_tag)
        self.record_route = tuple(record_route_rows(request))
        self.say(Offered(self.described), now)

    @property
    def offer(self) -> Description | None:
        """For the next callee; None: the caller left it to the callee to offer."""
        return None if self._offerless else self.described

    @property
    def answers_early(self) -> bool:
        """An offer in a reliable 1xx would get its answer: one of the caller's own, or there is none to be given."""
        return self._takes_reliable or not self._offerless

    def tell(self, word: Word, now: Now) -> None:
        if self._invite is None:
            super().tell(word, now)
            return
        match word:
            case Progressed():
                self._say_progress(word, now)
            case Answered(description):
                self._say_answer(replace(word, description=description or self.far), now)
            case Released(cause):
                self.refuse(cause if cause.status >= 300 else replace(cause, status=480), now)
            case Changed() | Offered() | Settled() | Named():
                super().tell(word, now)
            case _:
                raise AssertionError(f"{word!r} to a caller who waits for an answer")

    def refuse(self, cause: Cause, now: Now) -> None:
        """The final answer is no."""
        invite, self._invite = self._invite, None
        if invite is not None:
            headers = (*cause.headers, *(("Reason", value) for value in cause.reasons), *self._rows_of(cause.said))
            status, reason = status_told(self.party, cause)
            self.respond(invite, status, reason, headers, now=now)
        self.end(now)

    def give_up(self, cause: Cause, now: Now) -> None:
        if self._invite is None:
            super().give_up(cause, now)
            return
        self.refuse(cause, now)
        self.say(Released(cause), now)

    def cancel(self, cause: Cause, now: Now) -> None:
        """The peer's CANCEL found our INVITE transaction (RFC 3261 s9.2). After a final answer it changes nothing."""
        if self._invite is None:
            super().cancel(cause, now)
            return
        self.refuse(Cause(487), now)
        self.say(Released(cause), now)

    def flow_closed(self, now: Now) -> None:
        """The connection of a ringing caller is gone: nobody could be told of an answer.

        But a trunk that we also call listens, so that its answers find it by another one (RFC 3261 s18.2.2).
        """
        if self._invite is not None and (isinstance(self.party, User) or self.party.peer is None):
            self.cancel(Cause(487, by="sbc", note="caller's connection closed"), now)

    # Progress

    def _say_progress(self, word: Progressed, now: Now) -> None:
        assert self._invite is not None and self.dialog is not None
        if self._held is not None:
            return
        reliable = self._wants_reliable or (self._takes_reliable and (word.reliable or (self._offerless and word.description is not None)))
        if reliable and self._provisionals.waits:
            # s3: "The UAS MUST NOT send a second reliable provisional response until the first is acknowledged"
            before = self._waiting.get(word.status)
            described = word.description or (before.description if before is not None else None)
            self._waiting[word.status] = replace(word, description=described)
            return
        body = b""
        if word.description is not None and (reliable or not self._offerless):
            try:
                body = self._description(word.description)
            except SipError as error:  # early media we cannot pass on is no reason to end the call; an offer has to be answered
                if self._offerless:
                    self.say(Settled(None, Cause(error.status, error.reason, headers=error.headers, by="sbc")), now)
                    return
        self._progress = word
        for_dialog = (("Contact", self.contact), *self.record_route)
        self.context.dialogs[self.dialog.call_id, self.local_tag] = self
        if reliable:
            for_dialog += self._provisionals.headers
        headers = (*for_dialog, *self._rows_of(word.said))
        response = self.respond(self._invite, word.status, word.reason, headers, body, now=now)
        if reliable:
            carried: Carried = "" if not body else "offer" if self._offerless else "answer"
            self._provisionals.sent(response, self._invite.flow, carried, self._no_prack, now)
        self._stop_progress()
        self._progress_timer = self.context.timers.start(now.monotonic + PROGRESS_REPEAT_S, self._repeat_progress)
        if self._offerless and reliable and word.description is not None and not body:
            self.say(Settled(self.described, standing=True), now)  # to another fork's offer that says the same

    def _repeat_progress(self, now: Now) -> None:
        if self._invite is None or self._progress is None:
            return
        if self._provisionals.waits:  # it repeats itself
            self._progress_timer = self.context.timers.start(now.monotonic + PROGRESS_REPEAT_S, self._repeat_progress)
        else:
            self._say_progress(self._progress, now)

    def _rows_of(self, said: Said) -> HeaderRows:
        return (*rows_for(said, self.party, self.sent_by.host), *[("Reason", reason) for reason in self.reasons])

    def _description(self, far: Description) -> bytes:
        """Ours for what the callee's side says; empty when the caller has it already. Raises SipError.

        A caller ignores a second description in the dialog it has (RFC 3261 s13.2.1): if it would be another one, we speak as
        another fork from here on.
        """
        said = self.media.last_body if self._described else b""
        if said and not differ(far, self.far):
            return b"" if self.settled else said
        if self._offerless:
            self.renew()
            body = self.our_offer(far)
        else:
            body = self._answer_to(far)
            if said and body != said:
                self.renew()
                body = self.media.make_answer(far, self.context.ids)
        self.far = far
        self._described = True
        return b"" if self.settled else body

    def _answer_to(self, far: Description) -> bytes:
        """Our answer to the caller's last offer; empty when the last one was ours, and has been answered by the caller."""
        try:
            return self.media.make_answer(far, self.context.ids)
        except SipError:
            if not self.settled:
                raise
            return b""

    def renew(self) -> None:
        """Speak as another fork, unless nothing was described in the dialog we have."""
        if self._invite is None or self.dialog is None or not self._described:
            return
        self._retired[self.local_tag] = None
        if len(self._retired) > MAX_RETIRED:
            oldest = next(iter(self._retired))
            del self._retired[oldest]
            self.context.dialogs.pop((self.dialog.call_id, oldest), None)
        self.media.resume(self._opening)
        self.local_tag = self.context.ids.tag()
        self.contact = self.sent_by.contact(self.local_tag, self._invite.request.uri)
        self.dialog = Dialog.from_request(self._invite.request, self.local_tag)
        self.context.dialogs[self.dialog.call_id, self.local_tag] = self
        self.settled = False
        self._described = False
        self._waiting.clear()
        self._progress = None
        self._stop_progress()

    # Acknowledged progress

    def receive_request(self, request: Request, flow: Flow, now: Now) -> None:
        if request.to.tag not in self._retired or request.method == "ACK":
            super().receive_request(request, flow, now)
            return
        found = request.method == "PRACK" and self._acknowledged(request)
        transaction = self.context.transactions.server(request, flow, now, self, self.party.timers, sending(self.party))
        self.respond(transaction, 200 if found else 481, now=now)
        self._go_on(now)

    def _receive_prack(self, transaction: ServerTransaction, now: Now) -> None:
        request = transaction.request
        try:
            found = self._acknowledged(request)
            body = sdp_of(request)
        except SipError as error:
            self.respond(transaction, error.status, error.reason, now=now)
            return
        if not found:
            self.respond(transaction, 481, now=now)
        elif self._provisionals.carried == "offer":
            self._take_answer_in_prack(transaction, body or b"", now)
        else:
            self.settled = self.settled or self._provisionals.carried == "answer"
            if body is None:
                self.respond(transaction, 200, now=now)
            else:
                self._answer_prack(transaction, body, now)
        self._go_on(now)

    def _acknowledged(self, request: Request) -> bool:
        value = request.headers.first(RACK)
        if value is None:
            raise ParseError("PRACK without RAck")
        return self._provisionals.acknowledge(RAck.parse(value))

    def _take_answer_in_prack(self, transaction: ServerTransaction, body: bytes, now: Now) -> None:
        self.respond(transaction, 200, now=now)  # "MUST be responded to with a 2xx" (s3): it did match
        try:
            self.described = self.media.receive_answer(body)
        except SipError as error:
            self.give_up(Cause(error.status, error.reason, by="sbc", note="no answer in PRACK"), now)
            return
        self.settled = True
        self.say(Settled(self.described), now)

    def _answer_prack(self, transaction: ServerTransaction, body: bytes, now: Now) -> None:
        """A new offer in PRACK is answered at once, by what the callee has said (RFC 3262 s5); the callee hears of it when it can."""
        before = self.described
        if not self.settled or self.far is None or self._asked is not None or self.media.open_offer:
            self.busy(transaction, now)
            return
        try:
            self.described = self.media.receive_offer(body, self.flow.secure)
            answer = self.media.make_answer(self.far, self.context.ids)
        except SipError as error:
            self.media.rollback()
            self.described = before
            self.respond(transaction, error.status, error.reason, error.headers, now=now)
            return
        self.respond(transaction, 200, body=answer, now=now)
        self.say(Changed(self.described if differ(self.described, before) else None, "none"), now)

    def _go_on(self, now: Now) -> None:
        """Whatever waited for the PRACK."""
        if self._invite is None or self._provisionals.waits:
            return
        if self._held is not None:
            self._say_answer(self._held, now)
        elif self._waiting:
            self._say_progress(self._waiting.pop(next(iter(self._waiting))), now)
        self.pay(now)

    def _no_prack(self, now: Now) -> None:
        """ "… the UAS SHOULD reject the original request with a 5xx response" (s3)."""
        if self._invite is not None:
            self.give_up(Cause(504, by="sbc", note="no PRACK"), now)

    # The answer

    def _say_answer(self, word: Answered, now: Now) -> None:
        assert self._invite is not None and self.dialog is not None and word.description is not None
        self._stop_progress()
        self._waiting.clear()
        if self._provisionals.waits and self._provisionals.carried:
            self._held = word  # s3: no 2xx as long as a description in a reliable response is not acknowledged
            return
        self._held = None
        try:
            body = self._description(word.description)
        except SipError as error:  # what the callee chose, the caller never offered
            self.give_up(Cause(error.status, error.reason, headers=error.headers, by="sbc", note="no codec in common"), now)
            return
        invite, self._invite = self._invite, None
        self._provisionals.stop()
        self.context.dialogs[self.dialog.call_id, self.local_tag] = self
        self.accept(invite, body, now, self._rows_of(word.said), offers=self._offerless and bool(body))
        self.record_route = ()
        if self._offerless and not body:
            self.say(Settled(self.described, standing=True), now)  # as above

    def receive_change(self, transaction: ServerTransaction, now: Now) -> None:
        if self._invite is not None and transaction.method == "INVITE":
            self.busy(transaction, now)
        else:
            super().receive_change(transaction, now)

    def end(self, now: Now) -> None:
        self._stop_progress()
        self._provisionals.stop()
        if self._invite is not None:  # BYE in an early dialog: "pending requests … 487" (RFC 3261 s15.1.2)
            invite, self._invite = self._invite, None
            self.respond(invite, 487, now=now)
        super().end(now)

    def _forget(self) -> None:
        super()._forget()
        if self.dialog is not None:
            for tag in self._retired:
                self.context.dialogs.pop((self.dialog.call_id, tag), None)

    def _stop_progress(self) -> None:
        if self._progress_timer is not None:
            self._progress_timer.cancel()
            self._progress_timer = None
