"""A restart of ours: who was registered still is, as far as it can be reached without having to come back."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from sbc.inputs import BindingsFound
from tests.scenarios.test_registrar import OUTBOUND, contacts, flow, register
from tests.world import START, Agent, World, secure_answer


@pytest.fixture
def before() -> World:
    return World()


@pytest.fixture
def after() -> Iterator[World]:
    world = World()
    yield world
    world.expect_nothing_left()


def restart(before: World, after: World, seconds: float = 5.0) -> None:
    """The next process: its clocks are others, and it finds what is stored."""
    after.now = START._replace(monotonic=20.0, wall=before.now.wall + seconds)
    after.stored = dict(before.stored)
    after.receive(BindingsFound(tuple(before.stored.items())))


def phone(world: World, port: int = 5060) -> Agent:
    return world.agent("alice", ("203.0.113.9", port), "outside")


def on_tls(world: World, connection: int = 7) -> Agent:
    return world.agent("alice", ("203.0.113.7", 40000 + connection), "outside", "TLS", connection=connection)


def call(world: World) -> Agent:
    carrier = world.agent("carrier", ("10.1.0.2", 5060), "inside")
    carrier.invite("alice")
    carrier.expect_response(100)
    return carrier


def test_a_phone_on_udp_is_called_at_once(before: World, after: World) -> None:
    path = (("Path", "<sip:edge;lr>"),)
    register(phone(before), '<sip:alice@203.0.113.9;x=1>;q=0.5;+sip.instance="<urn:x>"', headers=path)
    restart(before, after)
    again = phone(after)
    carrier = call(after)
    received = again.expect_request("INVITE")
    assert (str(received.uri), received.headers.all("Route")) == ("sip:alice@203.0.113.9;x=1", ["<sip:edge;lr>"])
    again.answer(received, 486)
    again.expect_request("ACK")
    carrier.expect_response(486)
    row = contacts(register(again, headers=(("Expires", "60"),)))[0]
    assert row == '<sip:alice@203.0.113.9;x=1>;q=0.5;+sip.instance="<urn:x>";expires=3595'
    assert [log.event for log in after.logs] == ["registrations found"]


def test_time_goes_on_while_we_are_down(before: World, after: World) -> None:
    register(phone(before), "<sip:alice@203.0.113.9>;expires=120")
    restart(before, after, 121)
    carrier = call(after)
    carrier.expect_response(480)
    assert after.records[0]["note"] == "alice is not registered"


def test_who_came_by_a_connection_is_waited_for(before: World, after: World) -> None:
    old = on_tls(before)
    register(old, flow(old, 1), headers=OUTBOUND)
    restart(before, after)
    carrier = call(after)
    after.after(9)
    carrier.expect_nothing()
    new = on_tls(after, 9)
    assert len(contacts(register(new, flow(new, 1), headers=OUTBOUND))) == 1, "the same flow of the same phone"
    after.after(0.3)
    received = new.expect_request("INVITE")
    new.answer(received, 200, body=secure_answer(received.body, "203.0.113.7", 40000))
    new.expect_request("ACK")
    carrier.ack(carrier.expect_response(200))


def test_who_does_not_come_back_is_480_after_ten_seconds(before: World, after: World) -> None:
    old = on_tls(before)
    register(old, flow(old, 1), headers=OUTBOUND)
    restart(before, after)
    carrier = call(after)
    after.after(9.9)
    carrier.expect_nothing()
    after.after(0.4)
    carrier.expect_response(480)
    assert after.records[0]["note"] == "alice has lost its connection"


def test_a_connection_number_of_before_means_nobody_now(before: World, after: World) -> None:
    """Whoever is the seventh to connect to the next process is not the one who was the seventh in this one."""
    register(on_tls(before), "<sip:alice@203.0.113.7>")
    restart(before, after)
    stranger = after.agent("mallory", ("203.0.113.7", 40007), "outside", "TLS", connection=7)
    call(after)
    after.after(11)
    stranger.expect_nothing()


def test_what_is_stored_is_the_last_state(before: World) -> None:
    agent = phone(before)
    register(agent, "<sip:alice@203.0.113.9>")
    register(agent, "<sip:alice@203.0.113.9>;expires=0")
    assert before.stored == {}
    register(agent, "<sip:alice@203.0.113.9>", "<sip:alice@203.0.113.9:5070>")
    assert len(json.loads(before.stored["alice"])) == 2


def test_what_the_policy_no_longer_has_and_what_nobody_can_read_is_forgotten(before: World, after: World) -> None:
    register(phone(before), "<sip:alice@203.0.113.9>")
    good = before.stored["alice"]
    (plain,) = json.loads(good)
    values: tuple[object, ...] = (None, [], {}, "?")
    broken = [json.dumps([{**plain, name: value}]) for name in plain for value in values if name not in ("outbound", "lost")]
    readable = [text for text in broken if '"call_id": "?"' not in text and '"path": []' not in text]
    for text in (*readable, "", "{}", "[1]", "null", "\x00", '[{"contact": 1}]'):
        world = World()
        world.receive(BindingsFound((("alice", text),)))
        assert [log.event for log in world.logs if log.event != "registrations found"] in (["registration not read"], []), text
        assert world.core.core._bindings.ways("alice", "", world.now) is None, text
    before.stored = {"nobody": good, "office": good, "alice": good.replace('"outside"', '"inside"')}
    restart(before, after)
    assert after.stored == {}
    assert after.core.core._bindings.ways("alice", "", after.now) is None
