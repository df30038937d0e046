"""From a peer's session to the one stream we relay, in neutral terms: what the other leg needs and nothing else.

Names, addresses and identifiers of the peer's side stay here; our own description is written from scratch (`offer`).
"""

from __future__ import annotations

from dataclasses import field
from typing import Literal, NamedTuple, TypeAlias

from media.api import Address
from sbc.errors import NotAcceptableHere
from sbc.frozen import frozen, replace
from sbc.sdp.address import Scope, locate, port_allowed
from sbc.sdp.codecs import is_audible, read_codecs
from sbc.sdp.crypto import Crypto, choose, read_cryptos
from sbc.sdp.dtls import NO_TRANSPORT, Transport, mid_of
from sbc.sdp.dtls import PROTOCOLS as DTLS
from sbc.sdp.fax import KIND as FAX
from sbc.sdp.fax import fax_parameters, is_fax
from sbc.sdp.model import Attribute, Codec, Direction, Media, Session
from sbc.sdp.parse import SdpError
from sbc.sdp.rules import AS_ANSWERED, MediaRules, OfferRules
from sbc.sdp.selection import Stripped, let_through, missing, ordered, stripped_of
from sbc.sdp.text import is_number

PLAIN = frozenset(("RTP/AVP", "RTP/AVPF"))
SECURE = frozenset(("RTP/SAVP", "RTP/SAVPF"))

# Warning codes (RFC 3261 s20.43)
INCOMPATIBLE_ADDRESS = 301
INCOMPATIBLE_TRANSPORT = 302
MEDIA_NOT_AVAILABLE = 304
INCOMPATIBLE_FORMAT = 305
MULTICAST_NOT_AVAILABLE = 330
MISCELLANEOUS = 399

_BANDWIDTHS = frozenset(("AS", "TIAS", "RS", "RR"))  # RFC 8866 s5.8, 3890, 3556
_DISCARD_PORT = 9  # what ICE writes for "no default destination yet" (RFC 8839 s4.3.1)


Keying: TypeAlias = Literal["", "sdes", "dtls"]


class Slot(NamedTuple):
    """An m= line seen from outside; a stream keeps its place in every later description (RFC 3264 s8)."""

    kind: str
    protocol: str
    formats: tuple[str, ...]
    mid: str = ""  # where the rules know of browsers


@frozen
class Description:
    """What a peer said about the stream: speech, or fax over T.38.

    codecs              those our rules permit, in the peer's order, with the peer's payload numbers
    direction           seen by the peer; a connection address of 0.0.0.0 or :: counts as not receiving (RFC 3264 s8.4)
    remote, rtcp        where it wants RTP and RTCP; None when on such a hold, behind ICE, or given by a name
    rtcp_mux            it can take RTCP on the RTP port (RFC 5761)
    cryptos             its valid SDES lines
    transport           what it says of DTLS and ICE, where the rules have DTLS
    keyed               of an offer: where the keys come from that we take, "": nowhere, plain RTP
    ptime, maxptime     milliseconds of a packet
    bandwidth           b= values of the kinds that say nothing about topology
    silence_suppression it may stop sending while nobody speaks (RFC 3389)
    slots, index        all m= lines, and which of them this stream is
    kind, fax           "audio"; or "image" and its T.38 parameters, and then no codecs
    any_law             it need not have the law of G.711 that the other side has
    digits              how it says digits, by its rules
    removed             the stream we had was taken out with port 0 (RFC 3264 s8.2); the rest is what held before
    ordered             our rules have put an order to its codecs
    said, stripped      of an offer: names of all the codecs it spoke of, and of those that our rules do not let through, with the reason
    """

    codecs: tuple[Codec, ...]
    direction: Direction = Direction.SENDRECV
    remote: Address | None = None
    rtcp: Address | None = None
    rtcp_mux: bool = False
    cryptos: tuple[Crypto, ...] = ()
    transport: Transport = NO_TRANSPORT
    keyed: Keying = ""
    ptime: int | None = None
    maxptime: int | None = None
    bandwidth: tuple[str, ...] = ()
    silence_suppression: bool = False
    slots: tuple[Slot, ...] = ()
    index: int = 0
    kind: str = "audio"
    fax: tuple[Attribute, ...] = ()
    removed: bool = False
    any_law: bool = False
    digits: Literal["pass", "rfc4733", "info"] = "pass"
    ordered: bool = False
    said: tuple[str, ...] = field(default=(), compare=False)
    stripped: Stripped = field(default=(), compare=False)


class Hosts(NamedTuple):
    """Which of the doubtful media hosts a leg accepts."""

    private: bool
    loopback: bool


