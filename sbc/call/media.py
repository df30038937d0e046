"""The media side of a leg before anything is said on it, and what is made of a relay's reports."""

from __future__ import annotations

from collections.abc import Mapping

from media.api import EventKind, MediaEvent, Side
from sbc.call.context import Context
from sbc.call.words import Cause
from sbc.policy.realms import Realm
from sbc.policy.snapshot import Party
from sbc.sdp.offer import MediaLeg

NO_MEDIA = 'Q.850;cause=41;text="no media"'
NO_KEYS = 'Q.850;cause=41;text="no media keys"'

_WARNINGS: Mapping[EventKind, str] = {
    EventKind.SILENCE: "no media",
    EventKind.FLOOD: "more media than speech has",
    EventKind.INTRUSION: "media from where its peer is not, dropped",
    EventKind.SOURCE_CHANGED: "media comes from another address now",
    EventKind.KEY_FAILURE: "SRTP does not authenticate",
    EventKind.KEY_WORN: "SRTP key is used for longer than its owner said",
    EventKind.FINGERPRINT_MISMATCH: "DTLS certificate is not the one that was signalled",
    EventKind.RTCP_MISMATCH: "DTLS certificate of RTCP is not the one that was signalled",
    EventKind.HANDSHAKE_TIMEOUT: "DTLS handshake does not come to an end",
}


def media_leg(context: Context, party: Party, realm: Realm) -> MediaLeg:
    """The session identifier has 62 random bits, so that it fits the signed 64 bits some peers read o= with."""
    leg = MediaLeg(party.media, int.from_bytes(context.ids.random(8), "big") >> 2)
    leg.listen((realm.relay_advertise, 0))  # the port comes with the relay; the address tells what offers can be taken
    return leg


class MediaWatch:
    """What the relay of a connected call reports."""

    def __init__(self) -> None:
        self._silent: set[Side] = set()
        self._waiting: set[Side] = set()  # for a handshake, once reported already
        self._without_rtcp: set[Side] = set()

    def forget_silence(self) -> None:
        """The relay was told something new: silence so far means nothing."""
        self._silent.clear()

    def hear(self, event: MediaEvent) -> tuple[str | None, Cause | None]:
        """What to warn of, and why the call is over: nothing is heard of either side, or one cannot have keys."""
        cause: Cause | None = None
        match event.kind:
            case EventKind.FIRST_PACKET:
                self._silent.discard(event.side)
            case EventKind.SECURED:
                self._waiting.discard(event.side)
            case EventKind.SILENCE:
                self._silent.add(event.side)
                if len(self._silent) == len(Side):
                    cause = Cause(200, "", 41, (NO_MEDIA,), by="sbc", note="no media from either side")
            case EventKind.FINGERPRINT_MISMATCH:
                # RFC 5763 s5: "the endpoint MUST tear down the media session"
                cause = Cause(200, "", 41, (NO_KEYS,), by="sbc", note="DTLS certificate is not the one that was signalled")
            case EventKind.RTCP_MISMATCH if event.side in self._without_rtcp:
                return None, None  # once is enough, whoever tries
            case EventKind.RTCP_MISMATCH:
                self._without_rtcp.add(event.side)
            case EventKind.HANDSHAKE_TIMEOUT if event.side in self._waiting:
                cause = Cause(200, "", 41, (NO_KEYS,), by="sbc", note="no DTLS handshake")
            case EventKind.HANDSHAKE_TIMEOUT:
                self._waiting.add(event.side)  # it may have begun to wait long before the call was connected
        return _WARNINGS.get(event.kind), cause
