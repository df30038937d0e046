"""Sources that are no strangers, as long as there is room: who has proved who it is, and who has answered us."""

from __future__ import annotations

from sbc.flow import Flow
from sbc.shield.queue import Rank

REMEMBERED = 20_000  # 3 MB. Nobody gets in without a proof or a request of ours, so that strangers push out nobody


class Acquaintances:
    """By realm and address. When there are too many, whoever came first is forgotten, and noted again with its next proof."""

    __slots__ = ("_ranks",)

    def __init__(self) -> None:
        self._ranks: dict[tuple[str, str], Rank] = {}

    def note(self, flow: Flow, rank: Rank) -> None:
        """Whoever is there has shown to be of that rank at least."""
        source = (flow.realm, flow.remote[0])
        known = self._ranks.get(source)
        if known is not None and known <= rank:
            return
        if known is None and len(self._ranks) >= REMEMBERED:
            del self._ranks[next(iter(self._ranks))]
        self._ranks[source] = rank

    def rank(self, flow: Flow) -> Rank:
        return self._ranks.get((flow.realm, flow.remote[0]), Rank.UNKNOWN)

    def __len__(self) -> int:
        return len(self._ranks)
