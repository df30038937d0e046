"""Limits: what the objects that name them can have counted. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sbc.policy import model
from sbc.policy.checking.checker import Checker
from sbc.policy.problems import Path
from sbc.sdp.bandwidth import LARGEST_TAG, most_bits
from sbc.sdp.codecs import full_offer
from sbc.sdp.rules import MediaRules

ONE_WAY = ("calls_from", "calls_to", "new_calls_from", "new_calls_to")
CALLS_ONLY = {"routes": "a route sees", "numbers": "a number has"}
SLOW = 1 / 60  # a second: slower rates let one call through and then none for a minute or longer


def refer(checker: Checker, path: Path) -> None:
    """One name or a list of them."""
    if isinstance(checker.plain(*path), list):
        checker.references(path, "limits")
    else:
        checker.reference(path, "limits")


def check(checker: Checker) -> None:
    for name, rules in checker.policy.limits.items():
        for rate in ("new_calls", "new_calls_from", "new_calls_to"):
            figure = getattr(rules, rate)
            if figure is not None and figure < SLOW and rules.burst is None:
                every = f"one call every {round(1 / figure)} seconds and never two at once"
                checker.warn(("limits", name, rate), f"means {every}: say 'burst', how many may come at once")
    _room(checker)
    for path, names, section in _references(checker):
        _names(checker, path, names, section)
    _strangers(checker)


def _references(checker: Checker) -> Iterable[tuple[Path, Sequence[str], str]]:
    for section, name, party in checker.policy.parties():
        yield (section, name, "limits"), party.limits or (), section
    for index, route in checker.policy.routes.items():
        yield ("routes", index, "limits"), route.limits or (), "routes"
    for name, realm in checker.policy.realms.items():
        yield ("realms", name, "limits"), realm.limits or (), "realms"
    for entry in checker.policy.numbers:
        if entry.limits:
            yield ("numbers", entry.key, "limits"), entry.limits, "numbers"
    if checker.policy.everybody is not None:
        yield ("everybody", "limits"), checker.policy.everybody.limits, "everybody"


def _room(checker: Checker) -> None:
    """For one call at least, whatever its peers agree on."""
    for section, name, party in checker.policy.parties():
        media = checker.policy.media.get(party.media or "")
        for limit in party.limits or ():
            rules = checker.policy.limits.get(limit)
            if media is None or rules is None or rules.bandwidth is None:
                continue
            codecs = full_offer(MediaRules(tuple(media.codecs)))
            needed = most_bits(codecs, None, LARGEST_TAG if media.srtp != "off" else 0, ipv6=False)
            if needed > rules.bandwidth:
                what = f"{limit!r} has no room for one call: with the codecs of media {party.media!r} that takes {-(-needed // 1000)}k"
                checker.warn((section, name, "limits"), what)


def _names(checker: Checker, path: Path, names: Sequence[str], section: str) -> None:
    several = isinstance(checker.plain(*path), list)
    for index, name in enumerate(names):
        here: Path = (*path, index) if several else path
        if name in names[:index]:
            checker.error(here, f"{name!r} is already in this list")
        rules = checker.policy.limits.get(name)
        if rules is None:
            continue
        one_way = [key for key in ONE_WAY if getattr(rules, key) is not None]
        if section in ("routes", "everybody") and one_way:
            checker.error(here, f"{one_way[0]!r} is for trunks and users: to {_whom(section)} a call has no direction")
        if section in CALLS_ONLY and rules.requests is not None:
            checker.error(here, f"'requests' is for trunks, users, realms, everybody and strangers: {CALLS_ONLY[section]} calls only")


def _whom(section: str) -> str:
    return "a route" if section == "routes" else "everybody together"


def _strangers(checker: Checker) -> None:
    rules: model.LimitsModel | None = checker.policy.limits.get(checker.policy.strangers.limits or "")
    if rules is None:
        return
    if rules.model_fields_set - {"requests"}:
        what = "strangers make no calls; only 'requests' is counted for them, for each source"
        checker.error(("strangers", "limits"), what)
