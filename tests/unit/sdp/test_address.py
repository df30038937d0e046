"""Which media addresses a peer may name."""

from __future__ import annotations

import pytest

from sbc.errors import NotAcceptableHere
from sbc.sdp.address import Scope, locate, port_allowed
from sbc.sdp.offer import MediaLeg
from tests.unit.sdp.bodies import ANSWER, OFFER, OUR_A, PLAIN, CountingIds, audio, body, leg


@pytest.mark.parametrize(
    ("text", "scope", "plain"),
    [
        ("203.0.113.5", Scope.PUBLIC, "203.0.113.5"),
        ("10.1.2.3", Scope.PRIVATE, "10.1.2.3"),
        ("172.31.0.1", Scope.PRIVATE, "172.31.0.1"),
        ("192.168.5.22", Scope.PRIVATE, "192.168.5.22"),
        ("100.64.0.1", Scope.PRIVATE, "100.64.0.1"),
        ("127.8.0.1", Scope.LOOPBACK, "127.8.0.1"),
        ("0.0.0.0", Scope.UNSPECIFIED, "0.0.0.0"),
        ("0.0.0.1", Scope.FORBIDDEN, "0.0.0.1"),
        ("169.254.169.254", Scope.FORBIDDEN, "169.254.169.254"),
        ("240.0.0.1", Scope.FORBIDDEN, "240.0.0.1"),
        ("255.255.255.255", Scope.FORBIDDEN, "255.255.255.255"),
        ("224.2.1.1/127/3", Scope.MULTICAST, "224.2.1.1"),
        ("2001:DB8::5", Scope.PUBLIC, "2001:db8::5"),
        ("fd00::5", Scope.PRIVATE, "fd00::5"),
        ("::1", Scope.LOOPBACK, "::1"),
        ("::", Scope.UNSPECIFIED, "::"),
        ("::ffff:127.0.0.1", Scope.LOOPBACK, "127.0.0.1"),
        ("::ffff:10.0.0.1", Scope.PRIVATE, "10.0.0.1"),
        ("::127.0.0.1", Scope.FORBIDDEN, "::7f00:1"),
        ("64:ff9b::7f00:1", Scope.FORBIDDEN, "64:ff9b::7f00:1"),
        ("2002:7f00:1::", Scope.FORBIDDEN, "2002:7f00:1::"),
        ("fe80::1", Scope.FORBIDDEN, "fe80::1"),
        ("2001:db8::1%eth0", Scope.FORBIDDEN, "2001:db8::1%eth0"),
        ("ff02::1", Scope.MULTICAST, "ff02::1"),
        ("media.example.com", Scope.NAME, "media.example.com"),
        ("localhost", Scope.NAME, "localhost"),
        ("1.2.3.400", Scope.FORBIDDEN, "1.2.3.400"),
        ("0x7f000001", Scope.FORBIDDEN, "0x7f000001"),
        ("2130706433", Scope.FORBIDDEN, "2130706433"),
        ("127.1", Scope.FORBIDDEN, "127.1"),
        ("::zz", Scope.FORBIDDEN, "::zz"),
        ("", Scope.FORBIDDEN, ""),
    ],
)
def test_SDP_14_scopes(text: str, scope: Scope, plain: str) -> None:
    assert locate(text) == (scope, plain)


def test_SDP_14_ports() -> None:
    assert [port for port in (1, 22, 1023, 1024, 5060, 5061, 40000) if port_allowed(port)] == [1024, 40000]


@pytest.mark.parametrize("host", ["127.0.0.1", "0.1.2.3", "169.254.169.254", "255.255.255.255", "224.0.0.1", "127.1"])
def test_SDP_14_offers_and_answers_with_such_hosts_are_refused(host: str) -> None:
    hostile = body(*audio(), host=host)
    with pytest.raises(NotAcceptableHere) as caught:
        leg().receive_offer(hostile, False)
    ((name, value),) = caught.value.headers
    assert name == "Warning"
    assert host not in value
    calling = leg()
    calling.make_offer(None, CountingIds())
    with pytest.raises(NotAcceptableHere):
        calling.receive_answer(hostile)
    assert calling.agreed is None


