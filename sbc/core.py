"""The product without its sockets: hand it an input and the time, take effects from it (see docs/decisions)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sbc.call.context import Context
from sbc.call.homes import Homes
from sbc.call.linked import end_unknown
from sbc.call.peers import Peers
from sbc.call.penalties import Penalties
from sbc.call.voice_reports import VoiceReports
from sbc.call.words import Cause
from sbc.clock import Ids, Now
from sbc.effects import Effect, Log, Send
from sbc.errors import ParseError
from sbc.flow import Flow
from sbc.inputs import (
    Begun,
    BindingsFound,
    DrainBegun,
    DrainEnded,
    FlowClosed,
    Input,
    LinkCompared,
    LoadChanged,
    MalformedIn,
    MediaHappened,
    PolicyChanged,
    RelayClosed,
    RelayFailed,
    RelayOpened,
    RequestIn,
    Resolved,
    ResponseIn,
    SendFailed,
    Signed,
    UsageFound,
    Verified,
)
from sbc.policy.counters import LimitState
from sbc.policy.limits import Between, Limits
from sbc.policy.snapshot import Party, Snapshot
from sbc.reception import Reception
from sbc.registrar.bindings import Bindings
from sbc.registrar.outbound_rules import Outlook
from sbc.shield.queue import Rank
from sbc.sip.fields.via import Via
from sbc.sip.message import Request, Response
from sbc.sip.overload import Overload, Relief
from sbc.sip.server import ClosedConnections
from sbc.sip.timers import Timers
from sbc.sip.transactions import Transactions
from sbc.sip.uri import Uri
from sbc.sip.validate import check_response
from sbc.standing import Standing
from sbc.tap import NoTap, Tap
from sbc.views import Answer, Question, Views


class Core:
    """No I/O, no clock, no randomness inside: the same inputs at the same times give the same effects."""

    def __init__(self, snapshot: Snapshot, ids: Ids, tap: Tap | None = None) -> None:
        self._effects: list[Effect] = []
        self._timers = Timers(None if tap is None else tap.timed)
        tap = tap or NoTap()
        tap.attach(self._effects)
        self._bindings = Bindings(self._effects.append, tap.answered)
        self._peers = Peers(tap.answered)
        closed = ClosedConnections(tap.answered)
        overload = Overload(ids, tap.answered)
        relief = Relief(tap.answered)
        self._context = Context(
            ids=ids,
            snapshot=snapshot,
            timers=self._timers,
            transactions=Transactions(self._timers, self._send, closed=closed, overload=overload, tap=tap),
            limits=Limits(tap.answered, self._warn),
            emit=self._effects.append,
            registered=self._bindings.ways,
            peers=self._peers,
            homes=Homes(tap.answered),
            penalties=Penalties(tap.answered),
            voice_reports=VoiceReports(tap.answered),
            closed=closed,
            overload=overload,
            relief=relief,
            tap=tap,
        )
        self._context.limits.follow(snapshot)
        self._reception = Reception(self._context, self._bindings)
        reception = self._reception
        self._standing = Standing(self._context, self._bindings, reception.carriers, reception.speaks_for)
        self._views = Views(self._context, self._reception.calls, self._bindings, self._reception.carriers)

    def receive(self, happened: Input, now: Now) -> None:
        context = self._context
        match happened:
            case RequestIn(request, flow):
                self._reception.receive_request(request, flow, now)
            case ResponseIn(response, flow):
                self._receive_response(response, flow, now)
            case SendFailed(key):
                context.transactions.transport_failed(key, now)
            case RelayOpened(relay, ports):
                context.relays[relay].relay_opened(relay, ports, now)
            case RelayClosed(relay, stats):
                context.relays[relay].relay_closed(relay, stats, now)
            case RelayFailed(relay, reason):
                context.relays[relay].relay_failed(relay, reason, now)
            case MediaHappened(event):
                if event.relay in context.relays:
                    context.relays[event.relay].media_happened(event, now)
            case MalformedIn(error, request, flow):
                self._reception.receive_malformed(error, request, flow, now)
            case LinkCompared():
                end_unknown(context, self._reception.calls, happened, now)
            case FlowClosed(flow):
                self._reception.flow_closed(flow, now)
            case Resolved(question, answers):
                context.questions.pop(question)(answers, now)
            case Verified(question, verdict):
                context.proofs.pop(question)(verdict, now)
            case Signed(question, signature):
                context.signatures.pop(question)(signature, now)
            case BindingsFound(stored):
                self._reception.restore(stored, now)
            case UsageFound(used):
                context.limits.restore(used, now)
            case Begun():
                self._reception.carriers.begin(now)
            case PolicyChanged(snapshot):
                context.replace_snapshot(snapshot)
                self._reception.follow_policy(now)
            case LoadChanged(share):
                context.relief.share = share
            case DrainBegun():
                context.draining = True
                self._reception.carriers.leave(now)
            case DrainEnded():
                self._reception.release_all(Cause(200, by="sbc", note="shut down"), now)
                self._reception.carriers.leave(now)

    def _receive_response(self, response: Response, flow: Flow, now: Now) -> None:
        try:
            check_response(response)
        except ParseError:  # never ours: dropped without a word
            return
        if self._context.transactions.receive_response(response, flow, now):
            self._context.acquaintances.note(flow, Rank.SEEN)

    def handle_timeout(self, now: Now) -> None:
        """Everything that is due by `now`."""
        self._timers.fire(now)

    def next_timeout(self) -> float | None:
        """Monotonic seconds of the next thing to be done; None: nothing is waiting."""
        return self._timers.next()

    def take_effects(self) -> list[Effect]:
        """What is to be done, in order. The list is the caller's."""
        effects = self._effects[:]
        self._effects.clear()
        return effects

    def rank(self, message: Request | Response | Uri | None, flow: Flow) -> Rank:
        """Which line it waits in when there is more to do than time: a message, or a call to there; None: as the source alone tells."""
        if message is None:
            return self._standing.of_source(flow)
        if isinstance(message, Uri):
            return self._standing.of_call(message, flow)
        return self._standing.of_message(message, flow)

    def has_invite(self, via: Via, flow: Flow) -> bool:
        """Whether an INVITE that came with that top Via, whose branch has the cookie, is here or was a moment ago."""
        return self._context.transactions.has_invite_with(via, flow)

    def tell(self, request: Request, flow: Flow, now: Now) -> None:
        """Of our overload, by the top Via of `request`, whoever is to hear of it; its answer is not the core's."""
        self._standing.tell(request, flow, now)

    def busy(self) -> int:
        """Calls in progress."""
        return len(self._reception.calls)

    def flows_in_use(self) -> frozenset[Flow]:
        """Those that calls go by: what a new policy has no place for stays open that long."""
        return self._reception.flows_in_use()

    def strays(self) -> tuple[Flow, ...]:
        """Connections of parties that the policy has no more, and that no call goes by: to be closed."""
        return self._reception.strays()

    def departed(self) -> tuple[Flow, ...]:
        """Connections of parties that the policy has no more."""
        return self._reception.departed()

    def is_leaving(self) -> bool:
        """Whether a carrier is being told that we are not registered any more; that takes a few seconds at most."""
        return self._reception.carriers.is_leaving()

    def registrations_out(self) -> tuple[Outlook, ...]:
        """How our registrations at carriers stand."""
        return self._reception.carriers.outlooks()

    def leftovers(self) -> dict[str, int]:
        """What is still in the tables, by kind; empty when every call and transaction is over."""
        context = self._context
        tables = {
            "calls": len(self._reception.calls),
            "listed": self._reception.listed(),
            "dialogs": len(context.dialogs),
            "relays": len(context.relays),
            "questions": len(context.questions),
            "proofs": len(context.proofs),
            "signatures": len(context.signatures),
            "transactions": len(context.transactions),
            "timers": len(self._timers),
        }
        return {name: count for name, count in tables.items() if count}

    def ask(self, question: Question, now: Now) -> Answer:
        """How things are. Nothing comes of it: it is no input, and no recording has it."""
        return self._views.answer(question, now)

    def _warn(self, event: str, facts: Mapping[str, object]) -> None:
        self._effects.append(Log("warning", event, dict(facts)))

    # For a core that only shows what would be

    def occupy(self, party: Party, caller: str = "") -> None:
        """A call of that party, with that number, that there might be."""
        self._context.limits.reserve_exempt(party, "from", Between(caller))

    def assume(self, limits: Sequence[LimitState], now: Now) -> None:
        """What is counted in another process."""
        self._context.limits.assume(limits, now)

    def _send(self, data: bytes, flow: Flow, key: str) -> None:
        name = self._peers.expected(flow) if flow.transport == "TLS" else ""
        self._effects.append(Send(data, flow, key, name))
