"""What media take of a link."""

from __future__ import annotations

import pytest

from media.api import Keys, Suite
from sbc.sdp.bandwidth import LARGEST_TAG, agreed_bits, most_bits, offered_bits
from sbc.sdp.describe import Description
from sbc.sdp.model import Codec, Direction
from sbc.sdp.relay import Agreement

PCMA, G729 = Codec("PCMA", 8000, 1, 8), Codec("G729", 8000, 1, 18)
EVENTS, NOISE = Codec("telephone-event", 8000, 1, 101), Codec("CN", 8000, 1, 13)


@pytest.mark.parametrize(
    ("codec", "ptime", "tag", "ipv6", "kbits"),
    [
        (PCMA, None, 0, False, 80),
        (PCMA, 20, 0, False, 80),
        (PCMA, 20, 10, False, 84),
        (PCMA, 20, 0, True, 88),
        (PCMA, 10, 0, False, 96),
        (PCMA, 30, 16, False, 78.933),
        (G729, None, 0, False, 24),
        (G729, 20, 0, True, 32),
        (Codec("G723", 8000, 1, 4), None, 0, False, 17.066),
        (Codec("iLBC", 8000, 1, 97), None, 0, False, 25.866),
        (Codec("opus", 48000, 2, 111), None, 0, False, 56),
        (Codec("opus", 48000, 2, 111, "useinbandfec=1; maxaveragebitrate=24000"), None, 0, False, 40),
        (Codec("opus", 48000, 2, 111, "maxaveragebitrate=999999"), None, 0, False, 526),
        (Codec("opus", 48000, 2, 111, "maxaveragebitrate=fast"), None, 0, False, 56),
        (Codec("L16", 44100, 2, 10), None, 0, False, 1427.2),
        (Codec("MADE-UP", 8000, 1, 99), None, 0, False, 80),
    ],
)
def test_what_a_codec_takes(codec: Codec, ptime: int | None, tag: int, ipv6: bool, kbits: float) -> None:
    assert most_bits((codec,), ptime, tag, ipv6=ipv6) == int(kbits * 1000)


def test_the_most_of_several_counts_and_digits_do_not() -> None:
    assert most_bits((G729, PCMA, EVENTS), None, 0, ipv6=False) == 80_000
    assert most_bits((EVENTS, NOISE), None, 0, ipv6=False) == 0


def test_offers_are_counted_with_the_largest_tag() -> None:
    assert offered_bits("audio", (PCMA,), None, encrypted=True, ipv6=False) == 8 * 50 * (160 + 40 + LARGEST_TAG)
    assert offered_bits("image", (), None, encrypted=False, ipv6=False) == 40_000


def agreement(keys: Keys | None = None, kind: str = "audio", ptime: int | None = None) -> Agreement:
    return Agreement(Description((), ptime=ptime, kind=kind), ((PCMA, PCMA), (EVENTS, EVENTS)), Direction.SENDRECV, "", False, keys, keys)


@pytest.mark.parametrize(
    ("suite", "mki", "octets"),
    [
        (Suite.AES_CM_128_HMAC_SHA1_80, b"", 10),
        (Suite.AES_CM_128_HMAC_SHA1_32, b"", 4),
        (Suite.AEAD_AES_256_GCM, b"", 16),
        (Suite.AES_256_CM_HMAC_SHA1_80, b"four", 14),
    ],
)
def test_what_was_agreed_on_is_counted_with_its_tag(suite: Suite, mki: bytes, octets: int) -> None:
    keys = Keys(suite, bytes(suite.key_length), mki)
    assert agreed_bits(agreement(keys), ipv6=False) == 8 * 50 * (160 + 40 + octets)


def test_plain_speech_and_fax() -> None:
    assert agreed_bits(agreement(ptime=40), ipv6=False) == 72_000
    assert agreed_bits(agreement(kind="image"), ipv6=False) == 40_000
