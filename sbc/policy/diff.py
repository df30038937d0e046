"""What differs between two policies, as far as it means anything, and from when on each difference counts. Pure.

Comments, the order of what has none, and which file an object stands in mean nothing; nor does `60s` instead of `1m`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel

from sbc.policy.checking.checker import Policy
from sbc.policy.contents import references
from sbc.policy.document import Document, Plain
from sbc.policy.problems import Path, Place

Effect = Literal["live", "new calls only", "rebinds a listener"]
"""live                at once, for calls in progress, too
new calls only      calls in progress keep what they began with
rebinds a listener  sockets open or close; calls in progress stay
"""
Kind = Literal["added", "removed", "changed", "contents"]
"""contents            of the file that is named there, which is `after`: never what they are
"""

LONGEST_TEXT = 100  # characters of a value
LIVE_SECTIONS = frozenset({"limits", "everybody", "strangers", "identity", "shield"})
# Of sections whose objects are mostly for new calls: what is asked anew each time.
LIVE_KEYS: Mapping[str, frozenset[str]] = {
    "trunks": frozenset({
        *("accept_from", "accept_certificate", "accepts_registration", "authenticates", "register_to", "register_at"),
        *("certificate", "insecure_wildcard_certificates", "limits", "overload_control"),
    }),
    "users": frozenset({"password", "limits", "register_at"}),
    "routes": frozenset({"limits"}),
    "numbers": frozenset({"limits"}),
}  # fmt: skip
# And of realms the other way round: what a call has got when it began.
KEPT_KEYS = frozenset({"relay", "advertise"})


@dataclass(frozen=True, slots=True)
class Change:
    """path           of the object or key: ("trunks", "office", "media")
    before, after  as written, shortened; "": not there
    place          where it stands, if it has been removed: stood
    """

    path: tuple[str, ...]
    kind: Kind
    before: str
    after: str
    effect: Effect
    place: Place


@dataclass(frozen=True, slots=True)
class _Side:
    """One of the two policies."""

    document: Document
    policy: Policy

    def objects(self, section: str) -> dict[str, tuple[Path, Plain, object]]:
        """By name: where it stands, what is written there, and what that means."""
        raw = self.document.plain((section,)) if section in self.document.root.nodes else None
        meant = _meant(getattr(self.policy, section, None))
        if section == "routes" and isinstance(raw, list):
            return {str(_key(each, "name")): ((section, index), each, _key(meant, index)) for index, each in enumerate(raw)}
        if isinstance(raw, dict):
            return {name: ((section, name), each, _key(meant, name, each)) for name, each in raw.items()}
        return {} if raw is None else {"": ((section,), raw, raw)}


def changes(before: tuple[Document, Policy], after: tuple[Document, Policy]) -> tuple[Change, ...]:
    """In the order of the sections as they are written."""
    old, new = _Side(*before), _Side(*after)
    sections = dict.fromkeys((*new.document.root.nodes, *old.document.root.nodes))
    return tuple(change for section in sections for change in _of_section(section, old, new))


def changes_of_contents(
    before: tuple[Document, Policy], after: tuple[Document, Policy], were: Mapping[str, str], are: Mapping[str, str]
) -> tuple[Change, ...]:
    """Of files that both name at the same place; `were`, `are`: digests by file. What differs is said, and nothing of it."""
    document, policy = after
    known = set(references(before[1]))
    found: list[Change] = []
    for path, file in references(policy):
        if (path, file) in known and file in were and file in are and were[file] != are[file]:
            keys = tuple(map(str, path))
            found.append(Change(keys, "contents", "", file, effect_of(keys), document.key_place(document.trim(path))))
    return tuple(found)


def _of_section(section: str, old: _Side, new: _Side) -> Iterator[Change]:
    before, after = old.objects(section), new.objects(section)
    for name in dict.fromkeys((*before, *after)):
        path = (section, name) if name else (section,)
        if name not in after:
            place, raw, _ = before[name]
            yield Change(path, "removed", _text(raw), "", effect_of(path), old.document.key_place(place))
        elif name not in before:
            place, raw, _ = after[name]
            yield Change(path, "added", "", _text(raw), effect_of(path), new.document.key_place(place))
        else:
            yield from _of_value(path, before[name], after[name], new.document)
    order = [[name for name in each if name in before and name in after] for each in (before, after)]
    if section == "routes" and order[0] != order[1]:
        yield Change(("routes",), "changed", _text(order[0]), _text(order[1]), "new calls only", new.document.key_place(("routes",)))


def _of_value(
    path: tuple[str, ...], before: tuple[Path, Plain, object], after: tuple[Path, Plain, object], document: Document
) -> Iterator[Change]:
    (_, old, meant_before), (place, new, meant_after) = before, after
    if meant_before == meant_after:
        return
    if not isinstance(old, dict) or not isinstance(new, dict):
        yield Change(path, "changed", _text(old), _text(new), effect_of(path), document.key_place(place))
        return
    for key in dict.fromkeys((*old, *new)):
        under, here = (*path, key), (*place, key)
        if key not in new:
            yield Change(under, "removed", _text(old[key]), "", effect_of(under), document.key_place(place))
        elif key not in old:
            yield Change(under, "added", "", _text(new[key]), effect_of(under), document.key_place(here))
        else:
            one, other = (here, old[key], _key(meant_before, key, old[key])), (here, new[key], _key(meant_after, key, new[key]))
            yield from _of_value(under, one, other, document)


def effect_of(path: tuple[str, ...]) -> Effect:
    section, key = path[0], path[2] if len(path) > 2 else ""
    if section == "realms":
        return "rebinds a listener" if key in ("", "signalling") else "new calls only" if key in KEPT_KEYS else "live"
    if section in LIVE_SECTIONS:
        return "live"
    if section in ("trunks", "users") and not key:  # calls from there, or none
        return "live"
    return "live" if key in LIVE_KEYS.get(section, ()) else "new calls only"


def _meant(value: object) -> object:
    """Objects of the language as plain values, so that what is written in two ways is one."""
    if isinstance(value, BaseModel):
        return {name: _meant(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return {key: _meant(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_meant(each) for each in value]
    return value


def _key(value: object, key: str | int, otherwise: object = None) -> object:
    return value.get(key, otherwise) if isinstance(value, dict) else otherwise


def _text(value: object) -> str:
    """On one line, as it could be written."""
    text = _flow(value)
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"


def _flow(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_flow, value))}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value)
