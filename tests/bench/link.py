"""Calls by a link on a bad way, beside the same calls without one: `python -m tests.bench.link --calls 50 --seconds 60`.

A PBX calls a carrier and both talk, through `sbc link` and an edge, and then through the edge alone, SIP and RTP over UDP. Between
the site and the edge is the same way, which loses and delays. All is real but the two who talk: processes, sockets, descriptions.
On a machine that is busy with other things what is late is late for want of a CPU, and says nothing of the link.
The opinion of the listeners is that of the model in the call records (ITU-T G.107), with the loss, the delay and a buffer of 60 ms.

Exit status 1: a call was lost, or the link costs a listener more than 0.2.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import uvloop

from sbc.link.proof import fingerprint
from tests.bench import talkers
from tests.bench.nat import Path as Way
from tests.bench.process import usage
from tests.bench.talkers import Found, Heard, Spec
from tests.unit.link.certificates import credential, write

EDGE, AS_EDGE, AS_SITE, CORE, CARRIER, SITE, PBX = (f"127.0.3.{number}" for number in range(1, 8))
RATE = 5.0  # calls begun a second: more than fifty people do
WORSE = 0.2  # of an opinion score that a link may cost
STARTED, SETTLED = 30.0, 15.0  # seconds until a process serves, until all records are written
GOOD = 1.0  # seconds of silence at the end of a call that is no loss of the call
POLICY = f"""\
version: 1
realms:
  sites: {{{{signalling: ["quic://{EDGE}:5063"], relay: {{{{address: 127.0.0.1, ports: 21000-21999}}}}, certificate: edge}}}}
  outside: {{{{signalling: ["udp://{EDGE}:5060"], advertise: {AS_EDGE}, relay: {{{{address: {EDGE}, ports: 22000-22{{last:03}}}}}}}}}}
  inside: {{{{signalling: ["udp://{CORE}:5060"], relay: {{{{address: {CORE}, ports: 30000-31999}}}}}}}}
sites:
  berlin: {{{{pin: "{{pin}}", calls_per_connection: {{most}}}}}}
trunks:
  berlin: {{{{realm: sites, link: berlin, media: plain}}}}
  plain: {{{{realm: outside, accept_from: ["{AS_SITE}"], peer: "sip:{AS_SITE}:5060", media: plain}}}}
  carrier: {{{{realm: inside, accept_from: ["{CARRIER}"], peer: "sip:{CARRIER}:5060", media: plain}}}}
routes:
  - {{{{name: linked, when: {{{{trunk: berlin, to: "*"}}}}, send_to: [carrier]}}}}
  - {{{{name: plain, when: {{{{trunk: plain, to: "*"}}}}, send_to: [carrier]}}}}
media:
  plain: {{{{srtp: off, codecs: [PCMA, PCMU, telephone-event]}}}}
