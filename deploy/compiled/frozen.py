"""What the compiled core has instead of sbc.frozen: the base of the written-out values (see values.py)."""

from __future__ import annotations

from typing import Final, TypeVar

T = TypeVar("T")


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
        fields = ", ".join([f"{name}={value!r}" for name, value in zip(self.__match_args__, self._key(), strict=True)])
        return f"{type(self).__name__}({fields})"


def replace(value: T, **changes: object) -> T:
    """A copy of a value with some fields changed. TypeError for a name that is no field of it."""
    assert isinstance(value, Value)
    return type(value)(**(dict(zip(value.__match_args__, value._key(), strict=True)) | changes))
