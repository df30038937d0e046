"""The limits that a call was measured by."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sbc.explain.account import NO, OK, Phase
from sbc.explain.rules import Rules
from sbc.explain.witness import Witness
from sbc.policy.counters import LimitRules
from sbc.policy.limits import Refused
from sbc.policy.snapshot import Party

FIGURES = {
    "calls": "calls at a time",
    "calls_from": "calls at a time from it",
    "calls_to": "calls at a time to it",
    "new_calls": "new calls a second",
    "new_calls_from": "new calls a second from it",
    "new_calls_to": "new calls a second to it",
    "burst": "at once",
    "bandwidth": "bit/s of media",
    "requests": "requests a second",
    "longest_call": "s the longest",
}


def limits_phase(rules: Rules, witness: Witness, who: Party, note: str) -> Phase:
    """Of the caller, of the route, and of everybody together; `note`: why it was refused, "" if it was not."""
    measured: dict[tuple[str, str], LimitRules] = {}
    refused: Refused | None = None
    for heard in (*witness.answers("judge_request"), *witness.answers("judge"), *witness.answers("judge_room")):
        if isinstance(heard.answer, Refused):
            refused = heard.answer
        if "to" not in heard.arguments:
            measured |= {(owner, each.name): each for owner, of in heard.arguments[0] for each in of}
    lines = tuple([f"{owner}: {_told(each)} ({rules.near('limits', each.name)})" for (owner, _), each in measured.items()])
    if note:
        facts: dict[str, Any] = {"limit": refused.limit if refused is not None else None}
        rule = rules.near("limits", refused.limit, refused.which) if refused is not None and refused.limit else None
        return Phase("limits", note, rule, lines, facts, NO)
    if not measured:
        return Phase("limits", f"{who.name} has none", rules.of_party(who, "limits"))
    return Phase("limits", "within all of them", rules.of_party(who, "limits"), lines, {"limit": None}, OK)


def _told(rules: LimitRules) -> str:
    figures = [f"{value:g} {text}" for key, text in FIGURES.items() if (value := getattr(rules, key)) is not None]
    return ", ".join((rules.name, *figures, *_besides(rules)))


def _besides(rules: LimitRules) -> Iterable[str]:
    if rules.for_each is not None:
        yield f"for each {rules.for_each}"
    if rules.shared:
        yield "shared by all that name it"
