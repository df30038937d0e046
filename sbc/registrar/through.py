"""Registration through us: a registrar behind us knows the password, we know the way to the phone (RFC 3327, 3608, 5626 s5).

The phone sees us as its registrar, the registrar sees us as the phone: a token of ours is its Contact. REGISTERs that would
change nothing there are answered here, as long as less than half of what it granted is over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from sbc.call.bridge import invitation_of
from sbc.call.callee import Target
from sbc.call.causes import seconds_of
from sbc.call.context import Context, SentBy
from sbc.call.editing import hearing, sent
from sbc.call.search import Search
from sbc.call.usage import LONGEST_DATAGRAM
from sbc.call.words import Cause
from sbc.clock import Now
from sbc.effects import StoreBindings
from sbc.errors import ParseError, SipError
from sbc.flow import Flow
from sbc.frozen import frozen, replace
from sbc.policy.decide import account_name, dialled
from sbc.policy.realms import Realm
from sbc.policy.snapshot import Party, Patterns, Peer, Route, Trunk
from sbc.registrar.binding import Binding, Upstream, unconnected
from sbc.registrar.bindings import Bindings
from sbc.registrar.register import BULK, RETRY_S, Registration, flow_key
from sbc.registrar.rewriting import (
    CREDENTIALS,
    TOLD,
    TOLD_ONCE,
    HeaderRows,
    contact_of,
    credentials_of,
    granted_for,
    is_refusal,
    route_to_us,
    told,
    was_wrong,
)
from sbc.registrar.tokens import Tokens, is_like_one
from sbc.shield.amplification import not_longer
from sbc.sip.fields.contact import Contact, parse_contacts
from sbc.sip.fields.cseq import CSeq
from sbc.sip.fields.expires import expires
from sbc.sip.fields.nameaddr import NameAddr, parse_list
from sbc.sip.fields.tokens import parse_tokens
from sbc.sip.message import Request, Response
from sbc.sip.names import CONTACT, RETRY_AFTER, ROUTE, SERVICE_ROUTE, SUPPORTED, VIA
from sbc.sip.status import reason_phrase
from sbc.sip.timers import Timer
from sbc.sip.transactions import ClientTransaction, ServerTransaction
from sbc.sip.uri import Uri
from sbc.sip.validate import hops_left

ASKED_S = 3600  # of the registrar at least, whatever the phone asks of us: it is to be spared the refreshes that keep a NAT open
ABSORBED = 60  # refreshes in a row that the registrar does not hear of; an hour of a phone that refreshes each minute
PATIENCE_S = 10.0  # for the registrar's answer; then the phone is told when to try again, before it gives us up
RING_S = 180.0
KEY = ""  # the account that is none: the key of our tokens is stored there


class Through:
    """Passes REGISTERs on, and finds whom a request of the registrar's network is for.

    `note_failure` is told the user and the flow of whoever the registrar did not believe.
    """

    def __init__(self, context: Context, bindings: Bindings, tokens: Tokens, note_failure: Callable[[str, Flow, Now], None]) -> None:
        self.note_failure = note_failure
        self.context = context
        self.bindings = bindings
        self.tokens = tokens
        self._find = context.tap.answered(self._addressee)

    def restore(self, stored: tuple[tuple[str, str], ...]) -> None:
        """With the key of an earlier process its tokens are ours, too."""
        for name, text in stored:
            if name == KEY:
                self.tokens.restore(text)

    def register(self, party: Party, transaction: ServerTransaction, flow: Flow, now: Now) -> None:
        """Answers the REGISTER of `party` now or later. Raises SipError for what the registrar need not be asked about."""
        request = transaction.request
        registration = Registration(request, flow, self.context.snapshot.realms[flow.realm].terms)
        if any(contact.uri.param(BULK) is not None for contact in registration.contacts or ()):
            raise SipError("bulk registration through us", status=420, reason="Bad Extension", headers=(("Unsupported", "gin"),))
        bindings = self.bindings.current(party.name, now)
        if registration.contacts != ():
            registration.applied(bindings, now)
        absorbed = self._absorbed(party, registration, request, bindings, now)
        if absorbed is not None:
            self.bindings.bind(party.name, absorbed, now)
            rows = self.rows(party, registration, absorbed, flow, now)
            self.context.transactions.respond(transaction, self.context.answer(request, 200, headers=rows), now)
        else:
            _Passing(self, party, registration, transaction, flow).begin(now)

    def rows(self, party: Party, registration: Registration, bindings: list[Binding], flow: Flow, now: Now) -> HeaderRows:
        """Headers of the 200."""
        rows = registration.answer_rows(bindings, now)
        mine = [binding.upstream for binding in bindings if binding.upstream is not None and binding.flow == flow]
        if mine and mine[-1].service_route:
            rows += ((SERVICE_ROUTE, route_to_us(self.context.sent_by(flow, party))),)
        return (*rows, *mine[-1].told) if mine else rows

    def _absorbed(
        self, party: Party, registration: Registration, request: Request, bindings: list[Binding], now: Now
    ) -> list[Binding] | None:
        """The bindings after a REGISTER that only keeps them alive; None: the registrar must hear of it."""
        known: dict[Contact, Upstream] = {}
        credentials = credentials_of(request.headers)
        for contact in registration.contacts or ():
            old = registration.matching(bindings, contact)
            if len(old) != 1 or not _only_refreshes(old[0], contact, registration, request):
                return None
            upstream = old[0].upstream
            if upstream is None or upstream.trunk != party.register_at or credentials not in ("", upstream.credentials):
                return None
            if now.monotonic >= upstream.refresh_at or upstream.absorbed + 1 >= ABSORBED:
                return None
            known[contact] = replace(upstream, absorbed=upstream.absorbed + 1)
        if not known:
            return None
        return [
            _limited(binding, known[binding.contact]) if binding.contact in known and binding.upstream is None else binding
            for binding in registration.applied(bindings, now)
        ]

    # Requests of the registrar's network

    def addressee(self, request: Request, party: Party, now: Now) -> tuple[str, str] | None:
        """The account that a request of `party` is for by a token of ours, and that token; None: there is none in it.

        Raises SipError: 403 for a token that somebody else made or that is not of that party, 430 for a flow that is gone
        (RFC 5626 s5.3), 480.
        """
        token, in_route = self._token_of(request)
        if not token:
            return None
        status, account = self._find(token, party.name, in_route, now)
        if status:
            raise SipError("a token of another party, or none", status=status, reason=reason_phrase(status))
        return account, token

    def _addressee(self, token: str, trunk: str, in_route: bool, now: Now) -> tuple[int, str]:
        found = self.bindings.found(token, now)
        if found is None:
            return (430 if in_route else 480) if self.tokens.is_ours(token) else 403, ""
        account, binding = found
        if binding.upstream is None or binding.upstream.trunk != trunk:
            return 403, ""
        return (430 if binding.lost and binding.outbound else 0), account

    def _token_of(self, request: Request) -> tuple[str, bool]:
        """And whether it stood in a Route: the one of a Path of ours comes first."""
        try:
            routes = parse_list(request.headers.all(ROUTE)[:1])
        except ParseError:
            routes = []
        for route in routes[:1]:
            user = route.uri.decoded_user
            ours = self.context.is_us(route.uri.host, route.uri.port)
            if ours and user and (is_like_one(user) or route.uri.param("ob") is not None):
                return user, True
        user = request.uri.decoded_user
        return (user, False) if is_like_one(user) else ("", False)


def tokens_of(context: Context) -> Tokens:
    """With a key that the next process finds, too."""

    def keep(key: str) -> None:
        context.emit(StoreBindings(KEY, key))

    return Tokens(context.ids, keep)


def route_of(account: str) -> Route:
    """Where a request goes that a token has named: there, and nowhere else."""
    return Route("registered", Patterns(), Patterns(), (account,), frozenset(), RING_S, "")


def called_by(request: Request, account: str) -> str:
    """The number that the registrar's network was dialling, which stands in To; or the account."""
    number = dialled(request.to.uri)
    return number if number and frozenset("+0123456789*#").issuperset(number) else account


