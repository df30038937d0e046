"""Policy tests: `policies/tests/*.yaml`, calls that are given and what is expected of each. The same strict YAML as the policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from sbc.explain.asked import Assumed, Flags, Reply
from sbc.policy.document import Document
from sbc.policy.load import object_of
from sbc.policy.problems import Path as Keys
from sbc.policy.problems import Place, PolicyErrors, Problem, did_you_mean
from sbc.policy.snapshot import Snapshot
from sbc.policy.words import NUMBER_OR_TEXT, Model, Name, Text, one_or_many, word

FOLDER = "tests"  # within that of the policy
LONGEST_TEXT = 1024  # of a header value, say: what is written by hand is shorter


def _text(value: str) -> str:
    if len(value) > LONGEST_TEXT:
        raise ValueError(f"more than {LONGEST_TEXT} characters")
    return value


def _status(value: str) -> int | None:
    if value == "nothing":
        return None
    if not (value.isascii() and value.isdigit() and 200 <= int(value) <= 699):
        raise ValueError("a final status, 200 to 699, or nothing: no answer at all")
    return int(value)


def _final(value: str) -> int:
    if not (value.isascii() and value.isdigit() and 200 <= int(value) <= 699):
        raise ValueError("a final status, 200 to 699; 408: no answer")
    return int(value)


def _none(value: str) -> str:
    return "" if value == "none" else value


Dialled = Annotated[str, *word(_text, **NUMBER_OR_TEXT)]
Optionally = Annotated[str, *word(_none, **NUMBER_OR_TEXT)]
Rows = Annotated[list[Dialled], BeforeValidator(one_or_many)]
Names = Annotated[list[Name], BeforeValidator(one_or_many)]
Status = Annotated[int | None, *word(_status, **NUMBER_OR_TEXT)]
Final = Annotated[int, *word(_final, **NUMBER_OR_TEXT)]


class ReplyModel(Model):
    """An answer with more to it than its status."""

    status: Final
    reason: Dialled | None = Field(None, description="The reason phrase. Default: the usual one.")
    headers: dict[str, Rows] | None = Field(None, description="Header rows of it.")


class GivenModel(Model):
    """A call, and what the world is assumed to be like."""

    to: Dialled = Field(description="The number, name or URI that is called.")
    trunk: Name | None = Field(None, description="The trunk that calls. Its proof is made as the policy wants it.")
    user: Name | None = Field(None, description="The user that calls.")
    source: Text | None = Field(None, description="ADDRESS or ADDRESS:PORT it comes from.")
    realm: Name | None = Field(None, description="The network it comes by, where the source does not tell.")
    transport: Literal["udp", "tcp", "tls", "ws", "wss"] | None = Field(None, description="Default: as that party would come.")
    caller: Dialled | None = Field(None, alias="from", description="Number, name or URI in From.")
    name: Dialled | None = Field(None, description="The name shown beside it.")
    headers: dict[str, Rows] | None = Field(None, description="Header rows that go along.")
    codecs: list[Text] | None = Field(None, min_length=1, description="Of the offer, in order. Default: all of its media.")
    offer: Literal["none"] | None = Field(None, description="none: the call comes without one.")
    answers: dict[Name, Final | ReplyModel] | None = Field(None, description="What trunks and users answer; 408: nothing. Default: 200.")
    calls: dict[Text, int] | None = Field(None, description="Calls that trunks, users and numbers of theirs have already.")
    absent: Names | None = Field(None, description="Those who would register, but have not.")
    signed: Literal["passed", "failed", "unsigned"] | None = Field(None, description="What verifying the caller comes to.")


class ExpectModel(Model):
    """What is mentioned counts, nothing else does."""

    status: Status = Field(None, description="What the caller is answered; nothing: no answer.")
    reason: Text | None = Field(None, description="The reason phrase of it.")
    step: Literal["who", "allowed", "number", "caller", "limits", "route", "proof", "target", "media", "none"] | None = Field(
        None, description="Which question was answered with no; none: none was."
    )
    note: Text | None = Field(None, description="A part of what is said of the refusal.")
    party: Optionally | None = Field(None, description="The trunk or user whose call it is; none: a stranger's.")
    by: Literal["certificate", "digest", "registration", "address"] | None = Field(None, description="What proves it.")
    emergency: bool | None = None
    called: Dialled | None = Field(None, description="The number after the dial plan.")
    caller: Dialled | None = Field(None, description="The number the call shows, for records and blocks.")
    asserted: Optionally | None = Field(None, description="Who the caller is known to be; none: nobody says.")
    route: Optionally | None = Field(None, description="Name of the route; none: no route.")
    limit: Name | None = Field(None, description="The limits that refuse.")
    tried: Names | None = Field(None, description="All targets that were tried, in order.")
    sent_to: Optionally | None = Field(None, description="Where the call ended up; none: nowhere.")
    uri: Dialled | None = Field(None, description="The Request-URI it is sent with.")
    headers: dict[str, Rows] | None = Field(None, description="Rows of the INVITE that is sent: one, or all of that name.")
    without: Names | None = Field(None, description="Headers that the INVITE that is sent does not have.")
    answer_headers: dict[str, Rows] | None = Field(None, description="Rows of the answer to the caller.")
    codecs: list[Text] | None = Field(None, description="What the callee is offered, in order.")
    keys: Literal["none", "sdes", "dtls"] | None = Field(None, description="Where the keys of the callee's SRTP come from.")


class CaseModel(Model):
    name: Text = Field(description="What it shows.")
    given: GivenModel
    expect: ExpectModel


@dataclass(frozen=True, slots=True)
class Case:
    """`place`: of a key of it, by its path within the case."""

    name: str
    flags: Flags
    assumed: Assumed
    expect: dict[str, Any]
    path: Keys
    place: Callable[[Keys], Place]


def load_cases(folder: Path, snapshot: Snapshot) -> list[Case]:
    """Those of the policy in that folder; none where it has no `tests`. Raises PolicyErrors with all that is wrong."""
    files = sorted(file for file in (folder / FOLDER).glob("*.yaml") if not file.name.startswith("."))
    return read_cases([(str(file), file.read_bytes()) for file in files], snapshot) if files else []


def read_cases(files: list[tuple[str, bytes]], snapshot: Snapshot) -> list[Case]:
    document = Document(files[0][0])
    for file, data in files:
        document.read(file, data)
    cases = [] if document.broken else list(_cases(document, snapshot))
    if document.problems:
        raise PolicyErrors(sorted(set(document.problems), key=lambda problem: (problem.place, problem.what)))
    return cases


def _cases(document: Document, snapshot: Snapshot) -> Iterator[Case]:
    raw = document.plain()
    assert isinstance(raw, dict)
    for section in raw.keys() - {"version", "cases"}:
        what = f"unknown key{did_you_mean(section, ('version', 'cases'))}"
        document.problems.append(Problem(document.key_place((section,)), (section,), what))
    if raw.get("version") != 1:
        document.problems.append(Problem(document.place(("version",)), ("version",), "needs 'version: 1'"))
    entries = raw.get("cases")
    if not isinstance(entries, list):
        document.problems.append(Problem(document.place(("cases",)), ("cases",), "must be a list: '- name: …'"))
        return
    for index, entry in enumerate(entries):
        path: Keys = ("cases", index)
        model = object_of(document, entry, path, CaseModel)
        if model is not None:
            document.problems += [_unknown(document, (*path, *where), what) for where, what in _references(model, snapshot)]
            yield _case(model, path, document)


def _case(model: CaseModel, path: Keys, document: Document) -> Case:
    given = model.given
    flags = Flags(
        to=given.to,
        trunk=given.trunk or "",
        user=given.user or "",
        source=given.source or "",
        realm=given.realm or "",
        transport=given.transport or "",
        caller=given.caller or "",
        name=given.name or "",
        headers=_pairs(given.headers),
        codecs=tuple(given.codecs or ()),
        offer=b"" if given.offer == "none" else None,
    )
    answers = {name: _reply(answer) for name, answer in (given.answers or {}).items()}
    assumed = Assumed(answers, given.calls or {}, frozenset(given.absent or ()), given.signed or "unsigned")
    expect = model.expect.model_dump(exclude_unset=True)
    return Case(model.name, flags, assumed, expect, path, document.place)


def _pairs(headers: dict[str, list[str]] | None) -> tuple[tuple[str, str], ...]:
    return tuple([(name, value) for name, values in (headers or {}).items() for value in values])


def _reply(answer: int | ReplyModel) -> Reply:
    return Reply(answer) if isinstance(answer, int) else Reply(answer.status, answer.reason or "", _pairs(answer.headers))


def _references(model: CaseModel, snapshot: Snapshot) -> Iterator[tuple[Keys, str]]:
    """Names that nothing in the policy has."""
    given, expect = model.given, model.expect
    parties = {**snapshot.trunks, **snapshot.users}
    routes = {route.name for route in snapshot.routes} | {route.name for route in snapshot.emergency.values()}
    one: list[tuple[Keys, str | None, Any, str]] = [
        (("given", "trunk"), given.trunk, snapshot.trunks, "trunk"),
        (("given", "user"), given.user, snapshot.users, "user"),
        (("given", "realm"), given.realm, snapshot.realms, "realm"),
        (("expect", "party"), expect.party, parties, "trunk or user"),
        (("expect", "route"), expect.route, routes, "route"),
        (("expect", "limit"), expect.limit, snapshot.limits, "limits"),
        (("expect", "sent_to"), expect.sent_to, parties, "trunk or user"),
        *[(("given", "answers", name), name, parties, "trunk or user") for name in given.answers or ()],
        *[
            (("given", "calls", name), name, parties, "trunk or user")
            for name in given.calls or ()
            if snapshot.inventory.owner_of(name) not in parties
        ],
        *[(("given", "absent", index), name, parties, "trunk or user") for index, name in enumerate(given.absent or ())],
        *[(("expect", "tried", index), name, parties, "trunk or user") for index, name in enumerate(expect.tried or ())],
    ]
    for where, name, known, what in one:
        if name and name not in known:
            yield where, f"there is no {what} {name!r}{did_you_mean(name, known)}"


def _unknown(document: Document, path: Keys, what: str) -> Problem:
    return Problem(document.place(document.trim(path)), path, what)
