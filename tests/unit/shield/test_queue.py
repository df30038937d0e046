"""Who is served first, how time is shared, and what has waited too long."""

from __future__ import annotations

import pytest

from sbc.flow import Flow
from sbc.shield.acquaintances import REMEMBERED, Acquaintances
from sbc.shield.queue import INTERVAL_S, OLDEST_S, ROOM, SHARES, TARGET_S, Queue, Rank

SHARED = tuple(SHARES)


def filled(*ranks: Rank, count: int = 1) -> Queue[str]:
    queue: Queue[str] = Queue()
    for number in range(count):
        for rank in ranks:
            assert queue.put(f"{rank.name} {number}", rank, 0.0)
    return queue


def test_OVL_03_in_dialog_then_emergencies_before_everything() -> None:
    queue = filled(*reversed(Rank), count=2)
    order = [queue.take(0.0) for _ in range(4)]
    assert [taken[0] for taken in order if taken] == ["FIRST 0", "FIRST 1", "URGENT 0", "URGENT 1"]
    assert queue.put("FIRST late", Rank.FIRST, 0.0)
    taken = queue.take(0.0)
    assert taken is not None
    assert taken[0] == "FIRST late", "whatever waits"


def test_each_rank_has_its_share_of_the_time_and_not_of_the_messages() -> None:
    queue = filled(*SHARED, count=2000)
    cost = {Rank.TRUNK: 0.0004, Rank.AUTHENTICATED: 0.0001, Rank.SEEN: 0.0003, Rank.PLEA: 0.0005, Rank.UNKNOWN: 0.0002}
    spent = dict.fromkeys(SHARED, 0.0)
    while sum(spent.values()) < 0.3:
        taken = queue.take(0.0)
        assert taken is not None
        _, rank, _ = taken
        queue.charge(rank, cost[rank])
        spent[rank] += cost[rank]
    for rank in SHARED:
        assert spent[rank] == pytest.approx(0.3 * SHARES[rank] / sum(SHARES.values()), abs=0.001), rank


def test_time_nobody_wanted_is_not_saved_up() -> None:
    queue = filled(Rank.TRUNK, count=1000)
    for _ in range(500):
        queue.take(0.0)
        queue.charge(Rank.TRUNK, 0.001)
    for number in range(500):
        queue.put(f"late {number}", Rank.UNKNOWN, 0.0)
    ranks = []
    for _ in range(90):
        taken = queue.take(0.0)
        assert taken is not None
        queue.charge(taken[1], 0.001)
        ranks.append(taken[1])
    assert ranks.count(Rank.UNKNOWN) == pytest.approx(10, abs=1)


def lateness(*phases: tuple[float, float]) -> list[list[bool]]:
    """Of a line of which one is taken each millisecond: what was late in each phase, which has a delay and a length."""
    queue: Queue[str] = Queue()
    now = 1.0
    queue.put("x", Rank.TRUNK, now - phases[0][0])
    late: list[list[bool]] = []
    for delay, seconds in phases:
        late.append([])
        for _ in range(round(seconds * 1000)):
            now += 0.001
            queue.put("x", Rank.TRUNK, now - delay)  # it is the next to be taken, in a millisecond
            taken = queue.take(now)
            assert taken is not None
            late[-1].append(taken[2])
    return late


def test_RFC_8289_a_burst_is_served_whole_and_a_standing_line_is_not() -> None:
    (late,) = lateness((2 * TARGET_S, 2 * INTERVAL_S))
    first = late.index(True)
    assert first / 1000 == pytest.approx(INTERVAL_S, abs=0.002)
    assert all(late[first:]), "all of them, for calls do not slow down for one that is lost"


def test_an_overload_is_not_over_because_its_late_ones_have_gone() -> None:
    overload = (2 * TARGET_S, 2 * INTERVAL_S)
    again = (1.2 * TARGET_S, 0.01)
    *_, late = lateness(overload, (0.8 * TARGET_S, 0.05), again)
    assert any(late), "no second interval of grace"
    *_, late = lateness(overload, (0.3 * TARGET_S, 0.05), again)
    assert not any(late)


def test_what_was_begun_is_never_late_and_what_was_repeated_meanwhile_always_is() -> None:
    queue = filled(Rank.FIRST, Rank.URGENT, Rank.TRUNK)
    late = [taken[2] for taken in (queue.take(OLDEST_S) for _ in range(3)) if taken]
    assert late == [False, False, True]


def test_memory_is_bounded() -> None:
    queue: Queue[int] = Queue()
    kept = sum(queue.put(number, Rank.UNKNOWN, 0.0) for number in range(ROOM + 100))
    assert kept == len(queue) == ROOM
    assert queue.put(0, Rank.TRUNK, 0.0), "the room of strangers is theirs alone"


def source(number: int) -> Flow:
    return Flow("outside", "UDP", ("10.0.0.1", 5060), (f"10.{number // 65536}.{number // 256 % 256}.{number % 256}", 5060))


def test_acquaintances_only_rise_and_are_bounded() -> None:
    known = Acquaintances()
    known.note(source(0), Rank.SEEN)
    known.note(source(0), Rank.AUTHENTICATED)
    known.note(source(0), Rank.SEEN)
    assert known.rank(source(0)) == Rank.AUTHENTICATED
    assert known.rank(source(0)._replace(realm="inside")) == Rank.UNKNOWN
    for number in range(1, REMEMBERED + 1):
        known.note(source(number), Rank.SEEN)
    assert len(known) == REMEMBERED
    assert known.rank(source(0)) == Rank.UNKNOWN
    assert known.rank(source(REMEMBERED)) == Rank.SEEN
