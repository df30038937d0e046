"""Both legs together: what the relay between them does."""

from __future__ import annotations

from media.api import SideSpec
from sbc.frozen import replace
from sbc.sdp.codecs import is_audible
from sbc.sdp.describe import Description
from sbc.sdp.fax import KIND as FAX
from sbc.sdp.offer import MediaLeg
from sbc.sdp.relay import events_to, relay_side
from sbc.sdp.translation import answer_codecs


def relay_sides(
    a: MediaLeg, b: MediaLeg, *, latch_a: tuple[str, ...], latch_b: tuple[str, ...], all_digits: bool = False
) -> tuple[SideSpec, SideSpec]:
    """What the relay has to do for what both legs agreed on; `latch_*`: further hosts each peer may send from.

    A leg that has not agreed yet gets a side that neither takes nor sends anything. `all_digits`: whatever the rules withhold.
    """
    digits_a, digits_b = all_digits or b.rules.hears_digits_of(a.rules), all_digits or a.rules.hears_digits_of(b.rules)
    side_a = relay_side(a.agreed, b.agreed, a.rules, latch_from=latch_a, digits=digits_a)
    side_b = relay_side(b.agreed, a.agreed, b.rules, latch_from=latch_b, digits=digits_b)
    return _shaped(side_a, a, b, hears=digits_b), _shaped(side_b, b, a, hears=digits_a)


def _shaped(side: SideSpec, here: MediaLeg, there: MediaLeg, *, hears: bool) -> SideSpec:
    """With what of the stream to the peer of `here` is ours. `hears`: it may know what the other one types."""
    if here.agreed is None or here.agreed.peer.kind == FAX:
        return side
    events, one_stream = events_to(here.agreed, there.agreed) if hears else None, here.rules.ssrc == "rewrite"
    if events is None and not one_stream:
        return side
    return replace(side, events=events, ssrc=here.ssrc, one_stream=one_stream)


def fit_together(offered: Description, far: Description) -> bool:
    """Whether an offer could be answered by what somebody else has offered: two who wait for an answer are to hear each other."""
    return offered.kind == far.kind != FAX and is_audible(answer_codecs(offered, far))
