"""Files of numbers: lists too long for YAML, as those who keep them give them out (do-not-originate lists, say)."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from sbc.policy.checking.checker import Policy
from sbc.policy.document import Document
from sbc.policy.inventory import Numbers, Ranges
from sbc.policy.material import Unusable, contents
from sbc.policy.numbering import numbers_of
from sbc.policy.problems import Place, Problem

MAX_OCTETS = 32 * 1024 * 1024  # two million numbers
MAX_PROBLEMS = 10  # of one file: the first say what is wrong with the others
LISTED = "listed"


def read_lists(document: Document, policy: Policy, folder: Path, digest: hashlib._Hash, problems: list[Problem]) -> Mapping[str, Numbers]:
    """Numbers by the name of the block that has them. What is in the files belongs to the policy, and to its digest."""
    found = {}
    for name, block in policy.blocks.items():
        if block.file is None:
            continue
        path = ("blocks", name, "file")
        try:
            octets, _ = contents(folder / block.file, MAX_OCTETS)
            text = octets.decode()
        except Unusable as error:
            problems.append(Problem(document.place(path), path, str(error)))
            continue
        except UnicodeDecodeError:
            problems.append(Problem(document.place(path), path, f"{folder / block.file} is not UTF-8"))
            continue
        digest.update(b"%d:%s" % (len(octets), octets))
        wrong: list[Problem] = []
        found[name] = numbers_listed(_entries(text, str(folder / block.file), wrong))
        problems += wrong[:MAX_PROBLEMS]
    return found


def _entries(text: str, file: str, problems: list[Problem]) -> Iterator[tuple[str, str, bool]]:
    """Of each line that has one; "#" begins a comment."""
    for number, line in enumerate(text.splitlines(), 1):
        entry = line.partition("#")[0].strip()
        if not entry:
            continue
        try:
            yield numbers_of(entry)
        except ValueError as error:
            problems.append(Problem(Place(file, number, 1), (), f"{entry[:40]!r}: {error}"))


def numbers_listed(entries: Iterable[tuple[str, str, bool]]) -> Numbers:
    """They may overlap, and be there twice."""
    blocks: dict[str, str] = {}
    by_length: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for first, last, is_block in entries:
        if is_block:
            blocks[first] = LISTED
        else:
            by_length[len(first)].append((int(first), int(last)))
    ranges = {length: _merged(sorted(found)) for length, found in by_length.items()}
    return Numbers(ranges, blocks, tuple(sorted({len(block) for block in blocks})))


def _merged(ranges: list[tuple[int, int]]) -> Ranges:
    first: list[int] = []
    last: list[int] = []
    for begin, end in ranges:
        if last and begin <= last[-1] + 1:
            last[-1] = max(last[-1], end)
        else:
            first.append(begin)
            last.append(end)
    return Ranges(tuple(first), tuple(last), (LISTED,) * len(first))
