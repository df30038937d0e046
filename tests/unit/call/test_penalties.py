"""DNS-08: what is remembered of servers is little, and does not grow."""

from __future__ import annotations

from sbc.call import peers, penalties
from sbc.call.penalties import Penalties
from sbc.clock import Now
from sbc.flow import Flow


def at(seconds: float) -> Now:
    return Now(seconds, 0.0)


def server(number: int) -> Flow:
    return Flow("inside", "UDP", ("10.1.0.1", 5060), (f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 5060))


def test_DNS_08_penalties_end() -> None:
    held = Penalties()
    held.failed(server(1), at(100.0))
    assert held.holds(server(1), at(129.9))
    assert not held.holds(server(1), at(130.0))
    assert not held.holds(server(1)._replace(transport="TCP"), at(101.0)), "another transport is another server"
    held.failed(server(1), at(130.0))
    assert held.holds(server(1), at(189.9))
    held.passed(server(1))
    assert not held.holds(server(1), at(131.0))
    held.passed(server(2))
    assert len(held) == 0


def test_DNS_08_a_penalty_goes_on_while_the_server_is_asked() -> None:
    held = Penalties()
    assert not held.is_over(server(1), at(0.0)), "it never had one"
    held.failed(server(1), at(0.0))
    assert not held.is_over(server(1), at(29.9))
    assert held.is_over(server(1), at(30.0))
    held.extend(server(1))
    assert held.holds(server(1), at(1e9))
    assert not held.is_over(server(1), at(1e9))
    held.failed(server(1), at(62.0))
    assert held.holds(server(1), at(121.9))
    assert held.is_over(server(1), at(122.0))


def test_DNS_08_penalties_are_between_half_a_minute_and_five() -> None:
    for retry_after, length in ((0.0, 30.0), (10.0, 30.0), (77.0, 77.0), (4e9, 300.0)):
        held = Penalties()
        held.failed(server(1), at(0.0), retry_after)
        assert held.holds(server(1), at(length - 0.1))
        assert not held.holds(server(1), at(length))


def test_DNS_08_the_penalty_list_is_bounded() -> None:
    held = Penalties()
    for number in range(penalties.REMEMBERED + 10):
        held.failed(server(number), at(0.0))
    assert len(held) == penalties.REMEMBERED
    assert not held.holds(server(9), at(1.0))
    assert held.holds(server(10), at(1.0))


def test_DNS_07_names_of_tls_servers_are_bounded() -> None:
    known = peers.Peers()
    for number in range(peers.SERVER_NAMES + 10):
        known.expect(f"host{number}.example", server(number))
        known.expect("host0.example", server(0))
    assert sum(known.expected(server(number)) != "" for number in range(peers.SERVER_NAMES + 10)) == peers.SERVER_NAMES
    assert known.expected(server(0)) == "host0.example", "what is in use is not forgotten"
    assert known.expected(server(1)) == ""
