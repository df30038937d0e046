from __future__ import annotations

import json

import pytest

from sbc.clock import Now
from sbc.shield.bans import MAX_BANS, Ban, Bans
from sbc.shield.kept import read, written

NOW = Now(1000.0, 1_800_000_000.0)
LONGEST = 86_400.0


def imposed(*sources: str) -> Bans:
    bans = Bans()
    for source in sources:
        bans.impose(source, "scanner", 100.0, {"scanner": 1, "malformed": 2}, "connection", 300.0, LONGEST, NOW)
    return bans


def later(text: str, seconds: float, longest: float = LONGEST) -> list[Ban]:
    """In a process that began just then."""
    return read(text, longest, Now(5.0, NOW.wall + seconds))


def test_OVL_05_bans_outlive_a_restart() -> None:
    first, second = later(written(imposed("192.0.2.7", "2001:0db8:0000:0001").on(NOW.monotonic), NOW), 100)
    assert (second.source, first.source) == ("192.0.2.7", "2001:0db8:0000:0001")
    assert first.until == pytest.approx(5.0 + 200.0)
    assert (first.why, first.counts, first.proof, first.number) == ("scanner", {"scanner": 1, "malformed": 2}, "connection", 1)
    assert first.at == NOW.wall


def test_those_that_are_over_make_the_next_one_longer() -> None:
    restored = Bans()
    (over,) = later(written(imposed("192.0.2.7").on(NOW.monotonic), NOW), 3600)
    restored.restore(over)
    assert restored.at("192.0.2.7", 5.0) is None
    ban = restored.impose("192.0.2.7", "scanner", 100.0, {}, "digest", 300.0, LONGEST, Now(5.0, NOW.wall + 3600))
    assert (ban.number, ban.until - ban.since) == (2, 600.0)
    assert len(imposed("192.0.2.7").remembered(NOW.monotonic + 2 * LONGEST)) == 0


def test_a_clock_that_was_set_makes_none_longer() -> None:
    (ban,) = later(written(imposed("192.0.2.7").on(NOW.monotonic), NOW), -1_000_000, longest=600)
    assert ban.until == 5.0 + 600.0


def test_what_is_only_said_is_not_kept() -> None:
    bans = imposed("192.0.2.7")
    bans.shadow(bans.on(NOW.monotonic)[0])
    assert later(written(bans.on(NOW.monotonic), NOW), 1) == []


def test_their_number_is_bounded() -> None:
    (row,) = json.loads(written(imposed("192.0.2.7").on(NOW.monotonic), NOW))["bans"]
    assert len(later(json.dumps({"bans": [row] * (MAX_BANS + 5)}), 0)) == MAX_BANS


@pytest.mark.parametrize(
    "change",
    [
        {"source": "nobody"},
        {"source": None},
        {"why": "nothing"},
        {"proof": "hearsay"},
        {"did": {"walking": 1}},
        {"did": 7},
        {"until": "soon"},
        {"until": float("inf")},
        {"at": None},
        {"number": []},
    ],
)
def test_anything_else_is_refused(change: dict[str, object]) -> None:
    (row,) = json.loads(written(imposed("192.0.2.7").on(NOW.monotonic), NOW))["bans"]
    with pytest.raises(ValueError):  # noqa: PT011
        later(json.dumps({"bans": [row | change]}), 0)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"bans": 1}', '{"bans": [1]}', "[" * 100_000])
def test_and_so_is_what_is_no_list_of_bans(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        later(text, 0)


def test_nothing_is_nothing() -> None:
    assert later("", 0) == []
