"""Calls to a carrier that we are registered at, and calls that come because we are."""

from __future__ import annotations

import re

import pytest

from sbc.inputs import FlowClosed, PolicyChanged
from sbc.sip.fields.nameaddr import NameAddr
from sbc.sip.message import Request, Response
from tests.scenarios.outbound import (
    ACCOUNT,
    DOMAIN,
    LINE,
    PASSWORD,
    TLS,
    Carrier,
    accept,
    challenge,
    credentials,
    is_proved,
    line_of,
    with_account,
    with_tls,
)
from tests.world import Agent, World, sdp, snapshot_of
from tests.zones import zone

NUMBER = "+4930123456"
TOO_LONG = (("Identity", "x" * 600),)


@pytest.fixture
def policy() -> str:
    return with_account()


@pytest.fixture
def tel(world: World) -> Carrier:
    return Carrier(world)


def answered(office: Agent, server: Agent, invite: Request) -> Response:
    server.answer(invite, 200, body=sdp(server.host, 50000))
    server.expect_request("ACK")
    while True:
        response = office.inbox.popleft()
        assert isinstance(response, Response)
        if response.status == 200:
            office.ack(response)
            return response


# To the carrier


def test_a_call_goes_where_we_are_registered(tel: Carrier) -> None:
    tel.world.begin()
    tel.a.answer(tel.a.expect_request("REGISTER"), 503)
    accept(tel.b, tel.b.expect_request("REGISTER"))
    tel.office.invite(NUMBER)
    invite = tel.b.expect_request("INVITE")
    assert str(invite.uri) == f"sip:{NUMBER}@{DOMAIN}"
    assert invite.from_.uri.host == DOMAIN, "our address there, or it is nobody it knows"
    assert str(invite.to.uri) == f"sip:{NUMBER}@{DOMAIN}"
    assert "Route" not in invite.headers
    answered(tel.office, tel.b, invite)
    tel.a.expect_nothing()


def test_OUT_08_its_service_route_is_the_way(tel: Carrier) -> None:
    routes = ("<sip:home1.tel.example;lr>", "<sip:home2.tel.example;lr>")
    tel.registered(headers=(("Service-Route", ", ".join(routes)),))
    tel.office.invite(NUMBER)
    assert tel.a.expect_request("INVITE").headers.all("Route") == list(routes)
    tel.office.inbox.clear()


@pytest.mark.parametrize("row", ["<sip:x;lr", ", ".join(["<sip:x;lr>"] * 11)])
def test_OUT_08_a_service_route_that_is_none(tel: Carrier, row: str) -> None:
    tel.registered(headers=(("Service-Route", row),))
    tel.office.invite(NUMBER)
    assert "Route" not in tel.a.expect_request("INVITE").headers
    tel.office.inbox.clear()


def test_without_a_registration_the_next_target_is_called_at_once(tel: Carrier) -> None:
    tel.world.begin()
    tel.a.answer(tel.a.expect_request("REGISTER"), 403)
    tel.office.invite(NUMBER)
    invite = tel.carrier.expect_request("INVITE")
    tel.carrier.answer(invite, 486)
    tel.carrier.expect_request("ACK")
    tel.office.expect_response(100)
    tel.office.ack(tel.office.expect_response(486))
    tel.a.expect_nothing()
    (record,) = tel.world.records
    assert record["attempts"] == [{"target": "tel", "status": 503, "note": "not registered at tel"}, *record["attempts"][1:]]  # type: ignore[index]


def test_alone_a_carrier_without_registration_is_a_500(policy: str) -> None:
    world = World(policy.replace("send_to: [tel, carrier]", "send_to: [tel]"))
    tel = Carrier(world)
    world.begin()
    tel.office.invite(NUMBER)
    tel.office.expect_response(100)
    tel.office.ack(tel.office.expect_response(500))
    assert world.records[0]["sip_status"] == 503
    tel.a.inbox.clear()
    world.expect_nothing_left()


def test_an_emergency_call_is_tried_without_a_registration(policy: str) -> None:
    world = World(policy.replace('numbers: ["112"], send_to: [carrier]', 'numbers: ["112"], send_to: [tel]'))
    tel = Carrier(world)
    tel.office.invite("112")
    invite = tel.a.expect_request("INVITE")
    assert invite.uri.user == "112"
    tel.a.answer(invite, 486)
    tel.office.inbox.clear()
    world.expect_nothing_left()


