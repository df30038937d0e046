"""What people may ask of the shield, and the answers."""

from __future__ import annotations

from collections.abc import Mapping

from sbc.clock import Now
from sbc.frozen import frozen
from sbc.shield.bans import Ban
from sbc.shield.networks import shown
from sbc.shield.offences import MEANING, Offence
from sbc.shield.shield import Shield
from sbc.shield.why import Standing, standing


@frozen
class BansAsked:
    """The latest `most` of those that are on."""

    most: int


@frozen
class SourceAsked:
    """All that is known of one address."""

    address: str


@frozen
class Unban:
    """Forgive that address. The one question of which something comes."""

    address: str


Question = BansAsked | SourceAsked | Unban


@frozen
class BanView:
    """`at`: seconds since the epoch; `left`: seconds. dropped: packets that the kernel has dropped meanwhile; None: it does not."""

    source: str
    why: Offence
    meaning: str
    counts: Mapping[Offence, int]
    score: float
    proof: str
    at: float
    left: float
    number: int
    shadow: bool
    dropped: int | None


@frozen
class BansView:
    bans: tuple[BanView, ...]
    matching: int
    total: int
    mode: str


@frozen
class SourceView:
    """standing  never banned, known, banned, throttled or unknown; `because`: why, for people
    score     per cent of a ban, of what it did that is proven to be its own
    suspicion the same of what came in its name without proof, which others may share
    ban       the latest, on or over
    """

    source: str
    standing: Standing
    because: str
    score: float
    suspicion: float
    counts: Mapping[Offence, int]
    ban: BanView | None


Answer = BansView | SourceView


def bans_view(shield: Shield, most: int, dropped: Mapping[str, int] | None, now: Now) -> BansView:
    bans = shield.bans.on(now.monotonic)
    return BansView(tuple([_ban(ban, dropped, now) for ban in bans[:most]]), len(bans), len(bans), shield.rules.bans)


def source_view(shield: Shield, source: str, dropped: Mapping[str, int] | None, now: Now) -> SourceView:
    ban = shield.bans.last(source)
    stands, because = standing(shield, source, now.monotonic)
    return SourceView(
        shown(source),
        stands,
        because,
        round(shield.score(source, now.monotonic), 1),
        round(shield.suspicion(source, now.monotonic), 1),
        shield.counts(source),
        _ban(ban, dropped, now) if ban is not None else None,
    )


def _ban(ban: Ban, dropped: Mapping[str, int] | None, now: Now) -> BanView:
    return BanView(
        shown(ban.source),
        ban.why,
        MEANING[ban.why],
        dict(ban.counts),
        round(ban.score, 1),
        ban.proof,
        ban.at,
        round(ban.left(now.monotonic), 1),
        ban.number,
        ban.shadow,
        dropped.get(ban.source, 0) if dropped is not None else None,
    )
