"""G.711 by table, tones, and an ear that tells which frequencies are in a piece of audio.

Samples are `array("h")`: signed 16 bit, 8,000 a second. An amplitude is in the same unit, 0 to 32,767.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence
from enum import StrEnum
from functools import cache

RATE = 8000
FRAME = 160  # samples in 20 ms
AMPLITUDE = 8000  # of the tones we send: 12 dB below full scale, loud enough to stand out and far from clipping
AUDIBLE = 800.0  # below a tenth of what we send, a tone does not count as heard


class Law(StrEnum):
    """The two companding laws by their RTP encoding names (RFC 3551 s4.5.14)."""

    PCMU = "PCMU"
    PCMA = "PCMA"

    @property
    def payload_type(self) -> int:
        return 0 if self is Law.PCMU else 8


def decode(octets: bytes, law: Law) -> array[int]:
    """Octets as they are in an RTP payload -> samples."""
    table = _decoder(law)
    return array("h", [table[octet] for octet in octets])


def encode(samples: Iterable[int], law: Law) -> bytes:
    """Samples -> octets, each the nearest of the 256 values the law has."""
    table = _encoder(law)
    return bytes([table[sample >> 2] for sample in samples])


def silence(count: int) -> array[int]:
    return array("h", bytes(2 * count))


def tone(frequency: float, start: int = 0, count: int = FRAME, amplitude: int = AMPLITUDE) -> array[int]:
    """Samples `start` to `start + count` of a sine of `frequency` Hz; consecutive pieces join without a click."""
    step = 2 * math.pi * frequency / RATE
    return array("h", [round(amplitude * math.sin(step * n)) for n in range(start, start + count)])


def strength(samples: Sequence[int], frequency: float) -> float:
    """Amplitude of the sine of `frequency` Hz in `samples` (Goertzel's algorithm); 0.0 without samples."""
    if not samples:
        return 0.0
    turn = 2 * math.pi * frequency / RATE
    coefficient = 2 * math.cos(turn)
    previous = before = 0.0
    for sample in samples:
        previous, before = sample + coefficient * previous - before, previous
    power = previous * previous + before * before - coefficient * previous * before
    return 2 * math.sqrt(max(power, 0.0)) / len(samples)


def loudest(samples: Sequence[int], frequencies: Iterable[float], floor: float = AUDIBLE) -> float | None:
    """The frequency of those given that is strongest in `samples`; None when none reaches `floor`."""
    best = max(((strength(samples, frequency), frequency) for frequency in frequencies), default=(0.0, 0.0))
    return best[1] if best[0] >= floor else None


@cache
def _decoder(law: Law) -> tuple[int, ...]:
    return tuple(_expand_mu(octet) if law is Law.PCMU else _expand_a(octet) for octet in range(256))


def _expand_mu(octet: int) -> int:
    """ITU-T G.711 table 2: sign, 3 bits of segment, 4 bits of step, all inverted on the line; bias 33 of 14 bits."""
    octet ^= 0xFF
    magnitude = ((((octet & 0x0F) << 1) + 33) << ((octet & 0x70) >> 4)) - 33
    return (-magnitude if octet & 0x80 else magnitude) << 2


def _expand_a(octet: int) -> int:
    """ITU-T G.711 table 1: as above with every second bit inverted, no bias, and the lowest two segments alike; 13 bits."""
    octet ^= 0x55
    step, segment = octet & 0x0F, (octet & 0x70) >> 4
    magnitude = (step << 1) + 1 if segment == 0 else ((step << 1) + 33) << (segment - 1)
    return (magnitude if octet & 0x80 else -magnitude) << 3


@cache
def _encoder(law: Law) -> tuple[int, ...]:
    """Octet by 14-bit sample; a negative sample indexes from the end, which is where Python looks for it."""
    levels = sorted((value, octet) for octet, value in enumerate(_decoder(law)))
    table = [0] * 16384
    nearest = 0
    for sample in range(-8192, 8192):
        centre = (sample << 2) + 2
        while nearest + 1 < len(levels) and abs(levels[nearest + 1][0] - centre) <= abs(levels[nearest][0] - centre):
            nearest += 1
        table[sample] = levels[nearest][1]
    return tuple(table)
