"""One registration of ours at a carrier (RFC 3261 s10.2): refreshed, moved to another server, taken back. The table says what follows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from sbc.call.abilities import methods_of
from sbc.call.context import SUPPORTED, TRANSPORTS, Context, flow_to
from sbc.call.editing import hearing, sent
from sbc.call.homes import Home
from sbc.call.record import server_of
from sbc.call.targets import NOTHING_KNOWN, wanted_of
from sbc.clock import Now
from sbc.effects import KeepAlive, Log, Resolve
from sbc.errors import ParseError
from sbc.flow import Flow
from sbc.frozen import replace
from sbc.policy.realms import Realm
from sbc.policy.snapshot import Peer, RegisterTo, Trunk
from sbc.registrar.outbound_rules import (
    DOUBTED_S,
    LONGEST_EXPIRES_S,
    REFUSED_AFTER,
    REFUSED_RETRY_S,
    STOOD_S,
    Outlook,
    Standing,
    back_off,
    between,
    granted,
    keep_alive,
    meaning,
    not_before,
    refresh_after,
    sent_to,
    shortest,
)
from sbc.registrar.outbound_table import TABLE, Action, Event, State
from sbc.sip.fields.cseq import CSeq
from sbc.sip.fields.nameaddr import NameAddr, parse_list
from sbc.sip.locate import Answers, next_questions, servers
from sbc.sip.message import Request, Response
from sbc.sip.names import SERVICE_ROUTE
from sbc.sip.prover import Prover
from sbc.sip.timers import Timer
from sbc.sip.transactions import ClientTransaction
from sbc.sip.uri import Uri

MAX_REDIRECTIONS = 2  # in a row; more are a loop
MAX_ROUTES = 10  # of a Service-Route; each request takes them along
SOON_S = (0.1, 2.0)  # after a connection broke: all that were on it shall not come back at the same instant
LEAVE_WITHIN_S = 3.0  # then it runs out at the carrier by itself; whoever stops us is not kept waiting


class Outbound:
    """`gone` is called once, when nothing of it is left.

    line       the parameter of our Contact that nobody else can know
    flow       what it is registered over, with the connection; None: it is not registered
    addresses  of the servers that DNS has named
    """

    def __init__(self, context: Context, trunk: Trunk, realm: Realm, line: str, gone: Callable[[Outbound], None]) -> None:
        assert trunk.register_to is not None
        self.trunk = trunk
        self.account: RegisterTo = trunk.register_to
        self.realm = realm
        self.line = line
        self.flow: Flow | None = None
        self.addresses: frozenset[str] = frozenset()
        self.state = State.RESTING
        self._context = context
        self._gone = gone
        self._random = context.ids.random
        self._prover = self._new_prover()
        self._call_id = context.ids.call_id()
        self._tag = context.ids.tag()
        self._cseq = 0
        self._asked = self.account.expires
        self._peer: Peer = self.account.registrar
        self._servers: list[tuple[Flow, str]] = []  # still to be tried
        self._found: list[Flow] = []  # all that DNS has named
        self._held: dict[Flow, float] = {}  # until when they want to be left alone
        self._at: tuple[Flow, str] | None = None  # tried last, and the name that TLS has to prove
        self._transaction: ClientTransaction | None = None
        self._heard_at = 0.0
        self._failures = 0
        self._denials = 0
        self._redirections = 0
        self._home: Home | None = None
        self._stood_since = 0.0
        self._due: Timer | None = None
        self._lapse: Timer | None = None
        self._ping: Timer | None = None
        self._patience: Timer | None = None
        self._secure = self.account.registrar.secure or self.account.registrar.transport == "TLS"  # or TLS is how it was registered last
        self._standing: Standing = "registering"
        self._alarmed = False
        self._warned = False
        self._since = 0.0
        self._expires_at: float | None = None
        self._next_at: float | None = None
        self._last = ""

    def begin(self, now: Now) -> None:
        self._since = now.wall
        self._step(Event.DUE, None, now)

    def adapt(self, trunk: Trunk, now: Now) -> None:
        """A new policy, with the same account. What was wrong may be right by now: it is found out at once."""
        assert trunk.register_to is not None
        changed = trunk.register_to != self.account
        self.trunk, self.account = trunk, trunk.register_to
        if changed:
            self._prover = self._new_prover()
            self._asked = self.account.expires
        if changed or self.flow is None:
            self._failures = self._denials = 0
            self._step(Event.DUE, None, now)

    def doubt(self, now: Now) -> None:
        """A call there met silence: whether the server still has us is found out at once. The REGISTER is no part of that call."""
        if self.state == State.RESTING and self._home is not None and now.monotonic - self._heard_at >= DOUBTED_S:
            self._wait(SOON_S[0], now)

    def leave(self, now: Now) -> None:
        """Take it back, within a few seconds."""
        if self._patience is None:
            self._patience = self._start(LEAVE_WITHIN_S, Event.OUT_OF_TIME, now)
            self._prover.begin()
            self._step(Event.UNWANTED, None, now)

    def flow_closed(self, flow: Flow, now: Now) -> None:
        if self.flow is not None and self.flow.connection and self.flow.connection == flow.connection:
            self._last = "connection closed"
            self._step(Event.FLOW_LOST, None, now)

    def is_from(self, flow: Flow) -> bool:
        """Whether that is the connection we registered over, or comes from a server of this carrier."""
        if self.flow is not None and flow.connection and flow.connection == self.flow.connection:
            return True
        if self._secure and not flow.secure:
            return False
        return flow.realm == self.realm.name and flow.remote[0] in self.addresses

    def outlook(self) -> Outlook:
        return Outlook(self.trunk.name, self._server(), self._standing, self._since, self._expires_at, self._last, self._next_at)

    # What the transaction says

    def receive_response(self, transaction: ClientTransaction, response: Response, now: Now) -> None:
        if response.status < 200 or transaction is not self._transaction:
            return
        self._last = str(response.status)
        self._heard_at = now.monotonic
        self._step(self._event_of(response), response, now)

    def transaction_failed(self, transaction: ClientTransaction, cause: Literal["timeout", "transport"], now: Now) -> None:
        if transaction is self._transaction:
            self._last = cause
            self._step(Event.FAILED, None, now)

    def _event_of(self, response: Response) -> Event:
        event = meaning(response)
        if event == Event.CHALLENGED:
            return event if self._prover.learn(response) else Event.DENIED
        if event == Event.TOO_BRIEF:
            return event if self._asked < shortest(response) <= LONGEST_EXPIRES_S else Event.DENIED
        if event == Event.REDIRECTED:
            return event if self._elsewhere(response) is not None else Event.FAILED
        if event == Event.ACCEPTED and self.state != State.LEAVING and not granted(response, self.line, self._asked):
            return Event.FAILED
        return event

    def _elsewhere(self, response: Response) -> Peer | None:
        """Where it is sent to, as far as we go along: never from TLS to anything less."""
        contact = sent_to(response)
        if contact is None or self._redirections >= MAX_REDIRECTIONS:
            return None
        uri = contact.uri
        secure = uri.scheme == "sips" or self._peer.secure
        transport = TRANSPORTS.get((uri.param("transport") or "").lower())
        if self._at is not None and self._at[0].secure and not secure and transport != "TLS":
            return None
        return Peer(str(uri), uri.host, uri.port, None if secure else transport, secure)

    # Actions

    def _locate(self, _: Response | None, now: Now) -> None:
        self._due = self._cancelled(self._due)
        self._next_at = None
        self._redirections = 0
        self._peer = self.account.registrar
        self._look_up(now)

    def _follow(self, response: Response | None, now: Now) -> None:
        assert response is not None
        elsewhere = self._elsewhere(response)
        assert elsewhere is not None
        self._redirections += 1
        self._peer = elsewhere
        self._look_up(now)

    def _look_up(self, now: Now) -> None:
        context, wanted = self._context, wanted_of(self._peer, self.realm)
        if not next_questions(wanted, NOTHING_KNOWN):
            self._located(NOTHING_KNOWN, now)
            return
        question = context.ids.tag()
        context.questions[question] = self._located
        context.emit(Resolve(question, self.realm.name, wanted))

    def _located(self, answers: Answers, now: Now) -> None:
        wanted = wanted_of(self._peer, self.realm)
        complete = not next_questions(wanted, answers)
        self._held = {flow: until for flow, until in self._held.items() if until > now.monotonic}
        found: list[tuple[Flow, str]] = []
        for server in servers(wanted, answers, self._random) if complete else ():
            flow = flow_to(self.realm, server.transport, *server.address)
            if flow is not None and all(listener.local != server.address for listener in self.realm.listeners):
                found.append((flow, server.name))
        if found:
            before = self.addresses if self._redirections else frozenset()
            self.addresses = before.union([flow.remote[0] for flow, _ in found])
        elif self._home is not None and self._at is not None:  # DNS is out of order: who has us still may
            found = [self._at]
        registered = self.flow._replace(connection=0, names=()) if self.flow is not None else None
        found.sort(key=lambda each: each[0] != registered)  # the server that has us is asked first
        self._servers, self._found = found, [flow for flow, _ in found]
        self._last = self._last if found else "no server"
        self._step(Event.LOCATED, None, now)

    def _try(self, response: Response | None, now: Now) -> None:
        if response is not None and self._at is not None and (seconds := not_before(response)):
            self._held[self._at[0]] = now.monotonic + seconds
        while self._servers:
            server = self._servers.pop(0)
            if self._held.get(server[0], 0.0) > now.monotonic:
                continue
            if self._at is None or self._at[0] != server[0]:
                self._prover.forget()
            self._prover.begin()
            self._at = server
            self._send(self._asked, now)
            return
        self._step(Event.EXHAUSTED, None, now)

    def _ask(self, _: Response | None, now: Now) -> None:
        self._send(self._asked, now)

    def _lengthen(self, response: Response | None, now: Now) -> None:
        assert response is not None
        self._asked = shortest(response)

    def _bind(self, response: Response | None, now: Now) -> None:
        assert response is not None and self._at is not None and self._transaction is not None
        flow, name = self._at
        heard = self._transaction.heard
        if heard is not None and heard._replace(connection=0, names=()) == flow:
            flow = heard
        seconds = granted(response, self.line, self._asked)
        if self.flow is None:
            self._stood_since = now.monotonic
        elif now.monotonic - self._stood_since >= STOOD_S:
            self._failures = 0
        self._denials = 0
        self._warned = False
        self.flow = flow
        self._secure = flow.secure
        self._home = (flow, name, _routes(response))
        self._context.homes.put(self.trunk.name, self._call_id, self._home)
        self._expires_at = now.wall + seconds
        self._cancelled(self._lapse)
        self._lapse = self._start(seconds, Event.LAPSED, now)
        self._ping = self._cancelled(self._ping)
        if flow.connection:
            every, within = keep_alive(response, self._random)
            self._keep_alive(flow, every, within, now)

    def _lose(self, _: Response | None, now: Now) -> None:
        if self._home is None:
            return
        self._failures = 0 if now.monotonic - self._stood_since >= STOOD_S else self._failures + 1
        self._context.homes.drop(self.trunk.name, self._call_id)
        self.flow = self._home = self._expires_at = None
        self._lapse = self._cancelled(self._lapse)
        self._ping = self._cancelled(self._ping)

    def _refresh_later(self, response: Response | None, now: Now) -> None:
        assert response is not None
        self._wait(refresh_after(granted(response, self.line, self._asked), self._random), now)

    def _back_off(self, _: Response | None, now: Now) -> None:
        self._failures += 1
        held = min([self._held.get(flow, 0.0) for flow in self._found], default=0.0) - now.monotonic
        self._wait(max(back_off(self._failures, self._random), held), now)
        self._warn_of_refresh(now)

    def _hold_back(self, response: Response | None, now: Now) -> None:
        self._denials += 1
        least = not_before(response) if response is not None else 0.0
        if self._denials < REFUSED_AFTER:
            self._wait(max(back_off(1, self._random), least), now)
            self._warn_of_refresh(now)
        else:
            self._wait(max(between(REFUSED_RETRY_S, 1.1 * REFUSED_RETRY_S, self._random), least), now)
            self._lose(None, now)

    def _retry_soon(self, _: Response | None, now: Now) -> None:
        """Once; a connection that keeps breaking is no better than none."""
        again = self._failures - 1
        self._wait(back_off(again, self._random) if again > 0 else between(*SOON_S, self._random), now)

    def _take_back(self, _: Response | None, now: Now) -> None:
        self._due = self._cancelled(self._due)
        self._next_at = None
        if self._home is None:
            self._step(Event.OUT_OF_TIME, None, now)
            return
        self._at = (self._home[0]._replace(connection=0, names=()), self._home[1])
        self._send(0, now)

    def _forget(self, _: Response | None, now: Now) -> None:
        if self._home is not None:
            self._context.homes.drop(self.trunk.name, self._call_id)
        self.flow = self._home = self._transaction = None
        for timer in (self._due, self._lapse, self._ping, self._patience):
            self._cancelled(timer)
        self._gone(self)

    # Helpers

    def _step(self, event: Event, response: Response | None, now: Now) -> None:
        row = TABLE.get((self.state, event))
        if row is None:
            return
        self.state, actions = row
        for action in actions:
            ACTIONS[action](self, response, now)
        self._tell(now)

    def _send(self, seconds: int, now: Now) -> None:
        assert self._at is not None
        flow, name = self._at
        if flow.secure:
            self._context.peers.expect(name, flow)
        self._cseq += 1
        request = sent(self.trunk, self._request(flow, seconds))
        self._transaction = self._context.transactions.client(request, flow, now, self, self.trunk.timers, heard=hearing(self.trunk))

    def _request(self, flow: Flow, seconds: int) -> Request:
        context, account = self._context, self.account
        sent_by = context.sent_by(flow, self.trunk)
        registrar = Uri("sips" if account.registrar.secure else "sip", None, None, account.domain, account.port)
        address = NameAddr("", registrar.with_(user=account.user))
        ours = NameAddr.parse(sent_by.contact(account.user, registrar)).uri
        via = sent_by.via(context.ids.branch())
        if flow.reliable:  # we answer for the connection, and want to know whether pings are answered (RFC 5923, RFC 6223)
            via = replace(via, params=(*via.params, ("alias", None), ("keep", None)))
        return Request.build(
            "REGISTER",
            registrar,
            via=via,
            from_=address.with_tag(self._tag),
            to=address,
            call_id=self._call_id,
            cseq=CSeq(self._cseq, "REGISTER"),
            headers=(
                ("Contact", f"<{ours.with_(params=(*ours.params, ('line', self.line)))}>;expires={seconds}"),
                ("Expires", str(seconds)),
                # What we can do; and a challenge over UDP that is not to be longer than what it answers has room by that
                ("Allow", ", ".join(methods_of(self.trunk))),
                ("Supported", f"path, {SUPPORTED}"),
                *self._prover.rows("REGISTER", str(registrar)),
            ),
        )

    def _new_prover(self) -> Prover:
        credentials = self.account.credentials
        return Prover(credentials.user, credentials.password, self._random)

    def _keep_alive(self, flow: Flow, every: float, within: float, now: Now) -> None:
        def ping(now: Now) -> None:
            self._context.emit(KeepAlive(flow, within))
            self._keep_alive(flow, every, within, now)

        self._ping = self._context.timers.start_common(now.monotonic + every, ping)

    def _wait(self, seconds: float, now: Now) -> None:
        self._cancelled(self._due)
        self._due = self._start(seconds, Event.DUE, now)
        self._next_at = now.wall + seconds

    def _start(self, seconds: float, event: Event, now: Now) -> Timer:
        def over(now: Now) -> None:
            self._step(event, None, now)

        return self._context.timers.start_common(now.monotonic + seconds, over)

    @staticmethod
    def _cancelled(timer: Timer | None) -> Timer | None:
        if timer is not None:
            timer.cancel()
        return None

    def _server(self) -> str:
        at = self._home[0] if self._home is not None else self._at[0] if self._at is not None else None
        return server_of(at) if at is not None else ""

    # What people are told

    def _tell(self, now: Now) -> None:
        standing = self._stands()
        if standing == self._standing:
            return
        before, self._standing, self._since = self._standing, standing, now.wall
        if standing == "registered":
            self._log("info", "registration regained" if self._alarmed else "registered", now)
            self._alarmed = False
        elif standing == "refused":
            self._alarmed = True
            self._log("error", "registration refused", now)
        elif standing == "waiting" and not self._alarmed:
            self._alarmed = True
            self._log("warning", "registration lost" if before == "registered" else "registration failed", now)

    def _stands(self) -> Standing:
        if self._patience is not None:
            return "leaving"
        if self._home is not None:
            return "registered"
        if self._denials >= REFUSED_AFTER:
            return "refused"
        return "waiting" if self._alarmed or self._failures or self._denials or self._standing == "registered" else "registering"

    def _warn_of_refresh(self, now: Now) -> None:
        """It still stands, for as long as was granted; told once."""
        if self._home is not None and not self._warned:
            self._warned = True
            self._log("warning", "registration not refreshed", now)

    def _log(self, level: Literal["info", "warning", "error"], event: str, now: Now) -> None:
        facts: dict[str, object] = {"trunk": self.trunk.name, "server": self._server()}
        if self._home is not None and self._expires_at is not None:
            facts["expires_in"] = round(self._expires_at - now.wall)
        if level != "info":
            facts["last"] = self._last
            facts["next_in"] = None if self._next_at is None else round(self._next_at - now.wall)
        self._context.emit(Log(level, event, facts))


def _routes(response: Response) -> tuple[str, ...]:
    """Its Service-Route (RFC 3608 s6.2); one that cannot be read, or that is beyond all measure, is none."""
    try:
        routes = tuple([str(route) for route in parse_list(response.headers.all(SERVICE_ROUTE))])
    except ParseError:
        return ()
    return routes if len(routes) <= MAX_ROUTES else ()


ACTIONS: Mapping[Action, Callable[[Outbound, Response | None, Now], None]] = {
    Action.LOCATE: Outbound._locate,
    Action.FOLLOW: Outbound._follow,
    Action.TRY: Outbound._try,
    Action.ASK: Outbound._ask,
    Action.LENGTHEN: Outbound._lengthen,
    Action.BIND: Outbound._bind,
    Action.LOSE: Outbound._lose,
    Action.REFRESH_LATER: Outbound._refresh_later,
    Action.BACK_OFF: Outbound._back_off,
    Action.HOLD_BACK: Outbound._hold_back,
    Action.RETRY_SOON: Outbound._retry_soon,
    Action.TAKE_BACK: Outbound._take_back,
    Action.FORGET: Outbound._forget,
}
