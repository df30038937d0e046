"""What all checks have in common: the objects, their names and where they stand, and what was found. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from media.api import Suite
from sbc.flow import Transport
from sbc.policy import model
from sbc.policy.document import Document, Plain
from sbc.policy.numbering import Entry, by_owner
from sbc.policy.problems import Path, Place, Problem, did_you_mean
from sbc.policy.shielding import ShieldModel

SECURE: frozenset[Transport] = frozenset({"TLS", "WSS", "QUIC"})


@dataclass(frozen=True, slots=True)
class Policy:
    """The objects that are valid by themselves; `routes` by their position in the list."""

    realms: Mapping[str, model.RealmModel]
    trunks: Mapping[str, model.TrunkModel]
    users: Mapping[str, model.UserModel]
    sites: Mapping[str, model.SiteModel]
    routes: Mapping[int, model.RouteModel]
    limits: Mapping[str, model.LimitsModel]
    media: Mapping[str, model.MediaModel]
    headers: Mapping[str, Mapping[int, model.EditModel]]
    blocks: Mapping[str, model.BlockModel]
    numbers: Sequence[Entry]
    emergency: Mapping[str, model.EmergencyModel]
    no_emergency: frozenset[str]
    everybody: model.EverybodyModel | None
    strangers: model.StrangersModel
    identity: model.IdentityModel | None
    shield: ShieldModel

    def parties(self) -> Iterable[tuple[str, str, model.TrunkModel | model.UserModel]]:
        """(section, name, object) of all trunks and users."""
        yield from (("trunks", name, trunk) for name, trunk in self.trunks.items())
        yield from (("users", name, user) for name, user in self.users.items())


class Checker:
    """What is checked, and what was found."""

    def __init__(self, document: Document, policy: Policy, suites: Collection[Suite]) -> None:
        self.document = document
        self.policy = policy
        self.available = suites
        self.owned = by_owner(policy.numbers)
        self.errors: list[Problem] = []
        self.warnings: list[Problem] = []
        # All names of a section, those of faulty objects too: a reference to them is not a second error.
        self.names = {section: self._names_of(section) for section in model.PolicyModel.model_fields}

    # What each check is about stands at `path`, its value unless it is an object.

    def error(self, path: Path, what: str) -> None:
        self.errors.append(Problem(self._place(path), path, what))

    def warn(self, path: Path, what: str) -> None:
        self.warnings.append(Problem(self._place(path), path, what))

    def _place(self, path: Path) -> Place:
        place = self.document.key_place if isinstance(self.document.plain(path), dict) else self.document.place
        return place(path)

    def _names_of(self, section: str) -> dict[str, None]:
        entries = self.plain(section)
        return dict.fromkeys(entries) if isinstance(entries, dict) else {}

    def references(self, path: Path, *sections: str, instead: str | None = None) -> None:
        names = self.plain(*path)
        for index, name in enumerate(names if isinstance(names, list) else ()):
            if name != instead:
                self.reference((*path, index), *sections)

    def reference(self, path: Path, *sections: str) -> None:
        name = self.plain(*path)
        if isinstance(name, bool) or not isinstance(name, (str, int)) or any(str(name) in self.names[section] for section in sections):
            return
        known = [known for section in sections for known in self.names[section]]
        what = " or ".join(
            {"realms": "realm", "trunks": "trunk", "users": "user", "blocks": "block", "headers": "list of edits", "sites": "site"}.get(
                section, section
            )
            for section in sections
        )
        self.error(path, f"there is no {what} {str(name)!r}{did_you_mean(str(name), known)}")

    def plain(self, *path: str | int) -> Plain:
        """What is written at `path`; None when nothing is."""
        return self.document.plain(path) if self.document.trim(path) == path else None


def version(host: str) -> int | None:
    """4 or 6 of a numeric address; None of a name."""
    try:
        return ipaddress.ip_address(host).version
    except ValueError:
        return None
