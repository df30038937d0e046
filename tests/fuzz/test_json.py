"""The same values to JSON in Python and in C: what C takes is written the same."""

from __future__ import annotations

import json
from enum import StrEnum
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.native.octets import holds_any, write_json, write_steps
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


class Letter:
    """What is sent."""

    def __init__(self, octets: object, way: object, key: object = "k", name: object = "") -> None:
        self.octets, self.way, self.key, self.name = octets, way, key, name


LETTER = (Letter, "octets", "way", "key", "name")
AT = ((1.0, 2.0), 0.0)
PAIR: dict[type, tuple[str, tuple[str, ...]]] = {Pair: ("Pair", ("one", "two"))}


def written(steps: list[object], given: list[object], effects: list[object]) -> tuple[bytes | None, list[str], list[bytes], set[str]]:
    ways: list[str] = []
    messages: list[bytes] = []
    met: dict[str, tuple[str, ...]] = {}
    text = write_steps(steps, given, effects, LETTER, ways, messages, PAIR, met, lambda value: b"[0]" if value == b"0" else len(str(value)))
    return text, ways, messages, set(met)


@CHEAP
@given(VALUES, VALUES)
def test_steps(one: object, two: object) -> None:
    def default(value: object) -> object:
        return [None, "Pair", value.one, value.two] if isinstance(value, Pair) else [0] if value == b"0" else len(str(value))

    way, same = "a way", "".join(["a ", "way"])
    times = [(1.5, -0.0), (float("inf"), 5e-324), (0.1, 2.0)]
    steps: list[object] = [None, b"in", way, times[0], float("-inf"), 1, 3, ""]
    steps += [Pair(one, Pair(two, b"0")), b"", None, times[1], 3.0, 2, 3, "Fault"]
    steps += [None, b"", None, times[2], 4, 2, 4, ""]
    given: list[object] = [one, b"four"]
    effects: list[object] = [Letter(b"out", "another", "ä"), two, Letter(b"", same), [Pair(1, two)]]
    expected = [
        [[one], [0, 2], [[1, 3, "ä", ""], two, [0, 0, "k", ""]], ""],
        [[b"four"], steps[8], [], "Fault"],
        [[], None, [[Pair(1, two)]], ""],
    ]
    text, ways, messages, met = written(steps, given, effects)
    if text is not None:
        hexadecimal = pack("<9d", *times[0], float("-inf"), *times[1], 3.0, *times[2], 4.0).hex()
        told = json.dumps({"times": hexadecimal, "steps": expected}, separators=(",", ":"), default=default)
        assert text.decode() == told[1:-1]
        assert (ways, messages, met) == ([way, "another"], [b"in", b"out", b""], {"Pair"})
    else:
        assert write_json([[[[[[one, two]]]]]]) is None, "as deep as they stand in the steps"


@pytest.mark.parametrize(
    ("steps", "effects"),
    [
        pytest.param([Pair(1, 2), b"", None, *AT, 0, 0], [], id="not eight of each"),
        pytest.param([1, b"", None, (1.0,), 0.0, 0, 0, ""], [], id="one clock"),
        pytest.param([1, b"", None, 1.0, 0.0, 0, 0, ""], [], id="no tuple of clocks"),
        pytest.param([1, b"", None, (1.0, 2.0), "now", 0, 0, ""], [], id="an instant that is no number"),
        pytest.param([Pair(1, 2), b"", None, *AT, 1, 0, ""], [], id="more given than there is"),
        pytest.param([Pair(1, 2), b"", None, *AT, 0, 2, ""], [1], id="more effects than there are"),
        pytest.param([1, b"", None, *AT, 0, 1, "", 1, b"", None, *AT, 0, 0, ""], [1], id="an end before the one before"),
        pytest.param([1, b"", None, *AT, 0, -1, ""], [1], id="an end before the start"),
        pytest.param([1, b"", None, *AT, 0, "1", ""], [1], id="an end that is no number"),
        pytest.param([1, "", "way", *AT, 0, 0, ""], [], id="a message that is no octets"),
        pytest.param([1, b"", None, *AT, 0, 1, ""], [Letter("", "way")], id="no octets to send"),
        pytest.param([1, b"", None, *AT, 0, 1, ""], [Letter(b"", "way", 1)], id="a key that is no text"),
        pytest.param([1, b"", None, *AT, 0, 0, None], [], id="no fault"),
    ],
)
def test_steps_of_another_form_are_left_to_python(steps: list[object], effects: list[object]) -> None:
    assert written(steps, [], effects)[0] is None


def test_a_value_without_one_of_its_fields_is_left_to_python() -> None:
    steps: list[object] = [Pair(1, 2), b"", None, *AT, 0, 0, ""]
    assert write_steps(steps, [], [], LETTER, [], [], {Pair: ("Pair", ("three",))}, {}, str) is None
    assert write_steps(steps, [], [], LETTER[:-1], [], [], PAIR, {}, str) is None


@CHEAP
@given(st.binary(max_size=300), st.integers(0, 300), st.sampled_from((b"inline:", b"INLINE:", b"InLine:", b"inline", b"nline:")))
def test_signs(text: bytes, place: int, piece: bytes) -> None:
    text = text[:place] + piece + text[place:]
    for signs in ((b"inline:",), (b"zz", b"inline:")):
        for start in (0, min(place, len(text)), len(text)):
            assert holds_any(text, signs, start) == any(sign in text[start:].lower() for sign in signs)


@pytest.mark.parametrize("start", [-1, 4])
def test_signs_from_elsewhere(start: int) -> None:
    with pytest.raises(ValueError, match="not within"):
        holds_any(b"abc", (b"c",), start)
