"""DTLS-SRTP and ICE-lite in descriptions (RFC 5763, 8122, 8842; RFC 8839): what a peer says of them, and our own lines."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import field

from media.api import Address, Dtls, Ice, Role, Suite
from sbc.clock import Ids
from sbc.errors import NotAcceptableHere
from sbc.frozen import frozen
from sbc.sdp.address import locate
from sbc.sdp.model import Attribute, Media, Session

PROTOCOLS = frozenset(("UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF"))
OFFERED_PROTOCOL = "UDP/TLS/RTP/SAVP"  # browsers take it as well as their own (RFC 8829 s5.1.2), phones know no other

MAX_FINGERPRINTS = 8  # a certificate under each hash there is, and some to come

# Type preference of a host, the only local address, component 1 (RFC 8445 s5.1.2)
_PRIORITY = 126 << 24 | 65535 << 8 | 255
_DISCARD_PORT = 9  # no default destination yet (RFC 8839 s4.3.1)

_OCTETS = {"sha-1": 20, "sha-224": 28, "sha-256": 32, "sha-384": 48, "sha-512": 64}  # RFC 8122 s5; md5 and md2 prove nothing
_digits = re.compile("[0-9A-F]{2}(:[0-9A-F]{2})*").fullmatch
_ice_text = re.compile("[A-Za-z0-9+/]{4,256}").fullmatch
_tls_id = re.compile("[A-Za-z0-9+/_-]{20,255}").fullmatch
_mid = re.compile("[!#-'*+.0-9A-Z^-~-]{1,64}").fullmatch  # a token (RFC 5888 s4)
_SHORTEST_PASSWORD = 22  # characters (RFC 8839 s5.4)


@frozen
class Transport:
    """How a peer's stream is keyed and reached.

    fingerprints   of its certificate, as media.api.Dtls has them
    setup          "actpass", "active", "passive", "holdconn"; "": not said
    tls_id         which of its DTLS associations this is (RFC 8842 s4); "": not said
    ufrag          it checks addresses by ICE, under this name; "": it does not, or not in a way a lite agent can follow
    mid            what it calls the stream; `bundled`: it is, or would be, the only one of its group of that kind (RFC 8843)
    """

    fingerprints: tuple[str, ...] = ()
    setup: str = ""
    tls_id: str = ""
    ufrag: str = ""
    mid: str = ""
    bundled: bool = False

    @classmethod
    def read(cls, session: Session, media: Media) -> Transport:
        """What is malformed counts as not said."""
        mid = mid_of(media)
        said = media.all("fingerprint") or [value or "" for name, value in session.attributes if name == "fingerprint"]
        tls_id = media.first("tls-id") or ""
        groups = [(value or "").split() for name, value in session.attributes if name == "group"]
        return cls(
            fingerprints=tuple(_fingerprints(said)),
            setup=_either(session, media, "setup").lower(),
            tls_id=tls_id if _tls_id(tls_id) else "",
            ufrag=_ufrag(session, media),
            mid=mid,
            bundled=bool(mid) and any(group[:1] == ["BUNDLE"] and mid in group for group in groups),
        )

    def is_same_association(self, other: Transport) -> bool:
        return self.fingerprints == other.fingerprints and self.tls_id == other.tls_id


NO_TRANSPORT = Transport()


@frozen
class Own:
    """What we call our association, and our ICE credentials."""

    tls_id: str
    ufrag: str
    password: str = field(repr=False)

    @classmethod
    def fresh(cls, ids: Ids) -> Own:
        return cls(ids.random(16).hex(), _letters(ids, 6), _letters(ids, 18))

    def restarted(self, ids: Ids) -> Own:
        """For a peer that restarted ICE (RFC 8839 s4.4.1.1.1)."""
        return Own(self.tls_id, _letters(ids, 6), _letters(ids, 18))

    def ice(self, peer: Transport) -> Ice:
        return Ice(f"{self.ufrag}:{peer.ufrag}", self.password)

    def dtls(self, role: Role, peer: Transport, suites: tuple[Suite, ...]) -> Dtls:
        return Dtls(role, peer.fingerprints, f"{peer.tls_id}/{self.tls_id}", suites)


def mid_of(media: Media) -> str:
    mid = (media.first("mid") or "").strip()
    return mid if _mid(mid) else ""


def role_answering(offer: Transport, kept: Role | None) -> Role:
    """Ours, in an answer; `kept`: what it has been in an association that goes on. Raises NotAcceptableHere.

    Given the choice we wait: the peer's hello then comes from where the peer is, behind its NAT, and ours goes nowhere on mere hearsay.
    """
    match offer.setup:
        case "actpass":
            return kept or Role.PASSIVE
        case "active" | "":  # RFC 4145 s4: what an offer means that says nothing
            return Role.PASSIVE
        case "passive":
            return Role.ACTIVE
    raise NotAcceptableHere("no DTLS role for us")


def role_answered(answer: Transport) -> Role:
    """Ours, after an answer; one that says nothing means passive (RFC 4145 s4)."""
    return Role.PASSIVE if answer.setup == "active" else Role.ACTIVE


def dtls_lines(fingerprint: str, setup: str, tls_id: str) -> list[Attribute]:
    lines: list[Attribute] = [("setup", setup), ("fingerprint", fingerprint)]
    return [*lines, ("tls-id", tls_id)] if tls_id else lines


def ice_lines(own: Own, local: Address) -> list[Attribute]:
    """One component: RTCP is multiplexed wherever there is ICE."""
    return [
        ("ice-ufrag", own.ufrag),
        ("ice-pwd", own.password),
        ("candidate", f"1 1 UDP {_PRIORITY} {local[0]} {local[1]} typ host"),
        ("end-of-candidates", None),
    ]


def _ufrag(session: Session, media: Media) -> str:
    """The name its checks carry, where it will send some that we can make use of.

    Not from another lite agent, for none of two would ever check (RFC 8445 s6.1.1); not without RTCP multiplexing; and not when
    something on the way has changed the default destination, of which no candidate tells (RFC 8839 s4.2.5): such peers are plain ones.
    """
    ufrag, password = _either(session, media, "ice-ufrag"), _either(session, media, "ice-pwd")
    if not _ice_text(ufrag) or not _ice_text(password) or len(password) < _SHORTEST_PASSWORD:
        return ""
    if session.first("ice-lite") is not None or media.first("ice-mismatch") is not None or media.first("rtcp-mux") is None:
        return ""
    return ufrag if media.port == _DISCARD_PORT or _has_default(session, media) else ""


def _has_default(session: Session, media: Media) -> bool:
    connection = media.connection or session.connection
    if connection is None:
        return False
    default = locate(connection.address)[1]
    for value in media.all("candidate"):
        fields = value.split()
        if len(fields) > 5 and fields[1] == "1" and fields[5] == str(media.port) and locate(fields[4])[1] == default:
            return True
    return False


def _fingerprints(values: Iterable[str]) -> list[str]:
    found = []
    for value in values:
        name, _, digits = value.strip().partition(" ")
        name, digits = name.lower(), digits.strip().upper()
        if name in _OCTETS and len(digits) == 3 * _OCTETS[name] - 1 and _digits(digits):
            found.append(f"{name} {digits}")
    return found[:MAX_FINGERPRINTS]


def _either(session: Session, media: Media, name: str) -> str:
    value = media.first(name)
    return ((session.first(name) if value is None else value) or "").strip()


def _letters(ids: Ids, octets: int) -> str:
    """Of the alphabet of ICE (RFC 8839 s5.4), which is that of base64. `octets`: a multiple of three."""
    return base64.b64encode(ids.random(octets)).decode()
