"""What is said to one side that the other did not say, because the relay translates between them: the two laws of G.711, and digits
as telephone-events (RFC 4733) where the other side says them by INFO.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from media.api import Law
from sbc.sdp.codecs import answered_codecs, full_offer, is_audible
from sbc.sdp.describe import Description
from sbc.sdp.model import Codec
from sbc.sdp.rules import MediaRules
from sbc.sdp.selection import let_through, ordered

EVENT = "telephone-event"
_EVENT_NUMBER = 101  # the one most use; another is taken where it has a meaning already
_KEYS = "0-15"

# The other law of each, as we offer it: both have a static payload type.
_OTHER_LAW: Mapping[str, Codec] = {"PCMA": Codec("PCMU", 8000, 1, 0), "PCMU": Codec("PCMA", 8000, 1, 8)}


def other_law(codec: Codec) -> Codec | None:
    """None: it is not G.711, or not as the relay knows it."""
    other = _OTHER_LAW.get(codec.name)
    return other if other is not None and (codec.clock, codec.channels) == (other.clock, other.channels) else None


def law_of(codec: Codec) -> Law:
    return Law(codec.name)


def offered_codecs(far: Description | None, rules: MediaRules) -> list[Codec]:
    """For an offer under `rules`: what the far side said and they name, in their order; and behind it what becomes of that with us."""
    way = rules.offers_to
    if far is None:
        codecs = let_through(full_offer(rules), rules, way)
        return codecs if way.prefer is None else ordered(codecs, rules, way, as_offered=True)
    codecs = ordered(let_through(far.codecs, rules, way), rules, way, as_offered=far.ordered)
    if rules.g711 == "translate" or far.any_law:
        _add_laws(codecs, far.codecs, rules)
    if far.digits == "info" and rules.knows(EVENT) and EVENT not in way.strip:
        clocks = dict.fromkeys(codec.clock for codec in codecs if is_audible((codec,)))
        codecs += [Codec(EVENT, clock, 1, _EVENT_NUMBER, _KEYS) for clock in clocks]
    return codecs


def _add_laws(codecs: list[Codec], far: Sequence[Codec], rules: MediaRules) -> None:
    """Behind all that carries speech as it is, before what carries none."""
    here = {codec.key for codec in codecs}
    place = max((index for index, codec in enumerate(codecs, 1) if is_audible((codec,))), default=0)
    for codec in far:
        other = other_law(codec)
        if other is not None and other.key not in here:
            codecs[place:place] = let_through((other,), rules, rules.offers_to)


def answer_codecs(offered: Description, far: Description) -> tuple[Codec, ...]:
    """For an answer to `offered`, of what the far side answered: its choice with the numbers of the offer."""
    codecs = list(answered_codecs(offered.codecs, far.codecs))
    if (offered.any_law or far.any_law) and not any(other_law(codec) for codec in codecs):
        laws = [other.key for codec in far.codecs if (other := other_law(codec)) is not None]
        translated = next((codec for codec in offered.codecs if codec.key in laws), None)
        if translated is not None:
            codecs.insert(_place(far, codecs), translated)
    if far.digits == "info":
        clocks = {codec.clock for codec in codecs if is_audible((codec,))}
        codecs += [codec for codec in offered.codecs if codec.name == EVENT and codec.clock in clocks]
    return tuple(codecs)


def _place(far: Description, codecs: Sequence[Codec]) -> int:
    """Where G.711 stands among what the far side chose, of which these are left."""
    place = 0
    for codec in far.codecs:
        if other_law(codec) is not None:
            break
        place += any(codec.key == kept.key for kept in codecs)
    return place
