from __future__ import annotations

import time

import pytest

from sbc.clock import Ids
from sbc.system import SystemClock, SystemIds


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
