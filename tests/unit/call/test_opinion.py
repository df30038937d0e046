"""The E-model: the points of G.107 and G.113, and that more loss is never better."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from sbc.call.opinion import CODECS, WIDE, Impairment, listening_quality, opinion_score, rating

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[2] / "vectors" / "metrics" / "mos.json").read_text())


def delay_impairment(delay_ms: float) -> float:
    """Id of the points: they are of conversations, and ours of listening."""
    return 0.024 * delay_ms + (0.11 * (delay_ms - 177.3) if delay_ms > 177.3 else 0)


@pytest.mark.parametrize("point", VECTORS["emodel_points"])
def test_TRAP_09_points(point: dict[str, Any]) -> None:
    r = rating(Impairment(point["Ie"], point["Bpl"]), point["loss_pct"]) - delay_impairment(point["one_way_delay_ms"])
    assert r == pytest.approx(point["R"], abs=1e-3)
    assert opinion_score(r) == pytest.approx(point["MOS"], abs=1e-3)


@pytest.mark.parametrize("point", VECTORS["r_to_mos"])
def test_TRAP_09_scores(point: dict[str, float]) -> None:
    assert opinion_score(point["R"]) == pytest.approx(point["MOS"], abs=1e-3)


@pytest.mark.parametrize("codec", [*CODECS, *sorted(WIDE)])
def test_TRAP_09_the_score_falls_with_loss_all_the_way(codec: str) -> None:
    scores = [listening_quality(codec, 1000 - lost, lost) for lost in range(0, 990, 10)]
    assert all(score is not None and 1 <= score <= 4.5 for score in scores)
    assert all(more > less for more, less in pairwise(scores)), scores  # type: ignore[operator]


def test_TRAP_09_a_score_is_never_below_the_worst() -> None:
    assert [opinion_score(tenth / 10) for tenth in range(-20, 65)] == [1.0] * 85
    assert opinion_score(200) == 4.5


@pytest.mark.parametrize(("codec", "received"), [("L16", 1000), ("", 1000), ("T38", 1000), ("PCMA", 9)])
def test_TRAP_09_what_has_no_score(codec: str, received: int) -> None:
    assert listening_quality(codec, received, 0) is None
