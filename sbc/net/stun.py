"""The one STUN request a SIP port answers: a phone asks whether its flow is still the same (RFC 5626 s4.4.2, s8; RFC 8489)."""

from __future__ import annotations

import struct
from ipaddress import ip_address

from sbc.flow import Address

MAGIC_COOKIE = 0x2112A442
FIRST_OCTETS = b"\0\1"  # binding request; no SIP message begins so (RFC 5626 s8)
MAX_REQUEST = 256  # octets; a request that keeps a flow alive has no attributes, or says in one what software it is

_HEADER = struct.Struct(">HHI12s")
_ATTRIBUTE = struct.Struct(">HH")
_SUCCESS = 0x0101
_XOR_MAPPED_ADDRESS = 0x0020
_OPTIONAL = 0x8000  # attributes from here on may be ignored (RFC 8489 s14)


def binding_response(request: bytes, source: Address) -> bytes | None:
    """The answer to a binding request from there; None for anything else, and for what asks for more than its own address."""
    if not _HEADER.size <= len(request) <= MAX_REQUEST:
        return None
    kind, length, cookie, transaction = _HEADER.unpack_from(request)
    if kind != 0x0001 or cookie != MAGIC_COOKIE or length % 4 or length != len(request) - _HEADER.size or _demands(request):
        return None
    host = ip_address(source[0].partition("%")[0]).packed
    mask = struct.pack(">I12s", MAGIC_COOKIE, transaction)
    address = bytes(octet ^ key for octet, key in zip(host, mask, strict=False))
    value = struct.pack(">xBH", 1 if len(host) == 4 else 2, source[1] ^ MAGIC_COOKIE >> 16) + address
    attribute = _ATTRIBUTE.pack(_XOR_MAPPED_ADDRESS, len(value)) + value
    return _HEADER.pack(_SUCCESS, len(attribute), MAGIC_COOKIE, transaction) + attribute


def _demands(request: bytes) -> bool:
    """An attribute that may not be ignored, or that does not fit."""
    at = _HEADER.size
    while at + _ATTRIBUTE.size <= len(request):
        kind, length = _ATTRIBUTE.unpack_from(request, at)
        if kind < _OPTIONAL:
            return True
        at += _ATTRIBUTE.size + (length + 3 & ~3)
    return at != len(request)
