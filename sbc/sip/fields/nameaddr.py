"""name-addr and addr-spec: From, To, Contact, Route, Record-Route, P-Asserted-Identity, Refer-To (RFC 3261 s20.10, s25.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from sbc.errors import ParseError
from sbc.frozen import frozen
from sbc.sip.grammar import Params, find_param, format_params, is_token, parse_params, quote, split_rows, unquote
from sbc.sip.uri import Uri

_CACHED_ADDRESSES = 4096  # From and To come back in every message of a call
_CACHED_LENGTH = 256

# Unquoted display names are wider than `*(token LWS)`: peers write dots, brackets and UTF-8. Commas and colons stay out:
# `Bell, Alexander <sip:…>` reads as two values elsewhere (RFC 4475 s3.1.2.15).
_bracketed = re.compile(r'(?:("(?:[^"\\]++|\\.)*")[ \t]*+|([^"<>,;:@\\]*+))<([^<>"]++)>[ \t]*+(;.*)?', re.DOTALL).fullmatch


@frozen
class NameAddr:
    """`display` is decoded, "" if there is none; `params` belong to the header field, not to the URI."""

    display: str
    uri: Uri
    params: Params = ()

    @classmethod
    def parse(cls, text: str) -> NameAddr:
        """One value. ParseError, also for a bare URI with `?` or `,`, which needs brackets (RFC 3261 s20)."""
        return _parse_cached(text) if len(text) <= _CACHED_LENGTH else _parse(text)

    @property
    def tag(self) -> str:
        for name, value in self.params:
            if name == "tag":
                return value or ""
        return ""

    def param(self, name: str) -> str | None:
        return find_param(self.params, name)

    def with_tag(self, tag: str) -> NameAddr:
        """The same with that tag; "" takes the tag away."""
        others = tuple([item for item in self.params if item[0] != "tag"])
        return NameAddr(self.display, self.uri, (*others, ("tag", tag)) if tag else others)

    def __str__(self) -> str:
        display = quote(self.display) + " " if self.display else ""
        return f"{display}<{self.uri}>{format_params(self.params) if self.params else ''}"


def parse_list(rows: Iterable[str]) -> list[NameAddr]:
    """All values of a list header such as Route, from its rows. ParseError."""
    return [NameAddr.parse(item) for item in split_rows(rows)]


def _parse(text: str) -> NameAddr:
    address, bracket, tag = text.rpartition(">;tag=")
    if bracket and is_token(tag):  # what From and To of each dialog differ in
        bare = NameAddr.parse(address + ">")
        return NameAddr(bare.display, bare.uri, (("tag", tag),))
    match = _bracketed(text)
    if match is None:
        return _parse_bare(text)
    quoted, display, uri, params = match.groups()
    display = unquote(quoted) if quoted is not None else display.strip(" \t")
    return NameAddr(display, Uri.parse(uri), _checked(params) if params else ())


_parse_cached = lru_cache(maxsize=_CACHED_ADDRESSES)(_parse)


def _parse_bare(text: str) -> NameAddr:
    """ "If the URI contains a comma, question mark or semicolon, the URI MUST be enclosed in angle brackets" (RFC 3261 s20)."""
    uri, semicolon, params = text.partition(";")
    if "?" in uri or "," in uri or "@" in params:
        raise ParseError("a URI that needs angle brackets")
    return NameAddr("", Uri.parse(uri.rstrip(" \t")), _checked(semicolon + params) if semicolon else ())


def _checked(text: str) -> Params:
    params = parse_params(text)
    if len(params) > 1 and sum(name == "tag" for name, _ in params) > 1:
        raise ParseError("two tags")
    return params
