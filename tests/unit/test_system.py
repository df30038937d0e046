from __future__ import annotations

import time

import pytest

from sbc.clock import Ids
from sbc.system import SystemClock, SystemIds, ThreadTime


def test_identifiers_start_with_their_owner_and_never_repeat() -> None:
    ids: Ids = SystemIds(node=0x2A, worker=7)
    for make, start in ((ids.tag, "2a07"), (ids.branch, "z9hG4bK2a07"), (ids.call_id, "2a07")):
        made = [make() for _ in range(2000)]
        assert len(set(made)) == 2000
        assert {len(each) for each in made} == {len(made[0])}
        assert all(each.startswith(start) and each.isalnum() for each in made)
    assert len(ids.tag()) >= 4 + 16
    assert len(ids.random(30)) == 30
    assert ids.random(16) != ids.random(16)


def test_owners_are_bounded() -> None:
    with pytest.raises(ValueError, match="0 to 255"):
        SystemIds(node=256)


def test_the_clock_is_that_of_the_machine() -> None:
    before = time.monotonic()
    now = SystemClock().now()
    assert before <= now.monotonic <= time.monotonic()
    assert abs(now.wall - time.time()) < 1


def test_time_of_a_thread_is_what_it_works_not_what_it_sleeps() -> None:
    spent = ThreadTime()
    before, began = spent.seconds(), time.monotonic()
    while time.monotonic() - began < 0.05:
        pass
    worked = spent.seconds() - before
    assert 0.03 < worked < 0.2, "waiting for the processor counts, too"
    before = spent.seconds()
    time.sleep(0.05)
    assert spent.seconds() - before < 0.04
