"""One call as it happens, picked out of a core that serves thousands (see docs/decisions/0009).

An input belongs to the call whose identifier it bears: every tag, branch and Call-ID the core draws while it works for a
call leads back to it, and so does what the caller's INVITE is matched by. A timer belongs to the call that was worked for when it
was started. What the call asks of the rest of the process is put down with the answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar, assert_never

from sbc.clock import Ids, Now
from sbc.effects import Send, WriteRecord
from sbc.inputs import (
    Begun,
    BindingsFound,
    DrainBegun,
    DrainEnded,
    FlowClosed,
    Input,
    LinkCompared,
    LoadChanged,
    MalformedIn,
    MediaHappened,
    PolicyChanged,
    RelayClosed,
    RelayFailed,
    RelayOpened,
    RequestIn,
    Resolved,
    ResponseIn,
    SendFailed,
    Signed,
    UsageFound,
    Verified,
)
from sbc.policy.snapshot import Snapshot
from sbc.recording.tape import Key, Line, Step, Tape
from sbc.recording.wanted import wanted
from sbc.sip.server import server_key
from sbc.tap import Action, Named, ServerKey

P = ParamSpec("P")
R = TypeVar("R")

INVITATION = frozenset({"INVITE", "CANCEL", "ACK"})  # matched by the same key when they are about one INVITE
TAIL_S = 1.0  # a call is recorded for so long after its record, or until each BYE is answered
LARGEST_TAPE = 256 * 1024  # octets of one call: 50 re-INVITEs, a day of session refreshes; then the tape is cut
ALL_TAPES = 128 * 1024 * 1024  # octets of all calls in progress, some 10,000 of 12 KiB; beyond it new calls are not recorded
STEP_COST = 400  # octets a step takes in memory beside its messages, measured
EFFECT_COST = 300


class _Timed:
    """What a timer runs: one small object, for it may be kept for half a minute after its call."""

    __slots__ = ("action", "recorder", "tape")

    def __init__(self, recorder: Recorder, tape: Tape, action: Action) -> None:
        self.recorder = recorder
        self.tape = tape
        self.action = action

    def __call__(self, now: Now) -> None:
        self.recorder.run(self.tape, self.action, now)


class Recorder:
    """The Tap and the Ids of a core whose calls are recorded."""

    def __init__(self, ids: Ids) -> None:
        self.on = False  # new calls are recorded
        self.snapshot: Snapshot | None = None  # the current one
        self.draining = False
        self.fired = float("-inf")
        self.ending: dict[Tape, None] = {}  # in the order in which their tails run out
        self.complete: deque[Tape] = deque()  # those of which nothing more is to come
        self.skipped = 0  # calls not recorded for want of memory
        self._size = 0
        self.living: dict[Tape, None] = {}
        self.begun: Tape | None = None  # by the input under way
        self._tapes: dict[Key, Tape] = {}
        self._ids = ids
        self._emitted: list[object] = []
        self._tape: Tape | None = None
        self._step: Step | None = None
        self._mark = 0
        self._invitation: ServerKey | None = None  # what the INVITE under way is matched by, once that was asked
        self._happened: Input | None = None
        self._now = Now(0.0, 0.0)

    # Inputs

    def expect(self, happened: Input, now: Now) -> None:
        """The core is about to be given this."""
        self._happened = happened
        self._now = now
        self.begun = self._invitation = None
        tape = self._tapes.get(happened.response.via.branch) if isinstance(happened, ResponseIn) else self._owner(happened)
        if tape is not None and not tape.over:
            self._open(tape, now, happened)
            if tape.byes and isinstance(happened, ResponseIn) and happened.response.status >= 200:
                tape.byes.discard(happened.response.via.branch)

    def note(self, happened: Input, now: Now) -> None:
        """Something that concerns every call: it is in each before anything comes of it."""
        self._happened, self._now = happened, now
        for tape in self.living:
            if not tape.over:
                step = Step(now, happened, None, b"", self.fired)
                tape.reel.steps.append(step)
                tape.reel.end(step)
                if isinstance(happened, PolicyChanged):
                    tape.policies.append(happened.snapshot)

    def close(self, fault: Exception | None = None) -> None:
        """The core is done with it."""
        tape, step = self._tape, self._step
        self._tape = self._step = None
        if tape is None or step is None:
            return
        size = STEP_COST + len(step.octets)
        effects = tape.reel.effects
        start = len(effects)
        effects += self._emitted[self._mark :]
        for at in range(start, len(effects)):
            effect = effects[at]
            size += EFFECT_COST
            if isinstance(effect, Send):
                size += len(effect.data)
                if effect.data.startswith(b"BYE "):
                    tape.byes = (tape.byes or set()) | {effect.key}
            elif isinstance(effect, WriteRecord):
                effects[at] = Line(effect.line())
                tape.call = str(effect.record["id"])
                tape.wants = wanted(tape.snapshot, effect.record)
                self._let_end(tape, step.now)
        tape.reel.end(step)
        tape.size += size
        self._size += size
        if fault is not None:
            step.fault = type(fault).__name__
            self._let_end(tape, step.now)
        elif tape.call and tape.byes is not None and not tape.byes:
            self._end(tape, step.now)
        if tape.size > LARGEST_TAPE:
            tape.cut = tape.over = True
            self._end(tape, step.now)

    def forget(self, tape: Tape) -> None:
        """It is over: nothing leads to it any more, but timers keep it for half a minute. Its reel is the caller's."""
        tape.over = True
        for key in tape.keys:
            if self._tapes.get(key) is tape:
                del self._tapes[key]
        tape.keys.clear()
        tape.byes = None
        self.living.pop(tape, None)
        self._size -= tape.size

    def _owner(self, happened: Input) -> Tape | None:
        """The tape of the call an input belongs to."""
        tapes = self._tapes
        if isinstance(happened, RequestIn):
            request = happened.request
            tape = tapes.get(request.to.tag)
            if tape is None and request.method in INVITATION:
                self._invitation = server_key(request, "INVITE", happened.flow)
                tape = tapes.get(self._invitation)
            return tape
        match happened:
            case ResponseIn(response):
                return tapes.get(response.via.branch)
            case RelayOpened(relay) | RelayClosed(relay) | RelayFailed(relay):
                return tapes.get(relay.rpartition("-")[0])
            case MediaHappened(event):
                return tapes.get(event.relay.rpartition("-")[0])
            case SendFailed(key):
                return tapes.get(key.partition(" ")[0])
            case Resolved(question) | Verified(question) | Signed(question):
                return tapes.get(question)
            case MalformedIn() | FlowClosed() | LinkCompared() | BindingsFound() | UsageFound() | Begun() | PolicyChanged() | LoadChanged():
                return None  # of no call, or of many: see `within` and `note`
            case DrainBegun() | DrainEnded():
                return None  # of no call, or of many: see `within` and `note`
            case _:
                assert_never(happened)

    def _open(self, tape: Tape, now: Now, happened: Input | None) -> None:
        """From here on all that is drawn, answered and given belongs to that tape."""
        steps = tape.reel.steps
        last = steps[-1] if steps else None
        if last is not None and last.happened is happened and last.now == now and last.flow is None:
            self._step = last  # several of its timers were due, or several of its calls concerned: as they will be again
        else:
            if isinstance(happened, RequestIn):  # what is worked on changes, its octets do not
                step = Step(now, None, happened.flow, happened.octets or happened.request.encode(), self.fired)
            elif isinstance(happened, ResponseIn):
                step = Step(now, None, happened.flow, happened.octets or happened.response.encode(), self.fired)
            else:
                step = Step(now, happened, None, b"", self.fired)
            steps.append(step)
            self._step = step
        self._tape = tape
        self._mark = len(self._emitted)

    def _let_end(self, tape: Tape, now: Now) -> None:
        """After its tail."""
        if tape.until is None:
            tape.until = now.monotonic + TAIL_S
            self.ending[tape] = None

    def _end(self, tape: Tape, now: Now) -> None:
        if tape.until is None or tape in self.ending:
            self.ending.pop(tape, None)
            tape.until = now.monotonic
            self.complete.append(tape)

    # The tap

    def attach(self, effects: Sequence[object]) -> None:
        assert isinstance(effects, list)
        self._emitted = effects

    def answered(self, question: Callable[P, R], /) -> Callable[P, R]:
        kind = name_of(question)

        def ask(*args: P.args, **kwargs: P.kwargs) -> R:
            step, tape = self._step, self._tape
            if step is None or tape is None:
                return question(*args, **kwargs)
            self._step = None  # what is drawn to find the answer is no business of the call
            try:
                answer = question(*args, **kwargs)
            finally:
                self._step = step
            tape.reel.given += (kind, answer)
            return answer

        return ask

    def timed(self, action: Action) -> Action:
        return action if self._tape is None else _Timed(self, self._tape, action)

    def run(self, tape: Tape, action: Action, now: Now) -> None:
        """The action of a timer that was started for that call."""
        if tape.over:
            action(now)
            return
        self._open(tape, now, None)
        try:
            action(now)
        except Exception as error:
            self.close(error)
            raise
        self.close()

    def begin(self, party: Named) -> None:
        """What asked whose call it is was answered before: that is the first answer on the tape."""
        happened = self._happened
        if not self.on or not isinstance(happened, RequestIn) or self.snapshot is None:
            return
        if self._tape is not None:  # the INVITE of a call that is long connected came once more: it is nothing of that call
            self._tape.reel.drop_last()
        if self._size > ALL_TAPES:
            self._tape = self._step = None
            self.skipped += 1
            return
        tape = Tape(self.snapshot, party.name, self.draining)
        self.begun = tape
        self.living[tape] = None
        key = self._invitation or server_key(happened.request, "INVITE", happened.flow)
        self._tapes[key] = tape
        tape.keys.append(key)
        self._open(tape, self._now, happened)
        tape.reel.given += ("admit", party)

    def opened(self, key: ServerKey) -> None:
        tape = self._tape
        if self._step is None or tape is None:
            self._tapes.pop(key, None)  # one before, with the same key, was on a tape
        elif self._tapes.get(key) is not tape:
            self._tapes[key] = tape
            tape.keys.append(key)

    def met(self, key: ServerKey) -> None:
        """Tags may be wrong, and a transaction may be left of a call that is long over."""
        owner, tape = self._tapes.get(key), self._tape
        if owner is tape:
            return
        if self._step is not None and tape is not None:
            tape.reel.drop_last()
        self._tape = self._step = None
        if owner is not None and not owner.over and self._happened is not None:
            self._open(owner, self._now, self._happened)

    def within(self, identifier: str, action: Action, now: Now) -> None:
        tape = self._tapes.get(identifier)
        if tape is None or tape.over:
            action(now)
            return
        self._open(tape, now, self._happened)
        try:
            action(now)
        except Exception as error:
            self.close(error)
            raise
        self.close()

    def cut(self, identifier: str) -> None:
        """Without the step under way: what it is told belongs to several calls."""
        tape = self._tapes.get(identifier)
        if tape is None or tape.over:
            return
        if tape is self._tape:
            if self._step is not None:
                tape.reel.drop_last()
            self._tape = self._step = None
        if not tape.reel.steps:
            self.forget(tape)
            return
        tape.cut = tape.over = True
        self._end(tape, self._now)

    # The identifiers

    def tag(self) -> str:
        return self._drawn("tag", self._ids.tag())

    def branch(self) -> str:
        return self._drawn("branch", self._ids.branch())

    def call_id(self) -> str:
        return self._drawn("call_id", self._ids.call_id())

    def random(self, size: int) -> bytes:
        octets = self._ids.random(size)
        tape = self._tape
        if self._step is not None and tape is not None:
            tape.reel.given += ("random", octets)
        return octets

    def _drawn(self, kind: str, identifier: str) -> str:
        tape = self._tape
        if self._step is not None and tape is not None:
            tape.reel.given += (kind, identifier)
            self._tapes[identifier] = tape
            tape.keys.append(identifier)
        return identifier


def name_of(question: object) -> str:
    """What answers to it are called on the tape."""
    return str(getattr(question, "__name__", "")).strip("_")
