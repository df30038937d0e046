"""What a party's policy says about media, compiled."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from media.api import EXPEDITED, Follow, Suite
from sbc.frozen import frozen

# Strongest first; with AES-NI the GCM suites are the cheapest as well.
USUAL_SUITES = (
    Suite.AEAD_AES_256_GCM,
    Suite.AEAD_AES_128_GCM,
    Suite.AES_256_CM_HMAC_SHA1_80,
    Suite.AES_CM_128_HMAC_SHA1_80,
    Suite.AES_CM_128_HMAC_SHA1_32,
)


@frozen
class OfferRules:
    """What is done with the codecs of offers in one direction; names in their registered spelling.

    allow    only these of what `codecs` has; None: all of that
    strip    none of these
    prefer   these come first, then the others as they were offered; (): as they were offered; None: in the order of `codecs`
    require  an offer that lacks one of these is refused
    """

    allow: frozenset[str] | None = None
    strip: frozenset[str] = frozenset()
    prefer: tuple[str, ...] | None = None
    require: tuple[str, ...] = ()


AS_NAMED = OfferRules()
AS_ANSWERED = OfferRules()  # of what is no offer
KEPT = frozenset(("telephone-event", "CN"))  # pass between two who know them though no `codecs` names them: who would think of them?


@frozen
class MediaRules:
    """The media rules of one trunk or user.

    name      of the object of the policy, for people
    codecs    encoding names in order of preference; what is not named does not pass
    srtp      "off": RTP only · "required": SRTP only · "optional": offer SRTP, answer what was offered
    suites    SRTP suites in order of preference
    silence   seconds without a packet after which a party that should be sending counts as silent; None: never
    early     what of a callee's media is relayed before the answer: "both" ways, only so that the caller may "listen", or "none"
    keying    where the keys of SRTP come from, best first: "sdes" in the description (RFC 4568), "dtls" by a handshake (RFC 5763)
    fax       whether T.38 is relayed; UDPTL has no encryption here, so that never together with "required"
    g711      "translate": a side that has one law alone is connected with one that has the other alone
    digits    how it says digits: "info" only, "rfc4733": as telephone-events only; "pass": as they come
    ssrc      "rewrite": it is sent one stream, whoever is heard
    digits_from, digits_to  whether the digits it types go on to whom it talks to, and those of the other one to it (PCI DSS)
    follow    whether it is followed where a NAT gives it another address in the middle of a call
    dscp      of the packets sent to it (RFC 2474)
    kept      encodings that pass though `codecs` does not name them, where both sides know them
    offers_from, offers_to  what becomes of offers that come from it, and of those that go to it
    annexb    "refuse": G.729 without its silence suppression, whatever the peers say (RFC 7261)
    ptime, maxptime  milliseconds of a packet that it is asked for; None: as the other side asks
    link      the linked site that its media comes from and goes to; "": none
    """

    codecs: tuple[str, ...] = ("PCMA", "PCMU", "G729", "telephone-event")
    srtp: Literal["off", "required", "optional"] = "off"
    suites: tuple[Suite, ...] = USUAL_SUITES
    silence: float | None = None
    early: Literal["both", "listen", "none"] = "both"
    fax: Literal["pass", "refuse"] = "refuse"
    digits_from: Literal["pass", "withhold"] = "pass"
    digits_to: Literal["pass", "withhold"] = "pass"
    keying: tuple[Literal["sdes", "dtls"], ...] = ("sdes",)
    g711: Literal["pass", "translate"] = "pass"
    digits: Literal["pass", "rfc4733", "info"] = "pass"
    ssrc: Literal["keep", "rewrite"] = "keep"
    follow: Follow = Follow.AUTHENTICATED
    dscp: int = EXPEDITED
    kept: frozenset[str] = frozenset()
    offers_from: OfferRules = AS_NAMED
    offers_to: OfferRules = AS_NAMED
    annexb: Literal["pass", "refuse"] = "pass"
    ptime: int | None = None
    maxptime: int | None = None
    link: str = ""
    name: str = field(default="", compare=False)

    def knows(self, name: str) -> bool:
        """Whether that encoding, in its registered spelling, may be agreed on with such a party."""
        return name in self.kept or name.lower() in [codec.lower() for codec in self.codecs]

    @property
    def dtls(self) -> bool:
        return "dtls" in self.keying and self.srtp != "off"

    @property
    def relays_fax(self) -> bool:
        return self.fax == "pass" and self.srtp != "required"

    def gets_events_of(self, other: MediaRules) -> bool:
        """Whether digits that somebody with the rules `other` says by INFO are said to it as telephone-events, if it has those."""
        return self.digits == "rfc4733" or (self.digits == "pass" and other.digits == "info")

    def hears_digits_of(self, other: MediaRules) -> bool:
        """Whether it may know what somebody with the rules `other` types."""
        return other.digits_from == "pass" and self.digits_to == "pass"
