"""The few pieces of RFC 3261 s25.1 that every header field is made of.

All patterns are linear: each repetition of characters is possessive (`++`, `*+`), so nothing is tried twice, and the
alternatives of a repeated group begin with different characters. Groups themselves are never possessive: CPython before
3.11.5 takes `(?:;a++)*+` to match the semicolon of ";;".
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from sbc import native
from sbc.errors import ParseError

Params = tuple[tuple[str, str | None], ...]  # names folded to lower case, values raw (quotes kept), None: no "="

TOKEN = r"[A-Za-z0-9\-.!%*_+`'~]++"  # noqa: S105
QUOTED = r'"(?:[^"\\]++|\\.)*"'

is_token = re.compile(TOKEN).fullmatch

# Values are wider than gen-value of the RFC (token, host, quoted string): peers put slashes, colons and more there.
_PARAM = rf';[ \t]*+({TOKEN})[ \t]*+(?:=[ \t]*+({QUOTED}|[^\s;,"<>\x00-\x1f\x7f]++)[ \t]*+)?'
_find_params = re.compile(_PARAM, re.DOTALL).findall
_are_params = re.compile(f"(?:{_PARAM})*", re.DOTALL).fullmatch

_read_params = native.params_reader()

_list_item = re.compile(rf'(?:[^,"<]++|{QUOTED}|<[^>]*+>)*', re.DOTALL).match
_escaped_pair = re.compile(r"\\(.)", re.DOTALL)
_needs_escape = re.compile(r'(["\\])')
_control = re.compile(r"[\x00-\x1f\x7f]")


def parse_params(text: str) -> Params:
    """`;name=value;name` as pairs, in order. ParseError on an empty name or value and on an open quote."""
    read: Params | None = None if _read_params is None else _read_params(text)
    return parse_unusual_params(text) if read is None else read


def parse_unusual_params(text: str) -> Params:
    """The same without the help of C."""
    found = _find_params(text)
    length = 0
    for name, value in found:
        length += len(name) + len(value) + (2 if value else 1)
    if length != len(text) and not _are_params(text):  # found without a gap and without blanks, as nearly always, it is all there is
        raise ParseError("malformed parameters")
    return tuple([(name.lower(), value or None) for name, value in found])


def format_params(params: Params) -> str:
    return "".join([f";{name}" if value is None else f";{name}={value}" for name, value in params])


def find_param(params: Params, name: str) -> str | None:
    """The value of the first parameter of that (lower-case) name, "" when it has none, None when it is not there."""
    for key, value in params:
        if key == name:
            return value or ""
    return None


def split_commas(text: str) -> list[str]:
    """The items of a comma-separated list; commas within quotes or angle brackets do not count, empty items fall out.

    ParseError on an open quote or bracket.
    """
    if "," not in text:
        text = text.strip(" \t")
        return [text] if text else []
    if '"' not in text and "<" not in text:
        return [item for part in text.split(",") if (item := part.strip(" \t"))]
    items = []
    position = 0
    while True:
        match = _list_item(text, position)
        end = match.end() if match else position
        if end < len(text) and text[end] != ",":
            raise ParseError("open quote or bracket in a list")
        if item := text[position:end].strip(" \t"):
            items.append(item)
        if end >= len(text):
            return items
        position = end + 1


def split_rows(rows: Iterable[str]) -> list[str]:
    return [item for row in rows for item in split_commas(row)]


def unquote(text: str) -> str:
    """What a quoted string means: quotes and backslashes gone. Any other text is returned as it is."""
    if len(text) < 2 or text[0] != '"':
        return text
    text = text[1:-1]
    return _escaped_pair.sub(r"\1", text) if "\\" in text else text


def quote(text: str) -> str:
    """`text` as a quoted string. Control characters fall out: none can be needed, and CR, LF and NUL break messages."""
    if _control.search(text):
        text = _control.sub("", text)
    if '"' in text or "\\" in text:
        text = _needs_escape.sub(r"\\\1", text)
    return f'"{text}"'


def parse_number(text: str, highest: int) -> int:
    """1*DIGIT, leading zeros allowed, ASCII only (RFC 3261 s25.1). ParseError when it is anything else or above `highest`."""
    if not (text.isascii() and text.isdigit()):
        raise ParseError("not a number")
    if len(text) > 10:
        text = text.lstrip("0") or "0"
        if len(text) > 10:  # the highest anything in SIP goes is 2**32 - 1, and int() of long text is not linear
            raise ParseError("number too large")
    number = int(text)
    if number > highest:
        raise ParseError("number too large")
    return number
