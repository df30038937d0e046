"""What two ends of a link say to each other besides SIP and media, and how media is told apart. Pure.

A frame is a type, a length and that many octets; numbers are the variable-length integers of QUIC (RFC 9000 s16). Fields of octets
have their length in front. A media datagram is the flow it belongs to, as such a number, and one RTP or RTCP packet.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from sbc.errors import SbcError

VERSION = 1
NONCE = 32  # octets
BOOT = 16  # octets: what one process calls itself
MAX_NAME = 64  # octets, as the policy language has it
MAX_CHAIN = 5  # certificates; public authorities need three
MAX_CERTIFICATE = 4096  # octets; an RSA certificate with many names has 2,000
MAX_SIGNATURE = 1024  # octets: RSA with 8,192 bits
MAX_OPENING = 24 * 1024  # octets of a frame before anybody has proved anything
MAX_FRAME = 256 * 1024  # octets of a frame after that: the Call-IDs of some thousand calls
MAX_CALLS = 2000
MAX_CALL_ID = 512  # octets; a longer one is not compared


class LinkError(SbcError):
    """The other end does not speak as it should; the text is for both ends' logs."""


@dataclass(frozen=True, slots=True)
class Hello:
    """The first word, of the site. `edge_boot`, `received`: the session it wants to go on with; zeros: a new one.

    signalling   SIP goes by this connection, and no more by the one before
    chain        its certificate, DER, and those between that and an authority
    """

    site: str
    nonce: bytes
    boot: bytes
    edge_boot: bytes
    received: int
    signalling: bool
    chain: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Challenge:
    nonce: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Proof:
    signature: bytes


@dataclass(frozen=True, slots=True)
class Welcome:
    """`resumed`: the session goes on behind the `received` octets of SIP; else a new one begins at both ends."""

    boot: bytes
    resumed: bool
    received: int


@dataclass(frozen=True, slots=True)
class Received:
    """So many octets of SIP have come in this session; also what keeps the way open while nothing else is said."""

    count: int


@dataclass(frozen=True, slots=True)
class Calls:
    """The Call-IDs of all calls that the sender has by this link. `fresh`: it has begun a new session, and so none from before."""

    call_ids: frozenset[str]
    fresh: bool


Frame: TypeAlias = Hello | Challenge | Proof | Welcome | Received | Calls


def encode(frame: Frame) -> bytes:
    match frame:
        case Hello():
            head = varint(VERSION) + _fields((frame.site.encode(), frame.nonce, frame.boot, frame.edge_boot))
            body = head + varint(frame.received) + varint(int(frame.signalling)) + varint(len(frame.chain)) + _fields(frame.chain)
            return _frame(1, body)
        case Challenge(nonce, signature):
            return _frame(2, _fields((nonce, signature)))
        case Proof(signature):
            return _frame(3, _fields((signature,)))
        case Welcome(boot, resumed, received):
            return _frame(4, _fields((boot,)) + varint(int(resumed)) + varint(received))
        case Received(count):
            return _frame(5, varint(count))
        case Calls(call_ids, fresh):
            return _frame(6, varint(int(fresh)) + varint(len(call_ids)) + _fields(sorted(call_id.encode() for call_id in call_ids)))


def decode(kind: int, body: bytes) -> Frame | None:
    """None: of a kind that is not known, to be passed over. Raises LinkError."""
    reader = _Reader(body)
    frame: Frame
    match kind:
        case 1:
            if reader.number() != VERSION:
                raise LinkError("another version of the link: the same program belongs at both ends")
            site, nonce, boot, edge_boot = reader.field(MAX_NAME), reader.exactly(NONCE), reader.exactly(BOOT), reader.exactly(BOOT)
            received, signalling, count = reader.number(), reader.number(), reader.number()
            if not 1 <= count <= MAX_CHAIN:
                raise LinkError(f"a chain of {count} certificates")
            chain = tuple(reader.field(MAX_CERTIFICATE) for _ in range(count))
            frame = Hello(site.decode("ascii", "replace"), nonce, boot, edge_boot, received, bool(signalling), chain)
        case 2:
            frame = Challenge(reader.exactly(NONCE), reader.field(MAX_SIGNATURE))
        case 3:
            frame = Proof(reader.field(MAX_SIGNATURE))
        case 4:
            frame = Welcome(reader.exactly(BOOT), bool(reader.number()), reader.number())
        case 5:
            frame = Received(reader.number())
        case 6:
            fresh, count = reader.number(), reader.number()
            if count > MAX_CALLS:
                raise LinkError(f"{count} calls")
            frame = Calls(frozenset(reader.field(MAX_CALL_ID).decode("utf-8", "replace") for _ in range(count)), bool(fresh))
        case _:
            return None
    reader.end()
    return frame


class FrameReader:
    """Frames out of a stream. `limit`: octets that one may have; larger once the other end has proved who it is."""

    def __init__(self) -> None:
        self.limit = MAX_OPENING
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Those that became whole. Raises LinkError."""
        self._buffer += data
        frames: list[Frame] = []
        while True:
            try:
                kind, at = read_varint(self._buffer, 0)
                size, at = read_varint(self._buffer, at)
            except IndexError:
                return frames
            if size > self.limit:
                raise LinkError(f"a frame of {size} octets")
            if len(self._buffer) < at + size:
                return frames
            frame = decode(kind, bytes(self._buffer[at : at + size]))
            del self._buffer[: at + size]
            if frame is not None:
                frames.append(frame)
            elif self.limit == MAX_OPENING:  # what a later version may say of itself, nobody has to hear from strangers
                raise LinkError(f"a frame of kind {kind}")


def varint(number: int) -> bytes:
    """RFC 9000 s16."""
    if number < 1 << 6:
        return bytes((number,))
    if number < 1 << 14:
        return (number | 1 << 14).to_bytes(2, "big")
    if number < 1 << 30:
        return (number | 1 << 31).to_bytes(4, "big")
    return (number | 3 << 62).to_bytes(8, "big")


def read_varint(data: bytes | bytearray, at: int) -> tuple[int, int]:
    """The number there, and where the next octet is. Raises IndexError when it is not all there."""
    first = data[at]
    size = 1 << (first >> 6)
    if len(data) < at + size:
        raise IndexError
    return int.from_bytes(data[at : at + size], "big") & ((1 << 8 * size - 2) - 1), at + size


def datagram(flow: int, packet: bytes) -> bytes:
    return varint(flow) + packet


def split_datagram(data: bytes) -> tuple[int, bytes] | None:
    """Flow and packet; None: neither."""
    try:
        flow, at = read_varint(data, 0)
    except IndexError:
        return None
    return flow, data[at:]


def _frame(kind: int, body: bytes) -> bytes:
    return varint(kind) + varint(len(body)) + body


def _fields(values: Iterable[bytes]) -> bytes:
    return b"".join([varint(len(value)) + value for value in values])


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def number(self) -> int:
        try:
            value, self._at = read_varint(self._data, self._at)
        except IndexError:
            raise LinkError("a frame that ends too soon") from None
        return value

    def field(self, longest: int) -> bytes:
        size = self.number()
        if size > longest or size > len(self._data) - self._at:
            raise LinkError(f"a field of {size} octets")
        self._at += size
        return self._data[self._at - size : self._at]

    def exactly(self, size: int) -> bytes:
        value = self.field(size)
        if len(value) != size:
            raise LinkError(f"a field of {len(value)} octets instead of {size}")
        return value

    def end(self) -> None:
        if self._at != len(self._data):
            raise LinkError("a frame with something behind its end")
