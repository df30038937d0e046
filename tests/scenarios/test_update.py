"""UPDATE (RFC 3311) on both legs, early and confirmed: what crosses, as what, and who is told to wait."""

from __future__ import annotations

import pytest

from sbc.sip.message import Request, Response
from tests.scenarios.test_reliable import REQUIRED, SUPPORTED, prack, reliable, statuses
from tests.world import Agent, World, connect, sdp

ALLOWS = (("Allow", "INVITE, ACK, CANCEL, BYE, PRACK, UPDATE"),)
HOLD = sdp("10.0.0.20", 40000, version=2, direction="sendonly")
HELD = sdp("10.1.0.2", 50000, version=2, direction="recvonly")
CALLEE_HOLDS = sdp("10.1.0.2", 50000, version=2, direction="sendonly")


def call(caller: Agent, callee: Agent, *, a_updates: bool, b_updates: bool) -> tuple[Request, Response, Request]:
    """A call between peers that take UPDATE, or not."""
    invite = caller.invite("+4930123456", headers=ALLOWS if a_updates else ())
    caller.expect_response(100)
    received = callee.expect_request("INVITE")
    assert "UPDATE" in (received.headers.first("Allow") or "")
    callee.answer(received, 200, body=sdp(callee.host, 50000), headers=ALLOWS if b_updates else ())
    callee.expect_request("ACK")
    ok = caller.expect_response(200)
    caller.ack(ok)
    return invite, ok, received


def early(office: Agent, carrier: Agent, *, b_updates: bool = True) -> tuple[Request, Response, Request]:
    """A call that still rings, its first offer answered and acknowledged on both legs."""
    invite = office.invite("+4930123456", headers=(*REQUIRED, *ALLOWS))
    office.expect_response(100)
    received = carrier.expect_request("INVITE")
    headers = reliable(1) if b_updates else reliable(1)[:2]
    carrier.answer(received, 183, body=sdp("10.1.0.2", 50000), headers=headers)
    carrier.answer(carrier.expect_request("PRACK"), 200)
    progress = office.expect_response(183)
    prack(office, invite, progress)
    office.expect_response(200)
    return invite, progress, received


# In a call


