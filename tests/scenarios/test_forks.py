"""Several early dialogs and several answers behind one INVITE (RFC 3261 s13.2.2.4): what the caller sees of them, and what it does not."""

from __future__ import annotations

import pytest

from sbc.sip.message import Response
from tests.scenarios.test_reliable import REQUIRED, SUPPORTED, prack, reliable, statuses
from tests.scenarios.test_update import ALLOWS, CALLEE_HOLDS, HOLD
from tests.world import Agent, World, sdp

ONE = sdp("10.1.0.2", 50000)
TWO = sdp("10.1.0.9", 52000)
OTHER_CODEC = sdp("10.1.0.9", 52000, "0 101")


def test_INV_05_one_early_dialog_for_the_caller_as_long_as_one_answer_holds(world: World, office: Agent, carrier: Agent) -> None:
    office.invite("+4930123456")
    office.expect_response(100)
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 183, body=ONE, tag="one")
    first = office.expect_response(183)
    assert world.updates[-1][1].remote == ("10.1.0.2", 50000)
    carrier.answer(received, 183, body=TWO, tag="two")
    second = office.expect_response(183)
    assert (second.to.tag, second.body) == (first.to.tag, first.body)
    assert world.updates[-1][1].remote == ("10.1.0.9", 52000), "early media of the fork that spoke last"
    carrier.answer(received, 180, tag="one")
    assert office.expect_response(180).to.tag == first.to.tag
    assert world.updates[-1][1].remote == ("10.1.0.9", 52000)
    carrier.answer(received, 200, body=ONE, tag="one")
    assert carrier.expect_request("ACK").to.tag == "one"
    ok = office.expect_response(200)
    assert (ok.to.tag, ok.body) == (first.to.tag, first.body), "SDP-06: the answer given again is the same"
    assert world.updates[-1][1].remote == ("10.1.0.2", 50000)
    office.ack(ok)


def test_INV_05_another_answer_makes_another_early_dialog(world: World, office: Agent, carrier: Agent) -> None:
    """A caller ignores a second answer in the dialog it has (RFC 3261 s13.2.1)."""
    invite = office.invite("+4930123456")
    office.expect_response(100)
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 183, body=ONE, tag="one")
    first = office.expect_response(183)
    carrier.answer(received, 183, body=OTHER_CODEC, tag="two")
    second = office.expect_response(183)
    assert second.to.tag != first.to.tag
    assert b"PCMU" in second.body
    assert b"PCMA" not in second.body
    carrier.answer(received, 200, body=OTHER_CODEC, tag="two")
    ok = office.expect_response(200)
    assert (ok.to.tag, ok.body) == (second.to.tag, second.body)
    office.ack(ok)
    office.send(office.within(invite, first, "OPTIONS", cseq=2))
    office.expect_response(481)
    office.send(office.within(invite, ok, "BYE", cseq=2))
    office.expect_response(200)


def test_INV_05_a_late_prack_of_the_dialog_before(office: Agent, carrier: Agent) -> None:
    invite = office.invite("+4930123456", headers=REQUIRED)
    office.expect_response(100)
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 183, body=ONE, tag="one")
    first = office.expect_response(183)
    carrier.answer(received, 183, body=OTHER_CODEC, tag="two")
    office.expect_nothing()
    carrier.answer(received, 200, body=OTHER_CODEC, tag="two")
    carrier.expect_request("ACK")
    office.expect_nothing()
    prack(office, invite, first)
    office.expect_response(200)
    ok = office.expect_response(200)
    assert ok.to.tag != first.to.tag
    assert b"PCMU" in ok.body
    office.ack(ok)


def test_INV_05_offers_of_two_forks_to_a_caller_without_one(world: World, office: Agent, carrier: Agent) -> None:
    """Pattern 4 twice: each fork's offer gets a dialog of its own, since one offer waits at a time."""
    invite = office.invite("+4930123456", b"", headers=SUPPORTED)
    office.expect_response(100)
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 183, body=sdp("10.1.0.2", 50000, "8 101"), headers=reliable(1), tag="one")
    first = office.expect_response(183)
    prack(office, invite, first, body=sdp("10.0.0.20", 40000, "8 101"))
    office.expect_response(200)
    carrier.answer(carrier.expect_request("PRACK"), 200)
    carrier.answer(received, 200, body=OTHER_CODEC, tag="two")
    ok = office.expect_response(200)
    assert ok.to.tag != first.to.tag
    office.ack(ok, sdp("10.0.0.20", 40000, "0 101"))
    ack = carrier.expect_request("ACK")
    assert ack.to.tag == "two"
    assert b"PCMU" in ack.body
    assert world.updates[-1][1].remote == ("10.1.0.9", 52000)


