"""The session descriptions of a test peer: one audio stream, G.711, optionally with an SDES key (RFC 4568)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sbc.errors import NotAcceptableHere
from sbc.flow import Address
from sbc.probe.tones import Law
from sbc.sdp.crypto import Crypto, read_cryptos
from sbc.sdp.model import Direction, Media, Session
from sbc.sdp.parse import parse_session

TELEPHONE_EVENT = 101


@dataclass(frozen=True, slots=True)
class Audio:
    """The first audio stream of a description: where its writer listens, what it understands, in its order of preference."""

    remote: Address
    laws: tuple[Law, ...]
    secure: bool
    cryptos: tuple[Crypto, ...]
    direction: Direction

    @classmethod
    def parse(cls, body: bytes) -> Audio:
        """Raises SdpError, and NotAcceptableHere when there is no G.711 or no key for an SRTP stream."""
        session = parse_session(body)
        media = next((media for media in session.media if media.kind == "audio" and media.port), None)
        connection = media and (media.connection or session.connection)
        if not media or not connection:
            raise NotAcceptableHere("no audio stream")
        secure = media.protocol == "RTP/SAVP"
        laws = tuple(law for number in media.formats for law in Law if number == str(law.payload_type))
        cryptos = tuple(crypto for crypto in read_cryptos(media.all("crypto")) if crypto.keys)
        if not laws:
            raise NotAcceptableHere("no G.711 among the codecs")
        if secure and not cryptos:
            raise NotAcceptableHere("RTP/SAVP without an a=crypto line we know")
        return cls((connection.address, media.port), laws, secure, cryptos, _direction(session, media))


def write(local: Address, laws: Sequence[Law], cryptos: Sequence[Crypto], version: int, direction: Direction = Direction.SENDRECV) -> bytes:
    """A description with one audio stream at `local`; RTP/SAVP when there are `cryptos`. `version` numbers it in its session."""
    host, port = local
    network = f"IN {'IP6' if ':' in host else 'IP4'} {host}"
    formats = [law.payload_type for law in laws] + [TELEPHONE_EVENT]
    lines = [
        "v=0",
        f"o=probe 1 {version} {network}",
        "s=-",
        f"c={network}",
        "t=0 0",
        f"m=audio {port} RTP/{'SAVP' if cryptos else 'AVP'} {' '.join(map(str, formats))}",
        *(f"a=rtpmap:{law.payload_type} {law}/8000" for law in laws),
        f"a=rtpmap:{TELEPHONE_EVENT} telephone-event/8000",
        f"a=fmtp:{TELEPHONE_EVENT} 0-15",
        "a=ptime:20",
        f"a={direction}",
        *(f"a=crypto:{crypto.encode()}" for crypto in cryptos),
        "",
    ]
    return "\r\n".join(lines).encode()


def _direction(session: Session, media: Media) -> Direction:
    names = [name for name, value in (*session.attributes, *media.attributes) if value is None and name in list(Direction)]
    return Direction(names[-1]) if names else Direction.SENDRECV