def test_UPD_01_an_update_crosses_as_update_where_allow_says_so(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok, _ = call(office, carrier, a_updates=True, b_updates=True)
    office.send(office.within(invite, ok, "UPDATE", body=HOLD))
    asked = carrier.expect_request("UPDATE")
    assert b"a=sendonly" in asked.body
    assert "Contact" in asked.headers
    office.expect_nothing()
    carrier.answer(asked, 200, body=HELD)
    held = office.expect_response(200)
    assert b"a=recvonly" in held.body
    assert "Contact" in held.headers
    carrier.expect_nothing()


def test_UPD_01_an_update_crosses_as_reinvite_where_it_does_not(office: Agent, carrier: Agent) -> None:
    invite, ok, _ = call(office, carrier, a_updates=True, b_updates=False)
    office.send(office.within(invite, ok, "UPDATE", body=HOLD))
    carrier.answer(carrier.expect_request("INVITE"), 200, body=HELD)
    carrier.expect_request("ACK")
    assert b"a=recvonly" in office.expect_response(200).body


def test_UPD_01_a_peer_that_takes_no_update_after_all_gets_a_reinvite(office: Agent, carrier: Agent) -> None:
    invite, ok, _ = call(office, carrier, a_updates=True, b_updates=True)
    office.send(office.within(invite, ok, "UPDATE", body=HOLD))
    carrier.answer(carrier.expect_request("UPDATE"), 405)
    carrier.answer(carrier.expect_request("INVITE"), 200, body=HELD)
    carrier.expect_request("ACK")
    assert b"a=recvonly" in office.expect_response(200).body


def test_UPD_01_a_reinvite_stays_one(office: Agent, carrier: Agent) -> None:
    """RFC 3311 s5.1: within a confirmed dialog re-INVITE is recommended, since a person may be asked."""
    invite, ok, _ = call(office, carrier, a_updates=True, b_updates=True)
    office.send(office.within(invite, ok, "INVITE", body=HOLD))
    carrier.answer(carrier.expect_request("INVITE"), 200, body=HELD)
    assert statuses(office) == [100, 200]


def test_UPD_01_an_update_of_the_callee(office: Agent, carrier: Agent) -> None:
    _, _, received = call(office, carrier, a_updates=True, b_updates=True)
    carrier.send(carrier.within_received(received, "UPDATE", cseq=7, body=CALLEE_HOLDS))
    asked = office.expect_request("UPDATE")
    office.answer(asked, 200, body=sdp("10.0.0.20", 40000, version=2, direction="recvonly"))
    assert b"a=recvonly" in carrier.expect_response(200).body


@pytest.mark.parametrize("body", [b"", sdp("10.0.0.20", 40000), sdp("10.0.0.20", 41000, version=2)])
def test_UPD_01_what_changes_nothing_for_the_other_side_is_answered_here(world: World, office: Agent, carrier: Agent, body: bytes) -> None:
    invite, ok, _ = call(office, carrier, a_updates=True, b_updates=True)
    office.send(office.within(invite, ok, "UPDATE", body=body))
    assert bool(office.expect_response(200).body) == bool(body)
    carrier.expect_nothing()
    if b"41000" in body:
        assert world.updates[-1][0].remote == ("10.0.0.20", 41000)


def test_UPD_01_a_refused_update_keeps_the_call(office: Agent, carrier: Agent) -> None:
    invite, ok, _ = call(office, carrier, a_updates=True, b_updates=True)
    office.send(office.within(invite, ok, "UPDATE", body=HOLD))
    carrier.answer(carrier.expect_request("UPDATE"), 488)
    office.expect_response(488)
    office.send(office.within(invite, ok, "UPDATE", cseq=3, body=HOLD))
    assert statuses(carrier) == ["UPDATE"], "what was refused was not agreed on"


def test_INV_09_an_update_that_finds_no_dialog_ends_the_call(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok, _ = call(office, carrier, a_updates=True, b_updates=True)
    office.send(office.within(invite, ok, "UPDATE", body=HOLD))
    carrier.answer(carrier.expect_request("UPDATE"), 481)
    assert statuses(office) == [487, "BYE"]
    assert world.core.busy() == 0


def test_INV_09_an_update_nobody_answers_ends_the_call_and_its_sender_hears_in_time(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok, _ = call(office, carrier, a_updates=True, b_updates=True)
    office.send(office.within(invite, ok, "UPDATE", body=HOLD))
    world.after(16.1)
    assert statuses(office) == [504], "Timer F of its sender is at 32 s"
    assert world.core.busy() == 1
    world.after(16)
    assert statuses(office) == [504, "BYE"]
    assert world.core.busy() == 0


def test_UPD_01_a_late_agreement_is_taken_back(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok, _ = call(office, carrier, a_updates=True, b_updates=True)
    office.send(office.within(invite, ok, "UPDATE", body=HOLD))
    asked = carrier.expect_request("UPDATE")
    world.after(17)
    office.expect_response(504)
    carrier.inbox.clear()
    carrier.answer(asked, 200, body=HELD)
    assert b"a=sendrecv" in carrier.expect_request("INVITE").body, "the hold its sender was refused"


# Whose turn it is


def test_UPD_01_UAS_06_an_update_while_one_is_not_answered(office: Agent, carrier: Agent) -> None:
    invite, ok, _ = call(office, carrier, a_updates=True, b_updates=True)
    office.send(office.within(invite, ok, "UPDATE", cseq=2, body=HOLD))
    for cseq, body in ((3, b""), (4, HOLD)):
        office.send(office.within(invite, ok, "UPDATE", cseq=cseq, body=body))
        refused = office.expect_response(500)
        assert 0 <= int(refused.headers.first("Retry-After") or "-1") <= 10
    carrier.answer(carrier.expect_request("UPDATE"), 200, body=HELD)
    office.expect_response(200)


@pytest.mark.parametrize("ours", ["UPDATE", "INVITE"])
@pytest.mark.parametrize("theirs", ["UPDATE", "INVITE"])
def test_UPD_01_UAS_06_offers_cross(office: Agent, carrier: Agent, ours: str, theirs: str) -> None:
    """RFC 5407 s3.3.1, s3.3.2."""
    invite, ok, received = call(office, carrier, a_updates=True, b_updates=True)
    office.send(office.within(invite, ok, ours, body=HOLD))
    asked = carrier.expect_request(ours)
    carrier.send(carrier.within_received(received, theirs, cseq=7, body=CALLEE_HOLDS))
    carrier.expect_response(491)
    carrier.answer(asked, 200, body=HELD)
    assert statuses(office) == ([200] if ours == "UPDATE" else [100, 200])


def test_UPD_01_an_update_without_offer_meets_no_offer(office: Agent, carrier: Agent) -> None:
    invite, ok, received = call(office, carrier, a_updates=True, b_updates=True)
    office.send(office.within(invite, ok, "INVITE", body=HOLD))
    asked = carrier.expect_request("INVITE")
    carrier.send(carrier.within_received(received, "UPDATE", cseq=7))
    carrier.expect_response(200)
    carrier.answer(asked, 200, body=HELD)


def test_UPD_01_an_offer_while_ours_in_a_2xx_is_not_answered(office: Agent, carrier: Agent) -> None:
    office.invite("+4930123456", b"", headers=ALLOWS)
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000), headers=ALLOWS)
    office.expect_response(100)
    ok = office.expect_response(200)
    office.send(office.within(office.last_invite, ok, "UPDATE", cseq=2, body=HOLD))  # type: ignore[arg-type]
    office.expect_response(491)
    carrier.send(carrier.within_received(received, "UPDATE", cseq=3, body=CALLEE_HOLDS))
    carrier.expect_response(500)
    office.ack(ok, sdp("10.0.0.20", 40000))


def test_INV_06_an_update_moves_the_remote_target(world: World, office: Agent, carrier: Agent) -> None:
    moved = world.agent("moved", ("10.0.0.20", 5070), "outside")
    invite, ok, received = call(office, carrier, a_updates=True, b_updates=True)
    update = office.within(invite, ok, "UPDATE")
    update.headers.set("Contact", "<sip:office@10.0.0.20:5070>")
    office.send(update)
    office.expect_response(200)
    carrier.send(carrier.within_received(received, "BYE"))
    assert statuses(moved) == ["BYE"]


# While it rings


def test_UPD_01_an_early_update_crosses(world: World, office: Agent, carrier: Agent) -> None:
    invite, progress, received = early(office, carrier)
    office.send(office.within(invite, progress, "UPDATE", cseq=3, body=HOLD))
    asked = carrier.expect_request("UPDATE")
    assert (asked.to.tag, asked.cseq.number) == ("to-carrier", 3)
    carrier.answer(asked, 200, body=HELD)
    assert b"a=recvonly" in office.expect_response(200).body
    carrier.answer(received, 200)
    carrier.expect_request("ACK")
    ok = office.expect_response(200)
    assert (ok.to.tag, ok.body) == (progress.to.tag, b"")
    office.ack(ok)
    office.send(office.within(invite, ok, "BYE", cseq=4))
    assert carrier.expect_request("BYE").cseq.number == 4


def test_UPD_01_an_early_update_of_the_callee_crosses(office: Agent, carrier: Agent) -> None:
    _, progress, received = early(office, carrier)
    carrier.send(carrier.within_received(received, "UPDATE", body=CALLEE_HOLDS))
    asked = office.expect_request("UPDATE")
    assert asked.from_.tag == progress.to.tag
    office.answer(asked, 200, body=sdp("10.0.0.20", 40000, version=2, direction="recvonly"))
    assert b"a=recvonly" in carrier.expect_response(200).body
    carrier.answer(received, 200)
    ok = office.expect_response(200)
    assert (ok.to.tag, ok.body) == (progress.to.tag, b"")
    office.ack(ok)


def test_UPD_01_an_early_update_that_cannot_cross(office: Agent, carrier: Agent) -> None:
    invite, progress, _ = early(office, carrier, b_updates=False)
    office.send(office.within(invite, progress, "UPDATE", cseq=3, body=HOLD))
    office.expect_response(488)
    office.send(office.within(invite, progress, "UPDATE", cseq=4, body=sdp("10.0.0.20", 41000, version=3)))
    assert b"m=audio" in office.expect_response(200).body, "a new address is a matter between the caller and us"
    carrier.expect_nothing()


def test_UPD_01_no_offer_before_the_first_one_is_answered(office: Agent, carrier: Agent) -> None:
    invite = office.invite("+4930123456", headers=(*SUPPORTED, *ALLOWS))
    office.expect_response(100)
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 183, body=sdp("10.1.0.2", 50000), headers=ALLOWS)
    progress = office.expect_response(183)
    office.send(office.within(invite, progress, "UPDATE", cseq=2, body=HOLD))
    assert "Retry-After" in office.expect_response(500).headers
    office.send(office.within(invite, progress, "UPDATE", cseq=3))
    office.expect_response(200)
    carrier.send(carrier.within_received(received, "UPDATE", cseq=1, body=CALLEE_HOLDS))
    carrier.expect_response(491)
    carrier.send(carrier.within_received(received, "UPDATE", cseq=2))
    carrier.expect_response(200)
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))
    assert statuses(office) == [200]
    office.ack(office.expect_response(200))


