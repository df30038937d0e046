"""Edits of headers: whether anybody names them, and whether they do anything. Pure."""

from __future__ import annotations

from sbc.policy import model
from sbc.policy.checking.checker import Checker
from sbc.policy.problems import Path

KEYS = ("headers_in", "headers_out")


def check(checker: Checker) -> None:
    named: set[str] = set()
    for section, name, party in checker.policy.parties():
        for key in KEYS:
            names = getattr(party, key) or []
            named.update(names)
            for index, each in enumerate(names):
                if each in names[:index]:
                    checker.error((section, name, key, index), f"{each!r} is already in this list")
    for name, edits in checker.policy.headers.items():
        if name not in named:
            checker.warn(("headers", name), "no trunk or user names it in headers_in or headers_out: it edits nothing")
        for index, edit in edits.items():
            _edit(checker, ("headers", name, index), edit)


def _edit(checker: Checker, path: Path, edit: model.EditModel) -> None:
    for old, new in (edit.rename or {}).items():
        if old.lower() == new.lower():
            checker.error((*path, "rename"), f"{old} would be called {new}, as it is already")
