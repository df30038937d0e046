"""What runs: the policy of a process, and how things are there, asked over its socket. Nothing is used up there by asking."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any

from media.api import Suite
from sbc.admin.client import ask
from sbc.admin.wire import MOST
from sbc.explain.asked import Assumed, Contact, Contacts
from sbc.flow import TRANSPORTS
from sbc.policy.counters import LimitState
from sbc.policy.load import Loaded, load_policy
from sbc.policy.text import Text


def running_now(socket: Path, suites: Collection[Suite], caller: str = "") -> tuple[Loaded, Assumed]:
    """Of what is limited the MOST fullest count, and all that belongs to `caller`. Raises ConfigError."""
    policy = ask(socket, {"do": "policy"})
    text = Text(Path(policy["folder"]), {name: content.encode() for name, content in policy["files"].items()})
    loaded = load_policy(text.folder, suites, text)
    trunks = ask(socket, {"ask": "trunks", "most": MOST})["trunks"]
    absent = frozenset([each["name"] for each in trunks if each["registration"] not in ("", "registered")])
    limits = ask(socket, {"ask": "limits", "most": MOST})["limits"]
    if caller:
        limits += ask(socket, {"ask": "limits", "most": MOST, "name": caller})["limits"]
    return loaded, Assumed(absent=absent, limits=tuple([LimitState(**each) for each in limits]), contacts=_contacts(socket))


def _contacts(socket: Path) -> Contacts:
    """Asked for one by one, as a call comes to them: there may be any number."""

    @cache
    def contacts(account: str) -> tuple[Contact, ...] | None:
        told = ask(socket, {"ask": "registrations", "most": MOST, "account": account})["registrations"]
        return tuple([_contact(each) for each in told if each["state"] == "registered"]) if told else None

    return contacts


def _contact(told: dict[str, Any]) -> Contact:
    host, _, port = told["source"].rpartition(":")
    return Contact(told["contact"], TRANSPORTS[told["transport"]], (host.strip("[]"), int(port)))
