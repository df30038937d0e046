"""What we tell a party that it may send: more than calls only as far as the policy lets it, and the party across as well.

`across` is the party on the other side of its call; None: there is none yet.
"""

from __future__ import annotations

from functools import lru_cache

from sbc.call.context import DIALOG_METHODS, SUPPORTED
from sbc.policy.snapshot import Party, Services

HeaderRows = tuple[tuple[str, str], ...]


def methods_of(party: Party) -> tuple[str, ...]:
    """What may stand in a dialog with it."""
    return _methods(party.services, None)


def abilities(party: Party, across: Party | None) -> HeaderRows:
    """Allow and Supported."""
    return _abilities(party.services, across.services if across else None, SUPPORTED)


def invite_abilities(party: Party, across: Party | None, supported: str = SUPPORTED) -> HeaderRows:
    """The same for an INVITE of ours, with Recv-Info. `supported`: the extensions of our own it may use."""
    return (*_abilities(party.services, across.services if across else None, supported), *recv_info(party, across))


def recv_info(party: Party, across: Party | None = None) -> HeaderRows:
    """Who takes INFO says so in INVITE and its 2xx, without a package if there is none (RFC 6086 s5.2.2, s5.2.3)."""
    services = party.services
    far = services if across is None else across.services
    packages = [package for package in services.info_packages if package in far.info_packages]
    return (("Recv-Info", ", ".join(packages)),) if services.info and far.info else ()


@lru_cache(maxsize=256)
def _methods(services: Services, across: Services | None) -> tuple[str, ...]:
    far = services if across is None else across
    methods: tuple[str, ...] = DIALOG_METHODS
    if services.info and far.info:
        methods = (*methods, "INFO")
    if services.messages and far.messages:
        methods = (*methods, "MESSAGE")
    transfers = services.transfers == "perform" or (services.transfers == "pass" and far.transfers != "refuse")
    if transfers:
        methods = (*methods, "REFER")
    if transfers or services.events:
        methods = (*methods, "NOTIFY")
    if services.events:
        methods = (*methods, "PUBLISH", "SUBSCRIBE")
    return methods


@lru_cache(maxsize=256)
def _abilities(services: Services, across: Services | None, supported: str) -> HeaderRows:
    transfers = "" if services.transfers == "refuse" else ", replaces, norefersub"
    return ("Allow", ", ".join(_methods(services, across))), ("Supported", supported + transfers)
