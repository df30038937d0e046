"""The ears of the interop tests."""

from __future__ import annotations

import random
from pathlib import Path

from tests import tones


def test_a_tone_is_heard_as_itself(tmp_path: Path) -> None:
    samples = tones.read(tones.write_tone(tmp_path / "a.wav", 440, 1.0))
    assert tones.heard(samples, (440, 1000)) == [440] * 10


def test_the_other_tone_is_not_mistaken(tmp_path: Path) -> None:
    samples = tones.read(tones.write_tone(tmp_path / "a.wav", 700, 1.0))
    assert tones.heard(samples, (440, 1000)) == [None] * 10


def test_silence_and_noise_are_no_tones() -> None:
    noise = random.Random(1)
    assert tones.heard([0] * 800 + [noise.randint(-9000, 9000) for _ in range(800)], (440, 1000)) == [0.0, None]


def test_two_tones_at_once_are_none(tmp_path: Path) -> None:
    first, second = (tones.read(tones.write_tone(tmp_path / f"{f}.wav", f, 0.5)) for f in (440, 1000))
    mixed = [(a + b) // 2 for a, b in zip(first, second, strict=True)]
    assert tones.heard(mixed, (440, 1000)) == [None] * 5


def test_a_recording_in_progress_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tones.write_tone(tmp_path / "a.wav", 440, 1.0)
    path.write_bytes(path.read_bytes()[:4445])  # an odd number of octets, less than the header says
    assert len(tones.read(path)) == (4445 - 44) // 2
    path.write_bytes(b"")
    assert tones.read(path) == []


def test_seconds_of_counts_one_tone_only() -> None:
    assert tones.seconds_of([440, 440, 0.0, None, 1000], 440) == 0.2
