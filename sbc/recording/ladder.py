"""A replayed call as people read it: the caller's side on the left, everybody else's on the right, us in between."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Any

from sbc.flow import Flow
from sbc.inputs import PolicyChanged, RequestIn, ResponseIn
from sbc.recording.replay import Played
from sbc.sip.parse import parse_datagram

WIDTH = 58  # of the left side; a start line with a +E.164 number and an IPv4 address fits


class Shown(Enum):
    NOTHING = "nothing"
    LADDER = "ladder"
    MESSAGES = "messages"  # the ladder, with every message and effect whole


def ladder(played: Sequence[Played], shown: Shown) -> Iterator[str]:
    """Lines, without any control character a peer may have sent. Seconds are those since the call began."""
    if not played or shown is Shown.NOTHING:
        return
    began = played[0].event.now.monotonic
    caller = _call_id(played[0].event.octets)
    for one in played:
        at = f"{one.event.now.monotonic - began:+11.3f}  "
        for row in _rows(one, caller):
            yield at + row.line
            if shown is Shown.MESSAGES:
                yield from (f"{'':13}    {printable(line)}" for line in row.details)


class _Row:
    def __init__(self, line: str, details: Sequence[str]) -> None:
        self.line = line
        self.details = details


def _rows(played: Played, caller: str) -> Iterator[_Row]:
    event = played.event
    match event.happened:
        case None:
            pass
        case RequestIn(_, flow) | ResponseIn(_, flow):
            yield _message(event.octets, flow, caller, arrives=True)
        case PolicyChanged(snapshot):
            yield _note(f"policy {snapshot.digest}", [])
        case other:
            yield _note(f"{type(other).__name__} {getattr(other, 'reason', '')}".rstrip(), [str(other)])
    for index, effect in enumerate(played.effects):
        same = effect in event.expected[index : index + 1]
        if effect["~"] == "Send":
            row = _message(effect["data"].encode("latin-1"), effect["flow"], caller, arrives=False)
        else:
            row = _note(described(effect), json.dumps(effect, indent=2).splitlines())
        yield row if same else _Row(f"{row.line}   ≠ recorded", row.details)
    if played.fault:
        yield _note(f"FAULT {played.fault}", [])


def _message(octets: bytes, flow: Flow, caller: str, *, arrives: bool) -> _Row:
    text = octets.decode("utf-8", "replace").splitlines()
    start = printable(text[0] if text else "")
    peer = f"{flow.realm} {flow.transport} {flow.remote[0]}:{flow.remote[1]}"
    if _call_id(octets) == caller:
        arrow = "──▶" if arrives else "◀──"
        line = f"{shortened(start, WIDTH):>{WIDTH}} {arrow}│{'':4} {peer}"
    else:
        arrow = "◀──" if arrives else "──▶"
        line = f"{peer:>{WIDTH}} {'':3}│{arrow}  {start}"
    return _Row(line, text)


def _note(text: str, details: Sequence[str]) -> _Row:
    return _Row(f"{'':{WIDTH}} {'':3}·     {printable(text)}", details)


def described(effect: Any) -> str:
    """An effect as JSON in a few words."""
    match effect["~"]:
        case "Send":
            start = effect["data"].partition("\r\n")[0]
            return f"Send {effect['flow'].realm} {effect['flow'].remote[0]}:{effect['flow'].remote[1]}: {start}"
        case "WriteRecord":
            record = effect["record"]
            return f"WriteRecord {record['sip_status']} {record['sip_reason']}, released by {record['released_by']}"
        case "Log":
            return f"Log {effect['level']}: {effect['event']}"
        case kind:
            return " ".join([str(kind), *[value for name, value in effect.items() if name != "~" and isinstance(value, str)]])


def shortened(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def printable(text: str) -> str:
    """What would move the cursor or change colours is shown, not done."""
    return "".join([letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text])


def _call_id(octets: bytes) -> str:
    return parse_datagram(octets).call_id if octets else ""
