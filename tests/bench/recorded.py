"""What recording every call costs the whole process: real calls over UDP through a real SBC that writes real files.

    python -m tests.bench.recorded --rates 20,100 --seconds 10 --rounds 5
    python -m tests.bench.recorded --rates "" --talk 10 --rounds 5          # calls by TLS with so many seconds of SRTP to RTP in each
    python -m tests.bench.recorded --at-once --rates 100 --rounds 40        # as root: two SBCs at the same time, one of which records

One process has `record: never` and `record: always` in turns, by a new policy each time. Its folder is full from the start: each new
recording makes it drop an old one. CPU is user and system time of all its threads, per call.

On a host whose speed changes from second to second what is measured at the same time compares best: `--at-once` has two processes in
network namespaces of their own. In each round one of them records and the other does not, in the next it is the other way round.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import exp, log, sqrt
from os import kill
from pathlib import Path
from statistics import fmean, median, stdev

from sbc.recording.files import calls_in
from sbc.store.recordings import KEPT
from tests.bench.calls import Ends, carried
from tests.bench.packets import built
from tests.bench.process import of_tests
from tests.bench.signalling import Measurement, flawless, load_spec, measure
from tests.bench.subject import POLICY, Subject, subject

MODES = ("never", "always")
OCTETS = 10_000  # of a recording that was there before
TOGETHER = 20  # calls in a file
BETWEEN = 3.0  # seconds from the end of one load to the next, of two processes at once: its end, a new policy
BEFORE = 10.0  # seconds until both are there
TALKS = 100  # calls at a time, each with 100 packets a second


def policy(mode: str) -> str:
    return POLICY.replace("    media: plain\n", f"    media: plain\n    record: {mode}\n")


def switch(under_test: Subject, mode: str) -> None:
    """Another policy, in force when this returns. RuntimeError."""
    applied = b"policy_changed"
    before = under_test.log.read_bytes().count(applied)
    (under_test.folder / "policies" / "sbc.yaml").write_text(policy(mode))
    kill(under_test.process, signal.SIGHUP)
    deadline = time.monotonic() + 10
    while under_test.log.read_bytes().count(applied) == before:
        if time.monotonic() > deadline:
            raise RuntimeError(f"the SBC did not take the policy:\n{under_test.log.read_text()[-1000:]}")
        time.sleep(0.05)
    time.sleep(1.0)


def recordings(folder: Path) -> Path:
    return folder / "var" / "recordings"


@contextmanager
def filled(folder: Path) -> Iterator[Subject]:
    """An SBC that has made as many recordings as it keeps, and makes none now."""
    fill(recordings(folder))
    with subject(folder, policy=policy("never")) as under_test:
        time.sleep(2.0)  # it listens before it takes signals
        yield under_test


def fill(folder: Path) -> None:
    """As many recordings of long ago as are kept, in files such as there are after a while."""
    folder.mkdir(parents=True)
    for number in range(KEPT // TOGETHER):
        name = f"20200101T000000.000.{number:020}+{TOGETHER - 1}.000000000000.sbc"
        (folder / name).write_bytes(bytes(OCTETS * TOGETHER))


def rounds(under_test: Subject, rate: float, seconds: float, count: int) -> Iterator[tuple[float, float]]:
    """CPU milliseconds of a call without and with recordings, by turns first. Not of rounds in which a call failed or was late."""
    for number in range(count):
        found: dict[str, Measurement] = {}
        for mode in MODES if number % 2 else reversed(MODES):
            switch(under_test, mode)
            found[mode] = measure(under_test, load_spec(under_test, rate, seconds))
        if all(flawless(each.load) for each in found.values()):
            yield found["never"].cpu_ms_per_call, found["always"].cpu_ms_per_call


def talks(under_test: Subject, seconds: float, count: int) -> Iterator[tuple[float, float]]:
    """CPU milliseconds of a call without and with recordings. RuntimeError when one fails."""
    ends = Ends(under_test)
    for number in range(count):
        found: dict[str, float] = {}
        for mode in MODES if number % 2 else reversed(MODES):
            switch(under_test, mode)
            before = under_test.usage().cpu
            carried(under_test, ends, TALKS, seconds)
            found[mode] = (under_test.usage().cpu - before) / TALKS * 1000
        yield found["never"], found["always"]
    ends.close()


def side(number: int, start: float, rate: float, seconds: float, count: int) -> None:
    """One of the two: a line of JSON for each round with its mode, CPU milliseconds of a call, and whether all went well."""
    with tempfile.TemporaryDirectory() as name, filled(Path(name) / "sbc") as under_test:
        for turn in range(-len(MODES), count):  # everything has been in use once
            mode = MODES[(turn + number) % len(MODES)]
            switch(under_test, mode)
            time.sleep(max(0.0, start + (turn + len(MODES)) * (seconds + BETWEEN) - time.time()))
            found = measure(under_test, load_spec(under_test, rate, seconds))
            if turn >= 0:
                print(json.dumps((mode, found.cpu_ms_per_call, flawless(found.load))), flush=True)


def at_once(rate: float, seconds: float, count: int) -> Iterator[tuple[float, float]]:
    """As `rounds`. RuntimeError when one of the two ended."""
    start = str(time.time() + BEFORE)
    alone = ("unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "_")
    asked = ("--rates", str(rate), "--seconds", str(seconds), "--rounds", str(count), "--start", start)
    commands = [(*alone, *of_tests("tests.bench.recorded", *asked, "--side", str(number))) for number in (0, 1)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE) for command in commands]
    lines = [process.communicate()[0].splitlines() for process in processes]
    if any(process.returncode for process in processes):
        raise RuntimeError("one of the two SBCs could not be measured")
    for pair in zip(*lines, strict=True):
        found = {mode: (cpu, well) for mode, cpu, well in map(json.loads, pair)}
        if all(well for _, well in found.values()):
            yield found["never"][0], found["always"][0]


def report(name: str, pairs: Sequence[tuple[float, float]]) -> None:
    if not pairs:
        print(f"{name:>8}   calls failed or were late in each round")
        return
    without, recorded = [median(side) for side in zip(*pairs, strict=True)]
    ratios = sorted(b / a for a, b in pairs)
    error = stdev(map(log, ratios)) / sqrt(len(ratios)) if len(ratios) > 1 else float("nan")
    means = f"{exp(fmean(map(log, ratios))):.3f} +- {error:.3f}"
    spread = f"{ratios[0]:.3f} to {ratios[-1]:.3f}, {len(pairs)} rounds"
    print(f"{name:>8} {without:10.3f} {recorded:10.3f} {median(ratios):10.3f} {means:>16}   {spread}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="cost of recordings for the whole process")
    parser.add_argument("--rates", type=lambda text: [float(rate) for rate in text.split(",") if rate], default=[20.0, 100.0])
    parser.add_argument("--seconds", type=float, default=10.0, help="of each run")
    parser.add_argument("--talk", type=float, default=0.0, help="seconds of media in calls of their own; 0: none")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--at-once", action="store_true", help="two processes at the same time, as root")
    parser.add_argument("--side", type=int, help="to be one of them")
    parser.add_argument("--start", type=float, default=0.0, help="when it begins, in seconds since the epoch")
    options = parser.parse_args()
    if options.side is not None:
        side(options.side, options.start, options.rates[0], options.seconds, options.rounds)
        return
    if options.at_once and options.talk:
        parser.error("--talk is measured in turns: leave out --at-once")
    print(" calls/s   never ms  always ms      ratio     mean of them   of the rounds")
    if options.at_once:
        for rate in options.rates:
            report(f"{rate:g}", list(at_once(rate, options.seconds, options.rounds)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "sbc"
        with filled(folder) as under_test:
            for mode in reversed(MODES):  # everything has been in use once
                switch(under_test, mode)
                measure(under_test, load_spec(under_test, 50, 4))
            for rate in options.rates:
                report(f"{rate:g}", list(rounds(under_test, rate, options.seconds, options.rounds)))
            if options.talk:
                built()
                report(f"{options.talk:g} s", list(talks(under_test, options.talk, options.rounds)))
            new = sum(calls_in(entry.name) for entry in recordings(folder).glob("*.sbc") if not entry.name.startswith("2020"))
            lost = under_test.log.read_text().count("recordings_not_written")
            print(f"{new} of the calls kept are new; the log told {lost} times of recordings that were not written")


if __name__ == "__main__":
    main()
