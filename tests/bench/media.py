"""CPU of the portable media engine: per relayed packet and per relay, on loopback. `python -m tests.bench.media`.

The packets come from a process of its own, 50 a second and direction, SRTP protected beforehand. The CPU counted is that of
the process with the engine, and on loopback includes the kernel's work of delivering to the receiver.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import select
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection

import uvloop

from media.api import Address, Interface, Keys, SideSpec, Suite
from media.keys import Outbound
from media.portable import PortableEngine

RATE = 50
PAYLOAD = bytes(160)
NEAR = {"a": Interface("127.0.0.2", 20000, 39999), "b": Interface("127.0.0.3", 20000, 39999)}
PEERS = "127.0.0.4", "127.0.0.5"
CM_80 = Keys(Suite.AES_CM_128_HMAC_SHA1_80, bytes(range(30)))
CM_32 = Keys(Suite.AES_CM_128_HMAC_SHA1_32, bytes(range(30, 60)))
GCM = Keys(Suite.AEAD_AES_128_GCM, bytes(range(28)))
MODES: dict[str, tuple[Keys | None, Keys | None]] = {
    "RTP - RTP": (None, None),
    "RTP - SRTP": (None, CM_80),
    "SRTP - SRTP": (CM_80, CM_32),
    "SRTP - SRTP, GCM": (GCM, CM_80),
}


@dataclass(frozen=True)
class Run:
    """What the generator shall do: `targets[i]` is where the i-th of its sockets sends, protected with `keys[i % 2]`."""

    targets: list[Address]
    keys: tuple[Keys | None, Keys | None]
    seconds: float


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=3.0)
    arguments.add_argument("--flows", type=int, default=100)
    chosen = arguments.parse_args()
    print(f"{'loop':8} {'mode':18} {'packets':>8} {'us/packet':>10} {'lost':>7}")
    loops: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}
    for name, loop in loops.items():
        for mode, keys in MODES.items():
            with asyncio.Runner(loop_factory=loop) as runner:
                count, microseconds, lost = runner.run(relay(keys, chosen.flows, chosen.seconds))
            print(f"{name:8} {mode:18} {count:8} {microseconds:10.1f} {lost:7.2%}")
    print(f"\n{'open + update + close':27} {'us/relay':>10}")
    for mode, keys in MODES.items():
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            print(f"{mode:27} {runner.run(turnover(keys)):10.1f}")


async def relay(keys: tuple[Keys | None, Keys | None], flows: int, seconds: float) -> tuple[int, float, float]:
    """Packets relayed, CPU microseconds per packet, share of packets that did not arrive."""
    loop = asyncio.get_running_loop()
    engine = PortableEngine(loop)
    engine.provide(NEAR)
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=generate, args=(theirs, flows), daemon=True)
    process.start()
    try:
        peers: list[Address] = await loop.run_in_executor(None, ours.recv)
        targets: list[Address] = []
        for flow in range(flows):
            ports = engine.open(str(flow), "a", "b")
            engine.update(str(flow), *(spec(peer, key) for peer, key in zip(peers[2 * flow : 2 * flow + 2], keys, strict=True)))
            targets += ports.a, ports.b
        ours.send(Run(targets, keys, seconds))
        await loop.run_in_executor(None, ours.recv)  # everything is protected and ready to go
        before = time.process_time()
        sent, received = await loop.run_in_executor(None, ours.recv)
        spent = time.process_time() - before
    finally:
        engine.shutdown()
        process.join(10)
    return received, spent / max(received, 1) * 1e6, 1 - received / sent


async def turnover(keys: tuple[Keys | None, Keys | None], relays: int = 400) -> float:
    """CPU microseconds of one relay's opening, update and closing, while 200 others are open."""
    engine = PortableEngine(asyncio.get_running_loop())
    engine.provide(NEAR)
    for number in range(200):
        engine.open(f"open {number}", "a", "b")
    sides = [spec((peer, 4000), key) for peer, key in zip(PEERS, keys, strict=True)]
    before = time.process_time()
    for number in range(relays):
        engine.open(str(number), "a", "b")
        engine.update(str(number), sides[0], sides[1])
        engine.close(str(number))
    spent = time.process_time() - before
    engine.shutdown()
    return spent / relays * 1e6


def spec(remote: Address, keys: Keys | None) -> SideSpec:
    rtcp = remote[0], remote[1] + 1
    return SideSpec(
        remote=remote,
        remote_rtcp=rtcp,
        receive_keys=keys,
        send_keys=keys,
        payload_types={8: 8, 0: 0, 101: 101},
        clock_rates={8: 8000, 0: 8000, 101: 8000},
        silence=60.0,
    )


def generate(control: Connection, flows: int) -> None:
    """The other process: even sockets are the peers of the A sides, odd ones those of the B sides."""
    sockets = []
    for number in range(2 * flows):
        peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        peer.bind((PEERS[number % 2], 0))
        sockets.append(peer)
    control.send([peer.getsockname() for peer in sockets])
    run: Run = control.recv()
    ticks = [protected(run, number, len(sockets)) for number in range(len(sockets))]
    poll = select.epoll()
    for peer in sockets:
        poll.register(peer.fileno(), select.EPOLLIN)
    by_descriptor = {peer.fileno(): peer for peer in sockets}
    control.send("ready")
    received = 0
    start = time.monotonic()
    order = [(round_ + number / len(sockets), number, round_) for round_ in range(len(ticks[0])) for number in range(len(sockets))]
    for when, number, round_ in order:
        while (wait := start + when / RATE - time.monotonic()) > 0:
            received += drain(poll, by_descriptor, min(wait, 0.001))
        sockets[number].sendto(ticks[number][round_], run.targets[number])
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        received += drain(poll, by_descriptor, 0.01)
    control.send((len(order), received))


def drain(poll: select.epoll, sockets: dict[int, socket.socket], wait: float) -> int:
    events = poll.poll(wait, 256)
    for descriptor, _ in events:
        sockets[descriptor].recv(2048)
    return len(events)


def protected(run: Run, number: int, total: int) -> list[bytes]:
    """One socket's packets, ready to send."""
    keys = run.keys[number % 2]
    context = Outbound(keys) if keys else None
    ssrc = int.from_bytes(os.urandom(4), "big")
    packets = [struct.pack("!BBHII", 0x80, 8, round_, 160 * round_, ssrc) + PAYLOAD for round_ in range(int(run.seconds * RATE))]
    return [context.rtp(packet) for packet in packets] if context else packets


if __name__ == "__main__":
    main()
