"""Calls that go well, and how they end."""

from __future__ import annotations

import gc

import pytest

from sbc.call.call import Call
from sbc.call.leg import Leg
from sbc.sip.message import Request, Response
from tests.world import POLICY, Agent, World, connect, sdp


def test_a_call_from_ring_to_bye(world: World, office: Agent, carrier: Agent) -> None:
    invite = office.invite("+4930123456", sdp("10.0.0.20", 40000))
    office.expect_response(100)
    received = carrier.expect_request("INVITE")
    assert received.uri.user == "+4930123456"
    assert received.headers.first("Max-Forwards") == "69"
    carrier.answer(received, 100)
    carrier.answer(received, 180)
    ringing = office.expect_response(180)
    assert ringing.to.tag
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))
    ack = carrier.expect_request("ACK")
    assert ack.to.tag == "to-carrier"
    ok = office.expect_response(200)
    assert ok.to.tag == ringing.to.tag
    office.ack(ok)
    world.after(10)
    office.send(office.within(invite, ok, "BYE"))
    office.expect_response(200)
    carrier.answer(carrier.expect_request("BYE"), 200)
    office.expect_nothing()
    carrier.expect_nothing()
    (record,) = world.records
    assert record["released_by"] == "a"
    assert record["sip_status"] == 200
    assert record["q850"] == 16
    assert record["duration_ms"] == 10_000
    assert record["route"] == "out"
    assert record["a"]["trunk"] == "office"  # type: ignore[index]
    assert record["b"]["codecs"] == ["PCMA", "PCMU", "telephone-event"]  # type: ignore[index]


def test_the_callee_hangs_up(world: World, office: Agent, carrier: Agent) -> None:
    _, _, received = connect(office, carrier, "+4930123456")
    carrier.send(carrier.within_received(received, "BYE", headers=(("Reason", 'Q.850;cause=31;text="later"'),)))
    carrier.expect_response(200)
    bye = office.expect_request("BYE")
    assert bye.headers.first("Reason") == 'Q.850;cause=31;text="later"'
    office.answer(bye, 200)
    assert world.records[0]["released_by"] == "b"
    assert world.records[0]["q850"] == 31


def test_INV_07_byes_cross(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok, received = connect(office, carrier, "+4930123456")
    office.send(office.within(invite, ok, "BYE"))
    office.expect_response(200)
    bye = carrier.expect_request("BYE")
    carrier.send(carrier.within_received(received, "BYE"))
    carrier.expect_response(200)
    carrier.answer(bye, 200)
    assert len(world.records) == 1


def test_media_is_anchored_between_the_two(world: World, office: Agent, carrier: Agent) -> None:
    connect(office, carrier, "+4930123456", sdp("10.0.0.20", 40000), sdp("10.1.0.2", 50000))
    a, b = world.updates[-1]
    assert a.remote == ("10.0.0.20", 40000)
    assert b.remote == ("10.1.0.2", 50000)
    assert a.payload_types[8] == 8


def _side(message: Request | Response) -> bytes:
    return message.encode()


def test_SDP_08_HDR_02_HDR_14_nothing_of_one_side_shows_on_the_other(world: World, office: Agent, carrier: Agent) -> None:
    """Addresses, tags, Call-ID, Via, Contact, Record-Route, User-Agent, SDP o= s= c=."""
    office_secrets = [
        b"10.0.0.20",
        b"call-office",
        b"from-office",
        b"z9hG4bK-office",
        b"peer secret",
        b"4711",
        b"Phone/1.0",
        b"proxy.office",
    ]
    carrier_secrets = [b"10.1.0.2", b"to-carrier", b"peer secret", b"Switch/2.0", b"rr.carrier"]
    headers = (
        ("User-Agent", "Phone/1.0"),
        ("Record-Route", "<sip:proxy.office.example;lr>"),
        ("X-Internal", "10.0.0.20"),
        ("P-Asserted-Identity", "<sip:x@10.0.0.20>"),
        ("Call-Info", "<http://10.0.0.20/photo.jpg>"),
        ("Warning", '399 10.0.0.20 "x"'),
    )
    invite = office.invite(
        "+4930123456",
        sdp("10.0.0.20", 40000, extra="a=candidate:1 1 UDP 1 10.0.0.20 40000 typ host\r\na=rtcp:40001 IN IP4 10.0.0.20\r\n"),
        headers=headers,
    )
    received = carrier.expect_request("INVITE")
    answer_headers = (("Server", "Switch/2.0"), ("Record-Route", "<sip:rr.carrier.example;lr>"), ("Warning", '399 10.1.0.2 "y"'))
    carrier.answer(received, 183, body=sdp("10.1.0.2", 50000), headers=answer_headers)
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000), headers=answer_headers)
    ack = carrier.expect_request("ACK")
    to_office = [office.expect_response(100), office.expect_response(183), office.expect_response(200)]
    office.ack(to_office[-1])
    reinvite = carrier.within_received(received, "INVITE", cseq=5, body=sdp("10.1.0.2", 50000, version=2, direction="sendonly"))
    carrier.send(reinvite)
    to_office_request = office.expect_request("INVITE")
    office.answer(to_office_request, 200, body=sdp("10.0.0.20", 40000, version=2, direction="recvonly"), tag="from-office")
    carrier.expect_response(100)
    to_carrier_ok = carrier.expect_response(200)
    carrier.send(carrier.within_received(received, "ACK", cseq=5))
    office.expect_request("ACK")
    office.send(office.within(invite, to_office[-1], "BYE"))
    bye = carrier.expect_request("BYE")
    carrier.answer(bye, 200)
    office.expect_response(200)
    for message in (received, ack, to_carrier_ok, bye):
        for secret in office_secrets:
            assert secret not in _side(message), (secret, message)
    towards_office: list[Request | Response] = [*to_office, to_office_request]
    for message in towards_office:
        for secret in carrier_secrets:
            if secret == b"10.1.0.2" or message is not None:
                assert secret not in _side(message), (secret, message)


