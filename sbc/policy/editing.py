"""From the policy's `headers` to the `Edits` of each party. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, TypeVar

from sbc.frozen import replace
from sbc.policy import model
from sbc.policy.document import Document
from sbc.policy.edits import STANDARD, Edit, Edits
from sbc.policy.model.edits import STANDARD_NAME
from sbc.policy.problems import Path
from sbc.policy.snapshot import Trunk, User
from sbc.sip.names import HeaderName

P = TypeVar("P", Trunk, User)
Kind = Literal["requests", "responses"]
Compiled = Mapping[str, tuple[tuple[Kind | None, Edit], ...]]
"""By name of the object: of which messages each of its edits is (None: of both), and the edit."""


def compiled(document: Document, headers: Mapping[str, Mapping[int, model.EditModel]]) -> Compiled:
    return {
        name: tuple([(edit.messages, _edit(edit, name, str(document.place(("headers", name, index))))) for index, edit in edits.items()])
        for name, edits in headers.items()
    }


def with_edits(document: Document, path: Path, party: P, written: model.PartyModel, headers: Compiled) -> P:
    """`party`, which the policy has at `path` as `written`, with the edits it names."""
    edits = _edits_of(document, path, written, headers)
    return party if edits is None else replace(party, edits=edits)


def _edits_of(document: Document, path: Path, party: model.PartyModel, headers: Compiled) -> Edits | None:
    said = [each for name in party.headers_in or () for each in headers[name]]
    told = [each for name in party.headers_out or () for each in headers[name]]
    if party.user_agent is not None:  # first: its own edits may still say otherwise
        line = str(document.key_place((*path, "user_agent")))
        named = [(kind, _user_agent(name, party.user_agent, line)) for kind, name in NAMED_IN]
        told = [*named, *told]
    if not (said or told):
        return None
    return Edits(_of(said, "requests"), _of(said, "responses"), _of(told, "requests"), _of(told, "responses"))


NAMED_IN: tuple[tuple[Kind | None, str], ...] = (("requests", "User-Agent"), ("responses", "Server"))


def _user_agent(header: str, value: str, line: str) -> Edit:
    return Edit("set", rows=((header, value),), source=f"user_agent: {value}", line=line)


def _of(edits: Iterable[tuple[Kind | None, Edit]], kind: Kind) -> tuple[Edit, ...]:
    return tuple([edit for messages, edit in edits if messages in (None, kind)])


def _edit(edit: model.EditModel, name: str, line: str) -> Edit:
    """`source` reads as the edit is written."""
    methods = frozenset(edit.methods or ())
    if edit.keep is not None or edit.remove is not None:
        listed = edit.keep or edit.remove or []
        beginnings = tuple([each[:-1] for each in listed if each.endswith("*")])
        names = frozenset([each for each in listed if not each.endswith("*") and each != STANDARD_NAME])
        source = f"{name}: {edit.verb} {', '.join(map(_spelled, listed))}"
        return Edit(
            edit.verb, names | (STANDARD if STANDARD_NAME in listed else frozenset()), beginnings, methods=methods, source=source, line=line
        )
    if edit.replace is not None:
        header, match, by = edit.replace.header, edit.replace.match, edit.replace.by
        source = f"{name}: replace {match!r} by {by!r} in {header}"
        return Edit("replace", header=header, pattern=match, instead=by, methods=methods, source=source, line=line)
    rows = tuple((edit.set or edit.add or edit.rename or {}).items())
    source = f"{name}: {edit.verb} {', '.join(f'{old}: {new}' for old, new in rows)}"
    return Edit(edit.verb, rows=rows, methods=methods, source=source, line=line)


def _spelled(name: str) -> str:
    return name if name.endswith("*") or name == STANDARD_NAME else HeaderName(name).spelling
