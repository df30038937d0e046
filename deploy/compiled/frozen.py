"""What the compiled core has instead of sbc.frozen."""

from __future__ import annotations

from typing import Any, TypeVar

from media.value import names  # type: ignore[import-not-found, import-untyped, unused-ignore]  # stands beside it where this is put

T = TypeVar("T")


def replace(value: T, **changes: object) -> T:
    """A copy of a value with some fields changed. TypeError for a name that is no field of it."""
    made: Any = type(value)
    kept = {name: getattr(value, name) for name in names(value)}
    copy: T = made(**(kept | changes))
    return copy
