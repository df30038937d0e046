"""UDP load by SIPp where it is installed: written in C, it takes a tenth of our own generator's CPU from what is measured."""

from __future__ import annotations

import csv
import subprocess
import tempfile
import time
from pathlib import Path

from tests.bench.generator import LoadResult, LoadSpec
from tests.bench.uas import Served

_GRACE = 60  # seconds for the last calls and their retransmissions


def run_sipp(spec: LoadSpec) -> LoadResult:
    """`spec` as two SIPp processes with its built-in scenarios (INVITE, 100, 180, 200, ACK, BYE, 200; SDP both ways).

    UDP without credentials only. RuntimeError when SIPp does not end.
    """
    calls = max(1, round(spec.rate * spec.seconds))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        callee = _start(folder, "uas", spec.callee)
        try:
            time.sleep(0.3)
            began = time.monotonic()
            load = ["-r", f"{spec.rate:g}", "-m", str(calls), "-l", "20000", "-s", spec.number, "-d", f"{spec.hold * 1000:.0f}"]
            traces = ["-trace_stat", "-stf", "stat", "-fd", "1", "-trace_rtt", "-rtt_freq", "1"]
            caller = _start(folder, "uac", spec.caller, f"{spec.server[0]}:{spec.server[1]}", *load, *traces)
            try:
                caller.wait(spec.seconds + spec.hold + _GRACE)
            except subprocess.TimeoutExpired:
                caller.kill()
                raise RuntimeError("SIPp did not end") from None
            elapsed = time.monotonic() - began
        finally:
            callee.kill()
            callee.wait()
        return _result(spec, folder, elapsed)


def _start(folder: Path, scenario: str, local: tuple[str, int], *options: str) -> subprocess.Popen[bytes]:
    command = ["sipp", "-sn", scenario, "-i", local[0], "-p", str(local[1]), "-nostdin", *options]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _result(spec: LoadSpec, folder: Path, elapsed: float) -> LoadResult:
    with (folder / "stat").open() as file:
        last = list(csv.DictReader(file, delimiter=";"))[-1]
    setup = sorted(_setup_times(folder)) or [0.0]

    def total(name: str) -> int:
        return int(last[f"{name}(C)"])

    created = int(last["TotalCallCreated"])
    return LoadResult(
        rate=spec.rate,
        achieved=round(created / elapsed, 1),
        offered=created,
        completed=total("SuccessfulCall"),
        failed={"SIPp": total("FailedCall")} if total("FailedCall") else {},
        retransmissions=total("Retransmissions"),
        challenges=0,
        setup_p50_ms=setup[len(setup) // 2],
        setup_p99_ms=setup[len(setup) * 99 // 100],
        setup_max_ms=setup[-1],
        late_ms=0.0,
        generator_cpu_ms=0.0,  # not measured
        served=Served(calls=created),
    )


def _setup_times(folder: Path) -> list[float]:
    """Milliseconds from INVITE to 200 of every call."""
    rows = [line.split(";") for path in folder.glob("*_rtt.csv") for line in path.read_text().splitlines()[1:]]
    return [round(float(row[1]), 2) for row in rows if len(row) > 1]
