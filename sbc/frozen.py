"""Values: frozen for the type checker, and cheap to make.

A frozen dataclass sets each field through `object.__setattr__`, five times the price of an assignment; a call makes
some two hundred of them. mypy, which checks every line of ours, refuses to change a field of a `frozen` class just as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def frozen(cls: type[T]) -> type[T]:
    """A dataclass with slots, equal and hashable by its fields, that nobody may change. The compiled core has it written out."""
    return dataclass(slots=True, unsafe_hash=True)(cls)


def replace(value: T, **changes: object) -> T:
    """A copy of a `frozen` value with some fields changed. TypeError for a name that is no field of it."""
    names: tuple[str, ...] = value.__match_args__  # type: ignore[attr-defined]
    return type(value)(**({name: getattr(value, name) for name in names} | changes))