def test_route_set_and_target_of_each_side_are_kept(world: World, office: Agent, carrier: Agent) -> None:
    invite = office.invite("+4930123456", headers=(("Record-Route", "<sip:10.0.0.20:5080;lr>"),))
    proxy = world.agent("proxy", ("10.0.0.20", 5080), "outside")
    office.expect_response(100)
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))
    carrier.expect_request("ACK")
    ok = office.expect_response(200)
    assert ok.headers.first("Record-Route") == "<sip:10.0.0.20:5080;lr>"
    office.ack(ok)
    carrier.send(carrier.within_received(received, "BYE"))
    carrier.expect_response(200)
    bye = proxy.expect_request("BYE")
    assert bye.headers.first("Route") == "<sip:10.0.0.20:5080;lr>"
    assert str(bye.uri) == "sip:office@10.0.0.20:5060"
    proxy.answer(bye, 200)
    assert invite.call_id == bye.call_id


def test_early_media_then_answer(world: World, office: Agent, carrier: Agent) -> None:
    office.invite("+4930123456")
    office.expect_response(100)
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 183, body=sdp("10.1.0.2", 50000))
    early = office.expect_response(183)
    assert b"m=audio 2" in early.body
    assert world.updates[-1][1].remote == ("10.1.0.2", 50000)
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))
    carrier.expect_request("ACK")
    ok = office.expect_response(200)
    assert ok.body == early.body, "the answer said early and the answer are the same (RFC 3261 s13.2.1)"
    office.ack(ok)


def test_UAS_08_a_200_is_repeated_until_its_ack(world: World, office: Agent, carrier: Agent) -> None:
    office.invite("+4930123456")
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))
    office.expect_response(100)
    office.expect_response(200)
    world.after(0.5)
    office.expect_response(200)
    world.after(1)
    ok = office.expect_response(200)
    office.ack(ok)
    world.after(30)
    office.expect_nothing()


def test_UAS_08_without_ack_both_sides_end(world: World, office: Agent, carrier: Agent) -> None:
    office.invite("+4930123456")
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))
    carrier.expect_request("ACK")
    world.after(32.2)
    carrier.answer(carrier.expect_request("BYE"), 200)
    office.expect_response(100)
    assert [type(message).__name__ for message in list(office.inbox)[:-1]] == ["Response"] * 11
    bye = office.inbox[-1]
    assert isinstance(bye, Request)
    assert bye.method == "BYE"
    assert world.records[0]["note"] == "no ACK"
    assert world.records[0]["released_by"] == "sbc"


def test_INV_07_bye_towards_the_caller_waits_for_its_ack(world: World, office: Agent, carrier: Agent) -> None:
    office.invite("+4930123456")
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))
    office.expect_response(100)
    ok = office.expect_response(200)
    carrier.expect_request("ACK")
    carrier.send(carrier.within_received(received, "BYE"))
    carrier.expect_response(200)
    office.expect_nothing()
    office.ack(ok)
    office.answer(office.expect_request("BYE"), 200)


def test_repeated_200_of_the_callee_gets_its_ack_again(world: World, office: Agent, carrier: Agent) -> None:
    _, _, received = connect(office, carrier, "+4930123456")
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))
    carrier.expect_request("ACK")
    office.expect_nothing()


