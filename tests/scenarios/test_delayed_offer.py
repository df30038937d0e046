"""INVITE and re-INVITE without an offer: the 2xx offers, the ACK answers, end to end (RFC 3261 s13.2.1, RFC 6337 s2.2 pattern 2)."""

from __future__ import annotations

import pytest

from sbc.sip.message import Request
from tests.world import POLICY, Agent, World, connect, sdp


def statuses(agent: Agent) -> list[int | str]:
    return [message.method if isinstance(message, Request) else message.status for message in agent.inbox]


def test_INV_13_SDP_06_the_answer_in_the_ack_crosses(world: World, office: Agent, carrier: Agent) -> None:
    office.invite("+4930123456", b"")
    office.expect_response(100)
    received = carrier.expect_request("INVITE")
    assert received.body == b""
    carrier.answer(received, 180)
    assert office.expect_response(180).body == b""
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000, "8 101"))
    carrier.expect_nothing()
    ok = office.expect_response(200)
    assert b"m=audio" in ok.body
    assert b"10.1.0.2" not in ok.body
    office.ack(ok, sdp("10.0.0.20", 40000, "8 101"))
    ack = carrier.expect_request("ACK")
    assert b"m=audio 30" in ack.body
    a, b = world.updates[-1]
    assert (a.remote, b.remote) == (("10.0.0.20", 40000), ("10.1.0.2", 50000))
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000, "8 101"))
    assert carrier.expect_request("ACK").body == ack.body, "the same for a 2xx that is repeated"


@pytest.mark.parametrize("taken", ["8 101", "0 101"])
def test_SDP_06_early_offer_for_a_callee_that_needs_one(taken: str) -> None:
    world = World(POLICY.replace("    limits: carrier", "    limits: carrier\n    early_offer: true"))
    office = world.agent("office", ("10.0.0.20", 5060), "outside")
    carrier = world.agent("carrier", ("10.1.0.2", 5060), "inside")
    office.invite("+4930123456", b"")
    office.expect_response(100)
    received = carrier.expect_request("INVITE")
    assert b"RTP/AVP 8 0 18 101" in received.body
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000, "8 0 101" if taken == "0 101" else "8 101"))
    assert carrier.expect_request("ACK").body == b""
    office.ack(office.expect_response(200), sdp("10.0.0.20", 40000, taken))
    if taken == "8 101":
        carrier.expect_nothing()
    else:
        assert b"RTP/AVP 0 101" in carrier.expect_request("INVITE").body, "less than the callee has chosen"


def test_INV_13_no_answer_in_the_ack(world: World, office: Agent, carrier: Agent) -> None:
    office.invite("+4930123456", b"")
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))
    office.expect_response(100)
    office.ack(office.expect_response(200))
    office.answer(office.expect_request("BYE"), 200)
    assert b"m=audio 0 " in carrier.expect_request("ACK").body, "the offer is refused, not left open"
    carrier.answer(carrier.expect_request("BYE"), 200)
    assert world.records[0]["note"] == "no answer in ACK"


def test_INV_13_no_ack_at_all(world: World, office: Agent, carrier: Agent) -> None:
    office.invite("+4930123456", b"")
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))
    world.after(31.9)
    carrier.expect_nothing()
    world.after(0.2)
    assert b"m=audio 0 " in carrier.expect_request("ACK").body
    carrier.answer(carrier.expect_request("BYE"), 200)
    assert statuses(office)[:2] == [100, 200]
    assert statuses(office)[-1] == "BYE"


def test_INV_13_a_caller_who_shares_no_codec_with_the_callee(world: World, office: Agent, carrier: Agent) -> None:
    office.invite("+4930123456", b"")
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000, "8 101"))
    office.expect_response(100)
    office.ack(office.expect_response(200), sdp("10.0.0.20", 40000, "0 101"))
    assert b"m=audio 0 " in carrier.expect_request("ACK").body
    carrier.answer(carrier.expect_request("BYE"), 200)
    office.answer(office.expect_request("BYE"), 200)


def test_INV_13_a_callee_that_offers_nothing_usable(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    office.invite("+4930123456", b"")
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000, "96"))
    assert b"m=audio 0 " in carrier.expect_request("ACK").body
    carrier.answer(carrier.expect_request("BYE"), 200)
    assert statuses(office) == [100, 488]
    backup.expect_nothing()


def test_INV_03_a_200_with_an_offer_crosses_cancel(world: World, office: Agent, carrier: Agent) -> None:
    invite = office.invite("+4930123456", b"")
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 180)
    office.cancel(invite)
    cancel = carrier.expect_request("CANCEL")
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))
    assert b"m=audio 0 " in carrier.expect_request("ACK").body
    carrier.answer(carrier.expect_request("BYE"), 200)
    carrier.answer(cancel, 200)
    assert statuses(office) == [100, 180, 200, 487]


def test_INV_04_a_second_2xx_with_an_offer_is_refused_in_its_ack(world: World, office: Agent, carrier: Agent) -> None:
    office.invite("+4930123456", b"")
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000), tag="one")
    office.expect_response(100)
    office.ack(office.expect_response(200), sdp("10.0.0.20", 40000))
    assert b"m=audio 30" in carrier.expect_request("ACK").body
    carrier.answer(received, 200, body=sdp("10.1.0.2", 51000), tag="two")
    assert b"m=audio 0 " in carrier.expect_request("ACK").body
    bye = carrier.expect_request("BYE")
    assert bye.to.tag == "two"
    carrier.answer(bye, 200)
    assert world.core.busy() == 1


