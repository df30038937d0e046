"""What a party's policy says about media, compiled."""

from __future__ import annotations

from typing import Literal

from media.api import Suite
from sbc.frozen import frozen


@frozen
class MediaRules:
    """The media rules of one trunk or user.

    codecs    encoding names in order of preference; what is not named does not pass
    srtp      "off": RTP only · "required": SRTP with SDES keys only · "optional": offer SRTP, answer what was offered
    suites    SRTP suites in order of preference
    silence   seconds without a packet after which a party that should be sending counts as silent; None: never
    """

    codecs: tuple[str, ...] = ("PCMA", "PCMU", "G729", "telephone-event")
    srtp: Literal["off", "required", "optional"] = "off"
    suites: tuple[Suite, ...] = tuple(Suite)
    silence: float | None = None
