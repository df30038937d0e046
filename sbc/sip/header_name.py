"""The type of header field names: it folds case and compact form (RFC 3261 s7.3.1, s7.3.3). To be had from `names`, with the known ones."""

from __future__ import annotations

from functools import lru_cache

from sbc.errors import ParseError
from sbc.sip.grammar import is_token

_CACHED_NAMES = 1024  # spellings seen lately beyond the known ones; a stranger can flush them, not grow them
_CACHED_LENGTH = 128  # longer names are legal (RFC 4475 s3.1.1.7) but not worth keeping


class HeaderName(str):
    """`HeaderName("v") == HeaderName("VIA") == "via"`. The text is the folded full name.

    `spelling` is the usual one for known headers and the first one seen for others; `prefix` is what starts the row.
    ParseError when the text is not a token. Known names are the same object always, so `is` may compare them.
    """

    __slots__ = ("prefix", "spelling")

    prefix: str
    spelling: str

    def __new__(cls, text: str) -> HeaderName:
        return KNOWN.get(text) or (_fold_cached(text) if len(text) <= _CACHED_LENGTH else _fold(text))

    def __repr__(self) -> str:
        return f"HeaderName({self.spelling!r})"


def _make(spelling: str) -> HeaderName:
    name = str.__new__(HeaderName, spelling.lower())
    name.spelling = spelling
    name.prefix = spelling + ": "
    return name


def _fold(text: str) -> HeaderName:
    if not is_token(text):  # first: folding knows letters beyond ASCII that become ASCII, the Kelvin sign for one
        raise ParseError("malformed header name")
    return KNOWN.get(text.lower()) or _make(text)


_fold_cached = lru_cache(maxsize=_CACHED_NAMES)(_fold)

KNOWN: dict[str, HeaderName] = {}  # every usual way to write a known name: as registered, lower, upper, compact


def known(spelling: str, compact: str = "") -> HeaderName:
    """A name that is the same object from now on, however it is written."""
    name = _make(spelling)
    for text in filter(None, (spelling, compact)):
        KNOWN[text] = KNOWN[text.lower()] = KNOWN[text.upper()] = name
    return name
