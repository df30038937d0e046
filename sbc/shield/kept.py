"""Bans as text, so that a restart of ours pardons nobody. Times in it are those of the wall clock."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import cast

from sbc.clock import Now
from sbc.shield.bans import MAX_BANS, Ban
from sbc.shield.networks import key_of, shown
from sbc.shield.offences import USUAL, Offence


def written(bans: Iterable[Ban], now: Now) -> str:
    """Those that are only said are not among them."""
    rows = [
        {
            "source": shown(ban.source),
            "why": ban.why,
            "score": round(ban.score, 1),
            "did": dict(ban.counts),
            "proof": ban.proof,
            "at": round(ban.at, 3),
            "until": round(now.wall + ban.until - now.monotonic, 3),
            "number": ban.number,
        }
        for ban in bans
        if not ban.shadow
    ]
    lines = ",\n".join([json.dumps(row) for row in rows])
    return f'{{"bans": [\n{lines}\n]}}'


def read(text: str, longest: float, now: Now) -> list[Ban]:
    """In the order they were written, none for longer than `longest` seconds. Raises ValueError: it is not what we wrote."""
    if not text:
        return []
    try:
        rows = json.loads(text)["bans"]
        return [_ban(row, longest, now) for row in rows[:MAX_BANS]]
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"not a list of bans: {type(error).__name__} {error}") from None


def _ban(row: dict[str, object], longest: float, now: Now) -> Ban:
    why, proof, did = row["why"], row["proof"], cast("dict[Offence, int]", row["did"])
    if why not in USUAL or proof not in ("connection", "digest") or not all(kind in USUAL for kind in did):
        raise ValueError(f"unknown offence or proof: {why!r}, {proof!r}")
    left = min(_number(row["until"]) - now.wall, longest)  # the clock may have been set
    at = _number(row["at"])
    return Ban(
        key_of(str(row["source"])),
        cast("Offence", why),
        _number(row["score"]),
        {kind: int(count) for kind, count in did.items()},
        proof,
        now.monotonic - max(0.0, now.wall - at),
        now.monotonic + left,
        at,
        int(_number(row["number"])),
    )


def _number(value: object) -> float:
    number = float(cast("float", value))
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is no number")
    return number
