"""What people would say of speech as it arrived: mean opinion score by the E-model (ITU-T G.107), listening quality alone.

It counts loss only: how long speech was on its way end to end, nobody in the middle knows. Each step falls with loss, all the way:
a regression that some servers use rises again beyond 16 %.
"""

from __future__ import annotations

from collections.abc import Mapping

from sbc.frozen import frozen

FEWEST_PACKETS = 10  # fewer are no speech
R_BEST = 93.2  # narrowband, without any impairment (G.107 s7.7)
R_BEST_FULLBAND = 148.0  # G.107.2
FULLBAND_OF_NARROWBAND = 1.48  # the two scales


@frozen
class Impairment:
    """Of one codec: `itself` (Ie) without loss, and how well it conceals it: `robustness` (Bpl), in percent (ITU-T G.113 Appendix I)."""

    itself: float
    robustness: float


CODECS: Mapping[str, Impairment] = {
    "PCMA": Impairment(0, 25.1),  # with concealment, as every phone of this century has it
    "PCMU": Impairment(0, 25.1),
    "G729": Impairment(11, 19),
    "G723": Impairment(15, 16.1),
    "GSM-EFR": Impairment(5, 10),
    "iLBC": Impairment(11, 32),
}
WIDE = frozenset(("G722", "opus", "AMR-WB", "EVS", "SILK"))


def listening_quality(codec: str, received: int, lost: int) -> float | None:
    """1 to 4.5; None for a codec without published figures, and for what was too little to be speech."""
    if received < FEWEST_PACKETS:
        return None
    loss = 100 * lost / (received + lost)
    if codec in WIDE:
        return opinion_score((R_BEST_FULLBAND - 10.2 - 121.8 * loss / (loss + 4.3)) / FULLBAND_OF_NARROWBAND)
    impairment = CODECS.get(codec)
    return opinion_score(rating(impairment, loss)) if impairment is not None else None


def rating(codec: Impairment, loss: float) -> float:
    """R for `loss` percent of packets that are missing here and there."""
    return R_BEST - codec.itself - (95 - codec.itself) * loss / (loss + codec.robustness)


def opinion_score(r: float) -> float:
    """G.107 Annex B."""
    if r <= 0:
        return 1.0
    if r >= 100:
        return 4.5
    return max(1.0, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6)  # it dips below 1 where R is under 7
