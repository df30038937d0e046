"""What a registrar has to know beside the Contact: flows, proxies on the way, whole ranges of numbers."""

from __future__ import annotations

import json

import pytest

from sbc.flow import Flow
from sbc.inputs import FlowClosed
from sbc.registrar.binding import Binding, unconnected
from sbc.sip.fields.contact import Contact
from sbc.sip.fields.nameaddr import NameAddr
from sbc.sip.message import Request, Response
from sbc.sip.parse import parse_datagram
from sbc.sip.uri import Uri
from tests.scenarios.test_registration import DOMAIN, credentials
from tests.vectors.messages import VECTORS
from tests.world import POLICY, Agent, World, sdp, secure_answer

PBX = """
  pbx:
    realm: outside
    accepts_registration: {user: pbx, password: {file: alice.secret}}
    media: plain
  carrier:
"""
TO_PBX = """
  - name: to-pbx
    when: {trunk: carrier, to: "+1214*"}
    send_to: [pbx]
  - name: in
"""
INSTANCE = "<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>"
Rows = tuple[tuple[str, str], ...]


@pytest.fixture
def policy() -> str:
    return POLICY.replace("\n  carrier:\n", PBX, 1).replace("\n  - name: in\n", TO_PBX, 1)


@pytest.fixture
def second(world: World) -> Agent:
    """The same phone on another connection."""
    return world.agent("alice", ("203.0.113.7", 50001), "outside", "TLS", connection=8)


@pytest.fixture
def edge(world: World) -> Agent:
    """A proxy that phones register through."""
    return world.agent("edge", ("198.51.100.9", 5060), "outside")


@pytest.fixture
def pbx(world: World) -> Agent:
    return world.agent("pbx", ("203.0.113.30", 5060), "outside")


def register(agent: Agent, *contacts: str, user: str = "alice", headers: Rows = ()) -> Response:
    """REGISTER with these Contacts, its challenge, REGISTER again: the answer to that."""
    agent.calls += 10
    if not agent.flow.reliable:  # or it would be too short for a challenge
        headers = (*headers, ("User-Agent", "x" * 250))
    first = _register(agent, contacts, user, headers)
    agent.calls += 1
    _register(agent, contacts, user, (*headers, credentials(agent.expect_response(401), first, user=user)))
    answer = agent.inbox.popleft()
    assert isinstance(answer, Response)
    return answer


def _register(agent: Agent, contacts: tuple[str, ...], user: str, headers: Rows) -> Request:
    name = f"{agent.name}-{agent.flow.remote[1]}"
    request = agent.request(
        "REGISTER",
        f"sip:{DOMAIN}",
        call_id=name,
        cseq=agent.calls,
        to=f"<sip:{user}@{DOMAIN}>",
        headers=headers,
    )
    request.headers.remove("Contact")
    for contact in contacts:
        request.headers.add("Contact", contact)
    agent.send(request)
    return request


def flow(agent: Agent, reg_id: int, instance: str = INSTANCE) -> str:
    return f'<sip:alice@10.9.9.9:{agent.flow.remote[1]};transport=tls>;reg-id={reg_id};+sip.instance="{instance}"'


OUTBOUND: Rows = (("Supported", "path, outbound"),)


def contacts(response: Response) -> list[str]:
    assert response.status == 200
    return response.headers.all("Contact")


def called(carrier: Agent, number: str) -> Request:
    request = carrier.invite(number)
    carrier.expect_response(100)
    return request


# RFC 5626


def test_OUT_03_the_same_flow_replaces_and_a_new_one_adds(world: World, alice: Agent, second: Agent) -> None:
    ok = register(alice, flow(alice, 1), headers=OUTBOUND)
    assert (len(contacts(ok)), ok.headers.first("Require")) == (1, "outbound")
    assert len(contacts(register(second, flow(second, 2), headers=OUTBOUND))) == 2
    again = contacts(register(second, flow(second, 1), headers=OUTBOUND))
    assert [Contact.parse(row).address.param("reg-id") for row in again] == ["2", "1"]
    assert all(":50001;" in row for row in again), "the first one has gone to the other connection"
    other = contacts(register(second, flow(second, 1, "<urn:uuid:other>"), headers=OUTBOUND))
    assert len(other) == 3


