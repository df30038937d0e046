from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.sip.framing import FramingLost, Message, Ping, StreamFramer
from sbc.sip.parse import MAX_HEAD, MAX_MESSAGE, parse_message
from tests.cost import cpu, least_cpu


def message(body: bytes = b"v=0\r\n", length: str | None = None, name: str = "Content-Length") -> bytes:
    rows = [
        "INVITE sip:bob@b.example SIP/2.0",
        "Via: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK1",
        "From: <sip:alice@a.example>;tag=1",
        "To: <sip:bob@b.example>",
        "Call-ID: c@a",
        "CSeq: 1 INVITE",
        f"{name}: {len(body) if length is None else length}",
    ]
    return "\r\n".join([*rows, "", ""]).encode() + body


def frame(data: bytes) -> Message:
    head, _, body = data.partition(b"\r\n\r\n")
    return Message(head, body)


WHOLE = message()


def test_SYN_03_split_at_every_octet() -> None:
    for cut in range(1, len(WHOLE)):
        framer = StreamFramer()
        assert framer.feed(WHOLE[:cut]) == []
        assert framer.buffered == cut
        assert framer.feed(WHOLE[cut:]) == [frame(WHOLE)]
        assert framer.buffered == 0


def test_SYN_03_two_messages_in_one_segment() -> None:
    second = message(b"")
    framer = StreamFramer()
    assert framer.feed(WHOLE + second + WHOLE[:20]) == [frame(WHOLE), frame(second)]
    assert framer.feed(WHOLE[20:]) == [frame(WHOLE)]


def test_frames_are_what_the_parser_takes() -> None:
    (found,) = StreamFramer().feed(WHOLE)
    assert isinstance(found, Message)
    assert parse_message(*found).body == b"v=0\r\n"


@pytest.mark.parametrize("name", ["l", "L", "CONTENT-LENGTH", "content-length  ", "l\t", "Content-Length\r\n "])
def test_SYN_01_content_length_by_any_name(name: str) -> None:
    data = message(name=name)
    assert StreamFramer().feed(data) == [frame(data)]
    assert parse_message(*frame(data)).body == b"v=0\r\n"


@pytest.mark.parametrize("length", [" 5", "\t5\t", "\r\n 5", "0005", "5\r\nContent-Length: 5", "5\r\nl: 5"])
def test_content_length_in_any_dress(length: str) -> None:
    data = message(length=length)
    assert StreamFramer().feed(data) == [frame(data)]
    assert parse_message(*frame(data)).body == b"v=0\r\n"


@pytest.mark.parametrize(
    "length", ["", "-5", "five", "5 5", "5, 5", "5\r\nContent-Length: 6", "5\r\nl: 4", "9" * 30, str(MAX_MESSAGE), "+5", "5\x0b"]
)
def test_SYN_03_framing_lost(length: str) -> None:
    framer = StreamFramer()
    with pytest.raises(FramingLost) as caught:
        framer.feed(WHOLE + message(length=length))
    assert caught.value.frames == [frame(WHOLE)]
    assert caught.value.request is not None
    assert framer.buffered == 0
    with pytest.raises(FramingLost) as again:
        framer.feed(WHOLE)
    assert again.value.frames == []
    assert framer.buffered == 0


def test_SYN_03_no_content_length() -> None:
    with pytest.raises(FramingLost) as caught:
        StreamFramer().feed(message(name="X-Content-Length"))
    assert caught.value.status == 400


def test_content_length_is_not_read_out_of_other_values() -> None:
    """A bare line feed starts no line, neither here nor for the parser."""
    data = message(b"").replace(b"Call-ID: c@a", b"Call-ID: c@a\nContent-Length: 50")
    assert StreamFramer().feed(data) == [frame(data)]


@pytest.mark.parametrize("pieces", [[b"\r\n\r\n"], [b"\r\n", b"\r\n"], [b"\r", b"\n\r", b"\n"]])
def test_TRN_09_ping(pieces: list[bytes]) -> None:
    framer = StreamFramer()
    assert [found for piece in pieces for found in framer.feed(piece)] == [Ping()]
    assert framer.feed(WHOLE) == [frame(WHOLE)]


def test_TRN_09_single_line_end_is_nothing() -> None:
    framer = StreamFramer()
    assert framer.feed(b"\r\n" + WHOLE + b"\r\n" + WHOLE) == [frame(WHOLE), frame(WHOLE)]
    assert framer.feed(b"\r\n") == []
    assert framer.feed(WHOLE) == [frame(WHOLE)]


def test_pings_between_messages() -> None:
    assert StreamFramer().feed(WHOLE + b"\r\n\r\n" + WHOLE + b"\r\n\r\n\r\n" + WHOLE) == [
        frame(WHOLE),
        Ping(),
        frame(WHOLE),
        Ping(),
        frame(WHOLE),
    ]


def test_a_flood_of_pings_is_one() -> None:
    assert StreamFramer().feed(b"\r\n\r\n" * 10000) == [Ping()]


def test_SYN_11_head_without_end_is_refused_early() -> None:
    framer = StreamFramer()
    piece = b"X: " + b"y" * 4091 + b"\r\n"
    fed = 0
    refused = False
    while not refused and fed < 10 * 2**20:
        try:
            framer.feed(piece)
        except FramingLost:
            refused = True
        else:
            fed += len(piece)
            assert framer.buffered <= MAX_HEAD + 4
    assert refused
    assert fed <= MAX_HEAD + 4
    assert framer.buffered == 0


def test_SYN_11_head_of_ten_megabytes_at_once() -> None:
    framer = StreamFramer()
    head = b"INVITE sip:a SIP/2.0\r\n" + b"X: y\r\n" * 1_700_000

    def fed() -> None:
        with pytest.raises(FramingLost):
            framer.feed(head)

    assert cpu(fed) < 0.5
    assert framer.buffered == 0


def test_SYN_11_longest_message() -> None:
    room = MAX_MESSAGE - len(message(b"", length="262000"))
    data = message(b"x" * room)
    assert len(data) == MAX_MESSAGE
    assert StreamFramer().feed(data) == [frame(data)]
    with pytest.raises(FramingLost):
        StreamFramer().feed(message(b"x" * (room + 1)))


def test_octet_by_octet_is_linear() -> None:
    data = message(b"", name=f"X: {'y' * 30000}\r\nl")
    assert _seconds_fed_by_octet(data * 2) < 8 * _seconds_fed_by_octet(message(b"", name=f"X: {'y' * 15000}\r\nl")) + 0.05


def _seconds_fed_by_octet(data: bytes) -> float:
    def fed() -> None:
        framer = StreamFramer()
        assert sum(len(framer.feed(data[i : i + 1])) for i in range(len(data)))

    return least_cpu(fed)


@given(
    st.lists(st.sampled_from([WHOLE, message(b""), message(b"\r\n\r\n" * 5), b"\r\n\r\n"]), max_size=6),
    st.lists(st.integers(1, 200), min_size=1),
)
def test_pieces_make_no_difference(stream: list[bytes], sizes: list[int]) -> None:
    data = b"".join(stream)
    whole = [found for found in StreamFramer().feed(data) if not isinstance(found, Ping)]
    framer = StreamFramer()
    pieces, position = [], 0
    while position < len(data):
        size = sizes[position % len(sizes)]
        pieces += framer.feed(data[position : position + size])
        position += size
    assert [found for found in pieces if not isinstance(found, Ping)] == whole == [frame(item) for item in stream if item != b"\r\n\r\n"]
