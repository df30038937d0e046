"""A call that becomes a fax: re-INVITE to T.38 passed or refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from media.api import Side
from tests.unit.media.contract_fax import udptl
from tests.unit.sdp.bodies import version
from tests.vectors.messages import request
from tests.world import POLICY, Agent, World, connect, sdp

PLAIN = "plain: {srtp: off, codecs: [PCMA, PCMU, G729, telephone-event]}"
WITH_FAX = POLICY.replace(PLAIN, PLAIN.replace("}", ", fax: pass}"))
SAMPLE = request("samples", "reinvite_t38.sip").body


def t38(address: str, port: int) -> bytes:
    return sdp(address, port, version=2).partition(b"m=")[0] + b"m=image %d udptl t38\r\na=T38FaxVersion:0\r\n" % port


@pytest.fixture
def world() -> Iterator[World]:
    """Overrides the usual one: both trunks may fax."""
    world = World(WITH_FAX)
    yield world
    world.expect_nothing_left()


def test_FAX_01_the_callee_asks_for_fax_and_gets_it(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok, received = connect(office, carrier, "+4930123456")
    carrier.send(carrier.within_received(received, "INVITE", cseq=7, body=t38("10.1.0.2", 50000)))
    carrier.expect_response(100)
    change = office.expect_request("INVITE")
    assert b"m=image 2" in change.body
    assert b"m=audio" not in change.body
    office.answer(change, 200, body=t38("10.0.0.20", 40000))
    office.expect_request("ACK")
    changed = carrier.expect_response(200)
    assert b"m=image 3" in changed.body
    carrier.send(carrier.within_received(received, "ACK", cseq=7))
    assert [side.udptl for side in world.updates[-1]] == [True, True]
    (relay,) = world.open_relays
    world.media.receive(relay, Side.B, udptl(0), ("10.1.0.2", 50000))
    (sent,) = world.media.take_sent()
    assert (sent.packet, sent.destination) == (udptl(0), ("10.0.0.20", 40000))
    # When the page is through they speak again.
    office.send(office.within(invite, ok, "INVITE", cseq=2, body=sdp("10.0.0.20", 40000, version=3)))
    office.expect_response(100)
    back = carrier.expect_request("INVITE")
    assert (b"m=audio" in back.body, b"m=image" in back.body) == (True, False)
    carrier.answer(back, 200, body=sdp("10.1.0.2", 50000, version=3))
    carrier.expect_request("ACK")
    office.expect_response(200)
    office.send(office.within(invite, ok, "ACK", cseq=2))
    assert [side.udptl for side in world.updates[-1]] == [False, False]


def test_a_record_of_a_fax_says_so(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok, received = connect(office, carrier, "+4930123456")
    carrier.send(carrier.within_received(received, "INVITE", cseq=7, body=t38("10.1.0.2", 50000)))
    carrier.expect_response(100)
    office.answer(office.expect_request("INVITE"), 200, body=t38("10.0.0.20", 40000))
    carrier.expect_response(200)
    carrier.send(carrier.within_received(received, "ACK", cseq=7))
    office.expect_request("ACK")
    office.send(office.within(invite, ok, "BYE"))
    office.expect_response(200)
    carrier.answer(carrier.expect_request("BYE"), 200)
    assert [world.records[0][side]["codecs"] for side in ("a", "b")] == [["T38"], ["T38"]]  # type: ignore[index]


def test_FAX_01_refused_by_the_other_side_the_call_goes_on_as_speech(world: World, office: Agent, carrier: Agent) -> None:
    _, _, received = connect(office, carrier, "+4930123456")
    before = world.updates[-1]
    carrier.send(carrier.within_received(received, "INVITE", cseq=7, body=SAMPLE))
    carrier.expect_response(100)
    office.answer(office.expect_request("INVITE"), 488)
    office.expect_request("ACK")
    carrier.expect_response(488)
    assert world.updates[-1] == before
    assert world.core.busy() == 1


def test_FAX_01_after_a_refusal_speech_can_be_agreed_on_anew(world: World, office: Agent, carrier: Agent) -> None:
    """Who was refused mostly asks for G.711 alone next, for the fax goes on as speech."""
    invite, ok, received = connect(office, carrier, "+4930123456")
    office.send(office.within(invite, ok, "INVITE", cseq=2, body=t38("10.0.0.20", 40000)))
    office.expect_response(100)
    carrier.answer(carrier.expect_request("INVITE"), 488)
    carrier.expect_request("ACK")
    office.expect_response(488)
    office.send(office.within(invite, ok, "INVITE", cseq=3, body=sdp("10.0.0.20", 40000, "8", version=3)))
    office.expect_response(100)
    change = carrier.expect_request("INVITE")
    assert b"RTP/AVP 8\r\n" in change.body
    carrier.answer(change, 200, body=sdp("10.1.0.2", 50000, "8", version=2))
    carrier.expect_request("ACK")
    office.expect_response(200)
    office.send(office.within(invite, ok, "ACK", cseq=3))
    carrier.send(carrier.within_received(received, "INVITE", cseq=9, body=sdp("10.1.0.2", 50002, "8", version=3)))
    carrier.expect_response(100)
    office.answer(office.expect_request("INVITE"), 200, body=sdp("10.0.0.20", 40000, "8", version=3))
    office.expect_request("ACK")
    carrier.expect_response(200)
    carrier.send(carrier.within_received(received, "ACK", cseq=9))
    a, b = world.updates[-1]
    assert (dict(a.payload_types), dict(b.payload_types), b.remote) == ({8: 8}, {8: 8}, ("10.1.0.2", 50002))


def test_FAX_01_a_200_that_takes_no_fax_gets_its_speech_back(world: World, office: Agent, carrier: Agent) -> None:
    """It should have been a 488 (RFC 3261 s14.2): the carrier has no stream at all after this."""
    invite, ok, received = connect(office, carrier, "+4930123456")
    before = world.updates[-1]
    office.send(office.within(invite, ok, "INVITE", body=t38("10.0.0.20", 40000)))
    office.expect_response(100)
    change = carrier.expect_request("INVITE")
    carrier.answer(change, 200, body=t38("10.1.0.2", 50000).replace(b"m=image 50000", b"m=image 0"))
    carrier.expect_request("ACK")
    office.expect_response(488)
    again = carrier.expect_request("INVITE")
    assert b"m=audio 3" in again.body
    assert version(again.body) == version(change.body) + 1 == version(received.body) + 2
    carrier.answer(again, 200, body=sdp("10.1.0.2", 50000, version=3))
    carrier.expect_request("ACK")
    assert world.updates[-1] == before
    office.expect_nothing()


@pytest.mark.parametrize("answer", [sdp("10.1.0.2", 0, version=2), b"", b"junk"])
def test_what_is_in_force_is_offered_once_more_and_not_for_ever(world: World, office: Agent, carrier: Agent, answer: bytes) -> None:
    invite, ok, _ = connect(office, carrier, "+4930123456")
    office.send(office.within(invite, ok, "INVITE", body=sdp("10.0.0.20", 41000, version=2)))
    for _ in range(2):
        carrier.answer(carrier.expect_request("INVITE"), 200, body=answer)
        carrier.expect_request("ACK")
    carrier.expect_nothing()
    assert world.core.busy() == 1


def test_FAX_01_a_sample_of_the_field_is_passed(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok, _ = connect(office, carrier, "+4930123456")
    office.send(office.within(invite, ok, "INVITE", body=SAMPLE))
    office.expect_response(100)
    change = carrier.expect_request("INVITE")
    assert b"T38FaxRateManagement:transferredTCF" in change.body
    carrier.answer(change, 200, body=t38("10.1.0.2", 50000))
    carrier.expect_request("ACK")
    office.expect_response(200)
    office.send(office.within(invite, ok, "ACK", cseq=2))


def test_FAX_02_both_sides_ask_for_fax_at_once(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok, received = connect(office, carrier, "+4930123456")
    office.send(office.within(invite, ok, "INVITE", body=t38("10.0.0.20", 40000)))
    office.expect_response(100)
    ours = carrier.expect_request("INVITE")
    carrier.send(carrier.within_received(received, "INVITE", cseq=7, body=t38("10.1.0.2", 50000)))
    carrier.expect_response(491)
    # The carrier refuses ours with 491 as well: the office hears it, and after its wait one of them tries again.
    carrier.answer(ours, 491)
    carrier.expect_request("ACK")
    office.expect_response(491)
    carrier.send(carrier.within_received(received, "INVITE", cseq=8, body=t38("10.1.0.2", 50000)))
    carrier.expect_response(100)
    office.answer(office.expect_request("INVITE"), 200, body=t38("10.0.0.20", 40000))
    office.expect_request("ACK")
    carrier.expect_response(200)
    carrier.send(carrier.within_received(received, "ACK", cseq=8))
    assert [side.udptl for side in world.updates[-1]] == [True, True]


def test_FAX_01_refused_by_policy_before_anybody_is_asked() -> None:
    world = World()
    office = world.agent("office", ("10.0.0.20", 5060), "outside")
    carrier = world.agent("carrier", ("10.1.0.2", 5060), "inside")
    _, _, received = connect(office, carrier, "+4930123456")
    before = world.updates[-1]
    carrier.send(carrier.within_received(received, "INVITE", cseq=7, body=SAMPLE))
    refused = carrier.expect_response(488)
    assert (refused.headers.first("Warning") or "").startswith("304 ")
    office.expect_nothing()
    assert world.updates[-1] == before
    assert world.core.busy() == 1
    world.expect_nothing_left()
