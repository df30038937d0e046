"""What runs: the policy of a process, and how things are there, asked over its socket."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from media.api import Suite
from sbc.admin.client import ask
from sbc.admin.wire import MOST
from sbc.policy.load import Loaded, load_policy
from sbc.policy.snapshot import Snapshot
from sbc.policy.text import Text


@dataclass(frozen=True, slots=True)
class Running:
    """calls   that trunks have
    absent  who registers here, or where we do, and is not registered
    """

    loaded: Loaded
    calls: Mapping[str, int]
    absent: frozenset[str]


def running_now(socket: Path, suites: Collection[Suite]) -> Running:
    """Raises ConfigError. Beyond five hundred trunks or registrations, nobody is said to be absent, or to have calls."""
    policy = ask(socket, {"do": "policy"})
    text = Text(Path(policy["folder"]), {name: content.encode() for name, content in policy["files"].items()})
    loaded = load_policy(text.folder, suites, text)
    trunks = ask(socket, {"ask": "trunks", "most": MOST})
    registered = ask(socket, {"ask": "registrations", "most": MOST})
    calls = {each["name"]: each["calls"] for each in trunks["trunks"] if each["calls"]}
    absent = {each["name"] for each in trunks["trunks"] if each["registration"] not in ("", "registered")}
    return Running(loaded, calls, frozenset(absent | _users_away(loaded.snapshot, registered)))


def _users_away(snapshot: Snapshot, told: Mapping[str, Any]) -> set[str]:
    if told["matching"] > len(told["registrations"]):
        return set()
    here = {each["account"] for each in told["registrations"] if each["state"] == "registered"}
    return snapshot.users.keys() - here