@pytest.mark.parametrize("port", [22, 1023, 5060, 5061])
def test_SDP_14_ports_of_other_services_are_refused(port: int) -> None:
    with pytest.raises(NotAcceptableHere):
        leg().receive_offer(body(*audio(port=port)), False)


def test_SDP_14_private_hosts_are_a_matter_of_the_leg() -> None:
    private = body(*audio(), host="192.168.1.2")
    assert MediaLeg(PLAIN, 1).receive_offer(private, False).remote == ("192.168.1.2", 40000)
    with pytest.raises(NotAcceptableHere):
        MediaLeg(PLAIN, 1, accept_private=False).receive_offer(private, False)


def test_SDP_14_loopback_only_towards_loopback() -> None:
    local = body(*audio(), host="127.0.0.1")
    with pytest.raises(NotAcceptableHere):
        MediaLeg(PLAIN, 1).receive_offer(local, False)
    assert MediaLeg(PLAIN, 1, accept_loopback=True).receive_offer(local, False).remote == ("127.0.0.1", 40000)
    assert leg(ours=("127.0.0.1", 20000)).receive_offer(local, False).remote == ("127.0.0.1", 40000)


def test_SDP_14_our_own_port_is_refused() -> None:
    with pytest.raises(NotAcceptableHere):
        leg().receive_offer(body(*audio(port=OUR_A[1]), host=OUR_A[0]), False)
    late = MediaLeg(PLAIN, 1)
    late.receive_offer(body(*audio(port=OUR_A[1]), host=OUR_A[0]), False)
    late.listen(OUR_A)
    with pytest.raises(NotAcceptableHere):
        late.make_answer(leg().receive_offer(OFFER, False), CountingIds())


def test_an_address_of_the_other_family_is_refused_with_301() -> None:
    six = OFFER.replace(b"IP4 192.0.2.10", b"IP6 2001:db8::10")
    with pytest.raises(NotAcceptableHere) as caught:
        leg().receive_offer(six, False)
    assert caught.value.headers[0][1].startswith("301 ")
    assert leg(ours=("2001:db8::5", 20000)).receive_offer(six, False).remote == ("2001:db8::10", 40000)


def test_a_host_name_is_never_resolved_and_waits_for_the_first_packet() -> None:
    named = leg().receive_offer(body(*audio(), host="media.example.com"), False)
    assert named.remote is None
    assert named.direction == "sendrecv"


@pytest.mark.parametrize(
    ("line", "rtcp"),
    [
        ("a=ptime:20", ("192.0.2.10", 40001)),
        ("a=rtcp:45000", ("192.0.2.10", 45000)),
        ("a=rtcp:45000 IN IP4 192.0.2.77", ("192.0.2.77", 45000)),
        ("a=rtcp:45000 IN IP4 127.0.0.1", ("192.0.2.10", 40001)),
        ("a=rtcp:45000 IN IP6 2001:db8::1", ("192.0.2.10", 40001)),
        ("a=rtcp:53", ("192.0.2.10", 40001)),
        ("a=rtcp:70000", ("192.0.2.10", 40001)),
        ("a=rtcp:junk", ("192.0.2.10", 40001)),
        ("a=rtcp:9 IN IP4 0.0.0.0", ("192.0.2.10", 40001)),
    ],
)
def test_SDP_09_rtcp_address(line: str, rtcp: tuple[str, int]) -> None:
    assert leg().receive_offer(body(*audio("8 0 101", line)), False).rtcp == rtcp


def test_SDP_09_we_write_rtcp_only_when_it_is_not_the_next_port() -> None:
    answering = leg()
    offer = answering.receive_offer(OFFER, False)
    far = leg()
    far.make_offer(offer, CountingIds())
    answer = far.receive_answer(ANSWER)
    assert b"a=rtcp" not in answering.make_answer(answer, CountingIds())
    answering.listen(OUR_A, 20007)
    assert b"a=rtcp:20007\r\n" in answering.make_answer(answer, CountingIds())
    answering.listen(OUR_A, 20001)
    assert b"a=rtcp" not in answering.make_answer(answer, CountingIds())