def test_a_carrier_that_takes_no_caller_but_the_account(policy: str) -> None:
    text = with_account(f"{LINE}, from_header: account").replace("  office:\n", '  office:\n    numbers: ["+49301234"]\n', 1)
    world = World(text)
    tel = Carrier(world)
    tel.registered()
    for headers, user in ((), ACCOUNT), ((("Privacy", "id"),), "anonymous"):
        tel.office.invite(NUMBER, headers=(("P-Asserted-Identity", "<sip:+49301234@x>"), *headers))
        invite = tel.a.expect_request("INVITE")
        assert invite.from_.uri.user == user
        assert ("P-Asserted-Identity" in invite.headers) == (user == ACCOUNT)
        tel.a.answer(invite, 486)
        tel.a.expect_request("ACK")
    tel.office.inbox.clear()
    world.expect_nothing_left()


def test_where_it_is_not_needed_a_call_goes_by_dns(policy: str) -> None:
    world = World(with_account(f"{LINE}, needed_for_calls: false"))
    tel = Carrier(world)
    world.begin()
    tel.a.answer(tel.a.expect_request("REGISTER"), 403)
    tel.office.invite(NUMBER)
    invite = tel.a.expect_request("INVITE")
    tel.a.answer(invite, 486)
    tel.office.inbox.clear()
    tel.carrier.inbox.clear()
    world.expect_nothing_left()


def test_a_peer_of_its_own_is_called_there_and_only_while_we_are_registered(policy: str) -> None:
    world = World(with_account(more="    peer: sip:10.1.7.5\n"))
    tel = Carrier(world)
    proxy = world.agent("proxy", ("10.1.7.5", 5060), "inside")
    tel.office.invite(NUMBER)
    tel.carrier.answer(tel.carrier.expect_request("INVITE"), 486)
    tel.office.inbox.clear()
    tel.registered(headers=(("Service-Route", "<sip:home.tel.example;lr>"),))
    tel.office.invite(NUMBER)
    invite = proxy.expect_request("INVITE")
    assert str(invite.uri) == f"sip:{NUMBER}@10.1.7.5"
    assert invite.headers.all("Route") == ["<sip:home.tel.example;lr>"]
    proxy.answer(invite, 486)
    tel.office.inbox.clear()
    tel.carrier.inbox.clear()
    world.expect_nothing_left()


def over_tls() -> tuple[World, Carrier, Agent, Request]:
    world = World(with_tls(with_account(LINE.replace(f"sip:{DOMAIN}", f"sip:{DOMAIN};transport=tls"))))
    tel = Carrier(world)
    world.zone = TLS
    server = world.agent("a", ("10.1.7.1", 5061), "inside", "TLS", connection=31)
    world.begin()
    request = server.expect_request("REGISTER")
    accept(server, request)
    return world, tel, server, request


def test_TRN_06_a_call_takes_the_connection_of_the_registration(policy: str) -> None:
    world, tel, server, _ = over_tls()
    invite = tel.office.invite(NUMBER)
    received = server.expect_request("INVITE")
    sent = next(send for send in world.sent if send.data.startswith(b"INVITE"))
    assert sent.flow == server.flow
    assert NameAddr.parse(received.headers.first("Contact") or "").uri.param("transport") == "tls"
    ok = answered(tel.office, server, received)
    tel.office.send(tel.office.within(invite, ok, "BYE"))
    server.answer(server.expect_request("BYE"), 200)
    tel.office.inbox.clear()
    world.expect_nothing_left()


def test_while_its_connection_is_gone_nobody_calls_there(policy: str) -> None:
    world, tel, server, _ = over_tls()
    world.receive(FlowClosed(server.flow))
    tel.office.invite(NUMBER)
    tel.carrier.answer(tel.carrier.expect_request("INVITE"), 486)
    server.expect_nothing()
    tel.office.inbox.clear()
    tel.carrier.inbox.clear()
    world.expect_nothing_left()