def test_OUT_03_a_reg_id_means_nothing_without_the_option(world: World, alice: Agent, second: Agent) -> None:
    ok = register(alice, flow(alice, 1))
    assert "Require" not in ok.headers
    assert len(contacts(register(second, flow(second, 1)))) == 2
    assert register(second, flow(second, 1), flow(second, 2), headers=OUTBOUND).status == 400


def test_a_phone_is_called_over_its_flow_and_over_the_other_one_when_that_fails(
    world: World, alice: Agent, second: Agent, carrier: Agent
) -> None:
    register(alice, flow(alice, 1), headers=OUTBOUND)
    register(second, flow(second, 2), headers=OUTBOUND)
    world.unreachable.add(second.flow.remote)
    called(carrier, "alice")
    received = alice.expect_request("INVITE")
    assert str(received.uri) == "sip:alice@10.9.9.9:40123;transport=tls"
    alice.answer(received, 486)
    carrier.expect_response(486)


def test_a_phone_that_lost_its_connection_is_waited_for(world: World, alice: Agent, second: Agent, carrier: Agent) -> None:
    register(alice, flow(alice, 1), headers=OUTBOUND)
    world.receive(FlowClosed(alice.flow))
    called(carrier, "alice")
    world.after(6)
    carrier.expect_nothing()
    assert len(contacts(register(second, flow(second, 1), headers=OUTBOUND))) == 1
    world.after(0.3)
    received = second.expect_request("INVITE")
    second.answer(received, 200, body=secure_answer(received.body, "203.0.113.7", 40000))
    second.expect_request("ACK")
    carrier.ack(carrier.expect_response(200))


def test_who_hangs_up_while_it_is_waited_for_has_no_call(world: World, alice: Agent, second: Agent, carrier: Agent) -> None:
    register(alice, flow(alice, 1), headers=OUTBOUND)
    world.receive(FlowClosed(alice.flow))
    invite = called(carrier, "alice")
    carrier.cancel(invite)
    carrier.expect_response(200)
    carrier.expect_response(487)
    register(second, flow(second, 1), headers=OUTBOUND)
    world.after(1)
    second.expect_nothing()


def test_lost_bindings_do_not_fill_up_an_account(world: World, carrier: Agent) -> None:
    """A phone without instance has a new Contact on each connection."""
    for number in range(30):
        phone = world.agent("alice", ("203.0.113.7", 41000 + number), "outside", "TLS", connection=100 + number)
        assert len(contacts(register(phone, phone.contact))) == 1
        world.receive(FlowClosed(phone.flow))


def test_who_came_by_tcp_without_nat_is_connected_to() -> None:
    tcp = Flow("outside", "TCP", ("10.0.0.1", 5060), ("203.0.113.9", 33000), 5)
    contact = Contact.parse("<sip:alice@203.0.113.9:5080;transport=tcp>")
    binding = Binding(contact, tcp, 60.0, "c", 1)
    found = unconnected(binding)
    assert (found.flow.remote, found.flow.connection, found.lost) == (("203.0.113.9", 5080), 0, False)
    elsewhere = Contact.parse("<sip:alice@192.168.1.9:5080;transport=tcp>")
    assert unconnected(Binding(elsewhere, tcp, 0.0, "c", 1)).lost


def behind_proxy(path: str) -> Rows:
    """What a proxy adds to the REGISTER of a phone, and what the phone said."""
    return (("Via", "SIP/2.0/TLS 192.0.2.2;branch=z9hG4bKphone"), *OUTBOUND, *((("Path", path),) if path else ()))


