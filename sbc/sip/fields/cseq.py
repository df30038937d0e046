"""CSeq (RFC 3261 s20.16)."""

from __future__ import annotations

from functools import lru_cache

from sbc.errors import ParseError
from sbc.frozen import frozen
from sbc.sip.grammar import is_token, parse_number

HIGHEST = 2**31 - 1  # RFC 3261 s8.1.1.5: "The sequence number value MUST be … less than 2**31"
_CACHED = 512
_CACHED_LENGTH = 32


@frozen
class CSeq:
    number: int
    method: str

    @classmethod
    def parse(cls, text: str) -> CSeq:
        """ParseError."""
        return _parse_cached(text) if len(text) <= _CACHED_LENGTH else _parse(text)

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


def _parse(text: str) -> CSeq:
    words = text.replace("\t", " ").split(" ")
    number, method = words[0], words[-1]
    if len(words) < 2 or any(words[1:-1]) or not is_token(method):
        raise ParseError("malformed CSeq")
    return CSeq(parse_number(number, HIGHEST), method)


_parse_cached = lru_cache(maxsize=_CACHED)(_parse)
