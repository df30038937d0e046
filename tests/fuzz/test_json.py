"""The same values to JSON in Python and in C: what C takes is written the same."""

from __future__ import annotations

import json
from enum import StrEnum

from hypothesis import given
from hypothesis import strategies as st

from sbc.native.octets import write_json
from tests.fuzz.mutate import CHEAP


class Kind(StrEnum):
    ONE = "one"


PLAIN = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters='"\\'))
NUMBERS = st.integers(-(2**70), 2**70) | st.integers(-9, 9) | st.floats()
SCALARS = st.none() | st.booleans() | NUMBERS | PLAIN | st.text() | st.just(Kind.ONE)
KEYS = PLAIN | st.text()
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(KEYS, inner) | st.dictionaries(st.integers(), inner, max_size=2)
    ),
)


def line(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"), default=str).encode() + b"\n"


@CHEAP
@given(VALUES)
def test_json(value: object) -> None:
    assert write_json(value) in (None, line(value))


def test_what_needs_no_escapes_is_taken() -> None:
    value: object = {"a": [None, True, False, 0, -1, 2**63 - 1, 4.0, 1e300, 5e-324, "x y", (), []], "b": {}}
    assert write_json(value) == line(value)
    for other in (2**63, float("inf"), '"', "\\", "ä", "\x7f", "\n", "\udcff", {1: 2}, Kind.ONE, b"", {1, 2}):
        assert write_json([other]) is None
    assert write_json("x" * 8189) is not None
    assert write_json("x" * 8190) is None


def test_what_is_nested_too_deep_is_left_to_python() -> None:
    value: list[object] = []
    for _ in range(8):
        value = [value]
    assert write_json(value) == line(value)
    assert write_json([value]) is None
    value.append(value)  # and what never ends is not begun
    assert write_json(value) is None