@frozen
class _Given:
    """What the 200 of the registrar says; `default`: seconds, where a Contact has none of its own."""

    contacts: tuple[Contact, ...]
    default: int | None
    service_route: tuple[str, ...]
    told: HeaderRows


class _Passing:
    """One REGISTER on its way to the registrar, and back."""

    def __init__(self, through: Through, party: Party, registration: Registration, transaction: ServerTransaction, flow: Flow) -> None:
        context, request = through.context, transaction.request
        self._through = through
        self._context = context
        self._party = party
        self._registration = registration
        self._transaction = transaction
        self._request = request
        self._flow = flow
        self._timer: Timer | None = None
        self._names: list[tuple[Contact, str]] = []
        self._call_id = ""
        self._cseq = 0
        assert party.register_at is not None
        self._trunk = party.register_at
        # Here as there only what both know; a proxy before us has the flow to the phone, so that we cannot speak for it
        options = parse_tokens(request.headers.all(SUPPORTED))
        self._outbound = registration.outbound and "path" in options and request.headers.count(VIA) == 1
        invitation = invitation_of(request, party, dialled(request.to.uri), "", hops_left(request), emergency=False)
        route = route_of(self._trunk)
        self._search = Search(context, context.snapshot, route, invitation, _anybody, self._attempt, self._give_up)

    def begin(self, now: Now) -> None:
        bindings = self._through.bindings.current(self._party.name, now)
        for contact in self._registration.contacts or ():
            old = [binding.upstream for binding in self._registration.matching(bindings, contact) if binding.upstream is not None]
            self._names.append((contact, old[0].token if old else self._through.tokens.mint()))
            if old and old[0].trunk == self._trunk:
                self._call_id, self._cseq = old[0].call_id, old[0].cseq
        self._call_id = self._call_id or self._context.ids.call_id()
        self._timer = self._context.timers.start(now.monotonic + PATIENCE_S, self._impatient)
        self._search.next(now)

    def _attempt(self, target: Target, now: Now) -> Cause | None:
        context, flow = self._context, target.flow
        assert isinstance(target.party, Trunk)
        self._cseq += 1
        for _, token in self._names:
            self._through.bindings.note_cseq(token, self._cseq, now)
        request = self._build(flow, target.party)
        if target.stream is not None and request.length > LONGEST_DATAGRAM:
            flow = target.stream
            request = self._build(flow, target.party)
        if flow.secure and target.server_name:
            context.peers.expect(target.server_name, flow)
        context.transactions.client(request, flow, now, self, target.party.timers, heard=hearing(target.party))
        return None

    def _build(self, flow: Flow, party: Trunk) -> Request:
        context = self._context
        realm, sent_by = context.snapshot.realms[self._flow.realm], context.sent_by(flow, party)
        peer = party.peer
        assert peer is not None
        supported = "path, outbound" if self._outbound else "path"
        rows: list[tuple[str, str]] = [*self._contact_rows(sent_by), ("Supported", supported), *told(self._request.headers, CREDENTIALS)]
        if self._outbound and self._names:
            rows.append(("Path", route_to_us(sent_by, self._names[0][1], ";ob")))
        account = NameAddr("", _at_registrar(self._request.to.uri, realm, peer))
        request = Request.build(
            "REGISTER",
            _at_registrar(self._request.uri, realm, peer),
            via=sent_by.via(context.ids.branch()),
            from_=account.with_tag(context.ids.tag()),  # nobody registers somebody else (RFC 3261 s10.2)
            to=account,
            call_id=self._call_id,
            cseq=CSeq(self._cseq, "REGISTER"),
            max_forwards=hops_left(self._request),
            headers=rows,
        )
        return sent(party, request)

    def _contact_rows(self, sent_by: SentBy) -> HeaderRows:
        registration = self._registration
        if registration.contacts is None:
            return (("Contact", "*"), ("Expires", "0"))
        asked = [(contact, token, registration.asked(contact)) for contact, token in self._names]
        return tuple(
            [("Contact", contact_of(contact, token, sent_by, max(seconds, ASKED_S) if seconds else 0)) for contact, token, seconds in asked]
        )

    def receive_response(self, transaction: ClientTransaction, response: Response, now: Now) -> None:
        if response.status < 200:
            return
        if response.status < 300:
            self._accepted(transaction, response, now)
        elif is_refusal(response):
            if was_wrong(self._request.headers, response):
                self._through.note_failure(account_name(self._party), self._flow, now)
            rows = told(response.headers, (*TOLD_ONCE, RETRY_AFTER))
            self._answer(response.status, response.reason, rows, now)
        else:
            self._search.failed(Cause(503, by="sbc", headers=((RETRY_AFTER, str(seconds_of(response) or RETRY_S)),)), now)

    def transaction_failed(self, transaction: ClientTransaction, cause: Literal["timeout", "transport"], now: Now) -> None:
        self._search.failed(Cause(503, by="sbc", note=cause), now)

    def _accepted(self, transaction: ClientTransaction, response: Response, now: Now) -> None:
        """It is registered there: from now on it is here, for no longer."""
        bindings = self._through.bindings.current(self._party.name, now)
        try:
            contacts = parse_contacts(response.headers.all(CONTACT)) or ()
            service_route = tuple([str(route) for route in parse_list(response.headers.all(SERVICE_ROUTE))])
        except ParseError:
            self._give_up(Cause(503, by="sbc", note="the registrar's 200 cannot be read"), now)
            return
        given = _Given(contacts, expires(response.headers), service_route, told(response.headers, TOLD))
        try:
            if self._registration.contacts != ():
                applied = self._registration.applied(bindings, now)
                bindings = [binding for each in applied if (binding := self._known_there(each, given, now)) is not None]
                self._through.bindings.bind(self._party.name, bindings, now)
        except SipError as error:
            self._answer(error.status, error.reason, error.headers, now)
            return
        if self._through.bindings.holds(self._party.name, self._flow):
            self._context.trust(self._flow, self._party.name)
        rows = self._through.rows(self._party, self._registration, bindings, self._flow, now)
        self._answer(200, "", (*rows, *told(response.headers, TOLD_ONCE)), now)

    def _known_there(self, binding: Binding, given: _Given, now: Now) -> Binding | None:
        """The binding as the registrar has it; None: it has not. Others than those of this REGISTER stay as they are."""
        token = next((token for contact, token in self._names if contact == binding.contact), "")
        if binding.upstream is not None or not token:
            return binding
        seconds = granted_for(token, given.contacts, given.default)
        if not seconds:
            return None
        upstream = Upstream(
            token,
            self._trunk,
            self._call_id,
            self._cseq,
            expires_at=now.monotonic + seconds,
            refresh_at=now.monotonic + seconds / 2,
            credentials=credentials_of(self._request.headers),
            service_route=given.service_route,
            told=given.told,
        )
        known = _limited(binding, upstream)
        return unconnected(known) if self._flow.connection in self._context.closed else known  # while the registrar was thinking

    def _give_up(self, cause: Cause, now: Now) -> None:
        """Nobody to ask. Never 401 or 403, after which a PBX stays away for good."""
        wait = next((value for name, value in cause.headers if name == RETRY_AFTER), str(RETRY_S))
        self._answer(503, "", ((RETRY_AFTER, wait),), now)

    def _impatient(self, now: Now) -> None:
        """Should the registrar say yes after all, the phone is registered; it hears of that when it asks again."""
        self._timer = None
        self._give_up(Cause(503, by="sbc"), now)

    def _answer(self, status: int, reason: str, rows: HeaderRows, now: Now) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

        def answer(rows: Sequence[tuple[str, str]]) -> Response:
            return self._context.answer(self._request, status, reason, tuple(rows))

        response = answer(rows)
        if status in (401, 407) and not self._through.bindings.all_at(self._flow, now):
            # What is not said here ends as if nobody had answered: a 408 is never sent (RFC 4320 s4.2)
            response = not_longer(self._request, self._flow, rows, answer) or self._context.answer(self._request, 408)
        self._context.transactions.respond(self._transaction, response, now)


def _anybody(party: Party) -> bool:
    return True


def _only_refreshes(old: Binding, contact: Contact, registration: Registration, request: Request) -> bool:
    """The same phone, from where it was, says the same once more."""
    same = old.contact.uri == contact.uri and _without_expires(old.contact) == _without_expires(contact)
    at_same = old.flow == registration.flow and old.path == registration.path and old.call_id == request.call_id and not old.lost
    return same and at_same and registration.asked(contact) > 0 and flow_key(old.contact) == flow_key(contact)


def _without_expires(contact: Contact) -> tuple[tuple[str, str | None], ...]:
    return tuple([item for item in contact.address.params if item[0] != "expires"])


def _limited(binding: Binding, upstream: Upstream) -> Binding:
    """Never promise the phone more than the registrar has promised us."""
    return replace(binding, upstream=upstream, expires_at=min(binding.expires_at, upstream.expires_at))


def _at_registrar(uri: Uri, realm: Realm, peer: Peer) -> Uri:
    """A domain stays what it is, for the phone's digest covers it; an address of ours means nothing there."""
    if any(uri.host in (listener.address, listener.advertise) for listener in realm.listeners):
        return uri.with_(host=peer.host, port=peer.port)
    return uri.with_(port=None)
