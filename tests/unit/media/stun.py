"""STUN as a peer speaks it: checks made and answers read, without the engine's own code."""

from __future__ import annotations

import hmac
import struct
import zlib
from typing import NamedTuple

COOKIE = 0x2112A442
USERNAME, INTEGRITY, ERROR_CODE, XOR_MAPPED, PRIORITY, USE_CANDIDATE = 0x0006, 0x0008, 0x0009, 0x0020, 0x0024, 0x0025
FINGERPRINT, CONTROLLED, CONTROLLING = 0x8028, 0x8029, 0x802A


def attribute(name: int, value: bytes = b"") -> bytes:
    return struct.pack("!HH", name, len(value)) + value + bytes(-len(value) % 4)


def check(number: int, username: str, password: str, *extra: bytes, nominate: bool = False) -> bytes:
    """A binding request with transaction `number`; `extra` attributes go before the integrity."""
    body = attribute(USERNAME, username.encode()) + attribute(PRIORITY, bytes(4)) + attribute(CONTROLLING, bytes(8)) + b"".join(extra)
    if nominate:
        body += attribute(USE_CANDIDATE)
    head = struct.pack("!HHI", 1, len(body) + 24, COOKIE) + number.to_bytes(12, "big")
    body += attribute(INTEGRITY, hmac.digest(password.encode(), head + body, "sha1"))
    head = head[:2] + struct.pack("!H", len(body) + 8) + head[4:]
    return head + body + attribute(FINGERPRINT, struct.pack("!I", zlib.crc32(head + body) ^ 0x5354554E))


class Answer(NamedTuple):
    kind: int
    transaction: int
    attributes: dict[int, bytes]

    @property
    def mapped(self) -> tuple[bytes, int]:
        """XOR-MAPPED-ADDRESS: octets of the host, port."""
        value = self.attributes[XOR_MAPPED]
        mask = struct.pack("!I", COOKIE) + self.transaction.to_bytes(12, "big")
        return bytes(one ^ other for one, other in zip(value[4:], mask, strict=False)), int.from_bytes(value[2:4], "big") ^ COOKIE >> 16


def answer(packet: bytes, password: str) -> Answer:
    """An answer of ours, its integrity and checksum found right."""
    kind, length, cookie = struct.unpack_from("!HHI", packet)
    assert (length, cookie) == (len(packet) - 20, COOKIE)
    assert packet[-8:] == attribute(FINGERPRINT, struct.pack("!I", zlib.crc32(packet[:-8]) ^ 0x5354554E))
    before = packet[:2] + struct.pack("!H", length - 8) + packet[4:-32]
    assert packet[-32:-8] == attribute(INTEGRITY, hmac.digest(password.encode(), before, "sha1"))
    attributes: dict[int, bytes] = {}
    at = 20
    while at < len(packet):
        name, size = struct.unpack_from("!HH", packet, at)
        attributes[name] = packet[at + 4 : at + 4 + size]
        at += 4 + size + -size % 4
    return Answer(kind, int.from_bytes(packet[8:20], "big"), attributes)
