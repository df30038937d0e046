from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.link.frames import (
    MAX_FRAME,
    MAX_OPENING,
    Calls,
    Challenge,
    Frame,
    FrameReader,
    Hello,
    LinkError,
    Proof,
    Received,
    Welcome,
    datagram,
    encode,
    read_varint,
    split_datagram,
    varint,
)

FRAMES: list[Frame] = [
    Hello("berlin", bytes(32), b"b" * 16, b"e" * 16, 70_000, True, (b"certificate", b"issuer")),
    Challenge(b"n" * 32, b"signature"),
    Proof(b"signature"),
    Welcome(b"e" * 16, True, 1 << 40),
    Received(5),
    Calls(frozenset({"a@b", "c"}), False),
    Calls(frozenset(), True),
]


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: type(frame).__name__)
def test_a_frame_comes_out_as_it_went_in_whatever_the_pieces(frame: Frame) -> None:
    reader = FrameReader()
    octets = encode(frame) + encode(Received(1))
    found = [each for at in range(len(octets)) for each in reader.feed(octets[at : at + 1])]
    assert found == [frame, Received(1)]


@given(st.integers(min_value=0, max_value=(1 << 62) - 1))
def test_numbers_are_those_of_quic(number: int) -> None:
    octets = varint(number)
    assert read_varint(octets + b"more", 0) == (number, len(octets))
    assert len(octets) in (1, 2, 4, 8)


def test_a_kind_of_frame_that_is_not_known_is_passed_over_once_it_is_known_who_says_it() -> None:
    octets = varint(99) + varint(3) + b"new" + encode(Received(7))
    reader = FrameReader()
    with pytest.raises(LinkError, match="kind 99"):
        reader.feed(octets)
    reader = FrameReader()
    reader.limit = MAX_FRAME
    assert reader.feed(octets) == [Received(7)]


def test_nobody_sends_more_than_a_hello_before_it_has_proved_who_it_is() -> None:
    with pytest.raises(LinkError, match="octets"):
        FrameReader().feed(varint(1) + varint(MAX_OPENING + 1))


@given(st.binary(max_size=400))
def test_junk_is_an_error_or_nothing(data: bytes) -> None:
    try:
        FrameReader().feed(data)
    except LinkError:
        return


@given(st.sampled_from(FRAMES), st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_a_spoilt_frame_is_an_error_or_another_frame(frame: Frame, at: int, change: int) -> None:
    octets = bytearray(encode(frame))
    octets[at % len(octets)] ^= change
    try:
        FrameReader().feed(bytes(octets))
    except LinkError:
        return


def test_a_media_datagram_is_its_flow_and_the_packet() -> None:
    assert datagram(30_000, b"packet") == varint(30_000) + b"packet"
    assert split_datagram(datagram(30_000, b"packet")) == (30_000, b"packet")
    assert split_datagram(b"") is None
    assert split_datagram(b"\xc0") is None
