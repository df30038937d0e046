"""Losing a registration at a carrier, and taking one back."""

from __future__ import annotations

import pytest

from sbc.inputs import BindingsFound, FlowClosed, PolicyChanged, Resolved
from sbc.sip.message import Request
from tests.scenarios.outbound import (
    ACCOUNT,
    DOMAIN,
    LINE,
    TLS,
    TWO,
    Carrier,
    accept,
    asked_for,
    challenge,
    is_proved,
    line_of,
    with_account,
    with_tls,
)
from tests.world import Agent, World, snapshot_of


@pytest.fixture
def policy() -> str:
    return with_account()


@pytest.fixture
def tel(world: World) -> Carrier:
    return Carrier(world)


# Loss


def test_what_cannot_be_refreshed_stands_until_it_is_over_and_then_it_is_lost(tel: Carrier) -> None:
    tel.registered(600)
    tel.world.unreachable |= {tel.a.flow.remote, tel.b.flow.remote}
    tel.world.after(421)
    assert tel.events == ["registered", "registration not refreshed"]
    assert tel.state == "registered"
    tel.world.after(600 - 421 + 1)
    assert tel.state == "waiting"
    assert [event for event in tel.events if event != "registration not refreshed"] == ["registered", "registration lost"]
    lost = tel.world.logs[-1]
    assert (lost.level, lost.facts["trunk"], lost.facts["last"]) == ("warning", "tel", "transport")
    tel.world.unreachable.clear()
    accept(tel.a, tel.asked_within(tel.a, 0.02, 1800))
    assert tel.events[-1] == "registration regained"


def test_a_refresh_that_fails_moves_to_the_next_server_at_once(tel: Carrier) -> None:
    tel.registered()
    tel.asked_within(tel.a, 300, 420)
    tel.world.after(32.1)
    accept(tel.b, tel.b.expect_request("REGISTER"))
    assert tel.events == ["registered"]
    tel.a.inbox.clear()


def test_another_server_is_not_shown_the_nonces_of_the_first(tel: Carrier) -> None:
    tel.world.begin()
    challenge(tel.a, tel.a.expect_request("REGISTER"))
    accept(tel.a, tel.a.expect_request("REGISTER"))
    tel.a.answer(tel.asked_within(tel.a, 300, 420), 503)
    request = tel.b.expect_request("REGISTER")
    assert "Authorization" not in request.headers
    accept(tel.b, request)


def test_a_new_policy_is_a_new_beginning_for_what_has_failed(tel: Carrier) -> None:
    tel.world.unreachable |= {tel.a.flow.remote, tel.b.flow.remote}
    tel.world.begin()
    tel.world.after(4000)
    tel.world.receive(PolicyChanged(snapshot_of(with_account())))
    (outlook,) = tel.world.core.registrations_out()
    assert outlook.next_at is not None
    assert 30 <= outlook.next_at - tel.world.now.wall <= 60


def secure_world() -> tuple[World, Carrier, Agent]:
    world = World(with_tls(with_account(LINE.replace(f"sip:{DOMAIN}", f"sip:{DOMAIN};transport=tls"))))
    tel = Carrier(world)
    world.zone = TLS
    return world, tel, world.agent("a", ("10.1.7.1", 5061), "inside", "TLS", connection=31)


def register_secure(world: World, server: Agent, headers: tuple[tuple[str, str], ...] = ()) -> Request:
    world.begin()
    request = server.expect_request("REGISTER")
    accept(server, request, headers=headers)
    return request


def test_over_tls_the_certificate_must_be_the_domains(policy: str) -> None:
    world, tel, server = secure_world()
    request = register_secure(world, server)
    (send,) = [send for send in world.sent if b"REGISTER" in send.data]
    assert (send.server_name, send.flow.transport, send.flow.connection) == (DOMAIN, "TLS", 0)
    assert {name for name, _ in request.via.params} == {"alias", "keep"}
    assert (request.headers.first("Contact") or "").startswith(f"<sip:{ACCOUNT}@10.1.0.1:5061;transport=tls;line=")
    assert tel.state == "registered"
    world.expect_nothing_left()


