"""Max-Breadth (RFC 5393 s5.3)."""

from __future__ import annotations

from sbc.sip.grammar import parse_number
from sbc.sip.message import Headers
from sbc.sip.names import MAX_BREADTH

DEFAULT = 60  # RFC 5393 s5.3.3.2: RECOMMENDED
_HIGHEST = 2**31 - 1


def max_breadth(headers: Headers) -> int | None:
    """None when absent. ParseError."""
    value = headers.first(MAX_BREADTH)
    return None if value is None else parse_number(value, _HIGHEST)
