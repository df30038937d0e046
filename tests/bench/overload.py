"""How many calls are served when more are offered than can be: from half of what one core can do to ten times that.

    python -m tests.bench.overload                                # the curve, with its picture in docs/overload.svg by --svg
    python -m tests.bench.overload --factors 1,3 --seconds 5

The SBC has one CPU for itself, SIPp (caller and callee) the other. A call is INVITE to BYE; one that is refused ends with its 503.
Afterwards 20 calls a second of a known peer, while a stranger sends as many INVITEs as it is told to.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.generator import LoadResult
from tests.bench.overload_picture import Point, picture
from tests.bench.signalling import load_spec
from tests.bench.sipp import run_sipp
from tests.bench.subject import CALLEE, CALLER, OUTSIDE, RUN, UDP_PORT, Subject, subject

SBC_CPU, LOAD_CPU = "0", "1"
STRANGER = "127.0.0.66"
SCENARIO = Path(__file__).with_suffix(".xml")
SKIPPED_S = 2.0  # at the beginning of a run: the first calls meet an empty queue
REST_S = 33.0  # between runs: transactions time out, and media ports come back to the pool
FIRST_RATE = 200.0  # calls a second, doubled until not all of them are served


@dataclass(frozen=True)
class Offered:
    """One rate, in calls a second; set-up times of the served in milliseconds, as SIPp measures them, in steps of its own.

    `cpu`: cores that the SBC got. On a machine with other work only what it served with those can be compared.
    """

    offered: float
    served: float
    refused: float
    p50: float
    p99: float
    cpu: float

    @property
    def goodput(self) -> float:
        """Calls served with a second of the processor."""
        return self.served / max(self.cpu, 0.01)


def overload(under_test: Subject, rate: float, seconds: float) -> Offered:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        callee = _sipp(folder, "-sn", "uas", "-i", CALLEE, "-p", str(UDP_PORT))
        time.sleep(0.3)
        load = ["-sf", str(SCENARIO), "-i", CALLER, "-p", str(UDP_PORT), "-r", f"{rate:g}", "-l", "1000000", "-s", "+4930123456"]
        traces = ["-trace_stat", "-stf", "stat", "-fd", "1", "-trace_rtt", "-rtt_freq", "1"]
        caller = _sipp(folder, *load, *traces, f"{OUTSIDE}:{UDP_PORT}")
        try:
            time.sleep(SKIPPED_S)
            before, began = under_test.usage().cpu, time.monotonic()
            time.sleep(seconds)
            cpu = (under_test.usage().cpu - before) / (time.monotonic() - began)
            time.sleep(0.5)
        finally:
            for process in (caller, callee):
                process.kill()
                process.wait()
        return _result(folder, cpu)


def capacity_of(under_test: Subject, seconds: float, rest: float) -> float:
    """The most that was served while the rate was doubled."""
    rate, most = FIRST_RATE, 0.0
    while True:
        result = overload(under_test, rate, seconds)
        most = max(most, result.served)
        time.sleep(rest)
        if result.served < 0.9 * result.offered:
            return most
        rate *= 2


def _sipp(folder: Path, *options: str) -> subprocess.Popen[bytes]:
    command = ["taskset", "-c", LOAD_CPU, "sipp", *options, "-nostdin"]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _result(folder: Path, cpu: float) -> Offered:
    with (folder / "stat").open() as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    first, last = rows[round(SKIPPED_S)], rows[-1]
    elapsed = _seconds(last["ElapsedTime(C)"]) - _seconds(first["ElapsedTime(C)"])

    def rate(name: str) -> float:
        return round((int(last[name]) - int(first[name])) / elapsed, 1)

    setup = sorted(float(line.split(";")[1]) for path in folder.glob("*_rtt.csv") for line in path.read_text().splitlines()[1:])
    setup = setup or [0.0]
    created, served, refused = rate("TotalCallCreated"), rate("GenericCounter1(C)"), rate("GenericCounter2(C)")
    return Offered(created, served, refused, setup[len(setup) // 2], setup[len(setup) * 99 // 100], round(cpu, 2))


def _seconds(text: str) -> float:
    """SIPp writes hh:mm:ss, with microseconds behind a colon or a point in some versions."""
    hours, minutes, rest = text.split(":", 2)
    return int(hours) * 3600 + int(minutes) * 60 + float(rest.replace(":", "."))


@contextmanager
def flood(rate: float) -> Iterator[None]:
    """INVITEs of a stranger, so many a second."""
    process = multiprocessing.Process(target=_flood, args=(rate,), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def _flood(rate: float) -> None:
    os.sched_setaffinity(0, {int(LOAD_CPU)})
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((STRANGER, 0))
    sock.connect((OUTSIDE, UDP_PORT))
    began, sent = time.monotonic(), 0
    while True:
        due = int((time.monotonic() - began) * rate)
        for number in range(sent, due):
            sock.send(_INVITE % (number, number, number))
        sent = max(sent, due)
        time.sleep(0.001)


_INVITE = (
    f"INVITE sip:+4930123456@{OUTSIDE} SIP/2.0\r\nVia: SIP/2.0/UDP {STRANGER}:5060;branch=z9hG4bKf%d\r\n"
    f"From: <sip:x@{STRANGER}>;tag=%d\r\nTo: <sip:+4930123456@{OUTSIDE}>\r\nCall-ID: %d\r\nCSeq: 1 INVITE\r\n"
    f"Contact: <sip:x@{STRANGER}>\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
).encode()


def known_peer(under_test: Subject, strangers: float, seconds: float) -> LoadResult:
    spec = load_spec(under_test, 20.0, seconds)
    if not strangers:
        return run_sipp(spec)
    with flood(strangers):
        time.sleep(1.0)
        return run_sipp(spec)


def main() -> int:
    options = _options()
    if shutil.which("sipp") is None:
        print("overload: left out, for SIPp is not installed")
        return 0
    results: list[Offered] = []
    with tempfile.TemporaryDirectory() as folder, subject(Path(folder) / "sbc", ("taskset", "-c", SBC_CPU, *RUN)) as under_test:
        capacity = capacity_of(under_test, options.seconds / 2, options.rest)
        print(f"the most that is served: {capacity:.0f} calls/s, which is 1 from here on", flush=True)
        print(
            " ".join(f"{heading:>10}" for heading in ("factor", "offered", "served", "refused", "p50 ms", "p99 ms", "cores", "a core")),
            flush=True,
        )
        for factor in options.factors:
            time.sleep(options.rest)
            result = overload(under_test, factor * capacity, options.seconds)
            results.append(result)
            cells = (factor, result.offered, result.served, result.refused, result.p50, result.p99, result.cpu, round(result.goodput))
            print(" ".join(f"{cell:>10g}" for cell in cells), flush=True)
        peak = max(result.goodput for result in results)
        print("served by a core, to the most: " + ", ".join(f"{result.goodput / peak:.2f}" for result in results), flush=True)
        for strangers in options.strangers:
            time.sleep(options.rest / 4)
            load = known_peer(under_test, strangers, options.seconds)
            print(
                f"20 calls/s of a known peer, {strangers:.0f} INVITEs/s of a stranger: {load.failures} of {load.offered} failed, "
                f"{load.retransmissions} repeated, set-up p50 {load.setup_p50_ms} p99 {load.setup_p99_ms} max {load.setup_max_ms} ms",
                flush=True,
            )
    if options.svg:
        options.svg.write_text(picture([Point(result.offered / capacity, result.goodput / peak) for result in results]))
    return 0


def _options() -> argparse.Namespace:
    def numbers(text: str) -> list[float]:
        return [float(number) for number in text.split(",") if number]

    parser = argparse.ArgumentParser(description="calls served when more are offered than can be")
    parser.add_argument("--factors", type=numbers, default=[0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0], help="of what it can do")
    parser.add_argument("--strangers", type=numbers, default=[0.0, 5000.0, 20000.0], help="INVITEs a second")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each run")
    parser.add_argument("--rest", type=float, default=REST_S, help="seconds between runs")
    parser.add_argument("--svg", type=Path, help="draw the curve there")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