@pytest.mark.parametrize("early", [True, False], ids=["1xx", "2xx"])
def test_INV_05_the_same_offer_of_another_fork_has_been_answered(office: Agent, carrier: Agent, early: bool) -> None:
    invite = office.invite("+4930123456", b"", headers=SUPPORTED)
    office.expect_response(100)
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 183, body=ONE, headers=reliable(1), tag="one")
    first = office.expect_response(183)
    prack(office, invite, first, body=sdp("10.0.0.20", 40000))
    office.expect_response(200)
    carrier.answer(carrier.expect_request("PRACK"), 200)
    if early:
        carrier.answer(received, 183, body=TWO, headers=reliable(7), tag="two")
        answered = carrier.expect_request("PRACK")
        carrier.answer(answered, 200)
        progress = office.expect_response(183)
        assert progress.body == b""
        prack(office, invite, progress, cseq=3)
        office.expect_response(200)
        carrier.answer(received, 200, tag="two")
        carrier.expect_request("ACK")
    else:
        carrier.answer(received, 200, body=TWO, tag="two")
        answered = carrier.expect_request("ACK")
    assert answered.to.tag == "two"
    assert b"m=audio 30" in answered.body
    ok = office.expect_response(200)
    assert (ok.to.tag, ok.body) == (first.to.tag, b"")
    office.ack(ok)


def test_INV_05_the_offer_of_a_second_fork_waits_for_the_answer_to_the_first(office: Agent, carrier: Agent) -> None:
    invite = office.invite("+4930123456", b"", headers=SUPPORTED)
    office.expect_response(100)
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 183, body=ONE, headers=reliable(1), tag="one")
    first = office.expect_response(183)
    carrier.answer(received, 183, body=OTHER_CODEC, headers=reliable(7), tag="two")
    carrier.expect_nothing()
    prack(office, invite, first, body=sdp("10.0.0.20", 40000))
    office.expect_response(200)
    assert carrier.expect_request("PRACK").to.tag == "one"
    carrier.answer(received, 183, body=OTHER_CODEC, headers=reliable(7), tag="two")
    second = office.expect_response(183)
    assert second.to.tag != first.to.tag
    prack(office, invite, second, body=sdp("10.0.0.20", 40000, "0 101"))
    office.expect_response(200)
    answered = carrier.expect_request("PRACK")
    assert answered.to.tag == "two"
    assert b"PCMU" in answered.body


def test_REL_02_a_broken_prack_to_a_tag_of_before(world: World, office: Agent, carrier: Agent) -> None:
    invite = office.invite("+4930123456", headers=ALLOWS)
    office.expect_response(100)
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 183, body=ONE, tag="one")
    first = office.expect_response(183)
    carrier.answer(received, 183, body=OTHER_CODEC, tag="two")
    office.expect_response(183)
    prack(office, invite, first, rack="nonsense")
    office.expect_response(400)
    prack(office, invite, first, rack="1 1 INVITE")
    office.expect_response(481)


def test_INV_05_what_a_fork_was_told_is_told_to_the_one_that_answers(office: Agent, carrier: Agent) -> None:
    """The caller put fork one on hold; fork two takes the call and has never heard of it."""
    invite = office.invite("+4930123456", headers=(*REQUIRED, *ALLOWS))
    office.expect_response(100)
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 183, body=ONE, headers=reliable(1), tag="one")
    carrier.answer(carrier.expect_request("PRACK"), 200)
    first = office.expect_response(183)
    prack(office, invite, first)
    office.expect_response(200)
    office.send(office.within(invite, first, "UPDATE", cseq=3, body=HOLD))
    carrier.answer(carrier.expect_request("UPDATE"), 200, body=sdp("10.1.0.2", 50000, version=2, direction="recvonly"))
    office.expect_response(200)
    carrier.answer(received, 200, body=ONE, tag="two")
    carrier.expect_request("ACK")
    told = carrier.expect_request("INVITE")
    assert told.to.tag == "two"
    assert b"a=sendonly" in told.body


