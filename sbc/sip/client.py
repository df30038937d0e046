"""Client transactions (RFC 3261 s17.1, RFC 6026) and the two requests they make themselves: ACK and CANCEL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

from sbc.clock import Now
from sbc.flow import Flow
from sbc.sip.fields.cseq import CSeq
from sbc.sip.machine import Layer, Program, Transaction, program
from sbc.sip.message import Request, Response
from sbc.sip.names import AUTHORIZATION, PROXY_AUTHORIZATION, ROUTE, HeaderName
from sbc.sip.tables import CLIENT_INVITE, CLIENT_OTHER, Action, Event, State
from sbc.sip.timers import TimerValues

Cause = Literal["timeout", "transport"]
Instead = Callable[[Now], tuple[Request, Flow]]  # another way for a request that could not be sent, with a branch of its own
Heard = Callable[[Response], Response]  # what its user is to hear of a response
# The same request with credentials, for one that was challenged; None: the challenge is the answer (RFC 3261 s22.2)
Again = Callable[[Request, Response, Now], Request | None]
HeaderRows = tuple[tuple[str, str], ...]

# RFC 3261 s17.1.1.2: Timer D is "at least 32 seconds" over unreliable transports, whatever T1 is.
SHORTEST_D = 32.0
CHALLENGES = frozenset({401, 407})


class ClientUser(Protocol):
    """The owner of a client transaction."""

    def receive_response(self, transaction: ClientTransaction, response: Response, now: Now) -> None:
        """A 1xx other than 100, a final response, or (INVITE) one more 2xx: a repetition or another fork's."""
        ...

    def transaction_failed(self, transaction: ClientTransaction, cause: Cause, now: Now) -> None:
        """No final response will come: act as on 408 (`timeout`) or 503 (`transport`), RFC 3261 s8.1.3.1."""
        ...


class ClientTransaction(Transaction):
    """One request of ours. `request` and `user` are there until `user` was told the outcome, for INVITE 2xx until Timer M.

    heard   the flow its last response came by, with the connection; None: there was none
    """

    __slots__ = ("_again", "_cancel", "_heard", "_instead", "_layer", "_request", "heard", "key", "method", "sent_by", "user")

    def __init__(
        self,
        request: Request,
        flow: Flow,
        user: ClientUser | None,
        values: TimerValues,
        layer: ClientLayer,
        instead: Instead | None = None,
        again: Again | None = None,
        heard: Heard | None = None,
    ) -> None:
        super().__init__(INVITE if request.method == "INVITE" else OTHER, flow, layer.timers, values)
        self.method = request.method
        self.key = client_key(request.via.branch, request.method)
        self.sent_by = (request.via.host, request.via.port)
        self.user = user
        self.heard: Flow | None = None
        self._request: Request | None = request
        self._instead = instead
        self._again = again
        self._heard = heard
        self._cancel: tuple[ClientUser, HeaderRows] | None = None  # held until a 1xx allows it
        self._layer = layer

    @property
    def request(self) -> Request:
        """Raises LookupError once it has been let go of."""
        if self._request is None:
            raise LookupError(f"{self.method} transaction {self.key} is over")
        return self._request

    @property
    def branch(self) -> str:
        return self.key.partition(" ")[0]

    def start(self, now: Now) -> None:
        """Send the request and start Timers A and B, or E and F."""
        self._data = self.request.encode()
        self._layer.living[self.key] = self
        values = self._values
        timeout = values.give_up
        if values.invite_timeout is not None and self.method == "INVITE":
            timeout = values.invite_timeout
        self._run(0.0 if self.flow.reliable else values.t1, timeout, now)
        self._layer.send(self._data, self.flow, self.key)

    def receive(self, response: Response, now: Now) -> None:
        status = response.status
        if status in CHALLENGES and self._goes_again(response, now):
            return
        if status < 200:
            event = PROVISIONAL
        elif self.method != "INVITE":
            event = FINAL
        elif status < 300:
            event = SUCCESS
        else:
            event = FAILURE
        self._step(event, response, now)

    def cancel(self, user: ClientUser, headers: HeaderRows, now: Now) -> None:
        """See `Transactions.cancel`."""
        self._cancel = (user, headers)
        self._step(Event.CANCEL, None, now)

    def fail(self, now: Now) -> None:
        """Its message could not be sent. If there is another way and nothing was heard yet, that is taken, once."""
        instead, self._instead = self._instead, None
        if instead is None or self.state is not self._program.start:
            self._step(Event.TRANSPORT_ERROR, None, now)
            return
        self._forget()
        request, self.flow = instead(now)
        self._start_again(request, now)

    def _goes_again(self, response: Response, now: Now) -> bool:
        """It was challenged, and goes again with what answers that: to its user it is still the same transaction."""
        if self._again is None or self._request is None or self._cancel is not None or self.state not in UNANSWERED:
            return False
        request = self._again(self._request, response, now)
        if request is None:
            return False
        self._forget()
        if self.method == "INVITE":  # the refusal is acknowledged, as often as it comes
            ghost = ClientTransaction(self._request, self.flow, None, self._values, self._layer)
            self._layer.living[ghost.key] = ghost
            ghost.receive(response, now)
        self.state = self._program.start
        self._start_again(request, now)
        return True

    def _start_again(self, request: Request, now: Now) -> None:
        self._request = request
        self.key = client_key(request.via.branch, self.method)
        self.sent_by = (request.via.host, request.via.port)
        self.start(now)

    def release(self) -> None:
        """The user is done with it and wants to be let go of. After a 2xx that is the end: what still comes is a stray."""
        self._request = self.user = self._cancel = self._instead = self._again = self._heard = None
        if self.state is State.ACCEPTED:
            self.state = State.TERMINATED
            self._cancel_timer()
            self._forget()

    def _forget(self) -> None:
        self._layer.living.pop(self.key, None)

    # Actions

    def _resend(self, _: Response | None, now: Now) -> None:
        self._layer.send(self._data, self.flow, self.key)

    def _acknowledge(self, response: Response | None, now: Now) -> None:
        assert response is not None
        self._data = acknowledgement(self.request, response).encode()
        self._layer.send(self._data, self.flow, self.key)

    def _hold_cancel(self, _: Response | None, now: Now) -> None:
        """Nothing yet: `cancel` has noted it."""

    def _send_held_cancel(self, _: Response | None, now: Now) -> None:
        if self._cancel is not None:
            self._send_cancel(None, now)

    def _send_cancel(self, _: Response | None, now: Now) -> None:
        if self._timer is not None or self._cancel is None:
            return  # in Proceeding the timer runs only since a CANCEL
        user, headers = self._cancel
        self._run(0.0, self._values.give_up, now)
        request = cancel_request(self, headers)
        ClientTransaction(request, self.flow, user, self._values, self._layer).start(now)

    def _deliver(self, response: Response | None, now: Now) -> None:
        assert response is not None
        if self.user is not None and response.status != 100:
            self.user.receive_response(self, response if self._heard is None else self._heard(response), now)

    def _tell_timeout(self, _: Response | None, now: Now) -> None:
        if self.user is not None:
            self.user.transaction_failed(self, "timeout", now)

    def _tell_transport(self, _: Response | None, now: Now) -> None:
        if self.user is not None:
            self.user.transaction_failed(self, "transport", now)

    def _release(self, _: Response | None, now: Now) -> None:
        self.release()

    def _start_d(self, _: Response | None, now: Now) -> None:
        self._run(0.0, 0.0 if self.flow.reliable else max(SHORTEST_D, self._values.give_up), now)

    def _start_k(self, _: Response | None, now: Now) -> None:
        if self.flow.reliable:
            self._run(0.0, 0.0, now)
        else:
            self._cancel_timer()
            self._forget()
            self._layer.lingering.add(self.key, None, self._values.t4, now)

    def _start_m(self, _: Response | None, now: Now) -> None:
        self._data = b""
        self._run(0.0, self._values.give_up, now)