def test_INV_07_the_callee_hangs_up_before_the_caller_has_acknowledged(world: World, office: Agent, carrier: Agent) -> None:
    office.invite("+4930123456", b"")
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))
    carrier.send(carrier.within_received(received, "BYE"))
    carrier.expect_response(200)
    carrier.expect_request("ACK")
    office.expect_response(100)
    office.ack(office.expect_response(200), sdp("10.0.0.20", 40000))
    office.answer(office.expect_request("BYE"), 200)


def test_SDP_06_an_offerless_reinvite_asks_the_other_side(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok, _ = connect(office, carrier, "+4930123456")
    office.send(office.within(invite, ok, "INVITE"))
    office.expect_response(100)
    asked = carrier.expect_request("INVITE")
    assert asked.body == b""
    carrier.answer(asked, 200, body=sdp("10.1.0.2", 51000, version=2))
    carrier.expect_nothing()
    offered = office.expect_response(200)
    assert b"m=audio" in offered.body
    office.send(office.within(invite, ok, "ACK", cseq=2, body=sdp("10.0.0.20", 42000, version=2, direction="sendonly")))
    assert b"a=sendonly" in carrier.expect_request("ACK").body
    assert world.updates[-1][0].remote == ("10.0.0.20", 42000)
    assert world.updates[-1][1].remote == ("10.1.0.2", 51000)


def test_SDP_06_a_held_call_is_resumed_by_an_offerless_reinvite(world: World, office: Agent, carrier: Agent) -> None:
    """How CUCM does it. Only the far side knows that it would send again; what it answered to the hold does not say so."""
    invite, ok, _ = connect(office, carrier, "+4930123456")
    office.send(office.within(invite, ok, "INVITE", cseq=2, body=sdp("10.0.0.20", 40000, version=2, direction="inactive")))
    carrier.answer(carrier.expect_request("INVITE"), 200, body=sdp("10.1.0.2", 50000, version=2, direction="inactive"))
    carrier.expect_request("ACK")
    office.expect_response(100)
    office.expect_response(200)
    office.send(office.within(invite, ok, "ACK", cseq=2))
    office.send(office.within(invite, ok, "INVITE", cseq=3))
    carrier.answer(carrier.expect_request("INVITE"), 200, body=sdp("10.1.0.2", 50000, version=3))
    office.expect_response(100)
    assert b"a=sendrecv" in office.expect_response(200).body
    office.send(office.within(invite, ok, "ACK", cseq=3, body=sdp("10.0.0.20", 40000, version=3)))
    assert b"a=sendrecv" in carrier.expect_request("ACK").body


def test_INV_13_no_answer_to_the_offer_of_a_reinvite_ends_both_sides(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok, _ = connect(office, carrier, "+4930123456")
    office.send(office.within(invite, ok, "INVITE"))
    carrier.answer(carrier.expect_request("INVITE"), 200, body=sdp("10.1.0.2", 50000, version=2))
    office.expect_response(100)
    office.expect_response(200)
    office.send(office.within(invite, ok, "ACK", cseq=2))
    assert b"m=audio 0 " in carrier.expect_request("ACK").body
    carrier.answer(carrier.expect_request("BYE"), 200)
    office.answer(office.expect_request("BYE"), 200)


def test_INV_09_an_offerless_reinvite_that_is_refused_keeps_the_call(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok, _ = connect(office, carrier, "+4930123456")
    office.send(office.within(invite, ok, "INVITE"))
    carrier.answer(carrier.expect_request("INVITE"), 488)
    carrier.expect_request("ACK")
    office.expect_response(100)
    office.expect_response(488)
    assert world.core.busy() == 1


def test_an_offer_the_asking_side_cannot_take_leaves_things_as_they_were(world: World, office: Agent, carrier: Agent) -> None:
    policy_codecs = sdp("10.1.0.2", 50000, "18 101", version=2)
    invite, ok, _ = connect(office, carrier, "+4930123456", sdp("10.0.0.20", 40000, "8 101"))
    office.send(office.within(invite, ok, "INVITE"))
    carrier.answer(carrier.expect_request("INVITE"), 200, body=policy_codecs)
    office.expect_response(100)
    offered = office.expect_response(200)
    assert b"G729" in offered.body
    office.send(office.within(invite, ok, "ACK", cseq=2, body=sdp("10.0.0.20", 40000, "18 101", version=2)))
    assert b"G729" in carrier.expect_request("ACK").body


def test_a_cancelled_offerless_reinvite_that_the_other_side_accepted_already(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok, _ = connect(office, carrier, "+4930123456")
    change = office.within(invite, ok, "INVITE", cseq=2)
    office.send(change)
    asked = carrier.expect_request("INVITE")
    office.cancel(change)
    office.expect_response(100)
    office.expect_response(200)
    office.expect_response(487)
    carrier.answer(asked, 200, body=sdp("10.1.0.2", 50000, version=2))
    assert b"m=audio 30" in carrier.expect_request("ACK").body, "answered as it was"
    assert world.core.busy() == 1


def test_INV_13_an_offer_of_the_other_side_that_cannot_be_used_ends_the_call(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok, _ = connect(office, carrier, "+4930123456")
    office.send(office.within(invite, ok, "INVITE"))
    carrier.answer(carrier.expect_request("INVITE"), 200, body=sdp("10.1.0.2", 50000, "96", version=2))
    assert b"m=audio 0 " in carrier.expect_request("ACK").body
    carrier.answer(carrier.expect_request("BYE"), 200)
    assert statuses(office) == [100, 488, "BYE"]
