"""Values of ours as JSON; sbc.recording.reading is the way back.

An object is a JSON object with its class under "~"; tuples are arrays; octets are text, one character each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import lru_cache
from operator import attrgetter
from types import ModuleType
from typing import Any

from media import api
from media.api import Digit, Keys
from sbc import effects, inputs
from sbc.effects import Send, WriteRecord
from sbc.flow import Flow
from sbc.identity import signature, verdict
from sbc.inputs import PolicyChanged, Resolved
from sbc.policy import limits
from sbc.policy.decide import Admitted
from sbc.policy.limits import Refused, Reservation
from sbc.recording.secrets import Secrets
from sbc.sdp import rules
from sbc.sip import locate
from sbc.sip.message import Request, Response
from sbc.sip.uri import Uri

CLASS = "~"
FIELDS = "__match_args__"  # what a class of values has, compiled or not: their names in order
REMOVED = "removed"  # instead of a password
BLANK = "0"  # instead of a digit


class Plain:
    """Values to what JSON knows, without their secrets: `plain(value)` of any value, so that `read` gives it back."""

    def __init__(self, secrets: Secrets) -> None:
        self.secrets = secrets
        self.classes: dict[str, tuple[str, ...]] = {}  # the fields of what `compact` has met

    def __call__(self, value: object) -> Any:
        writer = WRITERS.get(type(value))
        if writer is not None:
            return writer(self, value)
        if isinstance(value, Enum):
            return {CLASS: type(value).__name__, "value": value.value}
        if hasattr(value, FIELDS):
            return self._object(value)
        if isinstance(value, Mapping):
            return self._mapping(value)
        return str(value)

    def compact(self, value: object) -> object:
        """For a JSON writer that meets what JSON has no kind for: null, its class and its fields (see sbc.recording.reading.expanded).

        Tuples, enumerations and flows lose their kind. Half as long as with the names of the fields, and half the work.
        """
        if isinstance(value, bytes):
            return self._bytes(value)
        if isinstance(value, PolicyChanged):
            return value.snapshot.digest
        if isinstance(value, Resolved):
            return self(value)  # a table: its keys are more than text
        if isinstance(value, Keys):
            self.classes["Keys"] = KEYS
            more = [self.compact(each) for each in value.more]
            return None, "Keys", value.suite, octets(self.secrets.key(value.master)), octets(value.mki), value.lifetime, more
        if isinstance(value, Digit):
            self.classes["Digit"] = DIGIT
            return None, "Digit", BLANK, value.duration
        kind: Any = type(value)
        names, take = names_of(kind)
        if not names and not hasattr(value, FIELDS):
            return str(value)
        self.classes[kind.__name__] = names
        return None, kind.__name__, *take(value)

    def _object(self, value: object) -> object:
        names, take = names_of(type(value))  # type: ignore[arg-type]
        plain = {name: REMOVED if name == "password" else self(item) for name, item in zip(names, take(value), strict=True)}
        return {CLASS: type(value).__name__, **plain}

    def answer(self, value: object) -> Any:
        """What the core was told, unless it is DIRECT: who calls by name, to be found in the policy again."""
        if isinstance(value, Admitted):
            return {CLASS: "Admitted", "name": value.name, "by": value.by}
        return self(value)

    def message(self, data: bytes) -> str:
        return octets(self.secrets.octets(data))

    def _mapping(self, value: Mapping[Any, object]) -> object:
        if all(type(key) is str for key in value):
            return {key: self(item) for key, item in value.items()}
        return {CLASS: "map", "items": [[self(key), self(item)] for key, item in value.items()]}

    def _list(self, value: Sequence[object]) -> object:
        return [self(item) for item in value]

    def _set(self, value: frozenset[Any]) -> object:
        return {CLASS: "set", "items": [self(item) for item in sorted(value)]}

    def _digit(self, digit: Digit) -> object:
        return {CLASS: "Digit", "key": BLANK, "duration": digit.duration}

    def _flow(self, flow: Flow) -> object:
        return {CLASS: "Flow", "is": list(flow)}

    def _message(self, message: Request | Response) -> object:
        return {CLASS: "Message", "octets": self.message(message.encode())}

    def _uri(self, uri: Uri) -> object:
        return {CLASS: "Uri", "text": str(uri)}

    def _bytes(self, value: bytes) -> dict[str, object]:
        """Octets by themselves are what was drawn for a key, or are no secret."""
        return {CLASS: "octets", "text": octets(self.secrets.key(value) if len(value) in KEY_LENGTHS else value)}


def classes_of(*modules: ModuleType) -> dict[str, type]:
    """The values and enumerations that are defined there."""
    return {
        name: value
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__ and (hasattr(value, FIELDS) or issubclass(value, Enum))
    }


def octets(value: bytes) -> str:
    """As text, one character each."""
    return value.decode("latin-1")


KEYS = ("suite", "master", "mki", "lifetime", "more")
DIGIT = ("key", "duration")
KEY_LENGTHS = frozenset(api.KEY_LENGTHS.values())


def _itself(plain: Plain, value: Any) -> Any:
    return value


DIRECT = frozenset({str, bool, type(None), bytes, Reservation, Refused})  # answers an encoder can do with by itself, and `compact`
WRITERS: Mapping[type, Callable[[Plain, Any], Any]] = {
    **dict.fromkeys((str, int, float, bool, type(None)), _itself),
    bytes: Plain._bytes,
    tuple: Plain._list,
    list: Plain._list,
    frozenset: Plain._set,
    Digit: Plain._digit,
    Flow: Plain._flow,
    Request: Plain._message,
    Response: Plain._message,
    Uri: Plain._uri,
}


@lru_cache(maxsize=256)
def names_of(kind: Any) -> tuple[tuple[str, ...], Callable[[object], tuple[object, ...]]]:
    """The fields of a class of values, and what takes them all from one."""
    names: tuple[str, ...] = getattr(kind, FIELDS, ())
    take = attrgetter(*names) if len(names) > 1 else lambda value: tuple([getattr(value, name) for name in names])
    return names, take


# What is of these classes the writer in C takes apart by itself. The others have something to hide, or are told in other words.
WRITTEN_OUT: dict[type, tuple[str, tuple[str, ...]]] = {
    kind: (name, names_of(kind)[0])
    for name, kind in classes_of(api, effects, inputs, limits, locate, rules, signature, verdict).items()
    if hasattr(kind, FIELDS) and kind not in (Keys, Digit, Send, WriteRecord, PolicyChanged, Resolved)
}
