"""Hosts of our own: network namespaces joined by switches, so that every peer has an address, a loopback and ports of its own.

    switch ── outside 10.99.1.0/24, fd99:1::/64 ── sbc .1, phone .2, attacker .9
           └─ inside  10.99.2.0/24, fd99:2::/64 ── sbc .1, carrier .2

A namespace lives as long as its holder, a process that reads a pipe of ours: however the tests end, the namespaces go too.
They have no names in the file system, so nothing can be left behind and test processes never meet.
Needs root.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

CLONE_NEWNET = 0x40000000  # sched.h
HOLDER_TIMEOUT = 5.0  # seconds for `unshare` to do its work


@dataclass(frozen=True)
class Link:
    """An interface of a host; its other end sits in the switch, on the bridge called like `network`."""

    network: str
    ipv4: str
    ipv6: str


TOPOLOGY: Mapping[str, Sequence[Link]] = {
    "sbc": (Link("outside", "10.99.1.1", "fd99:1::1"), Link("inside", "10.99.2.1", "fd99:2::1")),
    "phone": (Link("outside", "10.99.1.2", "fd99:1::2"),),
    "attacker": (Link("outside", "10.99.1.9", "fd99:1::9"),),
    "carrier": (Link("inside", "10.99.2.2", "fd99:2::2"),),
}


@dataclass
class Namespace:
    """One host. Everything started in it is killed by the kernel when the test process dies."""

    name: str
    holder: subprocess.Popen[bytes]
    links: Sequence[Link] = ()
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @classmethod
    def create(cls, name: str, links: Sequence[Link] = ()) -> Namespace:
        holder = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        ours = os.stat("/proc/self/ns/net").st_ino
        deadline = time.monotonic() + HOLDER_TIMEOUT
        while os.stat(f"/proc/{holder.pid}/ns/net").st_ino == ours:
            if holder.poll() is not None or time.monotonic() > deadline:
                holder.kill()
                raise RuntimeError(f"cannot make a network namespace for {name}: root is needed")
            time.sleep(0.005)
        return cls(name, holder, links)

    @property
    def address(self) -> str:
        return self.links[0].ipv4

    @property
    def address6(self) -> str:
        return self.links[0].ipv6

    def start(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: int = subprocess.DEVNULL,
    ) -> subprocess.Popen[bytes]:
        """Start `command` here, output to the file `log`. Its pid is that of the command itself."""
        with log.open("ab") as output:
            process = subprocess.Popen(
                [*self._enter(), *map(str, command)],
                stdin=stdin,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env={**os.environ, **(env or {})},
            )
        self.started.append(process)
        return process

    def run(self, command: Sequence[str | Path], *, timeout: float = 30.0, text: str = "") -> str:
        """Run `command` here to its end and return what it printed. Raises CalledProcessError."""
        return subprocess.run(
            [*self._enter(), *map(str, command)], input=text, capture_output=True, text=True, timeout=timeout, check=True
        ).stdout

    def within(self, action: Callable[[], T]) -> T:
        """Do `action` as this host: what it opens or starts belongs here. The test itself stays where it is."""

        def act() -> T:
            self.enter()
            return action()

        with ThreadPoolExecutor(1) as thread:  # which ends here
            return thread.submit(act).result()

    def enter(self) -> None:
        """The calling thread is here from now on."""
        with open(f"/proc/{self.holder.pid}/ns/net", "rb") as namespace:
            enter(namespace.fileno())

    def socket(self, kind: socket.SocketKind, family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
        """A socket of this host."""
        return self.within(lambda: socket.socket(family, kind))

    def close(self) -> None:
        """Kill what still runs here, then let go of the namespace."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.wait()
        if self.holder.stdin is not None:
            self.holder.stdin.close()
        self.holder.wait()

    def _enter(self) -> list[str]:
        # pdeathsig: a killed test run takes its servers along. nsenter, not `ip netns exec`: no mounts needed.
        return ["setpriv", "--pdeathsig", "KILL", "nsenter", f"--net=/proc/{self.holder.pid}/ns/net"]


def enter(namespace: int) -> None:
    """The calling thread, and no other, goes to the network namespace of that descriptor."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


@dataclass(frozen=True)
class Lab:
    """The hosts of TOPOLOGY, cabled and addressed."""

    switch: Namespace
    sbc: Namespace
    phone: Namespace
    attacker: Namespace
    carrier: Namespace

    @property
    def outside(self) -> str:
        """The SBC's address towards phones and attackers."""
        return self.sbc.links[0].ipv4

    @property
    def inside(self) -> str:
        """The SBC's address towards the carrier."""
        return self.sbc.links[1].ipv4


@contextlib.contextmanager
def lab() -> Iterator[Lab]:
    with contextlib.ExitStack() as stack:

        def create(name: str, links: Sequence[Link] = ()) -> Namespace:
            namespace = Namespace.create(name, links)
            stack.callback(namespace.close)
            return namespace

        switch = create("switch")
        hosts = {name: create(name, links) for name, links in TOPOLOGY.items()}
        networks = sorted({link.network for links in TOPOLOGY.values() for link in links})
        switch.run(["ip", "-batch", "-"], text="".join(f"link add {n} type bridge\nlink set {n} up\n" for n in networks))
        for host in hosts.values():
            _cable(switch, host)
        yield Lab(switch, **hosts)


def _cable(switch: Namespace, host: Namespace) -> None:
    plugs, addresses = "", "link set lo up\n"
    for link in host.links:
        port = f"{host.name}-{link.network[:3]}"  # names of interfaces end at 15 characters
        plugs += f"link add {port} type veth peer name {link.network} netns {host.holder.pid}\n"
        plugs += f"link set {port} master {link.network} up\n"
        addresses += f"link set {link.network} up\n"
        addresses += f"addr add {link.ipv4}/24 dev {link.network}\n"
        addresses += f"addr add {link.ipv6}/64 dev {link.network} nodad\n"
    if host.name != "sbc":  # some phones refuse to work without a default route
        addresses += f"route add default via {host.address.rpartition('.')[0]}.1\n"
    switch.run(["ip", "-batch", "-"], text=plugs)
    host.run(["ip", "-batch", "-"], text=addresses)
