"""The steps of a call as JSON, each written as soon as it is over.

What a step consists of is at hand then, and gone before anything else is done. Kept until the end of the call, it costs several times as
much: the garbage collector looks at all of it, and it is fetched from memory once more only to be freed.
"""

from __future__ import annotations

import json
from array import array
from struct import pack

from sbc import native
from sbc.effects import Send
from sbc.flow import Flow
from sbc.inputs import PolicyChanged, Resolved
from sbc.recording.plain import DIRECT, WRITTEN_OUT, Plain
from sbc.recording.secrets import Secrets
from sbc.recording.step import Heard, Step

WRITE = native.values_writer()


class Pen:
    """What is written of one call. `messages` are one behind the other in the order of the steps, still with their secrets."""

    __slots__ = ("_flows", "_lengths", "_messages", "_plain", "_steps", "_times")

    def __init__(self, secrets: Secrets) -> None:
        self._plain = Plain(secrets)
        self._flows: dict[Flow, int] = {}  # in the order of their numbers
        self._times = bytearray()
        self._steps = bytearray()
        self._messages = bytearray()
        self._lengths = array("L")  # of the messages

    def size(self) -> int:
        """Octets."""
        return len(self._times) + len(self._steps) + len(self._messages)

    def add(self, step: Step) -> None:
        """All of it or, with an exception, nothing."""
        messages: list[bytes] = []
        happened, effects = step.happened, step.effects
        what: object = self._message(happened.octets, happened.flow, messages) if isinstance(happened, Heard) else happened
        out = [
            (*self._message(effect.data, effect.flow, messages), effect.key, effect.server_name) if isinstance(effect, Send) else effect
            for effect in effects
        ]
        text = self._json((self._given(step.given), what, out, step.fault))
        now = step.now
        self._times += pack("<3d", now.monotonic, now.wall, step.fired)
        if self._steps:
            self._steps += b","
        self._steps += text
        for message in messages:
            self._messages += message
            self._lengths.append(len(message))

    def finished(self, heading: dict[str, object]) -> bytes:
        """The whole file: one line of JSON, then the messages."""
        start = self._json({**heading, "times": self._times.hex()})[:-1]
        end = self._json({"flows": list(self._flows), "classes": self._plain.classes})[1:]
        messages = self._plain.secrets.all_octets(bytes(self._messages), self._lengths)
        return b"".join([start, b',"steps":[', self._steps, b"],", end, b"\n", messages])

    def _message(self, octets: bytes, flow: Flow, messages: list[bytes]) -> tuple[int, int]:
        messages.append(octets)
        number = self._flows.setdefault(flow, len(self._flows))
        return number, len(octets)

    def _given(self, given: list[tuple[str, object]]) -> list[tuple[str, object]]:
        for _, value in given:
            if type(value) not in DIRECT:
                return [(kind, value if type(value) in DIRECT else self._plain.answer(value)) for kind, value in given]
        return given

    def _json(self, value: object) -> bytes:
        text = None if WRITE is None else WRITE(value, WRITTEN_OUT, self._plain.classes, self._other)
        if text is None:  # longer than usual, mostly
            text = json.JSONEncoder(separators=(",", ":"), default=self._other).encode(value).encode()
        return text

    def _other(self, value: object) -> object:
        """What is written for what JSON has no kind for."""
        if isinstance(value, PolicyChanged):
            return value.snapshot.digest
        if isinstance(value, Resolved):
            return self._plain(value)  # a table: its keys are more than text
        return self._plain.compact(value)
