"""A subscription that passes (RFC 6665): a dialog of its own with the subscriber and with the notifier, and NOTIFYs between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from media.api import Side
from sbc.call.answering import answering
from sbc.call.asking import MAX_QUESTIONS, Question
from sbc.call.bridge import Invitation
from sbc.call.callee import Target
from sbc.call.causes import cause_of_response
from sbc.call.context import Context
from sbc.call.editing import hearing, sending
from sbc.call.message import check_size, crossing_rows, event_of, far_request, may_take, told_of
from sbc.call.search import Search
from sbc.call.session_ids import SessionIds
from sbc.call.usage import Usage
from sbc.call.words import Asked, Cause
from sbc.clock import Now
from sbc.errors import ParseError, SipError
from sbc.flow import Flow
from sbc.policy.realms import Realm
from sbc.policy.snapshot import Party, Route, Snapshot
from sbc.sip.dialog import Dialog, record_route_rows
from sbc.sip.fields.expires import expires, parse_expires
from sbc.sip.fields.subscription_state import SubscriptionState
from sbc.sip.message import Request, Response
from sbc.sip.names import EXPIRES, SUBSCRIPTION_STATE
from sbc.sip.timers import Timer
from sbc.sip.transactions import ClientTransaction, ServerTransaction
from sbc.sip.validate import hops_left

DEFAULT_EXPIRES_S = 3600  # when neither side says anything; most event packages name an hour
LONGEST_S = 86_400  # what a subscription may hold of our memory without a word: nobody needs more than a day
LAST_NOTIFY_WITHIN_S = 32.0  # after it has expired or ended: 64*T1 (RFC 6665 s4.1.2.4, Timer N)
# Answers to a NOTIFY after which there is no subscription any more (RFC 6665 s4.2.2); what may pass by is 5xx and challenges.
ENDING = frozenset({404, 405, 408, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604})

Hear = Callable[["End", ServerTransaction, Now], None]


class End(Usage):
    """The dialog with one of the two. The notifier's may be made by its first NOTIFY, which can overtake the 2xx."""

    def __init__(self, context: Context, side: Side, party: Party, realm: Realm, flow: Flow, call_id: str, hear: Hear) -> None:
        super().__init__(context, side, party, realm, flow, SessionIds(context.ids))
        self.call_id = call_id
        self._hear = hear
        self._questions = 0
        context.dialogs[call_id, self.local_tag] = self

    def receive_request(self, request: Request, flow: Flow, now: Now) -> None:
        if request.method == "ACK":
            return
        if self.dialog is None:
            if request.method != "NOTIFY":
                raise SipError(status=481, reason="Subscription Does Not Exist")
            self.dialog = Dialog.from_request(request, self.local_tag)
            self.dialog.local_cseq = 1  # of our SUBSCRIBE
        if request.from_.tag != self.dialog.remote_tag:
            raise SipError("another fork's dialog", status=481, reason="Subscription Does Not Exist")
        self.dialog.receive(request)
        self.heard_from(flow)
        self._hear(self, self.context.transactions.server(request, flow, now, None, self.party.timers, sending(self.party)), now)

    def ask(self, word: Asked, answered: Callable[[Asked, Cause, Now], None], now: Now) -> None:
        """Send it in the dialog; `answered` hears of the outcome after whoever asked."""
        if self._questions >= MAX_QUESTIONS or self.dialog is None:
            word.reply(Cause(500, headers=(("Retry-After", "1"),), by="sbc"), now)
            return
        self._questions += 1

        def settled(word: Asked, cause: Cause, now: Now) -> None:
            self._questions -= 1
            answered(word, cause, now)

        self.dispatch(self.asking(word), now, Question(self.party, word, settled))

    def forget(self) -> None:
        self.context.dialogs.pop((self.call_id, self.local_tag), None)


