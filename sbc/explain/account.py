"""The account of a decision: phase by phase what was asked, what came of it, and which line of the policy says so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sbc.policy.problems import Place

OK, NO = "ok", "no"


@dataclass(frozen=True, slots=True)
class Rule:
    """`path` as in the errors: trunks.office.accept_from.0. `place`: None when what decides is written nowhere, a default."""

    path: str
    place: Place | None = None

    def __str__(self) -> str:
        return f"{self.place.file}:{self.place.line}:{self.place.column} {self.path}" if self.place is not None else f"default {self.path}"


@dataclass(frozen=True, slots=True)
class Phase:
    """`lines`: what else there is to say, one thing each. `facts`: the same for machines."""

    name: str
    text: str
    rule: Rule | None = None
    lines: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    result: str = OK


@dataclass(frozen=True, slots=True)
class Account:
    """`facts`: what tests expect, by the names they expect it by."""

    title: str
    phases: tuple[Phase, ...]
    facts: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        return {"request": self.title, "phases": [_phase(each) for each in self.phases], "result": self.facts}


def _phase(phase: Phase) -> dict[str, Any]:
    rule = phase.rule
    place = None if rule is None or rule.place is None else f"{rule.place.file}:{rule.place.line}:{rule.place.column}"
    return {
        "phase": phase.name,
        "result": phase.result,
        "text": phase.text,
        "rule": None if rule is None else {"path": rule.path, "place": place},
        "details": list(phase.lines),
        **phase.facts,
    }