def test_INV_05_updates_of_two_forks(office: Agent, carrier: Agent) -> None:
    office.invite("+4930123456", headers=(*SUPPORTED, *ALLOWS))
    office.expect_response(100)
    received = carrier.expect_request("INVITE")
    for tag, body in (("one", ONE), ("two", TWO)):
        carrier.answer(received, 183, body=body, headers=reliable(1), tag=tag)
        carrier.answer(carrier.expect_request("PRACK"), 200)
    first = office.expect_response(183)
    prack(office, office.last_invite, first)  # type: ignore[arg-type]
    office.expect_response(200)
    second = office.expect_response(183)
    prack(office, office.last_invite, second, cseq=3)  # type: ignore[arg-type]
    office.expect_response(200)
    carrier.send(carrier.within_received(received, "UPDATE", body=CALLEE_HOLDS, tag="one"))
    asked = office.expect_request("UPDATE")
    carrier.send(carrier.within_received(received, "UPDATE", body=sdp("10.1.0.9", 52000, version=2, direction="inactive"), tag="two"))
    carrier.expect_response(491)
    carrier.expect_response(491)
    office.answer(asked, 200, body=sdp("10.0.0.20", 40000, version=2, direction="recvonly"))
    restored = office.expect_request("UPDATE")
    assert b"a=sendrecv" in restored.body, "fork two has the leg, and does not hold"
    office.answer(restored, 200, body=sdp("10.0.0.20", 40000, version=3))
    carrier.answer(received, 200, tag="two")
    carrier.expect_request("ACK")
    ok = office.expect_response(200)
    assert (ok.to.tag, ok.body) == (first.to.tag, b"")
    office.ack(ok)


@pytest.mark.parametrize("method", ["UPDATE", "OPTIONS"])
def test_INV_05_a_fork_that_says_nothing_of_media_leaves_it_where_it_is(world: World, office: Agent, carrier: Agent, method: str) -> None:
    office.invite("+4930123456")
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 180, tag="one")
    carrier.answer(received, 183, body=TWO, tag="two")
    carrier.send(carrier.within_received(received, method, tag="one"))
    carrier.expect_response(200)
    carrier.answer(received, 200, tag="two")
    assert world.updates[-1][1].remote == ("10.1.0.9", 52000)
    assert statuses(office) == [100, 180, 183, 200]
    office.ack(office.inbox.pop())  # type: ignore[arg-type]


def test_INV_04_two_2xx(world: World, office: Agent, carrier: Agent) -> None:
    office.invite("+4930123456")
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 180, tag="one")
    carrier.answer(received, 180, tag="two")
    carrier.answer(received, 200, body=ONE, tag="two")
    assert carrier.expect_request("ACK").to.tag == "two"
    carrier.answer(received, 200, body=TWO, tag="one")
    assert carrier.expect_request("ACK").to.tag == "one"
    bye = carrier.expect_request("BYE")
    assert bye.to.tag == "one"
    carrier.answer(bye, 200)
    assert statuses(office) == [100, 180, 180, 200]
    office.ack(office.inbox.pop())  # type: ignore[arg-type]
    assert world.updates[-1][1].remote == ("10.1.0.2", 50000)
    assert world.core.busy() == 1


def test_INV_12_199_of_one_fork_does_not_reach_the_caller(office: Agent, carrier: Agent) -> None:
    """Its dialog with us goes on: the other forks still ring (RFC 6228 s5)."""
    office.invite("+4930123456", headers=(("Supported", "199"),))
    received = carrier.expect_request("INVITE")
    assert "199" not in (received.headers.first("Supported") or "")
    carrier.answer(received, 180, tag="one")
    carrier.answer(received, 199, tag="one")
    carrier.answer(received, 180, "Alerting", tag="two")
    assert statuses(office) == [100, 180, 180]
    assert isinstance(office.inbox[-1], Response)
    assert office.inbox[-1].reason == "Alerting"


def test_a_flood_of_forks_costs_no_memory(world: World, office: Agent, carrier: Agent) -> None:
    office.invite("+4930123456")
    received = carrier.expect_request("INVITE")
    for number in range(200):
        carrier.answer(received, 180, headers=reliable(1), tag=f"fork{number}")
    assert len(carrier.inbox) == 60, "the others ring, too, but are not acknowledged"
    assert len(office.inbox) == 201


def test_INV_09_the_next_target_speaks_in_the_same_dialog(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    office.invite("+4930123456")
    office.expect_response(100)
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 183, body=ONE)
    first = office.expect_response(183)
    carrier.answer(received, 503)
    backup.answer(backup.expect_request("INVITE"), 200, body=sdp("10.1.0.3", 50000))
    ok = office.expect_response(200)
    assert (ok.to.tag, ok.body) == (first.to.tag, first.body)
    office.ack(ok)


def test_a_callee_that_changes_its_mind_for_ever_costs_no_memory(world: World, office: Agent, carrier: Agent) -> None:
    office.invite("+4930123456")
    received = carrier.expect_request("INVITE")
    for number in range(100):
        carrier.answer(received, 183, body=OTHER_CODEC if number % 2 else ONE, tag="one")
    assert len({message.to.tag for message in office.inbox}) == 101
    assert world.core.leftovers()["dialogs"] <= 10
