"""The size check can fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.sizes import ENGINE_LINES, FILE_LINES, FUNCTION_LINES, code_lines, engine_too_long, violations


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


def test_a_long_engine_is_told_of_by_its_code(tree: Path) -> None:
    (tree / "media/native").mkdir()
    for number in range(ENGINE_LINES // FILE_LINES):
        (tree / f"media/native/{number}.c").write_text("x\n" * FILE_LINES)
    (tree / "media/native/rest.h").write_text("x\n" * (ENGINE_LINES % FILE_LINES) + "\n/* no\n code */\n")
    assert list(engine_too_long(tree)) == []
    (tree / "media/native/one.c").write_text("x;\n")
    assert list(engine_too_long(tree)) == ["media/native:1: 4001 lines of code, 4000 are allowed"]


def test_a_long_file_in_C_is_named(tree: Path) -> None:
    (tree / "media/native").mkdir()
    (tree / "media/native/a.c").write_text("/**/\n" * (FILE_LINES + 1))
    assert list(engine_too_long(tree)) == ["media/native/a.c:1: 601 lines, 600 are allowed"]


def test_comments_are_no_code() -> None:
    assert code_lines("a; /* b */\n/* c\n * d */ e;\n\n// f\n  /* g */\n") == 2
