"""What is typed to a peer, without an engine around it."""

from __future__ import annotations

import pytest

from media.api import KEYPAD, Digit
from media.digits import MOST_WAITING, STEP, Typist
from media.stream import Stream


def played(typist: Typist, stream: Stream) -> list[tuple[int, int]]:
    """All of it: number and timestamp of each event."""
    now, events = 0.0, []
    while typist.busy:
        packet = typist.packet(stream, now)
        if packet:
            events.append((packet[12], int.from_bytes(packet[4:8], "big")))
        now += STEP
    return list(dict.fromkeys(events))


def typist_and_stream() -> tuple[Typist, Stream]:
    typist, stream = Typist(), Stream()
    typist.use((101, 8000))
    return typist, stream


def test_DTMF_03_every_key_has_its_event() -> None:
    typist, stream = typist_and_stream()
    for key in KEYPAD:
        typist.add(Digit(key, 100))
    assert [number for number, _ in played(typist, stream)] == list(range(16))


def test_DTMF_03_too_many_are_lost() -> None:
    typist, stream = typist_and_stream()
    for _ in range(MOST_WAITING + 10):
        typist.add(Digit("1", 100))
    assert len(played(typist, stream)) == MOST_WAITING


def test_DTMF_03_nobody_to_type_to_any_more() -> None:
    typist, stream = typist_and_stream()
    for _ in range(2):
        typist.add(Digit("1", 100))
    assert typist.packet(stream, 0.0)
    typist.use(None)
    assert not typist.busy
    typist.add(Digit("1", 100))
    typist.use((96, 8000))
    assert not typist.busy


def test_DTMF_03_a_clock_that_becomes_faster_within_a_digit() -> None:
    typist, stream = typist_and_stream()
    typist.add(Digit("1", 5000))
    now, durations = 0.0, []
    while typist.busy:
        durations.append(int.from_bytes(typist.packet(stream, now)[14:], "big"))
        typist.use((101, 48000))
        now += STEP
    assert durations[-1] == 0xFFFF
    assert durations == sorted(durations)


@pytest.mark.parametrize(
    ("milliseconds", "clock", "last"),
    [(0, 8000, 640), (81, 8000, 800), (100, 48000, 4800), (10**11, 8000, 48000), (5000, 48000, 65280), (5000, 192000, 65280)],
)
def test_DTMF_03_no_shorter_than_detectors_want_and_no_longer_than_anybody_means(milliseconds: int, clock: int, last: int) -> None:
    typist, stream, now = Typist(), Stream(), 0.0
    typist.use((101, clock))
    typist.add(Digit("1", milliseconds))
    while typist.busy:
        packet = typist.packet(stream, now)
        now += STEP
    assert int.from_bytes(packet[14:], "big") == last