def test_INV_08_an_update_crosses_the_200(world: World, office: Agent, carrier: Agent) -> None:
    invite, progress, received = early(office, carrier)
    office.send(office.within(invite, progress, "UPDATE", cseq=3, body=HOLD))
    asked = carrier.expect_request("UPDATE")
    carrier.answer(received, 200)
    carrier.expect_request("ACK")
    office.ack(office.expect_response(200))
    carrier.answer(asked, 200, body=HELD)
    assert b"a=recvonly" in office.expect_response(200).body
    assert world.core.busy() == 1


@pytest.mark.parametrize(("answer", "body"), [(200, sdp("10.0.0.20", 40000, version=3, direction="recvonly")), (491, b"")])
def test_INV_08_an_update_of_the_callee_crosses_its_own_200(office: Agent, carrier: Agent, answer: int, body: bytes) -> None:
    """The caller has answered the callee's first offer before, which is no answer to the second."""
    invite = office.invite("+4930123456", b"", headers=(*REQUIRED, *ALLOWS))
    office.expect_response(100)
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 183, body=sdp("10.1.0.2", 50000), headers=reliable(1))
    progress = office.expect_response(183)
    prack(office, invite, progress, body=sdp("10.0.0.20", 40000))
    office.expect_response(200)
    carrier.answer(carrier.expect_request("PRACK"), 200)
    carrier.send(carrier.within_received(received, "UPDATE", body=CALLEE_HOLDS))
    asked = office.expect_request("UPDATE")
    carrier.answer(received, 200)
    carrier.expect_request("ACK")
    office.ack(office.expect_response(200))
    assert statuses(carrier) == [], "the caller has not said yet what it thinks of the UPDATE"
    office.answer(asked, answer, body=body)
    heard = carrier.expect_response(answer)
    assert (b"a=recvonly" in heard.body) == (answer == 200)


