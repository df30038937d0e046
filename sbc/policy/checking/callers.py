"""Kinds of routes by what becomes of the caller's number (`cli`): names for settings, and what contradicts them. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from sbc.policy import model
from sbc.policy.checking.checker import Checker
from sbc.policy.problems import Path
from sbc.policy.snapshot import Cli


def cli_of(route: model.RouteModel, trunks: Mapping[str, model.TrunkModel]) -> Cli | None:
    """What the route says, else the trunks that it leads to; `check` has seen that these agree."""
    said = (trunks[name].cli for name in route.send_to if name in trunks)
    return route.cli or next((cli for cli in said if cli is not None), None)


def check(checker: Checker) -> None:
    for index, route in checker.policy.routes.items():
        _route(checker, ("routes", index), route)
    for name, trunk in checker.policy.trunks.items():
        if trunk.cli == "hidden" and trunk.sign not in (None, "no"):
            checker.error(
                ("trunks", name, "sign"), "with 'cli: hidden' it is shown no caller that could be signed for: take out one of the two"
            )
    for realm, rule in checker.policy.emergency.items():
        for position, name in enumerate(rule.send_to):
            if (target := checker.policy.trunks.get(name)) is not None and target.cli == "hidden":
                what = f"who calls for help by {name!r} cannot be called back: it has 'cli: hidden'"
                checker.warn(("emergency", realm, "send_to", position), what)


def _route(checker: Checker, path: Path, route: model.RouteModel) -> None:
    cli, whose = route.cli, "the route"
    for position, name in enumerate(route.send_to):
        trunk = checker.policy.trunks.get(name)
        if trunk is None or trunk.cli is None:
            continue
        if cli is None:
            cli, whose = trunk.cli, f"trunk {name!r}"
        elif trunk.cli != cli:
            what = f"trunk {name!r} has 'cli: {trunk.cli}', and {whose} 'cli: {cli}': a route leads to one kind"
            checker.error((*path, "send_to", position), what)
    if cli is None:
        return
    if cli == "hidden" and route.needs_caller:
        checker.error((*path, "needs_caller"), f"{whose} has 'cli: hidden', which shows no caller: take out one of the two")
    if cli != "hidden" and route.needs_caller is False:
        checker.error((*path, "needs_caller"), f"{whose} has 'cli: {cli}', which needs one: take out one of the two")
    if route.shows not in (None, "nobody" if cli == "hidden" else "caller"):
        what = "nobody" if cli == "hidden" else "the caller"
        checker.error((*path, "shows"), f"{whose} has 'cli: {cli}', which shows {what}: take out one of the two")
    who = route.when.trunk or route.when.user
    if cli == "call-center" and who is not None and not _has_numbers(checker, who):
        what = f"{who!r} has no number of its own, so that none of its calls goes there ('cli: call-center'): give it 'numbers'"
        checker.warn((*path, "when"), what)


def _has_numbers(checker: Checker, name: str) -> bool:
    party = checker.policy.trunks.get(name) or checker.policy.users.get(name)
    return party is None or bool(party.numbers or checker.owned.get(name))
