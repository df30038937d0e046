"""What peers are told of us: public addresses behind 1:1 NAT, IPv6, and both families in one call."""

from __future__ import annotations

from tests.world import POLICY, World, connect, sdp

BEHIND_NAT = POLICY.replace("domains: [sbc.example.com]", "advertise: 203.0.113.10\n    domains: [sbc.example.com]")
SIX = (
    POLICY.replace(
        "    signalling: [udp://10.1.0.1:5060]\n    relay: {address: 10.1.0.1, ports: 30000-30999}",
        '    signalling: ["udp://[2001:db8::1]:5060"]\n    relay: {address: "2001:db8::1", ports: 30000-30999}',
    )
    .replace(
        "accept_from: [10.1.0.2/32]\n    peer: sip:10.1.0.2:5060", 'accept_from: ["2001:db8::2/128"]\n    peer: "sip:[2001:db8::2]:5060"'
    )
    .replace("peer: sip:10.1.0.3:5060", 'peer: "sip:[2001:db8::3]:5060"')
)


def test_behind_a_cloud_s_nat_peers_are_told_the_public_address() -> None:
    world = World(BEHIND_NAT)
    office = world.agent("office", ("10.0.0.20", 5060), "outside")
    carrier = world.agent("carrier", ("10.1.0.2", 5060), "inside")
    _, ok, received = connect(office, carrier, "+4930123456")
    assert "203.0.113.10:5060" in (ok.headers.first("Contact") or "")
    assert b"c=IN IP4 203.0.113.10\r\n" in ok.body
    assert b"10.0.0.1" not in ok.body
    assert b"203.0.113.10" not in received.encode(), "the other side keeps its own"
    carrier.send(carrier.within_received(received, "BYE"))
    bye = office.expect_request("BYE")
    assert bye.via.host == "203.0.113.10"
    office.answer(bye, 200)
    world.expect_nothing_left()


def test_SYN_10_a_call_between_the_two_families() -> None:
    world = World(SIX)
    office = world.agent("office", ("10.0.0.20", 5060), "outside")
    carrier = world.agent("carrier", ("2001:db8::2", 5060), "inside")
    answer = sdp("x", 50000).replace(b"IN IP4 x", b"IN IP6 2001:db8::2")
    invite, ok, received = connect(office, carrier, "+4930123456", answer=answer)
    assert "[2001:db8::1]:5060" in (received.headers.first("Contact") or "")
    assert received.via.host == "2001:db8::1"
    assert b"c=IN IP6 2001:db8::1\r\n" in received.body
    assert b"IP6" not in ok.body
    assert world.updates[-1][1].remote == ("2001:db8::2", 50000)
    office.send(office.within(invite, ok, "BYE"))
    carrier.answer(carrier.expect_request("BYE"), 200)
    world.expect_nothing_left()


def test_a_mapped_address_is_the_ipv4_address_it_stands_for() -> None:
    """A dual-stack socket shows IPv4 peers as ::ffff:a.b.c.d (RFC 5118 s4.10)."""
    world = World(SIX.replace('"2001:db8::2/128"', "192.0.2.2/32"))
    mapped = world.agent("carrier", ("::ffff:192.0.2.2", 5060), "inside")
    mapped.send(mapped.request("OPTIONS", "sip:[2001:db8::1]"))
    mapped.expect_response(200)
    world.expect_nothing_left()
