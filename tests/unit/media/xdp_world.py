"""The engine in C with XDP, and its peers in another network namespace behind a pair of virtual Ethernet devices. Needs root.

The addresses are those of the other worlds: with `route_localnet` 127.0.0.0/8 is a network like any other.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import uvloop

from media.api import Interface, MediaEngine, Packets
from media.native.engine import NativeEngine
from media.native.tiers import Express
from sbc.frozen import replace
from tests.interop.namespaces import Namespace, enter
from tests.unit.media.worlds import Arrival, NativeWorld, Peer, SocketPeer

OURS = ("127.0.0.2", "127.0.0.3", "127.0.0.4")
THEIRS = tuple(f"127.0.0.{number}" for number in (10, 11, 12, 13, 20, 21, 30, 66, 77, 99))
SYSCTLS = ("ipv4/conf/all/route_localnet", "ipv4/conf/default/route_localnet")

PATIENCE = 0.25  # seconds for flows to be taken up; some never are, for nobody is where they lead
SWEEPS = 0.008


@dataclass(frozen=True)
class Cable:
    """The engine's namespace and that of its peers. Who sends makes the checksums: else there are none on such a wire."""

    near: Namespace
    far: Namespace

    def link(self, name: str) -> str:
        """Another pair between the two, called so at both ends, up and with checksums."""
        queues = "numrxqueues 2 numtxqueues 2"
        text = f"link add {name} {queues} type veth peer name {name} {queues} netns {self.far.holder.pid}\n"
        self.near.run(["ip", "-batch", "-"], text=text)
        for namespace in (self.near, self.far):
            namespace.run(["ethtool", "-K", name, "tx", "off"])
            namespace.run(["ip", "link", "set", name, "up"])
        with passing_program() as program:  # with one it takes what the driver's XDP sends
            self.far.run(["ip", "link", "set", name, "xdp", "obj", program, "sec", "xdp"])
        return name


@contextlib.contextmanager
def passing_program() -> Iterator[Path]:
    """An XDP program that leaves everything to the stack."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "pass.o"
        source = '__attribute__((section("xdp"), used)) int somebodys(void *frame) { return 2; }'
        subprocess.run(["clang", "-target", "bpf", "-O2", "-g", "-x", "c", "-c", "-", "-o", made], input=source, text=True, check=True)
        yield made


@contextlib.contextmanager
def cable() -> Iterator[Cable]:
    near, far = Namespace.create("engine"), Namespace.create("peers")
    try:
        for namespace in (near, far):
            namespace.within(allow_loopback_addresses)
            namespace.run(["ip", "-batch", "-"], text="link set lo up\naddr del 127.0.0.1/8 dev lo\n")
        made = Cable(near, far)
        made.link("wire")
        near.run(["ip", "-batch", "-"], text=addresses("wire", OURS, "fd99::1"))
        far.run(["ip", "-batch", "-"], text=addresses("wire", THEIRS, "fd99::2"))
        yield made
    finally:
        near.close()
        far.close()


def addresses(device: str, ipv4: tuple[str, ...], ipv6: str) -> str:
    """For `ip -batch`."""
    lines = [f"addr add {each}/24 dev {device}" for each in ipv4]
    return "\n".join([*lines, f"addr add {ipv6}/64 dev {device} nodad", ""])


def allow_loopback_addresses() -> None:
    for name in SYSCTLS:
        Path(f"/proc/sys/net/{name}").write_text("1")


class XdpEngine(NativeEngine):
    """Wants XDP wherever it is."""

    def provide(self, interfaces: Mapping[str, Interface]) -> None:
        super().provide({name: replace(each, packets=Packets.XDP) for name, each in interfaces.items()})


class PatientPeer(SocketPeer):
    """Sends when the packets before have changed what they change: then every packet takes the way it is meant to."""

    def __init__(self, made: socket.socket, host: str, port: int, settle: Callable[[], None]) -> None:
        super().__init__(made, host, port)
        self._settle = settle

    def send(self, packet: bytes, to: tuple[str, int]) -> None:
        self._settle()
        super().send(packet, to)


class XdpWorld(NativeWorld):
    ours6, theirs6, theirs6_put_oddly = "fd99::1", "fd99::2", "fd99:0::2"

    def __init__(self, made: Cable, express: Express, *, workers: int = 1, sweep_every: float = 0.002) -> None:
        self.cable = made
        self._express = express
        self._workers = workers
        self._sweep_every = sweep_every
        self._settled = False
        self._home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        made.near.enter()
        super().__init__(uvloop.new_event_loop)

    def _build(self) -> MediaEngine:
        engine = XdpEngine(self._loop, workers=self._workers, clock=lambda: self._now, sweep_every=self._sweep_every, express=self._express)
        engine.set_clock(self._now)
        return engine

    def _socket(self, family: socket.AddressFamily) -> socket.socket:
        return self.cable.far.socket(socket.SOCK_DGRAM, family)

    def _peer(self, made: socket.socket, host: str, port: int) -> Peer:
        return PatientPeer(made, host, port, self.settle)

    def expect(self, peer: Peer, count: int = 1) -> list[Arrival]:
        self._settled = False
        return super().expect(peer, count)

    def settle(self) -> None:
        """Every direction that will be, is out of the engine's hands."""
        if self._settled:
            return
        self._settled = True
        deadline = time.monotonic() + PATIENCE
        time.sleep(SWEEPS)
        while self.engine.express.flows()[2] and time.monotonic() < deadline:
            time.sleep(SWEEPS / 4)

    def end(self) -> None:
        super().end()
        self.leave()

    def leave(self) -> None:
        """Home again; once more does nothing."""
        if self._home >= 0:
            enter(self._home)
            os.close(self._home)
            self._home = -1
