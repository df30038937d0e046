"""A tape that ended as a file: one line of JSON, then the octets of all its messages one behind the other, in the order of the steps.

Messages outside of the JSON cost a tenth of what they would cost inside, and can be read as they are; so do instants, which
are exact only with all their digits. See docs/recordings.md.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import lru_cache
from struct import pack

from sbc import __version__, native
from sbc.clock import Ids
from sbc.effects import Send
from sbc.flow import Flow
from sbc.inputs import PolicyChanged, Resolved
from sbc.recording.plain import DIRECT, WRITTEN_OUT, Plain
from sbc.recording.secrets import Secrets
from sbc.recording.tape import Reel, Tape

FORMAT = 4
WRITE = native.values_writer()


class Recorded:
    """For whoever writes it down (see sbc.effects.Recorded)."""

    def __init__(self, tape: Tape, reel: Reel, ids: Ids) -> None:
        self._reel = reel
        self._ids = ids
        self._policies = tape.policies
        self._draining = tape.draining
        self._cut = tape.cut
        self._call = call_of(reel)
        self._wall = reel.steps[0].now.wall
        self._octets = b""

    def call(self) -> str:
        return self._call

    def began(self) -> str:
        return began(self._wall)

    def digests(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([snapshot.digest for snapshot in self._policies]))

    def policy(self, digest: str) -> bytes:
        """That policy without its passwords, for a file of its own. KeyError: another policy."""
        snapshots = {snapshot.digest: snapshot for snapshot in self._policies}
        return json.dumps({"format": FORMAT, "policy": Plain(Secrets(None))(snapshots[digest])}).encode()

    def encode(self) -> bytes:
        """All of it. The first time it is made, and what the call consisted of is given up."""
        if not self._octets:
            self._octets = self._written()
            self._reel = Reel()
        return self._octets

    def _written(self) -> bytes:
        pen = _Pen(Plain(Secrets(self._ids.random)))
        text = pen.quickly(self._content(pen))
        if text is None:  # longer than usual, mostly
            pen = _Pen(pen.plain)
            text = json.JSONEncoder(separators=(",", ":"), default=pen.other).encode(self._content(pen)).encode()
        return b"".join([text, b"\n", *pen.plain.secrets.all_octets(pen.messages)])

    def _content(self, pen: _Pen) -> dict[str, object]:
        reel = self._reel
        times: list[float] = []
        steps: list[object] = []
        given = effects = 0
        for step in reel.steps:
            now = step.now
            times += (now.monotonic, now.wall, step.fired)
            what: object = step.happened if step.flow is None else pen.message(step.octets, step.flow)
            steps.append((pen.given(reel.given[given : step.given]), what, pen.sent(reel.effects[effects : step.effects]), step.fault))
            given, effects = step.given, step.effects
        return {
            "format": FORMAT,
            "sbc": __version__,
            "call": self._call,
            "policy": self._policies[0].digest,
            "draining": self._draining,
            "cut": self._cut,
            "times": pack(f"<{len(times)}d", *times).hex(),
            "steps": steps,
            "flows": pen.flows,
            "classes": pen.plain.classes,  # whoever writes all this comes to these last: all steps are done by then
        }


class _Pen:
    """What is written for what JSON has no kind for.

    flows     those that there were, by number
    messages  in the order of the steps
    """

    def __init__(self, plain: Plain) -> None:
        self.plain = plain
        self.flows: list[Flow] = []
        self.messages: list[bytes] = []
        self._numbers: dict[int, int] = {}  # of flows by their identity, which is less to look at than a flow

    def quickly(self, content: dict[str, object]) -> bytes | None:
        """JSON; None: not of the usual form."""
        return None if WRITE is None else WRITE(content, WRITTEN_OUT, self.plain.classes, self.other)

    def given(self, given: list[object]) -> list[object]:
        for value in given:
            if type(value) not in DIRECT:
                return [value if type(value) in DIRECT else self.plain.answer(value) for value in given]
        return given

    def sent(self, effects: list[object]) -> list[object]:
        return [(*self.message(each.data, each.flow), each.key, each.server_name) if isinstance(each, Send) else each for each in effects]

    def message(self, octets: bytes, flow: Flow) -> tuple[int, int]:
        self.messages.append(octets)
        return self._flow(flow), len(octets)

    def other(self, value: object) -> object:
        if isinstance(value, PolicyChanged):
            return value.snapshot.digest
        if isinstance(value, Resolved):
            return self.plain(value)  # a table: its keys are more than text
        return self.plain.compact(value)

    def _flow(self, flow: Flow) -> int:
        number = self._numbers.get(id(flow))
        if number is None:
            if flow not in self.flows:
                self.flows.append(flow)
            number = self._numbers[id(flow)] = self.flows.index(flow)
        return number


def began(wall: float) -> str:
    """That instant, UTC, as it stands in the name of a file."""
    second = int(wall)
    return f"{_second(second)}.{int((wall - second) * 1000):03}"


@lru_cache(maxsize=4)
def _second(wall: int) -> str:
    return datetime.fromtimestamp(wall, UTC).strftime("%Y%m%dT%H%M%S")


def call_of(reel: Reel) -> str:
    """The identifier of its call record; of a call that never had one the first tag that was drawn for it, which would have been it."""
    if reel.call is not None:
        return str(reel.call.record["id"])
    return str(reel.given[reel.given.index("tag") + 1]) if "tag" in reel.given else "unknown"
