"""Calls in which both ends talk: what became of each packet, and what a listener would think of it.

`python -m tests.bench.talkers SPEC` makes the calls that SPEC, a Spec in JSON, asks for and prints what it found in JSON.
"""

from __future__ import annotations

import json
import re
import select
import socket
import struct
import sys
import threading
import time
from collections import deque
from dataclasses import asdict, dataclass
from heapq import heappop, heappush
from typing import Any

from media.api import SideStats
from sbc.call.quality import scores
from tests.bench import messages
from tests.bench.process import of_tests
from tests.bench.uac import Calls, Uac
from tests.bench.uas import Uas
from tests.bench.wire import Address, Peer, UdpWire

EVERY = 0.02  # seconds between packets
PACKET = struct.Struct("!BBHIId152x")  # RTP, PCMA of 20 ms, and in it when it was sent
QUIET = 1.0  # seconds before BYE in which nobody talks, so that what is lost was lost on the way
BUFFER_MS = 60.0  # of a listener; what comes later than that after the fastest packet is lost to it
RTP_PORT = 40000  # what tests.bench.messages is given
BUFFER = 8 << 20
_CONNECTION = re.compile(rb"\nc=IN IP4 ([0-9.]+)")
_AUDIO = re.compile(rb"\nm=audio ([0-9]+) ")


@dataclass(frozen=True)
class Spec:
    """`here`: where the caller is; `seen`: what it says of that, as others see it behind a NAT; `server`: where its calls go."""

    calls: int
    seconds: float
    rate: float
    here: str
    seen: str
    server: Address
    called: str


@dataclass(frozen=True)
class Heard:
    """One direction of one call. Delays from mouth to socket in ms; `silent_for`: seconds without a packet at the end."""

    sent: int
    received: int
    lost: int
    late: int
    loss_runs: int
    delay_ms: float
    delay_p99_ms: float
    silent_for: float
    score: float


@dataclass(frozen=True)
class Found:
    """`to_called`, `to_caller`: a Heard for each call."""

    completed: int
    failed: dict[str, int]
    retransmissions: int
    to_called: list[Heard]
    to_caller: list[Heard]


class Voices:
    """All voices of one end, at one socket. A voice is called by its SSRC, which relays leave as it is; `first` and every second after."""

    def __init__(self, local: Address, first: int, seconds: float) -> None:
        self.sent: dict[int, int] = {}
        self.heard: dict[int, list[tuple[int, float]]] = {}
        self._seconds = seconds
        self._next = first
        self._begun: set[bytes] = set()
        self._new: deque[Address] = deque()
        self._over = threading.Event()
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        self._sock.bind(local)
        self._sock.setblocking(False)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def begin(self, call: bytes, description: bytes) -> None:
        host, port = _CONNECTION.search(description), _AUDIO.search(description)
        if call not in self._begun and host is not None and port is not None:
            self._begun.add(call)
            self._new.append((host[1].decode(), int(port[1])))

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        self._sock.close()

    def _run(self) -> None:
        due: list[tuple[float, int, Address]] = []
        until: dict[int, float] = {}
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        while not self._over.is_set():
            now = time.monotonic()
            while self._new:
                heappush(due, (now, self._next, self._new.popleft()))
                until[self._next] = now + self._seconds
                self.sent[self._next] = 0
                self._next += 2
            while due and due[0][0] <= now:
                at, voice, remote = heappop(due)
                self._say(voice, remote)
                if at + EVERY < until[voice]:
                    heappush(due, (at + EVERY, voice, remote))
            if poll.poll(max(0.0, min(0.05, due[0][0] - now if due else 0.05)) * 1000):
                self._listen()

    def _say(self, voice: int, remote: Address) -> None:
        number = self.sent[voice]
        self.sent[voice] = number + 1
        try:
            self._sock.sendto(PACKET.pack(0x80, 8, number & 0xFFFF, 160 * number & 0xFFFFFFFF, voice, time.monotonic()), remote)
        except OSError:  # as good as lost on the way
            return

    def _listen(self) -> None:
        for _ in range(256):
            try:
                data = self._sock.recv(2048)
            except OSError:
                return
            if len(data) == PACKET.size:
                _, _, number, _, voice, at = PACKET.unpack(data)
                self.heard.setdefault(voice, []).append((number, time.monotonic() - at))