class Subscription:
    """`ended` is called once, when nothing is left of it."""

    def __init__(
        self,
        context: Context,
        snapshot: Snapshot,
        route: Route,
        invitation: Invitation,
        near: tuple[Party, Flow],
        transaction: ServerTransaction,
        ended: Callable[[Subscription], None],
    ) -> None:
        """Raises ParseError when the SUBSCRIBE cannot make a dialog."""
        request = transaction.request
        party, flow = near
        self.party = party
        self._context = context
        self._snapshot = snapshot
        self._invitation = invitation
        self._request = request
        self._asked: ServerTransaction | None = transaction
        self._event = event_of(request, party)
        self._ended = ended
        self._over = False
        self._timer: Timer | None = None
        self._far: End | None = None
        self._search = Search(context, snapshot, route, invitation, lambda party: may_take(party, request), self._attempt, self._refuse)
        dialog = Dialog.from_request(request, "")
        self._near = End(context, Side.A, party, snapshot.realms[party.realm], flow, request.call_id, self._from_subscriber)
        dialog.local = dialog.local.with_tag(self._near.local_tag)
        self._near.dialog = dialog

    def begin(self, now: Now) -> None:
        self._search.next(now)

    def release(self, now: Now) -> None:
        """We go: both sides are told, and the subscriber that it may try again (RFC 6665 s4.1.3)."""
        far = self._far
        if self._asked is not None:
            self._refuse(Cause(503, by="sbc", out_of_service=True), now)
        elif not self._over:
            state = (("Event", str(self._event)), ("Subscription-State", "terminated;reason=deactivated"))
            self._near.ask(Asked("NOTIFY", 70, state, b"", _unasked), _nothing_more, now)
            if far is not None and far.dialog is not None:
                rows = (("Event", str(self._event)), ("Expires", "0"))
                far.ask(Asked("SUBSCRIBE", 70, rows, b"", _unasked), _nothing_more, now)
            self._end(now)

    # The SUBSCRIBE that makes it

    def _attempt(self, target: Target, now: Now) -> Cause | None:
        context = self._context
        if self._over:  # while an address was looked up
            return Cause(487, by="sbc")
        if self._far is not None:
            self._far.forget()
        realm = self._snapshot.realms[target.party.realm]
        self._far = far = End(context, Side.B, target.party, realm, target.flow, context.ids.call_id(), self._from_notifier)
        contact = (*target.route_rows, ("Contact", far.contact))
        branch = context.ids.branch()
        names = (branch, far.call_id, far.local_tag)
        request = far_request(self._request, self._invitation, target.party, target.uri, far.sent_by, *names, contact)
        if target.flow.secure and target.server_name:
            context.peers.expect(target.server_name, target.flow)
        again, heard = answering(context, target.party), hearing(target.party)
        context.transactions.client(request, target.flow, now, self, target.party.timers, again=again, heard=heard)
        return None

    def receive_response(self, transaction: ClientTransaction, response: Response, now: Now) -> None:
        far, asked = self._far, self._asked
        if response.status < 200 or far is None or asked is None:
            return
        cause = cause_of_response(response, far.party)
        if response.status >= 300:
            self._search.failed(cause, now)
            return
        try:
            if far.dialog is None:
                far.dialog = Dialog.from_response(transaction.request, response)
        except ParseError:
            self._refuse(Cause(502, by="sbc"), now)
            return
        self._asked = None
        self._accept(asked, cause, now)

    def transaction_failed(self, transaction: ClientTransaction, cause: Literal["timeout", "transport"], now: Now) -> None:
        if cause == "timeout":  # nobody waits for an answer any more (RFC 4320 s4.2)
            self._refuse(Cause(408, by="sbc"), now)
        else:
            self._search.failed(Cause(503, by="sbc"), now)

    def _refuse(self, cause: Cause, now: Now) -> None:
        asked, self._asked = self._asked, None
        if asked is not None:
            told = told_of(cause)
            self._near.respond(asked, told.status, told.reason, told.headers, now=now)
        self._end(now)

    def _accept(self, transaction: ServerTransaction, cause: Cause, now: Now) -> None:
        """2xx to a SUBSCRIBE: how long it lasts is what the notifier said."""
        request = transaction.request
        told = next((parse_expires(value) for name, value in cause.headers if name == EXPIRES), None)
        asked = expires(request.headers)
        named = [value for value in (told, asked) if value is not None] or [DEFAULT_EXPIRES_S]
        seconds = min(*named, LONGEST_S)
        rows = (("Contact", self._near.contact), ("Expires", str(seconds)), *record_route_rows(request))
        self._near.respond(transaction, 200, headers=rows, now=now)
        self._expect(seconds + LAST_NOTIFY_WITHIN_S, now)

    # Within it

    def _from_subscriber(self, end: End, transaction: ServerTransaction, now: Now) -> None:
        """Another SUBSCRIBE renews it, or ends it with Expires 0; the last NOTIFY is still to come."""
        request = transaction.request

        def reply(cause: Cause, now: Now) -> None:
            if cause.status < 300:
                self._accept(transaction, cause, now)
            else:
                told = told_of(cause)
                end.respond(transaction, told.status, told.reason, told.headers, now=now)

        try:
            if request.method != "SUBSCRIBE":
                raise SipError(status=405, reason="Method Not Allowed")
            if event_of(request, end.party).package != self._event.package:
                raise SipError(status=489, reason="Bad Event")
            check_size(request)
            word = Asked("SUBSCRIBE", hops_left(request), crossing_rows(request), request.body, reply)
        except SipError as error:
            end.respond(transaction, error.status, error.reason, error.headers, now=now)
            return
        if self._far is None or self._over:
            end.respond(transaction, 481, now=now)
        else:
            self._far.ask(word, self._renewed, now)

    def _renewed(self, word: Asked, cause: Cause, now: Now) -> None:
        if cause.status == 481:  # the notifier knows nothing of it (RFC 6665 s4.1.2.2)
            self._end(now)

    def _from_notifier(self, end: End, transaction: ServerTransaction, now: Now) -> None:
        request = transaction.request

        def reply(cause: Cause, now: Now) -> None:
            told = told_of(cause)
            end.respond(transaction, told.status, told.reason, told.headers, now=now)

        try:
            if request.method != "NOTIFY":
                raise SipError(status=405, reason="Method Not Allowed")
            if event_of(request, end.party).package != self._event.package:
                raise SipError(status=489, reason="Bad Event")
            check_size(request)
            state = SubscriptionState.parse(request.headers.first(SUBSCRIPTION_STATE) or "")
            rows = (*crossing_rows(request), ("Subscription-State", str(state.told)))
            word = Asked("NOTIFY", hops_left(request), rows, request.body, reply)
        except SipError as error:
            end.respond(transaction, error.status, error.reason, error.headers, now=now)
            return
        if self._over or end is not self._far:
            end.respond(transaction, 481, now=now)
            return

        def answered(word: Asked, cause: Cause, now: Now) -> None:
            if cause.status in ENDING:
                self._end(now)

        self._near.ask(word, answered, now)
        if state.terminated:
            self._end(now)

    # The end

    def _expect(self, seconds: float, now: Now) -> None:
        """Nothing lasts longer than this without another SUBSCRIBE."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if self._over else self._context.timers.start(now.monotonic + seconds, self._end)

    def _end(self, now: Now) -> None:
        if self._over:
            return
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        self._near.forget()
        if self._far is not None:
            self._far.forget()
        self._ended(self)


def _unasked(cause: Cause, now: Now) -> None:
    """Nobody waits for this answer."""


def _nothing_more(word: Asked, cause: Cause, now: Now) -> None:
    """Whatever it was, it is over."""
