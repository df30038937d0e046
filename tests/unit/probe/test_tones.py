from __future__ import annotations

import pytest

from sbc.probe.tones import AMPLITUDE, AUDIBLE, FRAME, Law, decode, encode, loudest, silence, strength, tone


@pytest.mark.parametrize(
    ("law", "octet", "sample"),
    [
        # ITU-T G.711 tables 1a, 1b, 2a, 2b: the largest, the smallest and one value in between, scaled to 16 bits
        (Law.PCMU, 0x80, 32124),
        (Law.PCMU, 0x00, -32124),
        (Law.PCMU, 0xFF, 0),
        (Law.PCMU, 0x8F, 16764),
        (Law.PCMA, 0xAA, 32256),
        (Law.PCMA, 0x2A, -32256),
        (Law.PCMA, 0xD5, 8),
        (Law.PCMA, 0x55, -8),
    ],
)
def test_the_laws_agree_with_the_tables_of_g711(law: Law, octet: int, sample: int) -> None:
    assert decode(bytes([octet]), law)[0] == sample


@pytest.mark.parametrize("law", list(Law))
def test_every_octet_survives_decoding_and_encoding_as_a_value(law: Law) -> None:
    values = decode(bytes(range(256)), law)
    assert decode(encode(values, law), law) == values


@pytest.mark.parametrize("law", list(Law))
def test_the_error_is_at_most_half_a_step_of_the_outermost_segment(law: Law) -> None:
    samples = range(-32768, 32768, 7)
    worst = max(abs(was - now) for was, now in zip(samples, decode(encode(samples, law), law), strict=True))
    assert worst <= 644  # 32768 - 32124 beyond the last µ-law value; half a step is 512


def test_a_tone_is_heard_at_its_strength_and_no_other() -> None:
    samples = decode(encode(tone(1000, 0, 4000), Law.PCMA), Law.PCMA)
    assert strength(samples, 1000) == pytest.approx(AMPLITUDE, rel=0.03)
    assert strength(samples, 600) < AUDIBLE / 10
    assert loudest(samples, (600, 1000)) == 1000


def test_one_frame_is_enough_to_tell_the_probes_tones_apart() -> None:
    assert loudest(tone(600), (600, 1000)) == 600
    assert loudest(tone(1000, start=FRAME // 2), (600, 1000)) == 1000


def test_silence_and_nothing_hold_no_tone() -> None:
    assert loudest(silence(FRAME), (600, 1000)) is None
    assert loudest([], (600,)) is None
    assert loudest(tone(600), ()) is None


def test_pieces_of_a_tone_join_without_a_click() -> None:
    assert tone(440, 0, 100) + tone(440, 100, 100) == tone(440, 0, 200)
