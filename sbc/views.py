"""What somebody who looks may ask of the core, and the answers: values without a secret in them. Looking changes nothing."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from itertools import islice
from math import inf

from sbc.call.call import Call
from sbc.call.context import Context
from sbc.call.decisions import Decision, Source
from sbc.call.intrusions import Intrusion
from sbc.call.leg import Leg
from sbc.call.linked import is_linked
from sbc.call.outcomes import Outcome
from sbc.call.record import LegFacts, server_of
from sbc.clock import Now
from sbc.frozen import frozen
from sbc.policy.counters import LimitState
from sbc.policy.lasting import Used
from sbc.policy.snapshot import Party, Trunk, User
from sbc.registrar.binding import Binding
from sbc.registrar.bindings import Bindings
from sbc.registrar.carriers import Carriers
from sbc.registrar.outbound_rules import Outlook
from sbc.sip.uri import format_host


@frozen
class CallsAsked:
    """The newest `most` calls in progress, of that trunk or user, and with that in one of its numbers; "": of any."""

    most: int
    party: str = ""
    number: str = ""


@frozen
class CallAsked:
    """One call, by its id."""

    id: str


@frozen
class RegistrationsAsked:
    """Who is registered here, the first `most` by name; `account`: only that one."""

    most: int
    account: str = ""


@frozen
class LimitsAsked:
    """How far the limits are used up, the `most` fullest of them; `name`: only that `limits` object, or what counts for that name."""

    most: int
    name: str = ""


@frozen
class TrunksAsked:
    """How the trunks are, the first `most` in the order of the policy; `trunk`: only that one."""

    most: int
    trunk: str = ""


@frozen
class RefusalsAsked:
    """Why was it refused? The newest `most` that have to do with that id, Call-ID, address, trunk or user; "": all."""

    most: int
    about: str = ""


@frozen
class UsageAsked:
    """What was used up at `since`, in monotonic seconds, or later, of rates that take long to be there again."""

    since: float


@frozen
class UsageView:
    used: tuple[Used, ...]


@frozen
class LinkedCallsAsked:
    """The Call-IDs of the calls that come or go by the link to that site."""

    site: str


@frozen
class LinkedCallsView:
    call_ids: frozenset[str]


Question = UsageAsked | LinkedCallsAsked | CallsAsked | CallAsked | RegistrationsAsked | TrunksAsked | LimitsAsked | RefusalsAsked


@frozen
class LegView:
    """One side of a call. `speech`: the codec, "" before there is one. `keying`: sdes, dtls or "" for plain RTP.

    suite   that of SDES; what DTLS agreed on only the media engine knows
    """

    party: str
    kind: str
    realm: str
    transport: str
    ours: str
    peer: str
    call_id: str
    speech: str
    codecs: tuple[str, ...]
    keying: str
    suite: str


@frozen
class CallView:
    """A call in progress; times in seconds since the epoch.

    relay      what the media engine knows it by; None: it has none yet
    attempts   as in the call record
    """

    id: str
    state: str
    began: float
    answered: float | None
    caller: str
    called: str
    dialled: str
    emergency: bool
    route: str
    a: LegView
    b: LegView | None
    relay: str | None
    attempts: tuple[Mapping[str, object], ...]


@frozen
class CallsView:
    """`matching` of `total` calls in progress are what was asked for; the newest of them are in `calls`."""

    calls: tuple[CallView, ...]
    matching: int
    total: int


@frozen
class RegistrationView:
    """One Contact of an account. `state`: registered, or flow lost while it is expected back. `expires_in`: seconds.

    registrar   the trunk that it is registered at through us; "": at us
    """

    account: str
    kind: str
    contact: str
    realm: str
    transport: str
    source: str
    expires_in: float
    state: str
    registrar: str


@frozen
class RegistrationsView:
    """`total`: Contacts of all accounts, as far as they have not expired. `out`: our own registrations at carriers."""

    registrations: tuple[RegistrationView, ...]
    matching: int
    total: int
    out: tuple[Outlook, ...] = ()


@frozen
class ServerView:
    """What one server of a trunk last said, and when. `status`: of the answer, 408 for none, 503 for no connection, too.

    state         up, down (it failed last), asked (whether it is back)
    shunned_for   seconds that it is tried after all others
    """

    server: str
    status: int
    at: float
    state: str
    shunned_for: float


@frozen
class FailureView:
    at: float
    status: int
    note: str
    server: str


@frozen
class TrunkView:
    """A trunk as it is now.

    peer          where it is reached; "": where it registers from
    registration  registered, flow lost, not registered; of ours there: registering, registered, waiting, refused; "": none
    health        up, down (all its servers failed last), partly (some of them), unknown (nothing was sent to it lately)
    calls         in progress, its own
    limit         of calls at a time; `counted` of them are taken, by others too when the limits are shared
    limits        all figures of its limits, but those that count for each number or source
    site          the linked site that it is at, by whose link it is reached; "": none
    """

    name: str
    realm: str
    peer: str
    accept_from: tuple[str, ...]
    registration: str
    contacts: int
    health: str
    calls: int
    counted: int
    limit: int | None
    servers: tuple[ServerView, ...]
    failures: tuple[FailureView, ...]
    limits: tuple[LimitState, ...] = ()
    site: str = ""


@frozen
class TrunksView:
    trunks: tuple[TrunkView, ...]
    matching: int
    total: int


@frozen
class LimitsView:
    limits: tuple[LimitState, ...]
    matching: int
    total: int


@frozen
class RefusalsView:
    """Of those we know one by one, newest first; of strangers one line for each source. `total`: all that is remembered.

    intrusions   media into calls, of whoever it is about
    """

    refusals: tuple[Decision, ...]
    strangers: tuple[Source, ...]
    total: int
    intrusions: tuple[Intrusion, ...] = ()


Answer = UsageView | LinkedCallsView | CallsView | CallView | RegistrationsView | TrunksView | LimitsView | RefusalsView | None


class Views:
    def __init__(self, context: Context, calls: Mapping[Call, object], bindings: Bindings, carriers: Carriers) -> None:
        self._context = context
        self._calls = calls
        self._bindings = bindings
        self._carriers = carriers

    def answer(self, question: Question, now: Now) -> Answer:
        """None: there is no such call."""
        if isinstance(question, UsageAsked):
            return UsageView(self._context.limits.used_since(question.since, now))
        if isinstance(question, LinkedCallsAsked):
            return self._linked_calls(question.site)
        if isinstance(question, CallsAsked):
            return self._some_calls(question)
        if isinstance(question, CallAsked):
            return next((view_of(call) for call in self._calls if call.facts.id == question.id), None)
        if isinstance(question, RegistrationsAsked):
            return self._registrations(question, now)
        if isinstance(question, LimitsAsked):
            return self._limits(question, now)
        if isinstance(question, RefusalsAsked):
            return self._refusals(question)
        return self._trunks(question, now)

    def _refusals(self, asked: RefusalsAsked) -> RefusalsView:
        decisions, about, most = self._context.decisions, asked.about, asked.most
        intrusions = self._context.intrusions.about(about, most)
        return RefusalsView(decisions.about(about, most), decisions.strangers(about, most), len(decisions), intrusions)

    def _linked_calls(self, site: str) -> LinkedCallsView:
        legs = [leg for call in self._calls for leg in (call.facts.a, call.facts.b) if leg is not None]
        return LinkedCallsView(frozenset([leg.call_id for leg in legs if is_linked(leg.party, site)]))

    def _some_calls(self, asked: CallsAsked) -> CallsView:
        found: Iterable[Call] = reversed(list(self._calls))
        matching = len(self._calls)
        if asked.party or asked.number:
            matched = [call for call in found if _matches(call, asked)]
            found, matching = matched, len(matched)
        return CallsView(tuple([view_of(call) for call in islice(found, asked.most)]), matching, len(self._calls))

    def _registrations(self, asked: RegistrationsAsked, now: Now) -> RegistrationsView:
        accounts = self._bindings.accounts()
        wanted = [asked.account] if asked.account else heapq.nsmallest(asked.most, accounts)
        listed = [(account, binding) for account in wanted for binding in self._bindings.listed(account, now)]
        total = len(self._bindings)
        views = tuple([self._registration(account, binding, now) for account, binding in listed[: asked.most]])
        out = tuple([each for each in self._carriers.outlooks() if asked.account in ("", each.trunk)])
        return RegistrationsView(views, len(listed) if asked.account else total, total, out[: asked.most])

    def _registration(self, account: str, binding: Binding, now: Now) -> RegistrationView:
        uri, flow = binding.contact.uri, binding.flow
        return RegistrationView(
            account,
            "user" if account in self._context.snapshot.users else "trunk",
            str(uri.with_(password=None, headers="")),
            flow.realm,
            flow.transport,
            format_host(*flow.remote),
            round(binding.expires_at - now.monotonic, 1),
            "flow lost" if binding.lost else "registered",
            binding.upstream.trunk if binding.upstream is not None else "",
        )

    def _limits(self, asked: LimitsAsked, now: Now) -> LimitsView:
        states = list(self._context.limits.states(now))
        line = self._context.snapshot.limited.owner_of(asked.name)
        names = {asked.name} if line is None else {asked.name, line}
        matching = [
            state for state in states if asked.name in ("", state.limit, state.scope) or not names.isdisjoint(state.scope.split(" "))
        ]
        return LimitsView(tuple(heapq.nsmallest(asked.most, matching, key=LimitState.left)), len(matching), len(states))

    def _trunks(self, asked: TrunksAsked, now: Now) -> TrunksView:
        trunks = self._context.snapshot.trunks
        wanted = [trunk for trunk in trunks.values() if asked.trunk in ("", trunk.name)]
        out: dict[str, str] = {each.trunk: each.state for each in self._carriers.outlooks()}
        views = tuple([self._trunk(trunk, out.get(trunk.name, ""), now) for trunk in wanted[: asked.most]])
        return TrunksView(views, len(wanted), len(trunks))

    def _trunk(self, trunk: Trunk, out: str, now: Now) -> TrunkView:
        context, bindings = self._context, self._bindings.listed(trunk.name, now)
        servers = tuple([self._server(outcome, now) for outcome in context.outcomes.servers(trunk.name)])
        failures = [
            FailureView(each.at, each.status, each.note, server_of(each.server) if each.server is not None else "")
            for each in context.outcomes.failures(trunk.name)
        ]
        states = context.limits.of(trunk, now)
        calls = min([state for state in states if state.what == "calls"], key=LimitState.left, default=None)
        return TrunkView(
            trunk.name,
            trunk.realm,
            trunk.peer.uri if trunk.peer is not None and not trunk.link else "",
            trunk.accept_from,
            out or _registration_of(trunk, bindings),
            len(bindings),
            _health_of(servers),
            context.limits.calls(trunk.name),
            calls.now if calls is not None else context.limits.calls(trunk.name),
            calls.most if calls is not None else None,
            servers,
            tuple(failures),
            tuple(states),
            trunk.link,
        )

    def _server(self, outcome: Outcome, now: Now) -> ServerView:
        assert outcome.server is not None
        left = self._context.penalties.left(outcome.server, now)
        state = "up" if left is None else "asked" if left == inf else "down"
        shunned_for = round(left, 1) if left is not None and left != inf else 0.0
        return ServerView(server_of(outcome.server), outcome.status, outcome.at, state, shunned_for)


def view_of(call: Call) -> CallView:
    facts = call.facts
    return CallView(
        facts.id,
        call.state.value,
        facts.times.began,
        facts.times.answered,
        facts.caller,
        facts.called,
        facts.dialled,
        facts.emergency,
        facts.route or "",
        _leg(facts.a, call.a),
        _leg(facts.b, call.b) if facts.b is not None else None,
        call.relay,
        tuple([dict(attempt) for attempt in facts.attempts]),
    )


def _leg(facts: LegFacts, leg: Leg | None) -> LegView:
    flow = leg.flow if leg is not None else facts.flow
    agreed = facts.media.agreed if facts.media is not None else None
    keys = agreed.send_keys if agreed is not None else None
    by_dtls = agreed is not None and agreed.dtls is not None
    return LegView(
        facts.party.name,
        _kind(facts.party),
        flow.realm,
        flow.transport,
        format_host(*flow.local),
        format_host(*flow.remote),
        facts.call_id,
        facts.speech(),
        tuple(agreed.names) if agreed is not None else (),
        "dtls" if by_dtls else "sdes" if keys is not None else "",
        keys.suite.value if keys is not None else "",
    )


def _kind(party: Party) -> str:
    return "user" if isinstance(party, User) else "trunk"


def _matches(call: Call, asked: CallsAsked) -> bool:
    facts = call.facts
    if asked.party and asked.party != facts.a.party.name and (facts.b is None or asked.party != facts.b.party.name):
        return False
    number = asked.number
    return not number or number in facts.called or number in facts.caller or number in facts.dialled or number in (facts.asserted or "")


def _registration_of(trunk: Trunk, bindings: list[Binding]) -> str:
    if trunk.registers is None:
        return ""
    if not bindings:
        return "not registered"
    return "flow lost" if all(binding.lost for binding in bindings) else "registered"


def _health_of(servers: tuple[ServerView, ...]) -> str:
    """By what calls and OPTIONS have found out."""
    if not servers:
        return "unknown"
    failed = sum(server.state != "up" for server in servers)
    return "up" if not failed else "down" if failed == len(servers) else "partly"
