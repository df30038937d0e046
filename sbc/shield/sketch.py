"""Counts of sources, in memory that does not grow with their number: a count-min sketch whose counts run out like leaky buckets.

Of whoever has not proved its address there may be four thousand million. Several share a cell; who is counted too high shares
all of its cells with others, and the key, which nobody knows, decides with whom (Cormode, Muthukrishnan 2005; conservative
update: Estan, Varghese 2002).
"""

from __future__ import annotations

from array import array
from hashlib import blake2b

ROWS = 4
COLUMN_BITS = 14
COLUMNS = 1 << COLUMN_BITS
SKETCH_OCTETS = ROWS * COLUMNS * 2 * 8  # 1 MiB: 20,000 spoofed sources a second leave about one in each cell
_MASK = COLUMNS - 1


class Sketch:
    """`leak`: what a count loses in a second. `key`: random octets, 64 at most."""

    __slots__ = ("_key", "_leak", "_levels", "_times")

    def __init__(self, key: bytes, leak: float) -> None:
        self._key = key
        self._leak = leak
        self._levels = array("d", bytes(8 * ROWS * COLUMNS))
        self._times = array("d", bytes(8 * ROWS * COLUMNS))

    def level(self, source: str, now: float) -> float:
        """What is counted of that source: never too little."""
        return self._lowest(self._cells(source), now)

    def add(self, source: str, amount: float, now: float) -> float:
        """What is counted of it now."""
        cells = self._cells(source)
        level = self._lowest(cells, now) + amount
        self._raise(cells, level, now)
        return level

    def take(self, source: str, most: float, now: float) -> bool:
        """Count one more, unless that would be more than `most`: a bucket of that many tokens, filled with `leak` a second."""
        cells = self._cells(source)
        level = self._lowest(cells, now) + 1.0
        if level > most:
            return False
        self._raise(cells, level, now)
        return True

    def _lowest(self, cells: tuple[int, int, int, int], now: float) -> float:
        lowest = self._left(cells[0], now)
        for cell in cells[1:]:
            left = self._left(cell, now)
            if left < lowest:
                lowest = left
        return lowest

    def _raise(self, cells: tuple[int, int, int, int], level: float, now: float) -> None:
        for cell in cells:
            left = self._left(cell, now)
            self._levels[cell] = left if left > level else level
            self._times[cell] = now

    def _left(self, cell: int, now: float) -> float:
        left = self._levels[cell] - (now - self._times[cell]) * self._leak
        return left if left > 0.0 else 0.0

    def _cells(self, source: str) -> tuple[int, int, int, int]:
        digest = int.from_bytes(blake2b(source.encode(), key=self._key, digest_size=8).digest(), "big")
        return (
            digest & _MASK,
            COLUMNS + (digest >> COLUMN_BITS & _MASK),
            2 * COLUMNS + (digest >> 2 * COLUMN_BITS & _MASK),
            3 * COLUMNS + (digest >> 3 * COLUMN_BITS & _MASK),
        )
