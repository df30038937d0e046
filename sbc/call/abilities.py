"""What we tell a party that it may send: more than calls only as far as the policy lets it."""

from __future__ import annotations

from functools import lru_cache

from sbc.call.context import DIALOG_METHODS, SUPPORTED
from sbc.policy.snapshot import Party, Services

HeaderRows = tuple[tuple[str, str], ...]


def methods_of(party: Party) -> tuple[str, ...]:
    """What may stand in a dialog with it."""
    return _methods(party.services)


def abilities(party: Party) -> HeaderRows:
    """Allow and Supported."""
    return _abilities(party.services, SUPPORTED)


def invite_abilities(party: Party, supported: str = SUPPORTED) -> HeaderRows:
    """The same for an INVITE of ours, with Recv-Info. `supported`: the extensions of our own it may use."""
    return (*_abilities(party.services, supported), *recv_info(party))


def recv_info(party: Party) -> HeaderRows:
    """Who takes INFO says so in INVITE and its 2xx, without a package if there is none (RFC 6086 s5.2.2, s5.2.3)."""
    services = party.services
    return (("Recv-Info", ", ".join(services.info_packages)),) if services.info else ()


@lru_cache(maxsize=256)
def _methods(services: Services) -> tuple[str, ...]:
    methods: tuple[str, ...] = DIALOG_METHODS
    if services.info:
        methods = (*methods, "INFO")
    if services.messages:
        methods = (*methods, "MESSAGE")
    if services.transfers != "refuse":
        methods = (*methods, "REFER")
    if services.transfers != "refuse" or services.events:
        methods = (*methods, "NOTIFY")
    if services.events:
        methods = (*methods, "PUBLISH", "SUBSCRIBE")
    return methods


@lru_cache(maxsize=256)
def _abilities(services: Services, supported: str) -> HeaderRows:
    transfers = "" if services.transfers == "refuse" else ", replaces, norefersub"
    return ("Allow", ", ".join(_methods(services))), ("Supported", supported + transfers)
