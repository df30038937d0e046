"""Who sent media into calls that it has no part in, the last of them: what an operator asks after the fact. Nothing is decided by it."""

from __future__ import annotations

from collections import deque
from itertools import islice

from sbc.frozen import frozen

MOST = 500


@frozen
class Intrusion:
    """`at`: seconds since the epoch. `id`: of the call. `party`: in whose place it was. Nothing proves the source: it may be forged."""

    at: float
    source: str
    port: int
    id: str
    call_id: str
    party: str


class Intrusions:
    """The last of them. One side of a call makes one, whatever comes."""

    def __init__(self) -> None:
        self._last: deque[Intrusion] = deque(maxlen=MOST)

    def add(self, intrusion: Intrusion) -> None:
        self._last.append(intrusion)

    def about(self, wanted: str, most: int) -> tuple[Intrusion, ...]:
        """The newest by an address, into a call, by our id or its Call-ID, or in the place of a trunk or user; "": any."""
        found = [each for each in reversed(self._last) if wanted in ("", each.source, each.id, each.call_id, each.party)]
        return tuple(islice(found, most))
