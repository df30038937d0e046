"""What an endpoint reports of the quality of a call: application/vq-rtcpxr (RFC 6035 s4.6)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from sbc.errors import ParseError
from sbc.frozen import frozen

PACKAGE = "vq-rtcpxr"
TYPE = "application/vq-rtcpxr"
MAX_LINES = 200  # a report with both ends has 40
LONGEST_CALL_ID = 256  # octets; 60 is long

Kind = Literal["session", "interval", "alert"]
_KINDS: Mapping[str, Kind] = {"vqsessionreport": "session", "vqintervalreport": "interval", "vqalertreport": "alert"}
_number = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,6})?", re.ASCII).fullmatch
_codec = re.compile(r"[A-Za-z0-9._/-]{1,32}", re.ASCII).fullmatch


class _Figure(NamedTuple):
    name: str
    lowest: float
    highest: float


# (line, parameter) -> what it is called here, and between what it means anything: "127" says that it is not known (RFC 3611 s4.7)
_FIGURES: Mapping[tuple[str, str], _Figure] = {
    ("packetloss", "nlr"): _Figure("loss_percent", 0, 100),
    ("packetloss", "jdr"): _Figure("discard_percent", 0, 100),
    ("burstgaploss", "bld"): _Figure("burst_loss_percent", 0, 100),
    ("burstgaploss", "bd"): _Figure("burst_ms", 0, 65535),
    ("burstgaploss", "gld"): _Figure("gap_loss_percent", 0, 100),
    ("burstgaploss", "gd"): _Figure("gap_ms", 0, 65535),
    ("delay", "rtd"): _Figure("round_trip_ms", 0, 65535),
    ("delay", "esd"): _Figure("end_system_ms", 0, 65535),
    ("delay", "iaj"): _Figure("jitter_ms", 0, 65535),
    ("qualityest", "rlq"): _Figure("r_lq", 0, 120),
    ("qualityest", "rcq"): _Figure("r_cq", 0, 120),
    ("qualityest", "moslq"): _Figure("mos_lq", 1, 5),
    ("qualityest", "moscq"): _Figure("mos_cq", 1, 5),
}


@frozen
class QualityReport:
    """One report.

    call_id   of the dialog it is about, as its sender has it
    local     figures of what its sender heard, by name; numbers, and the codec
    remote    the same of the far end, as far as that told its sender
    """

    kind: Kind
    call_id: str
    local: Mapping[str, object]
    remote: Mapping[str, object]

    @classmethod
    def parse(cls, body: bytes) -> QualityReport:
        """A line we do not know, and a value that means nothing, is as good as absent. ParseError for what is no report at all."""
        lines = body.decode("utf-8", "replace").splitlines()
        kind = _KINDS.get(_named(lines[0])[0]) if lines else None
        if kind is None or len(lines) > MAX_LINES:
            raise ParseError("no quality report", reason="Bad Quality Report")
        call_id = ""
        ends: dict[str, dict[str, object]] = {"localmetrics": {}, "remotemetrics": {}}
        figures: dict[str, object] | None = None
        for line in lines[1:]:
            name, value = _named(line)
            if name == "callid":
                call_id = value
            elif name in ends:
                figures = ends[name]
            elif figures is not None:
                _read(name, value.split(), figures)
        if not call_id or len(call_id) > LONGEST_CALL_ID:
            raise ParseError("a quality report of no call", reason="Bad Quality Report")
        return cls(kind, call_id, ends["localmetrics"], ends["remotemetrics"])

    @property
    def figures(self) -> dict[str, object]:
        """Those of its sender, and under `remote` the far end's if there are any."""
        told: dict[str, object] = {"kind": self.kind, **self.local}
        return {**told, "remote": dict(self.remote)} if self.remote else told


def _named(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip().lower(), value.strip()


def _read(name: str, params: Sequence[str], figures: dict[str, object]) -> None:
    for param in params:
        key, _, value = param.partition("=")
        if (name, key.lower()) == ("sessiondesc", "pd") and _codec(value.strip('"')):
            figures["codec"] = value.strip('"')
        figure = _FIGURES.get((name, key.lower()))
        if figure is not None and _number(value) and figure.lowest <= float(value) <= figure.highest:
            figures[figure.name] = float(value)