def test_OUT_02_a_first_hop_without_outbound_is_439(world: World, edge: Agent) -> None:
    for path in ("", "<sip:edge.example.net;lr>", "<sip:b.example.net;lr;ob>, <sip:a.example.net;lr>"):
        answer = register(edge, flow(edge, 1), headers=behind_proxy(path))
        assert (answer.status, answer.reason) == (439, "First Hop Lacks Outbound Support")
    path = "<sip:b.example.net;lr>, <sip:token@a.example.net;lr;ob>"
    assert register(edge, flow(edge, 1), headers=behind_proxy(path)).headers.first("Require") == "outbound"


# RFC 3327


def test_OUT_04_the_path_is_stored_in_order_and_is_the_route_of_calls(world: World, edge: Agent, carrier: Agent) -> None:
    path = "<sip:P3.example.net;lr>,<sip:P1.example.net;lr>"
    ok = register(edge, "<sip:alice@192.0.2.4>", headers=(("Supported", "path"), ("Path", path)))
    told = ["<sip:p3.example.net;lr>", "<sip:p1.example.net;lr>"]
    assert (len(contacts(ok)), ok.headers.all("Path")) == (1, told)
    called(carrier, "alice")
    received = edge.expect_request("INVITE")
    assert str(received.uri) == "sip:alice@192.0.2.4"
    assert received.headers.all("Route") == told
    edge.answer(received, 430)
    carrier.expect_response(480)


def test_OUT_04_a_flow_that_failed_behind_a_proxy_leaves_the_other_one(world: World, edge: Agent, carrier: Agent) -> None:
    two = world.agent("edge", ("198.51.100.10", 5060), "outside")
    register(edge, flow(edge, 1), headers=behind_proxy("<sip:one@edge1.example.net;lr;ob>"))
    register(two, flow(two, 2), headers=behind_proxy("<sip:two@edge2.example.net;lr;ob>"))
    called(carrier, "alice")
    received = two.expect_request("INVITE")
    two.answer(received, 430)
    two.expect_request("ACK")
    received = edge.expect_request("INVITE")
    assert received.headers.all("Route") == ["<sip:one@edge1.example.net;lr;ob>"]
    edge.answer(received, 486)
    carrier.expect_response(486)


# RFC 6140


def vector(number: int) -> Request:
    message = json.loads((VECTORS / "callflows" / "rfc6140.json").read_text())["messages"][number]["message"]
    request = parse_datagram(message.encode())
    assert isinstance(request, Request)
    return request


@pytest.mark.parametrize("number", [0, 3])
def test_OUT_07_a_pbx_registers_all_its_numbers_at_once(world: World, pbx: Agent, carrier: Agent, number: int) -> None:
    """The examples of RFC 6140 s8.1 and s8.2, and the INVITEs that follow there."""
    printed, invited = vector(number), vector(number + 2)
    contact = printed.headers.first("Contact") or ""
    names = ("Proxy-Require", "Require", "Supported", "Path", "Expires")
    headers = tuple((name, value) for name in names for value in printed.headers.all(name))
    ok = register(pbx, contact, user="pbx", headers=headers)
    assert contacts(ok) == [f"{contact};expires=7200"] if number else contacts(ok)[0].startswith(f"{contact};expires=")
    called(carrier, "+12145550105")
    received = pbx.expect_request("INVITE")
    expected = Uri.parse(str(invited.uri)).with_(port=NameAddr.parse(contact).uri.port)
    assert received.uri == expected
    assert received.headers.all("Route") == invited.headers.all("Route")
    pbx.answer(received, 200, body=sdp("203.0.113.30", 50000))
    pbx.expect_request("ACK")
    carrier.ack(carrier.expect_response(200))


