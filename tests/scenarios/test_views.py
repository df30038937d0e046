"""What an operator sees of calls, registrations and trunks while they are there."""

from __future__ import annotations

import pytest

from sbc.call.penalties import SHORTEST_S
from sbc.inputs import FlowClosed
from sbc.sip.digest import answer
from sbc.sip.fields.auth import Challenge
from sbc.sip.message import Request
from sbc.views import (
    CallAsked,
    CallsAsked,
    CallsView,
    CallView,
    RegistrationsAsked,
    RegistrationsView,
    RegistrationView,
    TrunksAsked,
    TrunksView,
    TrunkView,
)
from tests.scenarios.outbound import Carrier, with_account
from tests.world import Agent, World, connect, sdp, secure_answer

NUMBER = "+4930123456"


def calls(world: World, most: int = 50, party: str = "", number: str = "") -> CallsView:
    view = world.core.ask(CallsAsked(most, party, number), world.now)
    assert isinstance(view, CallsView)
    return view


def trunk(world: World, name: str) -> TrunkView:
    view = world.core.ask(TrunksAsked(50, name), world.now)
    assert isinstance(view, TrunksView)
    assert (view.matching, view.total) == (1, len(world.snapshot.trunks))
    return view.trunks[0]


def registered(world: World, account: str = "") -> RegistrationsView:
    view = world.core.ask(RegistrationsAsked(50, account), world.now)
    assert isinstance(view, RegistrationsView)
    return view


def test_a_call_from_its_first_moment_to_its_last(world: World, office: Agent, carrier: Agent) -> None:
    assert calls(world) == CallsView((), 0, 0)
    invite = office.invite(NUMBER)
    office.expect_response(100)
    (dialling,) = calls(world).calls
    assert (dialling.state, dialling.caller, dialling.called, dialling.route) == ("dialling", "office", NUMBER, "out")
    assert (dialling.a.party, dialling.a.kind, dialling.a.peer, dialling.a.speech) == ("office", "trunk", "10.0.0.20:5060", "")
    assert dialling.relay in world.open_relays
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 200, body=sdp(carrier.host, 50000))
    carrier.expect_request("ACK")
    ok = office.expect_response(200)
    office.ack(ok)
    one = world.core.ask(CallAsked(dialling.id), world.now)
    assert isinstance(one, CallView)
    assert (one.state, one.began) == ("connected", dialling.began)
    assert one.answered == pytest.approx(world.now.wall, abs=1)
    assert one.b is not None
    assert (one.b.party, one.b.transport, one.b.ours, one.b.peer) == ("carrier", "UDP", "10.1.0.1:5060", "10.1.0.2:5060")
    assert (one.a.speech, one.b.speech, one.b.codecs, one.b.keying) == ("PCMA", "PCMA", ("PCMA", "PCMU", "telephone-event"), "")
    assert one.attempts == ({"target": "carrier", "status": 200, "server": "UDP 10.1.0.2:5060"},)
    office.send(office.within(invite, ok, "BYE"))
    office.expect_response(200)
    carrier.answer(carrier.expect_request("BYE"), 200)
    assert world.core.ask(CallAsked(dialling.id), world.now) is None


def test_how_a_side_is_encrypted_without_its_keys(world: World, alice: Agent, carrier: Agent) -> None:
    register(alice)
    carrier.invite("alice")
    carrier.expect_response(100)
    received = alice.expect_request("INVITE")
    alice.answer(received, 200, body=secure_answer(received.body, alice.host, 40000))
    (call,) = calls(world).calls
    assert call.b is not None
    assert (call.b.kind, call.b.party, call.b.transport) == ("user", "alice", "TLS")
    assert (call.b.keying, call.b.suite) == ("sdes", "AES_CM_128_HMAC_SHA1_80")
    assert "inline" not in repr(call)
    assert "master" not in repr(call)


