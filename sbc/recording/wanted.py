"""Whether one of the parties of a call wants it kept."""

from __future__ import annotations

from sbc.policy.snapshot import Party, Record, Snapshot


def wanted(snapshot: Snapshot, record: dict[str, object]) -> Record:
    """By the record of the call; `failed`: if the core itself failed in it."""
    attempts = record["attempts"]
    names = [_name(record["a"]), _name(record["b"])]
    if isinstance(attempts, list):
        names += [attempt["target"] for attempt in attempts]
    if_failed = False
    for name in names:
        party = _party(snapshot, name)
        if party is not None and party.record == "always":
            return "always"
        if_failed = if_failed or (party is not None and party.record == "failed")
    if not if_failed:
        return "never"
    return "always" if _failed(record) else "failed"


def wanted_unfinished(snapshot: Snapshot, caller: str) -> bool:
    """How a call would have ended that was cut or that broke, nobody knows."""
    party = _party(snapshot, caller)
    return party is not None and party.record != "never"


def _failed(record: dict[str, object]) -> bool:
    """Not answered, unless the caller gave up; or ended by us."""
    return record["released_by"] == "sbc" or (record["answered"] is None and record["released_by"] != "a")


def _name(leg: object) -> str:
    """Of side `a` or `b` of a call record; "" when there was none."""
    return str(leg.get("trunk") or leg.get("user") or "") if isinstance(leg, dict) else ""


def _party(snapshot: Snapshot, name: str) -> Party | None:
    return snapshot.trunks.get(name) or snapshot.users.get(name)
