from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest

from sbc.clock import Now
from sbc.errors import SipError
from sbc.flow import Flow
from sbc.probe.agent import Agent, Call, Exchange, IncomingCall, Login
from sbc.sip.digest import DigestRealm, Verified
from sbc.sip.fields.auth import Credentials
from sbc.sip.fields.cseq import CSeq
from sbc.sip.fields.nameaddr import NameAddr
from sbc.sip.message import Request, Response
from sbc.sip.transactions import ClientTransaction
from sbc.sip.uri import Uri
from tests.unit.probe.until import until

OFFER, ANSWER = b"offer", b"answer"


class _Pair:
    """A caller and a callee on loopback UDP; `calls` are those that came."""

    def __init__(self) -> None:
        self.calls: list[IncomingCall] = []
        self.caller = Agent()
        self.callee = Agent(self.take)
        self.flow = Flow("", "UDP", ("", 0), ("", 0))
        self.act: Callable[[IncomingCall], None] = lambda call: call.answer(ANSWER)

    async def open(self) -> None:
        remote = await self.callee.wire.bind_udp(("127.0.0.1", 0))
        self.flow = Flow("", "UDP", await self.caller.wire.bind_udp(("127.0.0.1", 0)), remote)

    def take(self, call: IncomingCall) -> None:
        self.calls.append(call)
        self.act(call)

    async def dial(self, login: Login | None = None, progress: Callable[[Response], None] | None = None) -> Call:
        target = Uri.sip("bob", *self.flow.remote)
        return await self.caller.dial(target, NameAddr("", Uri.sip("alice", "127.0.0.1")), self.flow, OFFER, login, progress)

    async def options(self, **changes: str) -> Response:
        target = Uri.sip("bob", *self.flow.remote)
        request = Request.build(
            changes.get("method", "OPTIONS"),
            target,
            via=self.caller.via(self.flow),
            from_=NameAddr("", target).with_tag("here"),
            to=NameAddr("", target).with_tag(changes.get("to_tag", "")),
            call_id="one",
            cseq=CSeq(1, changes.get("method", "OPTIONS")),
        )
        return (await self.caller.request(request, self.flow))[1]


def _run(scene: Callable[[_Pair], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        pair = _Pair()
        await pair.open()
        try:
            async with asyncio.timeout(10):
                await scene(pair)
        finally:
            pair.caller.close()
            pair.callee.close()

    asyncio.run(run())


def test_a_call_is_answered_and_ended_by_the_caller() -> None:
    async def scene(pair: _Pair) -> None:
        def act(call: IncomingCall) -> None:
            call.ring()
            call.answer(ANSWER)

        pair.act = act
        seen: list[int] = []
        call = await pair.dial(progress=lambda response: seen.append(response.status))
        assert (seen, call.body, pair.calls[0].body) == ([180], ANSWER, OFFER)
        await call.hang_up()
        assert (await call.ended, await pair.calls[0].ended) == ("we hung up", "they hung up")

    _run(scene)


def test_a_call_is_ended_by_the_callee() -> None:
    async def scene(pair: _Pair) -> None:
        call = await pair.dial()
        await pair.calls[0].hang_up()
        assert await call.ended == "they hung up"

    _run(scene)


def test_a_refusal_reaches_the_caller_with_its_status() -> None:
    async def scene(pair: _Pair) -> None:
        pair.act = lambda call: call.refuse(486)
        with pytest.raises(SipError) as refusal:
            await pair.dial()
        assert refusal.value.status == 486

    _run(scene)


def test_giving_up_cancels_the_call() -> None:
    async def scene(pair: _Pair) -> None:
        pair.act = IncomingCall.ring
        ringing = asyncio.Event()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await pair.dial(progress=lambda response: ringing.set())
        assert ringing.is_set()
        assert await pair.calls[0].ended == "487"

    _run(scene)


def test_the_answer_is_repeated_until_its_ack_and_every_repetition_is_acknowledged() -> None:
    async def scene(pair: _Pair) -> None:
        lost: list[bytes] = []
        send = pair.caller.wire.send

        def lossy(data: bytes, flow: Flow, key: str = "") -> None:
            if data.startswith(b"ACK") and not lost:
                lost.append(data)
            else:
                send(data, flow, key)

        pair.caller.wire.send = lossy  # type: ignore[method-assign]
        await pair.dial()
        assert not pair.calls[0].acknowledged
        await until(lambda: pair.calls[0].acknowledged)

    _run(scene)


def test_a_new_offer_is_answered_by_the_call_or_refused() -> None:
    async def scene(pair: _Pair) -> None:
        call = await pair.dial()
        assert (await _reinvite(pair, call)).status == 488
        pair.calls[0].on_offer = lambda body: body + b" again"
        response = await _reinvite(pair, call)
        assert (response.status, response.body) == (200, b"offer again")

    _run(scene)


async def _reinvite(pair: _Pair, call: Call) -> Response:
    request = call.dialog.request("INVITE", via=pair.caller.via(pair.flow), contact=pair.caller.contact(pair.flow, "alice"), body=OFFER)
    exchange, response = await pair.caller.request(request, pair.flow)
    if response.status == 200:
        pair.caller.wire.send(call.dialog.ack(exchange.request.cseq.number, pair.caller.via(pair.flow)).encode(), pair.flow)
    return response


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_a_challenge_is_answered(algorithm: str) -> None:
    async def scene(pair: _Pair) -> None:
        realm = DigestRealm("probe", b"0123456789abcdef", (algorithm,))
        now = Now(0.0, 1e9)

        def act(call: IncomingCall) -> None:
            row = call.invite.headers.first("Proxy-Authorization")
            if row and realm.verify(Credentials.parse(row), "INVITE", OFFER, {"alice": "secret"}.get, "x", now) == Verified("alice"):
                call.answer(ANSWER)
                return
            headers = [("Proxy-Authenticate", value) for value in realm.challenge("x", now)]
            pair.callee.respond(call.transaction, Response.answer(call.invite, 407, to_tag="t", headers=headers))

        pair.act = act
        login = Login("alice", "secret")
        await (await pair.dial(login)).hang_up()
        assert (login.used, len(pair.calls)) == (algorithm, 2)
        with pytest.raises(SipError) as refusal:
            await pair.dial(Login("alice", "wrong"))
        assert refusal.value.status == 407
        assert len(pair.calls) == 5  # three times and not for ever

    _run(scene)


def test_what_belongs_to_no_call_is_answered_by_itself() -> None:
    async def scene(pair: _Pair) -> None:
        assert (await pair.options()).status == 200
        assert (await pair.options(method="MESSAGE")).status == 405
        assert (await pair.options(method="BYE", to_tag="unknown")).status == 481
        invite = await pair.options(method="INVITE")
        assert (invite.status, pair.calls) == (400, [])  # without a Contact there is nobody to talk to

    _run(scene)


@pytest.mark.parametrize(("cause", "told"), [("timeout", (408, "Request Timeout")), ("transport", (503, "Service Unavailable"))])
def test_no_answer_is_told_by_its_own_name(cause: str, told: tuple[int, str]) -> None:
    async def scene(pair: _Pair) -> None:
        request = cast(Request, None)
        exchange = Exchange(pair.caller, request, pair.flow, None)
        exchange.transaction_failed(cast(ClientTransaction, None), cause, Now(0.0, 0.0))
        with pytest.raises(SipError) as silence:
            await exchange.final()
        assert (silence.value.status, silence.value.reason) == told

    _run(scene)
