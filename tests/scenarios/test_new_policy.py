"""A new policy while calls run: what they keep, what counts at once, and what has to go."""

from __future__ import annotations

import pytest

from sbc.inputs import FlowClosed, PolicyChanged, Resolved
from sbc.sip.locate import Question
from tests.scenarios.test_registration import registered
from tests.world import POLICY as BASIC
from tests.world import Agent, World, connect, sdp, snapshot_of

NUMBER = "+4930123456"
ROUTES_OF_ALICE = ("  - name: alice-out\n", "  - name: to-alice\n")


def without(policy: str, *blocks: str) -> str:
    """Each block goes from its first line to the next one that is as far left."""
    for block in blocks:
        before, _, after = policy.partition(block)
        depth = len(block) - len(block.lstrip())
        lines = after.splitlines(keepends=True)
        end = next(index for index, line in enumerate(lines) if len(line) - len(line.lstrip()) <= depth)
        policy = before + "".join(lines[end:])
    return policy


POLICY = BASIC.replace("[udp://10.1.0.1:5060]", "[udp://10.1.0.1:5060, tcp://10.1.0.1:5060]").replace(
    "routes:\n", 'routes:\n  - name: back\n    when: {trunk: backup, to: "+4930*"}\n    send_to: [office]\n'
)
WITHOUT_BACKUP = without(POLICY, "  backup:\n", "  - name: back\n").replace("[carrier, backup]", "[carrier]")
WITHOUT_ALICE = without(POLICY, "users:\n", *ROUTES_OF_ALICE)
ADVERTISED = POLICY.replace("    certificate: edge\n", "    certificate: edge\n    advertise: 192.0.2.1\n")
MOVED = POLICY.replace("udp://10.0.0.1:5060", "udp://10.0.0.1:5070")


@pytest.fixture
def policy() -> str:
    return POLICY


def take(world: World, policy: str) -> None:
    world.receive(PolicyChanged(snapshot_of(policy)))


