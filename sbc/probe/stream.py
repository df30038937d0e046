"""One RTP stream in each direction over a socket of its own: a frame every 20 ms out, whatever arrives in."""

from __future__ import annotations

import asyncio
import secrets
import socket
from array import array
from collections.abc import Callable

from pylibsrtp import Error, Policy, Session

from media.api import Keys, Suite
from sbc.errors import ParseError
from sbc.flow import Address
from sbc.probe.rtp import Packet, Reception
from sbc.probe.tones import FRAME, RATE, Law, decode, encode

PERIOD = FRAME / RATE
_PORT_TRIES = 20

_PROFILES = {
    Suite.AES_CM_128_HMAC_SHA1_80: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    Suite.AES_CM_128_HMAC_SHA1_32: Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    Suite.AEAD_AES_128_GCM: Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    Suite.AEAD_AES_256_GCM: Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
}

SUITES = frozenset(_PROFILES)

Source = Callable[[], "array[int]"]
"""Gives the next 20 ms of audio."""
Ear = Callable[["array[int]", float], None]
"""Takes the audio of one packet and its time of arrival in seconds of the loop's clock."""


def new_keys(suite: Suite) -> Keys:
    return Keys(suite, secrets.token_bytes(suite.key_length))


class Stream(asyncio.DatagramProtocol):
    """`rejected` counts packets that were no RTP, failed to authenticate or came again; `reception` the good ones."""

    def __init__(self, source: Source, ear: Ear) -> None:
        self.sent = self.rejected = 0
        self.reception = Reception(RATE)
        self.local: Address = ("", 0)
        self._source, self._ear = source, ear
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.DatagramTransport | None = None
        self._remote: Address | None = None
        self._law = Law.PCMA
        self._keys: tuple[Keys | None, Keys | None] = (None, None)
        self._protect: Session | None = None
        self._unprotect: Session | None = None
        self._ssrc, self._sequence = secrets.randbits(32), secrets.randbits(15)
        self._timestamp = secrets.randbits(32)
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    async def open(cls, host: str, source: Source, ear: Ear) -> Stream:
        """A stream on a free even port of `host` (RFC 3550 s11). OSError when there is none."""
        stream = cls(source, ear)
        sock = _even_port(host)
        stream.local = sock.getsockname()[:2]
        stream._transport, _ = await stream._loop.create_datagram_endpoint(lambda: stream, sock=sock)
        return stream

    def start(self, remote: Address, law: Law, send_keys: Keys | None, receive_keys: Keys | None) -> None:
        """Send to `remote` from now on; again after a re-INVITE. Unchanged keys keep their SRTP context."""
        self._remote, self._law = remote, law
        if (send_keys, receive_keys) != self._keys:
            self._keys = send_keys, receive_keys
            self._protect = _session(send_keys, Policy.SSRC_ANY_OUTBOUND)
            self._unprotect = _session(receive_keys, Policy.SSRC_ANY_INBOUND)
        if self._timer is None:
            self._due = self._loop.time() + PERIOD  # a frame takes as long to speak as to hear
            self._timer = self._loop.call_at(self._due, self._send)

    def pause(self) -> None:
        """Send nothing until the next `start`; still listen."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def close(self) -> None:
        self.pause()
        if self._transport is not None:
            self._transport.close()

    def datagram_received(self, data: bytes, addr: Address) -> None:
        try:
            packet = Packet.parse(self._unprotect.unprotect(data) if self._unprotect else data)
        except (ParseError, Error):
            self.rejected += 1
            return
        now = self._loop.time()
        for law in Law:
            if packet.payload_type == law.payload_type:
                self.reception.receive(packet, now)
                self._ear(decode(packet.payload, law), now)

    def error_received(self, exc: Exception) -> None:
        """Nobody listens there yet, or any more: the figures will tell."""

    def _send(self) -> None:
        frame = encode(self._source(), self._law)
        packet = Packet(self._law.payload_type, self._sequence, self._timestamp, self._ssrc, frame, marker=self.sent == 0).encode()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(self._protect.protect(packet) if self._protect else packet, self._remote)
            self.sent += 1
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._timestamp = (self._timestamp + FRAME) & 0xFFFFFFFF
        self._due += PERIOD
        self._timer = self._loop.call_at(self._due, self._send)


def _even_port(host: str) -> socket.socket:
    for _ in range(_PORT_TRIES):
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((host, 0))
        if sock.getsockname()[1] % 2 == 0:
            return sock
        sock.close()
    raise OSError(f"no free even port on {host}")


def _session(keys: Keys | None, kind: int) -> Session | None:
    if keys is None:
        return None
    return Session(Policy(key=keys.master, ssrc_type=kind, srtp_profile=_PROFILES[keys.suite]))