def test_INV_08_an_update_crosses_cancel(world: World, office: Agent, carrier: Agent) -> None:
    invite, _, received = early(office, carrier)
    carrier.send(carrier.within_received(received, "UPDATE", body=CALLEE_HOLDS))
    office.expect_request("UPDATE")
    office.cancel(invite)
    assert statuses(office) == [200, 487]
    carrier.expect_response(487)
    carrier.expect_request("CANCEL")
    carrier.answer(received, 487)


def test_INV_08_the_attempt_fails_while_the_callers_update_waits(office: Agent, carrier: Agent, backup: Agent) -> None:
    invite, progress, received = early(office, carrier)
    office.send(office.within(invite, progress, "UPDATE", cseq=3, body=HOLD))
    carrier.answer(received, 503)
    assert statuses(backup) == ["INVITE"]
    assert statuses(office) == [491]


# What was agreed on without one side


def test_UAS_07_what_is_owed_is_paid_after_glare(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok, _ = connect(office, carrier, "+4930123456")
    change = office.within(invite, ok, "INVITE", cseq=2, body=HOLD)
    office.send(change)
    asked = carrier.expect_request("INVITE")
    office.cancel(change)
    carrier.answer(asked, 200, body=HELD)
    carrier.expect_request("ACK")
    carrier.answer(carrier.expect_request("INVITE"), 491)
    carrier.expect_request("ACK")
    world.after(2.0)
    carrier.expect_nothing()
    world.after(2.1)
    assert b"a=sendrecv" in carrier.expect_request("INVITE").body
