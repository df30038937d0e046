"""What share peers are asked to spare us, in a loop with peers that do."""

from __future__ import annotations

import pytest

from sbc.shield.gauge import AIM, MOST, Gauge


def after(gauge: Gauge, offered: float, looks: int) -> list[tuple[float, float]]:
    """Of a server that can do 100 requests in a look: what came and what was turned away in each, peers heeding what they hear."""
    seen = []
    for _ in range(looks):
        comes = offered * (1 - gauge.share)
        refused = max(0.0, comes - 100)
        gauge.look(min(1.0, comes / 100), round(comes - refused), round(refused))
        seen.append((comes, refused))
    return seen


@pytest.mark.parametrize("offered", [120.0, 300.0, 1000.0])
def test_OVL_01_peers_that_heed_it_spare_us_nearly_all_refusals(offered: float) -> None:
    gauge = Gauge()
    after(gauge, offered, 20)
    seen = after(gauge, offered, 200)
    assert sum(refused for _, refused in seen) < 0.03 * sum(comes for comes, _ in seen)
    assert sum(min(comes, 100) for comes, _ in seen) / len(seen) > 80, "and we are still busy"


def test_nothing_is_asked_for_while_there_is_room() -> None:
    gauge = Gauge()
    assert {gauge.look(load / 100, 80, 0) for load in range(int(100 * AIM))} == {0}


def test_relief_is_asked_for_before_anything_is_refused_but_not_for_one_moment() -> None:
    gauge = Gauge()
    assert [gauge.look(load, 97, 0) for load in (0.97, 0.85, 0.97)] == [0, 0, 0]
    assert gauge.look(0.97, 97, 0) == round(100 * (1 - AIM / 0.97))


def test_it_is_over_some_seconds_after_the_load_has_gone() -> None:
    gauge = Gauge()
    gauge.look(1.0, 50, 50)
    shares = [gauge.look(0.3, 30, 0) for _ in range(100)]
    assert shares == sorted(shares, reverse=True)
    assert shares[3] > 35, "not at once, or it would begin anew"
    assert shares[-1] == 0


def test_it_never_asks_for_everything() -> None:
    gauge = Gauge()
    for _ in range(20):
        gauge.look(1.0, 1, 1000)
    assert gauge.share == MOST
