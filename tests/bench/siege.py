"""One SBC, known peers that call through it and speak, and somebody who attacks: what the calls notice.

The PBX (namespace `phone`) calls the carrier 20 times a second, 50 packets a second each way in every call. Beside that the PBX opens a
connection now and then. The attacker is nobody.
"""

from __future__ import annotations

import csv
import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.generator import LoadResult, LoadSpec, run_load
from tests.bench.hostile import SPOOFED
from tests.bench.process import of_tests
from tests.interop import namespaces
from tests.interop.namespaces import Lab
from tests.interop.server import POLICY, Server, serve
from tests.interop.sipp import SCENARIOS
from tests.interop.wait import Expired, until

CALLS = 20  # a second
HOLD, SPEECH = 1.5, 1.0  # seconds of a call, and of that with media: the rest is for halves that are held up
VISIT = 0.25  # seconds between connections of the PBX
PATIENCE = 3.0  # seconds a visit may take: one SYN that is lost is sent again after one
IDLE_S = 15.0  # within which nothing is left of an attack
IDLE_CPU = 0.05  # of a core
PAGE_OCTETS = 1024

# The attacker is nobody: the PBX is where the phone is
ATTACKED = POLICY.replace("{attacker}", "10.99.1.2").replace("udp://{outside}:5060,", "udp://{outside}:5060, ws://{outside}:5080,")


@dataclass
class Visits:
    """Connections of the PBX with an OPTIONS in them, seconds from the SYN to the answer."""

    took: list[float] = field(default_factory=list)
    failed: int = 0


@dataclass(frozen=True)
class Noticed:
    """cpu: of a core, by the SBC; peak: MiB it had at most."""

    load: LoadResult
    visits: Visits
    cpu: float
    peak: float


@contextmanager
def besieged(folder: Path | None = None, policy: str = ATTACKED) -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as own, namespaces.lab() as lab, serve(lab, (folder or Path(own)) / "sbc", policy) as running:
        until(lambda: "banned_are_dropped" in running.log or "kernel: off" in policy, 5, "nothing is said of the kernel")
        lab.sbc.run(["ip", "route", "add", SPOOFED, "via", lab.attacker.address])  # answers to spoofed addresses go on, and end there
        yield running


def calls(lab: Lab, seconds: float) -> LoadResult:
    spec = LoadSpec(
        rate=CALLS,
        seconds=seconds,
        server=(lab.outside, 5060),
        caller=(lab.phone.address, 5070),
        callee=(lab.carrier.address, 5060),
        hold=HOLD,
        speech=SPEECH,
        number="+4950123",
    )
    return run_load(spec, lab.phone.within, lab.carrier.within)


def under(running: Server, seconds: float, attack: Callable[[], object]) -> Noticed:
    """While `attack` runs, which should take as long."""
    visits, over = Visits(), threading.Event()
    Path(f"/proc/{running.pid}/clear_refs").write_text("5")  # the peak begins anew, see proc(5)
    before, begun = busy(running.pid), time.monotonic()
    with ThreadPoolExecutor(2) as threads:
        attacking = threads.submit(attack)
        visiting = threads.submit(_visit, running.lab, visits, over)
        try:
            load = calls(running.lab, seconds)
        finally:
            over.set()
        attacking.result()
        visiting.result()
    return Noticed(load, visits, (busy(running.pid) - before) / (time.monotonic() - begun), peak_mib(running.pid))


def forgive(running: Server, source: str) -> None:
    command = [sys.executable, "-P", "-m", "sbc", "unban", source, "--socket", str(running.folder / "sbc.sock")]
    running.lab.sbc.run(command)


def left_over(running: Server) -> str:
    """Why it is not idle again; empty: it is."""
    names = ("calls", "relays", "connections")
    try:
        until(lambda: not any(running.status()[name] for name in names), IDLE_S, "")
    except Expired:
        return ", ".join(f"{running.status()[name]:g} {name}" for name in names)
    before = busy(running.pid)
    time.sleep(1.0)
    cpu = busy(running.pid) - before
    return f"{cpu:.0%} of a core" if cpu > IDLE_CPU else ""