emergency: {{{{sites: none, outside: none, inside: none}}}}
"""
SITE_FILE = f"""\
version: 1
site: berlin
edge: "{AS_EDGE}:5063"
pin: "{{pin}}"
certificate: berlin
pbx: {{{{listen: "udp://{SITE}:5060", peer: "sip:{PBX}:5060"}}}}
media: {{{{address: {SITE}, ports: 23000-23999}}}}
"""


@dataclass(frozen=True)
class Process:
    """Of the product. `cpu`: seconds that it has used."""

    name: str
    folder: Path
    running: asyncio.subprocess.Process

    @property
    def cpu(self) -> float:
        return usage(self.running.pid).cpu

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def records(self) -> list[dict[str, dict[str, dict[str, object]]]]:
        path = self.folder / "records.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    async def end(self) -> None:
        self.running.send_signal(signal.SIGINT)
        await self.running.wait()


@dataclass(frozen=True)
class Outcome:
    """Of one of the two ways. `cpu`: seconds by process. `recorded`: opinion scores in the records at the receiving end of the way."""

    name: str
    found: Found
    records: int
    cpu: dict[str, float]
    recorded: list[float]

    @property
    def directions(self) -> tuple[tuple[str, list[Heard]], ...]:
        return ("to the carrier", self.found.to_called), ("to the site", self.found.to_caller)


async def start(name: str, folder: Path, *words: str | Path) -> Process:
    own = folder / f"run-{name}"
    own.mkdir()
    command = [sys.executable, "-P", "-m", "sbc", *map(str, words), "--records", str(own / "records.jsonl")]
    with (own / "log").open("wb") as log:
        return Process(name, own, await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log))


async def until(condition: Callable[[], object], seconds: float, problem: str, *processes: Process) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("\n".join([problem, *(f"{each.name}: {each.log[-2000:]}" for each in processes)]))
        await asyncio.sleep(0.1)


async def talk(name: str, spec: Spec, edge: Process, site: Process) -> Outcome:
    before = [each.cpu for each in (edge, site)]
    had = len(edge.records()), len(site.records())
    talking = await asyncio.create_subprocess_exec(*talkers.command(spec), stdout=asyncio.subprocess.PIPE)
    progress = asyncio.create_task(tell(name, spec))  # noqa: TID251 - its owner is this function
    output, _ = await talking.communicate()
    progress.cancel()
    if talking.returncode:
        raise SystemExit("the talkers failed, see above")
    found = talkers.read(output)
    cpu = dict(zip(("edge", "site"), (now.cpu - then for now, then in zip((edge, site), before, strict=True)), strict=True))
    await until(lambda: len(edge.records()) >= had[0] + spec.calls, SETTLED, "calls without a record", edge, site)
    records = edge.records()[had[0] :]
    recorded = [score_of(record["a"]) for record in records]
    if name == "link":
        await until(lambda: len(site.records()) >= had[1] + spec.calls, SETTLED, "calls without a record", edge, site)
        recorded += [score_of(record["b"]) for record in site.records()[had[1] :]]
    else:
        del cpu["site"]
    return Outcome(name, found, len(records), cpu, recorded)


def score_of(leg: dict[str, dict[str, object]]) -> float:
    score = leg["media"].get("mos_lq")
    return float(score) if isinstance(score, float) else 1.0


async def tell(name: str, spec: Spec) -> None:
    since = time.monotonic()
    while True:
        passed = time.monotonic() - since
        print(f"{name}: {min(spec.calls, round(spec.rate * passed) + 1)} calls begun, {passed:.0f} s", file=sys.stderr, flush=True)
        await asyncio.sleep(10.0)


async def measure(folder: Path, options: argparse.Namespace) -> list[Outcome]:
    at_site, at_edge = credential("berlin.example"), credential("edge.example")
    write(folder / "certs", "edge", at_edge)
    write(folder / "certs", "berlin", at_site)
    (folder / "policies").mkdir()
    last = 4 * options.calls - 1
    policy = POLICY.format(pin=fingerprint(at_site.chain[0]), last=last, most=min(100, options.calls))
    (folder / "policies" / "sbc.yaml").write_text(policy)
    (folder / "site.yaml").write_text(SITE_FILE.format(pin=fingerprint(at_edge.chain[0])))
    way = Way(options.loss, options.delay, options.jitter)
    way.nat(AS_EDGE, [5063], (AS_SITE, 0), EDGE)
    way.nat(AS_EDGE, [5060], (AS_SITE, 5060), EDGE)
    way.nat(AS_EDGE, range(22000, 22000 + last, 2), (AS_SITE, talkers.RTP_PORT), EDGE, (PBX, talkers.RTP_PORT))
    edge = await start("edge", folder, "run", folder / "policies")
    site = await start("site", folder, "link", folder / "site.yaml")
    try:
        await until(lambda: " link_up " in edge.log and " link_up " in site.log, STARTED, "no link", edge, site)
        about = {"calls": options.calls, "seconds": options.seconds, "rate": RATE, "here": PBX, "called": CARRIER}
        linked = await talk("link", Spec(**about, seen=PBX, server=(SITE, 5060)), edge, site)
        plain = await talk("plain", Spec(**about, seen=AS_SITE, server=(AS_EDGE, 5060)), edge, site)
        return [linked, plain]
    finally:
        for process in (site, edge):
            await process.end()
        way.close()


def shown(outcome: Outcome, options: argparse.Namespace) -> list[str]:
    lines = []
    for direction, heard in outcome.directions:
        sent = sum(each.sent for each in heard) or 1
        lost, late = sum(each.lost for each in heard) / sent, sum(each.late for each in heard) / sent
        scores = [each.score for each in heard] or [1.0]
        lines.append(
            f"{outcome.name:6} {direction:15} {lost:7.2%} {late:7.2%} {statistics.median(each.delay_ms for each in heard):6.1f} "
            f"{max(each.delay_p99_ms for each in heard):6.1f} {statistics.mean(scores):6.2f} {min(scores):6.2f}"
        )
    costs = [f"{name} {1000 * cpu / options.calls / options.seconds:.2f} ms/s and call" for name, cpu in outcome.cpu.items()]
    each = " and ".join(f"{cpu / options.calls:.3f} s" for cpu in outcome.cpu.values())
    scores = outcome.recorded or [1.0]
    lines.append(
        f"       {outcome.found.completed} of {options.calls} calls, {outcome.found.retransmissions} messages again; "
        f"CPU {', '.join(costs)} ({each} a call); MOS-LQ in {len(scores)} records {statistics.mean(scores):.2f}, worst {min(scores):.2f}"
    )
    return lines


def problems(outcomes: list[Outcome], options: argparse.Namespace) -> list[str]:
    linked, plain = outcomes
    found = []
    for outcome in outcomes:
        if outcome.found.completed != options.calls or outcome.records != options.calls:
            found.append(f"{outcome.name}: {outcome.found.completed} of {options.calls} calls, {outcome.found.failed or 'no failures'}")
        for direction, heard in outcome.directions:
            silent = sum(each.silent_for > GOOD for each in heard) + options.calls - len(heard)
            if silent:
                found.append(f"{outcome.name}: {silent} calls silent at their end {direction}")
    for (direction, here), (_, there) in zip(linked.directions, plain.directions, strict=True):
        if here and there:
            loss = statistics.mean(each.score for each in there) - statistics.mean(each.score for each in here)
            if loss > WORSE:
                found.append(f"the link costs {loss:.2f} of the score {direction}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="calls by a link on a bad way, and without one")
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long each call lasts")
    parser.add_argument("--loss", type=float, default=0.02, help="share of datagrams, each way")
    parser.add_argument("--delay", type=float, default=0.03, help="seconds, each way")
    parser.add_argument("--jitter", type=float, default=0.005, help="seconds by which that goes up and down")
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, tempfile.TemporaryDirectory() as folder:
        outcomes = runner.run(measure(Path(folder), options))
    delay = f"{1000 * options.delay:g} ± {1000 * options.jitter:g} ms"
    print(f"{options.calls} calls of {options.seconds:g} s, {options.loss:.1%} loss and {delay} each way")
    print(f"{'way':6} {'':15} {'lost':>7} {'late':>7} {'p50 ms':>6} {'p99 ms':>6} {'MOS':>6} {'worst':>6}")
    for outcome in outcomes:
        print("\n".join(shown(outcome, options)))
    wrong = problems(outcomes, options)
    print("\n".join(f"NOT GOOD: {each}" for each in wrong) or "good: no call was lost, and no listener would notice the link")
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
