"""Browsers on WebSockets, peers known by their certificates, and calls that must be TLS all the way."""

from __future__ import annotations

import pytest

from sbc.flow import Transport
from sbc.inputs import FlowClosed, ResponseIn
from sbc.sip.message import Request, Response
from tests.scenarios.test_registration import call_as_alice, credentials, registered
from tests.world import POLICY, Agent, World, connect, sdp, secure_answer
from tests.zones import zone

WEB = POLICY.replace("tls://10.0.0.1:5061]", "tls://10.0.0.1:5061, wss://10.0.0.1:443, ws://10.0.0.1:80]")
NAMED = POLICY.replace(
    "accept_from: [10.0.0.20/32]\n    peer: sip:10.0.0.20:5060",
    "accept_certificate: [pbx.example, Sip.Pbx.example]\n    peer: sip:pbx.example;transport=tls",
)
SECURE = (
    POLICY.replace("[udp://10.1.0.1:5060]", "[udp://10.1.0.1:5060, tls://10.1.0.1:5061]\n    certificate: edge")
    .replace("peer: sip:10.1.0.2:5060", "peer: sip:gw.example;transport=tls")
    .replace("peer: sip:10.1.0.3:5060", "peer: sip:10.1.0.3")
)
AT_CARRIER = zone("gw.example A 10.1.0.2")


class Browser(Agent):
    """Has no address that it could name: its Via and its Contact say something.invalid (RFC 7118 s5)."""

    def send(self, message: Request | Response) -> None:
        host, port = self.flow.remote
        self.send_bytes(message.encode().replace(f"{host}:{port}".encode(), b"df7jal23ls0d.invalid"))


def browser(world: World, transport: Transport = "WSS", connection: int = 9) -> Browser:
    agent = world.agent("alice", ("203.0.113.9", 50000 + connection), "outside", transport, connection)
    world.agents[agent.flow.remote] = browser = Browser(world, "alice", agent.flow)
    return browser


def carrier_of(world: World) -> Agent:
    return world.agent("carrier", ("10.1.0.2", 5060), "inside")


@pytest.mark.parametrize(("transport", "port"), [("WSS", 443), ("WS", 80)])
def test_WS_03_04_a_browser_is_reached_by_its_own_connection_and_no_other(transport: Transport, port: int) -> None:
    world = World(WEB)
    alice, carrier = browser(world, transport), carrier_of(world)
    assert registered(alice).headers.first("Contact") == "<sip:alice@df7jal23ls0d.invalid>;expires=600"
    carrier.invite("alice")
    carrier.expect_response(100)
    invite = alice.expect_request("INVITE")
    assert str(invite.uri) == "sip:alice@df7jal23ls0d.invalid"
    assert str(invite.via).startswith(f"SIP/2.0/{transport} 10.0.0.1:{port};")
    assert f"@10.0.0.1:{port};transport=ws>" in (invite.headers.first("Contact") or "")
    assert (b"RTP/SAVP" in invite.body) is (transport == "WSS"), "keys are for secure connections"
    alice.answer(invite, 200, body=secure_answer(invite.body, alice.host, 50000) if transport == "WSS" else sdp(alice.host, 50000))
    alice.expect_request("ACK")
    ok = carrier.expect_response(200)
    carrier.ack(ok)
    assert carrier.last_invite is not None
    carrier.send(carrier.within(carrier.last_invite, ok, "BYE"))
    alice.answer(alice.expect_request("BYE"), 200)
    carrier.expect_response(200)
    assert all(sent.flow.connection == 9 for sent in world.sent if sent.flow.realm == "outside")
    world.expect_nothing_left()


def test_WS_03_a_call_from_a_browser_and_its_answer() -> None:
    world = World(WEB)
    alice, carrier = browser(world), carrier_of(world)
    registered(alice)
    invite = call_as_alice(alice)
    alice.expect_response(100)
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 200, body=sdp(carrier.host, 50000))
    carrier.expect_request("ACK")
    ok = alice.expect_response(200)
    assert ";transport=ws>" in (ok.headers.first("Contact") or "")
    alice.ack(ok)
    assert b".invalid" not in received.encode()
    carrier.send(carrier.within_received(received, "BYE"))
    bye = alice.expect_request("BYE")
    assert bye.uri.host.endswith(".invalid")
    assert bye.call_id == invite.call_id
    alice.answer(bye, 200)
    world.expect_nothing_left()


