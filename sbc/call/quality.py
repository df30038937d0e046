"""How speech arrived from one side: a verdict in a word, and a mean opinion score where there is a model for it.

Each side apart: what is said of a side is about the way from its peer to us. What was not measured is absent, not good.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from media.api import SideStats

Verdict: TypeAlias = Literal["ok", "no_rtp", "one_way", "wrong_source", "srtp_auth_failed", "roc_desync", "replay", "payload_type_mismatch"]

# A score of less than a second of speech says nothing.
LEAST_PACKETS = 50

# So many failures in a row, after packets that authenticated under the same key, are no noise: the roll-over counters disagree.
DESYNCHRONISED = 50

# Equipment impairment and robustness to packet loss (ITU-T G.113 Appendix I, with concealment as every phone has it), and look-ahead
# in ms.
_CODECS = {
    "pcma": (0.0, 25.1, 0.0),
    "pcmu": (0.0, 25.1, 0.0),
    "g729": (11.0, 19.0, 5.0),
    "g723": (15.0, 16.1, 7.5),
    "gsm-efr": (5.0, 10.0, 0.0),
}

MODEL = "G.107"  # ITU-T, simplified: everything but delay and loss at its default

_PACKETISATION_MS = 20.0
_LEAST_BUFFER_MS = 40.0
_FEWEST_LOSSES = 20  # below, how long gaps are is chance


def verdict(side: SideStats, other: SideStats) -> Verdict:
    """What became of the media of `side`'s peer in a call that was answered."""
    heard = side.packets_received
    if heard and side.auth_failing >= DESYNCHRONISED:
        return "roc_desync"
    if side.payload_type_mismatch > heard // 2:
        return "payload_type_mismatch"
    dropped: dict[Verdict, int] = {
        "srtp_auth_failed": side.srtp_auth_failed,
        "wrong_source": side.wrong_source,
        "replay": side.replayed,
    }
    worst = max(dropped, key=dropped.__getitem__)
    if dropped[worst] > heard:
        return worst
    if heard:
        return "ok"
    return "one_way" if other.packets_received else "no_rtp"


def scores(side: SideStats, other: SideStats, codec: str) -> tuple[float, float | None] | None:
    """Listening quality, and conversational quality where the round trips of both sides are known. None: nothing to go by.

    `codec` is the encoding name, in any case.
    """
    known = _CODECS.get(codec.lower())
    came = side.packets_received - side.duplicates
    if known is None or came < LEAST_PACKETS:
        return None
    impairment, robustness, look_ahead = known
    share = side.lost / (came + side.lost)
    lossy = impairment + (95 - impairment) * 100 * share / (100 * share / burst_ratio(side, share) + robustness)
    listening = 93.2 - lossy
    if side.rtt_ms is None or other.rtt_ms is None:
        return opinion(listening), None
    buffer = max(_LEAST_BUFFER_MS, 2 * side.jitter_ms)
    delay = side.rtt_ms / 2 + other.rtt_ms / 2 + buffer + _PACKETISATION_MS + look_ahead
    return opinion(listening), opinion(listening - delay_impairment(delay))


def burst_ratio(side: SideStats, share: float) -> float:
    """Length of the gaps against their length under random loss (ITU-T G.107 s3.5)."""
    if side.lost < _FEWEST_LOSSES or not side.loss_runs:
        return 1.0
    return max(1.0, side.lost / side.loss_runs * (1 - share))


def delay_impairment(milliseconds: float) -> float:
    """Of the way from mouth to ear (ITU-T G.107, simplified)."""
    return 0.024 * milliseconds + 0.11 * max(0.0, milliseconds - 177.3)


def opinion(rating: float) -> float:
    """The mean opinion score, 1 to 4.5, of a transmission rating R (ITU-T G.107 Annex B)."""
    if rating <= 0:
        return 1.0
    if rating >= 100:
        return 4.5
    return max(1.0, 1 + 0.035 * rating + rating * (rating - 60) * (100 - rating) * 7e-6)  # it dips below 1 where R is under 7