def refusal(code: int, text: str) -> NotAcceptableHere:
    """A 488 whose Warning says why; `sbc` stands in for our name (RFC 3261 s20.43: a pseudonym hides topology)."""
    return NotAcceptableHere(text, headers=(("Warning", f'{code} sbc "{text}"'),))


def choose_stream(session: Session, rules: MediaRules, hosts: Hosts, secure_hop: bool) -> tuple[Description, Crypto | None]:
    """The offered stream we take, and the SDES line we take of it; None: plain RTP or DTLS.

    Of several audio streams an encrypted one comes first, which is what offering both RTP/SAVP and RTP/AVP asks for.
    Fax is taken where no speech is offered beside it. Raises NotAcceptableHere with the trouble of the first audio stream, SdpError.
    """
    found: Description | None = None
    trouble: NotAcceptableHere | None = None
    for index, media in enumerate(session.media):
        if media.kind != "audio" or not media.port:
            continue
        try:
            _check_protocol(media.protocol, rules)
            description = describe(session, index, rules, hosts, rules.offers_from)
            keyed, crypto = _pick_keys(media.protocol, description, rules, secure_hop)
        except NotAcceptableHere as error:
            trouble = trouble or error
            continue
        if keyed:
            return replace(description, keyed=keyed), crypto
        found = found or description
    if found is None and trouble is None:
        found = _choose_fax(session, rules, hosts)
    if found is None:
        raise trouble or refusal(MEDIA_NOT_AVAILABLE, "no audio stream offered")
    return found, None


def _choose_fax(session: Session, rules: MediaRules, hosts: Hosts) -> Description | None:
    for index, media in enumerate(session.media):
        if rules.relays_fax and media.port and is_fax(media):
            return describe_fax(session, index, rules, hosts)
    return None


def describe(session: Session, index: int, rules: MediaRules, hosts: Hosts, way: OfferRules = AS_ANSWERED) -> Description:
    """Read the m= section at `index`. `way`: what is said of offers in that direction, if it is one.

    Raises NotAcceptableHere for codecs and addresses we refuse, SdpError without a c= line.
    """
    media = session.media[index]
    transport = Transport.read(session, media) if rules.dtls else NO_TRANSPORT
    if transport.ufrag:  # where it is its checks will tell; nor is a hold told by addresses (RFC 8839 s4.2.5)
        remote, direction = None, session.direction(media)
    else:
        remote, direction = _whereabouts(session, media, hosts)
    names: dict[str, str] = {}
    parameters: dict[str, str] = {}
    others: dict[str, str] = {}
    for name, value in media.attributes:
        if name == "rtpmap" or name == "fmtp":
            payload, _, text = (value or "").strip().partition(" ")
            (names if name == "rtpmap" else parameters)[payload] = text.strip()
        else:
            others.setdefault(name, value or "")
    said = read_codecs(media, names, parameters)
    codecs = let_through(said, rules, way)
    if not is_audible(codecs):
        raise refusal(INCOMPATIBLE_FORMAT, "no permitted codec")
    lacking = missing(codecs, way)
    if lacking is not None:
        raise refusal(INCOMPATIBLE_FORMAT, f"{lacking} is required")
    stripped = stripped_of(said, codecs, rules, way) if len(codecs) < len(said) else ()
    if way.prefer is not None:
        codecs = ordered(codecs, rules, way, as_offered=True)
    return Description(
        codecs=tuple(codecs),
        direction=direction,
        remote=remote,
        rtcp=_rtcp(others.get("rtcp", ""), remote, hosts),
        rtcp_mux="rtcp-mux" in others,
        cryptos=read_cryptos(media.all("crypto")) if "crypto" in others else (),
        transport=transport,
        ptime=_milliseconds(others.get("ptime")),
        maxptime=_milliseconds(others.get("maxptime")),
        bandwidth=_bandwidth(media),
        silence_suppression=any(codec.name == "CN" for codec in said),
        slots=slots_of(session, rules),
        index=index,
        any_law=rules.g711 == "translate",
        digits=rules.digits,
        ordered=way.prefer is not None,
        said=tuple([codec.name for codec in said]) if way is not AS_ANSWERED else (),
        stripped=stripped,
    )


def describe_fax(session: Session, index: int, rules: MediaRules, hosts: Hosts) -> Description:
    """The same for a T.38 section. Raises NotAcceptableHere, SdpError."""
    media = session.media[index]
    remote, direction = _whereabouts(session, media, hosts)
    return Description((), direction, remote, slots=slots_of(session, rules), index=index, kind=FAX, fax=fax_parameters(media))


