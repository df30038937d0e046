"""INVITE with Replaces for a call that still rings (RFC 3891 s3): somebody else of the same party picks it up."""

from __future__ import annotations

import pytest

from sbc.sip.message import Request, Response
from tests.scenarios.test_replaces import REPLACING, Slow
from tests.scenarios.test_transfer import PERFORMED
from tests.world import Agent, World, sdp

PHONE, OTHER = "to-phone", "from-other"


@pytest.fixture
def policy() -> str:
    return PERFORMED


def ring(carrier: Agent, office: Agent, offer: bytes | None = None, body: bytes = b"", **options: object) -> tuple[Request, Request]:
    """A call of the carrier rings at one phone of the office: the INVITE it sent, and the one that came."""
    invite = carrier.invite("+4930123456", offer, **options)
    carrier.expect_response(100)
    received = office.expect_request("INVITE")
    office.answer(received, 183 if body else 180, body=body, tag=PHONE)
    return invite, received


def pick_up(office: Agent, received: Request, offer: bytes | None = None, suffix: str = "") -> Request:
    """Another phone of the office."""
    replaces = f"{received.call_id};to-tag={received.from_.tag};from-tag={PHONE}{suffix}"
    rows = (("Replaces", replaces), ("Require", "replaces"))
    body = sdp("10.0.0.21", 45000) if offer is None else offer
    return office.invite("+4930123456", body, headers=rows, from_tag=OTHER)


def stop_ringing(office: Agent, received: Request) -> None:
    """The first phone; what the other one gets at the same time is left for later."""
    cancel = office.expect_request("CANCEL")
    assert cancel.headers.all("Reason") == ['SIP;cause=200;text="Call completed elsewhere"'], "no missed call"
    ok = office.expect_response(200)
    office.answer(cancel, 200)
    office.answer(received, 487, tag=PHONE)
    office.expect_request("ACK")
    office.inbox.append(ok)


def connected(world: World, office: Agent, carrier: Agent, invite: Request) -> None:
    """The other phone and the caller talk, and hang up."""
    answer = carrier.expect_response(200)
    carrier.ack(answer)
    ok = office.expect_response(200)
    office.ack(ok)
    a, b = world.updates[-1]
    assert (a.remote, b.remote) == (("10.0.0.21", 45000), ("10.1.0.2", 40000))
    assert (a.send, b.send) == (True, True)
    assert world.core.busy() == 1
    office.send(office.within(invite, ok, "BYE"))
    office.expect_response(200)
    carrier.answer(carrier.expect_request("BYE"), 200)


@pytest.mark.parametrize("suffix", ["", ";early-only"])
def test_REF_03_a_ringing_call_is_picked_up(world: World, office: Agent, carrier: Agent, suffix: str) -> None:
    _, received = ring(carrier, office)
    ringing = carrier.expect_response(180)
    invite = pick_up(office, received, suffix=suffix)
    office.expect_response(100)
    stop_ringing(office, received)
    assert carrier.inbox[0].to.tag == ringing.to.tag, "the dialog it has is answered"
    connected(world, office, carrier, invite)
    first, second = world.records
    assert (first["caller"], first["called"], first["answered"], first["note"]) == ("carrier", "+4930123456", None, "picked up")
    assert (second["caller"], second["called"], second["sip_status"]) == ("office", "carrier", 200)
    assert second["answered"] is not None


def test_REF_03_what_was_heard_while_it_rang_is_over(world: World, office: Agent, carrier: Agent) -> None:
    """Early media came from another port of ours: the caller hears of the new one as of another fork."""
    _, received = ring(carrier, office, body=sdp("10.0.0.20", 40500, "0 101"))
    early = carrier.expect_response(183)
    invite = pick_up(office, received)
    office.expect_response(100)
    stop_ringing(office, received)
    answer = carrier.inbox[0]
    assert isinstance(answer, Response)
    assert answer.to.tag != early.to.tag
    assert answer.body != early.body
    connected(world, office, carrier, invite)


def test_REF_03_each_is_answered_with_what_both_have(world: World, office: Agent, carrier: Agent) -> None:
    _, received = ring(carrier, office, sdp("10.1.0.2", 40000, "8 0 101"))
    carrier.expect_response(180)
    invite = pick_up(office, received, sdp("10.0.0.21", 45000, "18 0 101"))
    office.expect_response(100)
    stop_ringing(office, received)
    for agent in (office, carrier):
        answer = agent.inbox[0]
        assert b"RTP/AVP 0 101\r\n" in answer.body
    connected(world, office, carrier, invite)


@pytest.mark.parametrize(
    ("offer", "answered"),
    [(sdp("10.0.0.21", 45000, "18"), True), (b"", True), (sdp("10.0.0.21", 45000), False)],
    ids=["no codec in common", "no offer", "the caller has no offer"],
)
def test_REF_03_who_cannot_talk_does_not_pick_up(world: World, office: Agent, carrier: Agent, offer: bytes, answered: bool) -> None:
    _, received = ring(carrier, office, sdp("10.1.0.2", 40000, "8") if answered else b"")
    carrier.expect_response(180)
    pick_up(office, received, offer)
    if answered:
        office.expect_response(100)
    office.expect_response(488)
    office.expect_nothing()  # it goes on ringing
    office.answer(received, 486, tag=PHONE)
    office.expect_request("ACK")
    carrier.expect_response(486)


