"""Retry-After (RFC 3261 s20.33)."""

from __future__ import annotations

import re

from sbc.errors import ParseError
from sbc.sip.grammar import parse_number

HIGHEST = 2**32 - 1
_seconds = re.compile(r"([0-9]++)[ \t]*+(?:[;(].*)?", re.DOTALL).fullmatch


def parse_retry_after(text: str) -> int:
    """Seconds; comment and parameters are not looked at. ParseError."""
    match = _seconds(text)
    if match is None:
        raise ParseError("malformed Retry-After")
    return parse_number(match[1], HIGHEST)
