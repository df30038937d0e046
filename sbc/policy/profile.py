"""Interop profiles: what a kind of peer needs, for each trunk that says `profile: NAME`. What the trunk says itself counts more.

A profile is a file NAME.yaml of three parts: `needs`, for people; `trunk`, keys that hold where the trunk has none; `media`, the object
that `media: NAME` means where the policy has none of that name. Those in profiles/ of the policy folder come before the ones we ship.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sbc.policy import values
from sbc.policy.document import Document, Node, Scalar, Table
from sbc.policy.model import TrunkModel
from sbc.policy.problems import Path as Keys
from sbc.policy.problems import Place, Problem, did_you_mean
from sbc.policy.text import PROFILES, Text

SHIPPED = Path(__file__).with_name("profiles")
PARTS = ("needs", "trunk", "media")

# What makes one peer differ from the next of its kind, and what nobody should be given without writing it down.
OWN = frozenset({
    *("realm", "peer", "accept_from", "accept_certificate", "accepts_registration", "certificate"),
    *("authenticates", "credentials", "register_to", "foreign_numbers", "cli"),
    *("numbers", "limits", "dial_plan", "blocks", "trusted", "insecure_wildcard_certificates", "profile", "media"),
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Inherited:
    """What one trunk has from its profile. `file` is the profile's."""

    profile: str
    file: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Profile:
    file: str
    data: bytes
    trunk: Table
    media: Node | None


def inherit(document: Document, text: Text) -> tuple[dict[str, Inherited], list[bytes]]:
    """Fill in what trunks have from their profiles. By name of the trunk what that is, and what is in the files that were read."""
    trunks = document.root.nodes.get("trunks")
    read: dict[str, _Profile | None] = {}
    inherited: dict[str, Inherited] = {}
    for name, trunk in list(trunks.nodes.items()) if isinstance(trunks, Table) else ():
        wanted = trunk.nodes.get("profile") if isinstance(trunk, Table) else None
        if not isinstance(trunk, Table) or not isinstance(wanted, Scalar) or isinstance(wanted.value, bool):
            continue
        profile = str(wanted.value)
        if profile not in read:
            read[profile] = _read(document, text, profile)
        found = read[profile]
        if found is None and not _is_name(profile):
            continue  # which is an error of its own
        if found is None:
            _unknown(document, text, ("trunks", name, "profile"), profile)
        else:
            inherited[name] = Inherited(profile, found.file, _fill(document, trunk, profile, found))
    return inherited, [profile.data for profile in read.values() if profile is not None]


def names(text: Text) -> list[str]:
    """All profiles there are for that policy."""
    return sorted({*text.profiles(), *(file.stem for file in SHIPPED.glob("*.yaml"))})


def _fill(document: Document, trunk: Table, profile: str, found: _Profile) -> tuple[str, ...]:
    given = {key: node for key, node in found.trunk.nodes.items() if key not in trunk.nodes}
    for key, node in given.items():
        trunk.nodes[key], trunk.keys[key] = node, found.trunk.keys[key]
    if found.media is not None and "media" not in trunk.nodes:
        place = found.media.place
        trunk.nodes["media"], trunk.keys["media"] = Scalar(place, profile), place
        document.provide("media", profile, found.media)
        return (*given, "media")
    return tuple(given)


def _read(document: Document, text: Text, name: str) -> _Profile | None:
    if name not in names(text):  # a name, never a path
        return None
    own = text.profile(name)
    file = SHIPPED / f"{name}.yaml" if own is None else text.folder / PROFILES / f"{name}.yaml"
    data = file.read_bytes() if own is None else own
    return _checked(document, str(file), data, document.read_apart(str(file), data))


def _checked(document: Document, file: str, data: bytes, table: Table) -> _Profile:
    """What is wrong with it is wrong with the policy."""
    for part in table.nodes.keys() - set(PARTS):
        _problem(document, table.keys[part], (part,), f"unknown key{did_you_mean(part, PARTS)}; a profile has {', '.join(PARTS)}")
    trunk = table.nodes.get("trunk")
    keys = trunk if isinstance(trunk, Table) else Table(table.place)
    for key in list(keys.nodes):
        if key in OWN or key not in TrunkModel.model_fields:
            why = "is for the trunk itself to say" if key in OWN else f"unknown key{did_you_mean(key, TrunkModel.model_fields)}"
            _problem(document, keys.keys[key], ("trunk", key), why)
            del keys.nodes[key]
    return _Profile(file, data, keys, table.nodes.get("media"))


def _is_name(text: str) -> bool:
    try:
        values.name(text)
    except ValueError:
        return False
    return True


def _unknown(document: Document, text: Text, path: Keys, name: str) -> None:
    known = names(text)
    what = f"there is no profile {name!r}{did_you_mean(name, known)}; there are: {', '.join(known)}"
    document.problems.append(Problem(document.place(path), path, what))


def _problem(document: Document, place: Place, path: Keys, what: str) -> None:
    document.problems.append(Problem(place, path, what))