def test_WS_03_nobody_looks_for_a_browser_that_is_gone() -> None:
    world = World(WEB)
    alice, carrier = browser(world), carrier_of(world)
    registered(alice)
    call_as_alice(alice)
    alice.expect_response(100)
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 200, body=sdp(carrier.host, 50000))
    carrier.expect_request("ACK")
    alice.expect_response(200)
    before = len(world.sent)
    world.receive(FlowClosed(alice.flow))
    world.after(32)  # for an ACK that does not come
    carrier.answer(carrier.expect_request("BYE"), 200)
    assert all(sent.flow.transport != "WSS" or sent.flow.remote == alice.flow.remote for sent in world.sent[before:])
    carrier.invite("alice")
    carrier.expect_response(100)
    world.after(10.3)  # she might have come back
    carrier.expect_response(480)
    world.expect_nothing_left()


def test_WS_06_a_connection_is_trusted_once_its_user_has_proved_who_it_is() -> None:
    world = World(WEB)
    alice = browser(world)
    alice.send(alice.request("REGISTER", "sip:sbc.example.com"))
    alice.expect_response(401)
    assert world.trusted_flows == []
    registered(alice)
    call_as_alice(alice)
    assert [(each.flow, each.alias) for each in world.trusted_flows] == [(alice.flow, 0)]
    world.receive(FlowClosed(alice.flow))
    assert len(world.core.core._context.peers) == 0
    world.expect_nothing_left()


