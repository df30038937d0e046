"""Values of ours from JSON. Nothing is run to read a recording, and no class is made that is not a value of ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any

from media import api
from media.api import EventKind, Follow, Packets, Role, Side, Suite
from sbc import inputs
from sbc.errors import ConfigError
from sbc.flow import Flow
from sbc.identity import signature, verdict
from sbc.policy import counters, edits, inventory, limits, plans, realms, snapshot
from sbc.policy.decide import Admitted
from sbc.policy.snapshot import Party
from sbc.recording.plain import CLASS, classes_of
from sbc.sdp import rules
from sbc.shield import rules as shielding
from sbc.sip import locate, timers
from sbc.sip.message import Request, Response
from sbc.sip.parse import parse_datagram
from sbc.sip.uri import Uri


class Unreadable(ConfigError):
    """No recording, or none of a version we know."""


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


def octets_of(text: str) -> bytes:
    return text.encode("latin-1")


def flow_of(values: Sequence[Any]) -> Flow:
    realm, transport, local, remote, connection, names = values
    return Flow(realm, transport, (local[0], local[1]), (remote[0], remote[1]), connection, tuple(names))


CLASSES = classes_of(
    api, inputs, verdict, counters, edits, inventory, limits, locate, plans, realms, rules, shielding, signature, snapshot, timers
)

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
