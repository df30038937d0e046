"""Which codecs of an offer go on, and in which order: the policy's part in offer and answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sbc.sdp.codecs import is_audible, rule_order, uses_annexb, without_annexb
from sbc.sdp.model import Codec
from sbc.sdp.rules import MediaRules, OfferRules

NOT_NAMED = "not among the codecs"
NOT_ALLOWED = "not allowed in such offers"
STRIPPED = "stripped from such offers"
NO_NUMBER = "no payload type left"

Stripped = tuple[tuple[str, str], ...]
"""Encoding names, and why each does not go on."""


def let_through(codecs: Sequence[Codec], rules: MediaRules, way: OfferRules) -> list[Codec]:
    """Those that may go on, as they stood. `way`: what is said of offers in that direction."""
    order, kept = rule_order(rules.codecs), rules.kept
    chosen = [codec for codec in codecs if codec.name in order or codec.name in kept]
    if way.allow is not None:
        chosen = [codec for codec in chosen if codec.name in way.allow or codec.name in kept]
    if way.strip:
        chosen = [codec for codec in chosen if codec.name not in way.strip]
    if rules.annexb == "refuse":
        chosen = [without_annexb(codec) if uses_annexb(codec) else codec for codec in chosen]
    return chosen


def ordered(codecs: Sequence[Codec], rules: MediaRules, way: OfferRules, *, as_offered: bool) -> list[Codec]:
    """With what is preferred first. `as_offered`: somebody has put them in order before, which is better than none of ours."""
    if way.prefer is None and not as_offered:
        order = rule_order(rules.codecs)
        return sorted(codecs, key=lambda codec: order.get(codec.name, len(order)))
    first = rule_order(way.prefer or ())
    return sorted(codecs, key=lambda codec: (not is_audible((codec,)), first.get(codec.name, len(first))))


def stripped_of(said: Iterable[Codec], chosen: Sequence[Codec], rules: MediaRules, way: OfferRules) -> Stripped:
    """What does not go on, each with the first reason there is."""
    left = {codec.key for codec in chosen}
    return tuple([(codec.name, _why(codec.name, rules, way)) for codec in said if codec.key not in left])


def missing(codecs: Iterable[Codec], way: OfferRules) -> str | None:
    """A name that is required and not there."""
    if not way.require:
        return None
    names = {codec.name for codec in codecs}
    return next((name for name in way.require if name not in names), None)


def _why(name: str, rules: MediaRules, way: OfferRules) -> str:
    if name not in rule_order(rules.codecs) and name not in rules.kept:
        return NOT_NAMED
    if name in way.strip:
        return STRIPPED
    return NOT_ALLOWED if way.allow is not None and name not in way.allow else NO_NUMBER
