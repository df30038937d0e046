"""A recorded call once more, in an empty core: with the identifiers that were drawn, and what the rest of the process answered then."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ParamSpec, TypeVar, cast

from sbc.clock import Now
from sbc.core import Core
from sbc.inputs import DrainBegun, PolicyChanged
from sbc.policy.decide import Admitted
from sbc.policy.snapshot import Snapshot
from sbc.recording.plain import Plain
from sbc.recording.recorder import name_of
from sbc.recording.recording import Event, Recording, as_read
from sbc.recording.secrets import Secrets
from sbc.sip.server import MAGIC_COOKIE
from sbc.tap import Action, Named, ServerKey

P = ParamSpec("P")
R = TypeVar("R")


class DivergedError(Exception):
    """The core asks for something else than it did when the call was recorded. No SipError: nothing in the core shall answer it."""


@dataclass(frozen=True, slots=True)
class Played:
    """`effects` as JSON, as those of the event; `fault`: the exception it ended in, with its text."""

    event: Event
    effects: tuple[Any, ...]
    fault: str

    @property
    def same(self) -> bool:
        return self.effects == self.event.expected and self.fault.partition(":")[0] == self.event.fault


@dataclass(frozen=True, slots=True)
class Difference:
    """`number` counts the effects of the whole call from 1. None: no effect where the other side has one."""

    now: Now
    number: int
    recorded: Any
    replayed: Any
    fault: str


def play(recording: Recording) -> tuple[Played, ...]:
    """Every event of the call, and what the core makes of it today."""
    return _play(recording, recording.snapshot, _Script())


def play_under(recording: Recording, snapshot: Snapshot) -> tuple[Played, ...]:
    """What if another policy had been there? The same inputs; what only the other course of things asks for, this process answers."""
    played = _play(recording, snapshot, _LooseScript(snapshot))
    return tuple(
        [replace(one, event=replace(one.event, expected=_moved(one.event.expected)), effects=_moved(one.effects)) for one in played]
    )


def _moved(effects: tuple[Any, ...]) -> tuple[Any, ...]:
    """Where a rule stands in its file is no part of a policy."""
    return tuple([{**one, "record": {**one["record"], "route_line": None}} if one["~"] == "WriteRecord" else one for one in effects])


def first_difference(played: Sequence[Played]) -> Difference | None:
    number = 0
    for one in played:
        if not one.same:
            return next(_differences(one, number), Difference(one.event.now, number + len(one.effects), None, None, one.fault))
        number += len(one.effects)
    return None


def _differences(played: Played, before: int) -> Iterator[Difference]:
    recorded, replayed = played.event.expected, played.effects
    for index in range(max(len(recorded), len(replayed))):
        old = recorded[index] if index < len(recorded) else None
        new = replayed[index] if index < len(replayed) else None
        if old != new:
            yield Difference(played.event.now, before + index + 1, old, new, played.fault)


def _play(recording: Recording, snapshot: Snapshot, script: _Script) -> tuple[Played, ...]:
    core = Core(snapshot, script, script)
    if recording.draining and recording.events:
        core.receive(DrainBegun(), recording.events[0].now)
    plain = Plain(Secrets(None))
    played = []
    for event in recording.events:
        if isinstance(event.happened, PolicyChanged) and snapshot is not recording.snapshot:
            continue
        script.given = deque(event.given)
        fault = ""
        try:
            _step(core, event)
            script.expect_end()
        except Exception as error:
            fault = f"{type(error).__name__}: {error}"
        played.append(Played(event, tuple([as_read(effect, plain) for effect in core.take_effects()]), fault))
    return tuple(played)


def _step(core: Core, event: Event) -> None:
    if event.looked is not None:  # what was forgotten by then is forgotten; a timer of the call would be a difference
        core.handle_timeout(Now(event.looked, event.now.wall))
    if event.happened is None:
        core.handle_timeout(event.now)
    else:
        core.receive(event.happened, event.now)


class _Script:
    """The Tap and the Ids of a core that is given a recording."""

    def __init__(self) -> None:
        self.given: deque[tuple[str, object]] = deque()

    def expect_end(self) -> None:
        if self.given:
            raise DivergedError(f"{self.given[0][0]} was asked for when it was recorded, and is not now")

    def taken(self, kind: str) -> Any:
        if not self.given or self.given[0][0] != kind:
            raise DivergedError(f"{kind} is asked for, and was not when it was recorded")
        return self.given.popleft()[1]

    def attach(self, effects: Sequence[object]) -> None: ...

    def answered(self, question: Callable[P, R], /) -> Callable[P, R]:
        kind = name_of(question)

        def ask(*args: P.args, **kwargs: P.kwargs) -> R:
            return cast(R, self.taken(kind))

        return ask

    def timed(self, action: Action) -> Action:
        return action

    def begin(self, party: Named) -> None: ...

    def opened(self, key: ServerKey) -> None: ...

    def met(self, key: ServerKey) -> None: ...

    def within(self, identifier: str, action: Action, now: Now) -> None:
        action(now)

    def cut(self, identifier: str) -> None: ...

    def tag(self) -> str:
        return str(self.taken("tag"))

    def branch(self) -> str:
        return str(self.taken("branch"))

    def call_id(self) -> str:
        return str(self.taken("call_id"))

    def random(self, size: int) -> bytes:
        octets = self.taken("random")
        if not isinstance(octets, bytes) or len(octets) != size:
            raise DivergedError(f"{size} random octets are asked for, and were not when it was recorded")
        return octets


class _LooseScript(_Script):
    """Answers from the recording where it has one of the kind, else the core's own tables and identifiers anybody can guess."""

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__()
        self._snapshot = snapshot
        self._minted = 0

    def expect_end(self) -> None: ...

    def taken(self, kind: str) -> Any:
        for given in self.given:
            if given[0] == kind:
                self.given.remove(given)
                return given[1]
        self._minted += 1
        return f"{MAGIC_COOKIE if kind == 'branch' else ''}whatif{self._minted}"

    def random(self, size: int) -> bytes:
        for given in self.given:
            if given[0] == "random" and isinstance(given[1], bytes) and len(given[1]) == size:
                self.given.remove(given)
                return given[1]
        self._minted += 1
        return self._minted.to_bytes(size, "big")

    def answered(self, question: Callable[P, R], /) -> Callable[P, R]:
        kind = name_of(question)

        def ask(*args: P.args, **kwargs: P.kwargs) -> R:
            if all(given[0] != kind for given in self.given):
                return question(*args, **kwargs)
            answer = self.taken(kind)
            if isinstance(answer, Admitted):
                known = answer.name in self._snapshot.trunks or answer.name in self._snapshot.users
                answer = Admitted(self._snapshot.party(answer.name), answer.by) if known else None
            return cast(R, answer)

        return ask