def test_a_call_that_meets_silence_makes_us_ask_whether_we_are_still_registered(tel: Carrier) -> None:
    tel.registered()
    tel.world.after(60)
    tel.world.unreachable.add(tel.a.flow.remote)
    for _ in range(3):
        tel.office.invite(NUMBER)
        tel.carrier.answer(tel.carrier.expect_request("INVITE"), 486)
        tel.carrier.inbox.clear()
    tel.world.after(0.2)
    accept(tel.b, tel.b.expect_request("REGISTER"))
    tel.office.inbox.clear()
    tel.office.invite(NUMBER)
    assert tel.b.expect_request("INVITE")
    tel.office.inbox.clear()


def test_a_call_that_is_refused_does_not(tel: Carrier) -> None:
    tel.registered()
    tel.world.after(60)
    tel.office.invite(NUMBER)
    tel.a.answer(tel.a.expect_request("INVITE"), 503)
    tel.a.expect_request("ACK")
    tel.carrier.answer(tel.carrier.expect_request("INVITE"), 486)
    tel.world.after(5)
    tel.a.expect_nothing()
    tel.office.inbox.clear()


# Challenges to calls


def test_AUTH_05_AUTH_06_a_challenge_to_an_invite_is_answered(tel: Carrier) -> None:
    tel.registered()
    offer = sdp("10.0.0.20", 40000)
    invite = tel.office.invite(NUMBER, offer)
    first = tel.a.expect_request("INVITE")
    challenge(tel.a, first, 407)
    ack = tel.a.expect_request("ACK")
    assert ack.via == first.via
    second = tel.a.expect_request("INVITE")
    assert is_proved(second, "Proxy-Authorization")
    assert (second.call_id, second.from_.tag) == (first.call_id, first.from_.tag)
    assert (first.cseq.number, second.cseq.number) == (1, 2)
    assert second.via.branch != first.via.branch
    assert second.body == first.body
    assert second.headers.all("Contact") == first.headers.all("Contact")
    challenge(tel.a, first, 407)  # repeated, for the ACK got lost
    assert tel.a.expect_request("ACK").via == first.via
    tel.a.expect_nothing()
    tel.a.answer(second, 180)
    tel.a.answer(second, 200, body=sdp(tel.a.host, 50000))
    ack = tel.a.expect_request("ACK")
    assert ack.cseq.number == 2
    assert ack.headers.all("Proxy-Authorization") == second.headers.all("Proxy-Authorization")
    tel.office.expect_response(100)
    tel.office.expect_response(180)
    ok = tel.office.expect_response(200)
    tel.office.ack(ok)
    # Within the call, too: the number goes up, the call goes on
    tel.office.send(tel.office.within(invite, ok, "INVITE", body=sdp("10.0.0.20", 40002, version=2)))
    again = tel.a.expect_request("INVITE")
    assert again.cseq.number == 3
    challenge(tel.a, again, 407, nonce="n2")
    tel.a.expect_request("ACK")
    proved = tel.a.expect_request("INVITE")
    assert is_proved(proved, "Proxy-Authorization")
    assert proved.cseq.number == 4
    tel.a.answer(proved, 200, body=sdp(tel.a.host, 50000, version=2))
    assert credentials(tel.a.expect_request("ACK"), "Proxy-Authorization").params["nonce"] == "n2"
    tel.office.expect_response(100)
    ok = tel.office.expect_response(200)
    tel.office.ack(ok)
    tel.office.send(tel.office.within(invite, ok, "BYE", cseq=3))
    challenge(tel.a, tel.a.expect_request("BYE"), 401, nonce="n3")
    bye = tel.a.expect_request("BYE")
    assert is_proved(bye)
    assert bye.cseq.number == 6
    tel.a.answer(bye, 200)
    tel.office.expect_response(200)
    assert tel.world.records[0]["sip_status"] == 200


def test_AUTH_06_an_invite_with_a_wrong_password_is_two_tries(tel: Carrier) -> None:
    tel.registered()
    tel.office.invite(NUMBER)
    for count in range(2):
        challenge(tel.a, tel.a.expect_request("INVITE"), 407, nonce=f"n{count}")
        tel.a.expect_request("ACK")
    tel.a.expect_nothing()
    tel.office.expect_response(100)
    tel.office.ack(tel.office.expect_response(500))
    tel.carrier.expect_nothing()
    assert tel.world.records[0]["sip_status"] == 407