def test_only_the_newest_and_how_many_more(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    for number in range(4):  # the carrier takes two, the other ones go on to the backup
        office.invite(f"+49301234{number}")
    view = calls(world, most=3)
    assert [call.called for call in view.calls] == ["+493012343", "+493012342", "+493012341"]
    assert (view.matching, view.total) == (4, 4)
    view = calls(world, most=1, party="backup")
    assert [call.called for call in view.calls] == ["+493012343"]
    assert (view.matching, view.total) == (2, 4)
    assert [call.called for call in calls(world, number="12340").calls] == ["+493012340"]
    assert calls(world, party="alice") == CallsView((), 0, 4)
    assert calls(world, party="carrier", number="12343").matching == 0
    assert (trunk(world, "carrier").calls, trunk(world, "carrier").limit, trunk(world, "backup").limit) == (2, 2, None)
    assert trunk(world, "backup").failures == ()
    assert [failure.note for failure in trunk(world, "carrier").failures] == ["limit calls of carrier"] * 2
    for agent in (office, carrier, backup):
        agent.inbox.clear()


def test_registrations_and_a_flow_that_is_lost(world: World, alice: Agent) -> None:
    register(alice)
    world.after(100)
    view = registered(world)
    assert view.total == 1
    (one,) = view.registrations
    assert one == RegistrationView(
        "alice", "user", "sip:alice@203.0.113.7:40123", "outside", "TLS", "203.0.113.7:40123", one.expires_in, "registered", ""
    )
    assert one.expires_in == pytest.approx(3500, abs=1)
    assert registered(world, "bob") == RegistrationsView((), 0, 1)
    world.receive(FlowClosed(alice.flow))
    assert [each.state for each in registered(world, "alice").registrations] == ["flow lost"]
    world.after(3600)
    assert registered(world).registrations == ()


def test_a_contact_without_what_may_be_secret_in_it(world: World, alice: Agent) -> None:
    register(alice, "<sip:alice:geheim@203.0.113.7:40123;line=7?Subject=geheim>")
    (one,) = registered(world).registrations
    assert one.contact == "sip:alice@203.0.113.7:40123;line=7"


def test_our_own_registration_at_a_carrier() -> None:
    world = World(with_account())
    tel = Carrier(world)
    assert trunk(world, "tel").registration == "", "nothing is sent yet"
    tel.registered(600)
    view = registered(world)
    assert (view.registrations, view.total) == ((), 0)
    (out,) = view.out
    assert (out.trunk, out.server, out.state, out.last) == ("tel", "UDP 10.1.7.1:5060", "registered", "200")
    assert out == registered(world, "tel").out[0]
    assert registered(world, "carrier").out == ()
    assert (trunk(world, "tel").registration, trunk(world, "carrier").registration) == ("registered", "")


def test_looking_changes_nothing(world: World, alice: Agent) -> None:
    register(alice)
    world.after(4000)
    before = world.core.leftovers(), len(world.core.core._bindings)
    registered(world)
    trunk(world, "carrier")
    assert (world.core.leftovers(), len(world.core.core._bindings)) == before
    assert world.core.take_effects() == []


def test_health_of_a_trunk(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    assert trunk(world, "carrier").health == "unknown"
    world.unreachable.add(("10.1.0.2", 5060))
    office.invite(NUMBER)
    backup.answer(backup.expect_request("INVITE"), 486)
    down = trunk(world, "carrier")
    (server,) = down.servers
    assert (down.health, server.server, server.status, server.state) == ("down", "UDP 10.1.0.2:5060", 503, "down")
    assert server.shunned_for == pytest.approx(SHORTEST_S, abs=1)
    (failure,) = down.failures
    assert (failure.status, failure.server) == (503, "UDP 10.1.0.2:5060")
    assert [each.status for each in trunk(world, "backup").failures] == [486]
    assert trunk(world, "backup").health == "up", "busy is an answer"
    world.unreachable.clear()
    world.after(SHORTEST_S + 5)
    assert trunk(world, "carrier").servers[0].shunned_for == 0
    assert trunk(world, "carrier").health == "down", "nobody has heard of it since"
    office.inbox.clear()
    backup.inbox.clear()
    connect(office, carrier, NUMBER)
    (server,) = trunk(world, "carrier").servers
    assert (server.status, server.state, server.shunned_for) == (200, "up", 0)


def register(alice: Agent, contact: str = "") -> None:
    """With the password, as phones do it."""

    def request(cseq: int, *more: tuple[str, str]) -> Request:
        uri, to = "sip:sbc.example.com", "<sip:alice@sbc.example.com>"
        made = alice.request("REGISTER", uri, to=to, call_id="r", cseq=cseq, headers=(("Expires", "3600"), *more))
        if contact:
            made.headers.set("Contact", contact)
        return made

    alice.send(request(1))
    challenge = [Challenge.parse(row) for row in alice.expect_response(401).headers.all("WWW-Authenticate")]
    alice.send(request(2, ("Authorization", answer(challenge, "alice", "wonderland", "REGISTER", "sip:sbc.example.com", 1, "c"))))
    alice.expect_response(200)
