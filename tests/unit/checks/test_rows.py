"""The row check can fail, in every way it knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.rows import MATRIX, Matrix, by_group, named_by_tests, rows_of

ROWS = {"SYN-01": "M header names", "SYN-02": "S rows", "TMD-01": "P as SYN-01 and TXN-03"}


def matrix(missing: str = "", not_applicable: str = "", rows: dict[str, str] = ROWS) -> Matrix:
    reasons = dict.fromkeys(not_applicable.split(), "because")
    return Matrix(rows, {"TMD-01": frozenset({"SYN-01", "TXN-03"})}, reasons, frozenset(missing.split()))


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("test_SYN_01_case_and_folding", ["SYN-01"]),
        ("test_SDP_01_SDP_02_pairs", ["SDP-01", "SDP-02"]),
        ("test_TLS_02_03_identities", ["TLS-02", "TLS-03"]),
        ("test_SYN_03", ["SYN-03"]),
        ("test_BLK_02_603_network_blocked", ["BLK-02"]),
        ("test_SYN_011_is_none", []),
        ("test_an_offer_of_2_and_10_streams", []),
    ],
)
def test_a_name_tells_its_rows(name: str, rows: list[str]) -> None:
    assert rows_of(name) == rows


def test_tests_are_found_wherever_they_are(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/test_a.py").write_text("class TestA:\n    def test_SYN_01_a(self): ...\n\nasync def test_SYN_02_b(): ...\n")
    (tmp_path / "helper.py").write_text("def SYN_03_no_test(): ...\n# test_SYN_04_is_only_mentioned\n")
    assert named_by_tests(tmp_path) == {"SYN-01", "SYN-02"}


def test_a_row_without_a_test_is_named() -> None:
    named = {"SYN-01", "TXN-03"}
    assert list(matrix().violations(named)) == ["SYN-02 has no test: S rows"]
    assert list(matrix(missing="SYN-02").violations(named)) == []
    assert list(matrix(not_applicable="SYN-02").violations(named)) == []


def test_a_line_that_repeats_rows_has_a_test_when_all_of_them_have() -> None:
    assert list(matrix().violations({"SYN-01", "SYN-02"})) == ["TMD-01 has no test: P as SYN-01 and TXN-03"]
    assert list(matrix().violations({"SYN-01", "SYN-02", "TMD-01"})) == []


def test_the_list_of_missing_rows_only_shrinks() -> None:
    found = list(matrix(missing="SYN-02").violations({"SYN-01", "SYN-02", "TXN-03"}))
    assert found == ["SYN-02 has a test: take it off the list of missing ones"]


def test_what_contradicts_itself_is_named() -> None:
    named = {"SYN-01", "SYN-02", "TXN-03"}
    assert "SYN-02 is not applicable and yet" in next(matrix(not_applicable="SYN-02").violations(named))
    assert list(matrix(missing="SYN-99").violations(named)) == ["SYN-99 is no row"]
    assert list(matrix(missing="SYN-03", rows=ROWS | {"SYN-03": "Must do"}).violations(named)) == ["SYN-03 begins with none of M, S, P"]


def test_the_matrix_is_read_as_it_is_written() -> None:
    read = Matrix.read(MATRIX)
    assert len(read.rows) > 200
    assert all(isinstance(text, str) and len(text) >= 5 for text in [*read.rows.values(), *read.not_applicable.values()])


def test_gaps_are_printed_by_group() -> None:
    assert list(by_group(["DNS-01", "DNS-08", "TMD-01"])) == ["DNS 01 08", "TMD 01"]
