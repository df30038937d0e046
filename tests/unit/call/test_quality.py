from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from media.api import SideStats
from sbc.call.quality import burst_ratio, delay_impairment, opinion, scores, verdict

MOS = json.loads((Path(__file__).parents[2] / "vectors/metrics/mos.json").read_text())
CODECS = {"G.711 (PLC)": "PCMA", "G.729A+VAD": "g729", "G.723.1+VAD 6.3k": "G723", "GSM-EFR": "GSM-EFR"}
POINTS = [point for point in MOS["emodel_points"] if point["codec"] in CODECS]
NOTHING = SideStats()
TALKS = SideStats(packets_received=500)


@pytest.mark.parametrize("point", MOS["r_to_mos"], ids=lambda point: f"R {point['R']}")
def test_opinion_by_rating(point: dict[str, Any]) -> None:
    assert opinion(point["R"]) == pytest.approx(point["MOS"], abs=6e-4)


@pytest.mark.parametrize("point", POINTS, ids=lambda point: f"{point['codec']} {point['loss_pct']} % {point['one_way_delay_ms']} ms")
def test_scores_by_loss_and_delay(point: dict[str, Any]) -> None:
    """The delay of a point is that of the whole way: what the buffers add is taken off the round trip."""
    codec = CODECS[point["codec"]]
    added = 60 + {"g729": 5, "G723": 7.5}.get(codec, 0)
    lost = round(point["loss_pct"] * 1000)
    trip = max(0.0, 2 * (point["one_way_delay_ms"] - added))
    side = SideStats(packets_received=100_000 - lost, lost=lost, loss_runs=0, rtt_ms=trip)
    found = scores(side, SideStats(rtt_ms=0.0), codec)
    assert found is not None
    listening, conversational = found
    assert conversational is not None
    without_delay = point["R"] + delay_impairment(point["one_way_delay_ms"])
    assert listening == pytest.approx(opinion(without_delay), abs=1e-3)
    delay = max(point["one_way_delay_ms"], added)
    assert conversational == pytest.approx(opinion(without_delay - delay_impairment(delay)), abs=1e-3)
    assert delay > point["one_way_delay_ms"] or conversational == pytest.approx(point["MOS"], abs=6e-4)


def test_TRAP_09_more_loss_never_sounds_better() -> None:
    found = [scores(SideStats(packets_received=1000 - lost, lost=lost), NOTHING, "PCMU") for lost in range(0, 950, 10)]
    heard = [each[0] for each in found if each is not None]
    assert len(heard) == len(found)
    assert heard == sorted(heard, reverse=True)


def test_loss_in_bursts_sounds_worse() -> None:
    side = SideStats(packets_received=950, lost=50, loss_runs=50)
    bursts = SideStats(packets_received=950, lost=50, loss_runs=5)
    assert burst_ratio(side, 0.05) == 1.0
    assert burst_ratio(bursts, 0.05) == pytest.approx(9.5)
    assert burst_ratio(SideStats(packets_received=990, lost=10, loss_runs=1), 0.01) == 1.0, "ten losses tell nothing"
    random, in_bursts = scores(side, NOTHING, "PCMA"), scores(bursts, NOTHING, "PCMA")
    assert random is not None
    assert in_bursts is not None
    assert in_bursts[0] < random[0] - 0.1


@pytest.mark.parametrize(
    ("side", "codec"),
    [(SideStats(packets_received=49), "PCMA"), (SideStats(packets_received=99, duplicates=50), "PCMA"), (TALKS, "opus"), (TALKS, "")],
)
def test_no_score_without_measurement_or_model(side: SideStats, codec: str) -> None:
    assert scores(side, NOTHING, codec) is None


def test_no_conversational_score_without_both_round_trips() -> None:
    found = scores(SideStats(packets_received=500, rtt_ms=20.0), TALKS, "PCMA")
    assert found is not None
    assert (round(found[0], 2), found[1]) == (4.41, None)


@pytest.mark.parametrize(
    ("side", "other", "expected"),
    [
        (TALKS, NOTHING, "ok"),
        (NOTHING, NOTHING, "no_rtp"),
        (NOTHING, TALKS, "one_way"),
        (SideStats(wrong_source=30), TALKS, "wrong_source"),
        (SideStats(packets_received=500, wrong_source=30), TALKS, "ok"),
        (SideStats(srtp_auth_failed=400, auth_failing=400), TALKS, "srtp_auth_failed"),
        (SideStats(packets_received=500, srtp_auth_failed=60, auth_failing=60), TALKS, "roc_desync"),
        (SideStats(packets_received=500, srtp_auth_failed=60, auth_failing=2), TALKS, "ok"),
        (SideStats(packets_received=10, replayed=400), TALKS, "replay"),
        (SideStats(packets_received=500, payload_type_mismatch=400), TALKS, "payload_type_mismatch"),
        (SideStats(packets_received=500, payload_type_mismatch=100), TALKS, "ok"),
    ],
)
def test_verdicts(side: SideStats, other: SideStats, expected: str) -> None:
    assert verdict(side, other) == expected