def test_REF_03_a_call_that_was_answered_meanwhile(world: World, office: Agent, carrier: Agent) -> None:
    """Early-only: not then. Without it, it is taken over as any answered call is."""
    invite, received = ring(carrier, office)
    carrier.expect_response(180)
    office.answer(received, 200, body=sdp("10.0.0.20", 50000), tag=PHONE)
    office.expect_request("ACK")
    ok = carrier.expect_response(200)
    carrier.ack(ok)
    pick_up(office, received, suffix=";early-only")
    office.expect_response(486)
    assert world.core.busy() == 1
    carrier.send(carrier.within(invite, ok, "BYE"))
    carrier.expect_response(200)
    office.answer(office.expect_request("BYE"), 200)


@pytest.mark.parametrize("suffix", ["", ";early-only"])
@pytest.mark.parametrize("then", ["answered", "cancelled"])
def test_REF_03_what_happened_while_the_relay_was_opened(then: str, suffix: str) -> None:
    world = Slow(REPLACING)
    office = world.agent("office", ("10.0.0.20", 5060), "outside")
    carrier = world.agent("carrier", ("10.1.0.2", 5060), "inside")
    invite, received = ring(carrier, office)
    carrier.expect_response(180)
    world.slow = True
    pick_up(office, received, suffix=suffix)
    office.expect_response(100)
    if then == "answered":
        office.answer(received, 200, body=sdp("10.0.0.20", 50000), tag=PHONE)
        office.expect_request("ACK")
        carrier.ack(carrier.expect_response(200))
    else:
        carrier.cancel(invite)
        carrier.expect_response(200)
        carrier.ack(carrier.expect_response(487))
        stop = office.expect_request("CANCEL")
        office.answer(stop, 200)
        office.answer(received, 487, tag=PHONE)
        office.expect_request("ACK")
    world.open_next()
    if then == "answered" and not suffix:
        reinvite = carrier.expect_request("INVITE")
        assert reinvite.call_id == invite.call_id
        carrier.answer(reinvite, 200, body=sdp("10.1.0.2", 40000))
        carrier.expect_request("ACK")
        office.answer(office.expect_request("BYE"), 200)
        office.ack(office.expect_response(200))
    else:
        office.expect_response(486 if then == "answered" else 603)
    office.inbox.clear()
    carrier.inbox.clear()
    world.shut_down()
    office.inbox.clear()
    carrier.inbox.clear()
    world.expect_nothing_left()


def test_REF_03_not_by_others(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    _, received = ring(carrier, office)
    carrier.expect_response(180)
    for stranger in (backup, carrier):
        value = f"{received.call_id};to-tag={received.from_.tag};from-tag={PHONE}"
        stranger.invite("+4930123456", headers=(("Replaces", value),), from_tag="stranger")
        stranger.expect_response(403)
    office.answer(received, 486, tag=PHONE)
    office.expect_request("ACK")
    carrier.expect_response(486)


def test_REF_03_the_phone_answers_as_it_is_cancelled(world: World, office: Agent, carrier: Agent) -> None:
    _, received = ring(carrier, office)
    carrier.expect_response(180)
    invite = pick_up(office, received)
    office.expect_response(100)
    office.answer(office.expect_request("CANCEL"), 200)
    ok = office.expect_response(200)
    office.answer(received, 200, body=sdp("10.0.0.20", 50000), tag=PHONE)
    office.expect_request("ACK")
    office.answer(office.expect_request("BYE"), 200)
    office.inbox.appendleft(ok)
    connected(world, office, carrier, invite)


@pytest.mark.parametrize("comes", [True, False])
def test_REF_03_a_caller_with_reliable_progress(world: World, office: Agent, carrier: Agent, comes: bool) -> None:
    """Its 200 waits for its PRACK (RFC 3262 s3); whoever picks up does not have to."""
    _, received = ring(carrier, office, body=sdp("10.0.0.20", 40500), headers=(("Require", "100rel"),))
    early = carrier.expect_response(183)
    pick_up(office, received)
    office.expect_response(100)
    stop_ringing(office, received)
    office.ack(office.expect_response(200))
    carrier.expect_nothing()
    if not comes:
        world.after(33)
        office.answer(office.expect_request("BYE"), 200)
        assert carrier.inbox.pop().status == 504  # type: ignore[union-attr]
        carrier.inbox.clear()
        return
    assert carrier.last_invite is not None
    rack = f"{early.headers.first('RSeq')} {carrier.last_invite.cseq}"
    carrier.send(carrier.within(carrier.last_invite, early, "PRACK", headers=(("RAck", rack),)))
    assert carrier.expect_response(200).cseq.method == "PRACK"
    answer = carrier.expect_response(200)
    assert (answer.cseq.method, answer.to.tag != early.to.tag) == ("INVITE", True)
    carrier.ack(answer)
    assert world.core.busy() == 1
    world.shut_down()
    office.answer(office.expect_request("BYE"), 200)
    carrier.answer(carrier.expect_request("BYE"), 200)