def test_a_connection_that_breaks_is_a_registration_lost_and_regained(policy: str) -> None:
    world, tel, server = secure_world()
    first = register_secure(world, server)
    world.after(200)
    world.receive(FlowClosed(server.flow))
    assert (tel.state, world.core.registrations_out()[0].last) == ("waiting", "connection closed")
    assert tel.events == ["registered", "registration lost"]
    server.inbox.clear()
    world.after(2.1)
    again = server.expect_request("REGISTER")
    assert (again.call_id, line_of(again)) == (first.call_id, line_of(first))
    new = world.agent("a", ("10.1.7.1", 5061), "inside", "TLS", connection=32)
    accept(new, again)
    assert tel.events == ["registered", "registration lost", "registration regained"]
    world.receive(FlowClosed(server.flow))
    assert tel.state == "registered", "that was the old one"
    new.inbox.clear()
    world.expect_nothing_left()


def test_a_connection_that_keeps_breaking_is_not_hammered(policy: str) -> None:
    world, _, server = secure_world()
    register_secure(world, server)
    waits = []
    for _ in range(4):
        world.after(1)
        world.receive(FlowClosed(server.flow))
        (outlook,) = world.core.registrations_out()
        assert outlook.next_at is not None
        waits.append(outlook.next_at - world.now.wall)
        world.after(waits[-1] + 0.01)
        accept(server, server.expect_request("REGISTER"))
    assert [waits[0] <= 2, 30 <= waits[1] <= 60, 60 <= waits[2] <= 120, 120 <= waits[3] <= 240] == [True] * 4, waits
    world.expect_nothing_left()


def test_TRN_31_pings_keep_the_connection(policy: str) -> None:
    world, _, server = secure_world()
    register_secure(world, server)
    world.after(250)
    instants = [instant for instant, _ in world.pings]
    assert len(instants) == 2
    assert 95 <= instants[1] - instants[0] <= 120
    assert {(ping.flow, ping.within) for _, ping in world.pings} == {(server.flow, 0.0)}, "nobody has promised pongs"
    world.expect_nothing_left()


@pytest.mark.parametrize("how", ["keep", "Flow-Timer"])
def test_TRN_31_as_often_as_the_server_says_and_with_pongs_then(policy: str, how: str) -> None:
    world, _, server = secure_world()
    world.begin()
    request = server.expect_request("REGISTER")
    if how == "keep":
        data = request.headers.first("Via") or ""
        request.headers.set("Via", data.replace(";keep", ";keep=50"))
        accept(server, request)
    else:
        accept(server, request, headers=(("Flow-Timer", "50"),))
    world.after(101)
    instants = [instant for instant, _ in world.pings]
    assert len(instants) == 2
    assert 40 <= instants[1] - instants[0] <= 50
    assert {ping.within for _, ping in world.pings} == {10.0}
    world.expect_nothing_left()


def test_TLS_08_a_redirection_never_leads_from_tls_to_less(policy: str) -> None:
    world, tel, server = secure_world()
    world.begin()
    server.answer(server.expect_request("REGISTER"), 302, headers=(("Contact", "<sip:10.1.7.2>"),))
    tel.b.expect_nothing()
    assert tel.state == "waiting"
    world.expect_nothing_left()


# Leaving


def test_a_drain_takes_it_back(tel: Carrier) -> None:
    first = tel.registered()
    tel.world.drain()
    assert tel.world.core.is_leaving()
    goodbye = tel.a.expect_request("REGISTER")
    assert asked_for(goodbye) == 0
    assert line_of(goodbye) == line_of(first)
    assert tel.state == "leaving"
    challenge(tel.a, goodbye)
    proved = tel.a.expect_request("REGISTER")
    assert asked_for(proved) == 0
    assert is_proved(proved)
    accept(tel.a, proved)
    assert not tel.world.core.is_leaving()
    assert tel.world.core.registrations_out() == ()
    tel.world.after(2000)
    tel.a.expect_nothing()
    assert tel.events == ["registered"], "no alarm"


def test_a_nonce_that_is_too_old_for_a_goodbye(tel: Carrier) -> None:
    tel.world.begin()
    challenge(tel.a, tel.a.expect_request("REGISTER"))
    accept(tel.a, tel.a.expect_request("REGISTER"))
    tel.world.drain()
    challenge(tel.a, tel.a.expect_request("REGISTER"), nonce="n2")
    proved = tel.a.expect_request("REGISTER")
    assert is_proved(proved)
    accept(tel.a, proved)
    assert not tel.world.core.is_leaving()


def test_an_answer_of_dns_that_nobody_waits_for_any_more(tel: Carrier) -> None:
    tel.world.zone = None
    tel.world.begin()
    tel.world.drain()
    tel.world.receive(Resolved(tel.world.unanswered[0], TWO))
    tel.a.expect_nothing()
    assert tel.world.core.registrations_out() == ()


