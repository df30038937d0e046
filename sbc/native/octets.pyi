"""The compiled part; module.c has the words."""

from collections.abc import Callable
from typing import Generic, TypeVar

_Name = TypeVar("_Name", bound=str)
_Flow = TypeVar("_Flow")

class Rows(Generic[_Name]):
    def __new__(cls, known: dict[str, _Name], fold: Callable[[str], _Name], unwritten: _Name) -> Rows[_Name]: ...
    def read(self, head: bytes) -> tuple[str, list[_Name], list[str], dict[_Name, str]] | None: ...
    def write(self, start: str, names: list[_Name], values: list[str], body: bytes) -> bytes | None: ...

def read_params(text: str) -> tuple[tuple[str, str | None], ...] | None: ...
def write_json(value: object) -> bytes | None: ...
def write_steps(
    steps: list[object],
    given: list[object],
    effects: list[object],
    sent: tuple[object, ...],
    flows: list[_Flow],
    messages: list[bytes],
    fields: dict[type, tuple[str, tuple[str, ...]]],
    met: dict[str, tuple[str, ...]],
    other: Callable[[object], object],
    /,
) -> bytes | None: ...
def holds_any(octets: bytes, signs: tuple[bytes, ...], start: int, /) -> bool: ...
