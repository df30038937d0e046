"""The leg that faces the caller: we are the UAS of its INVITE (RFC 3261 s13.3)."""

from __future__ import annotations

import contextlib

from media.api import Side
from sbc.call.causes import status_told
from sbc.call.context import Context
from sbc.call.crossing import Said, rows_for
from sbc.call.leg import Hear, Leg
from sbc.call.session_ids import SessionIds
from sbc.call.usage import HeaderRows
from sbc.call.words import Answered, Cause, Offered, Progressed, Released, Word
from sbc.clock import Now
from sbc.errors import SipError
from sbc.flow import Flow
from sbc.policy.snapshot import Party, Realm, User
from sbc.sdp.offer import MediaLeg
from sbc.sip.dialog import Dialog, record_route_rows
from sbc.sip.message import Request
from sbc.sip.multipart import sdp_of
from sbc.sip.timers import Timer
from sbc.sip.transactions import ServerTransaction

PROGRESS_REPEAT_S = 60.0  # "at least once every minute", so that no proxy's Timer C fires (RFC 3261 s13.3.1.1)


class CallerLeg(Leg):
    """Answers the INVITE it was made for: 100 at once, then what the call tells."""

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
        self.contact = self.sent_by.contact(self.local_tag, transaction.request.uri)
        session.learn(Side.A, transaction.request.headers)
        self._invite: ServerTransaction | None = transaction
        self._offerless = False
        self._progress: Progressed | None = None
        self._progress_timer: Timer | None = None
        self.respond(transaction, 100, now=now)

    def begin(self, request: Request, now: Now) -> None:
        """Read the offer and say `Offered`. Raises SipError: 422, 400 for a broken description, 488."""
        self._timer.agree_as_server(request)
        body = sdp_of(request)
        self._offerless = body is None
        if body is not None:
            self.described = self.media.receive_offer(body, self.flow.secure)
        self.dialog = Dialog.from_request(request, self.local_tag)
        self.record_route = tuple(record_route_rows(request))
        self.hear(self, Offered(self.described), now)

    def tell(self, word: Word, now: Now) -> None:
        if self._invite is None:
            super().tell(word, now)
            return
        match word:
            case Progressed():
                self._say_progress(word, now)
            case Answered(description, _, said):
                self.far = description or self.far
                self._say_answer(said, now)
            case Released(cause):
                self.refuse(cause, now)
            case _:
                raise AssertionError(f"{word!r} to a caller who waits for an answer")

    def refuse(self, cause: Cause, now: Now) -> None:
        """The final answer is no."""
        invite, self._invite = self._invite, None
        if invite is not None:
            headers = (*cause.headers, *(("Reason", value) for value in cause.reasons), *self._told(cause.said))
            status, reason = status_told(self.party, cause)
            self.respond(invite, status, reason, headers, now=now)
        self._end(now)

    def cancel(self, cause: Cause, now: Now) -> None:
        """The peer's CANCEL found our INVITE transaction (RFC 3261 s9.2). After a final answer it changes nothing."""
        if self._invite is None:
            super().cancel(cause, now)
            return
        self.refuse(Cause(487), now)
        self.hear(self, Released(cause), now)

    def flow_closed(self, now: Now) -> None:
        """The connection of a ringing caller is gone: nobody could be told of an answer.

        But a trunk that we also call listens, so that its answers find it by another one (RFC 3261 s18.2.2).
        """
        if self._invite is not None and (isinstance(self.party, User) or self.party.peer is None):
            self.cancel(Cause(487, by="sbc", note="caller's connection closed"), now)

    def _say_progress(self, word: Progressed, now: Now) -> None:
        assert self._invite is not None and self.dialog is not None
        self._progress = word
        body = b""
        if word.description is not None and not self._offerless:
            self.far = word.description
            with contextlib.suppress(SipError):  # early media we cannot pass on is no reason to end the call
                body = self.media.make_answer(word.description, self.context.ids)
        self.context.dialogs[self.dialog.call_id, self.local_tag] = self
        headers = (("Contact", self.contact), *self.record_route, *self._told(word.said))
        self.respond(self._invite, word.status, word.reason, headers, body, now=now)
        self._stop_progress()
        self._progress_timer = self.context.timers.start(now.monotonic + PROGRESS_REPEAT_S, self._repeat_progress)

    def _repeat_progress(self, now: Now) -> None:
        if self._invite is not None and self._progress is not None:
            self._say_progress(self._progress, now)

    def _say_answer(self, said: Said, now: Now) -> None:
        assert self._invite is not None and self.dialog is not None and self.far is not None
        self._stop_progress()
        try:
            body = self._our_offer(self.far) if self._offerless else self.media.make_answer(self.far, self.context.ids)
        except SipError as error:  # what the callee chose, the caller never offered
            self.refuse(Cause(error.status, error.reason, headers=error.headers, by="sbc", note="no codec in common"), now)
            self.hear(self, Released(Cause(error.status, by="sbc", note="no codec in common")), now)
            return
        invite, self._invite = self._invite, None
        self.context.dialogs[self.dialog.call_id, self.local_tag] = self
        self._accept(invite, body, now, self._told(said), offers=self._offerless)
        self.record_route = ()

    def _told(self, said: Said) -> HeaderRows:
        return tuple(rows_for(said, self.party, self.sent_by.host))

    def renew(self, now: Now) -> None:
        """The next target's media will come from elsewhere: a caller ignores a second description in the dialog it has
        (RFC 3261 s13.2.1), so that from here on we speak as another fork.
        """
        if self._invite is None or self.dialog is None or self._progress is None or self._progress.description is None:
            return
        self._forget()
        self.local_tag = self.context.ids.tag()
        self.contact = self.sent_by.contact(self.local_tag, self._invite.request.uri)
        self.dialog = Dialog.from_request(self._invite.request, self.local_tag)
        self._progress = None
        self._stop_progress()

    def _receive_reinvite(self, transaction: ServerTransaction, now: Now) -> None:
        if self._invite is not None:
            self.busy(transaction, now)
        else:
            super()._receive_reinvite(transaction, now)

    def _end(self, now: Now) -> None:
        self._stop_progress()
        if self._invite is not None:  # BYE in an early dialog: "pending requests … 487" (RFC 3261 s15.1.2)
            invite, self._invite = self._invite, None
            self.respond(invite, 487, now=now)
        super()._end(now)

    def _stop_progress(self) -> None:
        if self._progress_timer is not None:
            self._progress_timer.cancel()
            self._progress_timer = None