def slots_of(session: Session, rules: MediaRules) -> tuple[Slot, ...]:
    if rules.dtls:
        return tuple([Slot(each.kind, each.protocol, each.formats, mid_of(each)) for each in session.media])
    return tuple([Slot(each.kind, each.protocol, each.formats) for each in session.media])


def _check_protocol(protocol: str, rules: MediaRules) -> None:
    """Raises NotAcceptableHere for a protocol we do not speak, or that gives less or more than the rules allow."""
    if protocol in SECURE or (protocol in DTLS and rules.dtls):
        if rules.srtp == "off":
            raise refusal(INCOMPATIBLE_TRANSPORT, "RTP/AVP expected")
    elif protocol not in PLAIN:
        raise refusal(INCOMPATIBLE_TRANSPORT, "incompatible transport protocol")
    elif rules.srtp == "required":
        raise refusal(INCOMPATIBLE_TRANSPORT, "RTP/SAVP expected")


def _pick_keys(protocol: str, description: Description, rules: MediaRules, secure_hop: bool) -> tuple[Keying, Crypto | None]:
    """Where the keys come from, and the SDES line to take. Raises NotAcceptableHere when what is to be encrypted offers no keys for us."""
    crypto = choose(description.cryptos, rules.suites)
    if protocol in SECURE or protocol in DTLS:
        trouble = refusal(MISCELLANEOUS, "no usable a=fingerprint line")
        for keying in rules.keying:
            if keying == "dtls" and description.transport.fingerprints:
                return "dtls", None
            if keying == "sdes" and protocol in SECURE:
                if not secure_hop:  # RFC 4568 s8.3: the keys are as secret as the signalling
                    trouble = refusal(MISCELLANEOUS, "SRTP keys need signalling over TLS")
                elif crypto is not None:
                    return "sdes", crypto
                else:
                    trouble = refusal(MISCELLANEOUS, "no usable a=crypto line")
        raise trouble
    # RTP/AVP with a=crypto is an offer of SRTP to those who can (RFC 8643).
    return ("sdes", crypto) if crypto is not None and rules.srtp == "optional" and secure_hop else ("", None)


def _whereabouts(session: Session, media: Media, hosts: Hosts) -> tuple[Address | None, Direction]:
    """Where the peer of an m= section wants its packets, None: unknown, and which way they go."""
    connection = media.connection or session.connection
    if connection is None:
        raise SdpError("m= without c=")
    scope, host = locate(connection.address)
    direction = session.direction(media)
    if media.port == _DISCARD_PORT and (media.first("ice-ufrag") is not None or session.first("ice-ufrag") is not None):
        return None, direction  # an agent that has no default destination yet, whatever the address says (RFC 8839 s4.2.5)
    if scope is Scope.UNSPECIFIED:
        return None, Direction.of(direction.sends, False)
    if scope is Scope.NAME:
        return None, direction
    return _remote(scope, host, media.port, hosts), direction


def _remote(scope: Scope, host: str, port: int, hosts: Hosts) -> Address:
    if scope is Scope.MULTICAST:
        raise refusal(MULTICAST_NOT_AVAILABLE, "multicast not available")
    if not _admitted(scope, hosts):
        raise refusal(MISCELLANEOUS, "media address not allowed")
    if not port_allowed(port):
        raise refusal(MISCELLANEOUS, "media port not allowed")
    return host, port


def _admitted(scope: Scope, hosts: Hosts) -> bool:
    return scope is Scope.PUBLIC or (scope is Scope.PRIVATE and hosts.private) or (scope is Scope.LOOPBACK and hosts.loopback)


def _rtcp(value: str, remote: Address | None, hosts: Hosts) -> Address | None:
    """The a=rtcp address (RFC 3605) if we accept it, else the next port (RFC 3550 s11)."""
    if remote is None:
        return None
    fields = value.split()
    if fields and is_number(fields[0], 5):
        port = int(fields[0])
        scope, host = locate(fields[3]) if len(fields) == 4 else (Scope.PUBLIC, remote[0])
        reachable = host == remote[0] or (_admitted(scope, hosts) and (":" in host) == (":" in remote[0]))
        if reachable and port_allowed(port) and port <= 0xFFFF:
            return host, port
    return (remote[0], remote[1] + 1) if remote[1] < 0xFFFF else None


def _milliseconds(value: str | None) -> int | None:
    text = (value or "").strip()
    return int(text) or None if is_number(text, 4) else None


def _bandwidth(media: Media) -> tuple[str, ...]:
    found = []
    for letter, value in media.lines:
        kind, _, number = value.partition(":")
        if letter == "b" and kind in _BANDWIDTHS and is_number(number, 10):
            found.append(value)
    return tuple(found)
