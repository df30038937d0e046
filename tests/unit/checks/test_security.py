"""What docs/security.md says is shown by a test is the name of a test."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
NAMED = re.findall(r"`(tests/[a-z0-9_/]+\.py)(?:::(\w+))?`", (ROOT / "docs" / "security.md").read_text())


def test_every_test_it_names_is_there() -> None:
    assert len(NAMED) > 35
    missing = [
        f"{file}::{name}"
        for file, name in NAMED
        if not (ROOT / file).exists() or (name and not re.search(rf"(def|class) {name}\b", (ROOT / file).read_text()))
    ]
    assert missing == []


def test_twenty_one_mistakes_each_have_one() -> None:
    rows = re.findall(r"^\| (\d+) \|.*`tests/", (ROOT / "docs" / "security.md").read_text(), re.MULTILINE)
    assert [int(row) for row in rows] == list(range(1, 22))
