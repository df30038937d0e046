"""A recorded call from its file; see sbc.recording.recorded and docs/recordings.md."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sbc.clock import Now
from sbc.effects import Send
from sbc.errors import ParseError
from sbc.flow import Flow
from sbc.inputs import Input, PolicyChanged, RequestIn, ResponseIn
from sbc.policy.snapshot import Party, Snapshot
from sbc.recording.plain import Plain
from sbc.recording.plain import octets as octets_as_text
from sbc.recording.reading import Unreadable, expanded, flow_of, read
from sbc.recording.recorded import FORMAT
from sbc.sip.message import Request
from sbc.sip.parse import parse_datagram

NEVER = float("-inf")
DAMAGED = (struct.error, LookupError, TypeError, ValueError, AttributeError, RecursionError, ParseError)  # what reading one can end in


@dataclass(frozen=True, slots=True)
class Event:
    """One step as read; see sbc.recording.tape.Step. `octets`: of a message that came; `expected`: the effects as JSON."""

    now: Now
    looked: float | None
    happened: Input | None
    octets: bytes
    given: tuple[tuple[str, object], ...]
    expected: tuple[Any, ...]
    fault: str


@dataclass(frozen=True, slots=True)
class Recording:
    """`cut`: the call went on after the last event."""

    call: str
    version: str
    snapshot: Snapshot
    draining: bool
    cut: bool
    events: tuple[Event, ...]


def decode(data: bytes, policy: Callable[[str], bytes]) -> Recording:
    """`policy` gives the file of a digest. Raises Unreadable when it is no recording, or none that this version can read."""
    head, _, octets = data.partition(b"\n")
    try:
        heading = json.loads(head)
        if heading["format"] != FORMAT:
            raise Unreadable(f"a recording of format {heading['format']}; this version reads format {FORMAT}")
        steps = expanded(heading["steps"], heading["classes"])
        reader = _Reader([flow_of(flow) for flow in heading["flows"]], octets, policy)
        first = reader.policy(heading["policy"])
        times = struct.iter_unpack("<3d", bytes.fromhex(heading["times"]))
        events = tuple([reader.event(step, *instants) for step, instants in zip(steps, times, strict=True)])
        return Recording(heading["call"], heading["sbc"], first, heading["draining"], heading["cut"], events)
    except DAMAGED as error:
        raise Unreadable(f"not a recording of this version: {error!r}") from error


class _Reader:
    """Goes through the steps in their order, and through the messages in theirs."""

    def __init__(self, flows: list[Flow], octets: bytes, policy: Callable[[str], bytes]) -> None:
        self._flows = flows
        self._octets = octets
        self._place = 0
        self._policy = policy
        self._snapshots: dict[str, Snapshot] = {}
        self._current: Snapshot | None = None

    def policy(self, digest: str) -> Snapshot:
        """It is the current one from here on."""
        if digest not in self._snapshots:
            self._snapshots[digest] = decode_policy(self._policy(digest))
        self._current = self._snapshots[digest]
        return self._current

    def event(self, step: Any, monotonic: float, wall: float, looked: float) -> Event:
        given, what, out, fault = step
        happened, octets = self._input(what)
        return Event(
            now=Now(monotonic, wall),
            looked=looked if looked > NEVER else None,
            happened=happened,
            octets=octets,
            given=tuple([(given[at], read(given[at + 1], self._party)) for at in range(0, len(given), 2)]),
            expected=tuple([self._sent(effect) if isinstance(effect, list) else effect for effect in out]),
            fault=fault,
        )

    def _input(self, what: Any) -> tuple[Input | None, bytes]:
        if isinstance(what, str):
            return PolicyChanged(self.policy(what)), b""
        if isinstance(what, list):
            flow, octets = self._flows[what[0]], self._next(what[1])
            message = parse_datagram(octets)
            return (RequestIn(message, flow) if isinstance(message, Request) else ResponseIn(message, flow)), octets
        return read(what, self._party), b""

    def _sent(self, sent: list[Any]) -> dict[str, object]:
        flow, length, key, name = sent
        return sent_as_read(octets_as_text(self._next(length)), self._flows[flow], key, name)

    def _next(self, length: int) -> bytes:
        start, self._place = self._place, self._place + length
        if self._place > len(self._octets):
            raise ValueError("the file ends within a message")
        return self._octets[start : self._place]

    def _party(self, name: str) -> Party:
        assert self._current is not None
        return self._current.party(name)


def decode_policy(data: bytes) -> Snapshot:
    """Raises Unreadable."""
    try:
        snapshot = read(json.loads(data)["policy"], _nobody)
    except DAMAGED as error:
        raise Unreadable(f"not the policy of a recording: {error!r}") from error
    if not isinstance(snapshot, Snapshot):
        raise Unreadable("not the policy of a recording")
    return snapshot


def _nobody(name: str) -> Party:
    raise KeyError(name)


def as_read(effect: object, plain: Plain) -> Any:
    """An effect as it would come out of a file."""
    if isinstance(effect, Send):
        return sent_as_read(plain.message(effect.data), effect.flow, effect.key, effect.server_name)
    return expanded(json.loads(json.dumps(effect, default=plain.compact)), plain.classes)


def sent_as_read(text: str, flow: Flow, key: str, server_name: str) -> dict[str, object]:
    return {"~": "Send", "data": text, "flow": flow, "key": key, "server_name": server_name}
