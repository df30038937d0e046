"""Payload types and encodings (RFC 3551, 3264 s6.1): reading them, choosing among them, telling which are the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from sbc.sdp.model import Codec, Media
from sbc.sdp.rules import MediaRules
from sbc.sdp.text import is_number


class Encoding(NamedTuple):
    """Name in its registered spelling, RTP clock in Hz, channels."""

    name: str
    clock: int
    channels: int = 1


# Payload types that need no rtpmap (RFC 3551 s6; G.722 has an RTP clock of 8000 although it samples at 16000).
STATIC: Mapping[str, Encoding] = {
    "0": Encoding("PCMU", 8000),
    "3": Encoding("GSM", 8000),
    "4": Encoding("G723", 8000),
    "5": Encoding("DVI4", 8000),
    "6": Encoding("DVI4", 16000),
    "7": Encoding("LPC", 8000),
    "8": Encoding("PCMA", 8000),
    "9": Encoding("G722", 8000),
    "10": Encoding("L16", 44100, 2),
    "11": Encoding("L16", 44100),
    "12": Encoding("QCELP", 8000),
    "13": Encoding("CN", 8000),
    "14": Encoding("MPA", 90000),
    "15": Encoding("G728", 8000),
    "16": Encoding("DVI4", 11025),
    "17": Encoding("DVI4", 22050),
    "18": Encoding("G729", 8000),
}
# What we offer of our own accord for a codec without a static number.
_DYNAMIC: Mapping[str, Codec] = {
    codec.name.upper(): codec
    for codec in (
        Codec("telephone-event", 8000, 1, 101, "0-15"),
        Codec("opus", 48000, 2, 111),
        Codec("iLBC", 8000, 1, 97),
        Codec("speex", 8000, 1, 98),
        Codec("AMR", 8000, 1, 99),
        Codec("AMR-WB", 16000, 1, 100),
    )
}
_SPELLING = {name.upper(): name for name in ("telephone-event", "opus", "iLBC", "speex")}
# Encodings that carry no conversation by themselves.
AUXILIARY = frozenset(("telephone-event", "CN", "RED"))
_LARGEST_PAYLOAD = 127
_LARGEST_CLOCK = 192_000  # Hz; the fastest audio clock in use
_LONGEST_ENCODING = 64  # characters; the longest registered name has 25


def read_codecs(media: Media, names: Mapping[str, str], parameters: Mapping[str, str]) -> tuple[Codec, ...]:
    """The codecs of an m= line in its order; formats that are no payload type we can name are passed over.

    `names` is payload type -> rtpmap value, `parameters` payload type -> fmtp value.
    """
    codecs = []
    for text in dict.fromkeys(media.formats):
        written = names.get(text)
        encoding: Encoding | None = None
        if written is None:
            encoding = STATIC.get(text)
        elif is_number(text, 3) and int(text) <= _LARGEST_PAYLOAD:
            encoding = parse_encoding(written)
        if encoding is not None:
            codecs.append(Codec(*encoding, int(text), parameters.get(text, "")))
    return tuple(codecs)


@lru_cache(maxsize=1024)
def parse_encoding(text: str) -> Encoding | None:
    """`name/clock[/channels]` of an rtpmap; None when it is not that."""
    if len(text) > _LONGEST_ENCODING:
        return None
    name, _, rest = text.strip().partition("/")
    clock, _, channels = rest.partition("/")
    if not name or not is_number(clock, 6) or not (is_number(channels, 2) or not channels):
        return None
    if not 0 < int(clock) <= _LARGEST_CLOCK:
        return None
    upper = name.upper()
    # Opus is 48000/2 on the wire always (RFC 7587 s7); some devices leave the channels out.
    count = 2 if upper == "OPUS" else int(channels or 1)
    return Encoding(spelled(name), int(clock), count)


def is_audible(codecs: Iterable[Codec]) -> bool:
    """Whether anything is left that carries a voice."""
    return any(codec.name not in AUXILIARY for codec in codecs)


def spelled(name: str) -> str:
    """An encoding name as it is registered; names are compared without regard to case (RFC 8866 s6.6)."""
    return _SPELLING.get(name.upper(), name.upper())


@lru_cache(maxsize=1024)
def rule_order(names: tuple[str, ...]) -> Mapping[str, int]:
    """Place of each encoding name, in its registered spelling, in a list that may spell it any way."""
    order: dict[str, int] = {}
    for index, name in enumerate(names):
        order.setdefault(spelled(name), index)
    return order


def full_offer(rules: MediaRules) -> list[Codec]:
    """All the rules name, with numbers of our own, for an offer nobody prompted. A name without a known clock is left out."""
    codecs = []
    for name in rule_order(rules.codecs):
        for text, encoding in STATIC.items():
            if encoding.name == name:
                codecs.append(Codec(*encoding, int(text)))
                break
        else:
            if (dynamic := _DYNAMIC.get(name.upper())) is not None:
                codecs.append(dynamic)
    return codecs


def find(wanted: Codec, among: Sequence[Codec]) -> Codec | None:
    """The same encoding in another list: best with the same number, then with the same parameters, then the first."""
    same = [codec for codec in among if codec.key == wanted.key]
    if len(same) > 1:
        for codec in same:
            if codec.payload == wanted.payload:
                return codec
        for codec in same:
            if codec.fmtp == wanted.fmtp:
                return codec
    return same[0] if same else None


def uses_annexb(codec: Codec) -> bool:
    """G.729 only: silence suppression inside the codec; not mentioned means yes (RFC 4856 s2.1.9, 7261 s3)."""
    return codec.name == "G729" and "annexb=no" not in codec.fmtp.replace(" ", "").lower()


def without_annexb(codec: Codec) -> Codec:
    """The same codec saying `annexb=no`."""
    others = [item for item in codec.fmtp.split(";") if item.strip() and not item.strip().lower().startswith("annexb")]
    return Codec(*codec.key, codec.payload, ";".join([*others, "annexb=no"]))


def pairs_of(ours: Sequence[Codec], theirs: Sequence[Codec]) -> tuple[tuple[Codec, Codec], ...]:
    """Each codec of an answer with the one of the offer it takes up; G.729 without Annex B when the offer said so (RFC 7261 s3)."""
    left = list(ours)
    pairs = []
    for codec in theirs:
        match = find(codec, left)
        if match is not None:
            left.remove(match)
            pairs.append((match, _as_quiet_as(match, codec)))
    return tuple(pairs)


def answered_codecs(offered: Sequence[Codec], far: Sequence[Codec]) -> tuple[Codec, ...]:
    """The far peer's choice with the numbers of the offer (RFC 3264 s6.1) and the far peer's parameters."""
    return tuple([_as_quiet_as(match, Codec(*match.key, match.payload, codec.fmtp)) for match, codec in pairs_of(offered, far)])


def _as_quiet_as(offered: Codec, answered: Codec) -> Codec:
    return without_annexb(answered) if uses_annexb(answered) and not uses_annexb(offered) else answered
