"""A core whose calls are recorded as the policy says: to everybody else, a core."""

from __future__ import annotations

from sbc.clock import Ids, Now
from sbc.core import Core
from sbc.effects import Effect, KeepRecording, Log
from sbc.flow import Flow
from sbc.inputs import DrainBegun, DrainEnded, Input, PolicyChanged
from sbc.policy.snapshot import Party, Snapshot
from sbc.recording.recorded import Recorded
from sbc.recording.tape import Recorder, Reel, Tape
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
            while recorder.ending:
                self._finish(recorder.ending.popleft())
        begun = recorder.begun
        if begun is not None and begun.reel.steps and begun.reel.call is None and self.core.busy() == before:
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
            for tapes in (recorder.complete, recorder.ending):
                while tapes and (tapes[0].until or 0.0) <= now.monotonic:
                    self._finish(tapes.popleft())

    def next_timeout(self) -> float | None:
        due, end = self.core.next_timeout(), self._next_end()
        return end if due is None else due if end is None else min(due, end)

    def _next_end(self) -> float | None:
        """When tapes are finished next: some together, for the first of them pays for all that the others find at hand."""
        complete, ending = self._recorder.complete, self._recorder.ending
        while ending and ending[0].over and not ending[0].reel.steps:  # it was complete before its time
            ending.popleft()
        tapes = complete or ending
        return (tapes[0].until or 0.0) + TOGETHER_S if tapes else None

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
        if not tape.reel.steps:  # it is already
            return
        self._recorder.forget(tape)
        reel, tape.reel = tape.reel, Reel()  # timers that still run know the tape
        if wanted(tape, reel):
            self._effects.append(KeepRecording(Recorded(tape, reel, self._ids)))
        if self._recorder.skipped:
            self._effects.append(Log("warning", "calls not recorded", {"calls": self._recorder.skipped, "why": "memory"}))
            self._recorder.skipped = 0


def wanted(tape: Tape, reel: Reel) -> bool:
    """Whether one of the parties of the call wants it kept. How a call would have ended that was cut or that broke, nobody knows."""
    if reel.call is None:
        caller = _party(tape.snapshot, tape.party)
        return caller is not None and caller.record != "never"
    record = reel.call.record
    attempts = record["attempts"]
    names = {party_name(record["a"]), party_name(record["b"])}
    if isinstance(attempts, list):
        names.update([attempt["target"] for attempt in attempts])
    modes = [party.record for name in names if (party := _party(tape.snapshot, name)) is not None]
    return "always" in modes or ("failed" in modes and (failed(record) or any(step.fault for step in reel.steps)))


def failed(record: dict[str, object]) -> bool:
    """Not answered, unless the caller gave up; or ended by us."""
    return record["released_by"] == "sbc" or (record["answered"] is None and record["released_by"] != "a")


def party_name(leg: object) -> str:
    """Of side `a` or `b` of a call record; "" when there was none."""
    return str(leg.get("trunk") or leg.get("user") or "") if isinstance(leg, dict) else ""


def _party(snapshot: Snapshot, name: str) -> Party | None:
    return snapshot.trunks.get(name) or snapshot.users.get(name)
