"""What relaying costs: CPU per packet, loss and delay, turnover of relays, growth, overload; beside rtpengine where it is installed.

    python -m tests.bench.media                                   # everything, a quarter of an hour
    python -m tests.bench.media --parts cost --modes RTP-SRTP --rates 50000 --rounds 5
    python -m tests.bench.media --parts highest --subjects native,rtpengine

Packets of 172 octets of RTP, half of them each way, spread over all relays, SRTP protected beforehand by the generator. Every 64th that
arrives is decrypted and compared. CPU is that of all threads of the process that relays; on loopback this includes the kernel's work of
delivering to the receiver. Subjects take turns within a round, and ratios are of the same round: the machine's other work meets them alike.
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from media.api import Suite
from tests.bench.packets import LOOPBACK, Network, Phase, Relay, Seen, Traffic, built, cpus, run
from tests.bench.relays import Modes, Process, Subject, peer_keys
from tests.bench.rtpengine import Rtpengine

MODES: dict[str, Modes] = {
    "RTP-RTP": (None, None),
    "RTP-SRTP": (None, Suite.AES_CM_128_HMAC_SHA1_80),
    "SRTP-SRTP": (Suite.AES_CM_128_HMAC_SHA1_80, Suite.AES_CM_128_HMAC_SHA1_32),
    "GCM-GCM": (Suite.AEAD_AES_128_GCM, Suite.AEAD_AES_256_GCM),
}
MOST_LOST = 0.001  # of a rate that counts as carried
MOST_BEHIND = 20.0  # milliseconds; a generator later than that is measured itself
WARM_UP = Phase(5_000, 0.4)
MUX_GRACE = 7.0  # until the native engine has closed the RTCP ports that rtcp-mux made superfluous
SPARE = 50  # file descriptors for everything but relays
GROWTH = (100, 1_000, 4_000, 9_000)
OVERLOAD = 200_000  # packets a second, on the relay's own CPU and before it


@dataclass(frozen=True)
class Cost:
    """One run. `cpu_us` is CPU microseconds per packet that came through; nan: none did."""

    cpu_us: float
    seen: Seen


def measured(subject: Subject, relays: Sequence[Relay], traffic: Traffic, phase: Phase) -> Cost:
    before = subject.cpu()
    (seen,) = run(relays, traffic, [phase], cpu=cpus()[0], network=subject.network)
    spent = subject.cpu() - before
    return Cost(spent / seen.received * 1e6 if seen.received else float("nan"), seen)


def fresh(subject: Subject, mode: Modes, relays: int, phase: Phase) -> Cost:
    """With relays of its own: rtpengine gives streams up that once came too fast."""
    try:
        opened, traffic = subject.open(relays, mode), traffic_of(mode)
        measured(subject, opened, traffic, WARM_UP)
        return measured(subject, opened, traffic, phase)
    finally:
        subject.close()


def traffic_of(mode: Modes) -> Traffic:
    return Traffic((peer_keys(mode[0]), peer_keys(mode[1])))


def can(subject: Subject, mode: Modes) -> bool:
    return all(suite is None or suite in subject.suites for suite in mode)


def ratio(of: Iterable[float], to: Iterable[float]) -> float:
    """The median of the ratios of each round."""
    return statistics.median(one / other for one, other in zip(of, to, strict=True))


def cost(subjects: Sequence[Subject], options: argparse.Namespace) -> None:
    print(f"\n{'mode':10} {'packets/s':>9}  {'subject':10} {'CPU us/packet':>13} {'lost':>8} {'p50 ms':>8} {'p99 ms':>8}  to rtpengine")
    for name in options.modes:
        mode = MODES[name]
        taking_part = [subject for subject in subjects if can(subject, mode)]
        for rate in options.rates:
            costs: dict[str, list[Cost]] = {subject.name: [] for subject in taking_part}
            for _ in range(options.rounds):
                for subject in taking_part:
                    costs[subject.name].append(fresh(subject, mode, options.relays, Phase(rate, options.seconds)))
            for subject in taking_part:
                print(f"{name:10} {rate:9}  {_row(subject.name, costs)}", flush=True)


def _row(name: str, all_costs: dict[str, list[Cost]]) -> str:
    costs = all_costs[name]
    seen = [each.seen for each in costs]
    theirs = all_costs.get("rtpengine")
    beside = f"{ratio((each.cpu_us for each in costs), (each.cpu_us for each in theirs)):12.2f}" if theirs else f"{'':12}"
    return (
        f"{name:10} {_median(each.cpu_us for each in costs):13.2f} {_median(each.lost for each in seen):8.2%}"
        f" {_median(each.p50_ms for each in seen):8.2f} {_median(each.p99_ms for each in seen):8.2f}  {beside}{_doubts(seen)}"
    )


def _median(values: Iterable[float]) -> float:
    return statistics.median(values)


def _doubts(seen: Sequence[Seen]) -> str:
    """What keeps a row from being taken at its word."""
    doubts = []
    late = max(each.behind_ms for each in seen)
    if late > MOST_BEHIND:
        doubts.append(f"generator {late:.0f} ms late")
    if any(each.broken for each in seen):
        doubts.append(f"{sum(each.broken for each in seen)} PACKETS BROKEN")
    if any(each.twice for each in seen):
        doubts.append(f"{sum(each.twice for each in seen)} twice")
    return f"  ({', '.join(doubts)})" if doubts else ""


def highest(subjects: Sequence[Subject], options: argparse.Namespace) -> None:
    print(f"\nhighest rate with less than {MOST_LOST:.1%} lost, packets/s, to 5 %")
    for name in options.modes:
        for subject in subjects:
            if can(subject, MODES[name]):
                print(f"{name:10}  {subject.name:10} {_highest(subject, MODES[name], options)}", flush=True)


def _highest(subject: Subject, mode: Modes, options: argparse.Namespace) -> str:
    """Upwards by a quarter until a rate fails twice, then halving the gap."""
    good, bad, rate = 0.0, 0.0, 40_000.0
    while True:
        seen = [fresh(subject, mode, options.relays, Phase(rate, options.seconds)).seen for _ in range(2)]
        sent = max(each.sent for each in seen)
        if min(each.lost for each in seen) >= MOST_LOST:
            bad = rate
        elif sent < int(rate * options.seconds):
            return f"{sent / options.seconds:9.0f} or more, which is what the generator can send"
        else:
            good = rate
        if bad and bad - good <= 0.05 * bad:
            return f"{good:9.0f}"
        rate = (good + bad) / 2 if bad else good * 1.25


def turnover(subjects: Sequence[Subject], options: argparse.Namespace) -> None:
    print(f"\n{'open + update + close':22} {'subject':10} {'CPU us/relay, none open':>24} {'1,000 open':>11}")
    for name in options.modes:
        mode = MODES[name]
        for subject in subjects:
            if not can(subject, mode):
                continue
            empty = _turnover(subject, mode, options.rounds)
            subject.open(1000, mode)
            full = _turnover(subject, mode, options.rounds)
            subject.close()
            print(f"{name:22} {subject.name:10} {empty * 1e6:24.0f} {full * 1e6:11.0f}", flush=True)


def _turnover(subject: Subject, mode: Modes, rounds: int) -> float:
    return _median(subject.turnover(200, mode) for _ in range(rounds))


def growth(names: Sequence[str], options: argparse.Namespace) -> None:
    mode, rate = "RTP-SRTP", 50_000
    print(f"\n{mode}, {rate} packets/s over all relays open; with rtcp-mux where 4 descriptors a relay would be too many")
    print(f"{'relays':>7}  {'subject':10} {'CPU us/packet':>13} {'to the fewest':>13} {'lost':>8} {'p99 ms':>8} {'KiB/relay':>10}")
    grown: dict[str, list[_Grown]] = {name: [] for name in names}
    for count in options.growth:
        for name in names:
            if 4 * count <= descriptors() or (name == "native" and 2 * count <= descriptors()):
                with _alone(name, options.network) as subject:
                    grown[name].append(_grown(subject, MODES[mode], count, Phase(rate, options.seconds), options.rounds))
                print(f"{count:7}  {name:10} {grown[name][-1].row(grown[name][0])}", flush=True)


@dataclass(frozen=True)
class _Grown:
    costs: list[Cost]
    kib: float

    @property
    def cpu_us(self) -> float:
        return _median(each.cpu_us for each in self.costs)

    def row(self, fewest: _Grown) -> str:
        seen = [each.seen for each in self.costs]
        return (
            f"{self.cpu_us:13.2f} {self.cpu_us / fewest.cpu_us:13.2f} {_median(each.lost for each in seen):8.2%}"
            f" {_median(each.p99_ms for each in seen):8.2f} {self.kib:10.1f}{_doubts(seen)}"
        )


def _grown(subject: Subject, mode: Modes, count: int, phase: Phase, rounds: int) -> _Grown:
    before = subject.memory()
    opened = open_many(subject, mode, count)
    traffic = traffic_of(mode)
    measured(subject, opened, traffic, Phase(4.0 * count, 1.0))
    costs = [measured(subject, opened, traffic, phase) for _ in range(rounds)]
    return _Grown(costs, (subject.memory() - before) / count)


@contextlib.contextmanager
def _alone(name: str, network: Network, *, first: bool = True) -> Iterator[Subject]:
    """A subject of its own, whose memory nobody has grown before."""
    subject = start(name, network, first=first)
    assert subject is not None
    try:
        yield subject
    finally:
        subject.end()


def descriptors() -> int:
    """For relays."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE


def open_many(subject: Subject, mode: Modes, count: int) -> list[Relay]:
    """With rtcp-mux where there are not four descriptors for each: they take them all the same, but after a while only two."""
    if 4 * count <= descriptors():
        return subject.open(count, mode)
    if 2 * count > descriptors():
        sys.exit(f"{count} relays take {2 * count} file descriptors even with rtcp-mux, and {descriptors()} are allowed")
    opened: list[Relay] = []
    while len(opened) < count:
        if more := min(count - len(opened), (descriptors() - 2 * len(opened)) // 4):
            opened += subject.open(more, mode, mux=True)
        time.sleep(MUX_GRACE)
    return opened


def overload(names: Sequence[str], options: argparse.Namespace) -> None:
    """Generator and relay share a CPU, and the generator goes first: what is left to the relay is a fraction of what it would need."""
    name, relays, normal = "RTP-SRTP", 200, 10_000.0
    cpu = cpus()[1]
    print(f"\noverload, {name}, {relays} relays: {OVERLOAD} packets/s for 5 s on the relay's own CPU and before it, then {normal:.0f}")
    print(f"{'subject':10} {'sent to came through':>20} {'then lost in 2 s':>17} {'then in 3 s':>12} {'p99 ms':>8}  directions heard again")
    for subject_name in names:
        with _alone(subject_name, options.network, first=False) as subject:
            opened, traffic = subject.open(relays, MODES[name]), traffic_of(MODES[name])
            phases = [Phase(normal, 1.0), Phase(OVERLOAD, 5.0), Phase(normal, 2.0), Phase(normal, 3.0)]
            flood, settling, after = run(opened, traffic, phases, settle=2.0, cpu=cpu, network=subject.network)[1:]
        print(
            f"{subject_name:10} {flood.sent / max(flood.received, 1):20.1f} {settling.lost:17.1%} {after.lost:12.2%} {after.p99_ms:8.1f}"
            f"  {after.heard} of {2 * relays}",
            flush=True,
        )


def start(name: str, network: Network, *, first: bool = True) -> Subject | None:
    """None: it cannot be had here, and why was said."""
    cpu = cpus()[1]
    if name != "rtpengine":
        return Process(name, cpu, network=network, first=first)
    try:
        return Rtpengine(cpu, network=network, first=first)
    except (FileNotFoundError, RuntimeError) as error:
        print(f"without rtpengine: {error} (Debian: apt-get install rtpengine-daemon)")
        return None


@contextlib.contextmanager
def veth() -> Iterator[Network]:
    """The peers in a network namespace of their own, a pair of virtual Ethernet devices between them and us. Root only."""
    inside, network = "bench-peers", Network("10.99.0", ("ip", "netns", "exec", "bench-peers"))

    def ip(command: str) -> None:
        subprocess.run(["ip", *command.split()], check=True)

    ip(f"netns add {inside}")
    try:
        ip(f"link add bench type veth peer name bench netns {inside}")
        for number in (2, 3, 6, 7, 8, 9):
            ip(f"addr add {network.host(number)}/24 dev bench")
        for host, _ in network.peers:
            ip(f"-n {inside} addr add {host}/24 dev bench")
        ip("link set bench up")
        ip(f"-n {inside} link set bench up")
        yield network
    finally:
        ip(f"netns del {inside}")


PARTS: dict[str, Callable[[Sequence[Subject], argparse.Namespace], None]] = {
    "cost": cost,
    "turnover": turnover,
    "highest": highest,
}
PARTS_ALONE: dict[str, Callable[[Sequence[str], argparse.Namespace], None]] = {"growth": growth, "overload": overload}


def main() -> None:
    options = _options()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    built()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and no daemon stays behind
    with veth() if options.veth else contextlib.nullcontext(LOOPBACK) as options.network:
        _measure(options)


def _measure(options: argparse.Namespace) -> None:
    subjects = [subject for name in options.subjects if (subject := start(name, options.network))]
    try:
        for part in options.parts:
            if part in PARTS:
                PARTS[part](subjects, options)
    finally:
        for subject in subjects:
            subject.end()
    for part in options.parts:
        if part in PARTS_ALONE:
            PARTS_ALONE[part]([subject.name for subject in subjects], options)


def _options() -> argparse.Namespace:
    def words(text: str) -> list[str]:
        return text.split(",")

    def numbers(text: str) -> list[int]:
        return [int(word) for word in words(text)]

    parser = argparse.ArgumentParser(description="cost of relaying")
    parser.add_argument("--parts", type=words, default=[*PARTS, *PARTS_ALONE])
    parser.add_argument("--subjects", type=words, default=["native", "portable", "rtpengine"])
    parser.add_argument("--modes", type=words, default=list(MODES))
    parser.add_argument("--rates", type=numbers, default=[10_000, 50_000, 80_000], help="packets a second, all relays and both directions")
    parser.add_argument("--relays", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--veth", action="store_true", help="the peers in a network namespace of their own, not on loopback (root)")
    parser.add_argument("--growth", type=numbers, default=GROWTH, help="relays open")
    return parser.parse_args()


if __name__ == "__main__":
    main()
