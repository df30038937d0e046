"""Who is who: addresses, certificates and accounts that two could claim. Pure."""

from __future__ import annotations

from sbc.policy import model
from sbc.policy.checking.checker import Checker
from sbc.policy.problems import Path


def check(checker: Checker) -> None:
    _sources(checker)
    _certificates(checker)
    _accounts(checker)


def _sources(checker: Checker) -> None:
    taken: dict[tuple[str, str], Path] = {}
    for name, trunk in checker.policy.trunks.items():
        for index, network in enumerate(trunk.accept_from or ()):
            path: Path = ("trunks", name, "accept_from", index)
            key = (trunk.realm, str(network))
            other = taken.setdefault(key, path)
            if other is not path:
                _same_source(checker, path, str(network), trunk, other)


def _same_source(checker: Checker, path: Path, network: str, trunk: model.TrunkModel, other: Path) -> None:
    """Who calls without a password would be the one, whoever of them it is: so each of them has one, or none shares."""
    name = str(other[1])
    place = checker.document.place(other)
    if name == path[1]:
        checker.error(path, f"{network} is already in this list")
    elif trunk.authenticates is None or checker.policy.trunks[name].authenticates is None:
        what = f"{network} is already trunk {name!r} at {place}"
        checker.error(path, f"{what}: give both of them 'authenticates'; of nested networks the longest wins")


def _certificates(checker: Checker) -> None:
    """Who is known by a name in a certificate, and who is shown or believed what: one answer for each name and realm."""
    taken: dict[tuple[str, str], Path] = {}
    called: dict[tuple[str, str], tuple[str, tuple[str | None, bool | None]]] = {}
    for name, trunk in checker.policy.trunks.items():
        for index, each in enumerate(trunk.accept_certificate or ()):
            path: Path = ("trunks", name, "accept_certificate", index)
            key = (trunk.realm, each)
            if key in taken:
                checker.error(path, f"{each} is already trunk {taken[key][1]!r} at {checker.document.place(taken[key])}")
            taken.setdefault(key, path)
        for server in trunk.servers:
            rules = (trunk.certificate, trunk.insecure_wildcard_certificates)
            other, others = called.setdefault((trunk.realm, server.host), (name, rules)) if server.may_be_tls else (name, rules)
            if others != rules:
                what = f"connections to {server.host} are shared with trunk {other!r}, which has other certificate rules"
                checker.error(("trunks", name, "peer" if server is trunk.peer else "register_to"), what)


def _accounts(checker: Checker) -> None:
    taken: dict[tuple[str, str], Path] = {(user.realm, name): ("users", name) for name, user in checker.policy.users.items()}
    for name, trunk in checker.policy.trunks.items():
        if trunk.accepts_registration is not None and trunk.authenticates is not None:
            what = "'accepts_registration' has an account that proves it: leave out 'accept_from' and each of its calls is asked for it"
            checker.error(("trunks", name, "authenticates"), what)
        for kind, account in (("accepts_registration", trunk.accepts_registration), ("authenticates", trunk.authenticates)):
            if account is None:
                continue
            path: Path = ("trunks", name, kind, "user")
            key = (trunk.realm, account.user)
            if key in taken:
                place = checker.document.key_place(taken[key])
                checker.error(path, f"{key[1]!r} is already an account of realm {trunk.realm!r} at {place}")
            taken.setdefault(key, path)
    _ours(checker)
    for name, user in checker.policy.users.items():
        _registrar(checker, ("users", name, "register_at"), user.register_at)
    for name, trunk in checker.policy.trunks.items():
        if trunk.accepts_registration is not None:
            _registrar(checker, ("trunks", name, "accepts_registration", "register_at"), trunk.accepts_registration.register_at)


def _ours(checker: Checker) -> None:
    """Accounts that we have elsewhere: each is registered once."""
    taken: dict[tuple[str, str], str] = {}
    for name, trunk in checker.policy.trunks.items():
        account = trunk.register_to
        if account is not None:
            other = taken.setdefault((account.user, account.domain or account.registrar.host), name)
            if other != name:
                place = checker.document.key_place(("trunks", other, "register_to"))
                checker.error(
                    ("trunks", name, "register_to", "user"), f"{account.user!r} is registered by trunk {other!r} already at {place}"
                )


def _registrar(checker: Checker, path: Path, name: str | None) -> None:
    """Whether that trunk can be registered at, and whether its calls to who registers there are known as its own."""
    trunk = checker.policy.trunks.get(name or "")
    if trunk is None:
        return
    if trunk.peer is None:
        checker.error(path, f"trunk {name!r} has no 'peer' to send REGISTER to")
    elif not (trunk.accept_from or trunk.accept_certificate or trunk.authenticates):
        checker.warn(path, f"trunk {name!r} has no accept_from, accept_certificate or authenticates: it cannot call who registers there")
