"""Every row of the compliance matrix has a test that names it: `python -m tests.checks.rows`.

Prints the rows that are known to have none, then whatever is wrong with tests/vectors/rows.yaml, and ends with 1 if
anything is. A test names its rows in its own name: `test_SYN_01_…`, `test_SDP_01_SDP_02_…`, `test_TLS_02_03_…`.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
MATRIX = ROOT / "tests" / "vectors" / "rows.yaml"
STRENGTHS = ("M", "S", "P")

_rows_of_a_name = re.compile(r"_([A-Z]+)((?:_[0-9]{2})+)(?![0-9])").findall


@dataclass(frozen=True)
class Matrix:
    """rows.yaml, which says what each part means."""

    rows: Mapping[str, str]
    repeated_by: Mapping[str, frozenset[str]]
    not_applicable: Mapping[str, str]
    missing: frozenset[str]

    @classmethod
    def read(cls, path: Path) -> Matrix:
        parts = yaml.safe_load(path.read_text())
        return cls(
            rows=parts["rows"],
            repeated_by={row: frozenset(others) for row, others in parts["repeated_by"].items()},
            not_applicable=parts["not_applicable"],
            missing=frozenset(parts["missing"]),
        )

    def proved(self, named: set[str]) -> frozenset[str]:
        """The rows with a test, given those that tests name."""
        return frozenset(self.rows.keys() & (named | {row for row, others in self.repeated_by.items() if others <= named}))

    def violations(self, named: set[str]) -> Iterator[str]:
        """What is wrong with the matrix, given the rows that tests name."""
        proved = self.proved(named)
        for row, text in self.rows.items():
            if text.partition(" ")[0] not in STRENGTHS:
                yield f"{row} begins with none of {', '.join(STRENGTHS)}"
            if row not in proved | self.missing | self.not_applicable.keys():
                yield f"{row} has no test: {text}"
        for row in sorted(self.missing & proved):
            yield f"{row} has a test: take it off the list of missing ones"
        for row in sorted(self.not_applicable.keys() & (proved | self.missing)):
            yield f"{row} is not applicable and yet has a test or a place among the missing"
        for row in sorted(self.missing.union(self.not_applicable, self.repeated_by) - self.rows.keys()):
            yield f"{row} is no row"


def rows_of(name: str) -> list[str]:
    """The rows in the name of a test."""
    return [f"{group}-{number}" for group, numbers in _rows_of_a_name(name) for number in numbers.split("_")[1:]]


def named_by_tests(folder: Path) -> set[str]:
    """The rows in the names of all tests below `folder`."""
    return {
        row
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
        for row in rows_of(node.name)
    }


def by_group(rows: Iterable[str]) -> Iterator[str]:
    """`DNS 01 02 03`: the rows of a group on one line, in their order."""
    groups: dict[str, list[str]] = {}
    for row in rows:
        group, _, number = row.partition("-")
        groups.setdefault(group, []).append(number)
    return (f"{group} {' '.join(numbers)}" for group, numbers in groups.items())


def main() -> int:
    matrix = Matrix.read(MATRIX)
    named = named_by_tests(ROOT / "tests")
    found = list(matrix.violations(named))
    for line in by_group(row for row in matrix.rows if row in matrix.missing):
        print(f"rows without a test: {line}")
    print("\n".join(found) or f"rows: {len(matrix.proved(named))} of {len(matrix.rows)} have a test")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
