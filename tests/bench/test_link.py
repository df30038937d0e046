"""The bench of calls by a link, in short: nothing of it is lost. What it says of opinions and CPU needs more calls."""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.bench.link import measure, problems
from tests.unit.net.bench import run


def test_calls_by_a_link_on_a_bad_way_and_without_one(tmp_path: Path) -> None:
    options = argparse.Namespace(calls=3, seconds=2.5, loss=0.02, delay=0.03, jitter=0.005)
    outcomes = run(measure(tmp_path, options), seconds=90.0)
    assert [each for each in problems(outcomes, options) if "score" not in each] == []
    assert len(outcomes[0].recorded) == 6
    assert all(cpu > 0 for outcome in outcomes for cpu in outcome.cpu.values())
