"""Whether an answer fits its offer (RFC 3264 s6, 4568 s5.1, 5761 s5.1.1, 4145 s4.1)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from sbc.sdp.codecs import STATIC, read_codecs
from sbc.sdp.crypto import Crypto, read_cryptos
from sbc.sdp.model import Media, Session


class Problem(StrEnum):
    """What is wrong with an answer."""

    COUNT = "the number of m= lines differs from the offer"
    KIND = "the media type of a stream differs from the offer"
    REVIVED = "a stream offered with port 0 is answered with a port"
    PROTOCOL = "the transport protocol of a stream differs from the offer"
    FORMAT = "an accepted stream has no format in common with the offer"
    DIRECTION = "the direction of a stream does not fit the offer"
    RTCP_MUX = "rtcp-mux is answered but was not offered"
    NO_KEY = "an accepted SRTP stream has neither a=crypto nor a=fingerprint"
    CRYPTO_COUNT = "an accepted stream has more than one a=crypto line"
    CRYPTO = "the a=crypto line matches no tag and suite of the offer"
    KEY_ECHO = "the SRTP key is that of the offer"
    SETUP = "the a=setup role does not fit the offer"


# RFC 4145 s4.1, with RFC 8842 s5.3: an answer decides between active and passive.
_SETUP_ANSWERS = {"actpass": ("active", "passive"), "active": ("passive",), "passive": ("active",), "holdconn": ("holdconn",)}


def check_answer(offer: Session, answer: Session) -> list[str]:
    """The problems (members of `Problem`) of an answer; none: it is valid. A rejected stream (port 0) is always valid."""
    if len(offer.media) != len(answer.media):
        return [Problem.COUNT]
    problems: list[str] = []
    for offered, answered in zip(offer.media, answer.media, strict=True):
        if offered.kind != answered.kind:
            problems.append(Problem.KIND)
        elif answered.port and not offered.port:
            problems.append(Problem.REVIVED)
        elif answered.port:
            problems += _stream_problems(offer, offered, answer, answered)
    return problems


def _stream_problems(offer: Session, offered: Media, answer: Session, answered: Media) -> list[str]:
    problems: list[str] = []
    if not _same_protocol(offered.protocol, answered.protocol):
        problems.append(Problem.PROTOCOL)
    if not _same_static_format(offered, answered) and _formats(offered).isdisjoint(_formats(answered)):
        problems.append(Problem.FORMAT)
    direction = answer.direction(answered)
    if direction.answering(offer.direction(offered)) is not direction:
        problems.append(Problem.DIRECTION)
    if answered.first("rtcp-mux") is not None and offered.first("rtcp-mux") is None:
        problems.append(Problem.RTCP_MUX)
    return problems + _crypto_problems(offered, answer, answered) + _setup_problems(offer, offered, answer, answered)


def _same_protocol(offered: str, answered: str) -> bool:
    """Some WebRTC stacks (aiortc) answer with their own protocol whatever was offered; its F promises RTCP that nobody has to send."""
    if (offered, answered) == ("UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF"):
        return True
    return answered.upper() == offered.upper()  # "UDPTL" answers "udptl"


def _crypto_problems(offered: Media, answer: Session, answered: Media) -> list[str]:
    lines = answered.all("crypto")
    if not lines:
        keyed = "SAVP" not in answered.protocol or _attribute(answer, answered, "fingerprint") is not None
        return [] if keyed else [Problem.NO_KEY]
    if len(lines) > 1:
        return [Problem.CRYPTO_COUNT]
    taken = {crypto.tag: crypto for crypto in read_cryptos(offered.all("crypto"))}
    for crypto in read_cryptos(lines):
        wanted = taken.get(crypto.tag)
        if wanted is not None and wanted.suite == crypto.suite:
            return [Problem.KEY_ECHO] if _echoed(crypto, taken.values()) else []
    return [Problem.CRYPTO]


def _echoed(crypto: Crypto, offered: Iterable[Crypto]) -> bool:
    # One key for both directions is one keystream for two texts, also when the suites differ only in the tag.
    masters = [each.keys.master for each in offered if each.keys is not None]
    return crypto.keys is not None and crypto.keys.master in masters


def _setup_problems(offer: Session, offered: Media, answer: Session, answered: Media) -> list[str]:
    role = _attribute(answer, answered, "setup")
    if role is None:
        return []
    allowed = _SETUP_ANSWERS.get(_attribute(offer, offered, "setup") or "active", ())
    return [] if role in allowed else [Problem.SETUP]


def _same_static_format(offered: Media, answered: Media) -> bool:
    """Mostly, and then nothing needs to be read: the first format chosen is a static payload type of the offer."""
    first = answered.formats[0]
    return first in STATIC and first in offered.formats and "RTP/" in offered.protocol


def _formats(media: Media) -> set[object]:
    """What can be compared across numbers: encodings for RTP, the bare format elsewhere."""
    if "RTP/" not in media.protocol:
        return set(map(str.lower, media.formats))
    names = dict(_numbered(value) for value in media.all("rtpmap"))
    return {codec.key for codec in read_codecs(media, names, {})}


def _numbered(value: str) -> tuple[str, str]:
    payload, _, text = value.strip().partition(" ")
    return payload, text.strip()


def _attribute(session: Session, media: Media, name: str) -> str | None:
    value = media.first(name)
    return session.first(name) if value is None else value
