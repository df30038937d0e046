"""The same values to JSON in Python and in C: what C takes is written the same."""

from __future__ import annotations

import json
from enum import StrEnum

from hypothesis import given
from hypothesis import strategies as st

from sbc.native.octets import holds_any, write_json, write_values
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


def test_what_is_usual_is_taken() -> None:
    numbers: list[object] = [0, -1, 2**63 - 1, -(2**63), 4.0, 1e300, 5e-324]
    texts = [
        '"',
        "\\",
        "ä",
        "\x7f",
        "\x1f",
        "\n\r\t\f\b",
        "\udcff",
        "\U0001f600",
        "1234567ä",
        "1234567\n",
        "12345678\x7f",
        "1234567~",
        Kind.ONE,
    ]
    value: object = {"a": [None, True, False, *numbers, *texts, "x y", (), []], "b": {}, "ä": {-1: 2}}
    assert write_json(value) == line(value)
    for other in (2**63, float("inf"), {1.5: 2}, {None: 2}, b"", {1, 2}):
        assert write_json([other]) is None
    assert write_json("x" * 8189) is not None
    assert write_json("x" * 8190) is None


def test_what_is_nested_too_deep_is_left_to_python() -> None:
    value: list[object] = []
    for _ in range(16):
        value = [value]
    assert write_json(value) == line(value)
    assert write_json([value]) is None
    value.append(value)  # and what never ends is not begun
    assert write_json(value) is None


class Pair:
    """A value, and something of it that is not told."""

    def __init__(self, one: object, two: object) -> None:
        self.one, self.two = one, two


@CHEAP
@given(VALUES, VALUES)
def test_values_of_ours(one: object, two: object) -> None:
    def other(value: object) -> object:
        assert isinstance(value, bytes)
        return len(value)

    def default(value: object) -> object:
        return [None, "Pair", value.one, value.two] if isinstance(value, Pair) else other(value)

    value = [Pair(one, b"1234"), {"two": Pair(two, Pair(1, b""))}]
    met: dict[str, tuple[str, ...]] = {}
    expected = json.dumps(value, separators=(",", ":"), default=default).encode()
    assert write_values(value, {Pair: ("Pair", ("one", "two"))}, met, other) in (None, expected)
    assert met == {"Pair": ("one", "two")}


def test_a_value_without_one_of_its_fields_is_left_to_python() -> None:
    assert write_values([Pair(1, 2)], {Pair: ("Pair", ("three",))}, {}, str) is None


@CHEAP
@given(st.binary(max_size=300), st.integers(0, 300), st.sampled_from((b"inline:", b"INLINE:", b"InLine:", b"inline", b"nline:")))
def test_signs(text: bytes, place: int, piece: bytes) -> None:
    text = text[:place] + piece + text[place:]
    for signs in ((b"inline:",), (b"zz", b"inline:")):
        assert holds_any(text, signs) == any(sign in text.lower() for sign in signs)
