"""What became of the codecs of an offer, for the record: who said what, what went on, what was chosen, and what did not and why."""

from __future__ import annotations

from sbc.sdp.offer import MediaLeg


def selected(a: MediaLeg | None, b: MediaLeg | None, party_a: str, party_b: str) -> dict[str, object] | None:
    """Of the last offer between the two sides; None: there was none, or it was a fax."""
    if a is None or b is None:
        return None
    if a.last_offer is not None:
        return _told(a, b, "a", party_a, party_b)
    return _told(b, a, "b", party_b, party_a) if b.last_offer is not None else None


def _told(near: MediaLeg, far: MediaLeg, side: str, party_near: str, party_far: str) -> dict[str, object] | None:
    offer = near.last_offer
    if offer is None or not offer.said:
        return None
    kept, stripped = far.last_offered
    agreed = near.agreed
    dropped = [{"codec": name, "by": party_near, "why": why} for name, why in offer.stripped]
    dropped += [{"codec": name, "by": party_far, "why": why} for name, why in stripped]
    return {
        "side": side,
        "offered": list(offer.said),
        "kept": kept,
        "chosen": agreed.names if agreed is not None and agreed.peer.said == offer.said else [],
        "stripped": dropped,
    }
