"""The bench of identity in short: what is signed by one SBC at 50 calls a second is verified by another, every call, and costs little."""

from __future__ import annotations

from pathlib import Path

from tests.bench.identity import cost, measure

MOST_US = 2000  # of either, on a machine that is busy; 30 and 80 are usual


def test_STI_07_fifty_signed_and_verified_calls_a_second(tmp_path: Path) -> None:
    found = measure(tmp_path, 50.0, 3.0, identity=True)
    assert found.load.completed == found.load.offered == found.signed == found.passed == 150


def test_what_a_signature_costs(tmp_path: Path) -> None:
    found = cost(tmp_path, 50)
    assert found.sign_us < MOST_US
    assert found.verify_us < MOST_US
