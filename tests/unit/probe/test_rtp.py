from __future__ import annotations

import pytest

from sbc.errors import ParseError
from sbc.probe.rtp import Packet, Reception


def _packet(sequence: int, ssrc: int = 1) -> Packet:
    return Packet(8, sequence & 0xFFFF, sequence * 160 & 0xFFFFFFFF, ssrc, bytes(160))


def test_a_packet_survives_the_wire() -> None:
    packet = Packet(0, 65535, 0xFFFFFFFF, 0xDEADBEEF, b"audio", marker=True)
    assert Packet.parse(packet.encode()) == packet


def test_contributing_sources_extension_and_padding_are_skipped() -> None:
    plain = Packet(8, 7, 160, 9, b"").encode()
    dressed = bytes([0x80 | 0x20 | 0x10 | 1]) + plain[1:] + b"CSRC" + b"\xbe\xde\x00\x01" + b"exts" + b"audio" + b"\x00\x00\x03"
    assert Packet.parse(dressed).payload == b"audio"


@pytest.mark.parametrize(
    "data",
    [b"", b"\x80" * 11, b"\x40" + bytes(11), b"\x8f" + bytes(11), b"\x90" + bytes(13), b"\xa0" + bytes(10) + b"\xff"],
    ids=["nothing", "short", "version 1", "sources cut", "extension cut", "padding too long"],
)
def test_what_is_no_rtp_is_refused(data: bytes) -> None:
    with pytest.raises(ParseError):
        Packet.parse(data)


def test_nothing_received_is_nothing_lost() -> None:
    assert Reception().lost == 0
    assert Reception().jitter_ms == 0.0


def test_loss_is_counted_across_the_wrap_of_the_sequence_number() -> None:
    reception = Reception()
    for sequence in (65533, 65534, 65536, 65535 + 4):
        reception.receive(_packet(sequence), sequence * 0.02)
    assert (reception.received, reception.expected, reception.lost) == (4, 7, 3)


def test_a_packet_out_of_order_is_not_lost() -> None:
    reception = Reception()
    for sequence in (10, 12, 11, 13):
        reception.receive(_packet(sequence), sequence * 0.02)
    assert reception.lost == 0


def test_a_new_source_begins_a_new_count() -> None:
    reception = Reception()
    for sequence in (1, 3):
        reception.receive(_packet(sequence), 0.0)
    for sequence in (60000, 60001):
        reception.receive(_packet(sequence, ssrc=2), 0.0)
    assert (reception.expected, reception.lost) == (5, 1)


def test_a_steady_stream_has_no_jitter_and_a_shaken_one_has() -> None:
    steady, shaken = Reception(), Reception()
    for sequence in range(200):
        steady.receive(_packet(sequence), sequence * 0.02)
        shaken.receive(_packet(sequence), sequence * 0.02 + (0.010 if sequence % 2 else 0.0))
    assert steady.jitter_ms == pytest.approx(0.0, abs=0.01)
    assert shaken.jitter_ms == pytest.approx(10.0, rel=0.05)
