"""application/vq-rtcpxr: what is read, what is passed over, what is no report."""

from __future__ import annotations

import pytest

from sbc.errors import ParseError
from sbc.sip.quality_report import QualityReport

HEAD = b"VQAlertReport: Type=NLR Severity=Warning Dir=local\r\nCallID : 1@a\r\n"


@pytest.mark.parametrize(
    ("line", "figures"),
    [
        (b"PacketLoss:NLR=0.25 JDR=100", {"loss_percent": 0.25, "discard_percent": 100.0}),
        (b"packetloss : nlr=3", {"loss_percent": 3.0}),
        (b"PacketLoss:NLR=100.1 JDR=-1", {}),
        (b"PacketLoss:NLR=nan JDR=1e1", {}),
        ("PacketLoss:NLR=٣".encode(), {}),
        (b"PacketLoss:NLR=" + b"9" * 1000, {}),
        (b"QualityEst:RLQ=127 RCQ=85 MOSLQ=0.9 MOSCQ=4.5 QoEEstAlg=P.564", {"r_cq": 85.0, "mos_cq": 4.5}),
        (b"Delay:RTD=250 ESD=65535 IAJ=65536", {"round_trip_ms": 250.0, "end_system_ms": 65535.0}),
        (b'SessionDesc:PT=18 PD="G729" SR=8000 FMTP="annexb=no"', {"codec": "G729"}),
        (b"SessionDesc:PD=\x1b[2J", {}),
        (b"X-Unknown:NLR=1", {}),
        (b"Delay", {}),
        (b"QualityEst:MOSLQ=4.1 MOSLQ=3.0", {"mos_lq": 3.0}),
    ],
)
def test_XR_02_figures(line: bytes, figures: dict[str, object]) -> None:
    report = QualityReport.parse(HEAD + b"PacketLoss:NLR=1\r\nLocalMetrics:\r\n" + line + b"\r\nRemoteMetrics:\r\n" + line)
    assert (report.kind, report.call_id) == ("alert", "1@a")
    assert (report.local, report.remote) == (figures, figures), "and nothing that stands before its section"


@pytest.mark.parametrize("body", [b"", b"\r\n", b"VQ", HEAD.partition(b"\r\n")[2], b"\xff\xfe"])
def test_XR_02_no_report(body: bytes) -> None:
    with pytest.raises(ParseError):
        QualityReport.parse(body)
