from __future__ import annotations

import pytest

from sbc.net.admission import Admission, Ticket, source_of
from sbc.net.limits import StreamLimits
from tests.unit.net.bench import OpenDoor

LIMITS = StreamLimits(connections=4, connections_per_source=2, handshakes=2, handshakes_per_source=1)


def admitted(admission: Admission, host: str, handshake: bool = False) -> Ticket:
    ticket = admission.admit(host, handshake)
    assert isinstance(ticket, Ticket)
    return ticket


def test_OVL_05_per_source_and_in_all() -> None:
    admission = Admission(LIMITS, lambda: 0.0, OpenDoor())
    first = admitted(admission, "192.0.2.1")
    admitted(admission, "192.0.2.1")
    assert admission.admit("192.0.2.1", False) == "connections"
    admitted(admission, "192.0.2.2")
    admitted(admission, "192.0.2.3")
    assert admission.admit("192.0.2.4", False) == "connections"
    first.leave()
    first.leave()
    admitted(admission, "192.0.2.4")
    assert admission.connections == 4


def test_OVL_05_handshakes() -> None:
    admission = Admission(LIMITS, lambda: 0.0, OpenDoor())
    first = admitted(admission, "192.0.2.1", True)
    assert admission.admit("192.0.2.1", True) == "handshakes"
    admitted(admission, "192.0.2.2", True)
    assert admission.admit("192.0.2.3", True) == "handshakes"
    first.shaken()
    first.shaken()
    third = admitted(admission, "192.0.2.3", True)
    third.leave()
    admitted(admission, "192.0.2.3", True)


def test_TLS_09_handshakes_of_a_source_have_a_rate() -> None:
    now = 0.0
    admission = Admission(StreamLimits(handshake_rate=2.0, handshake_burst=3.0), lambda: now, OpenDoor())
    for _ in range(3):
        admitted(admission, "192.0.2.1", True).leave()
    assert admission.admit("192.0.2.1", True) == "handshakes"
    admitted(admission, "192.0.2.1", False).leave()
    admitted(admission, "192.0.2.2", True).leave()
    now = 0.5
    admitted(admission, "192.0.2.1", True).leave()
    assert admission.admit("192.0.2.1", True) == "handshakes"


def test_WS_06_strangers_of_a_source_are_few() -> None:
    admission = Admission(StreamLimits(strangers_per_source=2), lambda: 0.0, OpenDoor())
    first, second = admitted(admission, "192.0.2.1"), admitted(admission, "192.0.2.1")
    assert admission.admit("192.0.2.1", False) == "strangers"
    admitted(admission, "192.0.2.2")
    first.proven()
    first.proven()
    admitted(admission, "192.0.2.1")
    second.leave()
    admitted(admission, "192.0.2.1")
    assert admission.admit("192.0.2.1", False) == "strangers"


def test_nothing_is_remembered_of_who_has_left() -> None:
    admission = Admission(StreamLimits(handshakes=500), lambda: 0.0, OpenDoor())
    tickets = [admitted(admission, f"10.0.{n // 256}.{n % 256}", n % 2 == 0) for n in range(1000)]
    for ticket in tickets:
        ticket.leave()
    assert admission.connections == 0
    assert admission._sources == {}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2%eth1", True),
    ],
)
def test_OVL_06_one_source(one: str, other: str, same: bool) -> None:
    assert (source_of(one) == source_of(other)) is same


def test_OVL_05_banned_comes_before_everything_else() -> None:
    door = OpenDoor()
    door.banned.add("192.0.2.1")
    admission = Admission(LIMITS, lambda: 0.0, door)
    assert admission.admit("192.0.2.1", handshake=True) == "banned"
    assert admission.connections == 0
    admitted(admission, "192.0.2.2")
