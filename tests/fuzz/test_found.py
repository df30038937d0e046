"""What the fuzz targets have found, as ladders that can be read."""

from __future__ import annotations

from sbc.effects import Effect, UpdateRelay
from sbc.inputs import RelayFailed
from sbc.sip.message import Request, Response
from tests.world import Agent, World, connect, sdp


class NoUpdates(World):
    """Relays open, but no change of theirs succeeds any more once `failing`."""

    failing = False

    def _carry_out(self, effect: Effect) -> None:
        if isinstance(effect, UpdateRelay) and self.failing:
            self._inputs.append(RelayFailed(effect.relay, "no such address", temporary=False))
        else:
            super()._carry_out(effect)


def cast(world: World) -> tuple[Agent, Agent]:
    return world.agent("office", ("10.0.0.20", 5060), "outside"), world.agent("carrier", ("10.1.0.2", 5060), "inside")


def ringing(office: Agent, carrier: Agent) -> tuple[Request, Response, Request]:
    """INVITE as the office sent it, 183 as it got it, INVITE as the carrier got it."""
    invite = office.invite("+4930123456")
    office.expect_response(100)
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 183, body=sdp(carrier.host, 50000))
    return invite, office.expect_response(183), received


def test_a_BYE_before_the_answer_ends_the_INVITE_as_well() -> None:
    """RFC 3261 s15.1.2: "The UAS MUST still respond to any pending requests received for that dialog", with 487."""
    world = World()
    office, carrier = cast(world)
    invite, progress, received = ringing(office, carrier)
    office.send(office.within(invite, progress, "BYE"))
    assert {(m.status, m.cseq.method) for m in office.inbox if isinstance(m, Response)} == {(200, "BYE"), (487, "INVITE")}
    carrier.answer(carrier.expect_request("CANCEL"), 200)
    carrier.answer(received, 487)
    world.expect_nothing_left()
    assert [record["sip_status"] for record in world.records] == [487]


def test_a_second_INVITE_before_the_answer_to_the_first_is_refused() -> None:
    """RFC 3261 s14.2: 500 with Retry-After. It was answered with 200, and a missing ACK to that left the first one open for ever."""
    world = World()
    office, carrier = cast(world)
    invite, progress, _ = ringing(office, carrier)
    office.send(office.within(invite, progress, "INVITE", body=sdp(office.host, 40000)))
    refused = office.expect_response(500)
    assert 0 <= int(refused.headers.first("Retry-After") or "-1") <= 10
    world.expect_nothing_left()


def test_a_relay_that_cannot_be_changed_is_closed_while_it_rings() -> None:
    world = NoUpdates()
    office, carrier = cast(world)
    office.invite("+4930123456")
    world.failing = True
    carrier.answer(carrier.expect_request("INVITE"), 183, body=sdp(carrier.host, 50000))
    assert world.open_relays == set()
    world.expect_nothing_left()


def test_a_relay_that_cannot_be_changed_ends_the_call_on_both_sides() -> None:
    world = NoUpdates()
    office, carrier = cast(world)
    office.invite("+4930123456")
    world.failing = True
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 200, body=sdp(carrier.host, 50000))
    carrier.expect_request("ACK")
    carrier.answer(carrier.expect_request("BYE"), 200)
    world.expect_nothing_left()


def test_a_relay_that_cannot_be_changed_later_ends_the_call_on_both_sides() -> None:
    world = NoUpdates()
    office, carrier = cast(world)
    invite, ok, _ = connect(office, carrier, "+4930123456")
    world.failing = True
    office.send(office.within(invite, ok, "INVITE", body=sdp(office.host, 41000, version=2)))
    reinvite = carrier.expect_request("INVITE")
    carrier.answer(reinvite, 200, body=sdp(carrier.host, 50000, version=2))
    assert "BYE" in [message.method for message in carrier.inbox if isinstance(message, Request)]
    world.after(40)
    assert "BYE" in [message.method for message in office.inbox if isinstance(message, Request)]
    world.expect_nothing_left()


def test_an_offer_that_guessed_our_own_port() -> None:
    """Only known to be ours once the relay is open: then the call is refused, not half alive."""
    world = World()
    office, carrier = cast(world)
    office.invite("+4930123456", sdp("10.0.0.1", 20000))
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 183, body=sdp(carrier.host, 50000))
    carrier.answer(received, 200, body=sdp(carrier.host, 50000))
    assert [message.status for message in office.inbox if isinstance(message, Response)][-1] == 488
    carrier.expect_request("ACK")
    carrier.answer(carrier.expect_request("BYE"), 200)
    world.expect_nothing_left()


def test_a_provisional_answer_with_a_broken_content_type() -> None:
    """It is no reason to fail, nor to end the call: an answer may still come."""
    world = World()
    office, carrier = cast(world)
    office.invite("+4930123456")
    office.expect_response(100)
    received = carrier.expect_request("INVITE")
    contact = (("Contact", carrier.contact),)
    carrier.send(Response.answer(received, 183, to_tag="one", headers=contact, body=b"v=0\r\n", content_type="application"))
    carrier.answer(received, 200, body=sdp(carrier.host, 50000), tag="one")
    carrier.expect_request("ACK")
    while office.inbox:
        last = office.inbox.popleft()
    assert isinstance(last, Response)
    assert last.status == 200
    office.ack(last)
    world.expect_nothing_left()
