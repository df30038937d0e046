"""The size check can fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.sizes import FILE_LINES, FUNCTION_LINES, violations


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for folder in ("sbc", "media", "tests"):
        (tmp_path / folder).mkdir()
    return tmp_path


def function(lines: int) -> str:
    return "def long():\n" + "    pass\n" * (lines - 1)


def test_what_just_fits_passes(tree: Path) -> None:
    (tree / "sbc/a.py").write_text(function(FUNCTION_LINES) + "#\n" * (FILE_LINES - FUNCTION_LINES))
    assert violations(tree) == []


def test_a_long_file_is_named(tree: Path) -> None:
    (tree / "tests/a.py").write_text("#\n" * (FILE_LINES + 1))
    assert violations(tree) == ["tests/a.py:1: 601 lines, 600 are allowed"]


def test_a_long_function_is_named_with_its_line(tree: Path) -> None:
    (tree / "media/a.py").write_text("\n" + function(FUNCTION_LINES + 1))
    assert violations(tree) == ["media/a.py:2: long has 61 lines, 60 are allowed"]


def test_a_long_function_is_allowed_in_tests(tree: Path) -> None:
    (tree / "tests/a.py").write_text(function(FUNCTION_LINES + 1))
    assert violations(tree) == []
