"""Who is let in, and what everybody else hears."""

from __future__ import annotations

import pytest

from sbc.sip.message import Response
from tests.world import Agent, World, connect, sdp
from tests.zones import zone


def test_UAS_10_options(world: World, office: Agent) -> None:
    office.send(office.request("OPTIONS", "sip:10.0.0.1", max_forwards=0))
    ok = office.expect_response(200)
    assert "INVITE" in (ok.headers.first("Allow") or "")
    assert ok.headers.first("Accept") == "application/sdp"
    assert ok.to.tag


def test_UAS_11_no_hops_left(world: World, office: Agent, carrier: Agent) -> None:
    office.send(office.request("INVITE", "sip:+4930123456@10.0.0.1", body=sdp("10.0.0.20", 40000), max_forwards=0))
    office.expect_response(483)
    carrier.expect_nothing()


def test_UAS_12_our_own_via_is_a_loop(world: World, office: Agent, carrier: Agent) -> None:
    request = office.request("INVITE", "sip:+4930123456@10.0.0.1", body=sdp("10.0.0.20", 40000))
    request.headers.add("Via", "SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKn1w1babc")
    office.send(request)
    office.expect_response(482)
    carrier.expect_nothing()


def test_UAS_01_merged_request(world: World, office: Agent, carrier: Agent) -> None:
    office.invite("+4930123456", call_id="same", from_tag="same", branch="z9hG4bK-one")
    office.expect_response(100)
    office.send(
        office.request(
            "INVITE", "sip:+4930123456@10.0.0.1", call_id="same", from_tag="same", branch="z9hG4bK-two", body=sdp("10.0.0.20", 40000)
        )
    )
    office.expect_response(482)
    carrier.answer(carrier.expect_request("INVITE"), 486)
    carrier.expect_request("ACK")
    carrier.expect_nothing()
    office.expect_response(486)


def test_TRAP_01_one_call_to_two_phones_behind_us_rings_both(world: World, office: Agent, carrier: Agent) -> None:
    """Forked in front of us: all that names the call is the same, only whom it asks for is not."""
    received = []
    for number in ("+4930123456", "+4930123457"):
        office.invite(number, call_id="same", from_tag="same", branch=f"z9hG4bK-{number[-2:]}")
        office.expect_response(100)
        received.append(carrier.expect_request("INVITE"))
    assert [invite.uri.user for invite in received] == ["+4930123456", "+4930123457"]
    for invite in received:
        carrier.answer(invite, 486)
        carrier.expect_request("ACK")
        office.expect_response(486)


def test_UAS_01_one_call_forked_to_two_phones_behind_us_rings_both(world: World, office: Agent, carrier: Agent) -> None:
    for number, branch in (("+4930123456", "z9hG4bK-one"), ("+4930123457", "z9hG4bK-two")):
        office.invite(number, call_id="same", from_tag="same", branch=branch)
        received = carrier.expect_request("INVITE")
        assert received.uri.user == number
        carrier.answer(received, 180)
    assert [message.status for message in office.inbox if isinstance(message, Response)] == [100, 180, 100, 180]


def test_a_retransmitted_invite_is_absorbed(world: World, office: Agent, carrier: Agent) -> None:
    invite = office.invite("+4930123456")
    office.expect_response(100)
    carrier.expect_request("INVITE")
    office.send(invite)
    office.expect_response(100)
    carrier.expect_nothing()
    world.after(40)


@pytest.mark.parametrize(("header", "status"), [("Require", 420), ("Proxy-Require", 420)])
def test_UAS_02_unknown_extension(world: World, office: Agent, header: str, status: int) -> None:
    office.send(office.request("INVITE", "sip:+4930@10.0.0.1", headers=((header, "flying"),)))
    assert office.expect_response(status).headers.first("Unsupported") == "flying"


