"""A core whose calls are recorded as the policy says: to everybody else, a core."""

from __future__ import annotations

from sbc.clock import Ids, Now
from sbc.core import Core
from sbc.effects import Effect, KeepRecording, Log
from sbc.flow import Flow
from sbc.inputs import DrainBegun, DrainEnded, Input, PolicyChanged
from sbc.policy.snapshot import Snapshot
from sbc.recording.recorded import Recorded
from sbc.recording.recorder import Recorder
from sbc.recording.tape import NOTHING, Tape
from sbc.recording.wanted import wanted_unfinished
from sbc.registrar.outbound_rules import Outlook
from sbc.shield.queue import Rank
from sbc.sip.fields.via import Via
from sbc.sip.message import Request, Response
from sbc.sip.uri import Uri
from sbc.views import Answer, Question

TOGETHER_S = 0.1  # tapes that end within it are finished together


class RecordingCore:
    """`core` is what it drives. A call of a party that shall be recorded ends in one more effect, `KeepRecording`."""

    def __init__(self, snapshot: Snapshot, ids: Ids) -> None:
        self._ids = ids
        self._recorder = Recorder(ids)
        self._effects: list[Effect] = []
        self._shutting_down = False
        self.core = Core(snapshot, self._recorder, self._recorder)
        self._take_policy(snapshot)

    def receive(self, happened: Input, now: Now) -> None:
        recorder = self._recorder
        if isinstance(happened, (PolicyChanged, DrainBegun)):
            self._receive_for_all(happened, now)
            return
        if not recorder.on and not recorder.living:
            self.core.receive(happened, now)
            return
        before = self.core.busy()
        recorder.expect(happened, now)
        try:
            self.core.receive(happened, now)
        except Exception as error:
            recorder.close(error)
            raise
        recorder.close()
        if isinstance(happened, DrainEnded):
            self._shutting_down = True
        if self._shutting_down:  # nobody will wake us once more
            for tape in (*recorder.complete, *recorder.ending):
                self._finish(tape)
            recorder.complete.clear()
            recorder.ending.clear()
        begun = recorder.begun
        if begun is not None and begun.reel.steps and not begun.call and self.core.busy() == before:
            recorder.forget(begun)  # refused before it was an attempt: nothing more will come of it

    def _receive_for_all(self, happened: PolicyChanged | DrainBegun, now: Now) -> None:
        self._recorder.note(happened, now)
        self.core.receive(happened, now)
        if isinstance(happened, PolicyChanged):
            self._take_policy(happened.snapshot)
        else:
            self._recorder.draining = True

    def _take_policy(self, snapshot: Snapshot) -> None:
        self._recorder.snapshot = snapshot
        trunks, users = snapshot.trunks.values(), snapshot.users.values()
        self._recorder.on = any(trunk.record != "never" for trunk in trunks) or any(user.record != "never" for user in users)

    def handle_timeout(self, now: Now) -> None:
        self.core.handle_timeout(now)
        recorder = self._recorder
        recorder.fired = now.monotonic
        end = self._next_end()
        if end is not None and end <= now.monotonic:
            complete, ending = recorder.complete, recorder.ending
            while complete and (complete[0].until or 0.0) <= now.monotonic:
                self._finish(complete.popleft())
            for tape in [tape for tape in ending if (tape.until or 0.0) <= now.monotonic]:
                del ending[tape]
                self._finish(tape)

    def next_timeout(self) -> float | None:
        due, end = self.core.next_timeout(), self._next_end()
        return end if due is None else due if end is None else min(due, end)

    def _next_end(self) -> float | None:
        """When tapes are finished next: some together, for the first of them pays for all that the others find at hand."""
        for tape in self._recorder.complete or self._recorder.ending:
            return (tape.until or 0.0) + TOGETHER_S
        return None

    def take_effects(self) -> list[Effect]:
        effects = self.core.take_effects()
        if self._effects:
            effects += self._effects
            self._effects.clear()
        return effects

    def rank(self, message: Request | Response | Uri | None, flow: Flow) -> Rank:
        return self.core.rank(message, flow)

    def has_invite(self, via: Via, flow: Flow) -> bool:
        return self.core.has_invite(via, flow)

    def tell(self, request: Request, flow: Flow, now: Now) -> None:
        self.core.tell(request, flow, now)

    def busy(self) -> int:
        return self.core.busy()

    def flows_in_use(self) -> frozenset[Flow]:
        return self.core.flows_in_use()

    def strays(self) -> tuple[Flow, ...]:
        return self.core.strays()

    def departed(self) -> tuple[Flow, ...]:
        return self.core.departed()

    def is_leaving(self) -> bool:
        return self.core.is_leaving()

    def registrations_out(self) -> tuple[Outlook, ...]:
        return self.core.registrations_out()

    def leftovers(self) -> dict[str, int]:
        return self.core.leftovers()

    def ask(self, question: Question, now: Now) -> Answer:
        return self.core.ask(question, now)

    def _finish(self, tape: Tape) -> None:
        self._recorder.forget(tape)
        reel, tape.reel = tape.reel, NOTHING  # timers that still run know the tape
        if not tape.call:
            kept = wanted_unfinished(tape.snapshot, tape.party)
        else:
            kept = tape.wants == "always" or (tape.wants == "failed" and reel.broke())
        if kept:
            self._effects.append(KeepRecording(Recorded(tape, reel, self._ids)))
        if self._recorder.skipped:
            self._effects.append(Log("warning", "calls not recorded", {"calls": self._recorder.skipped, "why": "memory"}))
            self._recorder.skipped = 0
