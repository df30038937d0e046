"""Many policies in a short time, while calls go on. The long form: `python -m tests.bench.reloads`."""

from __future__ import annotations

from pathlib import Path

from tests.bench.reloads import soak

GROWTH = 8.0  # MiB: 32 s of transactions come to be remembered at that; what policies leave is counted in tests/unit/test_changes.py


def test_200_policies_under_calls(tmp_path: Path) -> None:
    outcome = soak(tmp_path / "sbc", reloads=200, seconds=15.0)
    assert outcome.applied == 200
    assert outcome.calls > 200
    assert outcome.crossed > 100, "no policy changed in the middle of a call"
    assert +outcome.lost == {}
    assert outcome.mixed == []
    assert outcome.growth < GROWTH, outcome.memory[:: len(outcome.memory) // 10]
