"""`shield:` in the policy language: who is banned, for how long, and who never is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import netaddr
from pydantic import Field

from sbc.policy import values
from sbc.policy.realms import Realm
from sbc.policy.snapshot import Trunk
from sbc.policy.words import NUMBER_OR_TEXT, Duration, Model, Rate, word
from sbc.shield.offences import USUAL, Offence
from sbc.shield.rules import ShieldRules
from sbc.sip.locate import is_address

NEVER = 0
MOST = 100_000  # of an offence in a minute; more means `never`


def spared(text: str) -> netaddr.IPNetwork:
    """One address or a network, but not all there are."""
    if text.strip().endswith("/0"):
        raise ValueError("nobody at all would be banned: if that is what you want, say 'bans: off'")
    return values.network(text)


def count(text: str) -> int:
    """How many are too many; `never`: any number is no matter, which is 0 here."""
    if text == "never":
        return NEVER
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= MOST:
        raise ValueError(f"{text!r} is not a number from 1 to {MOST}, or 'never'")
    return int(text)


Count = Annotated[int, *word(count, **NUMBER_OR_TEXT, pattern="^([1-9][0-9]*|never)$", examples=[10, "never"])]
Spared = Annotated[netaddr.IPNetwork, *word(spared, examples=["192.0.2.0/24", "2001:db8::7"])]


def _of(offence: Offence, what: str) -> int | None:
    default: int | None = Field(None, description=f"{what} Default: {USUAL[offence]}.")
    return default


class OffencesModel(Model):
    """How many of each within a minute make a ban; several kinds add up in parts. never: it is not counted."""

    scanner: Count | None = _of("scanner", "Requests of programs that say that they are scanners.")
    malformed: Count | None = _of("malformed", "Messages that are no SIP.")
    wrong_password: Count | None = _of("wrong_password", "Wrong passwords.")
    unknown_user: Count | None = _of("unknown_user", "Passwords for accounts that do not exist.")
    unroutable: Count | None = _of("unroutable", "A user's calls to numbers that lead nowhere.")
    stranger: Count | None = _of("stranger", "Requests of nobody we know, where nobody could prove who it is.")
    unanswered: Count | None = _of("unanswered", "Challenges, while nobody there has answered one.")
    handshake: Count | None = _of("handshake", "TLS handshakes that are not finished.")
    slow: Count | None = _of("slow", "Connections that say nothing, or do not finish what they begin.")
    rekeying: Count | None = _of("rekeying", "TLS that goes on changing its keys, with nothing said in it.")
    flood: Count | None = _of("flood", "Connections beyond what one source may have.")


class ShieldModel(Model):
    """Who is banned, for what, and for how long. What is not said is the default, and all of it is on."""

    bans: Literal["on", "shadow", "off"] | None = Field(
        None, description="on: the default. shadow: the log says whom it would ban, and nobody is. off: nobody is looked at."
    )
    ban_for: Duration | None = Field(
        None, ge=1, le=86400, description="The first ban of a source; each next one is twice as long. Default: 5m."
    )
    longest_ban: Duration | None = Field(None, ge=1, le=30 * 86400, description="And so on up to this. Default: 24h.")
    never_ban: list[Spared] | None = Field(
        None,
        min_length=1,
        description="Addresses and networks that are never banned, besides trunks, our own addresses and name servers, which never are.",
    )
    offences: OffencesModel | None = Field(None, description="How many of what within a minute make a ban.")
    requests: Rate | None = Field(
        None,
        description="Datagrams of one source we do not know that are read at all; four seconds of them may come at once. Default: 100/s.",
    )
    kernel: Literal["auto", "off"] | None = Field(
        None, description="Whether the kernel drops packets of banned sources (nftables). auto: where we may; the default."
    )


def rules_of(shield: ShieldModel, realms: dict[str, Realm], trunks: dict[str, Trunk]) -> ShieldRules:
    default = ShieldRules()
    given: dict[str, int] = shield.offences.model_dump(exclude_none=True) if shield.offences is not None else {}
    offences: dict[Offence, int | None] = {offence: given.get(offence, most) or None for offence, most in USUAL.items()}
    ban_for = shield.ban_for or default.ban_for
    named = [str(each) for each in shield.never_ban or ()]
    return ShieldRules(
        bans=shield.bans or default.bans,
        ban_for=ban_for,
        longest_ban=max(ban_for, shield.longest_ban or default.longest_ban),
        offences=offences,
        never_ban=tuple(dict.fromkeys([*named, *_of_realms(realms), *_of_trunks(trunks)])),
        requests=shield.requests or default.requests,
        kernel=shield.kernel != "off",
    )


def _of_realms(realms: dict[str, Realm]) -> Iterator[str]:
    for realm in realms.values():
        ours = [each.address for each in realm.listeners] + [each.advertise for each in realm.listeners]
        yield from (each for each in (*ours, realm.relay.address, realm.relay_advertise, *realm.name_servers) if is_address(each))


def _of_trunks(trunks: dict[str, Trunk]) -> Iterator[str]:
    for trunk in trunks.values():
        yield from trunk.accept_from
        yield from (server.host for server in (*trunk.servers, *((trunk.peer,) if trunk.peer else ())) if is_address(server.host))
