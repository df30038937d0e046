"""Session-Expires and Min-SE (RFC 4028 s4, s5)."""

from __future__ import annotations

from typing import Literal

from sbc.frozen import frozen
from sbc.sip.grammar import find_param, parse_number, parse_params

HIGHEST = 2**32 - 1


@frozen
class SessionExpires:
    seconds: int
    refresher: Literal["uac", "uas"] | None = None

    @classmethod
    def parse(cls, text: str) -> SessionExpires:
        """ParseError. A refresher of any other name counts as none."""
        number, semicolon, rest = text.partition(";")
        seconds = parse_number(number.rstrip(" \t"), HIGHEST)
        match (find_param(parse_params(semicolon + rest), "refresher") or "").lower():
            case "uac":
                return cls(seconds, "uac")
            case "uas":
                return cls(seconds, "uas")
        return cls(seconds)

    def __str__(self) -> str:
        return f"{self.seconds};refresher={self.refresher}" if self.refresher else str(self.seconds)


def parse_min_se(text: str) -> int:
    """Seconds. ParseError."""
    return SessionExpires.parse(text).seconds
