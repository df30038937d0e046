"""`sbc attack-sim`: floods and scans of an SBC of our own, to see what it makes of them. Nobody else's can be a target."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from sbc.errors import ConfigError
from sbc.flow import Address
from sbc.probe.console import Say, parse_address
from sbc.sip.digest import answer
from sbc.sip.fields.auth import Challenge
from sbc.sip.message import Response
from sbc.sip.parse import Malformed, parse_datagram

Make = Callable[[Address, int], bytes]
Attack = Callable[[Address, int, float, str], tuple[int, int]]  # target, rate, seconds, source ⇒ sent, answered

TICK = 0.005  # seconds between bursts
AT_MOST_LATE = 0.05  # seconds of packets in one burst, after somebody else had the processor
MOST = 100_000  # packets, or connections, a second
AT_ONCE = 1_000  # connections held
PORTS = 200  # that RTP is sent to: of a hundred calls
HELLO = bytes.fromhex("160301020001000001fc0303")  # of TLS, and then nothing more

_LOCAL = re.compile(r"\|-- ([0-9.]+)\n\s+/32 host LOCAL")


def main(kind: str, target: str, rate: int, seconds: float, source: str, as_json: bool, say: Say) -> None:
    """Raises ConfigError: no such attack, or not our own target."""
    if kind not in KINDS:
        raise ConfigError(f"attack-sim {kind}: there is none of that name; there are {', '.join(KINDS)}")
    address = parse_address(target, 5060)
    if address[0] not in own_addresses():
        where = "no address of this machine or of its network namespaces"
        raise ConfigError(f"attack-sim: {address[0]} is {where}, and others are none of its targets")
    if not 1 <= rate <= MOST:
        raise ConfigError(f"attack-sim: --rate is from 1 to {MOST}")
    begun = time.monotonic()
    done, heard = KINDS[kind](address, rate, seconds, source)
    took = time.monotonic() - begun
    if as_json:
        say(json.dumps({"kind": kind, "sent": done, "answered": heard, "seconds": round(took, 2)}))
    else:
        say(f"{kind}: {done} in {took:.1f} s, {heard} answers; now see `sbc bans`, `sbc why` and the log")


def own_addresses() -> frozenset[str]:
    """Of every network namespace that a process of this machine is in, as far as we may look."""
    found, seen = set(), set()
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        with suppress(OSError):
            namespace = os.readlink(process / "ns" / "net")
            if namespace in seen:
                continue
            found |= set(_LOCAL.findall((process / "net" / "fib_trie").read_text()))
            for line in (process / "net" / "if_inet6").read_text().splitlines():
                found.add(str(ipaddress.IPv6Address(bytes.fromhex(line.split()[0]))))
            seen.add(namespace)
    return frozenset(found)


# What is sent: `number` makes each of them another one


def _request(method: str, to: Address, by: str, number: int, *rows: str, user: str = "100") -> bytes:
    head = (
        f"{method} sip:{user}@{to[0]} SIP/2.0",
        f"Via: SIP/2.0/{by} 192.0.2.66:5999;rport;branch=z9hG4bKattack{number}",
        f"From: <sip:{user}@{to[0]}>;tag={number}",
        f"To: <sip:{user}@{to[0]}>",
        f"Call-ID: attack{number}",
        f"CSeq: 1 {method}",
        "Contact: <sip:100@192.0.2.66:5999>",
        "Subject: as long as a challenge over UDP has to be, which is never longer than what it answers " + "x" * 160,
        *rows,
        "Content-Length: 0",
        "",
        "",
    )
    return "\r\n".join(head).encode()


def _invite(to: Address, number: int) -> bytes:
    return _request("INVITE", to, "UDP", number, user=f"00{number % 1000:03}49123456")


def _register(to: Address, number: int) -> bytes:
    return _request("REGISTER", to, "UDP", number, user=str(100 + number % 900))


def _options(to: Address, number: int) -> bytes:
    return _request("OPTIONS", to, "UDP", number)


def _scan(to: Address, number: int) -> bytes:
    return _request("OPTIONS", to, "UDP", number, "User-Agent: friendly-scanner", user=str(100 + number % 900))


def _malformed(to: Address, number: int) -> bytes:
    """A message with something missing or wrong, another thing each time."""
    whole = _request("INVITE", to, "UDP", number)
    at = 40 + number * 7 % (len(whole) - 60)
    return (whole[:at] + bytes([number * 31 % 256]) * 3 + whole[at + 9 :], whole[:at], whole.replace(b"CSeq: 1", b"CSeq: x"))[number % 3]


def _garbage(to: Address, number: int) -> bytes:
    return (b"\xff" + number.to_bytes(7, "big")) * 20


def _long(to: Address, number: int) -> bytes:
    """More than one packet of the network: fragments."""
    return b"INVITE sip:" + b"a" * 7000 + number.to_bytes(8, "big")


def _flood(make: Make) -> Attack:
    def attack(to: Address, rate: int, seconds: float, source: str) -> tuple[int, int]:
        sent = heard = 0
        with _socket(socket.SOCK_DGRAM, to, source) as sock:
            sock.connect(to)
            for due in paced(rate, seconds):
                for _ in range(due):
                    with suppress(OSError):  # the answer to an earlier one, or a full buffer
                        sock.send(make(to, sent))
                    sent += 1
                with suppress(OSError):
                    while sock.recv(4096, socket.MSG_DONTWAIT):
                        heard += 1
        return sent, heard

    return attack


def _speech(to: Address, rate: int, seconds: float, source: str) -> tuple[int, int]:
    """RTP to the media port that is the target and to the next ones of calls: into whatever call is there."""
    sent = heard = 0
    with _socket(socket.SOCK_DGRAM, to, source) as sock:
        for due in paced(rate, seconds):
            for _ in range(due):
                packet = struct.pack("!BBHII", 0x80, 8, sent & 0xFFFF, 160 * sent & 0xFFFFFFFF, 0x5EED) + b"\xd5" * 160
                with suppress(OSError):
                    sock.sendto(packet, (to[0], to[1] + 2 * (sent % PORTS)))
                sent += 1
            with suppress(OSError):
                while sock.recv(4096, socket.MSG_DONTWAIT):
                    heard += 1
    return sent, heard


def _crack(to: Address, rate: int, seconds: float, source: str) -> tuple[int, int]:
    """Passwords for one account, each with a nonce of its challenge: so that the source has proved its address."""
    sent = heard = 0
    uri, rows = f"sip:100@{to[0]}", ""
    with _socket(socket.SOCK_DGRAM, to, source) as sock:
        sock.connect(to)
        sock.settimeout(0.2)
        for due in paced(rate, seconds):
            for _ in range(due):
                with suppress(OSError):
                    sock.send(_request("REGISTER", to, "UDP", sent, *([f"Authorization: {rows}"] if rows else [])))
                sent += 1
                try:
                    told = parse_datagram(sock.recv(4096))
                except TimeoutError:
                    break  # whoever is banned hears nothing more
                except (OSError, Malformed):
                    continue
                heard += 1
                if isinstance(told, Response) and told.status == 401:
                    challenge = Challenge.parse(told.headers.all("WWW-Authenticate")[-1])
                    rows = answer([challenge], "100", f"guess{sent}", "REGISTER", uri, 1, f"c{sent}")
    return sent, heard


def _connections(first: bytes, hold: bool) -> Attack:
    """Connections that say `first`; held, they go on with one octet now and then."""

    def attack(to: Address, rate: int, seconds: float, source: str) -> tuple[int, int]:
        begun, held = 0, []
        try:
            for due in paced(rate, seconds):
                for _ in range(due):
                    sock = _socket(socket.SOCK_STREAM, to, source)
                    sock.setblocking(False)
                    sock.connect_ex(to)
                    held.append(sock)
                    begun += 1
                while len(held) > (AT_ONCE if hold else 20):
                    held.pop(0).close()
                for sock in held[-20:] if not hold else held[begun % 10 :: 10]:
                    with suppress(OSError):
                        sock.send(first or b"X")
            return begun, sum(_stands(sock) for sock in held)
        finally:
            for sock in held:
                sock.close()

    return attack


def _stands(sock: socket.socket) -> bool:
    """Whether the other side has not closed it."""
    try:
        return bool(sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except BlockingIOError:
        return sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    except OSError:
        return False


def paced(rate: int, seconds: float) -> Iterator[int]:
    """How many are due, until the time is over. Whoever cannot keep up sends what it can."""
    begun = time.monotonic()
    done, most = 0, max(1, int(rate * AT_MOST_LATE))
    while (now := time.monotonic() - begun) < seconds:
        due = min(int(now * rate) - done, most)
        done += due
        yield due
        time.sleep(TICK)


def _socket(kind: socket.SocketKind, to: Address, source: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in to[0] else socket.AF_INET, kind)
    try:
        if source:
            sock.bind((source, 0))
    except OSError as error:
        sock.close()
        raise ConfigError(f"attack-sim --from {source}: {error.strerror}") from None
    return sock


KINDS: Mapping[str, Attack] = {
    "invite": _flood(_invite),
    "register": _flood(_register),
    "options": _flood(_options),
    "malformed": _flood(_malformed),
    "garbage": _flood(_garbage),
    "fragments": _flood(_long),
    "scan": _flood(_scan),
    "rtp": _speech,
    "crack": _crack,
    "connections": _connections(b"", hold=False),
    "handshakes": _connections(HELLO, hold=False),
    "slow": _connections(b"I", hold=True),
}
