"""RFC 3263 as tables: which questions a URI leads to, and which servers their answers mean."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from sbc.flow import Transport
from sbc.sip.locate import MAX_SERVERS, Answers, Question, Srv, Wanted, in_order, next_questions, servers
from tests.zones import ask, zone

ALL: tuple[Transport, ...] = ("UDP", "TCP", "TLS")

EVERYTHING = zone("""
    e.example NAPTR 20 10 s SIP+D2T "" _sip._tcp.e.example
    e.example NAPTR 10 20 S sips+d2t "" _sips._tcp.e.example
    e.example NAPTR 10 10 s SIP+D2U "" _udp.elsewhere.example
    e.example NAPTR 1 1 u E2U+sip "!^.*$!sip:x@e.example!" .
    e.example NAPTR 1 1 s SIP+D2U "!^.*$!sip:x@e.example!" .
    e.example NAPTR 1 1 s SIP+D2S "" _sip._sctp.e.example
    _udp.elsewhere.example SRV 0 0 5060 a.example
    _sip._udp.e.example SRV 0 0 5060 a.example
    _sip._tcp.e.example SRV 0 0 5080 b.example
    _sips._tcp.e.example SRV 0 0 5081 c.example
    e.example A 192.0.2.9
    a.example A 192.0.2.1
    b.example A 192.0.2.2
    c.example A 192.0.2.3
