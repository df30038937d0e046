from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.rtp import MAX_PACKET, Reception, padding_fits, starts_like_rtcp, well_formed_rtcp, well_formed_rtp
from tests.unit.media.packets import rtcp, rtp


@given(st.binary(max_size=64) | st.binary(max_size=60).map(lambda tail: b"\xb3\xc8" + tail))
def test_any_octets_are_judged_without_error(packet: bytes) -> None:
    well_formed_rtcp(packet)
    starts_like_rtcp(packet)
    if well_formed_rtp(packet):
        padding_fits(packet)
        Reception().count(packet, 8000, 0.0)


def header(first: int) -> bytes:
    return struct.pack("!BBHII", first, 8, 1, 160, 7)


@pytest.mark.parametrize(
    ("packet", "good"),
    [
        (header(0x80), True),
        (header(0x80)[:-1], False),
        (header(0xC0), False),
        (header(0x82) + bytes(8), True),
        (header(0x82) + bytes(7), False),
        (header(0x91) + bytes(4) + b"\xbe\xde\x00\x01" + bytes(4), True),
        (header(0x91) + bytes(4) + b"\xbe\xde\x00\x01" + bytes(3), False),
        (header(0x91) + bytes(4) + b"\xbe\xde\x00", False),
        (rtp(1, payload=bytes(MAX_PACKET - 12)), True),
        (rtp(1, payload=bytes(MAX_PACKET - 11)), False),
    ],
)
def test_RTP_01_header(packet: bytes, good: bool) -> None:
    assert well_formed_rtp(packet) is good


@pytest.mark.parametrize(
    ("tail", "good"), [(b"\x01", True), (b"\x00\x02", True), (b"\x00", False), (b"\x03\x03", False), (b"\x02\x03\x03", True)]
)
def test_RTP_01_padding(tail: bytes, good: bool) -> None:
    assert padding_fits(header(0xA0) + tail) is good


def test_RTP_01_no_room_for_padding() -> None:
    assert not padding_fits(header(0xA0))
    assert not padding_fits(header(0xB0) + b"\xbe\xde\x00\x00")


def test_RTP_02_compound_lengths() -> None:
    assert well_formed_rtcp(rtcp())
    assert not well_formed_rtcp(rtcp() + b"\x80")
    assert not well_formed_rtcp(rtcp() + bytes(4))
    assert not well_formed_rtcp(rtcp()[:-4])
    assert not well_formed_rtcp(b"")


def test_RTP_02_padding_only_at_the_end() -> None:
    padded = b"\xa0\xc9\x00\x02" + bytes(4) + b"\x00\x00\x00\x04"
    assert well_formed_rtcp(rtcp() + padded)
    assert not well_formed_rtcp(padded + rtcp())


def expected_of(*sequences: int) -> int:
    reception = Reception()
    for sequence in sequences:
        reception.count(rtp(sequence), 0, 0.0)
    return reception.expected


def test_expected_packets() -> None:
    assert expected_of() == 0
    assert expected_of(7) == 1
    assert expected_of(7, 9) == 3
    assert expected_of(7, 9, 8) == 3
    assert expected_of(65535, 0) == 2
    assert expected_of(65534, 1, 65535, 0) == 4


def test_a_stray_sequence_number_is_not_loss() -> None:
    assert expected_of(100, 101, 40000, 102, 103) == 4


def test_a_restarted_sequence_begins_a_new_count() -> None:
    assert expected_of(100, 101, 40000, 40001, 40002) == 5
    assert expected_of(40000, 40001, 100, 101, 103) == 6


def test_the_timestamp_wraps_without_jitter() -> None:
    reception = Reception()
    for number in range(10):
        timestamp = (0xFFFFFFFF - 400 + 160 * number) & 0xFFFFFFFF
        reception.count(struct.pack("!BBHII", 0x80, 8, number, timestamp, 1), 8000, 5.0 + number * 0.02)
    assert reception.jitter_ms < 0.001


def test_a_telephone_event_is_not_jitter() -> None:
    reception = Reception()
    for number in range(10):
        reception.count(struct.pack("!BBHII", 0x80, 101, number, 16000, 1), 8000, 5.0 + number * 0.05)
    assert reception.jitter_ms == 0


def test_another_clock_starts_jitter_anew() -> None:
    reception = Reception()
    for number, rate in enumerate((8000, 8000, 48000, 48000)):
        reception.count(struct.pack("!BBHII", 0x80, 8, number, number * rate // 50, 1), rate, number * 0.02)
    assert reception.jitter_ms == pytest.approx(0)
