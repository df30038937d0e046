"""Our own descriptions, written from scratch: nothing of the far side that is not in `Description` can get in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from media.api import Address
from sbc.frozen import replace
from sbc.sdp import fax
from sbc.sdp.codecs import STATIC, Encoding
from sbc.sdp.crypto import Crypto
from sbc.sdp.describe import Slot
from sbc.sdp.model import Attribute, Codec, Connection, Direction, Line, Media, Session

# 64-95 would be taken for RTCP when multiplexed (RFC 5761 s4).
_FREE_PAYLOADS = (*range(96, 128), *range(35, 64))


def stream(
    protocol: str,
    local: Address,
    codecs: Sequence[Codec],
    direction: Direction,
    cryptos: Sequence[Crypto],
    packet_times: tuple[int | None, int | None],
    bandwidth: Sequence[str],
) -> Media:
    """The m= section of the relayed stream. `packet_times`: ptime and maxptime, milliseconds; `bandwidth`: values of b= lines."""
    attributes: list[Attribute] = []
    for codec in codecs:
        channels = f"/{codec.channels}" if codec.channels > 1 else ""
        attributes.append(("rtpmap", f"{codec.payload} {codec.name}/{codec.clock}{channels}"))
        if codec.fmtp:
            attributes.append(("fmtp", f"{codec.payload} {codec.fmtp}"))
    for name, milliseconds in zip(("ptime", "maxptime"), packet_times, strict=True):
        if milliseconds is not None:
            attributes.append((name, str(milliseconds)))
    lines: tuple[Line, ...] = tuple([("b", value) for value in bandwidth])
    attributes += [("crypto", crypto.encode()) for crypto in cryptos]
    attributes.append((direction.value, None))
    formats = tuple([str(codec.payload) for codec in codecs])
    return Media("audio", local[1], protocol, formats, None, tuple(attributes), lines)


def fax_stream(protocol: str, local: Address, direction: Direction, parameters: Sequence[Attribute]) -> Media:
    """The m= section of a relayed T.38 stream. Fax machines that know no direction attribute expect none."""
    attributes = list(parameters)
    if direction is not Direction.SENDRECV:
        attributes.append((direction.value, None))
    return Media(fax.KIND, local[1], protocol, (fax.FORMAT,), None, tuple(attributes))


def session(
    session_id: int, version: int, local: Address, slots: Sequence[Slot], index: int, media: Media, bundled: bool = False
) -> Session:
    """The whole description: `media` at its place, every other stream refused (port 0, RFC 3264 s6).

    `bundled`: the peer has the stream in a group, which goes on with this stream alone (RFC 8843 s7.3).
    """
    connection = Connection.to(local[0])
    sections = [Media(slot.kind, 0, slot.protocol, slot.formats, None, _mid(slot)) for slot in slots]
    mid = _mid(slots[index])
    sections[index] = replace(media, attributes=mid + media.attributes) if mid else media
    attributes: list[Attribute] = [("ice-lite", None)] if media.first("ice-ufrag") is not None else []
    if bundled and media.port:
        attributes.append(("group", f"BUNDLE {slots[index].mid}"))
    return Session(f"- {session_id} {version} {connection}", connection=connection, attributes=tuple(attributes), media=tuple(sections))


def _mid(slot: Slot) -> tuple[Attribute, ...]:
    return (("mid", slot.mid),) if slot.mid else ()


def numbered(codecs: Sequence[Codec], taken: Mapping[int, tuple[str, int, int]]) -> tuple[Codec, ...]:
    """The codecs with payload numbers good for this leg: those the encoding has in `taken` first, then their own, then free ones.

    A dynamic number never changes its meaning within a session (RFC 3264 s8.3.2). Codecs beyond the last free number are dropped.
    """
    used: set[int] = set()
    chosen = []
    for codec in codecs:
        number = _number(codec, taken, used)
        if number is not None:
            used.add(number)
            same = number == codec.payload
            chosen.append(codec if same else Codec(*codec.key, number, codec.fmtp))
    return tuple(chosen)


def _number(codec: Codec, taken: Mapping[int, tuple[str, int, int]], used: set[int]) -> int | None:
    own = codec.payload
    settled = taken.get(own) == codec.key or STATIC.get(str(own)) == Encoding(*codec.key)
    if settled and own not in used:
        return own
    for number, key in taken.items():
        if key == codec.key and number not in used:
            return number
    if own in _FREE_PAYLOADS and own not in taken and own not in used:
        return own
    return next((number for number in _FREE_PAYLOADS if number not in taken and number not in used), None)
