"""A small SIP user agent: what a phone does with its calls, over the transactions and dialogs of `sbc.sip`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from sbc.clock import Now
from sbc.errors import SipError
from sbc.flow import Flow
from sbc.probe.wire import Receiver, Wire
from sbc.sip.dialog import Dialog, record_route_rows
from sbc.sip.digest import answer
from sbc.sip.fields.auth import Challenge
from sbc.sip.fields.cseq import CSeq
from sbc.sip.fields.nameaddr import NameAddr
from sbc.sip.fields.via import Via
from sbc.sip.message import Request, Response
from sbc.sip.names import AUTHORIZATION, CSEQ, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, VIA, WWW_AUTHENTICATE, HeaderName
from sbc.sip.status import reason_phrase
from sbc.sip.timers import Timers, TimerValues
from sbc.sip.transactions import ClientTransaction, ServerTransaction, Transactions
from sbc.sip.uri import Uri
from sbc.system import SystemClock, SystemIds

ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO"
SDP = "application/sdp"
_CHALLENGES = 2  # a second one may say that the nonce had grown stale; a third says that the password is wrong

VERDICT = HeaderName("X-Verdict")  # crosses an SBC whose policy has it among `pass_headers` of both sides

Progress = Callable[[Response], None]
Rows = tuple[tuple[str, str], ...]


@dataclass
class Login:
    """A digest account. `used`: the algorithm of the challenge answered last, "" before the first."""

    user: str
    password: str = field(repr=False)
    used: str = ""


class Agent:
    """Any number of calls over any number of sockets. Runs in the loop it was made in; `on_call` takes the calls that come.

    `wire`: what makes its sockets, given where messages go.
    """

    def __init__(self, on_call: Callable[[IncomingCall], None] | None = None, wire: Callable[[Receiver], Wire] = Wire) -> None:
        self.wire = wire(self.receive)
        self.ids = SystemIds()
        self._on_call = on_call
        self._clock = SystemClock()
        self._loop = asyncio.get_running_loop()
        self._timers = Timers()
        self._transactions = Transactions(self._timers, self.wire.send)
        self._calls: dict[tuple[str, str, str], Call] = {}
        self._alarm: asyncio.TimerHandle | None = None

    def close(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self.wire.close()

    def via(self, flow: Flow) -> Via:
        return Via(flow.transport, *flow.local, self.ids.branch(), wants_rport=True)

    def contact(self, flow: Flow, user: str) -> str:
        return f"<{Uri.sip(user, *flow.local, (('transport', flow.transport.lower()),))}>"

    async def dial(
        self, target: Uri, caller: NameAddr, flow: Flow, offer: bytes, login: Login | None = None, progress: Progress | None = None
    ) -> Call:
        """Call `target` and acknowledge its answer. Raises SipError with the status it was refused with, 408 without any answer.

        `caller` is the From without a tag. Cancelling the coroutine cancels the call.
        """
        invite = Request.build(
            "INVITE",
            target,
            via=self.via(flow),
            from_=caller.with_tag(self.ids.tag()),
            to=NameAddr("", target),
            call_id=self.ids.call_id(),
            cseq=CSeq(1, "INVITE"),
            headers=(("Contact", self.contact(flow, caller.uri.user or "probe")), ("Allow", ALLOW)),
            body=offer,
            content_type=SDP,
        )
        exchange, response = await self.request(invite, flow, login, progress)
        if response.status >= 300:
            raise SipError(status=response.status, reason=response.reason)
        dialog = Dialog.from_response(exchange.request, response)
        proof = tuple((name, value) for name, value in exchange.request.headers if name in (AUTHORIZATION, PROXY_AUTHORIZATION))
        exchange.ack = dialog.ack(exchange.request.cseq.number, self.via(flow), headers=proof).encode()
        self.wire.send(exchange.ack, flow)
        call = Call(self, flow, dialog, response.body, login, response.headers.first(VERDICT) or "")
        self.keep(call)
        return call

    async def request(
        self, request: Request, flow: Flow, login: Login | None = None, progress: Progress | None = None
    ) -> tuple[Exchange, Response]:
        """Send `request`, answer challenges if there is a `login`; the exchange that got the final response, and that.

        Raises SipError 408 or 503 when none came.
        """
        challenges = 0
        while True:
            exchange = self.start(request, flow, progress)
            response = await exchange.final()
            if response.status not in (401, 407) or login is None or challenges == _CHALLENGES:
                return exchange, response
            challenges += 1
            request = self._with_credentials(request, response, flow, login)

    def start(self, request: Request, flow: Flow, progress: Progress | None = None) -> Exchange:
        exchange = Exchange(self, request, flow, progress)
        exchange.transaction = self._transactions.client(request, flow, self._clock.now(), exchange)
        self._arm()
        return exchange

    def respond(self, transaction: ServerTransaction, response: Response) -> None:
        self._transactions.respond(transaction, response, self._clock.now())
        self._arm()

    def cancel(self, exchange: Exchange) -> None:
        assert exchange.transaction is not None
        self._transactions.cancel(exchange.transaction, self._clock.now(), Exchange(self, exchange.request, exchange.flow, None))
        self._arm()

    def after(self, delay: float, action: Callable[[Now], None]) -> None:
        self._timers.start(self._clock.now().monotonic + delay, action)
        self._arm()

    def keep(self, call: Call) -> None:
        self._calls[call.dialog.key] = call

    def forget(self, call: Call) -> None:
        self._calls.pop(call.dialog.key, None)

    def _with_credentials(self, request: Request, response: Response, flow: Flow, login: Login) -> Request:
        """RFC 3261 s22.2: the same request under a new branch and the next CSeq."""
        proxy = response.status == 407
        challenges = [Challenge.parse(row) for row in response.headers.all(PROXY_AUTHENTICATE if proxy else WWW_AUTHENTICATE)]
        credentials = answer(
            challenges, login.user, login.password, request.method, str(request.uri), 1, self.ids.random(8).hex(), request.body
        )
        login.used = Challenge.parse(credentials).params.get("algorithm", "MD5")
        via, cseq = self.via(flow), CSeq(request.cseq.number + 1, request.method)
        headers = request.headers.copy()
        headers.set(VIA, str(via))
        headers.set(CSEQ, str(cseq))
        headers.set(PROXY_AUTHORIZATION if proxy else AUTHORIZATION, credentials)
        return Request(request.method, request.uri, headers, request.body, via, request.from_, request.to, request.call_id, cseq)

    def receive(self, message: Request | Response, flow: Flow) -> None:
        now = self._clock.now()
        if isinstance(message, Response):
            self._transactions.receive_response(message, flow, now)
        elif not self._transactions.absorb(message, flow, now):
            self._receive_request(message, flow, now)
        self._arm()

    def _receive_request(self, request: Request, flow: Flow, now: Now) -> None:
        call = self._calls.get((request.call_id, request.to.tag, request.from_.tag))
        if request.method == "ACK":
            if call is not None:
                call.acknowledged = True
            return
        transaction = self._transactions.server(request, flow, now, None)
        if request.method == "CANCEL":
            self._cancelled(transaction, request, flow)
        elif request.to.tag and call is None:
            self.respond(transaction, Response.answer(request, 481))
        elif call is not None:
            call.receive(request, transaction)
        elif request.method == "INVITE" and self._on_call is not None:
            self._take(transaction, request, flow)
        elif request.method == "OPTIONS":
            self.respond(transaction, Response.answer(request, 200, to_tag=self.ids.tag(), headers=(("Allow", ALLOW), ("Accept", SDP))))
        else:
            self.respond(transaction, Response.answer(request, 405, to_tag=self.ids.tag(), headers=(("Allow", ALLOW),)))

    def _take(self, transaction: ServerTransaction, invite: Request, flow: Flow) -> None:
        assert self._on_call is not None
        try:
            call = IncomingCall(self, flow, invite, transaction)
        except SipError as error:
            self.respond(transaction, Response.answer(invite, error.status, error.reason, to_tag=self.ids.tag()))
            return
        self.keep(call)
        self._on_call(call)

    def _cancelled(self, transaction: ServerTransaction, cancel: Request, flow: Flow) -> None:
        invite = self._transactions.invite_to_cancel(cancel, flow)
        self.respond(transaction, Response.answer(cancel, 481 if invite is None else 200, to_tag=self.ids.tag()))
        for call in list(self._calls.values()):
            if isinstance(call, IncomingCall) and call.transaction is invite:
                call.refuse(487)

    def _arm(self) -> None:
        """One loop timer for all of ours."""
        if self._alarm is not None:
            self._alarm.cancel()
        due = self._timers.next()
        self._alarm = None if due is None else self._loop.call_later(max(0.0, due - self._clock.now().monotonic), self._ring)

    def _ring(self) -> None:
        self._timers.fire(self._clock.now())
        self._arm()


class Exchange:
    """One request of ours and what comes back: the user of its transaction."""

    def __init__(self, agent: Agent, request: Request, flow: Flow, progress: Progress | None) -> None:
        self.request = request
        self.flow = flow
        self.transaction: ClientTransaction | None = None
        self.ack = b""  # of an answered INVITE: sent again whenever the answer is (RFC 3261 s13.2.2.4)
        self._agent = agent
        self._progress = progress
        self._final: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

    async def final(self) -> Response:
        """Raises SipError 408 or 503 when there is none."""
        try:
            return await self._final
        except asyncio.CancelledError:
            if self.request.method == "INVITE":
                self._agent.cancel(self)
            raise

    def receive_response(self, transaction: ClientTransaction, response: Response, now: Now) -> None:
        if response.status < 200:
            if self._progress is not None:
                self._progress(response)
        elif not self._final.done():
            self._final.set_result(response)
        elif self.ack and response.status < 300:
            self._agent.wire.send(self.ack, self.flow)

    def transaction_failed(self, transaction: ClientTransaction, cause: str, now: Now) -> None:
        if not self._final.done():
            status = 408 if cause == "timeout" else 503
            self._final.set_exception(SipError("no answer", status=status, reason=reason_phrase(status)))


class Call:
    """One dialog. In-dialog requests use the flow the call was made on.

    body      what the other side said of its media at first
    verdict   what it found of the proof of who calls, if it says so
    ended     becomes "we hung up", "they hung up", or a status
    on_offer  called with the session description of a re-INVITE; gives ours, or raises SipError
    """

    def __init__(self, agent: Agent, flow: Flow, dialog: Dialog, body: bytes, login: Login | None = None, verdict: str = "") -> None:
        self.dialog = dialog
        self.verdict = verdict
        self.body = body
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.acknowledged = True
        self.on_offer: Callable[[bytes], bytes] = _refuse_offer
        self._agent, self._flow, self._login = agent, flow, login

    async def hang_up(self) -> None:
        """Send BYE and wait for its answer. Raises SipError when it is refused or none comes."""
        if self.ended.done():
            return
        self._end("we hung up")
        _, response = await self._agent.request(self.dialog.request("BYE", via=self._agent.via(self._flow)), self._flow, self._login)
        if response.status >= 300:
            raise SipError("BYE refused", status=response.status, reason=response.reason)

    def drop(self) -> None:
        """Send BYE and wait for nothing."""
        if not self.ended.done():
            self._end("we hung up")
            self._agent.start(self.dialog.request("BYE", via=self._agent.via(self._flow)), self._flow)

    def receive(self, request: Request, transaction: ServerTransaction) -> None:
        """A request inside the dialog."""
        try:
            self.dialog.receive(request)
            if request.method == "INVITE":
                self._succeed(request, transaction, self.on_offer(request.body))
                return
        except SipError as error:
            self._agent.respond(transaction, Response.answer(request, error.status, error.reason, headers=error.headers))
            return
        known = request.method in ("BYE", "OPTIONS", "INFO")
        self._agent.respond(transaction, Response.answer(request, 200 if known else 405, headers=(("Allow", ALLOW),)))
        if request.method == "BYE":
            self._end("they hung up")

    def _succeed(self, request: Request, transaction: ServerTransaction, body: bytes, more: Rows = ()) -> None:
        """200 with a description, repeated until the ACK comes (RFC 3261 s13.3.1.4)."""
        contact = self._agent.contact(self._flow, request.uri.user or "probe")
        headers = (("Contact", contact), ("Allow", ALLOW), *record_route_rows(request), *more)
        response = Response.answer(request, 200, to_tag=self.dialog.local_tag, headers=headers, body=body, content_type=SDP)
        self.acknowledged = False
        self._agent.respond(transaction, response)
        data, values, waited = response.encode(), TimerValues(), 0.0
        interval = values.t1

        def repeat(now: Now) -> None:
            nonlocal interval, waited
            waited += interval
            interval = min(2 * interval, values.t2)
            if self.acknowledged or self.ended.done():
                return
            if waited >= values.give_up:
                self.drop()
                return
            self._agent.wire.send(data, transaction.flow)
            self._agent.after(interval, repeat)

        self._agent.after(interval, repeat)

    def _end(self, how: str) -> None:
        if not self.ended.done():
            self.ended.set_result(how)
        self._agent.forget(self)


class IncomingCall(Call):
    """A call to us, from INVITE on. `caller` and `called` are user parts."""

    def __init__(self, agent: Agent, flow: Flow, invite: Request, transaction: ServerTransaction) -> None:
        super().__init__(agent, flow, Dialog.from_request(invite, agent.ids.tag()), invite.body)
        self.transaction = transaction
        self.invite = invite
        self.caller, self.called = invite.from_.uri.decoded_user, invite.uri.decoded_user
        self.answered = False

    def ring(self) -> None:
        contact = self._agent.contact(self._flow, self.invite.uri.user or "probe")
        headers = (("Contact", contact), *record_route_rows(self.invite))
        self._agent.respond(self.transaction, Response.answer(self.invite, 180, to_tag=self.dialog.local_tag, headers=headers))

    def answer(self, body: bytes, verdict: str = "") -> None:
        """Nothing when the caller has given up meanwhile."""
        if not self.ended.done():
            self.answered = True
            self._succeed(self.invite, self.transaction, body, ((VERDICT, verdict),) if verdict else ())

    def refuse(self, status: int, reason: str = "") -> None:
        if not self.answered and not self.ended.done():
            self._agent.respond(self.transaction, Response.answer(self.invite, status, reason, to_tag=self.dialog.local_tag))
            self._end(str(status))

    def drop(self) -> None:
        if self.answered:
            super().drop()
        else:
            self.refuse(480)


def _refuse_offer(body: bytes) -> bytes:
    raise SipError("no re-INVITE wanted", status=488, reason="Not Acceptable Here")
