"""A media engine of ours in a process of its own, so that its CPU and memory are its alone.

`python -m tests.bench.relays native` is that process: one JSON command a line in, one answer a line out.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import uvloop

from media.api import Interface, Keys, MediaEngine, Packets, SideSpec, Suite
from media.native.engine import NativeEngine
from media.native.tiers import Express
from media.portable import PortableEngine
from tests.bench.packets import LOOPBACK, PAYLOAD_TYPE, ROOT, Network, Relay
from tests.bench.process import usage

Modes = tuple[Suite | None, Suite | None]  # what the peers of either side protect with
OURS = {"native": (2, 3), "portable": (6, 7), "xdp": (2, 3)}  # hosts of the network, facing the peers of side A and of side B
PORTS = 2048, 65535
ENGINES: dict[str, Callable[[asyncio.AbstractEventLoop], MediaEngine]] = {
    "native": NativeEngine,
    "portable": PortableEngine,
    "xdp": lambda loop: NativeEngine(loop, express=Express(native_pairs=True)),
}


def peer_keys(suite: Suite | None) -> Keys | None:
    """What the peers with that suite protect with."""
    return Keys(suite, bytes(range(suite.key_length))) if suite else None


def our_keys(suite: Suite | None) -> Keys | None:
    return Keys(suite, bytes(range(100, 100 + suite.key_length))) if suite else None


class Subject(Protocol):
    """What is measured: a process with relays."""

    name: str
    network: Network
    suites: frozenset[Suite]

    def open(self, count: int, mode: Modes, *, mux: bool = False) -> list[Relay]:
        """So many more relays."""
        ...

    def turnover(self, count: int, mode: Modes) -> float:
        """CPU seconds of the subject for opening, updating and closing one relay, the mean of `count`."""
        ...

    def close(self) -> None:
        """All relays."""
        ...

    def cpu(self) -> float:
        """Seconds so far, of all threads."""
        ...

    def memory(self) -> float:
        """Resident KiB."""
        ...

    def end(self) -> None: ...


class Process:
    """An engine of ours, reached over its standard input and output."""

    def __init__(self, engine: str, cpu: int = -1, *, network: Network = LOOPBACK, first: bool = True) -> None:
        """`first`: before other work of this machine."""
        self.name = engine
        self.network = network
        self.suites = PORTABLE_SUITES if engine == "portable" else frozenset(Suite)
        command = [
            sys.executable,
            "-m",
            "tests.bench.relays",
            engine,
            "--cpu",
            str(cpu),
            "--network",
            network.prefix,
            *(["--first"] if first else []),
        ]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        self._ask("hello")

    def open(self, count: int, mode: Modes, *, mux: bool = False) -> list[Relay]:
        near, away = (self.network.host(number) for number in OURS[self.name])
        sends = our_keys(mode[0]), our_keys(mode[1])
        ports = self._ask("open", count=count, mode=mode, mux=mux)
        return [Relay(((near, a), (away, b)), sends) for a, b in ports]

    def turnover(self, count: int, mode: Modes) -> float:
        return float(self._ask("turnover", count=count, mode=mode))

    def close(self) -> None:
        self._ask("close")

    def cpu(self) -> float:
        return usage(self._process.pid).cpu

    def memory(self) -> float:
        return usage(self._process.pid).memory * 1024

    def end(self) -> None:
        self._process.communicate(timeout=20)  # the end of its input is its end

    def _ask(self, what: str, **how: object) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": what, **how}) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the process with the {self.name} engine ended with {self._process.wait()}")
        return json.loads(answer)


PORTABLE_SUITES = frozenset((Suite.AES_CM_128_HMAC_SHA1_80, Suite.AES_CM_128_HMAC_SHA1_32, Suite.AEAD_AES_128_GCM, Suite.AEAD_AES_256_GCM))


def sides(mode: Modes, network: Network, *, mux: bool = False) -> tuple[SideSpec, SideSpec]:
    near, away = (
        SideSpec(
            remote=peer,
            remote_rtcp=None if mux else (peer[0], peer[1] + 1),
            rtcp_mux=mux,
            receive_keys=peer_keys(suite),
            send_keys=our_keys(suite),
            payload_types={PAYLOAD_TYPE: PAYLOAD_TYPE, 0: 0, 101: 101},
            clock_rates={PAYLOAD_TYPE: 8000, 0: 8000, 101: 8000},
            silence=3600.0,
        )
        for peer, suite in zip(network.peers, mode, strict=True)
    )
    return near, away


class _Server:
    def __init__(self, engine: MediaEngine, network: Network) -> None:
        self._engine = engine
        self._network = network
        self._names = 0
        self._open: list[str] = []

    def do(self, command: dict[str, Any]) -> object:
        match command.pop("do"):
            case "open":
                return self._open_more(**command)
            case "turnover":
                return self._turnover(**command)
            case "close":
                for name in self._open:
                    self._engine.close(name)
                self._open.clear()
        return None

    def _open_more(self, count: int, mode: list[str | None], mux: bool) -> list[tuple[int, int]]:
        specs = sides(_mode(mode), self._network, mux=mux)
        opened = []
        for _ in range(count):
            self._names += 1
            name = str(self._names)
            ports = self._engine.open(name, "a", "b")
            self._engine.update(name, *specs)
            self._open.append(name)
            opened.append((ports.a[1], ports.b[1]))
        return opened

    def _turnover(self, count: int, mode: list[str | None]) -> float:
        a, b = sides(_mode(mode), self._network)
        before = time.process_time()
        for number in range(count):
            name = f"turnover {number}"
            self._engine.open(name, "a", "b")
            self._engine.update(name, a, b)
            self._engine.close(name)
        return (time.process_time() - before) / count


def _mode(names: list[str | None]) -> Modes:
    a, b = (Suite(name) if name else None for name in names)
    return a, b


async def _serve(name: str, network: Network) -> None:
    loop = asyncio.get_running_loop()
    engine = ENGINES[name](loop)
    near, away = OURS[name]
    packets = Packets.XDP if name == "xdp" else Packets.SOCKETS
    engine.provide({"a": Interface(network.host(near), *PORTS, packets), "b": Interface(network.host(away), *PORTS, packets)})
    for tier in engine.tiers().values():
        if tier.problem:
            sys.exit(tier.problem)
    server = _Server(engine, network)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(server.do(json.loads(line))), flush=True)
    engine.shutdown()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("engine", choices=sorted(ENGINES))
    arguments.add_argument("--cpu", type=int, default=-1)
    arguments.add_argument("--network", default=LOOPBACK.prefix)
    arguments.add_argument("--first", action="store_true")
    chosen = arguments.parse_args()
    if chosen.cpu >= 0:
        os.sched_setaffinity(0, {chosen.cpu})
    if chosen.first:
        prefer()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(chosen.engine, Network(chosen.network)))


def prefer() -> None:
    """Before other work on this machine, where we may: the same for everybody who is measured.

    The scheduler may share the machine out by sessions first (autogroup): who leads one asks for it as well.
    """
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, -20)
        if os.getsid(0) == os.getpid():
            Path("/proc/self/autogroup").write_text("-20")


if __name__ == "__main__":
    main()