def test_a_call_that_is_cancelled_is_not_made_again(tel: Carrier) -> None:
    tel.registered()
    invite = tel.office.invite(NUMBER)
    received = tel.a.expect_request("INVITE")
    tel.a.answer(received, 100)
    tel.office.cancel(invite)
    cancel = tel.a.expect_request("CANCEL")
    tel.a.answer(cancel, 200)
    challenge(tel.a, received, 407)
    tel.a.expect_request("ACK")
    tel.a.expect_nothing()
    tel.office.inbox.clear()


def test_a_cancel_after_the_challenge_is_for_the_second_invite(tel: Carrier) -> None:
    tel.registered()
    invite = tel.office.invite(NUMBER)
    challenge(tel.a, tel.a.expect_request("INVITE"), 407)
    tel.a.expect_request("ACK")
    second = tel.a.expect_request("INVITE")
    tel.a.answer(second, 180)
    tel.office.cancel(invite)
    cancel = tel.a.expect_request("CANCEL")
    assert (cancel.via, cancel.cseq.number) == (second.via, 2)
    tel.a.answer(cancel, 200)
    tel.a.answer(second, 487)
    tel.a.expect_request("ACK")
    tel.office.inbox.clear()


def test_a_carrier_without_registration_may_challenge_too(policy: str) -> None:
    keys = "  carrier:\n    credentials: {user: cust, password: {file: alice.secret}}\n"
    world = World(with_account().replace("  carrier:\n", keys, 1))
    tel = Carrier(world)
    tel.office.invite(NUMBER)
    challenge(tel.carrier, tel.carrier.expect_request("INVITE"), 401)
    tel.carrier.expect_request("ACK")
    again = tel.carrier.expect_request("INVITE")
    assert is_proved(again, user="cust")
    tel.carrier.answer(again, 486)
    tel.office.inbox.clear()
    world.expect_nothing_left()


def test_who_has_nothing_to_answer_with_refuses(tel: Carrier) -> None:
    tel.world.begin()
    tel.a.answer(tel.a.expect_request("REGISTER"), 403)
    tel.office.invite(NUMBER)
    challenge(tel.carrier, tel.carrier.expect_request("INVITE"), 407)
    tel.carrier.expect_request("ACK")
    tel.carrier.expect_nothing()
    tel.office.inbox.clear()


def test_TRN_04_room_for_the_proof_is_thought_of(policy: str) -> None:
    """What would only be too long for UDP with its credentials goes by TCP from the beginning."""
    listeners = "signalling: [udp://10.1.0.1:5060, tcp://10.1.0.1:5060]"
    keys = "  carrier:\n    credentials: {user: cust, password: {file: alice.secret}}\n"
    for addition, transport in ((keys, "TCP"), ("  carrier:\n", "UDP")):
        text = with_account().replace("signalling: [udp://10.1.0.1:5060]", listeners).replace("  carrier:\n", addition, 1)
        world = World(text)
        tel = Carrier(world)
        tel.office.invite(NUMBER, headers=(("Identity", "x" * 250),))
        (sent,) = [send for send in world.sent if send.data.startswith(b"INVITE")]
        assert 900 < len(sent.data) < 1300
        assert sent.flow.transport == transport
        tel.office.inbox.clear()
        tel.carrier.inbox.clear()
        world.expect_nothing_left()


# From the carrier


def incoming(server: Agent, uri: str, to: str = "", headers: tuple[tuple[str, str], ...] = ()) -> None:
    request = server.request("INVITE", uri, to=to or f"<{uri}>", body=sdp(server.host, 50000), headers=headers)
    server.last_invite = request
    server.send(request)


def is_call(tel: Carrier, number: str) -> None:
    """It came to the office, and is refused there."""
    invite = tel.office.expect_request("INVITE")
    assert invite.uri.user == number
    tel.office.answer(invite, 486)
    tel.office.expect_request("ACK")


