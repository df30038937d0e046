"""Policies that change while calls run: no call lost, no memory growth, no decision that mixes two of them.

    python -m tests.bench.reloads                        # 1,000 policies under 20 calls/s, with 50 calls open throughout

Each policy has a number, and says it in four ways: in the numbers its dial plan makes, in a header that its edits add, in the trunk its
route leads to, and in the codec of that trunk. Every call is refused by a first trunk a while after it began, so that policies
change in the middle of it; the callee then looks whether all four ways say the same.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import cast

from sbc.admin import client
from sbc.sip.fields.cseq import CSeq
from sbc.sip.fields.nameaddr import NameAddr
from sbc.sip.fields.via import Via
from sbc.sip.message import Request, Response
from sbc.sip.parse import parse_datagram
from sbc.sip.uri import Uri
from tests.bench.process import resident
from tests.system.peers import Sbc, running

OUTSIDE, INSIDE, OFFICE, CARRIER = "127.0.0.81", "127.0.0.82", "127.0.0.83", "127.0.0.84"
FIRST, EVEN, ODD = 5070, 5080, 5081  # ports of the carrier's trunks
REFUSED_AFTER = 0.15  # seconds
HOLD = (0.2, 1.5)  # seconds that a short call lasts
T1 = 0.5
PATIENCE = 32.0
TRIES = 20
ROWS = 20  # of the curve
FLAT = 0.5  # MiB for each 1,000 policies: a policy a minute makes 0.7 MiB of it in a day
CODECS = {EVEN: "PCMA", ODD: "PCMU"}

POLICY = """\
version: 1
realms:
  outside: {{signalling: [udp://{outside}:5060], relay: {{address: {outside}, ports: 20000-22999}}}}
  inside: {{signalling: [udp://{inside}:5060], relay: {{address: {inside}, ports: 20000-22999}}}}
trunks:
  office: {{realm: outside, accept_from: [{office}], media: both, dial_plan: {{"0": "+49{number:06d}"}}, limits: office}}
  first: {{realm: inside, peer: "sip:{carrier}:5070", media: both, headers_out: [mark]}}
  even: {{realm: inside, peer: "sip:{carrier}:5080", media: even, headers_out: [mark]}}
  odd: {{realm: inside, peer: "sip:{carrier}:5081", media: odd, headers_out: [mark]}}
routes:
  - {{name: out, when: {{trunk: office, to: "+*"}}, send_to: [first, {target}]}}
headers:
  mark: [{{set: {{X-Policy: "{number:06d}"}}}}]
limits:
  office: {{calls: 500}}
media:
  both: {{srtp: off, codecs: [PCMA, PCMU]}}
  even: {{srtp: off, codecs: [PCMA]}}
  odd: {{srtp: off, codecs: [PCMU]}}
emergency: {{outside: none, inside: none}}
"""


def policy(number: int) -> str:
    target = "odd" if number % 2 else "even"
    return POLICY.format(number=number, target=target, outside=OUTSIDE, inside=INSIDE, office=OFFICE, carrier=CARRIER)


def sdp(host: str, *codecs: str) -> bytes:
    types = {"PCMA": 8, "PCMU": 0}
    listed = " ".join(str(types[codec]) for codec in codecs)
    return f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio 40000 RTP/AVP {listed}\r\n".encode()


@dataclass
class Outcome:
    """`lost`: by what went wrong, how many calls. `mixed`: what those INVITEs said that did not agree. Memory in MiB."""

    calls: int = 0
    busy: int = 0  # 503s for want of time, which have no record: those of a policy would have one
    crossed: int = 0  # calls that began under an earlier policy than the one in force when the carrier got them
    lost: Counter[str] = field(default_factory=Counter)
    mixed: list[str] = field(default_factory=list)
    applied: int = 0
    slowest: float = 0.0
    memory: list[float] = field(default_factory=list)

    @property
    def growth(self) -> float:
        """From the first quarter to the end: what a process takes in its first seconds is no growth."""
        return self.memory[-1] - self.memory[len(self.memory) // 4]

    @property
    def drift(self) -> float:
        """MiB for each 1,000 policies, in the second half: from what was usual in the third quarter to what was so in the last."""
        quarter = max(1, len(self.memory) // 4)
        return (median(self.memory[-quarter:]) - median(self.memory[-2 * quarter : -quarter])) / quarter * 1000

    def curve(self) -> list[str]:
        """So many policies, and what the process held then."""
        step = max(1, len(self.memory) // ROWS)
        return [f"{number:>6} policies  {self.memory[number - 1]:7.2f} MiB" for number in range(step, len(self.memory) + 1, step)]


class Carrier(asyncio.DatagramProtocol):
    """One of its trunks."""

    def __init__(self, port: int, outcome: Outcome, current: list[int]) -> None:
        self._port = port
        self._outcome = outcome
        self._current = current
        self._transport: asyncio.DatagramTransport | None = None
        self._answers: dict[str, Response] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, source: tuple[str | int, ...]) -> None:
        request = parse_datagram(data)
        if not isinstance(request, Request) or request.method == "ACK":
            return
        answer = self._answers.get(request.via.branch)
        if answer is None and request.method == "INVITE" and self._port == FIRST:
            answer = Response.answer(request, 503, to_tag="first")
            asyncio.get_running_loop().call_later(REFUSED_AFTER, self._send, answer, source)
            self._answers[request.via.branch] = Response.answer(request, 100)
            answer = self._answers[request.via.branch]
        elif answer is None:
            answer = self._accept(request) if request.method == "INVITE" else Response.answer(request, 200)
            self._answers[request.via.branch] = answer
        self._send(answer, source)

    def _accept(self, request: Request) -> Response:
        self._look(request)
        contact = (("Contact", f"<sip:carrier@{CARRIER}:{self._port}>"),)
        body = sdp(CARRIER, CODECS[self._port])
        tag = f"to-{request.via.branch[-8:]}"
        return Response.answer(request, 200, to_tag=tag, headers=contact, body=body, content_type="application/sdp")

    def _look(self, request: Request) -> None:
        called = request.uri.decoded_user[3:9]
        marked = request.headers.first("X-Policy")
        codecs = [codec for codec, number in (("PCMA", "8"), ("PCMU", "0")) if number in request.body.decode().split("RTP/AVP ")[1].split()]
        port = ODD if int(called) % 2 else EVEN
        if (called, port, [CODECS[port]]) != (marked, self._port, codecs):
            self._outcome.mixed.append(f"dial plan {called}, header {marked}, trunk at {self._port}, codecs {codecs}")
        self._outcome.crossed += int(called) < self._current[0]

    def _send(self, message: Response, to: tuple[str | int, ...]) -> None:
        assert self._transport is not None
        self._transport.sendto(message.encode(), to)


class Office(asyncio.DatagramProtocol):
    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self._transport: asyncio.DatagramTransport | None = None
        self._waiting: dict[str, asyncio.Future[Response]] = {}
        self._count = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, source: object) -> None:
        message = parse_datagram(data)
        if isinstance(message, Request):
            self.outcome.lost[f"{message.method} from the SBC"] += message.method != "ACK"
            self._send(Response.answer(message, 200))
        elif message.status >= 200:
            future = self._waiting.get(message.via.branch)
            if future is not None and not future.done():
                future.set_result(message)

    async def call(self, hold: asyncio.Event | float) -> None:
        """A whole call: until `hold` is set, or for so many seconds. Where the machine is too busy for it, it is tried again."""
        for _ in range(TRIES):
            self._count += 1
            name = f"{self._count}"
            called = Uri.parse(f"sip:0{random.randrange(10**6):06d}@{OUTSIDE}")
            ok = await self._answer(self._request("INVITE", called, name, 1, sdp(OFFICE, "PCMA", "PCMU")))
            if ok is None or ok.status != 503:
                break
            self.outcome.busy += 1
            await asyncio.sleep(T1)
        self.outcome.calls += 1
        if ok is None or ok.status != 200:
            self.outcome.lost[f"INVITE {ok.status if ok else 'without an answer'}"] += 1
            return
        contact = NameAddr.parse(ok.headers.first("Contact") or "").uri
        self._send(self._request("ACK", contact, name, 1, b"", ok.to.tag))
        await (hold.wait() if isinstance(hold, asyncio.Event) else asyncio.sleep(hold))
        bye = await self._answer(self._request("BYE", contact, name, 2, b"", ok.to.tag))
        if bye is None or bye.status != 200:
            self.outcome.lost[f"BYE {bye.status if bye else 'without an answer'}"] += 1

    async def _answer(self, request: Request) -> Response | None:
        """The final one; as RFC 3261 s17.1 has it, again and again."""
        loop = asyncio.get_running_loop()
        future = self._waiting[request.via.branch] = loop.create_future()
        end, pause = loop.time() + PATIENCE, T1
        while loop.time() < end:
            self._send(request)
            try:
                async with asyncio.timeout(pause):
                    return await asyncio.shield(future)
            except TimeoutError:
                pause = min(pause * 2, 4.0)
        return None

    def _request(self, method: str, uri: Uri, name: str, cseq: int, body: bytes, to_tag: str = "") -> Request:
        return Request.build(
            method,
            uri,
            via=Via("UDP", OFFICE, 5060, branch=f"z9hG4bK-{name}-{method}", wants_rport=True),
            from_=NameAddr.parse(f"<sip:office@{OFFICE}>").with_tag(f"from-{name}"),
            to=NameAddr.parse(f"<sip:callee@{OUTSIDE}>").with_tag(to_tag),
            call_id=f"call-{name}@{OFFICE}",
            cseq=CSeq(cseq, method),
            headers=(("Contact", f"<sip:office@{OFFICE}>"),),
            body=body,
            content_type="application/sdp" if body else "",
        )

    def _send(self, message: Request | Response) -> None:
        assert self._transport is not None
        self._transport.sendto(message.encode(), (OUTSIDE, 5060))


async def _apply(sbc: Sbc, count: int, seconds: float, outcome: Outcome, current: list[int]) -> None:
    """One policy after the other, evenly."""
    loop = asyncio.get_running_loop()
    begun, process, file = loop.time(), sbc.process, sbc.folder / "policies" / "sbc.yaml"
    assert process is not None
    for number in range(1, count + 1):
        await asyncio.sleep(max(0.0, begun + number * seconds / count - loop.time()))
        partial = file.with_suffix(".partial")
        partial.write_text(policy(number))
        partial.rename(file)
        before = time.monotonic()
        await asyncio.to_thread(client.ask, sbc.folder / "sbc.sock", {"do": "apply"}, 30.0)
        current[0] = number
        outcome.applied += 1
        outcome.slowest = max(outcome.slowest, time.monotonic() - before)
        outcome.memory.append(resident(process.pid))


async def _play(sbc: Sbc, reloads: int, seconds: float, rate: float, long: int) -> Outcome:
    loop = asyncio.get_running_loop()
    outcome, current = Outcome(), [0]
    transports = []
    for port in (FIRST, EVEN, ODD):
        made, _ = await loop.create_datagram_endpoint(lambda port=port: Carrier(port, outcome, current), (CARRIER, port))  # type: ignore[misc]
        transports.append(made)
    made, office = await loop.create_datagram_endpoint(lambda: Office(outcome), (OFFICE, 5060))
    transports.append(made)
    over = asyncio.Event()
    async with asyncio.TaskGroup() as calls:
        for _ in range(long):
            calls.create_task(office.call(over))
        await asyncio.sleep(1.0)
        applying = calls.create_task(_apply(sbc, reloads, seconds, outcome, current))
        while not applying.done():
            calls.create_task(office.call(random.uniform(*HOLD)))
            await asyncio.sleep(1 / rate)
        over.set()
    for made in transports:
        made.close()
    return outcome


def soak(folder: Path, reloads: int, seconds: float, rate: float = 20.0, long: int = 50) -> Outcome:
    """`reloads` in `seconds`; raises AssertionError when a record says otherwise than the callers."""
    with running(folder, policy(0)) as sbc:
        outcome = asyncio.run(_play(sbc, reloads, seconds, rate, long))
        time.sleep(2.0)  # the last records
        records = [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]
    assert len(records) == outcome.calls, (len(records), outcome)
    outcome.lost["record"] += sum(record["answered"] is None or record["released_by"] != "a" for record in records)
    return outcome


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reloads", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--rate", type=float, default=20.0, help="calls per second")
    parser.add_argument("--long", type=int, default=50, help="calls that are open throughout")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sbc-reloads-") as folder:
        outcome = soak(Path(folder) / "sbc", asked.reloads, asked.seconds, asked.rate, asked.long)
    print(f"{outcome.applied} policies, the slowest applied in {outcome.slowest * 1000:.0f} ms; {os.cpu_count()} CPUs")
    print(f"{outcome.calls} calls, {outcome.crossed} of them from one policy into another")
    print(f"lost: {outcome.lost.total()} {dict(+outcome.lost)}; tried again: {outcome.busy}")
    print(f"decisions that mix two policies: {len(outcome.mixed)} {outcome.mixed[:3]}")
    print("\n".join(outcome.curve()))
    how = "flat" if outcome.drift <= FLAT else "growing"
    print(f"memory is {how}: {outcome.drift:+.2f} MiB for each 1,000 policies in the second half, at most {FLAT} is flat")
    failed = outcome.lost.total() or outcome.mixed or outcome.drift > FLAT
    sys.exit("not as it should be" if failed else 0)


if __name__ == "__main__":
    main()
