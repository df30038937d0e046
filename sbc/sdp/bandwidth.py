"""What the media of a call take of a link: bits a second, one way, IP headers and all.

    8 · (payload + 12 RTP + tag of SRTP + 8 UDP + 20 IPv4 or 40 IPv6) · packets a second

Both ways take the same. RTCP, a few per cent more (RFC 3550 s6.2), and what lies below IP are not in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from media.api import Suite
from sbc.sdp.codecs import AUXILIARY
from sbc.sdp.fax import KIND as FAX
from sbc.sdp.model import Codec
from sbc.sdp.relay import Agreement
from sbc.sdp.text import is_number

# Payload in bits a second while somebody speaks: RFC 3551 s4.5, RFC 3952, RFC 4867 (with its table of contents), the highest mode of each
_PAYLOAD: Mapping[str, int] = {
    "PCMU": 64_000, "PCMA": 64_000, "G722": 64_000, "G723": 6_400, "G728": 16_000, "G729": 8_000, "GSM": 13_200, "GSM-EFR": 12_400,
    "G726-16": 16_000, "G726-24": 24_000, "G726-32": 32_000, "G726-40": 40_000, "iLBC": 15_200, "speex": 24_600,
    "AMR": 12_800, "AMR-WB": 24_400, "EVS": 24_800, "SILK": 40_000,
}  # fmt: skip
_OPUS = 40_000  # speech with all it has to offer (RFC 7587 s3.1.1); a peer that wants more or less says so
_LARGEST_OPUS = 510_000  # RFC 7587 s6.1
_UNKNOWN = 64_000
_USUAL_PTIME = 20  # milliseconds (RFC 3551 s4.2)
_LONG_FRAMES = frozenset(("G723", "iLBC"))  # 30 ms
_RTP_AND_UDP = 12 + 8
_TAGS: Mapping[Suite, int] = {
    suite: 16 if "GCM" in suite.value else 4 if suite.value.endswith("_32") else 10 for suite in Suite
}  # octets (RFC 3711 s5.2, RFC 7714 s13.1)
LARGEST_TAG = 16
_T38 = 40_000  # 14,400 bit/s in packets of 40 ms, each with two that went before (ITU-T T.38 s9)


def agreed_bits(agreed: Agreement, *, ipv6: bool) -> int:
    """The most that may come of what was agreed on: of several codecs either side may take any (RFC 3264 s7)."""
    if agreed.peer.kind == FAX:
        return _T38
    keys = agreed.send_keys
    tag = _TAGS[keys.suite] + len(keys.mki) if keys is not None else LARGEST_TAG if agreed.dtls is not None else 0
    return most_bits([ours for ours, _ in agreed.pairs], agreed.peer.ptime, tag, ipv6=ipv6)


def offered_bits(kind: str, codecs: Iterable[Codec], ptime: int | None, *, encrypted: bool, ipv6: bool) -> int:
    """The most that may come of an offer."""
    return _T38 if kind == FAX else most_bits(codecs, ptime, LARGEST_TAG if encrypted else 0, ipv6=ipv6)


def most_bits(codecs: Iterable[Codec], ptime: int | None, tag: int, *, ipv6: bool) -> int:
    headers = _RTP_AND_UDP + tag + (40 if ipv6 else 20)
    return max([_bits(codec, ptime or 0, headers) for codec in codecs if codec.name not in AUXILIARY], default=0)


@lru_cache(maxsize=1024)
def _bits(codec: Codec, ptime: int, headers: int) -> int:
    milliseconds = ptime or (30 if codec.name in _LONG_FRAMES else _USUAL_PTIME)
    payload = -(-_payload(codec) * milliseconds // 8000)
    return (payload + headers) * 8 * 1000 // milliseconds


def _payload(codec: Codec) -> int:
    if codec.name == "L16":
        return codec.clock * 16 * codec.channels
    if codec.name != "opus":
        return _PAYLOAD.get(codec.name, _UNKNOWN)
    for item in codec.fmtp.split(";"):
        name, _, value = item.strip().partition("=")
        if name.lower() == "maxaveragebitrate" and is_number(value.strip(), 6):
            return min(int(value), _LARGEST_OPUS)
    return _OPUS
