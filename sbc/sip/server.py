"""Server transactions (RFC 3261 s17.2, RFC 6026, RFC 4320): how requests are matched, and where responses go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from sbc.clock import Now
from sbc.flow import Flow
from sbc.sip.fields.via import Via
from sbc.sip.machine import Layer, Program, Sender, Transaction, program
from sbc.sip.message import Request, Response
from sbc.sip.tables import SERVER_INVITE, SERVER_OTHER, Action, Event, State
from sbc.sip.timers import TimerValues
from sbc.tap import Answered, ServerKey, unrecorded

Sent = Callable[[Response], None]  # edits a response before it goes

MAGIC_COOKIE = "z9hG4bK"
DEFAULT_PORTS = {"TLS": 5061, "WS": 80, "WSS": 443}  # RFC 3261 s19.1.2, RFC 6455 s3
DEFAULT_PORT = 5060

# Connections that ended while answers may be on their way: 32 s of a storm of 100 a second. A forgotten one costs the
# detour by a new connection (RFC 3261 s18.2.2), nothing else.
CLOSED_CONNECTIONS = 4096


class ServerUser(Protocol):
    """The owner of a server transaction."""

    def ack_missing(self, transaction: ServerTransaction, now: Now) -> None:
        """No ACK came for our 300-699 response in 64*T1 (RFC 3261 s17.2.1, Timer H)."""
        ...


class ClosedConnections:
    """The connections that went away last."""

    __slots__ = ("_known", "_numbers")

    def __init__(self, answered: Answered = unrecorded) -> None:
        self._numbers: dict[int, None] = {}
        self._known = answered(self._is_known)

    def add(self, flow: Flow) -> None:
        if flow.connection:
            self._numbers[flow.connection] = None
            if len(self._numbers) > CLOSED_CONNECTIONS:
                del self._numbers[next(iter(self._numbers))]

    def __contains__(self, connection: int) -> bool:
        return self._known(connection)

    def _is_known(self, connection: int) -> bool:
        return connection in self._numbers


class ServerTransaction(Transaction):
    """One request of a peer. `request` is there until its answer is final, with `user` (INVITE failures: until the ACK).

    flow          where responses go (RFC 3261 s18.2.2, RFC 3581 s4), not always where the request came from
    last_status   of the last response, 0 before the first
    state         its last one before it began to linger, which needs no object any more
    """

    __slots__ = ("_ack_key", "_begun", "_closed", "_layer", "_request", "_sent", "_sent_by_port", "key", "last_status", "method", "user")

    def __init__(
        self,
        key: ServerKey,
        request: Request,
        flow: Flow,
        user: ServerUser | None,
        now: Now,
        values: TimerValues,
        layer: ServerLayer,
        closed: ClosedConnections,
        sent: Sent | None = None,
    ) -> None:
        code = INVITE if request.method == "INVITE" else OTHER
        super().__init__(code, response_flow(request.via, flow), layer.timers, values)
        self.method = request.method
        self.key = key
        self.user = user
        self.last_status = 0
        self._request: Request | None = request
        self._begun = now.monotonic
        self._sent_by_port = request.via.port
        self._layer = layer
        self._closed = closed
        self._sent = sent
        self._ack_key: ServerKey | None = None  # RFC 2543 peers: their ACK matches by the tag we gave
        layer.living[key] = self

    @property
    def request(self) -> Request:
        """Raises LookupError once the final response was sent: `last_status` says so beforehand."""
        if self._request is None:
            raise LookupError(f"{self.method} transaction {self.key} is answered with {self.last_status}")
        return self._request

    def respond(self, response: Response, now: Now) -> None:
        """See `Transactions.respond`."""
        status = response.status
        if self._sent is not None:
            self._sent(response)
        if self.method == "INVITE":
            if status < 200:
                event = PROVISIONAL
            elif status < 300:
                event = SUCCESS
            else:
                event = FAILURE
                if not has_cookie(self.key) and self.state is PROCEEDING:
                    self._ack_key = (*self.key[:-2], response.to.tag, "ACK")
                    self._layer.living[self._ack_key] = self
        elif status >= 200:
            late = now.monotonic - self._begun >= self._values.give_up
            event = SILENCE if status == 408 or late else FINAL
        elif self._may_say_trying(status, now):
            event = PROVISIONAL
        else:
            return
        self._step(event, response, now)

    def receive(self, request: Request, now: Now) -> None:
        """A request with this transaction's key."""
        self._step(Event.ACK if request.method == "ACK" else Event.REQUEST, None, now)

    def _may_say_trying(self, status: int, now: Now) -> bool:
        """RFC 4320 s4.1: to a non-INVITE only 100, and over UDP not before the client's Timer E is at T2."""
        return status == 100 and (self.flow.reliable or now.monotonic - self._begun >= self._values.retransmissions_at_t2)

    def _forget(self) -> None:
        self._layer.living.pop(self.key, None)
        if self._ack_key is not None:
            self._layer.living.pop(self._ack_key, None)

    # Actions

    def _transmit(self, response: Response | None, now: Now) -> None:
        assert response is not None
        self.last_status = response.status
        self._data = response.encode()
        self._resend(None, now)

    def _send_nothing(self, response: Response | None, now: Now) -> None:
        assert response is not None
        self.last_status = response.status
        self._data = b""

    def _resend(self, _: Response | None, now: Now) -> None:
        if not self._data:
            return
        flow = self.flow
        if flow.connection and flow.connection in self._closed:
            self.flow = flow = replacement(flow, self._sent_by_port)
        self._layer.send(self._data, flow, "")

    def _tell_no_ack(self, _: Response | None, now: Now) -> None:
        if self.user is not None:
            self.user.ack_missing(self, now)

    def _release(self, _: Response | None, now: Now) -> None:
        self._request = self.user = None

    def _start_gh(self, _: Response | None, now: Now) -> None:
        self._request = None
        self._run(0.0 if self.flow.reliable else self._values.t1, self._values.give_up, now)

    def _start_i(self, _: Response | None, now: Now) -> None:
        self._linger(0.0 if self.flow.reliable else self._values.t4, now)

    def _start_j(self, _: Response | None, now: Now) -> None:
        self._linger(0.0 if self.flow.reliable else self._values.give_up, now)

    def _start_l(self, _: Response | None, now: Now) -> None:
        self._linger(self._values.give_up, now)

    def _linger(self, duration: float, now: Now) -> None:
        """From here on only repetitions can come; what the table says of them in this state is put down as octets."""
        if duration <= 0.0:
            self._run(0.0, 0.0, now)
            return
        self._cancel_timer()
        self._forget()
        rows = self._program.rows
        repeats = bool(rows[self.state, Event.REQUEST][1])
        takes_ack = (self.state, Event.ACK) in rows
        octets = self._data if repeats else b""
        self._data = b""
        for key in (self.key,) if self._ack_key is None else (self.key, self._ack_key):
            self._layer.lingering.add(key, octets if octets or takes_ack else None, duration, now)


