"""SDES: the a=crypto attribute (RFC 4568). Keys never appear in a `repr`, a `str` or an error text."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
from dataclasses import field
from typing import TypeAlias

from media.api import LARGEST_MKI, MOST_KEYS, Keys, Suite
from sbc.frozen import frozen
from sbc.sdp.parse import SdpError
from sbc.sdp.text import is_number

# Octets of master key and salt of every suite with a registration (RFC 4568 s6.2, 6188 s4, 7714 s14.1).
KEY_OCTETS = {
    "AES_CM_128_HMAC_SHA1_80": 30,
    "AES_CM_128_HMAC_SHA1_32": 30,
    "F8_128_HMAC_SHA1_80": 30,
    "AES_192_CM_HMAC_SHA1_80": 38,
    "AES_192_CM_HMAC_SHA1_32": 38,
    "AES_256_CM_HMAC_SHA1_80": 46,
    "AES_256_CM_HMAC_SHA1_32": 46,
    "AEAD_AES_128_GCM": 28,
    "AEAD_AES_256_GCM": 44,
}
# Spellings seen in the field for registered suites.
ALIASES = {
    "AES_CM_192_HMAC_SHA1_80": "AES_192_CM_HMAC_SHA1_80",
    "AES_CM_192_HMAC_SHA1_32": "AES_192_CM_HMAC_SHA1_32",
    "AES_CM_256_HMAC_SHA1_80": "AES_256_CM_HMAC_SHA1_80",
    "AES_CM_256_HMAC_SHA1_32": "AES_256_CM_HMAC_SHA1_32",
}
LARGEST_LIFETIME = 2**48  # packets (RFC 4568 s6.1)
LARGEST_KDR = 24  # as a power of two (RFC 4568 s6.3.1)
SMALLEST_WINDOW = 64  # packets (RFC 4568 s6.3.6)

_SUITES = {suite.value: suite for suite in Suite}

_Inline: TypeAlias = tuple[bytes, int | None, tuple[int, int] | None]


@frozen
class Crypto:
    """One valid a=crypto line.

    suite         as spelled by the peer
    keys          of several the first has the others (`more`). None when the line is valid but not for us: a suite we do not have, more
                  keys than MOST_KEYS, a session parameter that weakens SRTP or that we do not know
    lifetime      of the first: packets, None when not stated
    mki           of the first: value and octets in each packet, None when packets carry none
    parameters    the session parameters as written (FEC_KEY is a key, too)
    """

    tag: int
    suite: str
    keys: Keys | None
    lifetime: int | None = None
    mki: tuple[int, int] | None = None
    parameters: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    def parse(cls, value: str) -> Crypto:
        """Read an attribute value, `1 AES_CM_128_HMAC_SHA1_80 inline:...`. Raises SdpError for an invalid line."""
        fields = value.split()
        if len(fields) < 3:
            raise SdpError("crypto: tag, suite and key expected")
        tag, suite, key_text, *parameters = fields
        if not is_number(tag, 9) or (tag[0] == "0" and tag != "0"):
            raise SdpError("crypto: bad tag")
        length = KEY_OCTETS.get(ALIASES.get(suite, suite))
        if length is None:
            raise SdpError("crypto: unknown suite")
        inlines = [_parse_inline(text, length) for text in key_text.split(";")]
        if len(inlines) > 1 and any(mki is None for _, _, mki in inlines):
            raise SdpError("crypto: several keys need an MKI each")
        if len({mki[1] for _, _, mki in inlines if mki is not None}) > 1:
            raise SdpError("crypto: MKIs of several lengths")  # "the length MUST be the same" (RFC 4568 s6.1)
        if len({mki for _, _, mki in inlines}) < len(inlines):
            raise SdpError("crypto: two keys of one name")
        _, lifetime, mki = inlines[0]
        supported = [_parameter_supported(parameter) for parameter in parameters]
        ours = _SUITES.get(ALIASES.get(suite, suite)) if all(supported) and len(inlines) <= MOST_KEYS else None
        keys = _keys(ours, inlines) if ours is not None else None
        return cls(int(tag), suite, keys, lifetime, mki, tuple(parameters))

    def encode(self) -> str:
        """The attribute value, key included. Raises ValueError for a line whose key was not kept."""
        if self.keys is None:
            raise ValueError("this line carries no key of ours")
        text = f"{self.tag} {self.suite} inline:{base64.b64encode(self.keys.master).decode()}"
        if self.lifetime is not None:
            text += f"|{self.lifetime}"
        if self.keys.mki:
            text += f"|{int.from_bytes(self.keys.mki, 'big')}:{len(self.keys.mki)}"
        return " ".join((text, *self.parameters))


def read_cryptos(values: Iterable[str]) -> tuple[Crypto, ...]:
    """The valid lines of one m= section; an invalid one is passed over (RFC 4568 s5.1.2).

    None at all when a tag comes twice: then nobody can say which line an answer means.
    """
    cryptos = []
    for value in values:
        try:
            cryptos.append(Crypto.parse(value))
        except SdpError:
            continue
    unique = len({crypto.tag for crypto in cryptos}) == len(cryptos)
    return tuple(cryptos) if unique else ()


def choose(offered: Sequence[Crypto], suites: Sequence[Suite]) -> Crypto | None:
    """The offered line we take: first by our order of suites, then by theirs."""
    for suite in suites:
        for crypto in offered:
            if crypto.keys is not None and crypto.keys.suite is suite:
                return crypto
    return None


def _keys(suite: Suite, inlines: Sequence[_Inline]) -> Keys:
    first, *more = [Keys(suite, master, mki[0].to_bytes(mki[1], "big") if mki else b"", lifetime) for master, lifetime, mki in inlines]
    return Keys(suite, first.master, first.mki, first.lifetime, tuple(more)) if more else first


def _parse_inline(text: str, length: int) -> _Inline:
    """`inline:key||salt[|lifetime][|MKI:length]`: the octets, the lifetime, the MKI."""
    method, _, info = text.partition(":")
    if method.lower() != "inline":
        raise SdpError("crypto: key method other than inline")
    key, *options = info.split("|")
    try:
        master = base64.b64decode(key.rstrip("=") + "=" * (-len(key.rstrip("=")) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise SdpError("crypto: key is not base64") from None
    if len(master) != length:
        raise SdpError("crypto: wrong key length")
    lifetime = _parse_lifetime(options.pop(0)) if options and ":" not in options[0] else None
    mki = _parse_mki(options.pop(0)) if options else None
    if options:
        raise SdpError("crypto: too many key options")
    return master, lifetime, mki


def _parse_lifetime(text: str) -> int:
    power = text.removeprefix("2^")
    if not is_number(power, 15):
        raise SdpError("crypto: bad lifetime")
    number = int(power)
    lifetime = number if power == text else 2 ** min(number, 64)
    if not 0 < lifetime <= LARGEST_LIFETIME:
        raise SdpError("crypto: lifetime out of range")
    return lifetime


def _parse_mki(text: str) -> tuple[int, int]:
    value, _, length = text.partition(":")
    if not is_number(value, 3 * LARGEST_MKI) or not is_number(length, 3) or not 0 < int(length) <= LARGEST_MKI:
        raise SdpError("crypto: bad MKI")
    if int(value) >= 256 ** int(length):
        raise SdpError("crypto: MKI longer than its length")
    return int(value), int(length)


def _parameter_supported(text: str) -> bool:
    """Whether a session parameter leaves the stream as we process it (RFC 4568 s6.3). Raises SdpError when out of range."""
    name, _, value = text.partition("=")
    if name == "KDR":
        if not is_number(value, 2) or int(value) > LARGEST_KDR:
            raise SdpError("crypto: KDR out of range")
        return int(value) == 0  # the default: keys are derived once
    if name == "WSH":
        if not is_number(value, 9) or int(value) < SMALLEST_WINDOW:
            raise SdpError("crypto: WSH out of range")
        return True  # a hint about the peer's own window (s6.3.6)
    # "-" marks what a receiver may ignore (s6.3.7). UNENCRYPTED_*, UNAUTHENTICATED_SRTP, FEC_* and unknown ones are not ours.
    return text.startswith("-")
