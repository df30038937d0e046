"""Registered through us: calls of the core by token, and the way to it that it has told."""

from __future__ import annotations

import pytest

from sbc.inputs import FlowClosed
from sbc.sip.fields.nameaddr import NameAddr
from sbc.sip.message import Request, Response
from tests.scenarios.through import (
    DOMAIN,
    INSTANCE,
    OUTBOUND,
    Rows,
    core_of,
    grant,
    invite,
    on_udp,
    phone,
    register,
    registered,
    token_of,
    with_core,
)
from tests.world import Agent, World, sdp


@pytest.fixture
def policy() -> str:
    return with_core()


@pytest.fixture
def bob(world: World) -> Agent:
    return phone(world)


@pytest.fixture
def core(world: World) -> Agent:
    return core_of(world)


# Calls


def answered(agent: Agent, core: Agent, received: Request) -> None:
    core.expect_response(100)
    agent.answer(received, 200, body=sdp(agent.host, 50000))
    agent.expect_request("ACK")
    core.ack(core.expect_response(200))


def test_the_core_calls_a_phone_by_its_token_over_its_flow(world: World, bob: Agent, core: Agent) -> None:
    received, _ = registered(bob, core)
    invite(core, token_of(received))
    call = bob.expect_request("INVITE")
    assert str(call.uri) == "sip:bob@192.168.1.5:5061;transport=tls"
    answered(bob, core, call)
    assert world.calls()[0].facts.called == "bob"


def test_a_token_reaches_its_own_phone_only(world: World, bob: Agent, core: Agent) -> None:
    first, _ = registered(bob, core)
    other = phone(world, 8)
    other.name = "bob2"
    second, _ = registered(other, core, contact="<sip:bob@192.168.1.6:5061;transport=tls>", cseq=9)
    assert token_of(first) != token_of(second)
    for agent, received in ((bob, first), (other, second)):
        invite(core, token_of(received))
        agent.answer(agent.expect_request("INVITE"), 486)
        agent.expect_request("ACK")
        core.expect_response(100)
        core.expect_response(486)


def test_a_pbx_finds_the_number_dialled_in_the_request_uri(world: World, core: Agent) -> None:
    pbx = world.agent("pbx", ("203.0.113.40", 33000), "outside", "TLS", connection=9)
    received, _ = registered(pbx, core, contact="<sip:line1@192.168.5.5:5061;transport=tls>", user="pbx")
    for to, user in (("<sip:+4930555@example.com>", "+4930555"), ("<sip:pbx@example.com>", "line1")):
        invite(core, token_of(received), to=to)
        call = pbx.expect_request("INVITE")
        assert (call.uri.user, call.uri.host) == (user, "192.168.5.5")
        pbx.answer(call, 486)
        pbx.expect_request("ACK")
        core.expect_response(100)
        core.expect_response(486)


def test_a_message_of_the_core_goes_to_the_phone_of_the_token(world: World, bob: Agent, core: Agent) -> None:
    received, _ = registered(bob, core)
    core.send(core.request("MESSAGE", f"sip:{token_of(received)}@10.1.0.1:5060", headers=(("Content-Type", "text/plain"),)))
    message = bob.expect_request("MESSAGE")
    assert str(message.uri) == "sip:bob@192.168.1.5:5061;transport=tls"
    bob.answer(message, 200)
    core.expect_response(200)


@pytest.mark.parametrize("where", ["uri", "route"])
def test_OUT_01_a_forged_token_is_403(world: World, bob: Agent, core: Agent, where: str) -> None:
    received, _ = registered(bob, core)
    token = token_of(received)
    forged = token[:-1] + ("0" if token[-1] != "0" else "1")
    if where == "uri":
        invite(core, forged)
    else:
        invite(core, "bob", headers=(("Route", f"<sip:{forged}@10.1.0.1:5060;lr;ob>"),))
    core.expect_response(403)
    bob.expect_nothing()


def test_OUT_01_a_token_is_for_the_registrar_it_was_told_to(world: World, bob: Agent, core: Agent, carrier: Agent) -> None:
    received, _ = registered(bob, core)
    request = carrier.request("INVITE", f"sip:{token_of(received)}@10.1.0.1:5060", body=sdp("10.1.0.2", 40000))
    carrier.last_invite = request
    carrier.send(request)
    carrier.expect_response(403)


