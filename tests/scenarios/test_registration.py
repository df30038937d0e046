"""Users: digest, registration, calls to and from a phone on a connection."""

from __future__ import annotations

import pytest

from sbc.inputs import FlowClosed
from sbc.sip.digest import answer as digest_answer
from sbc.sip.fields.auth import Challenge
from sbc.sip.message import Request, Response
from tests.world import Agent, World, sdp, secure_answer

DOMAIN = "sbc.example.com"


def credentials(challenge: Response, request: Request, password: str = "wonderland", user: str = "alice", nc: int = 1) -> tuple[str, str]:
    challenges = [Challenge.parse(value) for value in challenge.headers.all("WWW-Authenticate")]
    value = digest_answer(challenges, user, password, request.method, str(request.uri), nc, "cnonce", request.body)
    return ("Authorization", value)


def register(
    agent: Agent, *, cseq: int = 1, auth: tuple[tuple[str, str], ...] = (), expires: int = 600, call_id: str = "reg", user: str = "alice"
) -> Request:
    request = agent.request(
        "REGISTER", f"sip:{DOMAIN}", call_id=call_id, cseq=cseq, to=f"<sip:{user}@{DOMAIN}>", headers=(("Expires", str(expires)), *auth)
    )
    agent.send(request)
    return request


def registered(agent: Agent, expires: int = 600, cseq: int = 1) -> Response:
    request = register(agent, expires=expires, cseq=cseq)
    challenge = agent.expect_response(401)
    register(agent, cseq=cseq + 1, auth=(credentials(challenge, request),), expires=expires)
    return agent.expect_response(200)


def call_as_alice(alice: Agent, number: str = "+4930123456", offer: bytes | None = None) -> Request:
    first = alice.request("INVITE", f"sip:{number}@{DOMAIN}", call_id="alice-call", body=offer or sdp(alice.host, 40000))
    alice.send(first)
    challenge = alice.expect_response(401)
    alice.ack(challenge) if alice.last_invite else None
    second = alice.request(
        "INVITE",
        f"sip:{number}@{DOMAIN}",
        call_id="alice-call",
        cseq=2,
        body=offer or sdp(alice.host, 40000),
        headers=(credentials(challenge, first),),
    )
    alice.last_invite = second
    alice.send(second)
    return second


def test_AUTH_05_register_is_challenged_then_bound(world: World, alice: Agent) -> None:
    ok = registered(alice)
    assert ok.headers.first("Contact") == "<sip:alice@203.0.113.7:40123>;expires=600"
    world.after(601)
    assert register(alice, cseq=5)
    alice.expect_response(401)


def test_AUTH_01_strongest_first_and_each_in_its_own_row(world: World, alice: Agent) -> None:
    register(alice)
    rows = alice.expect_response(401).headers.all("WWW-Authenticate")
    assert ["SHA-256" in row for row in rows] == [True, False]
    assert all('qop="auth"' in row for row in rows)


def test_AUTH_07_unknown_user_is_challenged_like_a_known_one(world: World, alice: Agent) -> None:
    request = register(alice)
    known = alice.expect_response(401)
    register(alice, cseq=2, auth=(credentials(known, request, user="mallory"),), user="mallory")
    unknown = alice.expect_response(401)
    assert [name for name, _ in known.headers] == [name for name, _ in unknown.headers]
    assert len(known.headers.all("WWW-Authenticate")[0]) == len(unknown.headers.all("WWW-Authenticate")[0])


def test_TRN_08_a_challenge_over_udp_is_never_longer_than_the_request(world: World) -> None:
    phone = world.agent("alice", ("203.0.113.9", 5060), "outside")
    bare = Request.build(
        "REGISTER",
        phone.request("REGISTER", f"sip:{DOMAIN}").uri,
        via=phone.request("REGISTER", f"sip:{DOMAIN}").via,
        from_=phone.request("REGISTER", f"sip:{DOMAIN}").from_,
        to=phone.request("REGISTER", f"sip:{DOMAIN}").to,
        call_id="x",
        cseq=phone.request("REGISTER", f"sip:{DOMAIN}").cseq,
    )
    phone.send(bare)
    phone.expect_nothing()
    for padding in range(0, 600, 20):
        request = phone.request("REGISTER", f"sip:{DOMAIN}", headers=(("User-Agent", "x" * padding),))
        phone.send(request)
        for response in phone.inbox:
            assert len(response.encode()) <= len(request.encode())
        if padding == 580:
            assert len(phone.inbox) == 1
        phone.inbox.clear()
        world.after(1)


def test_a_challenge_storm_from_one_source_is_bounded(world: World) -> None:
    phone = world.agent("flood", ("203.0.113.9", 5060), "outside")
    for number in range(500):
        phone.send(phone.request("REGISTER", f"sip:{DOMAIN}", call_id=f"c{number}", headers=(("User-Agent", "x" * 300),)))
    assert len(phone.inbox) <= 20
    assert world.core.leftovers() == {}, "nothing of a stranger is kept"


def test_a_registered_pbx_may_be_challenged_for_every_call(world: World, alice: Agent) -> None:
    """The budgets are for strangers: who is registered on this very flow is none."""
    registered(alice)
    for number in range(1000):
        alice.send(alice.request("INVITE", f"sip:+4930@{DOMAIN}", call_id=f"c{number}", body=sdp(alice.host, 40000)))
    assert len(alice.inbox) == 1000
    assert world.core.leftovers().keys() <= {"timers", "transactions"}, "of the REGISTER; a challenge leaves nothing"


