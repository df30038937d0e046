"""Where we are registered ourselves: what calls to a carrier need to know of that."""

from __future__ import annotations

from sbc.flow import Flow
from sbc.tap import Answered, unrecorded

Home = tuple[Flow, str, tuple[str, ...]]
"""The flow we registered over, the name a TLS server there has proved, and the Route our requests take (RFC 3608), topmost first."""


class Homes:
    """By trunk. Those who register write it down, and cross it out the moment it is not so any more."""

    __slots__ = ("_of", "of")

    def __init__(self, answered: Answered = unrecorded) -> None:
        self._of: dict[str, Home] = {}
        self.of = answered(self._home)

    def put(self, trunk: str, home: Home) -> None:
        self._of[trunk] = home

    def drop(self, trunk: str, home: Home) -> None:
        """Unless there is another by now."""
        if self._of.get(trunk) is home:
            del self._of[trunk]

    def _home(self, trunk: str) -> Home | None:
        """None: we are not registered there."""
        return self._of.get(trunk)
