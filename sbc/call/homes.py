"""Where we are registered ourselves: what calls to a carrier need to know of that."""

from __future__ import annotations

from collections.abc import Callable

from sbc.clock import Now
from sbc.flow import Flow
from sbc.tap import Answered, unrecorded

Home = tuple[Flow, str, tuple[str, ...]]
"""The flow we registered over, the name a TLS server there has proved, and the Route our requests take (RFC 3608), topmost first."""


class Homes:
    """By trunk. Those who register write it down, and cross it out the moment it is not so any more.

    doubted   hears of calls that got no answer at all there
    """

    __slots__ = ("_of", "doubted", "of")

    def __init__(self, answered: Answered = unrecorded) -> None:
        self._of: dict[str, tuple[str, Home]] = {}  # with the registration it is of
        self.of = answered(self._home)
        self.doubted: Callable[[str, Now], None] = _nobody_hears

    def put(self, trunk: str, registration: str, home: Home) -> None:
        """`registration`: any name that no other one has."""
        self._of[trunk] = registration, home

    def drop(self, trunk: str, registration: str) -> None:
        """Unless there is another by now."""
        known = self._of.get(trunk)
        if known is not None and known[0] == registration:
            del self._of[trunk]

    def _home(self, trunk: str) -> Home | None:
        """None: we are not registered there."""
        known = self._of.get(trunk)
        return known[1] if known is not None else None


def _nobody_hears(trunk: str, now: Now) -> None: ...
