"""Runs policy tests: each case through the code that decides, what came of it against what is expected."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sbc.errors import ConfigError
from sbc.explain.account import Account
from sbc.explain.asked import asked
from sbc.explain.cases import Case, load_cases
from sbc.explain.story import explain
from sbc.policy.load import Loaded
from sbc.policy.problems import Problem

# Which phase has the rule that an expectation is about.
PHASES = {
    "party": "who",
    "by": "who",
    "called": "number",
    "caller": "caller",
    "asserted": "caller",
    "limit": "limits",
    "tried": "target",
    "sent_to": "target",
    "uri": "target",
    "headers": "edits",
    "without": "edits",
    "codecs": "media",
    "keys": "media",
}


@dataclass(frozen=True, slots=True)
class Examined:
    """How many cases there are, and everything that is not as expected: file:line:column of the expectation, and what came instead."""

    cases: int
    failures: tuple[Problem, ...]


def examine(folder: Path, loaded: Loaded) -> Examined:
    """All tests beside a policy that was loaded from `folder`. Raises PolicyErrors: a test itself is wrong."""
    return run_cases(load_cases(folder, loaded.snapshot), loaded)


def run_cases(cases: list[Case], loaded: Loaded) -> Examined:
    return Examined(len(cases), tuple([failure for case in cases for failure in sorted(_run(case, loaded))]))


def _run(case: Case, loaded: Loaded) -> Iterator[Problem]:
    try:
        account = explain(loaded.snapshot, loaded.places, asked(loaded.snapshot, case.flags, case.assumed))
    except ConfigError as error:
        yield Problem(case.place((*case.path, "given")), (*case.path, "given"), f"{case.name}: {error}")
        return
    for key, wanted in case.expect.items():
        for where, what in _differences(key, wanted, account.facts):
            path = (*case.path, "expect", key, *where)
            yield Problem(case.place(path), path, f"{case.name}: {what}{_decided_by(key, account)}")


def _differences(key: str, wanted: Any, facts: dict[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if key in ("headers", "answer_headers"):
        for name, rows in wanted.items():
            there = _rows(facts[key], name)
            if there != rows:
                yield (name,), f"expected {_listed(rows)}, got {_listed(there)}"
    elif key == "without":
        for index, name in enumerate(wanted):
            if there := _rows(facts["headers"], name):
                yield (index,), f"expected no {name}, got {_listed(there)}"
    elif key == "note":
        if wanted not in (facts["note"] or ""):
            yield (), f"expected {wanted!r} in what is said, got {facts['note'] or 'nothing'!r}"
    else:
        found: Any = facts.get("to" if key == "uri" else key)
        if key == "step":
            found = found or "none"
        elif wanted == "" and found is None:
            found = ""
        if found != wanted:
            yield (), f"expected {_told(wanted)}, got {_told(found)}"


def _rows(rows: list[list[str]], name: str) -> list[str]:
    return [value for each, value in rows if each.lower() == name.lower()]


def _listed(rows: list[str]) -> str:
    return ", ".join(map(repr, rows)) if rows else "no such row"


def _told(value: Any) -> str:
    if value is None or value == "":
        return "none"
    if isinstance(value, list):
        return f"[{', '.join(map(str, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _decided_by(key: str, account: Account) -> str:
    """The rule that has led there; of a refusal, that of the phase that refused."""
    wanted = PHASES.get(key, key)
    refused = next((phase for phase in account.phases if phase.result == "no" and phase.name != "answer"), None)
    phase = next((phase for phase in account.phases if phase.name == wanted), refused) if key != "status" else refused
    if phase is None:
        return ""
    return f" ({phase.name}: {phase.text}{f'; {phase.rule}' if phase.rule is not None else ''})"