ServerLayer = Layer[ServerKey, ServerTransaction]


def repeat(octets: bytes | None, request: Request, flow: Flow, send: Sender) -> bool:
    """A request that meets a lingering transaction. False: the ACK of a 2xx under the branch of its INVITE, for the user."""
    if request.method == "ACK":
        return octets is not None
    if octets:
        send(octets, response_flow(request.via, flow), "")
    return True


def server_key(request: Request, method: str, flow: Flow) -> ServerKey:
    """What a request is matched by (RFC 3261 s17.2.3); `method` is INVITE for the INVITE of a CANCEL.

    Without the cookie RFC 2543 rules: Request-URI, tags, Call-ID, CSeq number and top Via as received. There an ACK
    has a key of its own, since its To tag is that of the response.

    The realm and the host it came from count, too: whoever guesses a branch can neither read the answer to another's
    request nor cancel another's call.
    """
    via = request.via
    branch = via.branch
    # A bare cookie identifies nothing (RFC 4475 s3.2.1): its requests are told apart the old way.
    if is_unique(branch):
        return key_with_cookie(via, "INVITE" if method == "ACK" else method, flow)
    return (
        "",
        flow.realm,
        flow.remote[0],
        str(request.uri),
        request.from_.tag,
        request.call_id,
        request.cseq.number,
        str(via),
        request.to.tag,
        method,
    )


def is_unique(branch: str) -> bool:
    """Whether it was made as RFC 3261 has it, and so identifies its transaction by itself."""
    return len(branch) > len(MAGIC_COOKIE) and branch.startswith(MAGIC_COOKIE)


def key_with_cookie(via: Via, method: str, flow: Flow) -> ServerKey:
    return (via.branch, flow.realm, flow.remote[0], via.host, via.port, method)


def has_cookie(key: ServerKey) -> bool:
    return bool(key[0])


def response_flow(via: Via, flow: Flow) -> Flow:
    """Where the responses to a request with that top Via, come by that flow, go.

    Reliable: the same connection. UDP: the source address and port when the peer asked for that (RFC 3581 s4), else the
    source address and the port of the sent-by (RFC 3261 s18.2.2). `maddr` is not honoured: it lets a stranger
    choose whom we send to.
    """
    if flow.reliable or via.wants_rport:
        return flow
    port = via.port or DEFAULT_PORT
    return flow if port == flow.remote[1] else flow._replace(remote=(flow.remote[0], port))


def replacement(flow: Flow, sent_by_port: int | None) -> Flow:
    """RFC 3261 s18.2.2: when the connection is gone, open one "to the IP address in the received parameter", port of the sent-by.

    Nobody can connect to a browser (RFC 7118 s5): what is said to it by a WebSocket that is gone is lost.
    """
    if flow.transport in ("WS", "WSS"):
        return flow
    port = sent_by_port or DEFAULT_PORTS.get(flow.transport, DEFAULT_PORT)
    return flow._replace(remote=(flow.remote[0], port), connection=0)


METHODS = {
    Action.SEND: ServerTransaction._transmit,
    Action.SEND_NOTHING: ServerTransaction._send_nothing,
    Action.RESEND: ServerTransaction._resend,
    Action.BACK_OFF: ServerTransaction._back_off,
    Action.TELL_NO_ACK: ServerTransaction._tell_no_ack,
    Action.RELEASE: ServerTransaction._release,
    Action.START_GH: ServerTransaction._start_gh,
    Action.START_I: ServerTransaction._start_i,
    Action.START_J: ServerTransaction._start_j,
    Action.START_L: ServerTransaction._start_l,
}
INVITE: Program = program(SERVER_INVITE, METHODS)
OTHER: Program = program(SERVER_OTHER, METHODS)

PROVISIONAL, SUCCESS, FAILURE, FINAL, SILENCE = Event.PROVISIONAL, Event.SUCCESS, Event.FAILURE, Event.FINAL, Event.SILENCE
PROCEEDING = State.PROCEEDING
