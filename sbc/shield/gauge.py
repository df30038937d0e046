"""What share of new requests our peers are to spare us, from what we had to turn away and how busy we were (RFC 7339 s5.10, RFC 6357)."""

from __future__ import annotations

AIM = 0.9  # of one core: above it we ask for relief, while there is still room for what comes all the same
EASY = 0.8  # below it we want more again
RELIEVED = 0.95  # of the share that was asked for remains after each look without need: half of it is gone after 14 looks
MOST = 0.95  # asked of anybody: who sends nothing cannot be told that it is over


class Gauge:
    """`share`: from 0 to MOST. Looked at in regular intervals."""

    def __init__(self) -> None:
        self.share = 0.0
        self._load_before = 0.0

    def look(self, load: float, served: int, refused: int) -> int:
        """The share in percent from now on.

        `load`: what part of the time since the last look we were busy, or ready and not let; `served`, `refused`: new requests
        of those we know. All of that came about although peers spared us the share they were asked for then.
        """
        steady, self._load_before = min(load, self._load_before), load  # reading a policy takes a look's time, and is no overload
        if refused:
            self._ask_for(refused / (served + refused))
        elif steady > AIM:
            self._ask_for(1.0 - AIM / steady)
        elif load < EASY:
            self.share *= RELIEVED
            if self.share < 0.01:
                self.share = 0.0
        return round(100 * self.share)

    def _ask_for(self, more: float) -> None:
        """That part of what still comes, too."""
        self.share = min(MOST, 1.0 - (1.0 - self.share) * (1.0 - more))