@pytest.mark.parametrize(
    ("user", "to", "headers", "called"),
    [
        pytest.param(NUMBER, "", (), NUMBER, id="the number at our address"),
        pytest.param(ACCOUNT, f"<sip:{NUMBER}@{DOMAIN}>", (), NUMBER, id="our Contact, and the number in To"),
        pytest.param(ACCOUNT, f"<sip:{ACCOUNT}@{DOMAIN}>", (), ACCOUNT, id="our Contact and nothing else"),
        pytest.param(
            ACCOUNT, f"<sip:+49111@{DOMAIN}>", (("P-Called-Party-ID", f"<sip:{NUMBER}@{DOMAIN}>"),), NUMBER, id="P-Called-Party-ID"
        ),
        pytest.param(ACCOUNT, f"<tel:{NUMBER}>", (("P-Called-Party-ID", "<broken"),), NUMBER, id="a tel URI, and what cannot be read"),
    ],
)
def test_a_call_by_our_contact_is_the_carriers(tel: Carrier, user: str, to: str, headers: tuple[tuple[str, str], ...], called: str) -> None:
    request = tel.registered()
    incoming(tel.a, f"sip:{user}@10.1.0.1:5060;line={line_of(request)}", to, headers)
    is_call(tel, called)
    tel.a.expect_response(100)
    tel.a.ack(tel.a.expect_response(486))
    (record,) = tel.world.records
    leg = record["a"]
    assert isinstance(leg, dict)
    assert (leg["trunk"], record["called"]) == ("tel", called)


def test_any_server_of_the_carrier_may_call(tel: Carrier) -> None:
    request = tel.registered()
    incoming(tel.b, f"sip:{NUMBER}@10.1.0.1:5060;line={line_of(request)}")
    is_call(tel, NUMBER)
    tel.b.inbox.clear()


def test_AUTH_08_neither_the_line_nor_the_address_is_enough(tel: Carrier) -> None:
    request = tel.registered()
    stranger = tel.world.agent("mallory", ("10.1.66.6", 5060), "inside")
    line = line_of(request)
    incoming(stranger, f"sip:{NUMBER}@10.1.0.1:5060;line={line}")
    for uri in (f"sip:{NUMBER}@10.1.0.1:5060", f"sip:{NUMBER}@10.1.0.1:5060;line={line[:-1]}", f"sip:{ACCOUNT}@10.1.0.1:5060;line="):
        incoming(tel.a, uri)
    outside = tel.world.agent("outsider", ("10.1.7.1", 5060), "outside")
    incoming(outside, f"sip:{NUMBER}@10.0.0.1:5060;line={line}")
    outside.expect_response(401)  # a realm with users asks everybody for a password
    for agent in (stranger, tel.a, outside, tel.office):
        agent.expect_nothing()
    assert tel.world.records == []


def test_what_has_nothing_of_ours_is_known_by_address_where_the_policy_says_so(policy: str) -> None:
    world = World(with_account(more="    accept_from: [10.1.7.1]\n"))
    tel = Carrier(world)
    tel.registered()
    incoming(tel.a, f"sip:{NUMBER}@10.1.0.1:5060")
    is_call(tel, NUMBER)
    tel.a.inbox.clear()
    world.expect_nothing_left()


def test_two_accounts_at_one_carrier_are_told_apart_by_their_lines(policy: str) -> None:
    second = f"  tel2:\n    realm: inside\n    media: plain\n    register_to: {{{LINE.replace(ACCOUNT, '4930777')}}}\n  carrier:\n"
    route = '  - name: from-tel2\n    when: {trunk: tel2, to: "*"}\n    send_to: [carrier]\n  - name: in\n'
    world = World(policy.replace("  carrier:\n", second, 1).replace("  - name: in\n", route))
    tel = Carrier(world)
    world.begin()
    requests = [tel.a.expect_request("REGISTER"), tel.a.expect_request("REGISTER")]
    for request in requests:
        accept(tel.a, request)
    lines = {request.to.uri.user: line_of(request) for request in requests}
    incoming(tel.a, f"sip:{NUMBER}@10.1.0.1:5060;line={lines['4930777']}")
    invite = tel.carrier.expect_request("INVITE")
    tel.carrier.answer(invite, 486)
    incoming(tel.a, f"sip:{NUMBER}@10.1.0.1:5060;line={lines[ACCOUNT]}")
    is_call(tel, NUMBER)
    tel.a.inbox.clear()
    tel.carrier.inbox.clear()
    world.expect_nothing_left()


def test_over_our_own_connection_it_is_the_carrier_whatever_it_writes(policy: str) -> None:
    world, tel, server, _ = over_tls()
    incoming(server, f"sip:{NUMBER}@10.1.0.1:5061")
    is_call(tel, NUMBER)
    server.inbox.clear()
    world.expect_nothing_left()


