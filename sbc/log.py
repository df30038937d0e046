"""One line per event on stderr: `2025-01-31T12:00:00.123Z warning send_failed remote=10.0.0.9:5060 reason="refused"`.

Never a secret, never a control character, never more lines of one event than a disk can take.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from sbc.effects import Level

MASK = "***"
VALUE_LENGTH = 300  # characters of one value; a message is never logged whole
LINES_PER_SECOND = 50  # of one event; the next line that is let through says how many were not
FRAMES = 12  # innermost lines of a traceback

_LEVELS: Mapping[str, int] = {"debug": 0, "info": 1, "warning": 2, "error": 3}
_PRIORITIES: Mapping[str, int] = {"debug": 7, "info": 6, "warning": 4, "error": 3}  # of syslog(3)
_SECRET_NAMES = frozenset(
    {"password", "passwd", "secret", "key", "keys", "authorization", "crypto", "credentials", "inline", "master", "token", "cookie"}
)
_SECRET_MARKS = ("inline:", "a=crypto", "authorization:", "digest username", "begin private", "begin ec private", "begin rsa private")
_PLAIN = re.compile(r"[A-Za-z0-9_.:/@+*<>,;|\-\[\]]+\Z")  # what needs no quotes; one class, so linear


def write_stderr(line: str) -> None:
    sys.stderr.write(line)
    sys.stderr.flush()


def write_journal(line: str) -> None:
    """With its priority in front, as sd-daemon(3) has it: `journalctl -p warning` finds what is wrong."""
    _, level, _ = line.split(" ", 2)
    write_stderr(f"<{_PRIORITIES[level]}>{line}")


def writer(environment: Mapping[str, str]) -> Callable[[str], None]:
    """For stderr as it is: where it is a stream to the journal, that is named in the environment."""
    try:
        info = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):  # there is none
        return write_stderr
    return write_journal if environment.get("JOURNAL_STREAM") == f"{info.st_dev}:{info.st_ino}" else write_stderr


class EventLog:
    """`write` gets whole lines, line end included. A log that cannot be written is not worth a call: OSError is swallowed."""

    def __init__(
        self,
        write: Callable[[str], object] = write_stderr,
        level: Level = "info",
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._write = write
        self._lowest = _LEVELS[level]
        self._monotonic = monotonic
        self._wall = wall
        self._rates: dict[str, _Rate] = {}  # event names come from the code: a bounded number

    def event(self, level: Level, event: str, facts: Mapping[str, object] | None = None) -> None:
        if _LEVELS[level] < self._lowest:
            return
        suppressed = self._rates.setdefault(event, _Rate()).admit(self._monotonic())
        if suppressed is None:
            return
        when = datetime.fromtimestamp(self._wall(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        fields = [f"{when}Z", level, _text(event)]
        fields += [f"{_text(name)}={_value(name, value)}" for name, value in (facts or {}).items()]
        if suppressed:
            fields.append(f"suppressed={suppressed}")
        with contextlib.suppress(OSError, ValueError):  # closed pipe, closed file
            self._write(" ".join(fields) + "\n")

    def exception(self, event: str, error: BaseException, **facts: object) -> None:
        """Type, text and place of a fault of our own. No local variables: those hold messages and keys."""
        frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
        at = "|".join(f"{_short(frame.filename)}:{frame.lineno}:{frame.name}" for frame in frames)
        self.event("error", event, {**facts, "error": type(error).__name__, "text": str(error), "at": _Trusted(at)})


class _Rate:
    __slots__ = ("left", "second", "suppressed")

    def __init__(self) -> None:
        self.second = -1
        self.left = 0
        self.suppressed = 0

    def admit(self, now: float) -> int | None:
        """None: not this one; otherwise how many were not, since the last that was."""
        if int(now) != self.second:
            self.second = int(now)
            self.left = LINES_PER_SECOND
        if not self.left:
            self.suppressed += 1
            return None
        self.left -= 1
        suppressed, self.suppressed = self.suppressed, 0
        return suppressed


class _Trusted(str):
    """Text of our own making: neither cut nor searched for secrets."""

    __slots__ = ()


def _value(name: str, value: object) -> str:
    clean = _clean(name, value)
    return _text(clean) if isinstance(clean, str) else json.dumps(clean, ensure_ascii=True, separators=(",", ":"))


def _clean(name: str, value: object) -> object:
    if _is_secret(name):
        return MASK
    match value:
        case None | bool() | int() | float() | _Trusted():
            return value
        case bytes():
            return f"({len(value)} octets)"
        case Mapping():
            return {str(key): _clean(str(key), item) for key, item in value.items()}
        case str():
            pass
        case Sequence():
            return [_clean("", item) for item in value]
    text = str(value)
    lower = text.lower()
    if any(mark in lower for mark in _SECRET_MARKS):
        return MASK
    return text if len(text) <= VALUE_LENGTH else text[:VALUE_LENGTH] + "..."


def _is_secret(name: str) -> bool:
    return any(word in _SECRET_NAMES for word in re.split(r"[-_. ]", name.lower()))


def _text(value: str) -> str:
    return value if _PLAIN.match(value) else json.dumps(value, ensure_ascii=True)


def _short(path: str) -> str:
    return "/".join(path.split("/")[-2:])
