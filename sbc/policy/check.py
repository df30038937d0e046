"""Checks across objects: names that must exist, addresses that must not collide, rules that could never work. Pure."""

from __future__ import annotations

from collections.abc import Collection

from media.api import Suite
from sbc.policy.checking import callers, edits, limits, media, parties, proof, realms, routes, shield, sites
from sbc.policy.checking.checker import Checker, Policy
from sbc.policy.document import Document
from sbc.policy.inventory import OWNER
from sbc.policy.problems import Problem, did_you_mean


def check(document: Document, policy: Policy, suites: Collection[Suite]) -> tuple[list[Problem], list[Problem]]:
    """Errors and warnings. `suites` are those of the media engine."""
    checker = Checker(document, policy, suites)
    _references(checker)
    realms.check(checker)
    parties.check(checker)
    sites.check(checker)
    proof.check(checker)
    routes.check(checker)
    callers.check(checker)
    limits.check(checker)
    media.check(checker)
    edits.check(checker)
    shield.check(checker)
    return checker.errors, checker.warnings


def _references(checker: Checker) -> None:
    """Every name that refers to something, in faulty objects too."""
    for section in ("trunks", "users"):
        for name in checker.names[section]:
            for key, target in (("realm", "realms"), ("media", "media")):
                checker.reference((section, name, key), target)
            limits.refer(checker, (section, name, "limits"))
            for key, target in (("blocks", "blocks"), ("blocks_from", "blocks"), ("headers_in", "headers"), ("headers_out", "headers")):
                checker.references((section, name, key), target)
    for name in checker.names["users"]:
        checker.reference(("users", name, "register_at"), "trunks")
    for name in checker.names["trunks"]:
        checker.reference(("trunks", name, "accepts_registration", "register_at"), "trunks")
        checker.reference(("trunks", name, "link"), "sites")
    routes = checker.plain("routes")
    for index in range(len(routes) if isinstance(routes, list) else 0):
        for key, target in (("trunk", "trunks"), ("user", "users"), ("realm", "realms")):
            checker.reference(("routes", index, "when", key), target)
        checker.references(("routes", index, "send_to"), "trunks", "users", instead=OWNER)
        limits.refer(checker, ("routes", index, "limits"))
    limits.refer(checker, ("everybody", "limits"))
    for name in checker.names["realms"]:
        limits.refer(checker, ("realms", name, "limits"))
    for entry in checker.policy.numbers:
        if entry.limits:
            limits.refer(checker, ("numbers", entry.key, "limits"))
    for name in checker.names["emergency"]:
        if name not in checker.names["realms"]:
            what = f"there is no realm {name!r}{did_you_mean(name, checker.names['realms'])}"
            checker.error(("emergency", name), what)
        checker.references(("emergency", name, "send_to"), "trunks", "users")
        checker.reference(("emergency", name, "strangers", "media"), "media")
    checker.reference(("strangers", "limits"), "limits")
