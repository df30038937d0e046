"""What attacks cost, and what calls notice of them: `make bench-attack`, or `python -m tests.bench.attack --seconds 30` as root.

Attacker, PBX, carrier and SBC are network namespaces, each with an address of its own. Each attack runs for as long as it says, while
the PBX calls the carrier 20 times a second through the SBC and both speak. A bound that is missed is said, and makes the exit status 1.

Then a proven attacker sends 100,000 datagrams a second, once dropped by the kernel and once by us. The host's cost of that is the
CPU of whoever sends, in whom the kernel receives, of the kernel's threads for it, and of the SBC; what sending alone costs, to a switch
that drops all, is taken off.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sbc.probe.attack import MOST as HIGHEST
from sbc.shield.shield import MEMORY_BOUND
from tests.bench.host import kernel_threads
from tests.bench.siege import ATTACKED, Noticed, besieged, busy, forgive, hostile, left_over, simulated, storm, under, vicious
from tests.interop import namespaces
from tests.interop.namespaces import Lab
from tests.interop.test_kernel import scan_over_tcp
from tests.interop.wait import until

PACKETS, CONNECTIONS = 20_000, 1_000  # a second
ADDED_MS = 50.0  # to the 99th percentile of what a call's set-up takes
LOST = 0.001  # of the media
QUIET_S = 10.0  # at least, to compare with
PROVEN = 100_000  # datagrams a second
MOST_OF_COSTS_S = 5.0  # of each of three

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

Send = Callable[[Lab, int, float], tuple[int, int]]


@dataclass(frozen=True)
class Attack:
    """rate: asked for, a second. send: with the lab, the rate and seconds; what was sent, and of it wrongly allowed."""

    name: str
    rate: int
    send: Send

    def highest(self) -> Attack:
        return Attack(f"{self.name}-highest", HIGHEST, self.send)


def _simulated(kind: str, port: int) -> Send:
    return lambda lab, rate, seconds: simulated(lab, kind, rate, port, seconds)


def _hostile(kind: str, port: int) -> Send:
    return lambda lab, rate, seconds: hostile(lab, kind, rate, port, seconds)


def _attacks() -> Iterator[Attack]:
    for kind in ("invite", "register", "options", "malformed", "garbage", "fragments", "scan"):
        yield Attack(kind, PACKETS, _simulated(kind, 5060))
    yield Attack("pieces", PACKETS, _hostile("pieces", 5060))
    yield Attack("sipp-storm", PACKETS, storm)
    yield Attack("sipvicious", 0, lambda lab, _, seconds: vicious(lab, seconds))
    yield Attack("rtp", PACKETS, _simulated("rtp", 20000))
    yield Attack("inject", PACKETS, _hostile("inject", 20000))
    yield Attack("syn", CONNECTIONS, _hostile("syn", 5060))
    yield Attack("connections", CONNECTIONS, _simulated("connections", 5060))
    yield Attack("handshakes", CONNECTIONS, _simulated("handshakes", 5061))
    yield Attack("renegotiation", CONNECTIONS, _hostile("renegotiation", 5061))
    yield Attack("key-updates", PACKETS, _hostile("key-updates", 5061))
    yield Attack("slow-tcp", CONNECTIONS, _simulated("slow", 5060))
    yield Attack("slow-tls", CONNECTIONS, _simulated("slow", 5061))
    yield Attack("slow-ws", CONNECTIONS, _simulated("slow", 5080))


WITH_HIGHEST = ("invite", "garbage", "fragments", "pieces", "rtp", "syn", "connections", "handshakes")


def attacks() -> dict[str, Attack]:
    usual = {each.name: each for each in _attacks()}
    return usual | {each.name: each for each in (usual[name].highest() for name in WITH_HIGHEST)}


COLUMNS = (
    "attack",
    "asked/s",
    "sent/s",
    "calls",
    "failed",
    "p99 ms",
    "added",
    "media lost",
    "new connection p99 ms",
    "SBC",
    "MiB",
    "after",
)


def siege(chosen: Sequence[Attack], seconds: float) -> list[str]:
    """What was missed, for people."""
    missed: list[str] = []
    begun = time.monotonic()
    with besieged() as running:
        quiet = under(running, max(seconds, QUIET_S), lambda: time.sleep(seconds))
        bound = quiet.peak + MEMORY_BOUND / 2**20
        print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
        print(_row("none", "", "", quiet, quiet, left_over(running)), flush=True)
        for number, attack in enumerate(chosen, 1):
            told: list[tuple[int, int]] = []
            noticed = under(running, seconds, lambda: told.append(attack.send(running.lab, attack.rate, seconds)))  # noqa: B023
            after = left_over(running)
            sent = "" if not attack.rate else f"{told[0][0] / seconds:.0f}"
            asked = "" if not attack.rate else "all" if attack.rate == HIGHEST else str(attack.rate)
            print(_row(attack.name, asked, sent, noticed, quiet, after or "idle"), flush=True)
            wrong = [*_missed(noticed, quiet, bound), *(["what nobody may was allowed"] if told[0][1] else []), *([after] if after else [])]
            missed += [f"{attack.name}: {each}" for each in wrong]
            print(f"  {number}/{len(chosen)}, {time.monotonic() - begun:.0f} s", *wrong, sep="  ", file=sys.stderr, flush=True)
            forgive(running, running.lab.attacker.address)
        print(f"\nmemory: {bound:.0f} MiB are the bound, {quiet.peak:.0f} with calls alone and {MEMORY_BOUND >> 20} of the shield's")
    return missed


def _row(name: str, asked: str, sent: str, noticed: Noticed, quiet: Noticed, after: str) -> str:
    load = noticed.load
    added = max(0.0, load.setup_p99_ms - quiet.load.setup_p99_ms)
    visits = f"{_p99_ms(noticed):.1f}" + (f", {noticed.visits.failed} failed" if noticed.visits.failed else "")
    figures = (load.completed, load.failures, load.setup_p99_ms, f"{added:.1f}", f"{max(0.0, load.media_lost):.3%}")
    return f"| {' | '.join(map(str, (name, asked, sent, *figures, visits, f'{noticed.cpu:.0%}', f'{noticed.peak:.0f}', after)))} |"


def _missed(noticed: Noticed, quiet: Noticed, bound: float) -> Iterator[str]:
    load = noticed.load
    added = load.setup_p99_ms - quiet.load.setup_p99_ms
    if load.failures or load.completed != load.offered:
        yield f"calls failed: {load.failed}"
    if added >= ADDED_MS:
        yield f"{added:.0f} ms added to the set-up (p99)"
    if load.media_lost >= LOST:
        yield f"{load.media_lost:.3%} of the media lost"
    if strange := sum(half.strange for half in load.spoken):
        yield f"{strange} packets of others came into calls"
    if noticed.visits.failed:
        yield f"{noticed.visits.failed} connections of the PBX failed"
    if noticed.peak > bound:
        yield f"{noticed.peak:.0f} MiB"


def _p99_ms(noticed: Noticed) -> float:
    took = sorted(noticed.visits.took) or [0.0]
    return 1000 * took[len(took) * 99 // 100]


def proven(seconds: float, policy: str, to: str, banned: bool) -> tuple[float, float, float]:
    """Datagrams a second, and of a core: what the host took, and the SBC."""
    with besieged(policy=policy) as running:
        lab = running.lab
        if banned:
            scan_over_tcp(lab, lab.attacker)
            until(lambda: " banned " in running.log, 5, "no ban")
            time.sleep(1.0)
        else:  # where it has no way to anybody: dropped by the first switch
            lab.switch.run(["ip", "link", "set", "sbc-out", "down"])
            lab.attacker.run(["ip", "neigh", "replace", lab.outside, "lladdr", "02:00:00:00:00:01", "dev", "outside"])
        threads, own = kernel_threads(), busy(running.pid)
        told = lab.attacker.run([sys.executable, "-c", SENDER, to, str(PROVEN), f"{seconds:g}"], timeout=seconds + 30).split()
        threads, own = kernel_threads() - threads, busy(running.pid) - own
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=30.0, help="of each attack")
    parser.add_argument("--attacks", type=lambda text: text.split(","), help=f"only these: {', '.join(attacks())}")
    parser.add_argument("--only", choices=("attacks", "costs"), default=None)
    options = parser.parse_args()
    known, missed = attacks(), list[str]()
    if unknown := [name for name in options.attacks or () if name not in known]:
        parser.error(f"there is no attack {unknown[0]}; there are {', '.join(known)}")
    if options.only != "costs":
        missed = siege([known[name] for name in options.attacks or known], options.seconds)
    if options.only != "attacks" and not options.attacks:
        costs(min(options.seconds, MOST_OF_COSTS_S))
    for each in missed:
        print(f"missed: {each}")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