def test_SYN_08_methods(world: World, office: Agent) -> None:
    office.send(office.request("SUBSCRIBE", "sip:10.0.0.1"))
    office.expect_response(405)
    office.send(office.request("BLAH", "sip:10.0.0.1"))
    assert "INVITE" in (office.expect_response(501).headers.first("Allow") or "")
    office.send(office.request("BYE", "sip:10.0.0.1"))
    office.expect_response(481)


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS", "REGISTER", "BYE", "SUBSCRIBE", "BLAH"])
def test_REJ_02_a_stranger_on_udp_hears_nothing(world: World, method: str) -> None:
    stranger = world.agent("stranger", ("10.1.0.66", 5060), "inside")
    stranger.send(stranger.request(method, "sip:100@10.1.0.1"))
    stranger.send(stranger.request(method, "sip:100@10.1.0.1", to_tag="guess"))
    stranger.expect_nothing()
    assert world.core.leftovers() == {}
    assert not world.records


def test_a_guessed_branch_neither_reads_an_answer_nor_cancels_a_call(world: World, office: Agent, carrier: Agent) -> None:
    stranger = world.agent("stranger", ("203.0.113.66", 5060), "outside")
    options = office.request("OPTIONS", "sip:10.0.0.1")
    office.send(options)
    office.expect_response(200)
    stranger.send(options)
    invite = office.invite("+4930123456")
    stranger.cancel(invite)
    stranger.expect_nothing()
    office.expect_response(100)
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 486)
    office.expect_response(486)


def test_a_stranger_who_asks_for_another_domain_is_not_challenged(world: World) -> None:
    stranger = world.agent("stranger", ("203.0.113.66", 5060), "outside")
    stranger.send(stranger.request("REGISTER", "sip:elsewhere.example.com", headers=(("User-Agent", "x" * 300),)))
    stranger.expect_nothing()


def test_malformed_is_400_to_whom_we_know_and_silence_to_strangers(world: World, office: Agent) -> None:
    stranger = world.agent("stranger", ("203.0.113.66", 5060), "outside")
    good = office.request("OPTIONS", "sip:10.0.0.1").encode()
    bad = good.replace(b"CSeq: 1 OPTIONS", b"CSeq: 1 INVITE")
    office.send_bytes(bad)
    office.expect_response(400)
    stranger.send_bytes(bad)
    stranger.expect_nothing()


def test_strangers_may_be_told_403_but_not_often() -> None:
    from tests.world import POLICY

    world = World(POLICY.replace("{answer: nothing", "{answer: 403"))
    stranger = world.agent("stranger", ("10.1.0.66", 5060), "inside")
    for number in range(50):
        stranger.send(stranger.request("OPTIONS", "sip:10.1.0.1", call_id=f"c{number}"))
    assert 1 <= len(stranger.inbox) <= 20
    assert stranger.expect_response(403)
    world.expect_nothing_left()


def test_calls_limit_of_a_user(world: World, alice: Agent, carrier: Agent) -> None:
    from tests.scenarios.test_registration import call_as_alice

    call_as_alice(alice)
    alice.expect_response(100)
    received = carrier.expect_request("INVITE")
    first = alice.request("INVITE", "sip:+4930@sbc.example.com", call_id="second", body=sdp(alice.host, 40000))
    alice.send(first)
    from tests.scenarios.test_registration import credentials

    challenge = alice.expect_response(401)
    alice.send(
        alice.request(
            "INVITE",
            "sip:+4930@sbc.example.com",
            call_id="second",
            cseq=2,
            body=sdp(alice.host, 40000),
            headers=(credentials(challenge, first),),
        )
    )
    refused = alice.expect_response(486)
    assert refused.headers.first("Reason") == 'Q.850;cause=34;text="limit"'
    carrier.answer(received, 486)
    alice.expect_response(486)