def test_OUT_07_a_bulk_contact_has_no_user_and_is_for_a_pbx(world: World, pbx: Agent, alice: Agent) -> None:
    gin: Rows = (("Require", "gin"), ("Proxy-Require", "gin"), ("Supported", "path"))
    assert register(pbx, "<sip:pbx@203.0.113.30;bnc>", user="pbx", headers=gin).status == 400
    refused = register(alice, "<sip:203.0.113.7;bnc>", headers=gin)
    assert (refused.status, refused.headers.first("Unsupported")) == (420, "gin")


# Parameters


def test_OUT_09_push_parameters_and_feature_tags_are_kept(world: World, alice: Agent, carrier: Agent) -> None:
    uri = "sip:alice@203.0.113.7:40123;pn-provider=acme;pn-param=acme-param;pn-prid=ZTY4ZDJlMzODE1NmUgKi0K"
    ok = register(alice, f'<{uri}>;+sip.pnsreg;q=0.7;audio;methods="INVITE,ACK"', headers=(("Expires", "600"),))
    assert contacts(ok) == [f'<{uri}>;+sip.pnsreg;q=0.7;audio;methods="INVITE,ACK";expires=600']
    called(carrier, "alice")
    received = alice.expect_request("INVITE")
    assert str(received.uri) == uri
    alice.answer(received, 486)
    carrier.expect_response(486)


def test_OUT_10_gruu_is_not_promised_and_a_gr_is_kept(world: World, alice: Agent) -> None:
    row = f'<sip:alice@203.0.113.7:40123;gr=urn:uuid:f81d4fae>;+sip.instance="{INSTANCE}"'
    ok = register(alice, row, headers=(("Supported", "gruu"), ("Expires", "600")))
    assert contacts(ok) == [f"{row};expires=600"]
    assert "gruu" not in (ok.headers.first("Supported") or "").replace(" ", "").split(",")
    assert b"pub-gruu" not in ok.encode()
    assert register(alice, row, headers=(("Require", "gruu"),)).status == 420


def test_OUT_05_all_bindings_are_listed_and_the_preferred_one_is_called(world: World, alice: Agent, second: Agent, carrier: Agent) -> None:
    register(alice, f"{alice.contact};q=0.9")
    rows = contacts(register(second, f"{second.contact};q=0.5;expires=120"))
    assert [(Contact.parse(row).q, Contact.parse(row).expires) for row in rows] == [(0.9, 3600), (0.5, 120)]
    assert len(contacts(register(second))) == 2, "a question changes nothing"
    called(carrier, "alice")
    alice.answer(alice.expect_request("INVITE"), 486)
    carrier.expect_response(486)


# For how long


def test_OUT_06_behind_a_nat_over_udp_registrations_are_short(world: World) -> None:
    phone = world.agent("alice", ("203.0.113.77", 31000), "outside")
    nat: Rows = (("Expires", "3600"),)
    ok = register(phone, "<sip:alice@192.168.1.20:5060>", headers=nat)
    assert Contact.parse(contacts(ok)[0]).expires == 90
    ok = register(phone, "<sip:alice@203.0.113.77:31000>", headers=nat)
    assert Contact.parse(contacts(ok)[-1]).expires == 3600, "nothing is between us"


def test_OUT_06_the_policy_says_for_how_long() -> None:
    terms = "domains: [sbc.example.com]\n    registration: {longest: 10m, behind_nat: 60s}"
    world = World(POLICY.replace("domains: [sbc.example.com]", terms))
    phone = world.agent("alice", ("203.0.113.77", 31000), "outside")
    connected = world.agent("alice", ("203.0.113.7", 40123), "outside", "TLS", connection=7)
    rows: Rows = (("Expires", "86400"),)
    assert Contact.parse(contacts(register(phone, "<sip:alice@192.168.1.20:5060>", headers=rows))[0]).expires == 60
    assert Contact.parse(contacts(register(connected, "<sip:alice@192.168.1.20:5061>", headers=rows))[1]).expires == 600
