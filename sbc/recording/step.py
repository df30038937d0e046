"""What happened to a call at one instant, and all that came of it."""

from __future__ import annotations

from sbc.clock import Now
from sbc.flow import Flow
from sbc.frozen import frozen
from sbc.inputs import Input


@frozen
class Heard:
    """A message as it came."""

    octets: bytes
    flow: Flow


class Step:
    """
    happened  the input; None: timers of the call were due
    fired     monotonic instant of the last look at all timers before it
    given     what the core drew and was answered, in order: (kind, value)
    effects   what it gave
    fault     the type of the exception it ended in; "": none
    """

    __slots__ = ("effects", "fault", "fired", "given", "happened", "now")

    def __init__(self, now: Now, happened: Input | Heard | None, fired: float) -> None:
        self.now = now
        self.happened = happened
        self.fired = fired
        self.given: list[tuple[str, object]] = []
        self.effects: list[object] = []
        self.fault = ""
