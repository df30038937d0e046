"""Values of ours as JSON and back. Nothing is run to read a recording, and no class is made that is not a value of ours.

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
from media.api import Digit, EventKind, Follow, Keys, Packets, Role, Side, Suite
from sbc import inputs
from sbc.errors import ConfigError
from sbc.flow import Flow
from sbc.identity import signature, verdict
from sbc.policy import counters, edits, inventory, limits, plans, snapshot
from sbc.policy.decide import Admitted
from sbc.policy.limits import Refused, Reservation
from sbc.policy.snapshot import Party
from sbc.recording.secrets import Secrets
from sbc.sdp import rules
from sbc.shield import rules as shielding
from sbc.sip import locate, timers
from sbc.sip.message import Request, Response
from sbc.sip.parse import parse_datagram
from sbc.sip.uri import Uri

CLASS = "~"
FIELDS = "__match_args__"  # what a class of values has, compiled or not: their names in order
REMOVED = "removed"  # instead of a password
BLANK = "0"  # instead of a digit


class Unreadable(ConfigError):
    """No recording, or none of a version we know."""


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
        """For a JSON encoder that meets an object: null, its class and its fields as they are (see `expanded`).

        Tuples, enumerations and flows lose their kind. Half as long as with the names of the fields, and half the work.
        """
        if isinstance(value, bytes):
            return self._bytes(value)
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
        """What the core was told: who calls by name, to be found in the policy again."""
        if type(value) in DIRECT:
            return value
        if isinstance(value, Admitted):
            return {CLASS: "Admitted", "name": value.name, "by": value.by}
        return self(value)

    def message(self, data: bytes) -> str:
        return octets(self.secrets.octets(data))

    def _mapping(self, value: Mapping[Any, object]) -> object:
        if all(type(key) is str for key in value):
            return {key: self(item) for key, item in value.items()}
        return {CLASS: "map", "items": [[self(key), self(item)] for key, item in value.items()]}

    def _list(self, value: list[object]) -> object:
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


def expanded(plain: Any, classes: Mapping[str, Sequence[str]]) -> Any:
    """What `compact` made, with the names of the fields. Raises LookupError, TypeError, ValueError."""
    if isinstance(plain, list):
        items = [expanded(item, classes) for item in plain]
        if len(items) > 1 and items[0] is None:
            return {CLASS: items[1], **dict(zip(classes[items[1]], items[2:], strict=True))}
        return items
    if isinstance(plain, dict):
        return {key: expanded(item, classes) for key, item in plain.items()}
    return plain


def octets(value: bytes) -> str:
    """As text, one character each."""
    return value.decode("latin-1")


def octets_of(text: str) -> bytes:
    return text.encode("latin-1")


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


def flow_of(values: Sequence[Any]) -> Flow:
    realm, transport, local, remote, connection, names = values
    return Flow(realm, transport, (local[0], local[1]), (remote[0], remote[1]), connection, tuple(names))


def classes_of(*modules: ModuleType) -> dict[str, type]:
    """The values and enumerations that are defined there."""
    return {
        name: value
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__ and (hasattr(value, FIELDS) or issubclass(value, Enum))
    }


CLASSES = classes_of(api, inputs, verdict, counters, edits, inventory, limits, locate, plans, rules, shielding, signature, snapshot, timers)

# The fields of inputs and answers that JSON has no kind for.
KINDS: Mapping[str, Mapping[str, Callable[[Any], object]]] = {
    "Dtls": {"role": Role},
    "FlowClosed": {"flow": flow_of},
    "Interface": {"packets": Packets},
    "Keys": {"suite": Suite, "master": octets_of, "mki": octets_of},
    "MalformedIn": {"flow": flow_of},
    "MediaEvent": {"side": Side, "kind": EventKind},
    "MediaRules": {"follow": Follow},
    "SideSpec": {"follow": Follow},
    "Verdict": {"verstat": verdict.Verstat},
    "SideStats": {"suite": lambda value: Suite(value) if value is not None else None},
}


def read(plain: Any, party: Callable[[str], Party]) -> Any:
    """The value. `party`: the trunk or user of a name. Raises Unreadable for what is no value of ours."""
    if isinstance(plain, list):
        return tuple([read(item, party) for item in plain])
    if not isinstance(plain, dict):
        return plain
    kind = plain.get(CLASS)
    if kind is None:
        return {key: read(item, party) for key, item in plain.items()}
    try:
        reader = READERS.get(kind)
        return reader(plain, party) if reader is not None else _read_object(CLASSES[kind], plain, party)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise Unreadable(f"not a recording of this version: {kind} cannot be read: {error!r}") from error


def _read_object(kind: Any, plain: dict[str, Any], party: Callable[[str], Party]) -> object:
    if issubclass(kind, Enum):
        return kind(plain["value"])
    kinds = KINDS.get(kind.__name__, {})
    values = {name: read(item, party) for name, item in plain.items() if name != CLASS}
    for name in values.keys() & kinds.keys():
        values[name] = kinds[name](values[name])
    return kind(**values)


def _read_message(plain: dict[str, Any], party: object) -> Request | Response:
    return parse_datagram(octets_of(plain["octets"]))


READERS: Mapping[str, Callable[[dict[str, Any], Callable[[str], Party]], object]] = {
    "octets": lambda plain, party: octets_of(plain["text"]),
    "map": lambda plain, party: {read(key, party): read(item, party) for key, item in plain["items"]},
    "set": lambda plain, party: frozenset(read(item, party) for item in plain["items"]),
    "Flow": lambda plain, party: flow_of(plain["is"]),
    "Message": _read_message,
    "Uri": lambda plain, party: Uri.parse(plain["text"]),
    "Admitted": lambda plain, party: Admitted(party(plain["name"]), plain["by"]),
}
