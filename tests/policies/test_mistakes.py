"""YAML's own traps do not work here, and whatever is mistyped is an error on the line where it stands."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from sbc import devcerts
from sbc.policy.document import Document, Items, Node, Scalar, Table
from sbc.policy.load import load_policy
from sbc.policy.problems import Path as Keys
from sbc.policy.problems import Place, PolicyErrors, Problem

HERE = Path(__file__).parent
TEXTS = {
    "routing": (HERE / "golden" / "routing" / "sbc.yaml").read_text(),
    "media": (HERE / "golden" / "media" / "sbc.yaml").read_text(),
    "enterprise": (HERE.parents[1] / "policies" / "examples" / "enterprise-edge" / "sbc.yaml").read_text(),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("mistakes")
    devcerts.make(root / "certs", users=["alice", "office", "tel"])
    (root / "policies").mkdir()
    return root / "policies"


def problems(folder: Path, text: str) -> tuple[Problem, ...]:
    (folder / "sbc.yaml").write_text(text)
    try:
        load_policy(folder)
    except PolicyErrors as errors:
        return errors.problems
    return ()


# Traps

AS_WRITTEN = [
    *(
        "+4420",
        "0044",
        "22:30",
        "22:30:00",
        "NO",
        "no",
        "Yes",
        "on",
        "off",
        "y",
        "TRUE",
        "Null",
        "~",
        "1e3",
        "0x10",
        "0o17",
        "0b1",
        "1_000",
    ),
    *(".5", "1.5", "-1", "+1", "00", "2026-11-29", ".inf", "190.0.2.1", "1.2.3", "=", "12e03", "685_230.15"),
]


@pytest.mark.parametrize("text", AS_WRITTEN)
def test_what_yaml_would_change_is_text(text: str) -> None:
    document = Document("p")
    document.read("a.yaml", f"version: 1\nx: [{text}]\n{text}: y\n".encode())
    assert document.problems == []
    assert document.plain(("x",)) == [text]
    assert document.plain((text,)) == "y"


@pytest.mark.parametrize(("text", "value"), [("true", True), ("false", False), ("0", 0), ("112", 112), ("4930123456", 4930123456)])
def test_what_is_plain_is_what_it_is(text: str, value: object) -> None:
    document = Document("p")
    document.read("a.yaml", f"x: {text}\n".encode())
    assert document.plain(("x",)) == value


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", Place("a.yaml", 3, 1), "is already defined at a.yaml:1"),
        ("a: {b: 1, c: 2, b: 3}\n", Place("a.yaml", 1, 17), "is already defined"),
        ("a: &x 1\n", Place("a.yaml", 1, 4), "anchors"),
        ("a: 1\nb: *x\n", Place("a.yaml", 2, 4), "aliases"),
        ("a: !!str 1\n", Place("a.yaml", 1, 4), "tags"),
        ("a: !secret x\n", Place("a.yaml", 1, 4), "tags"),
        ("a:\n  <<: {b: 1}\n", Place("a.yaml", 2, 3), "merge keys"),
        ("a: null\n", Place("a.yaml", 1, 4), "has no value"),
        ("a:\n", Place("a.yaml", 1, 3), "has no value"),
        ("? [a]\n: 1\n", Place("a.yaml", 1, 3), "a key is text"),
        ("a: 1\n---\na: 2\n", Place("a.yaml", 2, 1), "a second document"),
        ("a:\n\t- b\n", Place("a.yaml", 2, 1), "indent with spaces"),
        ("a: [*]\n", Place("a.yaml", 1, 6), "not YAML"),
        ("a: \x07\n", Place("a.yaml", 1, 4), "control characters"),
    ],
)
def test_what_cannot_be_meant_is_refused_where_it_stands(text: str, place: Place, said: str) -> None:
    document = Document("p")
    document.read("a.yaml", text.encode())
    found = [problem for problem in document.problems if said in problem.what]
    assert [problem.place for problem in found] == [place], document.problems


# Two hundred mistakes, made by a program: the same ones every time


@dataclass(frozen=True)
class Spot:
    """A key or a value, by its path, and where it is written."""

    policy: str
    path: Keys
    place: Place
    node: Node


def spots(policy: str) -> Iterator[Spot]:
    document = Document("p")
    document.read("p", TEXTS[policy].encode())

    def within(node: Node, path: Keys) -> Iterator[Spot]:
        if isinstance(node, Table):
            for key, child in node.nodes.items():
                yield Spot(policy, (*path, key), node.keys[key], child)
                yield from within(child, (*path, key))
        elif isinstance(node, Items):
            for index, child in enumerate(node.nodes):
                yield from within(child, (*path, index))

    yield from within(document.root, ())


EVERY = [spot for policy in TEXTS for spot in spots(policy)]
NAMED = {"realms", "trunks", "users", "limits", "media", "blocks", "headers", "emergency", "numbers"}  # whose keys are names
FREE = {"dial_plan", "responses_from"}  # whose keys are data


def is_word(spot: Spot) -> bool:
    """A key of the language, not a name somebody has given."""
    parent = spot.path[-2] if len(spot.path) > 1 else ""
    return not (len(spot.path) == 2 and parent in NAMED) and parent not in FREE


def at(text: str, place: Place) -> int:
    return sum(len(line) + 1 for line in text.split("\n")[: place.line - 1]) + place.column - 1


def replaced(text: str, place: Place, new: str) -> str:
    """The scalar at that place is another one."""
    start = at(text, place)
    found = re.compile(r'"[^"]*"|[^,\]}\s]+').match(text, start)
    assert found is not None, (place, text[start : start + 20])
    return text[:start] + new + text[found.end() :]


Mistake = Callable[[Spot], tuple[str, int] | None]
"""The text with the mistake, and the line of it; None: cannot be made there."""


def typo(spot: Spot) -> tuple[str, int] | None:
    key = str(spot.path[-1])
    if not is_word(spot) or len(key) < 3 or key == "version":
        return None
    text, start = TEXTS[spot.policy], at(TEXTS[spot.policy], spot.place)
    assert text[start:].startswith(key)
    return text[: start + 1] + key[2] + key[1] + key[3:] + "q" + text[start + len(key) :], spot.place.line


def wrong_type(spot: Spot) -> tuple[str, int] | None:
    if not isinstance(spot.node, Scalar) or len(spot.path) < 2:
        return None
    return replaced(TEXTS[spot.policy], spot.node.place, "{nonsense: 1}"), spot.node.place.line


REFERENCES = {"realm", "media", "limits", "trunk", "user", "send_to", "blocks", "headers_out", "route"}


def unknown_name(spot: Spot) -> tuple[str, int] | None:
    if spot.path[-1] not in REFERENCES or len(spot.path) < 2:
        return None
    node = spot.node.nodes[0] if isinstance(spot.node, Items) else spot.node
    return (replaced(TEXTS[spot.policy], node.place, "nowhere"), node.place.line) if isinstance(node, Scalar) else None


def twice(spot: Spot) -> tuple[str, int] | None:
    """The same key once more, in front of it: the second is the one that is wrong."""
    key = spot.path[-1]
    if len(spot.path) < 2:
        return None
    text, start = TEXTS[spot.policy], at(TEXTS[spot.policy], spot.place)
    written = f'"{key}"' if text[start] == '"' else str(key)
    line = text[text.rfind("\n", 0, start) + 1 : start]
    if line.strip(" -"):  # within { }
        return f"{text[:start]}{written}: 1, {text[start:]}", spot.place.line
    return f"{text[:start]}{written}: 1\n{' ' * len(line)}{text[start:]}", spot.place.line + 1


MADE: list[tuple[Mistake, int]] = [(typo, 70), (wrong_type, 70), (unknown_name, 50), (twice, 70)]


def seeded() -> Iterator[tuple[str, str, int]]:
    for mistake, wanted in MADE:
        chosen = Random(1729).sample(EVERY, len(EVERY))
        made = [(spot, result) for spot in chosen if (result := mistake(spot)) is not None][:wanted]
        yield from ((f"{mistake.__name__} {spot.policy}:{'.'.join(map(str, spot.path))}", *result) for spot, result in made)


MISTAKES = list(seeded())


def test_there_are_enough_mistakes() -> None:
    assert len(MISTAKES) >= 200
    assert {name.split()[0] for name, _, _ in MISTAKES} == {"typo", "wrong_type", "unknown_name", "twice"}


@pytest.mark.parametrize(("text", "line"), [pytest.param(text, line, id=name) for name, text, line in MISTAKES])
def test_a_mistake_is_an_error_on_its_line(folder: Path, text: str, line: int) -> None:
    found = problems(folder, text)
    assert line in [problem.place.line for problem in found], [str(problem) for problem in found]


@pytest.mark.parametrize("policy", TEXTS)
def test_without_the_mistake_there_is_none(folder: Path, policy: str) -> None:
    assert problems(folder, TEXTS[policy]) == ()
