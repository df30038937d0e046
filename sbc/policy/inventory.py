"""The inventory: whose number is it? Compiled from `numbers:`, asked for every call. Pure.

Numbers are asked for as routes know them, `+` and digits; anything else is nobody's. A single number is a range of one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field

UNASSIGNED = "unassigned"  # instead of an owner: ours, and nobody has it
OWNER = "owner"  # instead of a target of a route: whoever has the number


@dataclass(frozen=True, slots=True)
class Ranges:
    """Numbers with equally many digits: range i is first[i] to last[i], ends included, and owners[i]'s.

    They ascend, and none overlaps another.
    """

    first: tuple[int, ...] = ()
    last: tuple[int, ...] = ()
    owners: tuple[str, ...] = ()


NO_RANGES = Ranges()


@dataclass(frozen=True, slots=True)
class Numbers:
    """Numbers and their owners.

    ranges   by how many digits they have
    blocks   owners of all numbers that begin so, by these digits
    lengths  how many digits such a beginning may have
    """

    ranges: Mapping[int, Ranges] = field(default_factory=dict)
    blocks: Mapping[str, str] = field(default_factory=dict)
    lengths: tuple[int, ...] = ()

    def owner_of(self, number: str) -> str | None:
        """A binary search among the ranges, then one look for each length of block. ASCII only, as everywhere."""
        if not self.ranges and not self.blocks:
            return None
        digits = number[1:]
        if not (number.startswith("+") and digits.isascii() and digits.isdigit()):
            return None
        ranges = self.ranges.get(len(digits), NO_RANGES)
        value = int(digits)
        index = bisect_right(ranges.first, value) - 1
        if index >= 0 and value <= ranges.last[index]:
            return ranges.owners[index]
        for length in self.lengths:
            owner = self.blocks.get(digits[:length])
            if owner is not None:
                return owner
        return None


NO_NUMBERS = Numbers()


@dataclass(frozen=True, slots=True)
class Inventory:
    """Who has which number.

    spare   what is ours as a whole; numbers that are assigned may lie within
    """

    assigned: Numbers = NO_NUMBERS
    spare: Numbers = NO_NUMBERS

    def owner_of(self, number: str) -> str | None:
        """The trunk or user that has it; UNASSIGNED when it is ours and nobody has it; None when it is not ours."""
        return self.assigned.owner_of(number) or self.spare.owner_of(number)


NOTHING_OURS = Inventory()
