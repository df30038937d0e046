"""Content-Type and Content-Disposition (RFC 3261 s20.15, s20.11)."""

from __future__ import annotations

import re
from functools import lru_cache

from sbc.errors import ParseError
from sbc.frozen import frozen
from sbc.sip.grammar import TOKEN, Params, find_param, is_token, parse_params, unquote

_CACHED = 256  # a few are in every message
_CACHED_LENGTH = 128

_media_type = re.compile(rf"({TOKEN})[ \t]*+/[ \t]*+({TOKEN})[ \t]*+(;.*)?", re.DOTALL).fullmatch


@frozen
class MediaType:
    """`name` is "type/subtype" in lower case; `*` stands as it is, so that Accept ranges can be read with it."""

    name: str
    params: Params = ()

    @classmethod
    def parse(cls, text: str) -> MediaType:
        """ParseError."""
        return _parse_cached(text) if len(text) <= _CACHED_LENGTH else _parse(text)

    def param(self, name: str) -> str:
        """Decoded, "" if absent."""
        return unquote(find_param(self.params, name) or "")


def _parse(text: str) -> MediaType:
    match = _media_type(text)
    if match is None:
        raise ParseError("malformed media type")
    return MediaType(f"{match[1]}/{match[2]}".lower(), parse_params(match[3]) if match[3] else ())


_parse_cached = lru_cache(maxsize=_CACHED)(_parse)


@frozen
class Disposition:
    """`kind` and `handling` in lower case; `handling` is "" if absent, which means "required" (RFC 3261 s20.11)."""

    kind: str
    handling: str = ""

    @classmethod
    def parse(cls, text: str) -> Disposition:
        """ParseError."""
        kind, semicolon, rest = text.partition(";")
        kind = kind.strip(" \t").lower()
        if not is_token(kind):
            raise ParseError("malformed Content-Disposition")
        return cls(kind, (find_param(parse_params(semicolon + rest), "handling") or "").lower())
