"""The base of the written-out values of the compiled core (see values.py)."""

from __future__ import annotations

from typing import Any, Final


class Value:
    """Equal and hashable by its fields, which are the names in `__match_args__`, in order."""

    __match_args__: Final[tuple[str, ...]] = ()

    def _key(self) -> tuple[object, ...]:
        return ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Value) and type(other) is type(self) and other._key() == self._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        fields = ", ".join([f"{name}={value!r}" for name, value in zip(names(self), self._key(), strict=True)])
        return f"{type(self).__name__}({fields})"


def names(value: Any) -> tuple[str, ...]:
    """The fields of a value. Not `value.__match_args__`, for which the compiler would put in the constant of the base."""
    found: tuple[str, ...] = value.__match_args__
    return found
