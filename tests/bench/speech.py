"""RTP of calls that come and go: one socket a half, a thread of its own, and what was sent and what arrived."""

from __future__ import annotations

import heapq
import re
import select
import socket
import struct
import threading
import time
from collections import deque
from dataclasses import dataclass

from tests.bench.wire import Address, listening

PERIOD = 0.02  # seconds between packets of a call
TICK = 0.005  # between looks at what is due: a wake-up for each packet would cost more than the packet
LATE = 0.06  # what is late by more is left out: relays cut off who sends faster than people speak
SETTLE = 0.5  # for the last packets to arrive
PAYLOAD_TYPE = 8
OURS = 0xBE  # the first octet of the SSRCs of calls, so that nobody else's packets count

_MEDIA = re.compile(rb"\r\nm=audio (\d+) ")
_HOST = re.compile(rb"\r\nc=IN IP4 (\S+)\r\n")


@dataclass
class Spoken:
    """Packets. strange: those of nobody's call; twice: not counted as arrived."""

    sent: int = 0
    arrived: int = 0
    strange: int = 0
    twice: int = 0


class _Stream:
    __slots__ = ("sequence", "ssrc", "to", "until")

    def __init__(self, ssrc: int, to: Address, until: float) -> None:
        self.ssrc = ssrc
        self.to = to
        self.until = until
        self.sequence = 0

    def packet(self) -> bytes:
        self.sequence += 1
        return struct.pack("!BBHII", 0x80, PAYLOAD_TYPE, self.sequence, 160 * self.sequence, self.ssrc) + b"\xd5" * 160


class Speech:
    """`local`: what the session descriptions of this half say."""

    def __init__(self, local: Address) -> None:
        self.told = Spoken()
        self._sock = listening(local)
        self._wanted: deque[tuple[Address, float]] = deque()
        self._due: list[tuple[float, int, _Stream]] = []
        self._heard: set[tuple[int, int]] = set()
        self._count = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def speak(self, description: bytes, seconds: float) -> None:
        """To where `description`, a message with SDP, wants it, for so long from now on."""
        host, port = _HOST.search(description), _MEDIA.search(description)
        assert host is not None
        assert port is not None
        self._wanted.append(((host[1].decode(), int(port[1])), time.monotonic() + seconds))

    def close(self) -> Spoken:
        """What there was of it all, when the last packets have arrived."""
        time.sleep(SETTLE)
        self._over.set()
        self._thread.join()
        self._sock.close()
        return self.told

    def _run(self) -> None:
        while not self._over.is_set():
            now = time.monotonic()
            while self._wanted:
                to, until = self._wanted.popleft()
                self._count += 1  # and a first packet has 20 ms of speech in it, too
                heapq.heappush(self._due, (now + PERIOD, self._count, _Stream(OURS << 24 | self._count, to, until)))
            while self._due and self._due[0][0] <= now:
                self._send(*heapq.heappop(self._due), now)
            select.select([self._sock], [], [], TICK)
            self._receive()
            time.sleep(max(0.0, TICK - (time.monotonic() - now)))

    def _send(self, due: float, number: int, stream: _Stream, now: float) -> None:
        if now >= stream.until:
            return
        try:
            self._sock.sendto(stream.packet(), stream.to)
            self.told.sent += 1
        except OSError:  # it never left
            stream.sequence -= 1
        heapq.heappush(self._due, ((due if now - due < LATE else now) + PERIOD, number, stream))

    def _receive(self) -> None:
        while True:
            try:
                packet = self._sock.recv(2048, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError:
                continue
            key = struct.unpack("!HxxxxI", packet[2:12]) if len(packet) == 172 else (0, 0)
            if key[1] >> 24 != OURS:
                self.told.strange += 1
            elif key in self._heard:
                self.told.twice += 1
            else:
                self._heard.add(key)
                self.told.arrived += 1