""")
WITHOUT_NAPTR: Answers = {question: records for question, records in EVERYTHING.items() if question.kind != "NAPTR"}
ADDRESSES_ONLY: Answers = {question: records for question, records in EVERYTHING.items() if question.kind == "A"}


def wanted(
    host: str = "e.example",
    port: int | None = None,
    transport: Transport | None = None,
    *,
    secure: bool = False,
    ours: tuple[Transport, ...] = ALL,
    sources: tuple[str, ...] = ("10.0.0.1",),
) -> Wanted:
    return Wanted(host, port, transport, secure, tuple((each, source) for each in ours for source in sources))


def found(want: Wanted, records: Answers, seed: int = 1) -> list[str]:
    answers, _ = ask(want, records)
    return [f"{each.transport} {each.address[0]} {each.address[1]}" for each in servers(want, answers, Random(seed).randbytes)]


def asked(want: Wanted, records: Answers) -> list[str]:
    return [f"{each.kind} {each.name}" for each in ask(want, records)[1]]


A = "UDP 192.0.2.1 5060"
B = "TCP 192.0.2.2 5080"
C = "TLS 192.0.2.3 5081"
NAPTR, UDP, TCP, TLS = "NAPTR e.example", "SRV _sip._udp.e.example", "SRV _sip._tcp.e.example", "SRV _sips._tcp.e.example"


@pytest.mark.parametrize(
    ("want", "questions", "places"),
    [
        # a numeric address is asked nothing at all
        (wanted("192.0.2.7"), [], ["UDP 192.0.2.7 5060"]),
        (wanted("192.0.2.7", 5070), [], ["UDP 192.0.2.7 5070"]),
        (wanted("192.0.2.7", transport="TCP"), [], ["TCP 192.0.2.7 5060"]),
        (wanted("192.0.2.7", transport="TLS"), [], ["TLS 192.0.2.7 5061"]),
        (wanted("192.0.2.7", secure=True), [], ["TLS 192.0.2.7 5061"]),
        (wanted("2001:db8::7", sources=("2001:db8::1",)), [], ["UDP 2001:db8::7 5060"]),
        (wanted("2001:db8::7"), [], []),  # and we have nothing to send from
        # a port: addresses only
        (wanted(port=5070), ["A e.example"], ["UDP 192.0.2.9 5070"]),
        (wanted(port=5070, transport="TCP"), ["A e.example"], ["TCP 192.0.2.9 5070"]),
        (wanted(port=5070, secure=True), ["A e.example"], ["TLS 192.0.2.9 5070"]),
        # a transport: no NAPTR
        (wanted(transport="UDP"), [UDP, "A a.example"], [A]),
        (wanted(transport="TCP"), [TCP, "A b.example"], [B]),
        (wanted(transport="TLS"), [TLS, "A c.example"], [C]),
        # neither: order, then preference; what is not for SIP, has an expression or is not ours does not count
        (
            wanted(),
            [NAPTR, "SRV _udp.elsewhere.example", TLS, TCP, "A a.example", "A c.example", "A b.example"],
            [A, C, B],
        ),
        (wanted(ours=("UDP",)), [NAPTR, "SRV _udp.elsewhere.example", "A a.example"], [A]),
        (wanted(ours=("TCP", "TLS")), [NAPTR, TLS, TCP, "A c.example", "A b.example"], [C, B]),
        # sips is never anything but TLS
        (wanted(secure=True), [NAPTR, TLS, "A c.example"], [C]),
        (wanted(secure=True, ours=("UDP", "TCP")), [NAPTR], []),
        (wanted(transport="TLS", secure=True), [TLS, "A c.example"], [C]),
    ],
)
def test_DNS_01_what_the_uri_says_need_not_be_asked(want: Wanted, questions: list[str], places: list[str]) -> None:
    assert asked(want, EVERYTHING) == questions
    assert found(want, EVERYTHING) == places


@pytest.mark.parametrize(
    ("want", "records", "questions", "places"),
    [
        (wanted(), WITHOUT_NAPTR, [NAPTR, TLS, TCP, UDP, "A c.example", "A b.example", "A a.example"], [C, B, A]),
        (wanted(ours=("UDP", "TCP")), WITHOUT_NAPTR, [NAPTR, TCP, UDP, "A b.example", "A a.example"], [B, A]),
        (wanted(secure=True), WITHOUT_NAPTR, [NAPTR, TLS, "A c.example"], [C]),
        (wanted(), ADDRESSES_ONLY, [NAPTR, TLS, TCP, UDP, "A e.example"], ["UDP 192.0.2.9 5060"]),
        (wanted(ours=("TCP",)), ADDRESSES_ONLY, [NAPTR, TCP, "A e.example"], ["TCP 192.0.2.9 5060"]),
        (wanted(ours=("TLS",)), ADDRESSES_ONLY, [NAPTR, TLS, "A e.example"], ["TLS 192.0.2.9 5061"]),
        (wanted(secure=True), ADDRESSES_ONLY, [NAPTR, TLS, "A e.example"], ["TLS 192.0.2.9 5061"]),
        (wanted(transport="TLS"), ADDRESSES_ONLY, [TLS, "A e.example"], ["TLS 192.0.2.9 5061"]),
        (wanted(), {}, [NAPTR, TLS, TCP, UDP, "A e.example"], []),
        # NAPTR records that are all of no use to us are as good as none
        (
            wanted(ours=("UDP",)),
            zone('e.example NAPTR 1 1 s SIPS+D2T "" _sips._tcp.e.example\n_sip._udp.e.example SRV 0 0 1 a.example\na.example A 192.0.2.1'),
            [NAPTR, UDP, "A a.example"],
            ["UDP 192.0.2.1 1"],
        ),
        # an address in an SRV record is wrong, and clear
        (wanted(transport="UDP"), zone("_sip._udp.e.example SRV 0 0 5060 192.0.2.8"), [UDP], ["UDP 192.0.2.8 5060"]),
    ],
)
def test_DNS_02_what_is_not_there_is_made_up_for(want: Wanted, records: Answers, questions: list[str], places: list[str]) -> None:
    assert asked(want, records) == questions
    assert found(want, records) == places


def test_DNS_03_priorities_ascend_whatever_the_weights() -> None:
    records = zone("""
        _sip._udp.e.example SRV 30 65535 5060 a.example
        _sip._udp.e.example SRV 10 0 5060 b.example
        _sip._udp.e.example SRV 20 1 5060 c.example
        a.example A 192.0.2.1
        b.example A 192.0.2.2
        c.example A 192.0.2.3
    """)
    for seed in range(20):
        order = found(wanted(transport="UDP"), records, seed)
        assert order == ["UDP 192.0.2.2 5060", "UDP 192.0.2.3 5060", "UDP 192.0.2.1 5060"]


def test_DNS_03_weights_are_chances() -> None:
    """RFC 2782: a number from 0 to the sum of the weights, both included, those of weight 0 at the beginning of the scale."""
    records = [Srv(1, 60, 1, "often"), Srv(1, 0, 1, "hardly"), Srv(1, 25, 1, "sometimes"), Srv(1, 15, 1, "less")]
    picks, random = 10_000, Random(3263)
    orders = [in_order(records, random.randbytes) for _ in range(picks)]
    assert all(sorted(order, key=records.index) == records for order in orders)
    firsts = Counter(order[0].target for order in orders)
    expected = {"hardly": 1 / 101, "often": 60 / 101, "sometimes": 25 / 101, "less": 15 / 101}
    chi_square = sum((firsts[name] - picks * chance) ** 2 / (picks * chance) for name, chance in expected.items())
    assert chi_square < 16.27, f"one in a thousand, with three degrees of freedom: {firsts}"
    # and so on for what is left
    seconds = Counter(order[1].target for order in orders if order[0].target == "often")
    expected = {"hardly": 1 / 41, "sometimes": 25 / 41, "less": 15 / 41}
    chi_square = sum((seconds[name] - firsts["often"] * chance) ** 2 / (firsts["often"] * chance) for name, chance in expected.items())
    assert chi_square < 13.82, seconds


def test_DNS_03_all_weights_zero_is_no_order_but_all_of_them() -> None:
    records = [Srv(1, 0, 1, name) for name in "abcd"]
    assert in_order(records, Random(1).randbytes) == records


@pytest.mark.parametrize(
    ("records", "places"),
    [
        ("_sip._udp.e.example SRV 0 0 0 .", []),
        ("_sip._udp.e.example SRV 0 0 0 .\n_sip._tcp.e.example SRV 0 0 5080 b.example", [B]),
        ("_sip._udp.e.example SRV 0 0 0 .\n_sip._udp.e.example SRV 1 0 5060 a.example", [A]),
    ],
)
def test_DNS_03_a_dot_is_a_service_that_is_not_available(records: str, places: list[str]) -> None:
    """RFC 2782: "the service is decidedly not available at this domain", so that its address is not tried, either."""
    there = zone(records) | ADDRESSES_ONLY  # type: ignore[operator]
    assert found(wanted(), there) == places


def test_DNS_06_addresses_of_one_name_are_sorted_but_never_across_names() -> None:
    records = zone("""
        _sip._udp.e.example SRV 1 0 5060 a.example
        _sip._udp.e.example SRV 2 0 5060 b.example
        a.example A 192.0.2.1
        a.example AAAA 2001:db8::1
        b.example A 192.0.2.2
        b.example AAAA 2001:db8::2
    """)
    both = wanted(transport="UDP", sources=("10.0.0.1", "2001:db8::f"))
    assert found(both, records) == ["UDP 2001:db8::1 5060", "UDP 192.0.2.1 5060", "UDP 2001:db8::2 5060", "UDP 192.0.2.2 5060"]
    assert asked(both, records)[1:] == ["A a.example", "AAAA a.example", "A b.example", "AAAA b.example"]
    six = wanted(transport="UDP", sources=("2001:db8::f",))
    assert found(six, records) == ["UDP 2001:db8::1 5060", "UDP 2001:db8::2 5060"]
    assert "A a.example" not in asked(six, records), "a question about a family we do not have is wasted"


@pytest.mark.parametrize(
    ("addresses", "sources", "order"),
    [
        # RFC 6724 s10.2, as far as there is one source of each family
        (["2001:db8::1", "198.51.100.121"], ("2001:db8:1::2", "198.51.100.117"), ["2001:db8::1", "198.51.100.121"]),
        (["2001:db8::1", "198.51.100.121"], ("fe80::1", "198.51.100.117"), ["198.51.100.121", "2001:db8::1"]),
        (["2002:c633:6401::1", "2001:db8::1"], ("2001:db8::2",), ["2001:db8::1", "2002:c633:6401::1"]),
        (["fd00::1", "192.0.2.1"], ("2001:db8::2", "10.0.0.1"), ["192.0.2.1", "fd00::1"]),  # rule 5: not our kind of network
        (["192.0.2.1", "fd00::1"], ("fd00::2", "10.0.0.1"), ["192.0.2.1", "fd00::1"]),  # rule 6
        (["192.0.2.9", "192.0.2.1"], ("10.0.0.1",), ["192.0.2.9", "192.0.2.1"]),  # rule 10: as they came
        (["0.0.0.0", "224.0.0.1", "192.0.2.1"], ("10.0.0.1",), ["192.0.2.1"]),
        (["::", "ff02::1"], ("2001:db8::2",), []),
    ],
)
def test_DNS_06_the_order_of_rfc_6724(addresses: list[str], sources: tuple[str, ...], order: list[str]) -> None:
    records = zone("\n".join(f"e.example {'AAAA' if ':' in address else 'A'} {address}" for address in addresses))
    assert [place.split()[1] for place in found(wanted(port=5060, sources=sources), records)] == order


def test_DNS_07_the_certificate_is_for_the_domain_of_the_uri() -> None:
    want = wanted(secure=True)
    answers, _ = ask(want, EVERYTHING)
    (server,) = servers(want, answers, Random(1).randbytes)
    assert (server.address[0], server.name) == ("192.0.2.3", "e.example")


def test_DNS_08_a_hostile_answer_costs_no_more_than_thirty_two() -> None:
    lines = [f"_sip._udp.e.example SRV {1000 - n} 0 5060 h{n}.example\nh{n}.example A 192.0.2.{n % 250}" for n in range(500)]
    lines += [f"_sip._tcp.e.example SRV 1 0 5060 t{n}.example" for n in range(500)]
    lines += [f"h499.example A 198.51.100.{n}" for n in range(200)]
    records = zone("\n".join(lines))
    assert len(asked(wanted(ours=("UDP", "TCP")), records)) <= MAX_SERVERS + 3
    want = wanted(transport="UDP")
    assert len(asked(want, records)) == MAX_SERVERS + 1
    places = found(want, records)
    assert len(places) == MAX_SERVERS
    assert places[0] == "UDP 192.0.2.249 5060", "of the many, the urgent ones"


def test_the_same_server_twice_is_tried_once() -> None:
    records = zone("_sip._udp.e.example SRV 1 0 5060 a.example\n_sip._udp.e.example SRV 2 0 5060 a.example\na.example A 192.0.2.1")
    assert found(wanted(transport="UDP"), records) == [A]


def test_answers_of_the_wrong_kind_mean_nothing() -> None:
    want = wanted(transport="UDP")
    answers: Answers = {Question("SRV", "_sip._udp.e.example"): ("192.0.2.1",), Question("A", "e.example"): (Srv(1, 1, 1, "x"),)}
    assert next_questions(want, answers) == ()
    assert servers(want, answers, Random(1).randbytes) == ()