def test_what_was_registered_by_tls_is_not_called_by_udp(policy: str) -> None:
    world, tel, server, request = over_tls()
    incoming(tel.a, f"sip:{NUMBER}@10.1.0.1:5060;line={line_of(request)}")
    tel.a.expect_nothing()
    world.receive(FlowClosed(server.flow))
    incoming(tel.a, f"sip:{NUMBER}@10.1.0.1:5060;line={line_of(request)}")
    tel.a.expect_nothing()
    other = world.agent("a2", ("10.1.7.1", 40001), "inside", "TLS", connection=77)
    incoming(other, f"sip:{NUMBER}@10.1.0.1:5061;line={line_of(request)}")
    is_call(tel, NUMBER)
    other.inbox.clear()
    world.expect_nothing_left()


def test_a_call_whose_carrier_moves_to_its_other_server_goes_on(tel: Carrier) -> None:
    request = tel.registered()
    incoming(tel.a, f"sip:{NUMBER}@10.1.0.1:5060;line={line_of(request)}")
    invite = tel.office.expect_request("INVITE")
    tel.office.answer(invite, 200, body=sdp("10.0.0.20", 40000))
    tel.office.expect_request("ACK")
    tel.a.expect_response(100)
    ok = tel.a.expect_response(200)
    tel.a.ack(ok)
    assert tel.a.last_invite is not None
    bye = tel.a.within(tel.a.last_invite, ok, "BYE")
    stranger = tel.world.agent("mallory", ("10.1.66.6", 5060), "inside")
    stranger.send(bye)
    tel.office.expect_nothing()
    tel.b.send(bye)
    tel.office.answer(tel.office.expect_request("BYE"), 200)
    tel.b.expect_response(200)


def test_the_carriers_pings_are_answered(tel: Carrier) -> None:
    options = tel.a.request("OPTIONS", "sip:10.1.0.1:5060")
    tel.a.send(options)
    tel.a.expect_nothing()
    request = tel.registered()
    tel.a.send(tel.a.request("OPTIONS", "sip:10.1.0.1:5060"))
    tel.a.expect_response(200)
    tel.b.send(tel.b.request("OPTIONS", f"sip:{ACCOUNT}@10.1.0.1:5060;line={line_of(request)}"))
    tel.b.expect_response(200)
    tel.a.send(tel.a.request("BYE", "sip:x@10.1.0.1:5060", to_tag="gone"))
    tel.a.expect_response(481)


def test_servers_that_dns_no_longer_names_are_strangers(tel: Carrier) -> None:
    request = tel.registered()
    tel.world.zone = zone(f"{DOMAIN} A 10.1.7.1")
    accept(tel.a, tel.asked_within(tel.a, 300, 420))
    incoming(tel.b, f"sip:{NUMBER}@10.1.0.1:5060;line={line_of(request)}")
    tel.b.expect_nothing()


def test_a_call_is_played_alone_whatever_becomes_of_the_registration(tel: Carrier) -> None:
    """Which refreshes, changes and goodbyes there were meanwhile is no part of its recording."""
    tel.registered()
    invite = tel.office.invite(NUMBER)
    challenge(tel.a, tel.a.expect_request("INVITE"), 407)
    tel.a.expect_request("ACK")
    ok = answered(tel.office, tel.a, tel.a.expect_request("INVITE"))
    tel.world.receive(PolicyChanged(snapshot_of(with_account(f"{LINE}, expires: 2h"))))
    accept(tel.a, tel.a.expect_request("REGISTER"))
    tel.world.drain()
    accept(tel.a, tel.a.expect_request("REGISTER"))
    tel.office.send(tel.office.within(invite, ok, "BYE"))
    challenge(tel.a, tel.a.expect_request("BYE"), 407, nonce="n2")
    tel.a.answer(tel.a.expect_request("BYE"), 200)
    tel.office.expect_response(200)
    tel.world.expect_nothing_left()
    assert len(tel.world.recordings) == 1
    (recording,) = tel.world.recordings
    octets = recording.encode()
    assert b"Proxy-Authorization" in octets
    assert b"response=" in octets
    assert b"REGISTER" not in octets
    assert not re.search(rb'response=\\?"[^0"]', octets), "nothing to guess the password from"
    assert all(PASSWORD.encode() not in recording.policy(digest) for digest in recording.digests())
