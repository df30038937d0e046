"""What a lite ICE agent reads and writes of STUN (RFC 8489; RFC 8445 s7.3): the peer's checks and our answers to them."""

from __future__ import annotations

import hmac
import socket
import struct
import zlib
from typing import NamedTuple

from media.api import Ice

# First octets of what shares a media port (RFC 7983 s7)
LAST_STUN = 3
FIRST_DTLS, LAST_DTLS = 20, 63

_HEADER = 20
_COOKIE = 0x2112A442
_REQUEST, _INDICATION, _SUCCESS, _ERROR = 0x0001, 0x0011, 0x0101, 0x0111
_USERNAME, _INTEGRITY, _ERROR_CODE, _UNKNOWN, _XOR_MAPPED = 0x0006, 0x0008, 0x0009, 0x000A, 0x0020
_PRIORITY, _USE_CANDIDATE, _FINGERPRINT, _CONTROLLED = 0x0024, 0x0025, 0x8028, 0x8029
_INTEGRITY_SHA256, _ALGORITHM = 0x001C, 0x001D  # come beside the others where a peer does not know yet what we can
_UNDERSTOOD = frozenset((_USERNAME, _INTEGRITY, _PRIORITY, _USE_CANDIDATE, _INTEGRITY_SHA256, _ALGORITHM))
_OPTIONAL = 0x8000  # attributes from here on may be passed over (RFC 8489 s14)
_FINGERPRINT_XOR = 0x5354554E
_INTEGRITY_SIZE, _FINGERPRINT_SIZE = 24, 8  # with their headers
MAX_UNKNOWN = 8  # attributes named in one 420

_pair = struct.Struct("!HH").unpack_from


def looks_like_stun(packet: bytes) -> bool:
    """As long as its header says, which UDPTL is not; old ones have no cookie."""
    size = len(packet)
    return size >= _HEADER and packet[0] <= LAST_STUN and int.from_bytes(packet[2:4], "big") == size - _HEADER


class NotACheck(Exception):
    """No binding request of this peer: malformed, or without our credentials."""


class Check(NamedTuple):
    """A binding request that carries our credentials.

    nominates   the peer wants this pair of addresses (USE-CANDIDATE). One who takes itself for the controlled agent nominates nothing:
                a lite agent is that always (RFC 8445 s6.1.1)
    unknown     attributes we would have to understand and do not
    """

    transaction: bytes
    nominates: bool
    unknown: tuple[int, ...]


def read_check(packet: bytes, ice: Ice) -> Check | None:
    """The check in a datagram; None: a keep-alive (Binding indication), to which nothing is said. Raises NotACheck.

    In the order of cost: form, user name, checksum, and the HMAC only when all of those are right.
    """
    size = len(packet)
    if size < _HEADER or size % 4:
        raise NotACheck
    kind, length, cookie = struct.unpack_from("!HHI", packet)
    if length != size - _HEADER or cookie != _COOKIE or kind not in (_REQUEST, _INDICATION):
        raise NotACheck
    if kind == _INDICATION:
        return None
    user, integrity, checksum, seen = b"", 0, 0, []
    at = _HEADER
    while at < size:
        name, length = _pair(packet, at)
        end = at + 4 + length
        if end > size or checksum:
            raise NotACheck  # nothing follows FINGERPRINT (s14.7)
        if name == _FINGERPRINT and length == 4:
            checksum = at
        elif integrity:
            pass  # what follows MESSAGE-INTEGRITY is not looked at, but for FINGERPRINT (s14.5)
        elif name == _INTEGRITY and length == 20:
            integrity = at
        elif name == _USERNAME and not user:
            user = packet[at + 4 : end]
        else:
            seen.append(name)
        at = end + -end % 4
    if not (integrity and checksum) or user != ice.username.encode():
        raise NotACheck
    if packet[checksum + 4 :] != _checksum(packet[:checksum]):
        raise NotACheck
    if not hmac.compare_digest(packet[integrity + 4 : integrity + 24], _integrity(packet[:integrity], ice)):
        raise NotACheck
    unknown = tuple([name for name in seen if name < _OPTIONAL and name not in _UNDERSTOOD][:MAX_UNKNOWN])
    return Check(packet[8:_HEADER], _USE_CANDIDATE in seen and _CONTROLLED not in seen, unknown)


def answer(check: Check, source: tuple[str, int], ice: Ice) -> bytes:
    """What the sender of a check gets: where we see it, or 420 with the attributes we do not understand (RFC 8489 s6.3.1)."""
    if check.unknown:
        names = b"".join(struct.pack("!H", name) for name in check.unknown)
        body = _attribute(_ERROR_CODE, struct.pack("!HBB", 0, 4, 20)) + _attribute(_UNKNOWN, names)
        return _sealed(_ERROR, check.transaction, body, ice)
    return _sealed(_SUCCESS, check.transaction, _attribute(_XOR_MAPPED, _xor_mapped(source, check.transaction)), ice)


def _sealed(kind: int, transaction: bytes, body: bytes, ice: Ice) -> bytes:
    message = struct.pack("!HHI", kind, len(body), _COOKIE) + transaction + body
    message += struct.pack("!HH", _INTEGRITY, 20) + _integrity(message, ice)
    message = message[:2] + struct.pack("!H", len(message) + _FINGERPRINT_SIZE - _HEADER) + message[4:]
    return message + struct.pack("!HH", _FINGERPRINT, 4) + _checksum(message)


def _integrity(before: bytes, ice: Ice) -> bytes:
    """Over what comes before the attribute, with the length of a message that ends with it (s14.5)."""
    length = struct.pack("!H", len(before) + _INTEGRITY_SIZE - _HEADER)
    return hmac.digest(ice.password.encode(), before[:2] + length + before[4:], "sha1")


def _checksum(before: bytes) -> bytes:
    return struct.pack("!I", zlib.crc32(before) ^ _FINGERPRINT_XOR)


def _attribute(name: int, value: bytes) -> bytes:
    return struct.pack("!HH", name, len(value)) + value + bytes(-len(value) % 4)


def _xor_mapped(source: tuple[str, int], transaction: bytes) -> bytes:
    """s14.2"""
    six = ":" in source[0]
    host = socket.inet_pton(socket.AF_INET6 if six else socket.AF_INET, source[0].partition("%")[0])
    mask = struct.pack("!I", _COOKIE) + transaction
    hidden = bytes(one ^ other for one, other in zip(host, mask, strict=False))
    return struct.pack("!BBH", 0, 2 if six else 1, source[1] ^ _COOKIE >> 16) + hidden