def test_a_call_keeps_its_routes_and_codecs(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    office.invite(NUMBER)
    received = carrier.expect_request("INVITE")
    take(world, POLICY.replace("send_to: [carrier, backup]", "send_to: [carrier]").replace("[PCMA, PCMU, G729, telephone-event]", "[PCMU]"))
    carrier.answer(received, 503)
    carrier.expect_request("ACK")
    second = backup.expect_request("INVITE")
    assert b"PCMA/8000" in second.body
    backup.answer(second, 200, body=sdp(backup.host, 50000))
    backup.expect_request("ACK")
    office.expect_response(100)
    ok = office.expect_response(200)
    assert b"PCMA/8000" in ok.body
    office.ack(ok)
    office.invite(NUMBER)
    assert b"PCMA/8000" not in carrier.expect_request("INVITE").body


def test_the_counter_of_a_limit_goes_on_under_its_new_rules(world: World, office: Agent, carrier: Agent) -> None:
    connect(carrier, office, NUMBER)
    take(world, POLICY.replace("carrier: {calls: 2", "carrier: {calls: 1"))
    carrier.invite(NUMBER)
    carrier.expect_response(503)
    take(world, POLICY)
    connect(carrier, office, NUMBER)


def test_a_call_under_way_is_counted_by_the_limits_of_today(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    """The second target has a limit that is reached, which it had not when the call began."""
    connect(backup, office, NUMBER)
    office.invite(NUMBER)
    received = carrier.expect_request("INVITE")
    take(world, POLICY.replace("  backup:\n", "  backup:\n    limits: few\n").replace("  person:", "  few: {calls: 1}\n  person:"))
    carrier.answer(received, 503)
    carrier.expect_request("ACK")
    backup.expect_nothing()
    office.expect_response(100)
    office.expect_response(503)


def test_the_call_of_a_removed_trunk_goes_on_and_its_next_one_is_refused(world: World, office: Agent) -> None:
    backup = world.agent("backup", ("10.1.0.3", 40000), "inside", "TCP", connection=5)
    invite, ok, received = connect(backup, office, NUMBER)
    take(world, WITHOUT_BACKUP)
    backup.invite(NUMBER)
    backup.expect_response(403)
    assert world.core.strays() == ()
    assert world.closed_flows == []
    office.send(office.within_received(received, "OPTIONS"))
    office.expect_response(200)
    backup.send(backup.within(invite, ok, "BYE"))
    backup.expect_response(200)
    office.answer(office.expect_request("BYE"), 200)
    world.after(1)
    assert world.core.strays() == (backup.flow,)
    world.receive(FlowClosed(backup.flow))
    assert world.core.strays() == ()


def test_a_trunk_that_stays_keeps_its_connection(world: World, office: Agent) -> None:
    backup = world.agent("backup", ("10.1.0.3", 40000), "inside", "TCP", connection=5)
    invite, ok, _ = connect(backup, office, NUMBER)
    backup.send(backup.within(invite, ok, "BYE"))
    office.answer(office.expect_request("BYE"), 200)
    take(world, POLICY.replace("[carrier, backup]", "[backup]"))
    assert world.core.strays() == ()


def test_over_udp_a_removed_trunk_is_a_stranger(world: World, office: Agent, backup: Agent) -> None:
    invite, ok, _ = connect(backup, office, NUMBER)
    take(world, WITHOUT_BACKUP)
    backup.invite(NUMBER)
    backup.expect_nothing()
    backup.send(backup.within(invite, ok, "BYE"))
    backup.expect_response(200)
    office.answer(office.expect_request("BYE"), 200)


def test_who_is_registered_and_is_no_user_any_more_is_gone(world: World, alice: Agent, carrier: Agent) -> None:
    registered(alice)
    assert "alice" in world.stored
    take(world, POLICY.replace("send_to: [alice]", "send_to: [office]"))
    assert "alice" in world.stored
    take(world, WITHOUT_ALICE)
    assert "alice" not in world.stored
    assert world.core.strays() == (alice.flow,)
    take(world, POLICY)
    carrier.invite("alice")
    carrier.expect_response(100)
    carrier.expect_response(480)


def test_a_listener_has_moved(world: World, office: Agent, carrier: Agent) -> None:
    """The call that began on the old one goes on there, with the address that its peer was told; the next one comes by the new one."""
    take(world, ADVERTISED)
    _, _, received = connect(office, carrier, NUMBER)
    assert {flow.local for flow in world.core.flows_in_use()} == {("10.0.0.1", 5060), ("10.1.0.1", 5060)}
    take(world, MOVED)
    office.invite(NUMBER)
    office.expect_nothing()
    carrier.expect_nothing()
    carrier.send(carrier.within_received(received, "BYE"))
    bye = office.expect_request("BYE")
    assert (bye.via.host, bye.via.port) == ("192.0.2.1", 5060)
    assert next(sent.flow.local for sent in reversed(world.sent) if sent.data.startswith(b"BYE")) == ("10.0.0.1", 5060)
    office.answer(bye, 200)
    carrier.expect_response(200)
    world.after(1)
    assert world.core.flows_in_use() == frozenset()
    office.flow = office.flow._replace(local=("10.0.0.1", 5070))
    connect(office, carrier, NUMBER)


def test_a_realm_with_another_name_is_the_same_to_its_calls(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok, _ = connect(office, carrier, NUMBER)
    renamed = POLICY.replace("outside", "beyond")
    take(world, renamed)
    office.flow = office.flow._replace(realm="beyond")
    office.send(office.within(invite, ok, "BYE"))
    office.expect_response(200)
    carrier.answer(carrier.expect_request("BYE"), 200)


@pytest.mark.parametrize("other", [WITHOUT_BACKUP, WITHOUT_ALICE, MOVED])
def test_a_policy_that_is_taken_back_leaves_everything_as_it_was(world: World, office: Agent, carrier: Agent, other: str) -> None:
    invite, ok, _ = connect(office, carrier, NUMBER)
    take(world, other)
    take(world, POLICY)
    office.send(office.within(invite, ok, "BYE"))
    office.expect_response(200)
    carrier.answer(carrier.expect_request("BYE"), 200)
    connect(office, carrier, NUMBER)
    assert world.core.strays() == ()


def test_a_relay_that_moved_while_the_callee_was_looked_for_is_told_where_it_is() -> None:
    named = POLICY.replace("peer: sip:10.1.0.2:5060", "peer: sip:gw.example:5060")
    world = World(named)
    office = world.agent("office", ("10.0.0.20", 5060), "outside")
    carrier = world.agent("carrier", ("10.1.0.2", 5060), "inside")
    world.zone = None
    office.invite(NUMBER)
    moved = named.replace("relay: {address: 10.1.0.1", "relay: {address: 10.1.0.9")
    take(world, moved)
    world.media.provide({name: realm.relay for name, realm in snapshot_of(moved).realms.items()})
    world.receive(Resolved(world.unanswered[0], {Question("A", "gw.example"): ("10.1.0.2",)}))
    invite = carrier.expect_request("INVITE")
    assert b"c=IN IP4 10.1.0.9\r\n" in invite.body
    carrier.answer(invite, 486)
    world.expect_nothing_left()


def test_the_next_target_is_called_from_where_the_call_began(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    inside = "[udp://10.1.0.1:5060, tcp://10.1.0.1:5060]\n"
    take(world, POLICY.replace(inside, f"{inside}    advertise: 192.0.2.9\n"))
    office.invite(NUMBER)
    received = carrier.expect_request("INVITE")
    take(world, POLICY.replace(inside, "[udp://10.1.0.1:5070]\n"))
    carrier.answer(received, 503)
    carrier.expect_request("ACK")
    invite = backup.expect_request("INVITE")
    assert (invite.via.host, invite.via.port) == ("192.0.2.9", 5060)
    assert world.sent[-1].flow.local == ("10.1.0.1", 5060)
    backup.answer(invite, 486)
    backup.expect_request("ACK")
