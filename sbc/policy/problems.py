"""What is wrong with a policy, and where: `policies/sbc.yaml:6:30: routes.0.when.too: unknown key, did you mean 'to'?`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import NamedTuple

from sbc.errors import ConfigError

Path = tuple[str | int, ...]


class Place(NamedTuple):
    """Line and column count from 1."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Problem(NamedTuple):
    place: Place
    path: Path
    what: str

    def __str__(self) -> str:
        where = f"{self.place.file}:{self.place.line}:{self.place.column}: "
        return where + (f"{'.'.join(map(str, self.path))}: " if self.path else "") + self.what


class PolicyErrors(ConfigError):
    """Everything that is wrong at once, in the order of the files; its text is one line per problem."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`, did you mean 'to'?` or nothing."""
    close = difflib.get_close_matches(word, list(known), 1, 0.6)
    return f", did you mean {close[0]!r}?" if close else ""
