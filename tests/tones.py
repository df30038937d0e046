"""Pure tones into a wav file, and what tone a recording carries, in plain Python."""

from __future__ import annotations

import array
import math
import struct
import sys
import wave
from collections.abc import Sequence
from pathlib import Path

RATE = 8000  # Hz, that of G.711 and G.729
AMPLITUDE = 8000
BLOCK = 0.1  # seconds judged at a time
# A tone through G.711 keeps more than 99 % of its power at its frequency; noise and silence nothing like it.
PURITY = 0.8
AUDIBLE = 200.0  # root mean square below which a block is silence


def write_tone(path: Path, frequency: float, seconds: float = 60.0, channels: int = 1) -> Path:
    """16 bits, 8000 Hz, the same in every channel."""
    wanted = (AMPLITUDE * math.sin(2 * math.pi * frequency * i / RATE) for i in range(int(seconds * RATE)))
    samples = array.array("h", (round(value) for value in wanted for _ in range(channels)))
    if sys.byteorder == "big":
        samples.byteswap()
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    return path


def read(path: Path) -> list[int]:
    """Samples of the first channel of a 16 bit wav file, of 8000 Hz or a multiple, of which only every so many are taken.

    One that is still being written is read as far as it goes.
    """
    data = path.read_bytes()
    start = data.find(b"data") + 8
    if data[:4] != b"RIFF" or start < 8:
        return []
    form = data.find(b"fmt ") + 8
    channels, rate = struct.unpack_from("<HI", data, form + 2)
    return decode(data[start:])[:: channels * rate // RATE]


def decode(data: bytes) -> list[int]:
    """Samples of 16 bits, low octet first; half of one at the end is left out."""
    samples = array.array("h", data[: len(data) // 2 * 2])
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tolist()


def share(samples: Sequence[int], frequency: float) -> float:
    """How much of the power lies at `frequency`: 0 to 1 (Goertzel's algorithm)."""
    total = sum(s * s for s in samples)
    if not total:
        return 0.0
    coefficient = 2 * math.cos(2 * math.pi * frequency / RATE)
    last = before = 0.0
    for sample in samples:
        last, before = sample + coefficient * last - before, last
    power = last * last + before * before - coefficient * last * before
    return min(1.0, 2 * power / (len(samples) * total))


def heard(samples: Sequence[int], frequencies: Sequence[float]) -> list[float | None]:
    """For each tenth of a second the tone of `frequencies` that fills it, 0.0 for silence, None for anything else."""
    size = int(RATE * BLOCK)
    return [_tone(samples[i : i + size], frequencies) for i in range(0, len(samples) - size + 1, size)]


def _tone(block: Sequence[int], frequencies: Sequence[float]) -> float | None:
    if math.sqrt(sum(s * s for s in block) / len(block)) < AUDIBLE:
        return 0.0
    best = max(frequencies, key=lambda frequency: share(block, frequency))
    return best if share(block, best) > PURITY else None


def seconds_of(tones: Sequence[float | None], frequency: float) -> float:
    return sum(1 for tone in tones if tone == frequency) * BLOCK
