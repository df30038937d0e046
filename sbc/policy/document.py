"""Strict YAML: every node keeps its place, and none of YAML's own traps works.

PyYAML's `safe_load` reads `+4420` as 4420, `0044` as 36, `22:30` as 1350, `NO` as False, and lets a repeated key win silently.
Here only true, false, null and plain decimals are anything but text; repeated keys, anchors, aliases and tags are errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from sbc.policy.problems import Path, Place, Problem

MAX_DEPTH = 16  # the language itself is six levels deep
MAX_FILE_OCTETS = 16 * 1024 * 1024  # 100,000 users fit; a mistaken path to something else does not
# No leading zeros and no sign: what would not be printed back the same is text. 15 digits: E.164's longest number.
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,14}")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]")
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "": None}
_HINTS = {
    "alias": "; if '*' belongs to the text, quote it: \"*\"",
    "cannot start any token": "; indent with spaces, and quote text that starts with a special character",
    "flow node": "; quote text that starts with a special character",
    "flow sequence": '; within [ ], quote text that contains one of [ ] { } or a comma: "udp://[::1]:5060"',
    "flow mapping": "; within { }, quote text that contains one of [ ] { } or a comma",
}
# The compiled parser is ten times faster and is part of every binary package of PyYAML.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Plain = str | int | bool | None | list[Any] | dict[str, Any]


@dataclass(frozen=True, slots=True)
class Scalar:
    place: Place
    value: str | int | bool | None


@dataclass(frozen=True, slots=True)
class Items:
    place: Place
    nodes: list[Node] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Table:
    place: Place
    nodes: dict[str, Node] = field(default_factory=dict)
    keys: dict[str, Place] = field(default_factory=dict)


Node = Scalar | Items | Table


class Document:
    """The files of one policy, merged: sections by name, `routes` in the order of the file names.

    A name twice, in one file or in two, is a problem that names both places. Problems are collected in `problems`;
    `broken` says that a file could not be read to its end, so that whatever seems to be missing may be in there.
    """

    def __init__(self, folder: str) -> None:
        self.problems: list[Problem] = []
        self.broken = False
        self.root = Table(Place(folder))

    def read(self, file: str, data: bytes) -> None:
        """An empty file, or one of comments only, is no problem."""
        reader = _Reader(file, self.problems)
        root = reader.read(data)
        self.broken |= reader.broken
        if root is None:
            return
        if not isinstance(root, Table):
            self.problems.append(Problem(root.place, (), "a policy file is a mapping: 'realms:', 'trunks:', …"))
            return
        for section, node in root.nodes.items():
            self._merge(section, root.keys[section], node)

    def read_apart(self, file: str, data: bytes) -> Table:
        """A file that is no part of the policy, but lends parts to it. Its problems are problems of the policy."""
        reader = _Reader(file, self.problems)
        root = reader.read(data)
        self.broken |= reader.broken
        if isinstance(root, Table):
            return root
        if root is not None:
            self.problems.append(Problem(root.place, (), "must be a mapping: 'key: value'"))
        return Table(Place(file))

    def provide(self, section: str, name: str, node: Node) -> None:
        """An object, unless there is one of that name."""
        objects = self.root.nodes.setdefault(section, Table(node.place))
        self.root.keys.setdefault(section, node.place)
        if isinstance(objects, Table) and name not in objects.nodes:
            objects.nodes[name], objects.keys[name] = node, node.place

    def plain(self, path: Path = ()) -> Plain:
        """The value at `path` (which exists) as plain text, numbers, lists and dictionaries."""
        node, _, depth = self._find(path)
        assert depth == len(path), path
        return _plain(node)

    def place(self, path: Path) -> Place:
        """Where the value at `path` stands; of what is not there, the key or item that should have contained it."""
        node, key, depth = self._find(path)
        return node.place if depth == len(path) else key

    def key_place(self, path: Path) -> Place:
        """Where the key at the end of `path` stands."""
        return self._find(path)[1]

    def trim(self, path: Path) -> Path:
        """As much of `path` as stands in the files."""
        return path[: self._find(path)[2]]

    def _find(self, path: Path) -> tuple[Node, Place, int]:
        """The deepest node on `path`, the place of its key, and how many steps lead to it."""
        node: Node = self.root
        key = self.root.place
        for depth, part in enumerate(path):
            if isinstance(node, Table) and isinstance(part, str) and part in node.nodes:
                key, node = node.keys[part], node.nodes[part]
            elif isinstance(node, Items) and isinstance(part, int) and part < len(node.nodes):
                node = node.nodes[part]
                key = node.place
            else:
                return node, key, depth
        return node, key, len(path)

    def _merge(self, section: str, place: Place, node: Node) -> None:
        old = self.root.nodes.get(section)
        if old is None:
            if not self.root.nodes:
                self.root = Table(place)
            self.root.nodes[section], self.root.keys[section] = node, place
        elif isinstance(old, Table) and isinstance(node, Table):
            for name, child in node.nodes.items():
                if name in old.nodes:
                    self._twice(old.keys[name], node.keys[name], (section, name))
                else:
                    old.nodes[name], old.keys[name] = child, node.keys[name]
        elif isinstance(old, Items) and isinstance(node, Items):
            old.nodes.extend(node.nodes)
        elif not (isinstance(old, Scalar) and isinstance(node, Scalar) and old.value == node.value):  # `version` in each file
            self._twice(self.root.keys[section], place, (section,))

    def _twice(self, first: Place, second: Place, path: Path) -> None:
        self.problems.append(Problem(second, path, f"is already defined at {first}"))


class _Reader:
    """Builds the nodes of one file from the parser's events."""

    def __init__(self, file: str, problems: list[Problem]) -> None:
        self._file = file
        self._problems = problems
        self._events: Iterator[yaml.Event] = iter(())
        self.broken = False

    def read(self, data: bytes) -> Node | None:
        if len(data) > MAX_FILE_OCTETS:
            self._break(Place(self._file), f"is longer than {MAX_FILE_OCTETS} octets")
            return None
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            self._unreadable(data[: error.start].decode(), "is not UTF-8")
            return None
        if control := _CONTROL.search(text):
            self._unreadable(text[: control.start()], "control characters are not allowed")
            return None
        try:
            self._events = yaml.parse(text, Loader=_LOADER)
            return self._document()
        except yaml.YAMLError as error:
            self._break(*self._syntax(error))
        except _TooDeepError as error:
            self._break(error.place, f"is nested more than {MAX_DEPTH} levels deep")
        return None

    def _unreadable(self, before: str, what: str) -> None:
        place = Place(self._file, before.count("\n") + 1, len(before) - before.rfind("\n"))
        self._break(place, what)

    def _break(self, place: Place, what: str) -> None:
        self.broken = True
        self._problems.append(Problem(place, (), what))

    def _document(self) -> Node | None:
        root: Node | None = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    self._problem(event, (), "a second document ('---') in one file: use a second file")
                    return root
                first = next(self._events)
                if not (isinstance(first, yaml.ScalarEvent) and first.value == ""):  # only comments
                    root = self._node(first, ())
        return root

    def _node(self, event: yaml.Event, path: Path) -> Node:
        place = self._place(event)
        if len(path) > MAX_DEPTH:
            raise _TooDeepError(place)
        if isinstance(event, yaml.AliasEvent):
            self._problem(event, path, f"aliases are not part of the language; if '*' belongs to the text, quote it: \"*{event.anchor}\"")
            return Scalar(place, "")
        if getattr(event, "anchor", None) is not None:
            self._problem(event, path, "anchors ('&') are not part of the language; if '&' belongs to the text, quote it")
        if getattr(event, "tag", None) is not None:
            self._problem(event, path, "tags ('!') are not part of the language; if '!' belongs to the text, quote it")
        if isinstance(event, yaml.MappingStartEvent):
            return self._table(place, path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._items(place, path)
        assert isinstance(event, yaml.ScalarEvent)
        return self._scalar(event, place, path)

    def _items(self, place: Place, path: Path) -> Items:
        items = Items(place)
        for event in self._events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            items.nodes.append(self._node(event, (*path, len(items.nodes))))
        return items

    def _table(self, place: Place, path: Path) -> Table:
        table = Table(place)
        for event in self._events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key, key_place = self._key(event, path), self._place(event)
            value = self._node(next(self._events), (*path, key))
            if key in table.nodes:
                self._problem(event, (*path, key), f"is already defined at {table.keys[key]}")
            else:
                table.nodes[key], table.keys[key] = value, key_place
        return table

    def _key(self, event: yaml.Event, path: Path) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            self._problem(event, path, "a key is text; quote it if it contains '*', '[' or '{'")
            self._node(event, path)  # consume it
            return f"?{self._place(event).line}"
        if event.value == "<<" and _is_unquoted(event):
            self._problem(event, path, "merge keys ('<<') are not part of the language")
        if event.anchor is not None or event.tag is not None:
            self._problem(event, path, "anchors and tags are not part of the language")
        return str(event.value)

    def _scalar(self, event: yaml.ScalarEvent, place: Place, path: Path) -> Scalar:
        text = str(event.value)
        if not _is_unquoted(event):
            return Scalar(place, text)
        if text in _WORDS:
            if _WORDS[text] is None:
                self._problem(event, path, "has no value: give it one or remove it")
            return Scalar(place, _WORDS[text])
        return Scalar(place, int(text) if _DECIMAL.fullmatch(text) else text)

    def _place(self, event: yaml.Event) -> Place:
        mark = event.start_mark
        assert mark is not None
        return Place(self._file, mark.line + 1, mark.column + 1)

    def _problem(self, event: yaml.Event, path: Path, what: str) -> None:
        self._problems.append(Problem(self._place(event), path, what))

    def _syntax(self, error: yaml.YAMLError) -> tuple[Place, str]:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        place = Place(self._file, mark.line + 1, mark.column + 1) if mark else Place(self._file)
        what = " ".join(filter(None, (getattr(error, "context", None), getattr(error, "problem", None)))) or "unreadable characters"
        hint = next((hint for symptom, hint in _HINTS.items() if symptom in what), "")
        return place, f"not YAML: {what}{hint}"


class _TooDeepError(Exception):
    def __init__(self, place: Place) -> None:
        self.place = place


def _is_unquoted(event: yaml.ScalarEvent) -> bool:
    return event.style in (None, "")  # the Python and the compiled parser differ here


def _plain(node: Node) -> Plain:
    match node:
        case Scalar():
            return node.value
        case Items():
            return [_plain(item) for item in node.nodes]
        case Table():
            return {key: _plain(value) for key, value in node.nodes.items()}
