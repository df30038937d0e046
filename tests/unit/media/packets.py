"""RTP and RTCP packets as peers send them."""

from __future__ import annotations

import struct

from media.api import Keys, Suite


def rtp(sequence: int, *, payload_type: int = 8, marker: bool = False, ssrc: int = 0x1111, payload: bytes = b"speech" * 4) -> bytes:
    second = payload_type | (0x80 if marker else 0)
    return struct.pack("!BBHII", 0x80, second, sequence & 0xFFFF, sequence * 160 & 0xFFFFFFFF, ssrc) + payload


def event(
    sequence: int,
    timestamp: int,
    number: int,
    duration: int,
    *,
    kind: int = 101,
    end: bool = False,
    marker: bool = False,
    ssrc: int = 0x1111,
) -> bytes:
    """A packet of a telephone-event (RFC 4733 s2.3); the duration in units of the clock."""
    header = struct.pack("!BBHII", 0x80, kind | (0x80 if marker else 0), sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc)
    return header + struct.pack("!BBH", number, 10 | (0x80 if end else 0), duration)


def rtcp(ssrc: int = 0x1111) -> bytes:
    """An empty receiver report and a CNAME."""
    return struct.pack("!BBHI", 0x80, 201, 1, ssrc) + struct.pack("!BBHI", 0x81, 202, 2, ssrc) + b"\x01\x01x\x00"


def keys(number: int, suite: Suite = Suite.AES_CM_128_HMAC_SHA1_80) -> Keys:
    return Keys(suite, bytes((number * 61 + place * 7) & 0xFF for place in range(suite.key_length)))
