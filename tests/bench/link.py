"""A link under the load of many calls on a bad path: what is lost and late, what is thought of it, and CPU: `python -m tests.bench.link`.

Both ends are processes of their own, with everything between a relay's packets and the wire; between them a router that loses
and delays. Speech is 50 packets of 172 octets a second and call, each way. The same path without a link is the comparison: its
loss and its delay in the same model (ITU-T G.107).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from media.api import SideStats
from sbc.call.quality import burst_ratio, delay_impairment, opinion
from sbc.link.proof import fingerprint
from sbc.link.site_file import load_site
from sbc.policy.load import load_policy
from tests.shim import Shim
from tests.unit.link.certificates import credential, write
from tests.unit.net.bench import free_port, until
from tests.unit.net.linked import POLICY, SITE, End

PACKET = struct.Struct("!dI160x")  # when it was sent, its number; 172 octets
EVERY = 0.02
GROUPS = 20  # of calls that talk in the same millisecond
SETTLE = 2.0  # seconds until the last packet is there
BUFFER_MS = 60.0  # of a phone, and packetisation
ROBUSTNESS = 25.1  # G.711 with concealment (ITU-T G.113)


class Talker(End):
    """One end, whose calls all talk."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.delays: list[float] = []

    def receive(self, event: object, flow: int = 0, packet: bytes = b"") -> None:
        if packet:
            self.delays.append(time.monotonic() - PACKET.unpack(packet)[0])

    async def talk(self, calls: int, seconds: float) -> int:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        rounds = int(seconds / EVERY)
        for number in range(rounds):
            for group in range(GROUPS):  # calls do not begin at the same instant
                for call in range(group, calls, GROUPS):
                    self.links.send_media(self.link, 20_000 + 2 * call, PACKET.pack(time.monotonic(), number))
                self.links.flush()
                await asyncio.sleep(max(0.0, begun + (number + (group + 1) / GROUPS) * EVERY - loop.time()))
        return rounds * calls


async def end(name: str, folder: Path, calls: int, seconds: float) -> dict[str, object]:
    """What one process does."""
    talker = Talker(name)
    talker.network.apply(load_policy(folder / "policies").snapshot if name == "edge" else load_site(folder / "site.yaml").snapshot)
    await until(lambda: talker.is_up, 20.0)
    await asyncio.sleep(1.0)
    before = time.process_time()
    sent = await talker.talk(calls, seconds)
    cpu = (time.process_time() - before) / seconds
    await asyncio.sleep(SETTLE)
    delays = sorted(talker.delays)
    figures = talker.links.figures(talker.link)
    assert figures is not None
    found: dict[str, object] = {
        "sent": sent,
        "received": len(delays),
        "p50_ms": 1000 * delays[len(delays) // 2],
        "p99_ms": 1000 * delays[len(delays) * 99 // 100],
        "cpu": cpu,
        "late": figures.late,
        "window": figures.window,
        "rtt_ms": figures.rtt_ms,
    }
    if name == "site":
        await talker.close()
    return found


def score(lost: int, received: int, delay_ms: float) -> float:
    share = lost / (lost + received)
    burst = burst_ratio(SideStats(packets_received=received, lost=lost, loss_runs=lost), share)
    return opinion(93.2 - 95 * 100 * share / (100 * share / burst + ROBUSTNESS) - delay_impairment(delay_ms + BUFFER_MS))


async def measure(folder: Path, calls: int, seconds: float, loss: float, delay: float) -> None:
    port = free_port()
    shim = Shim(("127.0.0.1", port))
    site, edge = credential("berlin.example"), credential("edge.example")
    write(folder / "certs", "edge", edge)
    write(folder / "certs", "berlin", site)
    (folder / "policies").mkdir()
    (folder / "policies" / "sbc.yaml").write_text(POLICY.format(port=port, pin=fingerprint(site.chain[0]), connections=1))
    (folder / "site.yaml").write_text(SITE.format(port=shim.local[1], pin=fingerprint(edge.chain[0]), connections=1))
    shim.loss, shim.delay = loss, delay
    command = [sys.executable, "-P", "-m", "tests.bench.link", "--folder", str(folder), "--calls", str(calls), "--seconds", str(seconds)]
    processes = [await asyncio.create_subprocess_exec(*command, "--end", name, stdout=subprocess.PIPE) for name in ("edge", "site")]
    said = [await process.communicate() for process in processes]
    shim.close()
    ends = [json.loads(out) for out, _ in said]
    print(f"{calls} calls for {seconds:g} s, {100 * loss:g} % loss and {1000 * delay:g} ms each way")
    for name, here, there in (("edge", ends[0], ends[1]), ("site", ends[1], ends[0])):
        lost = there["sent"] - here["received"]
        linked = score(lost, here["received"], here["p50_ms"])
        plain = score(round(there["sent"] * loss), round(there["sent"] * (1 - loss)), 1000 * delay)
        print(
            f"{name}: {100 * lost / there['sent']:.2f} % lost, {here['late']} dropped late, delay p50 {here['p50_ms']:.1f} ms, "
            f"p99 {here['p99_ms']:.1f} ms, MOS {linked:.2f} (plain RTP {plain:.2f}), CPU {100 * here['cpu']:.1f} %: "
            f"{1000 * here['cpu'] / calls:.2f} ms/s a call, window {here['window'] // 1024} KiB, round trip {here['rtt_ms']:.0f} ms"
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--loss", type=float, default=0.02)
    parser.add_argument("--delay", type=float, default=0.05)
    parser.add_argument("--end", choices=["edge", "site"])
    parser.add_argument("--folder", type=Path)
    chosen = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if chosen.end:
            print(json.dumps(runner.run(end(chosen.end, chosen.folder, chosen.calls, chosen.seconds))))
            return
        with tempfile.TemporaryDirectory() as folder:
            runner.run(measure(Path(folder), chosen.calls, chosen.seconds, chosen.loss, chosen.delay))


if __name__ == "__main__":
    main()