def test_OUT_01_an_outbound_phone_has_a_path_with_its_flow(world: World, bob: Agent, core: Agent) -> None:
    row = f"<sip:bob@192.168.1.5:5061;transport=tls>;reg-id=1;+sip.instance={INSTANCE}"
    received, ok = registered(bob, core, contact=row, headers=OUTBOUND)
    (path,) = received.headers.all("Path")
    uri = NameAddr.parse(path).uri
    assert (uri.user, uri.host, uri.param("lr"), uri.param("ob")) == (token_of(received), "10.1.0.1", "", "")
    assert received.headers.first("Supported") == "path, outbound"
    assert ok.headers.first("Require") == "outbound"
    assert "Path" not in ok.headers, "it is ours, and the phone's registrar is us"
    invite(core, "bob", headers=(("Route", path),))
    answered(bob, core, bob.expect_request("INVITE"))


@pytest.mark.parametrize(
    ("contact", "headers"),
    [
        (f"<sip:bob@192.168.1.5>;+sip.instance={INSTANCE}", OUTBOUND),
        ("<sip:bob@192.168.1.5>;reg-id=1", OUTBOUND),
        (f"<sip:bob@192.168.1.5>;reg-id=1;+sip.instance={INSTANCE}", ()),
        (f"<sip:bob@192.168.1.5>;reg-id=1;+sip.instance={INSTANCE}", (("Supported", "outbound"),)),
        (
            f"<sip:bob@192.168.1.5>;reg-id=1;+sip.instance={INSTANCE}",
            (*OUTBOUND, ("Via", "SIP/2.0/TLS 192.0.2.2;branch=z9hG4bKp"), ("Path", "<sip:x@edge.example.net;lr;ob>")),
        ),
    ],
)
def test_OUT_01_everybody_else_has_none(world: World, bob: Agent, core: Agent, contact: str, headers: Rows) -> None:
    """No instance, no reg-id, no option, no Path, or not the first hop: the token in the Contact does for all of them (OUT-04)."""
    received, _ = registered(bob, core, contact=contact, headers=headers)
    assert "Path" not in received.headers
    assert received.headers.first("Supported") == "path"
    invite(core, token_of(received))
    call = bob.expect_request("INVITE")
    assert call.headers.all("Route") == [value for name, value in headers if name == "Path"]
    bob.answer(call, 486)
    core.expect_response(100)
    core.expect_response(486)


def test_OUT_02_a_dead_flow_is_430(world: World, bob: Agent, core: Agent) -> None:
    row = f"<sip:bob@192.168.1.5:5061;transport=tls>;reg-id=1;+sip.instance={INSTANCE}"
    received, _ = registered(bob, core, contact=row, headers=OUTBOUND)
    (path,) = received.headers.all("Path")
    world.receive(FlowClosed(bob.flow))
    invite(core, "bob", headers=(("Route", path),))
    core.expect_response(430)
    core.send(core.request("OPTIONS", "sip:bob@10.1.0.1:5060", headers=(("Route", path),)))
    core.expect_response(430)
    again = phone(world, 8)
    register(again, contact=row, headers=OUTBOUND, cseq=2)
    assert grant(core).headers.all("Path") == [path]
    again.expect_response(200)
    invite(core, "bob", headers=(("Route", path),))
    again.answer(again.expect_request("INVITE"), 486)
    core.expect_response(100)
    core.expect_response(486)
    again.expect_request("ACK")
    register(again, contact=row, headers=OUTBOUND, cseq=3, expires=0)
    core.answer(core.expect_request("REGISTER"), 200)
    again.expect_response(200)
    invite(core, "bob", headers=(("Route", path),))
    core.expect_response(430)


def test_a_phone_without_outbound_that_lost_its_connection_is_waited_for(world: World, bob: Agent, core: Agent) -> None:
    received, _ = registered(bob, core)
    world.receive(FlowClosed(bob.flow))
    invite(core, token_of(received))
    core.expect_response(100)
    world.after(3)
    core.expect_nothing()
    again = phone(world, 8)
    register(again, cseq=2)
    assert token_of(grant(core)) == token_of(received)
    again.expect_response(200)
    world.after(0.3)
    again.answer(again.expect_request("INVITE"), 486)
    core.expect_response(486)


def test_a_phone_that_is_back_with_another_contact_is_known_by_its_call_id(world: World, bob: Agent, core: Agent) -> None:
    """And so it does not pile up at the registrar, connection by connection."""
    token = ""
    for number in range(15):
        agent = phone(world, 100 + number)
        register(agent, contact=f"<sip:bob@192.168.1.5:{40000 + number};transport=tls>", cseq=number + 1)
        received = grant(core)
        token = token or token_of(received)
        assert token_of(received) == token
        assert len(agent.expect_response(200).headers.all("Contact")) == 1
        world.receive(FlowClosed(agent.flow))


