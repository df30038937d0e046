"""Ethernet frames with UDP, made and read octet by octet."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

VLAN = 0x8100
IPV4, IPV6 = 0x0800, 0x86DD
UDP = 17


def summed(octets: bytes) -> int:
    """RFC 1071, not inverted."""
    total: int = sum(struct.unpack(f"!{(len(octets) + 1) // 2}H", octets + b"\0" * (len(octets) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@dataclass(frozen=True)
class Frame:
    """Addresses are text; `check` is what is added to the right checksum of UDP, None: there is none."""

    to: bytes
    source: tuple[str, int]
    destination: tuple[str, int]
    payload: bytes
    vlan: int | None = None
    check: int | None = 0

    @property
    def octets(self) -> bytes:
        return self.ethernet(IPV4, ipv4(self.source[0], self.destination[0], self.udp))

    @property
    def udp(self) -> bytes:
        addresses = socket.inet_aton(self.source[0]) + socket.inet_aton(self.destination[0])
        header = struct.pack("!HHHH", self.source[1], self.destination[1], 8 + len(self.payload), 0)
        right = 0xFFFF - summed(addresses + struct.pack("!HH", UDP, 8 + len(self.payload)) + header + self.payload)
        return header[:6] + struct.pack("!H", 0 if self.check is None else (right + self.check) & 0xFFFF) + self.payload

    def ethernet(self, kind: int, packet: bytes) -> bytes:
        tag = b"" if self.vlan is None else struct.pack("!HH", VLAN, self.vlan)
        return self.to + b"\x02\0\0\0\0\x77" + tag + struct.pack("!H", kind) + packet


def ipv4(source: str, destination: str, payload: bytes, *, fragment: int = 0, options: bytes = b"") -> bytes:
    """`fragment`: the 16 bits of flags and offset."""
    words = 5 + len(options) // 4
    head = struct.pack("!BBHHHBBH", 0x40 | words, 0, 4 * words + len(payload), 7, fragment, 9, UDP, 0)
    head += socket.inet_aton(source) + socket.inet_aton(destination) + options
    return head[:10] + struct.pack("!H", 0xFFFF - summed(head)) + head[12:] + payload


@dataclass(frozen=True)
class Seen:
    """Of a frame with UDP over IPv4. `intact`: both checksums are right."""

    to: bytes
    traffic_class: int
    hops: int
    payload: bytes
    intact: bool

    @classmethod
    def read(cls, frame: bytes) -> Seen | None:
        if frame[12:14] != struct.pack("!H", IPV4) or frame[23] != UDP:
            return None
        (size,) = struct.unpack_from("!H", frame, 16)
        ip, udp = frame[14:34], frame[34 : 14 + size]
        intact = summed(ip) == 0xFFFF and summed(ip[12:] + struct.pack("!HH", UDP, len(udp)) + udp) == 0xFFFF
        return cls(frame[:6], frame[15], frame[22], udp[8:], intact)
