"""Identifiers anybody can guess, for a world that nobody can reach: what is explained twice reads the same."""

from __future__ import annotations


class CountingIds:
    """As the tests have them, too: what one run prints is what the next one prints."""

    def __init__(self) -> None:
        self._count = 0

    def _next(self) -> int:
        self._count += 1
        return self._count

    def tag(self) -> str:
        return f"n1w1t{self._next():06x}"

    def branch(self) -> str:
        return f"z9hG4bKn1w1b{self._next():06x}"

    def call_id(self) -> str:
        return f"n1w1c{self._next():06x}"

    def random(self, size: int) -> bytes:
        return (self._next() * 2654435761 % 2**64).to_bytes(8, "big").rjust(size, b"\x5a")[:size]
