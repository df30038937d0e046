"""INVITE with Replaces (RFC 3891): a leg of a call is taken over by a new one."""

from __future__ import annotations

import pytest

from sbc.effects import Effect, OpenRelay
from sbc.sip.fields.replaces import Replaces
from tests.scenarios.test_transfer import PERFORMED, call_the_office
from tests.world import Agent, World, sdp


@pytest.fixture
def policy() -> str:
    return PERFORMED


def test_REF_03_an_invite_replaces_a_leg(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    """The office takes its call with the carrier to another phone."""
    call = call_the_office(carrier, office)
    replaces = Replaces(call.received.call_id, call.received.from_.tag, "to-office")
    invite = office.invite("+4930123456", sdp("10.0.0.20", 45000), headers=(("Replaces", str(replaces)), ("Require", "replaces")))
    office.expect_response(100)
    reinvite = carrier.expect_request("INVITE")
    carrier.answer(reinvite, 200, body=sdp("10.1.0.2", 40000))
    carrier.expect_request("ACK")
    office.answer(office.expect_request("BYE"), 200)
    ok = office.expect_response(200)
    office.ack(ok)
    a, b = world.updates[-1]
    assert (a.remote, b.remote) == (("10.0.0.20", 45000), ("10.1.0.2", 40000))
    assert (a.send, b.send) == (True, True)
    assert world.core.busy() == 1
    office.send(office.within(invite, ok, "BYE"))
    office.expect_response(200)
    carrier.answer(carrier.expect_request("BYE"), 200)
    assert world.records[1]["called"] == "carrier"
    backup.expect_nothing()


def test_REF_03_the_replaced_party_refuses(world: World, office: Agent, carrier: Agent) -> None:
    call = call_the_office(carrier, office)
    replaces = Replaces(call.received.call_id, call.received.from_.tag, "to-office")
    office.invite("+4930123456", sdp("10.0.0.20", 45000), headers=(("Replaces", str(replaces)),))
    office.expect_response(100)
    carrier.answer(carrier.expect_request("INVITE"), 488)
    office.ack(office.expect_response(488))
    assert world.core.busy() == 1
    carrier.expect_request("ACK")


def test_REF_03_the_new_caller_gives_up(world: World, office: Agent, carrier: Agent) -> None:
    call = call_the_office(carrier, office)
    replaces = Replaces(call.received.call_id, call.received.from_.tag, "to-office")
    invite = office.invite("+4930123456", sdp("10.0.0.20", 45000), headers=(("Replaces", str(replaces)),))
    office.expect_response(100)
    reinvite = carrier.expect_request("INVITE")
    office.cancel(invite)
    office.expect_response(200)
    office.ack(office.expect_response(487))
    carrier.answer(reinvite, 200, body=sdp("10.1.0.2", 40000))  # too late
    carrier.expect_request("ACK")
    back = carrier.expect_request("INVITE")
    carrier.answer(back, 200, body=sdp("10.1.0.2", 40000))
    carrier.expect_request("ACK")
    assert world.core.busy() == 1
    a, b = world.updates[-1]
    assert {a.remote, b.remote} == {("10.1.0.2", 40000), ("10.0.0.20", 50000)}
    office.expect_nothing()


@pytest.mark.parametrize(
    ("rows", "status"),
    [
        (("{call};to-tag={tag};from-tag=to-office", "{call};to-tag={tag};from-tag=to-office"), 400),
        (("{call}",), 400),
        (("{call};to-tag={tag};from-tag=other",), 481),
        (("other;to-tag={tag};from-tag=to-office",), 481),
        (("{call};to-tag={tag};from-tag=to-office;early-only",), 486),
    ],
)
def test_REF_03_the_table_of_rfc_3891(world: World, office: Agent, carrier: Agent, rows: tuple[str, ...], status: int) -> None:
    call = call_the_office(carrier, office)
    values = [row.format(call=call.received.call_id, tag=call.received.from_.tag) for row in rows]
    office.invite("+4930123456", headers=tuple(("Replaces", value) for value in values))
    office.expect_response(status)
    assert world.core.busy() == 1


def test_REF_03_unauthorised(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    """`backup` may transfer, but this is not its call; `carrier` may not at all."""
    call = call_the_office(carrier, office)
    value = f"{call.received.call_id};to-tag={call.received.from_.tag};from-tag=to-office"
    for stranger in (backup, carrier):
        stranger.invite("+4930123456", headers=(("Replaces", value),))
        stranger.expect_response(403)
    assert world.core.busy() == 1


def test_REF_03_early_and_terminated_dialogs(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    office.invite("+4940555")
    office.expect_response(100)
    received = backup.expect_request("INVITE")
    backup.answer(received, 180)
    ringing = office.expect_response(180)
    early = f"{ringing.call_id};to-tag={ringing.to.tag};from-tag={ringing.from_.tag}"
    office.invite("+4940555", headers=(("Replaces", early),))
    office.expect_response(481)
    backup.answer(received, 200, body=sdp("10.1.0.3", 50000))
    ok = office.expect_response(200)
    backup.send(backup.within_received(received, "BYE"))
    office.invite("+4940555", headers=(("Replaces", early),))
    office.expect_response(603)
    office.send(office.request("ACK", "sip:x@10.0.0.1", call_id=ok.call_id, from_tag=ok.from_.tag, to="<sip:x@h>", to_tag=ok.to.tag))
    office.inbox.clear()
    backup.inbox.clear()


class Slow(World):
    """Relays are opened when the test says so."""

    def __init__(self, policy: str) -> None:
        super().__init__(policy)
        self.opening: list[OpenRelay] = []
        self.slow = False

    def _carry_out(self, effect: Effect) -> None:
        if self.slow and isinstance(effect, OpenRelay):
            self.opening.append(effect)
        else:
            super()._carry_out(effect)

    def open_next(self) -> None:
        super()._carry_out(self.opening.pop(0))
        self._receive_all()


REPLACING = PERFORMED.replace("office: {calls: 2", "office: {calls: 4")


@pytest.mark.parametrize("first", ["has it", "is getting it", "hung up"])
def test_REF_03_the_leg_is_gone_when_the_relay_is_there(first: str) -> None:
    """Two INVITEs replace the same leg at once: one gets it, the other does not take it away again."""
    world = Slow(REPLACING)
    office = world.agent("office", ("10.0.0.20", 5060), "outside")
    carrier = world.agent("carrier", ("10.1.0.2", 5060), "inside")
    call = call_the_office(carrier, office)
    world.slow = True
    rows = (("Replaces", f"{call.received.call_id};to-tag={call.received.from_.tag};from-tag=to-office"),)
    for number in range(2):
        office.invite("+4930123456", sdp("10.0.0.20", 45000 + 2 * number), headers=rows, from_tag=f"phone-{number}")
        office.expect_response(100)
    if first == "hung up":
        carrier.send(carrier.within(call.invite, call.ok, "BYE"))
        carrier.expect_response(200)
        office.answer(office.expect_request("BYE"), 200)
        world.open_next()
        office.expect_response(603)
    else:
        world.open_next()
        reinvite = carrier.expect_request("INVITE")
    if first == "has it":
        carrier.answer(reinvite, 200, body=sdp("10.1.0.2", 40000))
        carrier.expect_request("ACK")
        office.answer(office.expect_request("BYE"), 200)
        office.expect_response(200)
    world.open_next()
    office.expect_response(491 if first == "is getting it" else 603)
    assert world.core.busy() == {"has it": 1, "is getting it": 2, "hung up": 0}[first]
    office.inbox.clear()
    carrier.inbox.clear()
    world.expect_nothing_left()
