"""What recording costs: the core's own CPU for a whole call, with and without, in turns and in one process.

    python -m tests.bench.recording

Nothing but the core is measured: messages are made and parsed, and what they cost on the wire is paid, outside.
`in memory` keeps every call and throws it away at its end (`failed`, and none does); `as files` also makes the octets of the files, some
at once as the writing thread does.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import cast

from sbc.clock import Now
from sbc.core import Core
from sbc.effects import Effect, KeepRecording, Recorded
from sbc.frozen import replace
from sbc.inputs import Input, RequestIn, ResponseIn
from sbc.net.ports import CoreLike
from sbc.policy.snapshot import Record, Snapshot
from sbc.recording.core import RecordingCore
from sbc.system import SystemIds
from tests.world import Agent, World, connect, snapshot_of

ROUNDS = 30
CALLS = 20  # a round


class Timed:
    """A core, and the seconds of CPU spent in it."""

    def __init__(self, core: CoreLike) -> None:
        self._core = core
        self.spent = 0.0
        self.octets = 0
        self._kept: list[Recorded] = []

    def receive(self, happened: Input, now: Now) -> None:
        if isinstance(happened, RequestIn | ResponseIn):  # as the engine hands it on
            message = happened.request if isinstance(happened, RequestIn) else happened.response
            happened = replace(happened, octets=message.encode())
        start = time.process_time()
        self._core.receive(happened, now)
        self.spent += time.process_time() - start

    def handle_timeout(self, now: Now) -> None:
        start = time.process_time()
        self._core.handle_timeout(now)
        self.spent += time.process_time() - start

    def next_timeout(self) -> float | None:
        return self._core.next_timeout()

    def take_effects(self) -> list[Effect]:
        start = time.process_time()
        effects = self._core.take_effects()
        self.spent += time.process_time() - start
        self._kept += [effect.recording for effect in effects if isinstance(effect, KeepRecording)]
        return [effect for effect in effects if not isinstance(effect, KeepRecording)]

    def write(self) -> None:
        start = time.process_time()
        self.octets += sum([len(recording.encode()) for recording in self._kept])
        self.spent += time.process_time() - start
        self._kept.clear()

    def busy(self) -> int:
        return self._core.busy()

    def is_leaving(self) -> bool:
        return self._core.is_leaving()

    def leftovers(self) -> dict[str, int]:
        return self._core.leftovers()


class Subject:
    """A world of its own around a core of one kind."""

    def __init__(self, name: str, core: CoreLike) -> None:
        self.name = name
        self.core = Timed(core)
        self.per_call: list[float] = []
        self._world = World()
        self._world.core = cast(RecordingCore, self.core)
        self._office = self._world.agent("office", ("10.0.0.20", 5060), "outside")
        self._carrier = self._world.agent("carrier", ("10.1.0.2", 5060), "inside")

    def round(self) -> None:
        self.core.spent = 0.0
        for _ in range(CALLS):
            call(self._office, self._carrier)
            self._world.after(2)
        self.core.write()
        self.per_call.append(self.core.spent / CALLS)
        self._world.after(40)
        self._world.sent.clear()


def call(office: Agent, carrier: Agent) -> None:
    invite, ok, _ = connect(office, carrier, "+4930123456")
    office.send(office.within(invite, ok, "BYE"))
    office.expect_response(200)
    carrier.answer(carrier.expect_request("BYE"), 200)


def with_mode(mode: Record) -> Snapshot:
    snapshot = snapshot_of()
    return replace(snapshot, trunks={name: replace(trunk, record=mode) for name, trunk in snapshot.trunks.items()})


def paired(subject: Subject, other: Subject) -> float:
    """The median of the ratios within one round."""
    return median([ours / theirs for ours, theirs in zip(subject.per_call, other.per_call, strict=True)])


def main() -> None:
    build: Sequence[tuple[str, Callable[[], CoreLike]]] = (
        ("no recorder", lambda: Core(with_mode("never"), SystemIds())),
        ("never", lambda: RecordingCore(with_mode("never"), SystemIds())),
        ("in memory", lambda: RecordingCore(with_mode("failed"), SystemIds())),
        ("as files", lambda: RecordingCore(with_mode("always"), SystemIds())),
    )
    subjects = [Subject(name, make()) for name, make in build]
    for subject in subjects:
        subject.round()
        subject.per_call.clear()
    gc.collect()
    gc.disable()
    for _ in range(ROUNDS):
        for subject in subjects:
            subject.round()
    base, never = subjects[0], subjects[1]
    print("recording       us/call   to no recorder   median   to never")
    for subject in subjects:
        best = min(subject.per_call)
        ratios = f"{best / min(base.per_call):16.3f} {paired(subject, base):8.3f} {paired(subject, never):10.3f}"
        print(f"{subject.name:<14} {best * 1e6:8.0f} {ratios}")
    print(f"octets of a recording: {subjects[-1].core.octets // (CALLS * (ROUNDS + 1))}")


if __name__ == "__main__":
    main()
