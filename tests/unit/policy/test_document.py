"""The traps of YAML, and the place of every mistake."""

from __future__ import annotations

import pytest

from sbc.policy.document import MAX_DEPTH, Document


def read(*texts: str | bytes) -> Document:
    document = Document("policies")
    for name, text in zip("ab", texts, strict=False):
        document.read(f"{name}.yaml", text.encode() if isinstance(text, str) else text)
    return document


def problems(*texts: str | bytes) -> list[str]:
    return [str(problem) for problem in read(*texts).problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("+4420", "+4420"),
        ("0044", "0044"),
        ("22:30", "22:30"),
        ("NO", "NO"),
        ("yes", "yes"),
        ("off", "off"),
        ("0x10", "0x10"),
        ("1.5", "1.5"),
        ("1e3", "1e3"),
        ("2024-01-01", "2024-01-01"),
        ("~", "~"),
        ("-5", "-5"),
        ("1" * 16, "1" * 16),
        ("112", 112),
        ("0", 0),
        ("true", True),
        ("false", False),
        ("'112'", "112"),
        ('"true"', "true"),
        ("True", "True"),
    ],
)
def test_only_true_false_and_plain_decimals_are_not_text(text: str, value: object) -> None:
    assert read(f"key: {text}").plain() == {"key": value}


def test_keys_are_always_text() -> None:
    assert read("112: a\ntrue: b").plain() == {"112": "a", "true": "b"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3", "a.yaml:3:1: a: is already defined at a.yaml:1"),
        ("a: {b: 1, b: 2}", "a.yaml:1:11: a.b: is already defined at a.yaml:1"),
        ("a: &x 1", "a.yaml:1:4: a: anchors ('&') are not part"),
        ("a: *x", "a.yaml:1:4: a: aliases are not part"),
        ("a: *", "a.yaml:1:5: not YAML: while scanning an alias"),
        ("a: !!str 1", "a.yaml:1:4: a: tags ('!') are not part"),
        ("a: !x {b: 1}", "a.yaml:1:4: a: tags ('!') are not part"),
        ("<<: {a: 1}", "a.yaml:1:1: merge keys"),
        ("a:\n  b:", "a.yaml:2:5: a.b: has no value"),
        ("a: null", "a.yaml:1:4: a: has no value"),
        ("[a]: 1", "a.yaml:1:1: a key is text"),
        ("- a", "a.yaml:1:1: a policy file is a mapping"),
        ("a: 1\n---\nb: 1", "a.yaml:2:1: a second document"),
        ("\ta: 1", "a.yaml:1:1: not YAML"),
        ("a: [1", "a.yaml:2:1: not YAML"),
        ("a: x\n  y: 1\x07", "a.yaml:2:7: control characters"),
        (b"a: b\nc: \xe9", "a.yaml:2:4: is not UTF-8"),
        ("a: " + "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), f"a.yaml:1:{MAX_DEPTH + 4}: is nested more than {MAX_DEPTH}"),
    ],
)
def test_what_is_refused_and_where(text: str | bytes, expected: str) -> None:
    found = problems(text)
    assert found
    assert found[0].startswith(expected)


def test_a_name_in_two_files_names_both() -> None:
    assert problems("trunks:\n  x: {a: 1}", "trunks:\n\n  x: {a: 2}") == ["b.yaml:3:3: trunks.x: is already defined at a.yaml:2"]


def test_sections_merge_and_lists_are_joined_in_the_order_of_the_files() -> None:
    document = read("version: 1\ntrunks: {a: 1}\nroutes: [x]", "version: 1\ntrunks: {b: 2}\nroutes: [y]")
    assert document.plain() == {"version": 1, "trunks": {"a": 1, "b": 2}, "routes": ["x", "y"]}
    assert str(document.place(("routes", 1))) == "b.yaml:3"
    assert not document.problems


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "---\n", "\ufeffversion: 1\n"])
def test_empty_files_and_byte_order_marks_are_no_problem(text: str) -> None:
    assert problems(text) == []


def test_the_place_of_what_is_missing_is_its_owner() -> None:
    document = read("a:\n  b: {c: 1}")
    assert document.place(("a", "b", "missing"))[1:] == (2, 3)
    assert document.place(("a", "b", "c"))[1:] == (2, 10)
    assert document.trim(("a", "b", "missing", "deeper")) == ("a", "b")
