"""An account for people. What peers might have written is shown as text and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

from sbc.explain.account import NO, Account, Phase

_NAMES = 10  # columns of the name of a phase


def lines_of(account: Account) -> Iterator[str]:
    yield account.title
    for phase in account.phases:
        yield from _phase(phase)


def _phase(phase: Phase) -> Iterator[str]:
    sign = "✗" if phase.result == NO else " "
    yield f"{sign} {phase.name:<{_NAMES}} {phase.text}"
    margin = " " * (_NAMES + 3)
    if phase.rule is not None:
        yield f"{margin}{phase.rule}"
    for line in phase.lines:
        yield f"{margin}{line}"
