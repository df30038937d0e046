"""Where the objects of a policy stand in its files: beside the snapshot, for people who ask why. No call looks here."""

from __future__ import annotations

from collections.abc import Iterator

from sbc.policy.document import Document, Items, Node, Table
from sbc.policy.problems import Path, Place

# There may be a hundred thousand of these: where each begins is enough.
NUMEROUS = frozenset({"users", "numbers"})
_COLUMNS = 1 << 14
_LINES = 1 << 28


class Places:
    """By path, as in the errors: ("trunks", "office", "accept_from", 0). A key stands where its name is written."""

    def __init__(self, document: Document) -> None:
        self._files: list[str] = []
        numbers: dict[str, int] = {}
        self._at: dict[Path, int] = {}
        for path, place in _places(document):
            if place.file not in numbers:
                numbers[place.file] = len(self._files)
                self._files.append(place.file)
            column, line = min(place.column, _COLUMNS - 1), min(place.line, _LINES - 1)
            self._at[path] = (numbers[place.file] * _LINES + line) * _COLUMNS + column

    def of(self, *path: str | int) -> Place | None:
        """Of what stands deepest on that path; None: nothing of it is written anywhere."""
        for length in range(len(path), 0, -1):
            packed = self._at.get(path[:length])
            if packed is not None:
                above, column = divmod(packed, _COLUMNS)
                file, line = divmod(above, _LINES)
                return Place(self._files[file], line, column)
        return None

    def has(self, *path: str | int) -> bool:
        return path in self._at

    def __len__(self) -> int:
        return len(self._at)


def _places(document: Document) -> Iterator[tuple[Path, Place]]:
    for section, node in document.root.nodes.items():
        yield (section,), document.root.keys[section]
        yield from _within(node, (section,), 2 if section in NUMEROUS else 16)


def _within(node: Node, path: Path, deepest: int) -> Iterator[tuple[Path, Place]]:
    if len(path) == deepest:
        return
    if isinstance(node, Table):
        for key, child in node.nodes.items():
            yield (*path, key), node.keys[key]
            yield from _within(child, (*path, key), deepest)
    elif isinstance(node, Items):
        for index, child in enumerate(node.nodes):
            yield (*path, index), child.place
            yield from _within(child, (*path, index), deepest)
