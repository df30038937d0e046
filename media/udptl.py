"""What a relay reads of UDPTL: whether a datagram is well formed (ITU-T T.38 s9.1, aligned PER)."""

from __future__ import annotations

from media.rtp import MAX_PACKET

_SEQUENCE_NUMBER = 2  # octets
_SECONDARY, _PARITY = 0x00, 0x80  # the two kinds of error recovery


def well_formed_udptl(packet: bytes) -> bool:
    """The packet inside and those of the error recovery fill the datagram exactly; without error recovery it passes, too.

    Speech that comes late after a change to fax does not look like this.
    """
    size = len(packet)
    if size > MAX_PACKET:
        return False
    at = _past_open_type(packet, _SEQUENCE_NUMBER)
    if at == size and size > _SEQUENCE_NUMBER + 1:
        return True
    if not _SEQUENCE_NUMBER + 1 < at < size - 1 or packet[at] not in (_SECONDARY, _PARITY):
        return False
    if packet[at] == _PARITY:
        at = _past_open_type(packet, at + 1)  # how many packets the parity spans
        if at >= size:
            return False
        entries, at = packet[at], at + 1
    else:
        entries, at = packet[at + 1], at + 2
    for _ in range(entries):
        if at >= size:
            return False
        at = _past_open_type(packet, at)
    return at == size


def _past_open_type(packet: bytes, at: int) -> int:
    """Where the octets that begin with their length at `at` end; beyond the packet if they do not lie inside."""
    if at >= len(packet):
        return at + 1
    length = packet[at]
    if not length & 0x80:
        return at + 1 + length
    # Fourteen bits of it in two octets (X.691 s10.9.3.6)
    return at + 2 + ((length & 0x3F) << 8 | packet[at + 1]) if at + 1 < len(packet) else at + 2
