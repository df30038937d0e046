"""Proofs that come twice: somebody has heard one, and calls with it while it is fresh."""

from __future__ import annotations

from collections import OrderedDict

from sbc.identity.verdict import FRESH_S, Claimed

KEPT = 50_000  # proofs of a minute at 800 calls/s; beyond, the oldest are forgotten
# Of the 86 characters of a signature those that are S alone: whoever knows R and S knows another S that fits as well.
_OF_S = 44
WINDOW_S = 2.0 * FRESH_S  # as long as a verifier takes it: signed a minute ahead of our clock, heard a minute late


class Replays:
    """A proof belongs to the call it came with first: by Call-ID, for a call may come twice, to two of our addresses."""

    def __init__(self) -> None:
        self._first: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._first)

    def seen(self, asked: Claimed, now: float) -> bool:
        """Whether one of these, which are valid, came with another call. `now`: seconds of a clock that never goes back."""
        while self._first and (next(iter(self._first.values()))[1] <= now - WINDOW_S or len(self._first) > KEPT):
            self._first.popitem(last=False)
        replayed = False
        for identity in asked.identities:
            proof = identity.partition(";")[0][:-_OF_S]
            replayed |= self._first.setdefault(proof, (asked.call_id, now))[0] != asked.call_id
        return replayed