def test_nobody_waits_long_for_a_goodbye(tel: Carrier) -> None:
    tel.registered()
    tel.world.drain()
    tel.a.expect_request("REGISTER")
    tel.world.after(3.1)
    assert not tel.world.core.is_leaving()
    tel.a.inbox.clear()


def test_a_goodbye_that_is_refused_is_not_repeated(tel: Carrier) -> None:
    tel.registered()
    tel.world.drain()
    for count in range(2):
        challenge(tel.a, tel.a.expect_request("REGISTER"), nonce=f"n{count}")
    tel.a.expect_nothing()
    assert not tel.world.core.is_leaving()


def test_a_register_under_way_is_waited_for_and_then_taken_back(tel: Carrier) -> None:
    tel.world.begin()
    request = tel.a.expect_request("REGISTER")
    tel.world.drain()
    tel.a.expect_nothing()
    accept(tel.a, request)
    goodbye = tel.a.expect_request("REGISTER")
    assert asked_for(goodbye) == 0
    accept(tel.a, goodbye)
    assert not tel.world.core.is_leaving()


def test_who_is_not_registered_has_nothing_to_take_back(tel: Carrier) -> None:
    tel.world.begin()
    tel.a.answer(tel.a.expect_request("REGISTER"), 403)
    tel.world.drain()
    assert not tel.world.core.is_leaving()
    tel.a.expect_nothing()


def test_a_policy_without_it_takes_it_back(tel: Carrier) -> None:
    tel.registered()
    tel.world.receive(PolicyChanged(snapshot_of()))
    goodbye = tel.a.expect_request("REGISTER")
    assert asked_for(goodbye) == 0
    accept(tel.a, goodbye)
    assert tel.world.core.registrations_out() == ()


def test_a_policy_that_says_the_same_changes_nothing(tel: Carrier) -> None:
    tel.registered()
    tel.world.receive(PolicyChanged(snapshot_of(with_account(more="    trusted: true\n"))))
    tel.a.expect_nothing()
    assert tel.state == "registered"


def test_another_account_is_another_registration(tel: Carrier) -> None:
    first = tel.registered()
    tel.world.receive(PolicyChanged(snapshot_of(with_account(LINE.replace(ACCOUNT, "4930999")))))
    goodbye, second = tel.a.expect_request("REGISTER"), tel.a.expect_request("REGISTER")
    assert (asked_for(goodbye), asked_for(second)) == (0, 600)
    assert second.call_id != first.call_id
    assert line_of(second) != line_of(first)
    accept(tel.a, second)
    accept(tel.a, goodbye)
    assert [outlook.state for outlook in tel.world.core.registrations_out()] == ["registered"]
    tel.office.invite("+4930123456")
    assert tel.a.expect_request("INVITE"), "the end of the old one is not the end of the new one"
    tel.office.inbox.clear()


def test_a_password_that_was_put_right_is_tried_at_once(tel: Carrier) -> None:
    wrong = World(with_account(LINE.replace("file: alice.secret", "env: PATH")))
    tel = Carrier(wrong)
    wrong.begin()
    for count in range(2):
        request = tel.a.expect_request("REGISTER") if not count else tel.asked_within(tel.a, 30, 60)
        challenge(tel.a, request, nonce=f"n{count}")
        if count == 0 or tel.a.inbox:
            challenge(tel.a, tel.a.expect_request("REGISTER"), nonce=f"m{count}")
    assert tel.state == "refused"
    wrong.receive(PolicyChanged(snapshot_of(with_account())))
    challenge(tel.a, tel.a.expect_request("REGISTER"))
    right = tel.a.expect_request("REGISTER")
    assert is_proved(right)
    accept(tel.a, right)
    assert tel.events[-1] == "registration regained"
    wrong.expect_nothing_left()


def test_after_a_restart_the_contact_is_the_same(tel: Carrier, policy: str) -> None:
    """Or the carrier would call two of us until the old one has run out."""
    first = tel.registered()
    after = World(policy)
    after.receive(BindingsFound(tuple(tel.world.stored.items())))
    again = Carrier(after).registered()
    assert again.headers.first("Contact") == first.headers.first("Contact")
    stranger = Carrier(World(policy))
    stranger.world.core._ids.tag()
    other = stranger.registered()
    assert line_of(other) != line_of(first), "and nobody else can have it"
