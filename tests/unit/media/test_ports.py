from __future__ import annotations

import random
from itertools import pairwise

import pytest

from media.api import Interface, MediaError, PortsExhausted
from media.ports import LEAST_QUARANTINE, QUARANTINE, Choice, PortPool


def pool(first: int, last: int) -> PortPool:
    return PortPool(Interface("127.0.0.1", first, last), random.Random(1).randrange)


def all_of(ports: PortPool, now: float = 0.0) -> list[int]:
    taken = []
    while True:
        try:
            taken.append(ports.take(now))
        except PortsExhausted:
            return taken


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [(10, 15, [10, 12, 14]), (10, 14, [10, 12]), (9, 13, [10, 12]), (9, 12, [10]), (65534, 65535, [65534])],
)
def test_even_ports_whose_neighbour_is_in_the_range(first: int, last: int, expected: list[int]) -> None:
    assert sorted(all_of(pool(first, last))) == expected


@pytest.mark.parametrize(("first", "last"), [(10, 10), (11, 12), (20, 10), (-4, 10), (65534, 65536), (0, 10)])
def test_ranges_without_a_port(first: int, last: int) -> None:
    with pytest.raises(MediaError):
        pool(first, last)


def test_RTP_09_ports_are_drawn_at_random() -> None:
    drawn = all_of(pool(20000, 20999))
    assert len(set(drawn)) == 500
    assert drawn != sorted(drawn)
    assert sum(abs(one - other) == 2 for one, other in pairwise(drawn)) < 10


def test_RTP_09_a_released_port_rests() -> None:
    ports = pool(10, 13)
    first, second = ports.take(0), ports.take(0)
    ports.release(first, 100)
    ports.release(second, 100 + QUARANTINE - 1)
    assert ports.take(100 + QUARANTINE) == first
    with pytest.raises(PortsExhausted):
        ports.take(100 + QUARANTINE)


def test_RTP_09_under_pressure_the_longest_rested_comes_first() -> None:
    ports = pool(10, 15)
    order = all_of(ports)
    for number, port in enumerate(order):
        ports.release(port, float(number))
    with pytest.raises(PortsExhausted):
        ports.take(LEAST_QUARANTINE - 0.1)
    assert [ports.take(LEAST_QUARANTINE + number) for number in range(3)] == order


def test_a_clean_port_goes_before_a_resting_one() -> None:
    ports = pool(10, 13)
    first = ports.take(0)
    ports.release(first, 0)
    assert ports.take(10) != first


def test_given_back_ports_are_clean() -> None:
    ports = pool(10, 11)
    ports.give_back(ports.take(0))
    assert ports.take(0) == 10


def test_a_choice_takes_every_number_below_about_as_often_as_any_other() -> None:
    drawn = [0] * 7
    choice = Choice(random.Random(1).randbytes)
    for _ in range(70_000):
        drawn[choice(7)] += 1
    assert all(9_500 < count < 10_500 for count in drawn)


def test_a_choice_reaches_both_ends() -> None:
    assert [Choice(lambda size: b"\0" * size)(65535), Choice(lambda size: b"\xff" * size)(65535)] == [0, 65534]
