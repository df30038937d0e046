"""What signalling costs: calls through a real SBC at given rates, and the highest rate that neither loses nor delays any.

    python -m tests.bench.signalling --rates 100,400,800 --seconds 20 --find-max
    python -m tests.bench.signalling --tls --rates 20,100
    python -m tests.bench.signalling --beside-kamailio        # the same rates through it right after, and how the figures relate

Every call is INVITE, 180, 200, ACK, BYE, 200 with session descriptions on both sides and no media;
with `--tls` it comes in over TLS with digest credentials and an SRTP key, and leaves as plain UDP and RTP.
UDP load comes from SIPp where it is installed, else and for TLS from the generator beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.bench.generator import LoadResult, LoadSpec, run_load
from tests.bench.kamailio import Kamailio, kamailio
from tests.bench.sipp import run_sipp
from tests.bench.subject import CALLEE, CALLER, OUTSIDE, PHONE, TLS_PORT, UDP_PORT, USER, Subject, subject
from tests.bench.uac import T1

_SETTLE = 1.0  # seconds after a run in which the SBC still ends its calls; part of their cost
_REST = 64 * T1 + 1  # after an overload: until the last transaction of it has timed out, so that the next run starts clean


@dataclass(frozen=True)
class Measurement:
    """One rate: what the load saw and what it cost the SBC, all its threads and processes."""

    load: LoadResult
    cpu_ms_per_call: float
    cpu_percent: float
    memory_mib: float


def load_spec(under_test: Subject | None, rate: float, seconds: float, *, tls: bool = False, hold: float = 0.0) -> LoadSpec:
    """The load that fits the policy of `subject`."""
    callee = (CALLEE, UDP_PORT)
    if under_test is None or not tls:
        return LoadSpec(rate, seconds, (OUTSIDE, UDP_PORT), (CALLER, UDP_PORT), callee, hold=hold)
    return LoadSpec(
        rate,
        seconds,
        (OUTSIDE, TLS_PORT),
        (PHONE, 0),
        callee,
        transport="TLS",
        hold=hold,
        user=USER,
        password=under_test.password,
        crypto=True,
        ca=under_test.ca,
        server_name=OUTSIDE,
    )


def measure(under_test: Subject | Kamailio, spec: LoadSpec) -> Measurement:
    begin, before = time.monotonic(), under_test.usage()
    load = run_sipp(spec) if spec.transport == "UDP" and shutil.which("sipp") else run_load(spec)
    time.sleep(_SETTLE)
    after, elapsed = under_test.usage(), time.monotonic() - begin
    cpu = after.cpu - before.cpu
    return Measurement(load, round(1000 * cpu / max(1, load.offered), 3), round(100 * cpu / elapsed, 1), round(after.memory, 1))


def find_max(under_test: Subject, good: float, seconds: float, *, tls: bool) -> Iterator[Measurement]:
    """From a `good` rate upwards in steps of a quarter until one fails, then halving the gap until it is below 5 %."""
    bad = 0.0
    while not bad or bad - good > 0.05 * bad:
        rate = round((good + bad) / 2) if bad else round(good * 1.25)
        result = measure(under_test, load_spec(under_test, rate, seconds, tls=tls))
        yield result
        if flawless(result.load):
            good = rate
        else:
            bad = rate
            time.sleep(_REST)


def flawless(load: LoadResult) -> bool:
    """No failed call, at the rate asked for, and 99 of 100 answered before a caller would begin to repeat itself (T1).

    Without the last condition a queue that grows for as long as the run lasts would count as success.
    """
    on_time = load.setup_p99_ms < 1000 * T1
    return load.failures == 0 and load.completed == load.offered and load.achieved >= 0.95 * load.rate and on_time


def compare(results: list[Measurement], rates: list[float], seconds: float) -> None:
    """The same rates through Kamailio."""
    print("Kamailio, stateful proxy: no session description, no media, no second dialog")
    with tempfile.TemporaryDirectory() as name, kamailio(Path(name)) as proxy:
        for ours, rate in zip(results, rates, strict=False):
            theirs = measure(proxy, load_spec(None, rate, seconds))
            print(f"{_row(theirs)}  ours is {ours.cpu_ms_per_call / theirs.cpu_ms_per_call:.2f} times that", flush=True)


_HEADINGS = ("calls/s", "calls", "failed", "repeated", "CPU ms/call", "CPU %", "p50 ms", "p99 ms", "max ms", "RSS MiB", "late ms")


def _row(result: Measurement) -> str:
    load = result.load
    cells = (
        f"{load.achieved:.0f}",
        load.offered,
        load.failures,
        load.retransmissions,
        f"{result.cpu_ms_per_call:.2f}",
        f"{result.cpu_percent:.0f}",
        load.setup_p50_ms,
        load.setup_p99_ms,
        load.setup_max_ms,
        f"{result.memory_mib:.0f}",
        load.late_ms,
    )
    causes = "  " + ", ".join(f"{count} x {cause}" for cause, count in load.failed.items()) if load.failed else ""
    return " ".join(f"{cell:>11}" for cell in cells) + causes


def main() -> int:
    options = _options()
    results: list[Measurement] = []
    best = 0.0
    with tempfile.TemporaryDirectory() as folder, subject(Path(folder) / "sbc") as under_test:
        print(" ".join(f"{heading:>11}" for heading in _HEADINGS), flush=True)

        def report(result: Measurement) -> None:
            nonlocal best
            results.append(result)
            if flawless(result.load):
                best = max(best, result.load.rate)
            print(_row(result), flush=True)

        for rate in options.rates:
            report(measure(under_test, load_spec(under_test, rate, options.seconds, tls=options.tls, hold=options.hold)))
        if options.find_max and best:
            for result in find_max(under_test, best, options.seconds, tls=options.tls):
                report(result)
        elif options.find_max:
            print("no rate to go on from: give a lower one with --rates")
        print(f"highest rate without a failed or late call: {best:.0f} calls/s")
    if options.beside_kamailio:
        compare(results, options.rates, options.seconds)
    if options.json:
        machine = {"cpus": os.cpu_count(), "python": platform.python_version(), "kernel": platform.release()}
        options.json.write_text(
            json.dumps({"tls": options.tls, "machine": machine, "best": best, "runs": [asdict(result) for result in results]}, indent=2)
        )
    return 0 if best else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="signalling cost of the SBC")
    parser.add_argument("--rates", type=lambda text: [float(rate) for rate in text.split(",")], default=[100.0, 400.0, 800.0])
    parser.add_argument("--seconds", type=float, default=20.0, help="of each run")
    parser.add_argument("--hold", type=float, default=0.0, help="seconds every call lasts, in the runs of --rates")
    parser.add_argument("--tls", action="store_true", help="TLS with digest and SDES in, UDP and RTP out")
    parser.add_argument("--find-max", action="store_true", help="go on to the highest rate without a failed call")
    parser.add_argument(
        "--beside-kamailio", action="store_true", help="the same rates through Kamailio afterwards, which must be installed"
    )
    parser.add_argument("--json", type=Path, help="write the figures there")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
