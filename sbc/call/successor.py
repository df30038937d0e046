"""What a call knows of transfers: somebody who performs them, and somebody who is about to take one of its legs away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sbc.call.leg import Leg
from sbc.call.words import Cause, Referred
from sbc.clock import Now

if TYPE_CHECKING:
    from sbc.call.call import Call


class Transferring(Protocol):
    """Does what a party asks for with REFER."""

    def refer(self, call: Call, leg: Leg, word: Referred, now: Now) -> None: ...


class Successor(Protocol):
    """Is about to take one leg into another call. `left`: somebody hung up here; True: the call waits for the outcome."""

    def left(self, leg: Leg, cause: Cause, now: Now) -> bool: ...
    def call_over(self, now: Now) -> None: ...