def test_WS_06_a_new_connection_is_trusted_by_what_only_the_dialog_s_peer_can_say(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok, _ = connect(office, carrier, "+4930123456")
    again = world.agent("office", ("10.0.0.20", 40001), "outside", "TLS", connection=6)
    again.send(again.within(invite, ok, "BYE"))
    again.expect_response(200)
    assert [each.flow for each in world.trusted_flows] == [again.flow]
    carrier.answer(carrier.expect_request("BYE"), 200)


def test_TLS_05_a_certificate_says_whose_calls_these_are() -> None:
    world = World(NAMED)
    carrier = carrier_of(world)
    pbx = world.agent("pbx", ("198.51.100.1", 40000), "outside", "TLS", 5, ("other.example", "sip.pbx.example"))
    invite, ok, _ = connect(pbx, carrier, "+4930123456")
    pbx.send(pbx.within(invite, ok, "BYE"))
    pbx.expect_response(200)
    carrier.answer(carrier.expect_request("BYE"), 200)
    pbx.send(pbx.request("BYE", "sip:10.0.0.1", to_tag="gone"))
    pbx.expect_response(481)
    world.expect_nothing_left()


@pytest.mark.parametrize("names", [(), ("example",), ("evil-pbx.example",), ("*.example",)])
def test_TLS_05_without_the_right_name_only_a_password_may_follow(names: tuple[str, ...]) -> None:
    world = World(NAMED)
    pbx = world.agent("pbx", ("198.51.100.1", 40000), "outside", "TLS", 5, names)
    pbx.invite("+4930123456")
    pbx.expect_response(401)
    assert world.trusted_flows == []
    world.expect_nothing_left()


def test_TLS_05_a_name_counts_only_in_its_realm() -> None:
    world = World(NAMED.replace("[udp://10.1.0.1:5060]", "[udp://10.1.0.1:5060, tls://10.1.0.1:5061]\n    certificate: edge"))
    pbx = world.agent("pbx", ("198.51.100.1", 40000), "inside", "TLS", 5, ("pbx.example",))
    pbx.invite("+4930123456")
    assert world.closed_flows == [pbx.flow]
    world.expect_nothing_left()


@pytest.mark.parametrize(
    ("alias", "source", "names", "told"),
    [
        ("alias", "198.51.100.1", ("pbx.example",), 5062),
        ("x", "198.51.100.1", ("pbx.example",), 0),
        ("alias", "198.51.100.1", (), None),
        ("alias", "198.51.100.9", (), 0),  # known by its address alone
    ],
)
def test_TLS_06_alias_counts_for_who_has_a_certificate(alias: str, source: str, names: tuple[str, ...], told: int | None) -> None:
    world = World(NAMED.replace("accept_certificate", "accept_from: [198.51.100.9/32]\n    accept_certificate"))
    pbx = world.agent("pbx", (source, 40000), "outside", "TLS", 5, names)
    options = pbx.request("OPTIONS", "sip:10.0.0.1").encode().replace(b":40000;branch", b":5062;%s;branch" % alias.encode())
    for _ in range(2):
        pbx.send_bytes(options)
    assert [each.alias for each in world.trusted_flows] == ([] if told is None else [told])
    world.expect_nothing_left()


def secure_world() -> tuple[World, Agent, Agent, Agent, Agent]:
    world = World(SECURE)
    world.zone = AT_CARRIER
    alice = world.agent("alice", ("203.0.113.7", 40123), "outside", "TLS", connection=7)
    office = world.agent("office", ("10.0.0.20", 5060), "outside")
    return (
        world,
        alice,
        office,
        world.agent("carrier", ("10.1.0.2", 5061), "inside", "TLS"),
        world.agent("backup", ("10.1.0.3", 5060), "inside"),
    )


def test_TLS_04_within_a_dialog_a_new_connection_must_be_the_trunk_s_as_well() -> None:
    world, _, office, carrier, _ = secure_world()
    invite = office.invite("+4930123456")
    office.expect_response(100)
    received = carrier.expect_request("INVITE")
    on_connection = Agent(world, "carrier", carrier.flow._replace(connection=12))
    ok = Response.answer(received, 200, to_tag="to-carrier", headers=(("Contact", "<sip:x@10.1.0.77:5061;transport=tls>"),))
    ok.headers.add("Content-Type", "application/sdp")
    ok.body = sdp(carrier.host, 50000)
    on_connection.send(ok)
    accepted = office.expect_response(200)
    office.ack(accepted)
    on_connection.send(on_connection.within_received(received, "OPTIONS", cseq=2))
    world.receive(FlowClosed(on_connection.flow))
    office.send(office.within(invite, accepted, "BYE"))
    bye = next(sent for sent in reversed(world.sent) if sent.data.startswith(b"BYE"))
    assert (bye.flow.remote, bye.server_name) == (("10.1.0.77", 5061), "gw.example")
    world.expect_nothing_left()


def test_TLS_07_a_sips_call_is_tls_on_both_sides_and_says_so() -> None:
    world, alice, _, carrier, _ = secure_world()
    registered(alice)
    number = "sips:+4930123456@sbc.example.com"
    alice.send(first := alice.request("INVITE", number, body=sdp(alice.host, 40000)))
    proof = credentials(alice.expect_response(401), first)
    alice.last_invite = alice.request("INVITE", number, cseq=2, body=sdp(alice.host, 40000), headers=(proof,))
    alice.send(alice.last_invite)
    alice.expect_response(100)
    received = carrier.expect_request("INVITE")
    assert str(received.uri) == "sips:+4930123456@gw.example"
    assert (received.headers.first("Contact") or "").startswith("<sips:")
    assert "transport=" not in (received.headers.first("Contact") or "")
    assert next(sent for sent in world.sent if sent.data == received.encode()).server_name == "gw.example"
    carrier.answer(received, 200, body=sdp(carrier.host, 50000))
    ok = alice.expect_response(200)
    assert (ok.headers.first("Contact") or "").startswith("<sips:")
    alice.ack(ok)
    world.expect_nothing_left()


@pytest.mark.parametrize("transport", ["UDP", "WS"])
def test_TLS_07_WS_04_a_sips_call_that_came_in_clear_text_is_refused(transport: Transport) -> None:
    world = World(SECURE.replace("tls://10.0.0.1:5061]", "tls://10.0.0.1:5061, ws://10.0.0.1:80]"))
    office = world.agent("office", ("10.0.0.20", 5060), "outside", transport, connection=int(transport == "WS"))
    carrier = world.agent("carrier", ("10.1.0.2", 5061), "inside", "TLS")
    backup = world.agent("backup", ("10.1.0.3", 5060), "inside")
    office.send(office.request("INVITE", "sips:+4930123456@10.0.0.1", body=sdp(office.host, 40000)))
    refused = office.expect_response(480)
    assert refused.headers.first("Warning") == '380 sbc "SIPS Not Allowed"'
    carrier.expect_nothing()
    backup.expect_nothing()
    assert world.records[0]["note"] == f"sips over {transport}"
    world.expect_nothing_left()


def test_TLS_07_WS_04_a_sips_call_over_wss_is_kept() -> None:
    world = World(SECURE.replace("tls://10.0.0.1:5061]", "tls://10.0.0.1:5061, wss://10.0.0.1:443]"))
    world.zone = AT_CARRIER
    office = world.agent("office", ("10.0.0.20", 40000), "outside", "WSS", connection=1)
    carrier = world.agent("carrier", ("10.1.0.2", 5061), "inside", "TLS")
    office.send(office.request("INVITE", "sips:+4930123456@10.0.0.1", body=sdp(office.host, 40000)))
    office.expect_response(100)
    received = carrier.expect_request("INVITE")
    assert received.uri.scheme == "sips"
    carrier.answer(received, 180)
    ringing = office.expect_response(180)
    assert (ringing.headers.first("Contact") or "").endswith("@10.0.0.1:443;transport=ws>")
    assert (ringing.headers.first("Contact") or "").startswith("<sips:")
    world.expect_nothing_left()


def test_TLS_07_an_emergency_call_comes_as_it_can() -> None:
    world, _, office, carrier, _ = secure_world()
    office.send(office.request("INVITE", "sips:112@10.0.0.1", body=sdp(office.host, 40000)))
    office.expect_response(100)
    assert carrier.expect_request("INVITE").uri.scheme == "sip"
    world.expect_nothing_left()


@pytest.mark.parametrize(("scheme", "kept"), [("sip", False), ("sips", True)])
def test_TLS_07_who_registered_with_sips_is_reached_by_both_and_who_did_not_by_sip_only(scheme: str, kept: bool) -> None:
    world = World(SECURE)
    world.zone = AT_CARRIER
    alice = world.agent("alice", ("203.0.113.7", 40123), "outside", "TLS", connection=7)
    carrier = world.agent("carrier", ("10.1.0.2", 5061), "inside", "TLS", connection=8)

    class Phone(Agent):
        @property
        def contact(self) -> str:
            return super().contact.replace("sip:", f"{scheme}:")

    world.agents[alice.flow.remote] = phone = Phone(world, "alice", alice.flow)
    registered(phone)
    carrier.send(carrier.request("INVITE", "sip:alice@10.1.0.1", body=sdp(carrier.host, 40000)))
    carrier.expect_response(100)
    plain = phone.expect_request("INVITE")
    assert plain.uri.scheme == "sip"
    assert (plain.headers.first("Contact") or "").startswith("<sip:")
    phone.answer(plain, 486)
    phone.expect_request("ACK")
    carrier.expect_response(486)
    carrier.send(carrier.request("INVITE", "sips:alice@10.1.0.1", body=sdp(carrier.host, 40000)))
    carrier.expect_response(100)
    if kept:
        secure = phone.expect_request("INVITE")
        assert secure.uri.scheme == "sips"
        assert (secure.headers.first("Contact") or "").startswith("<sips:")
    else:
        phone.expect_nothing()
        assert carrier.expect_response(480).headers.first("Warning") == '380 sbc "SIPS Not Allowed"'
    world.expect_nothing_left()


def test_TLS_07_a_sips_peer_is_called_with_sips() -> None:
    world = World(SECURE.replace("sip:gw.example;transport=tls", "sips:gw.example"))
    world.zone = AT_CARRIER
    office = world.agent("office", ("10.0.0.20", 5060), "outside")
    carrier = world.agent("carrier", ("10.1.0.2", 5061), "inside", "TLS")
    office.invite("+4930123456")
    office.expect_response(100)
    received = carrier.expect_request("INVITE")
    assert str(received.uri) == "sips:+4930123456@gw.example"
    assert (received.headers.first("Contact") or "").startswith("<sips:")
    world.expect_nothing_left()


def test_TLS_08_a_sips_call_does_not_fail_over_to_clear_text() -> None:
    tls = SECURE.replace("peer: sip:10.0.0.20:5060", "peer: sip:10.0.0.20:5061;transport=tls")
    world = World(tls.replace("send_to: [carrier, backup]", "send_to: [backup, carrier]"))
    world.zone = AT_CARRIER
    world.unreachable.add(("10.1.0.2", 5061))
    backup = world.agent("backup", ("10.1.0.3", 5060), "inside")
    office = world.agent("office", ("10.0.0.20", 40000), "outside", "TLS", connection=3)
    office.invite("+4930123456")
    office.expect_response(100)
    backup.answer(backup.expect_request("INVITE"), 503)
    backup.expect_request("ACK")
    office.expect_response(500)
    office.send(office.request("INVITE", "sips:+4930123456@10.0.0.1", body=sdp(office.host, 40000)))
    office.expect_response(100)
    assert office.expect_response(480).headers.first("Warning") == '380 sbc "SIPS Not Allowed"'  # better than the 503 of carrier
    backup.expect_nothing()
    world.expect_nothing_left()


def test_TLS_07_DNS_01_of_the_servers_dns_names_a_sips_call_goes_to_those_by_tls() -> None:
    world = World(SECURE.replace("sip:gw.example;transport=tls", "sip:gw.example"))
    world.zone = zone("""
        gw.example NAPTR 10 10 s SIP+D2U "" _sip._udp.gw.example
        gw.example NAPTR 20 10 s SIPS+D2T "" _sips._tcp.gw.example
        _sip._udp.gw.example SRV 0 0 5060 backup.example
        _sips._tcp.gw.example SRV 0 0 5061 carrier.example
        backup.example A 10.1.0.3
        carrier.example A 10.1.0.2""")
    office = world.agent("office", ("10.0.0.20", 40000), "outside", "TLS", connection=3)
    carrier = world.agent("carrier", ("10.1.0.2", 5061), "inside", "TLS")
    backup = world.agent("backup", ("10.1.0.3", 5060), "inside")
    office.send(office.request("INVITE", "sips:+4930123456@10.0.0.1", body=sdp(office.host, 40000)))
    office.expect_response(100)
    received = carrier.expect_request("INVITE")
    assert str(received.uri) == "sips:+4930123456@gw.example"
    assert next(sent for sent in world.sent if sent.data == received.encode()).server_name == "gw.example"
    backup.expect_nothing()
    world.expect_nothing_left()


def test_TRN_05_an_answer_with_a_sent_by_that_is_not_ours_is_dropped_without_a_word(world: World, office: Agent, carrier: Agent) -> None:
    office.invite("+4930123456")
    office.expect_response(100)
    received = carrier.expect_request("INVITE")
    stray = Response.answer(received, 486, to_tag="x")
    for via in (str(received.via).replace("10.1.0.1", "192.0.2.1"), str(received.via).replace(":5060", ":5080")):
        data = stray.encode().replace(str(received.via).encode(), via.encode())
        assert data != stray.encode()
        carrier.send_bytes(data)
    office.expect_nothing()
    carrier.expect_nothing()
    world.receive(ResponseIn(stray, carrier.flow))
    office.expect_response(486)
    carrier.expect_request("ACK")
    world.after(32)


OVER_TCP = POLICY.replace("[udp://10.0.0.1:5060,", "[udp://10.0.0.1:5060, tcp://10.0.0.1:5060,").replace(
    "peer: sip:10.0.0.20:5060", "peer: sip:10.0.0.20:5060;transport=tcp"
)


@pytest.mark.parametrize("answered_before", [True, False])
def test_TRN_03_the_answer_to_a_trunk_whose_connection_is_gone_goes_by_a_new_one(answered_before: bool) -> None:
    world = World(OVER_TCP)
    carrier = carrier_of(world)
    office = world.agent("office", ("10.0.0.20", 41000), "outside", "TCP", connection=4)
    again = world.agent("office", ("10.0.0.20", 5060), "outside", "TCP")
    sent = office.request("INVITE", "sip:+4930123456@10.0.0.1", body=sdp(office.host, 40000))
    office.send_bytes(sent.encode().replace(b"10.0.0.20:41000", b"10.0.0.20:5060"))
    office.expect_response(100)
    received = carrier.expect_request("INVITE")

    def answer() -> None:
        carrier.answer(received, 200, body=sdp(carrier.host, 50000))
        carrier.expect_request("ACK")

    if answered_before:
        answer()
        office.expect_response(200)
    world.receive(FlowClosed(office.flow))
    if not answered_before:
        answer()
    world.after(0.5)  # a 2xx is repeated until its ACK
    assert world.sent[-1].flow == again.flow
    ok = again.expect_response(200)
    again.inbox.clear()
    again.last_invite = sent
    again.ack(ok)
    world.after(32)
    again.send(again.within(sent, ok, "BYE"))
    again.expect_response(200)
    carrier.answer(carrier.expect_request("BYE"), 200)
    world.expect_nothing_left()
