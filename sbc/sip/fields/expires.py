"""Expires and Min-Expires (RFC 3261 s20.19, s20.23)."""

from __future__ import annotations

from sbc.errors import ParseError
from sbc.sip.grammar import parse_number
from sbc.sip.message import Headers
from sbc.sip.names import EXPIRES

MALFORMED = 3600  # RFC 3261 s10.2.1.1: malformed values "SHOULD be treated as equivalent to 3600"
HIGHEST = 2**32 - 1


def parse_expires(value: str) -> int:
    """Seconds; 3600 for what is malformed or beyond 2**32 - 1."""
    try:
        return parse_number(value, HIGHEST)
    except ParseError:
        return MALFORMED


def expires(headers: Headers) -> int | None:
    """Seconds, None when absent."""
    value = headers.first(EXPIRES)
    return None if value is None else parse_expires(value)
