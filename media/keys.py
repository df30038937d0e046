"""SRTP and SRTCP of one direction under one master key (RFC 3711, RFC 7714), by libsrtp."""

from __future__ import annotations

from collections.abc import Callable

from pylibsrtp import Error, Policy, Session

from media.api import Keys, SideSpec, Suite
from media.rtp import MAX_PACKET, RTCP_HEADER, RTP_HEADER

# Packets a stream may be late by: 2.5 s of 20 ms audio. RFC 3711 s3.3.2 wants at least 64; libsrtp's own default is 128.
REPLAY_WINDOW = 128

# SSRCs one key serves. Each costs libsrtp a context of some kilobytes and a place in a linear search, and none may be
# forgotten: its replay window (in) and roll-over counter (out) would start again. A long call with many transfers sees tens.
MAX_SOURCES = 128

_PROFILES = {
    Suite.AES_CM_128_HMAC_SHA1_80: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    Suite.AES_CM_128_HMAC_SHA1_32: Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    Suite.AEAD_AES_128_GCM: Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    Suite.AEAD_AES_256_GCM: Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
}

SUITES = frozenset(_PROFILES)

# Of these libsrtp takes SRTCP in the clear, too, where the E bit says so; UNENCRYPTED_SRTCP is never agreed on (RFC 4568 s6.3.2).
_GALOIS = frozenset({Suite.AEAD_AES_128_GCM, Suite.AEAD_AES_256_GCM})
_ENCRYPTED = 0x80


# Octets of the tag, and how many of a packet's stand behind the MKI (RFC 3711 s3.1, s3.4; RFC 7714 s8.2, s9.2).
_TAGS = {Suite.AES_CM_128_HMAC_SHA1_80: 10, Suite.AES_CM_128_HMAC_SHA1_32: 4, Suite.AEAD_AES_128_GCM: 16, Suite.AEAD_AES_256_GCM: 16}
_RTCP_TAG = 10
_INDEX_WORD = 4

# Packets under one key (RFC 3711 s9.2), which libsrtp sees to.
_MOST_PACKETS = 1 << 48


class Refused(Exception):
    """The context does not take the packet. Its state has not moved."""


class AuthenticationFailed(Refused):
    pass


class Replayed(Refused):
    """Seen before, or older than the window; when sending: the same sequence number again, which would repeat keystream."""


class Unusable(Refused):
    """Too short, too long for libsrtp, key exhausted, or one SSRC too many."""


# libsrtp's status is only told apart by its text.
_REFUSALS: dict[str, type[Refused]] = {
    "authentication failure": AuthenticationFailed,
    "replay check failed (bad index)": Replayed,
    "replay check failed (index too old)": Replayed,
    "packet index is too old to consider": Replayed,
}


class _Context:
    __slots__ = ("_mki", "_rtcp_tail", "_rtcp_trailer", "_rtp_tail", "_rtp_trailer", "_session", "_sources")

    def __init__(self, keys: Keys, direction: int) -> None:
        policy = Policy(key=keys.master, ssrc_type=direction, srtp_profile=_PROFILES[keys.suite])
        policy.window_size = REPLAY_WINDOW
        policy.allow_repeat_tx = False
        self._session = Session(policy)
        self._sources: set[bytes] = set()
        self._mki = keys.mki
        galois, tag = keys.suite in _GALOIS, _TAGS[keys.suite]
        self._rtp_tail, self._rtcp_tail = (0, 0) if galois else (tag, _RTCP_TAG)  # octets behind the MKI
        self._rtp_trailer = tag + len(keys.mki)
        self._rtcp_trailer = (tag if galois else _RTCP_TAG) + _INDEX_WORD + len(keys.mki)

    def _run(self, transform: Callable[[bytes], bytes], packet: bytes, source: bytes) -> bytes:
        known = source in self._sources
        if not known and len(self._sources) >= MAX_SOURCES:
            raise Unusable
        try:
            result = transform(packet)
        except Error as error:
            raise _REFUSALS.get(str(error), Unusable) from None
        except ValueError:  # longer than libsrtp's buffer
            raise Unusable from None
        if not known:
            self._sources.add(source)  # after authentication: strangers cannot fill the table
        return result