def test_OUT_05_expires_too_short(world: World, alice: Agent) -> None:
    request = register(alice)
    challenge = alice.expect_response(401)
    register(alice, cseq=2, auth=(credentials(challenge, request),), expires=10)
    assert alice.expect_response(423).headers.first("Min-Expires") == "60"


def test_OUT_05_star_removes_all(world: World, alice: Agent) -> None:
    registered(alice)
    request = alice.request("REGISTER", f"sip:{DOMAIN}", call_id="reg", cseq=7, to=f"<sip:alice@{DOMAIN}>", headers=(("Expires", "0"),))
    request.headers.set("Contact", "*")
    alice.send(request)
    challenge = alice.expect_response(401)
    again = alice.request(
        "REGISTER",
        f"sip:{DOMAIN}",
        call_id="reg",
        cseq=8,
        to=f"<sip:alice@{DOMAIN}>",
        headers=(("Expires", "0"), credentials(challenge, request)),
    )
    again.headers.set("Contact", "*")
    alice.send(again)
    assert "Contact" not in alice.expect_response(200).headers


def test_alice_calls_out(world: World, alice: Agent, carrier: Agent) -> None:
    call_as_alice(alice)
    alice.expect_response(100)
    received = carrier.expect_request("INVITE")
    assert received.from_.uri.user == "alice"
    assert b"Authorization" not in received.encode()
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))
    carrier.expect_request("ACK")
    alice.ack(alice.expect_response(200))
    carrier.send(carrier.within_received(received, "BYE"))
    alice.answer(alice.expect_request("BYE"), 200)
    assert world.records[0]["a"]["user"] == "alice"  # type: ignore[index]


@pytest.mark.parametrize("status", [401, 407])
def test_HDR_12_credentials_end_here(world: World, alice: Agent, carrier: Agent, status: int) -> None:
    """Those for us are used up, those for others are nobody's; and a challenge of the far side asks the caller for nothing."""
    foreign = 'Digest username="alice", realm="far.example", nonce="x", uri="sip:x", response="00000000000000000000000000000000"'
    first = alice.request("INVITE", f"sip:+4930123456@{DOMAIN}", call_id="one", body=sdp(alice.host, 40000))
    alice.send(first)
    rows = (credentials(alice.expect_response(401), first), ("Proxy-Authorization", foreign), ("Authorization", foreign))
    alice.send(alice.request("INVITE", f"sip:+4930123456@{DOMAIN}", call_id="one", cseq=2, body=sdp(alice.host, 40000), headers=rows))
    alice.expect_response(100)
    received = carrier.expect_request("INVITE")
    assert b"authorization" not in received.encode().lower()
    assert b"far.example" not in received.encode()
    name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
    carrier.answer(received, status, headers=((name, 'Digest realm="far.example", nonce="y"'),))
    refused = alice.expect_response(500)
    assert b"authenticate" not in refused.encode().lower()


def test_alice_is_called_over_her_connection(world: World, alice: Agent, carrier: Agent) -> None:
    registered(alice)
    carrier.invite("alice")
    carrier.expect_response(100)
    received = alice.expect_request("INVITE")
    assert str(received.uri) == "sip:alice@203.0.113.7:40123"
    assert received.via.transport == "TLS"
    alice.answer(received, 200, body=secure_answer(received.body, "203.0.113.7", 40000))
    alice.expect_request("ACK")
    carrier.ack(carrier.expect_response(200))
    carrier.send(carrier.within(carrier.last_invite, Response.answer(carrier.last_invite, 200), "BYE"))  # type: ignore[arg-type]
    assert world.core.busy() == 1, "a BYE without our tag is no BYE of this dialog"
    carrier.inbox.clear()
    alice.send(alice.within_received(received, "BYE"))
    carrier.answer(carrier.expect_request("BYE"), 200)


def test_alice_cannot_be_called_when_her_connection_is_gone(world: World, alice: Agent, carrier: Agent) -> None:
    registered(alice)
    world.receive(FlowClosed(alice.flow))
    carrier.invite("alice")
    carrier.expect_response(100)
    world.after(10.3)
    carrier.expect_response(480)
    assert world.records[0]["note"] == "alice has lost its connection"


def test_a_binding_runs_out(world: World, alice: Agent, carrier: Agent) -> None:
    registered(alice, expires=60)
    world.after(61)
    carrier.invite("alice")
    carrier.expect_response(100)
    carrier.expect_response(480)


def test_OPTIONS_over_a_registered_connection_is_answered(world: World, alice: Agent) -> None:
    """And before that challenged: hung up on, Asterisk would lose the REGISTER that it sends by the same connection."""
    alice.send(alice.request("OPTIONS", f"sip:{DOMAIN}"))
    alice.expect_response(401)
    assert world.closed_flows == []
    registered(alice)
    alice.send(alice.request("OPTIONS", f"sip:{DOMAIN}"))
    alice.expect_response(200)


def test_OPTIONS_for_somebody_else_over_a_connection_of_a_stranger_ends_it(world: World, alice: Agent) -> None:
    alice.send(alice.request("OPTIONS", "sip:elsewhere.example.com"))
    alice.expect_nothing()
    assert world.closed_flows == [alice.flow]


def test_AUTH_04_credentials_are_not_used_twice(world: World, alice: Agent) -> None:
    request = register(alice)
    challenge = alice.expect_response(401)
    row = credentials(challenge, request)
    register(alice, cseq=2, auth=(row,))
    alice.expect_response(200)
    register(alice, cseq=3, auth=(row,))
    alice.expect_response(401)
