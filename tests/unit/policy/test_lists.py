"""Files of numbers: what a line may be, what is said of others, and that lists without order and with overlaps are found in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.policy.lists import MAX_PROBLEMS, numbers_listed
from sbc.policy.numbering import numbers_of
from tests.unit.policy.conftest import MINIMAL, Folder

DNO = """trunks:
  office: {realm: outside, media: plain, accept_from: [127.0.0.9], blocks_from: [dno]}
blocks:
  dno: {file: dno.txt, answer: 403}
"""
LIST = "# nobody calls from these\n\n+4930123456  # the bank\r\n+493012300-+493012399\n+493012350-+493012420\n+4990*\n+4930123456\n"


def test_a_file_of_numbers(folder: Folder) -> None:
    (folder.path / "dno.txt").write_text(LIST)
    first = folder.load(MINIMAL + DNO).snapshot
    (block,) = first.trunks["office"].headers.blocks_from
    for number, listed in (("+4930123456", True), ("+493012300", True), ("+493012420", True), ("+493012421", False), ("+49901", True)):
        assert block.has(number) is listed
    assert not block.has("alice")
    (folder.path / "dno.txt").write_text("+4930123457\n")
    assert folder.load(MINIMAL + DNO).snapshot.digest != first.digest, "another list is another policy"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("+4930123456\n030123\n", "dno.txt:2:1: '030123': write a number in full"),
        ("+493-+491\n", "dno.txt:1:1: '+493-+491': the range ends before it begins"),
        (b"\xff\n", "a.yaml:10:15: blocks.dno.file: "),
    ],
)
def test_a_line_that_is_none_is_an_error_with_its_number(folder: Folder, text: str | bytes, says: str) -> None:
    (folder.path / "dno.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    (error,) = folder.errors(MINIMAL + DNO)
    assert error.startswith(says)


def test_what_else_is_wrong_with_a_list(folder: Folder) -> None:
    assert "dno.txt: No such file or directory" in folder.errors(MINIMAL + DNO)[0]
    (folder.path / "dno.txt").write_text("x\n" * 1000)
    assert len(folder.errors(MINIMAL + DNO)) == MAX_PROBLEMS
    assert "blocks nobody: give 'callers', or a 'file' of them" in folder.errors(MINIMAL + "blocks: {dno: {answer: 403}}\n")[0]
    (folder.path / "dno.txt").write_text(LIST)
    assert "did you mean 'dno'?" in folder.errors(MINIMAL + DNO.replace("[dno]", "[dnr]"))[0]


@given(st.lists(st.tuples(st.integers(10, 99), st.integers(0, 30)), max_size=20), st.integers(10, 99))
def test_a_number_is_listed_when_a_line_has_it(ranges: list[tuple[int, int]], number: int) -> None:
    lines = [(first, min(first + more, 99)) for first, more in ranges]
    listed = numbers_listed([numbers_of(f"+{first}-+{last}") for first, last in lines])
    assert (listed.owner_of(f"+{number}") is not None) == any(first <= number <= last for first, last in lines)
