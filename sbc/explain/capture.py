"""SIP requests out of a capture: pcap and pcapng, UDP with its fragments, and TCP put together again. What is encrypted stays so.

A capture may come from anywhere: every length is checked, and nothing in it makes us hold more than it has itself.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from sbc.errors import ConfigError
from sbc.flow import Address, Transport
from sbc.sip.framing import FramingLost, Message, StreamFramer

LARGEST = 256 * 1024 * 1024  # octets of a file
ETHERNET, RAW, IPV4, IPV6 = 1, 101, 228, 229
# Link types (www.tcpdump.org/linktypes.html): how many octets stand before the protocol, and whether that is an EtherType.
_BEFORE = {ETHERNET: 12, 113: 14, 276: 0, 0: 4, 108: 4, 12: 0, RAW: 0, IPV4: 0, IPV6: 0}
_VLANS = frozenset((0x8100, 0x88A8, 0x9100))
_METHODS = (b"INVITE ", b"REGISTER ", b"OPTIONS ", b"MESSAGE ", b"SUBSCRIBE ", b"PUBLISH ", b"REFER ", b"NOTIFY ", b"INFO ")


@dataclass(frozen=True, slots=True)
class Captured:
    """A request as it came, from where and to where."""

    octets: bytes
    source: Address
    destination: Address
    transport: Transport


def requests_in(data: bytes) -> list[Captured]:
    """In the order they came; of a connection, in the order of its stream. Raises ConfigError: that is no capture."""
    reader = _Reader()
    for link, packet in _packets(data):
        reader.take(link, packet)
    return reader.requests()


# Files


def _packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Link type and octets of each packet; what is cut off at the end is passed over."""
    magic = data[:4]
    if magic == b"\x0a\x0d\x0d\x0a":
        yield from _blocks(data)
        return
    orders = {b"\xd4\xc3\xb2\xa1": "<", b"\x4d\x3c\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">", b"\xa1\xb2\x3c\x4d": ">"}
    if magic not in orders or len(data) < 24:
        raise ConfigError("that is neither pcap nor pcapng")
    order = orders[magic]
    link = struct.unpack_from(order + "I", data, 20)[0] & 0xFFFF
    at = 24
    while at + 16 <= len(data):
        kept = struct.unpack_from(order + "I", data, at + 8)[0]
        yield link, data[at + 16 : at + 16 + kept]
        at += 16 + kept


def _blocks(data: bytes) -> Iterator[tuple[int, bytes]]:
    """pcapng: sections with interfaces, and packets that name theirs."""
    order, links, at = "<", list[int](), 0
    while at + 12 <= len(data):
        if data[at : at + 4] == b"\x0a\x0d\x0d\x0a":
            order = "<" if data[at + 8 : at + 12] == b"\x4d\x3c\x2b\x1a" else ">"
            links = []
        kind, length = struct.unpack_from(order + "II", data, at)
        if length < 12 or at + length > len(data):
            return
        body = data[at + 8 : at + length - 4]
        if kind == 1 and len(body) >= 8:
            links.append(struct.unpack_from(order + "H", body)[0])
        elif kind == 6 and len(body) >= 20:
            interface, kept = struct.unpack_from(order + "I", body)[0], struct.unpack_from(order + "I", body, 12)[0]
            if interface < len(links):
                yield links[interface], body[20 : 20 + kept]
        elif kind == 3 and len(body) >= 4 and links:
            yield links[0], body[4:]
        at += length


# Packets


class _Reader:
    def __init__(self) -> None:
        self._found: list[Captured] = []
        self._fragments: dict[tuple[bytes, bytes, int, bytes], dict[int, tuple[bytes, bool]]] = {}
        self._streams: dict[tuple[Address, Address], dict[int, bytes]] = {}
        self._begins: dict[tuple[Address, Address], int] = {}

    def take(self, link: int, packet: bytes) -> None:
        if link not in _BEFORE:
            return
        payload = _network_layer(link, packet)
        if len(payload) < 20:
            return
        version = payload[0] >> 4
        if version == 4:
            self._take_ipv4(payload)
        elif version == 6 and len(payload) >= 40:
            self._take_ipv6(payload)

    def requests(self) -> list[Captured]:
        found = list(self._found)
        for (source, destination), pieces in self._streams.items():
            found += [Captured(each, source, destination, "TCP") for each in _messages(self._stream(source, destination, pieces))]
        return found

    def _take_ipv4(self, packet: bytes) -> None:
        head, total = (packet[0] & 15) * 4, struct.unpack_from(">H", packet, 2)[0]
        if head < 20 or total < head:
            return
        body = packet[head : total or len(packet)]
        flags = struct.unpack_from(">H", packet, 6)[0]
        offset, more = (flags & 0x1FFF) * 8, bool(flags & 0x2000)
        source, destination = packet[12:16], packet[16:20]
        if offset or more:
            whole = self._whole((source, destination, packet[9], packet[4:6]), offset, body, more=more)
            if whole is None:
                return
            body = whole
        self._take_transport(packet[9], str(IPv4Address(source)), str(IPv4Address(destination)), body)

    def _take_ipv6(self, packet: bytes) -> None:
        following, body = packet[6], packet[40 : 40 + struct.unpack_from(">H", packet, 4)[0]]
        source, destination = packet[8:24], packet[24:40]
        while following in (0, 43, 60) and len(body) >= 8:  # hop-by-hop, routing, destination options
            following, body = body[0], body[(body[1] + 1) * 8 :]
        if following == 44 and len(body) >= 8:
            place = struct.unpack_from(">H", body, 2)[0]
            whole = self._whole((source, destination, body[0], body[4:8]), place & 0xFFF8, body[8:], more=bool(place & 1))
            if whole is None:
                return
            following, body = body[0], whole
        self._take_transport(following, str(IPv6Address(source)), str(IPv6Address(destination)), body)

    def _whole(self, key: tuple[bytes, bytes, int, bytes], offset: int, body: bytes, *, more: bool) -> bytes | None:
        """The datagram that fragments make, once all of them are there."""
        pieces = self._fragments.setdefault(key, {})
        pieces[offset] = body, more
        whole = b""
        while len(whole) in pieces:
            piece, goes_on = pieces[len(whole)]
            whole += piece
            if not goes_on:
                del self._fragments[key]
                return whole
            if not piece:
                return None
        return None

    def _take_transport(self, protocol: int, source: str, destination: str, body: bytes) -> None:
        if len(body) < 8:
            return
        a, b = struct.unpack_from(">HH", body)
        if protocol == 17:
            data = body[8 : struct.unpack_from(">H", body, 4)[0]]
            if data.lstrip(b"\r\n").startswith(_METHODS):
                self._found.append(Captured(data, (source, a), (destination, b), "UDP"))
        elif protocol == 6 and len(body) >= 20:
            self._take_segment((source, a), (destination, b), body)

    def _take_segment(self, source: Address, destination: Address, segment: bytes) -> None:
        number, flags = struct.unpack_from(">I", segment, 4)[0], segment[13]
        key = source, destination
        if flags & 2:  # SYN: the stream begins behind it, and whatever had these ports before is over
            self._begins[key] = (number + 1) & 0xFFFFFFFF
            self._streams.pop(key, None)
        data = segment[(segment[12] >> 4) * 4 :]
        if data:
            self._begins.setdefault(key, number)
            pieces = self._streams.setdefault(key, {})
            at = (number - self._begins[key]) & 0xFFFFFFFF
            if len(pieces.get(at, b"")) < len(data):
                pieces[at] = data

    def _stream(self, source: Address, destination: Address, pieces: dict[int, bytes]) -> bytes:
        """As far as it is there without a gap; what was sent twice counts once. A place before the first octet we saw is not there."""
        whole = bytearray()
        for at in sorted(each for each in pieces if each < 0x80000000):
            if at > len(whole):
                break
            whole += pieces[at][len(whole) - at :]
        return bytes(whole)


def _network_layer(link: int, packet: bytes) -> bytes:
    if link in (0, 108, 12, RAW, IPV4, IPV6):
        return packet[_BEFORE[link] :]
    at = _BEFORE[link]
    if link == 276:
        return packet[20:] if packet[:2] in (b"\x08\x00", b"\x86\xdd") else b""
    kind = int.from_bytes(packet[at : at + 2], "big")
    while kind in _VLANS:
        at += 4
        kind = int.from_bytes(packet[at : at + 2], "big")
    return packet[at + 2 :] if kind in (0x0800, 0x86DD) else b""


def _messages(stream: bytes) -> Iterator[bytes]:
    framer = StreamFramer()
    try:
        frames = framer.feed(stream)
    except FramingLost as error:
        frames = error.frames
    for frame in frames:
        if isinstance(frame, Message) and frame.head.lstrip(b"\r\n").startswith(_METHODS):
            yield frame.head + b"\r\n\r\n" + frame.body
