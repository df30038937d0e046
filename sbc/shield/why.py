"""Why an address is treated as it is, in a sentence for whoever is woken up by it."""

from __future__ import annotations

from typing import Literal

from sbc.shield.offences import MEANING
from sbc.shield.shield import BAN_AT, KNOWN_FOR, Shield

Standing = Literal["never banned", "banned", "known", "throttled", "unknown"]


def standing(shield: Shield, source: str, now: float) -> tuple[Standing, str]:
    """How it stands, and why."""
    if shield.spares(source):
        return "never banned", "the policy names it: a trunk, an address of ours, a name server, or in never_ban"
    ban = shield.bans.at(source, now)
    if ban is not None and not ban.shadow:
        return "banned", f"{MEANING[ban.why]}; {_proof(ban.proof)}"
    until = shield.known_until(source)
    if until is not None and until > now:
        minutes = int((KNOWN_FOR - (until - now)) / 60)
        return (
            "known",
            f"somebody there has proved who it is, {minutes} minutes ago" if minutes else "somebody there has just proved who it is",
        )
    if shield.suspicion(source, now) >= BAN_AT:
        return "throttled", "too much came in its name, and nothing proves that it was sent there: it is let through slowly, and not banned"
    return "unknown", "nobody there has proved who it is: it has a stranger's budget"


def _proof(proof: str) -> str:
    return "over a connection, so that it was there" if proof == "connection" else "with our nonce, so that it was there"