class Caller(Uac):
    voices: Voices

    def _answered(self, call: Any, response: bytes) -> None:
        self.voices.begin(call.id, response)
        super()._answered(call, response)


class Called(Uas):
    voices: Voices

    def __init__(self, wire: UdpWire) -> None:
        super().__init__(wire)
        self._offers: dict[bytes, bytes] = {}

    def _receive(self, request: bytes, peer: Peer) -> None:
        call = messages.field(request, b"Call-ID")
        if request.startswith(b"INVITE "):
            self._offers[call] = request
        elif request.startswith(b"ACK ") and call in self._offers:
            self.voices.begin(call, self._offers[call])
        super()._receive(request, peer)


class SeenWire(UdpWire):
    """That of somebody behind a NAT, who knows as what others see it."""

    seen = ""

    def local(self, peer: Peer) -> Address:
        return self.seen, super().local(peer)[1]


def talk(spec: Spec) -> Found:
    """Blocks until all calls are over."""
    speech = spec.seconds - QUIET
    wire = SeenWire((spec.here, 5060), spec.server)
    wire.seen = spec.seen
    caller = Caller(wire, Calls(rate=spec.rate, count=spec.calls, number="+4930123", server=spec.server, hold=spec.seconds), "talk")
    called = Called(UdpWire((spec.called, 5060)))
    caller.voices, called.voices = Voices((spec.here, RTP_PORT), 2, speech), Voices((spec.called, RTP_PORT), 1, speech)
    over = threading.Event()
    thread = threading.Thread(target=called.run, args=(over.is_set,))
    thread.start()
    tally = caller.run()
    over.set()
    thread.join()
    for voices in (caller.voices, called.voices):
        voices.close()
    to_called, to_caller = listened(caller.voices, called.voices), listened(called.voices, caller.voices)
    return Found(tally.completed, dict(tally.failed), tally.retransmissions + called.served.retransmissions, to_called, to_caller)


def listened(talking: Voices, listening: Voices) -> list[Heard]:
    return [_judged(sent, listening.heard.get(voice, [])) for voice, sent in talking.sent.items()]


def _judged(sent: int, packets: list[tuple[int, float]]) -> Heard:
    if not packets:
        return Heard(sent, 0, sent, 0, 1, 0.0, 0.0, sent * EVERY, 1.0)
    delays = sorted(delay for _, delay in packets)
    fastest = delays[len(delays) // 100]
    good = {number for number, delay in packets if delay <= fastest + BUFFER_MS / 1000}
    runs = sum(1 for number in range(sent) if number not in good and (number == 0 or number - 1 in good))
    stats = SideStats(packets_received=len(good), lost=sent - len(good), loss_runs=runs, jitter_ms=BUFFER_MS / 2, rtt_ms=2000 * fastest)
    found = scores(stats, SideStats(rtt_ms=0.0), "PCMA")
    return Heard(
        sent=sent,
        received=len({number for number, _ in packets}),
        lost=sent - len({number for number, _ in packets}),
        late=len({number for number, _ in packets}) - len(good),
        loss_runs=runs,
        delay_ms=1000 * delays[len(delays) // 2],
        delay_p99_ms=1000 * delays[len(delays) * 99 // 100],
        silent_for=(sent - 1 - max(number for number, _ in packets)) * EVERY,
        score=(found[1] or 1.0) if found is not None else 1.0,
    )


def command(spec: Spec) -> list[str]:
    """Of a process that does it."""
    return of_tests("tests.bench.talkers", json.dumps(asdict(spec)))


def read(output: bytes) -> Found:
    """What that process said."""
    found = json.loads(output)
    for name in ("to_called", "to_caller"):
        found[name] = [Heard(**each) for each in found[name]]
    return Found(**found)


def main() -> None:
    asked = json.loads(sys.argv[1])
    asked["server"] = tuple(asked["server"])
    print(json.dumps(asdict(talk(Spec(**asked)))))


if __name__ == "__main__":
    main()
