"""What attacks cost, and what calls notice of them: `make bench-attack`, or `python -m tests.bench.attack --seconds 30` as root.

Attacker, PBX and SBC are network namespaces. Each attack runs for as long as it says, while a PBX calls 20 times a second through the
SBC. Then a proven attacker sends 100,000 datagrams a second, once dropped by the kernel and once by us. The host's cost of that is the
CPU of whoever sends, in whom the kernel receives, of the kernel's threads for it, and of the SBC; what sending alone costs, to a switch
that drops all, is taken off.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.bench.generator import LoadResult
from tests.bench.host import kernel_threads
from tests.interop import namespaces
from tests.interop.namespaces import Lab
from tests.interop.server import Server, serve
from tests.interop.test_attacks import ATTACKED, calls
from tests.interop.test_kernel import scan_over_tcp
from tests.interop.wait import until

ATTACKS = (
    ("invite", 20_000, 5060),
    ("register", 20_000, 5060),
    ("options", 20_000, 5060),
    ("malformed", 20_000, 5060),
    ("garbage", 20_000, 5060),
    ("fragments", 20_000, 5060),
    ("scan", 20_000, 5060),
    ("rtp", 20_000, 20000),
    ("connections", 1_000, 5060),
    ("handshakes", 1_000, 5061),
    ("slow", 1_000, 5060),
    ("slow", 1_000, 5061),
    ("slow", 1_000, 5080),
)
PROVEN = 100_000  # datagrams a second

SENDER = """
import socket, sys, time
to, rate, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.connect((to, 5060))
data = b"OPTIONS sip:100@%b SIP/2.0\\r\\nVia: SIP/2.0/UDP 192.0.2.66;branch=z9hG4bK1\\r\\n\\r\\n" % to.encode() + b"x" * 300
begun, sent = time.monotonic(), 0
while (now := time.monotonic() - begun) < seconds:
    due = int(now * rate) - sent
    for _ in range(due):
        try:
            sock.send(data)
        except OSError:
            pass
    sent += due
    time.sleep(0.002)
print(sent, time.process_time())
"""


def process_busy(pid: int) -> float:
    return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir()) / 1e9


@contextmanager
def attacked(policy: str = ATTACKED) -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as folder, namespaces.lab() as lab, serve(lab, Path(folder) / "sbc", policy) as running:
        until(lambda: "banned_are_dropped" in running.log or "kernel: off" in policy, 5, "nothing is said of the kernel")
        yield running


def during(running: Server, seconds: float, attack: Callable[[], object]) -> tuple[LoadResult, float]:
    """What calls noticed, and how much of a core the SBC took."""
    before, begun = process_busy(running.pid), time.monotonic()
    with ThreadPoolExecutor(1) as thread:
        attacking = thread.submit(attack)
        result = calls(running.lab, seconds)
        attacking.result()
    return result, (process_busy(running.pid) - before) / (time.monotonic() - begun)


def simulated(lab: Lab, kind: str, rate: int, port: int, seconds: float) -> dict[str, float]:
    options = ("--rate", str(rate), "--seconds", f"{seconds:g}", "--json")
    command = [sys.executable, "-P", "-m", "sbc", "attack-sim", kind, f"{lab.outside}:{port}", *options]
    told: dict[str, float] = json.loads(lab.attacker.run(command, timeout=seconds + 60))
    return told


def attacks(seconds: float) -> None:
    print("| attack | asked/s | sent/s | calls | failed | set-up p50, p99 ms | SBC, of a core | memory MiB |")
    print("|---|---|---|---|---|---|---|---|")
    with attacked() as running:
        quiet, core = during(running, seconds, lambda: None)
        print(f"| none | | | {_figures(running, quiet, core)} |")
        for kind, rate, port in ATTACKS:
            told: dict[str, float] = {}

            def attack(kind: str = kind, rate: int = rate, port: int = port, told: dict[str, float] = told) -> None:
                told.update(simulated(running.lab, kind, rate, port, seconds))

            result, core = during(running, seconds, attack)
            name = f"{kind} {port}" if port != 5060 else kind
            sent = told["sent"] / max(told["seconds"], 0.1)
            print(f"| {name} | {rate} | {sent:.0f} | {_figures(running, result, core)} |", flush=True)
            address = running.lab.attacker.address
            command = [sys.executable, "-P", "-m", "sbc", "unban", address, "--socket", str(running.folder / "sbc.sock")]
            running.lab.sbc.run(command)


def _figures(running: Server, result: LoadResult, core: float) -> str:
    memory = running.status()["memory_mib"]
    failed = sum(result.failed.values())
    return f"{result.completed} | {failed} | {result.setup_p50_ms}, {result.setup_p99_ms} | {core:.0%} | {memory}"


def proven(seconds: float, policy: str, to: str, banned: bool) -> tuple[float, float, float]:
    """Datagrams a second, and of a core: what the host took, and the SBC."""
    with attacked(policy) as running:
        lab = running.lab
        if banned:
            scan_over_tcp(lab, lab.attacker)
            until(lambda: " banned " in running.log, 5, "no ban")
            time.sleep(1.0)
        else:  # where it has no way to anybody: dropped by the first switch
            lab.switch.run(["ip", "link", "set", "sbc-out", "down"])
            lab.attacker.run(["ip", "neigh", "replace", lab.outside, "lladdr", "02:00:00:00:00:01", "dev", "outside"])
        threads, own = kernel_threads(), process_busy(running.pid)
        told = lab.attacker.run([sys.executable, "-c", SENDER, to, str(PROVEN), f"{seconds:g}"], timeout=seconds + 30).split()
        threads, own = kernel_threads() - threads, process_busy(running.pid) - own
        return int(told[0]) / seconds, (float(told[1]) + threads + own) / seconds, own / seconds


def costs(seconds: float) -> None:
    here = ATTACKED + "shield: {{kernel: off}}\n"
    with namespaces.lab() as lab:
        to = lab.outside
    rows = (
        ("sending alone", proven(seconds, ATTACKED, to, banned=False)),
        ("dropped by the kernel", proven(seconds, ATTACKED, to, banned=True)),
        ("dropped by us", proven(seconds, here, to, banned=True)),
    )
    alone = rows[0][1][1]
    print("\n| a proven attacker | datagrams/s | host, of a core | less the sending | SBC, of a core |\n|---|---|---|---|---|")
    for name, (rate, host, own) in rows:
        print(f"| {name} | {rate:.0f} | {host:.1%} | {host - alone:.1%} | {own:.1%} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=30.0, help="of each attack")
    parser.add_argument("--only", choices=("attacks", "costs"), default=None)
    options = parser.parse_args()
    if options.only != "costs":
        attacks(options.seconds)
    if options.only != "attacks":
        costs(options.seconds)


if __name__ == "__main__":
    main()
