"""Which line of the policy an answer of the core rests on."""

from __future__ import annotations

import ipaddress

from sbc.explain.account import Rule
from sbc.flow import Flow
from sbc.policy.decide import Admitted, candidates, dial_rule, is_number, is_of_kind, without_separators
from sbc.policy.places import Places
from sbc.policy.snapshot import Party, Route, Snapshot, Trunk

NEAREST = 5  # prefixes that are named where none fits


class Rules:
    def __init__(self, snapshot: Snapshot, places: Places) -> None:
        self.snapshot = snapshot
        self._places = places

    def at(self, *path: str | int) -> Rule:
        return Rule(".".join(map(str, path)), self._places.of(*path) if self._places.has(*path) else None)

    def near(self, *path: str | int) -> Rule:
        """What is not written itself stands in what should have contained it."""
        return Rule(".".join(map(str, path)), self._places.of(*path))

    def of_party(self, party: Party, *keys: str | int) -> Rule:
        """A user's keys are not kept one by one: then the user."""
        section = "trunks" if isinstance(party, Trunk) else "users"
        return self.near(section, party.name, *keys) if isinstance(party, Trunk) else self.near(section, party.name)

    def proof(self, admitted: Admitted, flow: Flow) -> Rule:
        party = admitted.party
        if not isinstance(party, Trunk):
            return self.of_party(party)
        if admitted.by == "certificate":
            index = next((index for index, name in enumerate(party.accept_certificate) if name in flow.names), 0)
            return self._listed(party, "accept_certificate", index)
        if admitted.by == "address":
            return self._listed(party, "accept_from", _network(party, flow.remote[0]))
        keys = ("register_to",) if party.register_to is not None else ("accepts_registration", "authenticates")
        written = [self.at("trunks", party.name, key) for key in keys if self._places.has("trunks", party.name, key)]
        return written[0] if written else self.of_party(party)

    def _listed(self, party: Party, key: str, index: int) -> Rule:
        """A list of one may be written without brackets."""
        found = self.at("trunks", party.name, key, index)
        return found if found.place is not None else self.at("trunks", party.name, key)

    def dial_plan(self, party: Party, dialled: str) -> tuple[Rule, tuple[str, str]] | None:
        rule = dial_rule(party, without_separators(dialled))
        return (self.of_party(party, "dial_plan", rule[0]), rule) if rule is not None else None

    def route(self, chosen: str, line: str, emergency: bool) -> tuple[Rule, Route | None]:
        """Of a route that the record names; None: the call went by none of the policy's."""
        if emergency:
            realm = chosen.partition(".")[2]
            return self.at("emergency", realm), self.snapshot.emergency.get(realm)
        for index, route in enumerate(self.snapshot.routes):
            if route.name == chosen and route.line == line:
                return self.at("routes", index), route
        return Rule(f"route {chosen}"), None

    def passed_over(self, party: Party, called: str, chosen: Route | None) -> list[tuple[Rule, Route]]:
        """Routes whose `to` has the number and that were not taken all the same, in front of the one that was."""
        found = []
        for index in candidates(self.snapshot, party, called):
            route = self.snapshot.routes[index]
            if chosen is not None and route.name == chosen.name and route.line == chosen.line:
                break
            found.append((self.at("routes", index), route))
        return found

    def media(self, party: Party, key: str) -> Rule:
        return self.near("media", party.media.name, key)


def pattern_of(route: Route, called: str) -> str:
    """That of `to` that fits: the number itself, or the longest prefix."""
    if called in route.to.exact:
        return called
    return max((prefix for prefix in route.to.prefixes if called.startswith(prefix)), key=len, default="") + "*"


def nothing_fits(party: Party, dialled: str) -> str:
    """That no prefix of its dial plan begins the number, and those that came nearest; "" where one does, or none need."""
    number = without_separators(dialled)
    if number.startswith("+") or not is_number(dialled) or dial_rule(party, number) is not None:
        return ""
    if not party.dial_plan:
        return f"{party.name} has no dial plan"
    alike = {prefix: _alike(prefix, number) for prefix, _ in party.dial_plan}
    most = max(alike.values())
    near = sorted([prefix for prefix, length in alike.items() if length == most])
    told = ", ".join(map(repr, near[:NEAREST])) + (", …" if len(near) > NEAREST else "")
    begins = f"; nearest {'is' if len(near) == 1 else 'are'} {told}" if most else f", which has {told}"
    return f"no prefix fits in the dial plan of {party.name}{begins}"


def why_passed_over(route: Route, called: str) -> str:
    """Of a route whose `to` has the number."""
    if called in route.not_to.exact:
        return f"not_to has {called}"
    found = [prefix for prefix in route.not_to.prefixes if called.startswith(prefix)]
    if found:
        return f"not_to has {max(found, key=len)}*"
    return "it is for numbers with an owner" if is_of_kind(route, called) else "it is not for numbers of that kind"


def _alike(prefix: str, number: str) -> int:
    """With how many digits both begin."""
    return next((length for length in range(len(prefix), 0, -1) if number.startswith(prefix[:length])), 0)


def _network(trunk: Trunk, source: str) -> int:
    """The position of the longest of its networks that has the address."""
    address = ipaddress.ip_address(source)
    mapped = getattr(address, "ipv4_mapped", None)
    networks = enumerate(map(ipaddress.ip_network, trunk.accept_from))
    found = [(network.prefixlen, index) for index, network in networks if (mapped or address) in network]
    return max(found)[1] if found else 0
