"""One line of JSON each way over a local socket. Both ends have a version, limits, and nothing to hide.

{"version": 1, "ask": "calls", "most": 50, "party": "carrier"}
{"version": 1, "calls": [...], "matching": 812, "total": 9120}    or    {"version": 1, "error": "..."}
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sbc.shield.views import BansAsked, SourceAsked, Unban
from sbc.shield.views import Question as ShieldQuestion
from sbc.views import CallAsked, CallsAsked, LimitsAsked, RefusalsAsked, RegistrationsAsked, TrunksAsked
from sbc.views import Question as CoreQuestion

Question = CoreQuestion | ShieldQuestion

VERSION = 1
LONGEST_QUESTION = 4096  # octets; a name and a number are far less
LONGEST_ANSWER = 4 * 1024 * 1024  # MOST rows of 1.5 KiB are a fifth of it
MOST = 500  # rows of one answer: some 10 ms of the loop that also carries the calls
USUAL = 50  # rows, when nobody says: a screen
PATIENCE = 5.0  # seconds for the whole of a question, and for the whole of an answer
NAME_LENGTH = 128


class Refused(Exception):
    """The text is for whoever asked."""


@dataclass(frozen=True, slots=True)
class _Key:
    kind: type
    default: object = ""


_TEXT, _ROWS = _Key(str), _Key(int, USUAL)
_QUESTIONS: Mapping[str, tuple[Callable[..., Question], Mapping[str, _Key]]] = {
    "calls": (CallsAsked, {"most": _ROWS, "party": _TEXT, "number": _TEXT}),
    "call": (CallAsked, {"id": _TEXT}),
    "registrations": (RegistrationsAsked, {"most": _ROWS, "account": _TEXT}),
    "limits": (LimitsAsked, {"most": _ROWS, "name": _TEXT}),
    "why": (RefusalsAsked, {"most": _ROWS, "about": _TEXT}),
    "trunks": (TrunksAsked, {"most": _ROWS, "trunk": _TEXT}),
    "bans": (BansAsked, {"most": _ROWS}),
    "source": (SourceAsked, {"address": _TEXT}),
    "unban": (Unban, {"address": _TEXT}),
}


def asked_of(line: bytes) -> dict[str, object]:
    """What stands there. Raises Refused."""
    try:
        asked = json.loads(line)
    except (ValueError, RecursionError):
        raise Refused("not a line of JSON") from None
    if not isinstance(asked, dict) or asked.get("version") != VERSION:
        raise Refused(f"this process speaks version {VERSION}: ask it with the sbc it was started with")
    return asked


def question_of(asked: Mapping[str, object]) -> Question:
    """Raises Refused."""
    name = asked.get("ask")
    if not isinstance(name, str) or name not in _QUESTIONS:
        raise Refused(f"what can be asked: {', '.join(_QUESTIONS)}")
    build, keys = _QUESTIONS[name]
    if unknown := asked.keys() - keys.keys() - {"version", "ask"}:
        raise Refused(f"unknown: {', '.join(sorted(unknown))}")
    return build(**{key: _value(key, asked.get(key, rule.default), rule) for key, rule in keys.items()})


def _value(key: str, value: object, rule: _Key) -> object:
    if type(value) is not rule.kind:
        raise Refused(f"{key} is not what it should be")
    if isinstance(value, int) and not 1 <= value <= MOST:
        raise Refused(f"{key} is a number from 1 to {MOST}")
    if isinstance(value, str) and len(value) > NAME_LENGTH:
        raise Refused(f"{key} is too long")
    return value


def line_of(message: Mapping[str, object]) -> bytes:
    return json.dumps({"version": VERSION, **message}, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def plain(value: Any) -> Any:
    """A view as JSON has it: fields by name."""
    names: tuple[str, ...] | None = getattr(value, "__match_args__", None)
    if names is not None:
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, (tuple, list)):
        return [plain(each) for each in value]
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    return value


@contextmanager
def short_path(path: Path) -> Iterator[str]:
    """A name for `path` of less than the 108 octets that the address of a socket may have (unix(7)). Raises OSError."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def is_answered(path: Path) -> bool:
    """Whether a process listens there. Raises OSError for what is neither a socket nor nothing."""
    with short_path(path) as name, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PATIENCE)
        try:
            probe.connect(name)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        return True
