"""Files and functions stay small enough to be read at one sitting: `python -m tests.checks.sizes`.

Prints what is too long as `file:line: …` and ends with 1. So does the media engine in C as a whole. Generated files are not looked at.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

FILE_LINES = 600
FUNCTION_LINES = 60  # from `def` to the last line, docstring included
ENGINE_LINES = 4000  # of the media engine in C, without XDP, empty lines and comments: what one person can know
ROOT = Path(__file__).parents[2]
WHOLE = ("sbc", "media")  # files and functions
FILES_ONLY = ("tests",)  # a ladder of forty messages is one function


def too_long(path: Path, name: str, functions: bool) -> Iterator[str]:
    text = path.read_text()
    lines = text.count("\n")
    if lines > FILE_LINES:
        yield f"{name}:1: {lines} lines, {FILE_LINES} are allowed"
    for node in ast.walk(ast.parse(text)) if functions else ():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            length = node.end_lineno - node.lineno + 1
            if length > FUNCTION_LINES:
                yield f"{name}:{node.lineno}: {node.name} has {length} lines, {FUNCTION_LINES} are allowed"


def violations(root: Path) -> list[str]:
    return [
        line
        for folder in WHOLE + FILES_ONLY
        for path in sorted((root / folder).rglob("*.py"))
        for line in too_long(path, str(path.relative_to(root)), folder in WHOLE)
    ]


def engine_too_long(root: Path) -> Iterator[str]:
    """Each file as a Python one; all of them together by their code."""
    files = sorted((root / "media/native").glob("*.[ch]"))
    for path in files:
        lines = path.read_text().count("\n")
        if lines > FILE_LINES:
            yield f"{path.relative_to(root)}:1: {lines} lines, {FILE_LINES} are allowed"
    code = sum(code_lines(path.read_text()) for path in files)
    if code > ENGINE_LINES:
        yield f"media/native:1: {code} lines of code, {ENGINE_LINES} are allowed"


def code_lines(text: str) -> int:
    """Lines of C with something on them that is no comment."""
    text = re.sub(r"/\*.*?\*/", lambda comment: "\n" * comment.group().count("\n"), text, flags=re.DOTALL)
    return sum(1 for line in text.splitlines() if line.partition("//")[0].strip())


def main() -> int:
    found = [*violations(ROOT), *engine_too_long(ROOT)]
    print("\n".join(found) or "sizes: fine")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
