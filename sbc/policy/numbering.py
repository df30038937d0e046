"""`numbers:` of the policy: read, checked for numbers that two have, and made the tables of the inventory.

By hand and in bulk, unlike the rest of the language: 100,000 lines of it are read in about a second.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from sbc.policy.document import Document
from sbc.policy.inventory import UNASSIGNED, Inventory, Numbers, Ranges
from sbc.policy.problems import Path, Problem

_NUMBERS = re.compile(r"\+([1-9][0-9]{1,14})(?:-\+([1-9][0-9]{1,14}))?(\*)?")
WRITE = 'write a number in full, "+4930123456", a range, "+493012345600-+493012345699", or how a block begins, "+4930123457*"'


class Entry(NamedTuple):
    """One line: the numbers of `first` to `last`, or, of a block, all that begin with `first`."""

    key: str
    first: str
    last: str
    is_block: bool
    owner: str
    limits: tuple[str, ...] = ()

    @property
    def is_single(self) -> bool:
        return self.first == self.last and not self.is_block


def number_range(text: str) -> str:
    numbers_of(text)
    return text


def numbers_of(text: str) -> tuple[str, str, bool]:
    """First, last, and whether it is a block, without `+`. Raises ValueError."""
    found = _NUMBERS.fullmatch(text)
    if not found or (found[2] and found[3]):
        raise ValueError(WRITE)
    first, last = found[1], found[2] or found[1]
    if len(first) != len(last):
        raise ValueError("both ends of a range have equally many digits")
    if first > last:
        raise ValueError(f"the range ends before it begins, did you mean '+{last}-+{first}'?")
    return first, last, found[3] is not None


Told = Callable[[object, Path], tuple[str, tuple[str, ...]] | None]
"""Owner and limits of a line that is written as an object; None: what is wrong with it is a problem of the document."""


def read_entries(document: Document, raw: object, told: Told) -> tuple[Entry, ...]:
    """Those that are valid by themselves, in the order of the files; what is wrong with others is a problem of the document."""
    if not isinstance(raw, dict):
        if raw is not None:
            document.problems.append(Problem(document.place(("numbers",)), ("numbers",), f"must be a mapping, numbers to owners: {WRITE}"))
        return ()
    found = []
    for key, owner in raw.items():
        path = ("numbers", key)
        try:
            first, last, is_block = numbers_of(key)
        except ValueError as error:
            document.problems.append(Problem(document.key_place(path), path, str(error)))
            continue
        limits: tuple[str, ...] = ()
        if isinstance(owner, dict):
            line = told(owner, path)
            if line is None:
                continue
            owner, limits = line
        if isinstance(owner, bool) or not isinstance(owner, (str, int)):
            if owner is not None:  # a key without a value has been reported as that already
                document.problems.append(
                    Problem(
                        document.place(path), path, f"must be the name of a trunk or user, {UNASSIGNED}, or {{owner: NAME, limits: NAME}}"
                    )
                )
            continue
        found.append(Entry(key, first, last, is_block, str(owner), limits))
    return tuple(found)


def check_owners(document: Document, entries: Iterable[Entry]) -> Iterator[Problem]:
    """A number has one owner. Only what is `unassigned` may have numbers within that have one."""
    table = _Table(entry for entry in entries if entry.owner != UNASSIGNED)
    spare = [entry for entry in entries if entry.owner == UNASSIGNED]
    pairs = {*table.overlaps(), *_Table(spare).overlaps(), *[(entry, other) for entry in spare for other in table.not_within(entry)]}
    for pair in pairs:
        (place, one), (later, other) = sorted((document.key_place(("numbers", entry.key)), entry) for entry in pair)
        why = "a number has one owner" if one.owner != other.owner else "once is enough"
        what = f"has numbers that {one.key} at {place}:{place.column} gives to {one.owner!r}: {why}"
        yield Problem(later, ("numbers", other.key), what)


def inventory_of(entries: Sequence[Entry]) -> Inventory:
    """`entries` have passed the check."""
    return Inventory(
        assigned=numbers_owned(entry for entry in entries if entry.owner != UNASSIGNED),
        spare=numbers_owned(entry for entry in entries if entry.owner == UNASSIGNED),
    )


def lines_of(entries: Iterable[Entry]) -> Numbers:
    """Of those that have limits: which number is of which."""
    return numbers_owned(entry._replace(owner=entry.key) for entry in entries if entry.limits)


def by_owner(entries: Iterable[Entry]) -> Mapping[str, list[Entry]]:
    """In the order of the files."""
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        found.setdefault(entry.owner, []).append(entry)
    return found


def numbers_owned(entries: Iterable[Entry]) -> Numbers:
    by_length: dict[int, list[tuple[int, int, str]]] = defaultdict(list)
    blocks: dict[str, str] = {}
    for entry in entries:
        if entry.is_block:
            blocks[entry.first] = entry.owner
        else:
            by_length[len(entry.first)].append((int(entry.first), int(entry.last), entry.owner))
    ranges = {}
    for length, found in by_length.items():
        first, last, owners = zip(*sorted(found), strict=True)
        ranges[length] = Ranges(first, last, owners)
    return Numbers(ranges, blocks, tuple(sorted({len(block) for block in blocks})))


class _Table:
    """Entries in order. Numbers of one length compare as text as they do as numbers."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._blocks: dict[str, Entry] = {}
        self._ranges: dict[int, list[Entry]] = defaultdict(list)
        for entry in entries:
            if entry.is_block:
                self._blocks[entry.first] = entry
            else:
                self._ranges[len(entry.first)].append(entry)
        for ranges in self._ranges.values():
            ranges.sort(key=_first)
        self._beginnings: dict[int, list[str]] = defaultdict(list)
        for block in sorted(self._blocks):
            self._beginnings[len(block)].append(block)

    def overlaps(self) -> Iterator[tuple[Entry, Entry]]:
        """Pairs that have a number in common; of many with the same one, each with one other."""
        for block in self._blocks.values():
            yield from ((block, wider) for wider in self._blocks_around(block))
        for ranges in self._ranges.values():
            widest: Entry | None = None
            for entry in ranges:
                if widest is not None and entry.first <= widest.last:
                    yield entry, widest
                if widest is None or entry.last > widest.last:
                    widest = entry
                yield from ((entry, block) for block in self._blocks_around(entry))

    def not_within(self, spare: Entry) -> Iterator[Entry]:
        """What has numbers in common with `spare` and does not lie within it."""
        yield from self._blocks_around(spare)
        for length, ranges in self._ranges.items():
            more = length - len(spare.first)
            if more < 0 or (more and not spare.is_block):
                continue
            lowest, highest = spare.first + "0" * more, spare.last + "9" * more
            before = bisect_left(ranges, lowest, key=_first) - 1
            if before >= 0 and ranges[before].last >= lowest:
                yield ranges[before]
            at = bisect_right(ranges, highest, key=_first) - 1
            if at > before and ranges[at].last > highest:
                yield ranges[at]

    def _blocks_around(self, entry: Entry) -> Iterator[Entry]:
        """Blocks that begin with less than it does, or, of a range, with no more."""
        for length, beginnings in self._beginnings.items():
            if length < len(entry.first) + (not entry.is_block):
                at = bisect_left(beginnings, entry.first[:length])
                if at < len(beginnings) and beginnings[at] <= entry.last[:length]:
                    yield self._blocks[beginnings[at]]


def _first(entry: Entry) -> str:
    return entry.first
