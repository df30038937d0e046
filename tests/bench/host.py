"""What relaying costs a host: CPU of everything that has to do with a packet between two hosts, the kernel's part of receiving it included.

    python -m tests.bench.host --modes RTP-RTP,RTP-SRTP --rates 50000 --rounds 3
    python -m tests.bench.host --modes RTP-SRTP --rates 50000 --subjects xdp --relays 100,9900     # by rtcp-mux, as descriptors get scarce

The peers are in a network namespace behind a pair of virtual Ethernet devices, where an XDP program takes packets off the wire as they
arrive. Counted is the CPU of the relay's process, of the generator's, for the kernel receives in whoever sends, and of the kernel's threads
for it; less what the generator costs when the same packets are taken off the wire on our side. So nothing of the peers is in the figures.
Root, and a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.media import MODES, WARM_UP, can, open_many, ratio, start, traffic_of, veth
from tests.bench.packets import ROOT, Network, Phase, Relay, Traffic, cpus, run
from tests.bench.relays import Modes, Subject

LINK = "bench"
NOBODY = 8  # an address of ours where nothing listens
TAKEN_UP = 2.5  # seconds after the first packets until XDP has the streams


def sink() -> Path:
    """The compiled program. CalledProcessError after the compiler's words."""
    made = ROOT / "build" / "sink.o"
    made.parent.mkdir(exist_ok=True)
    machine = subprocess.run(["gcc", "-print-multiarch"], capture_output=True, text=True, check=True).stdout.strip()
    source = Path(__file__).with_name("sink.bpf.c")
    subprocess.run(["clang", "-target", "bpf", "-O2", "-g", f"-I/usr/include/{machine}", "-c", source, "-o", made], check=True)
    return made


@contextlib.contextmanager
def taking(within: tuple[str, ...] = ()) -> Iterator[None]:
    """At that end of the wire."""
    subprocess.run([*within, "ip", "link", "set", LINK, "xdp", "obj", sink(), "sec", "xdp"], check=True)
    try:
        yield
    finally:
        subprocess.run([*within, "ip", "link", "set", LINK, "xdp", "off"], check=True)


def taken(within: tuple[str, ...] = ()) -> int:
    told = subprocess.run([*within, "ethtool", "-S", LINK], capture_output=True, text=True, check=True).stdout
    return sum(int(line.split()[-1]) for line in told.splitlines() if "xdp_drops" in line and "rx_queue" in line)


def kernel_threads() -> float:
    """CPU seconds of those that receive when nobody else does."""
    total = 0
    for comm in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):
            if comm.read_text().startswith("ksoftirqd"):
                total += int(comm.with_name("schedstat").read_text().split()[0])
    return total / 1e9


def nothing(network: Network, relays: int, phase: Phase) -> float:
    """CPU microseconds a packet of the generator alone."""
    ports = [Relay(((network.host(NOBODY), 4 * each + 2048), (network.host(NOBODY), 4 * each + 2050))) for each in range(relays)]
    with taking():
        before = kernel_threads()
        (seen,) = run(ports, Traffic((None, None)), [phase], cpu=cpus()[0], network=network)
        return (seen.generator_cpu + kernel_threads() - before) / seen.sent * 1e6


def something(subject: Subject, mode: Modes, relays: int, phase: Phase) -> tuple[float, float]:
    """The same with relays between, and how many packets were lost."""
    opened, traffic, network = open_many(subject, mode, relays), traffic_of(mode), subject.network
    run(opened, traffic, [Phase(WARM_UP.rate, WARM_UP.seconds * max(1, relays // 200))], cpu=cpus()[0], network=network)
    time.sleep(TAKEN_UP)
    cpu, arrived = subject.cpu() + kernel_threads(), taken(network.within)
    (seen,) = run(opened, traffic, [phase], cpu=cpus()[0], network=network)
    spent = subject.cpu() + kernel_threads() - cpu + seen.generator_cpu
    arrived = taken(network.within) - arrived
    subject.close()
    return (spent / arrived * 1e6 if arrived else float("nan")), 1 - arrived / seen.sent


def main() -> None:
    options = _options()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print(f"{'mode':10} {'packets/s':>9} {'relays':>7}  {'subject':12} {'host CPU us/packet':>18} {'lost':>8}  to rtpengine")
    with veth() as network, taking(network.within):
        for end in ((), network.within):
            subprocess.run([*end, "ethtool", "-K", LINK, "tx", "off"], capture_output=True, check=True)
        for name in options.modes:
            for rate in options.rates:
                for relays in options.relays:
                    _measure(options, network, name, rate, relays)


def _measure(options: argparse.Namespace, network: Network, mode: str, rate: int, relays: int) -> None:
    phase = Phase(rate, options.seconds)
    costs: dict[str, list[float]] = {name: [] for name in options.subjects}
    lost: dict[str, list[float]] = {name: [] for name in options.subjects}
    for _ in range(options.rounds):
        generator = nothing(network, relays, phase)
        for name in options.subjects:
            subject = start(name, network)
            if subject is None:
                continue
            try:
                if can(subject, MODES[mode]):
                    cost, share = something(subject, MODES[mode], relays, phase)
                    costs[name].append(cost - generator)
                    lost[name].append(share)
            finally:
                subject.end()
    theirs = costs.get("rtpengine")
    for name, values in costs.items():
        if values:
            beside = f"{ratio(values, theirs):12.2f}" if theirs else ""
            figures = f"{statistics.median(values):18.2f} {statistics.median(lost[name]):8.2%}  {beside}"
            print(f"{mode:10} {rate:9} {relays:7}  {name:12} {figures}", flush=True)


def _options() -> argparse.Namespace:
    def words(text: str) -> list[str]:
        return text.split(",")

    def numbers(text: str) -> list[int]:
        return [int(word) for word in words(text)]

    parser = argparse.ArgumentParser(description="cost of relaying for the host")
    parser.add_argument("--subjects", type=words, default=["native", "xdp", "rtpengine"])
    parser.add_argument("--modes", type=words, default=["RTP-RTP", "RTP-SRTP", "SRTP-SRTP"])
    parser.add_argument("--rates", type=numbers, default=[50_000, 80_000])
    parser.add_argument("--relays", type=numbers, default=[200])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()