def test_one_phone_that_is_back_does_not_make_the_registrar_lose_the_other(world: World, bob: Agent, core: Agent) -> None:
    first, _ = registered(bob, core)
    other = phone(world, 8)
    other.name = "bob2"
    second, _ = registered(other, core, contact="<sip:bob@192.168.1.6:5061;transport=tls>")
    for agent in (bob, other):
        world.receive(FlowClosed(agent.flow))
    back = phone(world, 9)
    assert len(registered(back, core, cseq=2)[1].headers.all("Contact")) == 1, "only what can be reached is listed"
    invite(core, token_of(second))
    core.expect_response(100)
    world.after(2)
    core.expect_nothing()
    again = phone(world, 10)
    again.name = "bob2"
    assert token_of(registered(again, core, contact="<sip:bob@192.168.1.6:5061;transport=tls>", cseq=2)[0]) == token_of(second)
    world.after(0.3)
    again.answer(again.expect_request("INVITE"), 486)
    core.expect_response(486)
    assert token_of(first) != token_of(second)


# Service-Route


def test_OUT_08_the_service_route_becomes_ours_and_is_kept_to(world: World, bob: Agent, core: Agent) -> None:
    register(bob)
    route = ("<sip:orig@scscf.example.net;lr>", "<sip:hsp.example.net;lr>")
    grant(core, headers=(("Service-Route", ", ".join(route)),))
    ok = bob.expect_response(200)
    assert ok.headers.all("Service-Route") == ["<sip:10.0.0.1:5061;transport=tls;lr>"]
    assert b"example.net" not in ok.encode()
    request = bob.request(
        "INVITE", f"sip:+12125550100@{DOMAIN}", body=sdp(bob.host, 40000), headers=(("Route", ok.headers.first("Service-Route") or ""),)
    )
    bob.last_invite = request
    bob.send(request)
    bob.expect_response(100)
    received = core.expect_request("INVITE")
    assert received.headers.all("Route") == list(route)
    assert str(received.uri) == "sip:+12125550100@10.1.0.9"
    core.answer(received, 200, body=sdp("10.1.0.9", 50000))
    core.expect_request("ACK")
    bob.ack(bob.expect_response(200))
    world.after(20)
    register(bob, cseq=2)
    assert bob.expect_response(200).headers.all("Service-Route") == ["<sip:10.0.0.1:5061;transport=tls;lr>"]


def test_OUT_08_without_one_there_is_none(world: World, bob: Agent, core: Agent) -> None:
    _, ok = registered(bob, core)
    assert "Service-Route" not in ok.headers
    bob.send(bob.request("INVITE", f"sip:+12125550100@{DOMAIN}", body=sdp(bob.host, 40000)))
    bob.expect_response(100)
    assert "Route" not in core.expect_request("INVITE").headers


def test_who_is_not_registered_may_not_call(world: World, bob: Agent, core: Agent) -> None:
    """Its password is the registrar's business: nobody here could check it."""
    bob.send(bob.request("INVITE", f"sip:+12125550100@{DOMAIN}", body=sdp(bob.host, 40000)))
    core.expect_nothing()
    assert all(isinstance(each, Response) and each.status == 401 for each in bob.inbox)


def test_whose_time_is_over_is_not_known_by_its_flow_any_more(world: World, core: Agent) -> None:
    """Behind the port of a NAT may be somebody else by then."""
    bob = on_udp(world)
    registered(bob, core, contact="<sip:bob@203.0.113.8>")
    world.after(61)
    bob.send(bob.request("INVITE", f"sip:+12125550100@{DOMAIN}", body=sdp(bob.host, 40000)))
    core.expect_nothing()
    assert world.records == []


def test_who_has_a_password_of_ours_is_not_taken_for_who_shares_its_connection(world: World, bob: Agent, core: Agent) -> None:
    registered(bob, core)
    bob.name = "alice"
    bob.send(bob.request("INVITE", f"sip:+12125550100@{DOMAIN}", body=sdp(bob.host, 40000)))
    bob.expect_response(401)
    bob.name = "+4930111"  # a PBX calls with its callers' numbers
    bob.send(bob.request("INVITE", f"sip:+12125550100@{DOMAIN}", body=sdp(bob.host, 40000)))
    bob.expect_response(100)
    assert world.calls()[0].facts.a.party.name == "bob"
    core.expect_request("INVITE")


def test_of_several_accounts_on_one_connection_each_calls_as_itself(world: World, bob: Agent, core: Agent) -> None:
    registered(bob, core)
    bob.name = "carol"
    registered(bob, core, contact="<sip:carol@192.168.1.5:5061;transport=tls>", user="carol")
    for number, name in enumerate(("bob", "carol")):
        bob.name = name
        bob.send(bob.request("INVITE", f"sip:+1212555010{number}@{DOMAIN}", body=sdp(bob.host, 40000)))
        bob.expect_response(100)
        assert world.calls()[number].facts.a.party.name == name
        core.expect_request("INVITE")
