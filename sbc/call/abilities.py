"""What we tell a party that it may send: more than calls only as far as the policy lets it, and the party across as well.

`across` is the party on the other side of its call; None: there is none yet.
"""

from __future__ import annotations

from functools import lru_cache

from sbc.call.context import DIALOG_METHODS, SUPPORTED
from sbc.frozen import replace
from sbc.policy.snapshot import Party, Services

HeaderRows = tuple[tuple[str, str], ...]


def methods_of(party: Party) -> tuple[str, ...]:
    """What may stand in a dialog with it."""
    return _methods(party.services, None)


def abilities(party: Party, across: Party | None) -> HeaderRows:
    """Allow and Supported."""
    return _abilities(party.services, _services(party, across), SUPPORTED)


def invite_abilities(party: Party, across: Party | None, supported: str = SUPPORTED) -> HeaderRows:
    """The same for an INVITE of ours, with Recv-Info. `supported`: the extensions of our own it may use."""
    return (*_abilities(party.services, _services(party, across), supported), *recv_info(party, across))


def recv_info(party: Party, across: Party | None = None) -> HeaderRows:
    """Who takes INFO says so in INVITE and its 2xx, without a package if there is none (RFC 6086 s5.2.2, s5.2.3)."""
    services = party.services
    far = _services(party, across) or services
    packages = [package for package in services.info_packages if package in far.info_packages]
    return (("Recv-Info", ", ".join(packages)),) if services.info and far.info else ()


def _services(party: Party, across: Party | None) -> Services | None:
    """Those of the other side, and INFO besides if what it says of digits is translated for a side that has none."""
    if across is None:
        return None
    return across.services if across.services.info or not across.media.gets_events_of(party.media) else _with_info(across.services)


@lru_cache(maxsize=64)
def _with_info(services: Services) -> Services:
    return replace(services, info=True)


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
