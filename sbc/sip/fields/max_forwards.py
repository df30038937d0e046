"""Max-Forwards (RFC 3261 s20.22)."""

from __future__ import annotations

from sbc.sip.grammar import parse_number
from sbc.sip.message import Headers
from sbc.sip.names import MAX_FORWARDS

DEFAULT = 70  # RFC 3261 s8.1.1.6


def max_forwards(headers: Headers) -> int | None:
    """0..255, None when absent, which counts as 70 (RFC 3261 s16.6 step 3). ParseError."""
    value = headers.first(MAX_FORWARDS)
    return None if value is None else parse_number(value, 255)
