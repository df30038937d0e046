"""Where calls go: routes, owners of numbers, emergency. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from sbc.policy import model
from sbc.policy.checking.checker import Checker
from sbc.policy.inventory import OWNER, UNASSIGNED
from sbc.policy.numbering import check_owners
from sbc.policy.problems import Path
from sbc.policy.snapshot import stranger_in


def check(checker: Checker) -> None:
    _routes(checker)
    _numbers(checker)
    _emergency(checker)


def _routes(checker: Checker) -> None:
    names: dict[str, int] = {}
    for index, route in checker.policy.routes.items():
        path: Path = ("routes", index)
        if route.name in names:
            place = checker.document.place(("routes", names[route.name], "name"))
            checker.error((*path, "name"), f"{route.name!r} is already a route at {place}")
        names.setdefault(route.name, index)
        when = route.when
        trunk = checker.policy.trunks.get(when.trunk or "")
        if trunk is not None and not (
            trunk.accept_from
            or trunk.accept_certificate
            or trunk.accepts_registration
            or trunk.authenticates
            or trunk.register_to
            or trunk.link
        ):
            ways = "accept_from, accept_certificate, accepts_registration, authenticates, register_to or link"
            why = f"trunk {when.trunk!r} has no {ways}, so no call is ever its"
            checker.warn((*path, "when", "trunk"), why)
        _targets(checker, (*path, "send_to"), route.send_to)
        _slips_past(checker, path, when)
        if route.needs_caller and route.shows not in (None, "caller"):
            checker.error((*path, "needs_caller"), f"it shows {route.shows}, whoever calls: take out one of the two")


def _slips_past(checker: Checker, path: Path, when: model.WhenModel) -> None:
    """Exceptions are compared after the dial plan: without one, `00882…` is no `+882…`."""
    excepted = when.not_to_kind is not None or any(number.startswith("+") for number in when.not_to or ())
    if not excepted or all(number.startswith("+") for number in when.to):
        return
    for _, name, party in checker.policy.parties():
        if party.dial_plan is None and (name in (when.trunk, when.user) or party.realm == when.realm):
            what = f"{name!r} has no dial_plan: what it dials as 00… has no '+', and passes; say 'to: \"+*\"', or give it one"
            checker.warn((*path, "when", "not_to" if when.not_to is not None else "not_to_kind"), what)
            return


def _targets(checker: Checker, path: Path, send_to: Sequence[str]) -> None:
    for index, name in enumerate(send_to):
        here: Path = (*path, index)
        if name in send_to[:index]:
            checker.error(here, f"{name!r} is already in this list")
        _reachable(checker, here, name)


def _reachable(checker: Checker, path: Path, name: str) -> None:
    trunk = checker.policy.trunks.get(name)
    if trunk is not None and not trunk.servers and trunk.accepts_registration is None and trunk.link is None:
        checker.error(path, f"trunk {name!r} cannot be reached: it has neither 'peer' nor 'accepts_registration' nor 'link'")


def _numbers(checker: Checker) -> None:
    checker.errors += check_owners(checker.document, checker.policy.numbers)
    for owner, entries in checker.owned.items():
        path: Path = checker.document.trim(("numbers", entries[0].key, "owner"))
        if owner != UNASSIGNED:
            checker.reference(path, "trunks", "users")
            _reachable(checker, path, owner)
        for entry in entries if owner == UNASSIGNED else ():
            if entry.limits:
                checker.error(("numbers", entry.key, "limits"), "nobody has these numbers, so that there are no calls to count")
    to_owner = [(index, route.send_to.index(OWNER)) for index, route in checker.policy.routes.items() if OWNER in route.send_to]
    for index, position in to_owner if not checker.plain("numbers") else ():
        checker.error(("routes", index, "send_to", position), "nobody owns a number: there are no 'numbers'")
    if checker.owned and not to_owner:
        checker.warn(("numbers",), f"no route leads to them: say 'send_to: [{OWNER}]' in one")
    for section in ("trunks", "users"):
        for word in (OWNER, UNASSIGNED):
            if word in checker.names[section]:
                checker.error((section, word), f"{word!r} has a meaning of its own where names stand: choose another one")


def _emergency(checker: Checker) -> None:
    for name, emergency in checker.policy.emergency.items():
        _targets(checker, ("emergency", name, "send_to"), emergency.send_to)
        if emergency.strangers is not None:
            for section in ("trunks", "users"):
                if stranger_in(name) in checker.names[section]:
                    checker.error(
                        (section, stranger_in(name)), f"means the strangers of realm {name!r} who call for help: choose another name"
                    )
    for name in checker.names["realms"]:
        if name not in checker.names["emergency"]:
            what = f"has no 'emergency': say where its emergency calls go, or 'emergency: {{{name}: none}}'"
            checker.warn(("realms", name), what)