def busy(pid: int) -> float:
    """CPU seconds of a process so far."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir()) / 1e9


def peak_mib(pid: int) -> float:
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / PAGE_OCTETS


def _visit(lab: Lab, visits: Visits, over: threading.Event) -> None:
    lab.phone.enter()
    number = 0
    while not over.wait(VISIT):
        number += 1
        begun = time.monotonic()
        try:
            with socket.create_connection((lab.outside, 5060), timeout=PATIENCE) as sock:
                host, port = sock.getsockname()
                sock.sendall(
                    f"OPTIONS sip:{lab.outside} SIP/2.0\r\nVia: SIP/2.0/TCP {host}:{port};branch=z9hG4bKv{number}\r\nMax-Forwards: 70\r\n"
                    f"From: <sip:pbx@{host}>;tag=v{number}\r\nTo: <sip:{lab.outside}>\r\nCall-ID: visit{number}\r\nCSeq: 1 OPTIONS\r\n"
                    "Content-Length: 0\r\n\r\n".encode()
                )
                answer = sock.recv(4096)
        except OSError:
            answer = b""
        if answer.startswith(b"SIP/2.0 200"):
            visits.took.append(time.monotonic() - begun)
        else:
            visits.failed += 1


# Attackers: each returns how many it sent or began, and of these how many were allowed what nobody is


def simulated(lab: Lab, kind: str, rate: int, port: int, seconds: float) -> tuple[int, int]:
    options = ("--rate", str(rate), "--seconds", f"{seconds:g}", "--json")
    command = [sys.executable, "-P", "-m", "sbc", "attack-sim", kind, f"{lab.outside}:{port}", *options]
    return int(json.loads(lab.attacker.run(command, timeout=seconds + 60))["sent"]), 0


def hostile(lab: Lab, kind: str, rate: int, port: int, seconds: float) -> tuple[int, int]:
    command = of_tests("tests.bench.hostile", kind, lab.outside, str(port), str(rate), f"{seconds:g}")
    done, allowed = lab.attacker.run(command, timeout=seconds + 60).split()
    return int(done), int(allowed)


def storm(lab: Lab, rate: int, seconds: float) -> tuple[int, int]:
    """SIPp with messages that are none."""
    scenario = SCENARIOS / "malformed_storm.xml"
    each = scenario.read_text().count("<send>")
    count = int(rate / each * seconds)
    command = ["sipp", "-sf", str(scenario), "-i", lab.attacker.address, "-p", "5999", "-r", str(rate // each), "-m", str(count)]
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "stat.csv"
        command += ["-nostdin", "-nd", "-timeout", f"{seconds:.0f}", "-trace_stat", "-stf", str(told), "-fd", "1", f"{lab.outside}:5060"]
        with suppress(subprocess.CalledProcessError):  # its time was over
            lab.attacker.run(command, timeout=seconds + 60)
        rows = list(csv.DictReader(told.read_text().splitlines(), delimiter=";"))
    return int(rows[-1]["TotalCallCreated"]) * each, 0


def vicious(lab: Lab, seconds: float) -> tuple[int, int]:
    """SIPVicious: where is a server, which accounts has it, what is the password of one."""
    commands = (
        ["svmap", lab.outside],
        ["svwar", "-e100-999", "-mREGISTER", lab.outside],
        ["svwar", "-e100-999", "-mINVITE", lab.outside],
        ["svcrack", "-ualice", "-r100-999", lab.outside],
    )
    end, found = time.monotonic() + seconds, 0
    while (left := end - time.monotonic()) > 0:
        for command in commands:
            told = lab.attacker.run(
                ["sh", "-c", '"$@" 2>&1 || true', "sh", "timeout", f"{min(left, seconds / 4):.1f}", *command], timeout=60
            )
            found += "alice" in told and command[0] == "svwar"
    return len(commands), found