ClientLayer = Layer[str, ClientTransaction]


def client_key(branch: str, method: str) -> str:
    """CANCEL shares the branch of its INVITE (RFC 3261 s9.1), so that it needs a key of its own (s17.1.3)."""
    return f"{branch} CANCEL" if method == "CANCEL" else branch


def cancel_request(invite: ClientTransaction, headers: HeaderRows = ()) -> Request:
    """The CANCEL of an INVITE without final response (RFC 3261 s9.1); `headers`: a Reason, say (RFC 3326)."""
    return _hop_request("CANCEL", invite.request, None, headers)


def acknowledgement(invite: Request, response: Response) -> Request:
    """The ACK of a 300-699 response (RFC 3261 s17.1.1.3), with the credentials of the INVITE (s22.1)."""
    return _hop_request("ACK", invite, response, _rows(invite, AUTHORIZATION) + _rows(invite, PROXY_AUTHORIZATION))


def _hop_request(method: str, invite: Request, response: Response | None, headers: HeaderRows) -> Request:
    """For the same hop as `invite`: its Request-URI, Call-ID, From, CSeq number, Route and top Via alone."""
    return Request.build(
        method,
        invite.uri,
        via=invite.via,
        from_=invite.from_,
        to=invite.to if response is None else response.to,
        call_id=invite.call_id,
        cseq=CSeq(invite.cseq.number, method),
        headers=_rows(invite, ROUTE) + headers,
    )


def _rows(request: Request, name: HeaderName) -> HeaderRows:
    return tuple((name, value) for value in request.headers.all(name))


METHODS = {
    Action.RESEND: ClientTransaction._resend,
    Action.DOUBLE: ClientTransaction._double,
    Action.BACK_OFF: ClientTransaction._back_off,
    Action.SLOW_DOWN: ClientTransaction._slow_down,
    Action.STOP: ClientTransaction._stop,
    Action.ACKNOWLEDGE: ClientTransaction._acknowledge,
    Action.HOLD_CANCEL: ClientTransaction._hold_cancel,
    Action.SEND_HELD_CANCEL: ClientTransaction._send_held_cancel,
    Action.SEND_CANCEL: ClientTransaction._send_cancel,
    Action.DELIVER: ClientTransaction._deliver,
    Action.TELL_TIMEOUT: ClientTransaction._tell_timeout,
    Action.TELL_TRANSPORT: ClientTransaction._tell_transport,
    Action.RELEASE: ClientTransaction._release,
    Action.START_D: ClientTransaction._start_d,
    Action.START_K: ClientTransaction._start_k,
    Action.START_M: ClientTransaction._start_m,
}
INVITE: Program = program(CLIENT_INVITE, METHODS)
OTHER: Program = program(CLIENT_OTHER, METHODS)

PROVISIONAL, SUCCESS, FAILURE, FINAL = Event.PROVISIONAL, Event.SUCCESS, Event.FAILURE, Event.FINAL
UNANSWERED = frozenset({State.CALLING, State.TRYING, State.PROCEEDING})
