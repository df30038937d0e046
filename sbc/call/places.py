"""The places a call holds among the limits of its parties, and of whoever asked for it without being a party."""

from __future__ import annotations

from media.api import Side
from sbc.policy.limits import Limits, Reservation
from sbc.policy.snapshot import Party


class Places:
    """One for each side, if it has one, one on the route, and those of who redirected to, or transferred into, this call."""

    __slots__ = ("_charged", "_limits", "_route", "_sides")

    def __init__(self, limits: Limits, caller: Reservation | None) -> None:
        self._limits = limits
        self._sides: dict[Side, Reservation] = {}
        self._charged: dict[str, tuple[Party, Reservation]] = {}
        self._route: Reservation | None = None
        self.give(Side.A, caller)

    def give(self, side: Side, place: Reservation | None) -> None:
        if place is not None:
            self._sides[side] = place

    def take(self, side: Side) -> Reservation | None:
        """It is the taker's now: to be released, or given to another call."""
        return self._sides.pop(side, None)

    def release(self, side: Side) -> None:
        place = self.take(side)
        if place is not None:
            self._limits.release(place)

    def give_route(self, place: Reservation | None) -> None:
        """In place of the route that the call took before; None: it takes none any more."""
        before, self._route = self._route, place
        if before is not None:
            self._limits.release(before)
            if place is not None:
                self._route = self._limits.carry(place, before.bits)

    def on(self, side: Side) -> Reservation | None:
        return self._sides.get(side)

    @property
    def on_route(self) -> Reservation | None:
        return self._route

    def widen_route(self, place: Reservation) -> None:
        """The same place, with more room."""
        self._route = place

    def carry(self, side: Side, bits: int) -> None:
        """What the media on that side take. The route's are those of the caller."""
        place = self._sides.get(side)
        if place is not None and place.bits != bits:
            self._sides[side] = self._limits.carry(place, bits)
        if side is Side.A and self._route is not None and self._route.bits != bits:
            self._route = self._limits.carry(self._route, bits)

    def charge(self, party: Party, place: Reservation) -> None:
        """`party` asked for this call without being in it."""
        self._charged[party.name] = party, place

    def charged_to(self, party: Party) -> Reservation | None:
        found = self._charged.get(party.name)
        return found[1] if found is not None else None

    def payers(self) -> list[Party]:
        return [party for party, _ in self._charged.values()]

    def release_all(self) -> None:
        for place in (*self._sides.values(), *[place for _, place in self._charged.values()]):
            self._limits.release(place)
        self.give_route(None)
        self._sides.clear()
        self._charged.clear()