class Inbound(_Context):
    """Takes protection off. `before` is the context this one replaces: peers change keys while packets are in flight,
    so it serves until the first packet under the new key (RFC 4568 s6.4 has the receiver ready for both). Whatever the new
    one says: under another suite a packet may look too short, or like SRTCP in the clear.

    Several keys have a session of libsrtp each, and so each its own roll-over counter, where RFC 3711 s3.2.1 has one for all: a peer that
    comes to another key after its sequence numbers have begun again is not understood. The compiled engine does.
    """

    __slots__ = ("_galois", "_left", "_more", "before", "worn")

    def __init__(self, keys: Keys, before: Inbound | None = None) -> None:
        super().__init__(keys, Policy.SSRC_ANY_INBOUND)
        self._galois = keys.suite in _GALOIS
        self._left = keys.lifetime or _MOST_PACKETS  # RTP packets
        self._more = [Inbound(each) for each in keys.more]
        self.worn = False  # the RTP packet that was just accepted is the last its key is good for
        self.before = before
        if before is not None:
            before.before = None

    def rtp(self, packet: bytes) -> bytes:
        """Plain RTP of a well-formed SRTP packet. Raises Refused."""
        try:
            cut, key = self._named(packet, self._rtp_tail, RTP_HEADER)
            plain = key._run(key._session.unprotect, cut, packet[8:12])
        except Refused:
            if self.before is None:
                raise
            return self.before.rtp(packet)
        self.before = None
        key._left -= 1
        self.worn = not key._left
        return plain

    def rtcp(self, packet: bytes) -> bytes:
        """Plain RTCP of an SRTCP packet of at least eight octets. Raises Refused."""
        try:
            cut, key = self._named(packet, self._rtcp_tail, RTCP_HEADER)
            if self._galois and not cut[-4] & _ENCRYPTED:
                raise Unusable
            plain = key._run(key._session.unprotect_rtcp, cut, packet[4:8])
        except Refused:
            if self.before is None:
                raise
            return self.before.rtcp(packet)
        self.before = None
        return plain

    def _named(self, packet: bytes, tail: int, least: int) -> tuple[bytes, Inbound]:
        """The packet without its MKI, which is not authenticated, and the key that names. `least`: octets that stand before it."""
        if not self._mki:
            return packet, self
        end = len(packet) - tail
        start = end - len(self._mki)
        if start < least:
            raise Unusable
        for key in (self, *self._more):
            if packet[start:end] == key._mki:
                return packet[:start] + packet[end:], key
        raise AuthenticationFailed  # another key's


class Outbound(_Context):
    """Puts protection on."""

    __slots__ = ()

    def __init__(self, keys: Keys) -> None:
        super().__init__(keys, Policy.SSRC_ANY_OUTBOUND)

    def rtp(self, packet: bytes) -> bytes:
        """SRTP of a well-formed RTP packet. Raises Refused."""
        self._check_room(packet, self._rtp_trailer)
        return self._named(self._run(self._session.protect, packet, packet[8:12]), self._rtp_tail)

    def rtcp(self, packet: bytes) -> bytes:
        """SRTCP of a well-formed RTCP packet. Raises Refused."""
        self._check_room(packet, self._rtcp_trailer)
        return self._named(self._run(self._session.protect_rtcp, packet, packet[4:8]), self._rtcp_tail)

    def _check_room(self, packet: bytes, trailer: int) -> None:
        """libsrtp does not know of the MKI."""
        if self._mki and len(packet) + trailer > MAX_PACKET:
            raise Unusable

    def _named(self, packet: bytes, tail: int) -> bytes:
        """With the MKI, which is not authenticated, before the last `tail` octets."""
        end = len(packet) - tail
        return packet[:end] + self._mki + packet[end:] if self._mki else packet


class Contexts:
    """Of both directions of a stream. None: it is plain, or its keys are not there yet."""

    __slots__ = ("_received", "_sent", "inbound", "outbound")

    def __init__(self) -> None:
        self._received: Keys | None = None
        self._sent: Keys | None = None
        self.inbound: Inbound | None = None
        self.outbound: Outbound | None = None

    def use(self, received: Keys | None, sent: Keys | None) -> bool:
        """Take these keys; equal ones keep their context. Whether those received under are new."""
        before, self._received = self._received, received
        if sent != self._sent:
            self._sent = sent
            self.outbound = Outbound(sent) if sent else None
        if received == before:
            return False
        self.inbound = Inbound(received, self.inbound) if received else None
        return True

    def of_control(self, spec: SideSpec, before: Contexts) -> Contexts:
        """Those of RTCP: the same, but where it has a handshake of its own. `before`: what they were."""
        if spec.dtls is None or spec.rtcp_mux:
            return self
        own = Contexts() if before is self else before
        own.use(*(spec.rtcp_keys or (None, None)))
        return own
