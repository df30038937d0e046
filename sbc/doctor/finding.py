"""One line of the examination."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """good: looked at, and as it should be. wrong: with what to change. note: worth knowing, or could not be looked at."""

    verdict: Literal["good", "wrong", "note"]
    what: str
    change: str = ""

    def __str__(self) -> str:
        return f"{self.verdict:<5} {self.what}" + (f": {self.change}" if self.change else "")


def good(what: str) -> Finding:
    return Finding("good", what)


def note(what: str, change: str = "") -> Finding:
    return Finding("note", what, change)


def wrong(what: str, change: str) -> Finding:
    return Finding("wrong", what, change)