def test_INV_04_a_second_fork_that_answers_is_ended(world: World, office: Agent, carrier: Agent) -> None:
    _, _, received = connect(office, carrier, "+4930123456")
    carrier.answer(received, 200, body=sdp("10.1.0.9", 50000), tag="other-fork")
    ack = carrier.expect_request("ACK")
    bye = carrier.expect_request("BYE")
    assert ack.to.tag == bye.to.tag == "other-fork"
    carrier.answer(bye, 200)
    office.expect_nothing()
    assert world.core.busy() == 1


def test_INV_05_early_dialogs_of_two_forks_share_one_tag(world: World, office: Agent, carrier: Agent) -> None:
    office.invite("+4930123456")
    office.expect_response(100)
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 183, body=sdp("10.1.0.2", 50000), tag="fork-1")
    carrier.answer(received, 183, body=sdp("10.1.0.9", 50002), tag="fork-2")
    first, second = office.expect_response(183), office.expect_response(183)
    assert first.to.tag == second.to.tag
    assert world.updates[-1][1].remote == ("10.1.0.9", 50002)
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000), tag="fork-1")
    carrier.expect_request("ACK")
    office.ack(office.expect_response(200))
    assert world.updates[-1][1].remote == ("10.1.0.2", 50000)


def test_UAS_09_ringing_is_repeated_every_minute() -> None:
    world = World(POLICY.replace("ring_for: 60s", "ring_for: 5m"))
    office = world.agent("office", ("10.0.0.20", 5060), "outside")
    carrier = world.agent("carrier", ("10.1.0.2", 5060), "inside")
    office.invite("+4930123456")
    carrier.answer(carrier.expect_request("INVITE"), 183, body=sdp("10.1.0.2", 50000))
    office.expect_response(100)
    first = office.expect_response(183)
    world.after(200)
    repeated = [office.expect_response(183) for _ in range(3)]
    assert {message.encode() for message in repeated} == {first.encode()}
    office.expect_nothing()


@pytest.mark.parametrize("body", [b"not sdp", b"v=0\r\n", sdp("10.0.0.20", 40000, "96")])
def test_an_offer_that_cannot_be_used_is_refused_and_recorded(world: World, office: Agent, carrier: Agent, body: bytes) -> None:
    office.invite("+4930123456", body)
    office.expect_response(100)
    (refused,) = office.inbox
    assert isinstance(refused, Response)
    assert refused.status in (400, 488)
    assert (refused.status == 488) == ("Warning" in refused.headers)
    carrier.expect_nothing()
    assert world.records[0]["sip_status"] == refused.status
    office.inbox.clear()


def test_no_codec_in_common_is_488_with_a_warning(world: World, office: Agent, carrier: Agent) -> None:
    office.invite("+4930123456", sdp("10.0.0.20", 40000, "3 101"))
    office.expect_response(100)
    refused = office.expect_response(488)
    assert (refused.headers.first("Warning") or "").startswith("305 ")


def test_longest_call(world: World, office: Agent, carrier: Agent) -> None:
    connect(office, carrier, "+4930123456")
    world.snapshot.limits["carrier"]
    for _ in range(4 * 60 - 1):
        world.after(60)
        _keep_alive(office, carrier)
    assert world.core.busy() == 1
    world.after(61)
    assert world.core.busy() == 0
    assert world.records[0]["note"] == "longest_call reached"
    office.inbox.clear()
    carrier.inbox.clear()


def _keep_alive(*agents: Agent) -> None:
    """Answer session refreshes, whoever gets them."""
    for agent in agents:
        while agent.inbox:
            message = agent.inbox.popleft()
            if isinstance(message, Request) and message.method == "INVITE":
                agent.answer(message, 200, body=sdp(agent.host, 50000))


def test_a_finished_call_is_freed_without_the_collector(world: World, office: Agent, carrier: Agent) -> None:
    """Reference cycles in calls cost a third of all CPU time once, in the garbage collector."""
    invite, ok, _ = connect(office, carrier, "+4930123456")
    gc.collect()
    gc.disable()
    try:
        living = {id(each) for each in gc.get_objects() if isinstance(each, Leg | Call)}
        assert len(living) == 3
        office.send(office.within(invite, ok, "BYE"))
        carrier.answer(carrier.expect_request("BYE"), 200)
        world.after(33)
        assert not [each for each in gc.get_objects() if isinstance(each, Leg | Call)]
    finally:
        gc.enable()
    office.inbox.clear()