def test_calls_limit_of_a_trunk_is_503_without_retry_after(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    for _ in range(2):
        connect(office, carrier, "+4930123456")
    office.invite("+4930123456")
    received = backup.expect_request("INVITE")
    backup.answer(received, 486)
    office.expect_response(100)
    office.expect_response(486)
    carrier.invite("+4930123456")
    refused = carrier.expect_response(503)
    assert "Retry-After" not in refused.headers
    world.shut_down()
    office.inbox.clear()
    carrier.inbox.clear()
    connect(office, carrier, "+4930123456")


def test_REG_04_emergency_calls_pass_every_limit(world: World, office: Agent, carrier: Agent) -> None:
    for _ in range(2):
        connect(office, carrier, "+4930123456")
    world.drain()
    office.invite("112", headers=(("Geolocation", "<cid:1>"), ("Resource-Priority", "esnet.1"), ("Priority", "emergency")))
    office.expect_response(100)
    received = carrier.expect_request("INVITE")
    assert received.uri.user == "112", "as dialled: the dial plan would have made +49…"
    assert received.headers.first("Geolocation") == "<cid:1>"
    carrier.answer(received, 486)
    office.expect_response(486)
    assert world.records[0]["emergency"] is True


def test_REG_04_the_emergency_urn(world: World, office: Agent, carrier: Agent) -> None:
    office.send(office.request("INVITE", "urn:service:sos", body=sdp("10.0.0.20", 40000)))
    office.expect_response(100)
    received = carrier.expect_request("INVITE")
    assert str(received.uri) == "urn:service:sos"
    carrier.answer(received, 486)
    office.expect_response(486)


def test_REJ_19_draining_refuses_new_calls_with_retry_after(world: World, office: Agent, carrier: Agent) -> None:
    connect(office, carrier, "+4930123456")
    world.drain()
    office.invite("+4930123456")
    refused = {int(office.expect_response(503).headers.first("Retry-After") or "")}
    for _ in range(30):
        office.invite("+4930123456")
        refused.add(int(office.expect_response(503).headers.first("Retry-After") or ""))
    assert min(refused) >= 5
    assert max(refused) <= 30
    assert len(refused) > 10, "or all would come back at once"
    assert world.core.busy() == 1
    world.shut_down()
    carrier.answer(carrier.expect_request("BYE"), 200)
    office.answer(office.expect_request("BYE"), 200)
    assert world.core.busy() == 0


def test_RTP_08_silence_of_both_sides_ends_the_call() -> None:
    from tests.world import POLICY

    world = World(POLICY.replace("telephone-event]}", "telephone-event], silence: 60s}"))
    office = world.agent("office", ("10.0.0.20", 5060), "outside")
    carrier = world.agent("carrier", ("10.1.0.2", 5060), "inside")
    connect(office, carrier, "+4930123456")
    world.after(59)
    assert world.core.busy() == 1
    world.after(3)
    assert world.core.busy() == 0
    bye = carrier.expect_request("BYE")
    assert "no media" in (bye.headers.first("Reason") or "")
    carrier.answer(bye, 200)
    office.answer(office.expect_request("BYE"), 200)


def test_a_name_in_peer_is_resolved(world: World) -> None:
    from tests.world import POLICY

    world = World(POLICY.replace("peer: sip:10.1.0.2:5060", "peer: sip:gw.carrier.example"))
    office = world.agent("office", ("10.0.0.20", 5060), "outside")
    carrier = world.agent("carrier", ("10.1.0.2", 5060), "inside")
    backup = world.agent("backup", ("10.1.0.3", 5060), "inside")
    world.zone = zone("gw.carrier.example A 10.1.0.2")
    office.invite("+4930123456")
    received = carrier.expect_request("INVITE")
    assert received.uri.host == "gw.carrier.example"
    carrier.answer(received, 486)
    world.zone = {}
    office.invite("+4930123456")
    backup.answer(backup.expect_request("INVITE"), 486)
    office.inbox.clear()
    world.expect_nothing_left()


def test_header_injection_through_the_number(world: World, office: Agent, carrier: Agent) -> None:
    office.send(office.request("INVITE", "sip:+4930%0d%0aX-Evil:%201@10.0.0.1", body=sdp("10.0.0.20", 40000)))
    office.expect_response(484)
    carrier.expect_nothing()
