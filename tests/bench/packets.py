"""RTP through relays, and what came out of them: `packets.c` does it, this says what and reads the result."""

from __future__ import annotations

import json
import os
import random
import struct
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from media.api import Address, Keys
from media.keys import Refused
from media.native.keys import Inbound, Outbound

ROOT = Path(__file__).parents[2]
SOURCE = Path(__file__).with_suffix(".c")
PAYLOAD_TYPE = 8
OCTETS = 160  # 20 ms of G.711
LAST_SEQUENCE = 0xFFFF  # of a stream of ours: none goes round, so that a sample can be decrypted by itself
TICK = 200  # microseconds between looks at what is due: packets of different calls do not arrive in bunches


@dataclass(frozen=True)
class Network:
    """Where everybody is. `within`: the command that runs others where the peers' addresses are."""

    prefix: str = "127.0.0"
    within: tuple[str, ...] = ()

    def host(self, number: int) -> str:
        return f"{self.prefix}.{number}"

    @property
    def peers(self) -> tuple[Address, Address]:
        """All peers of a side have one address."""
        return (self.host(4), 4000), (self.host(5), 4000)


LOOPBACK = Network()


@dataclass(frozen=True)
class Relay:
    """A relay under test: where its peers send to, side A first, and what it protects with towards them."""

    ports: tuple[Address, Address]
    sends: tuple[Keys | None, Keys | None] = (None, None)


@dataclass(frozen=True)
class Phase:
    """Packets a second over all relays and both directions, for so many seconds."""

    rate: float
    seconds: float


@dataclass(frozen=True)
class Seen:
    """What the sink saw of one phase. Delays are milliseconds; `behind_ms` is by how much the generator was late at worst.

    `heard` are the endpoints something arrived at. `verified` packets were decrypted and are octet for octet what was sent; `broken` not.
    """

    sent: int
    received: int
    heard: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    behind_ms: float
    strangers: int
    twice: int
    generator_cpu: float
    verified: int = 0
    broken: int = 0

    @property
    def lost(self) -> float:
        return 1 - self.received / self.sent


class Traffic:
    """The packets of all peers. Those of one side send the same: every relay has its own SRTP context, which sees each index once."""

    def __init__(self, keys: tuple[Keys | None, Keys | None]) -> None:
        self.keys = keys
        self._contexts = [Outbound(key) if key else None for key in keys]
        self._next = 1

    def take(self, rounds: int) -> tuple[int, list[list[bytes]]]:
        """The first sequence number, and `rounds` packets of either side. ValueError when there are no more."""
        first, self._next = self._next, self._next + rounds
        if self._next > LAST_SEQUENCE:
            raise ValueError("these relays have had all their packets")
        plain = [[packet(side, sequence) for sequence in range(first, first + rounds)] for side in (0, 1)]
        return first, [
            [context.rtp(each) for each in some] if context else some for context, some in zip(self._contexts, plain, strict=True)
        ]


def packet(side: int, sequence: int) -> bytes:
    """RTP of 172 octets from a peer of that side."""
    header = struct.pack("!BBHII", 0x80, PAYLOAD_TYPE, sequence, OCTETS * sequence, 0xA0 + side)
    return header + struct.pack("!I", sequence * 2654435761 % 2**32) * (OCTETS // 4)


def built() -> Path:
    """The compiled generator. CalledProcessError after the compiler's words, FileNotFoundError without a compiler."""
    program = ROOT / "build" / "packets"
    if not program.exists() or program.stat().st_mtime < SOURCE.stat().st_mtime:
        program.parent.mkdir(exist_ok=True)
        subprocess.run(["gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-o", str(program), str(SOURCE)], check=True)
    return program


def run(
    relays: Sequence[Relay],
    traffic: Traffic,
    phases: Sequence[Phase],
    *,
    settle: float = 0.5,
    cpu: int = -1,
    network: Network = LOOPBACK,
) -> list[Seen]:
    """One result a phase, whose last packets get `settle` seconds to arrive. RuntimeError when the generator fails."""
    endpoints = 2 * len(relays)
    rounds = -(-sum(int(phase.rate * phase.seconds) for phase in phases) // endpoints)
    first, packets = traffic.take(rounds)
    order = list(range(endpoints))
    random.Random(1).shuffle(order)
    numbers = [endpoints, rounds, len(phases), first, *(len(some[0]) for some in packets)]
    numbers += [*(_number(host) for host, _ in network.peers), *(port for _, port in network.peers), TICK, int(settle * 1e6)]
    head = struct.pack("<12IiI", *numbers, cpu, 0)
    targets = [each for relay in relays for host, port in relay.ports for each in (_number(host), port)]
    body = struct.pack(f"<{endpoints}I{2 * endpoints}I", *order, *targets)
    body += b"".join(struct.pack("<2d", phase.rate, phase.seconds) for phase in phases)
    with tempfile.TemporaryDirectory() as name:
        plan, samples = Path(name) / "plan", Path(name) / "samples"
        plan.write_bytes(head + body + b"".join(b"".join(some) for some in packets))
        command = [*network.within, str(built()), str(plan), str(samples)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, start_new_session=True)
        if done.returncode:
            raise RuntimeError(f"the generator failed: {done.stderr}")
        good, bad = _verify(relays, first, _samples(samples.read_bytes()))
    return [Seen(**json.loads(line), verified=good, broken=bad) for line in done.stdout.splitlines()]


def _number(host: str) -> int:
    return int.from_bytes(bytes(int(part) for part in host.split(".")), "big")


def _samples(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Sender, round, octets."""
    at = 0
    while at < len(data):
        sender, round_, size = struct.unpack_from("<3I", data, at)
        yield sender, round_, data[at + 12 : at + 12 + size]
        at += 12 + size


def _verify(relays: Sequence[Relay], first: int, samples: Iterator[tuple[int, int, bytes]]) -> tuple[int, int]:
    contexts: dict[int, Inbound | None] = {}
    verified = broken = 0
    for sender, round_, data in samples:
        if sender not in contexts:
            keys = relays[sender // 2].sends[1 - sender % 2]
            contexts[sender] = Inbound(keys) if keys else None
        context = contexts[sender]
        try:
            plain = context.rtp(data) if context else data
        except Refused:
            plain = b""
        if plain == packet(sender % 2, first + round_):
            verified += 1
        else:
            broken += 1
    return verified, broken


def cpus() -> tuple[int, int]:
    """One for the generator, one for what is measured; -1, -1: there is only one."""
    allowed = sorted(os.sched_getaffinity(0))
    return (allowed[0], allowed[1]) if len(allowed) > 1 else (-1, -1)
