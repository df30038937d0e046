"""What the recording of a call is made of while it goes on: a tape, on which the steps of the call are wound."""

from __future__ import annotations

from sbc.clock import Now
from sbc.flow import Flow
from sbc.inputs import Input
from sbc.policy.snapshot import Record, Snapshot
from sbc.tap import ServerKey

Key = str | ServerKey


class Step:
    """What happened at one instant, and how far the tape had come when all was done that came of it.

    happened  the input; None: a message came, or timers of the call were due
    flow      by which the message came; None: it was none
    octets    of the message, as it came
    fired     monotonic instant of the last look at all timers before it
    given     the end of what the core drew and was answered, on the tape
    effects   the end of what it gave
    fault     the type of the exception it ended in; "": none
    """

    __slots__ = ("effects", "fault", "fired", "flow", "given", "happened", "now", "octets")

    def __init__(self, now: Now, happened: Input | None, flow: Flow | None, octets: bytes, fired: float) -> None:
        self.now = now
        self.happened = happened
        self.flow = flow
        self.octets = octets
        self.fired = fired
        self.given = self.effects = 0
        self.fault = ""


class Line:
    """The record of a call as it stands in its file, in place of what it was made of."""

    __slots__ = ("octets",)

    def __init__(self, octets: bytes) -> None:
        self.octets = octets


class Reel:
    """The steps of a call, and what they consist of in one row each: the less there is to keep, the less it costs to have kept it.

    given    what the core drew and was answered, in order: kind, value, kind, value …
    effects  what it gave
    """

    __slots__ = ("effects", "given", "steps")

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.given: list[object] = []
        self.effects: list[object] = []

    def end(self, step: Step) -> None:
        """What was put down since the step before belongs to this one, which is the last."""
        step.given = len(self.given)
        step.effects = len(self.effects)

    def broke(self) -> bool:
        """Whether the core itself failed."""
        return any(step.fault for step in self.steps)

    def drop_last(self) -> None:
        self.steps.pop()
        last = self.steps[-1] if self.steps else None
        del self.given[last.given if last is not None else 0 :]
        del self.effects[last.effects if last is not None else 0 :]


NOTHING = Reel()  # in place of one that was taken


class Tape:
    """What a recording is made of.

    snapshot  the policy the call began with
    policies  that one and those that came into force meanwhile
    party     the name of the caller's trunk or user
    draining  whether new calls were refused when it began
    reel      its steps; taken from it at its end
    call      the identifier of its record, once written; "": it is not
    wants     what that says of who wants it kept: a word of `record` in the policy
    byes      the branches of those that are not answered; None: none was sent
    until     monotonic instant when the tape ends, once that is known
    cut       it had grown too long
    over      nothing is added any more
    """

    __slots__ = ("byes", "call", "cut", "draining", "keys", "over", "party", "policies", "reel", "size", "snapshot", "until", "wants")

    def __init__(self, snapshot: Snapshot, party: str, draining: bool) -> None:
        self.snapshot = snapshot
        self.policies = [snapshot]
        self.party = party
        self.draining = draining
        self.reel = Reel()
        self.call = ""
        self.wants: Record = "never"
        self.keys: list[Key] = []
        self.size = 0
        self.byes: set[str] | None = None
        self.until: float | None = None
        self.cut = False
        self.over = False
