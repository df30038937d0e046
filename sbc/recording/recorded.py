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
from sbc.effects import Send, WriteRecord, line_of
from sbc.flow import Flow
from sbc.recording.plain import DIRECT, WRITTEN_OUT, Plain
from sbc.recording.secrets import Secrets, may_hold_any
from sbc.recording.tape import NOTHING, Line, Reel, Tape

FORMAT = 4
WRITE = native.steps_writer()
SENT = (Send, "data", "flow", "key", "server_name")


class Recorded:
    """For whoever writes it down (see sbc.effects.Recorded)."""

    def __init__(self, tape: Tape, reel: Reel, ids: Ids) -> None:
        self._reel = reel
        self._ids = ids
        self._policies = tape.policies
        self._digests = tuple(dict.fromkeys([snapshot.digest for snapshot in tape.policies]))
        self._draining = tape.draining
        self._cut = tape.cut
        self._call = tape.call or first_tag(reel)
        self._wall = reel.steps[0].now.wall
        self._octets = b""

    def call(self) -> str:
        return self._call

    def began(self) -> str:
        return began(self._wall)

    def digests(self) -> tuple[str, ...]:
        return self._digests

    def policy(self, digest: str) -> bytes:
        """That policy without its passwords, for a file of its own. KeyError: another policy."""
        snapshots = {snapshot.digest: snapshot for snapshot in self._policies}
        return json.dumps({"format": FORMAT, "policy": Plain(Secrets(None))(snapshots[digest])}).encode()

    def encode(self) -> bytes:
        """All of it. The first time it is made, and what the call consisted of is given up."""
        if not self._octets:
            self._octets = self._written()
            self._reel = NOTHING
        return self._octets

    def _written(self) -> bytes:
        reel, pen = self._reel, _Pen(Plain(Secrets(self._ids.random)))
        steps = pen.steps(reel)
        heading = {
            "format": FORMAT,
            "sbc": __version__,
            "call": self._call,
            "policy": self._digests[0],
            "draining": self._draining,
            "cut": self._cut,
            "flows": pen.flows,
        }
        line = b"".join((line_of(heading)[:-2], b",", steps, b',"classes":', _classes(pen.plain.classes), b"}\n"))
        octets, secrets = b"".join([line, *pen.messages]), pen.plain.secrets
        if may_hold_any(octets, len(line)):
            octets = b"".join([line, *[secrets.octets(message) for message in pen.messages]])
        return octets


class _Pen:
    """What is written of a reel.

    flows     those that there were, by number
    messages  in the order of the steps
    """

    def __init__(self, plain: Plain) -> None:
        self.plain = plain
        self.flows: list[Flow] = []
        self.messages: list[bytes] = []

    def steps(self, reel: Reel) -> bytes:
        """With their times, as JSON."""
        given = reel.given
        for at in range(1, len(given), 2):
            if type(given[at]) not in DIRECT:
                given[at] = self.plain.answer(given[at])
        return self._quickly(reel) or self._encoded(reel)

    def _quickly(self, reel: Reel) -> bytes | None:
        """None: not of the usual form; longer, mostly."""
        if WRITE is None:
            return None
        rows: list[object] = []
        for step in reel.steps:
            rows += (step.happened, step.octets, step.flow, step.now, step.fired, step.given, step.effects, step.fault)
        return WRITE(rows, reel.given, reel.effects, SENT, self.flows, self.messages, WRITTEN_OUT, self.plain.classes, self._other)

    def _encoded(self, reel: Reel) -> bytes:
        self.flows.clear()
        self.messages.clear()
        times: list[float] = []
        steps: list[object] = []
        given = effects = 0
        for step in reel.steps:
            times += (*step.now, step.fired)
            what: object = step.happened if step.flow is None else self._message(step.octets, step.flow)
            sent = [self._sent(effect) for effect in reel.effects[effects : step.effects]]
            steps.append((reel.given[given : step.given], what, sent, step.fault))
            given, effects = step.given, step.effects
        heading = {"times": pack(f"<{len(times)}d", *times).hex(), "steps": steps}
        return json.JSONEncoder(separators=(",", ":"), default=self.plain.compact).encode(heading).encode()[1:-1]

    def _sent(self, effect: object) -> object:
        if isinstance(effect, Send):
            return *self._message(effect.data, effect.flow), effect.key, effect.server_name
        return WriteRecord(json.loads(effect.octets)) if isinstance(effect, Line) else effect

    def _message(self, octets: bytes, flow: Flow) -> tuple[int, int]:
        self.messages.append(octets)
        if flow not in self.flows:
            self.flows.append(flow)
        return self.flows.index(flow), len(octets)

    def _other(self, value: object) -> object:
        if isinstance(value, Line):
            self.plain.classes["WriteRecord"] = ("record",)
            return b'[null,"WriteRecord",%s]' % value.octets[:-1]
        return self.plain.compact(value)


CLASSES: dict[tuple[str, ...], bytes] = {}
MOST_CLASSES = 256  # sets of them; most calls have one of a few


def _classes(classes: dict[str, tuple[str, ...]]) -> bytes:
    """As JSON."""
    names = tuple(classes)
    written = CLASSES.get(names)
    if written is None:
        if len(CLASSES) >= MOST_CLASSES:
            CLASSES.clear()
        written = CLASSES[names] = line_of({**classes})[:-1]
    return written


def began(wall: float) -> str:
    """That instant, UTC, as it stands in the name of a file."""
    second = int(wall)
    return f"{_second(second)}.{int((wall - second) * 1000):03}"


@lru_cache(maxsize=4)
def _second(wall: int) -> str:
    return datetime.fromtimestamp(wall, UTC).strftime("%Y%m%dT%H%M%S")


def first_tag(reel: Reel) -> str:
    """That was drawn for a call: it would have been the identifier of its record."""
    return str(reel.given[reel.given.index("tag") + 1]) if "tag" in reel.given else "unknown"
