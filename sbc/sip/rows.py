"""Octets to the rows of a message and back, whatever they mean (RFC 3261 s7.3).

What is written in the usual way goes through C where that was built (`sbc/native`); anything else, and everything where it was not, is
read and written here. Both say the same.
"""

from __future__ import annotations

from sbc import native
from sbc.errors import ParseError
from sbc.sip.names import CONTENT_LENGTH, KNOWN, HeaderName

# Checked before anything costs more than one look at the octets. Precedents: h11 (16 KiB for a whole head), nginx (8 KiB a line).
MAX_HEAD = 64 * 1024  # start line and header, what one datagram can carry
MAX_LINE = 8 * 1024  # RFC 4475 s3.1.1.7 has lines of 1 KiB; Identity with a long PASSporT stays below 4 KiB
MAX_HEADERS = 256  # rows; the fullest of 740 call-flow messages has 28

Rows = tuple[str, list[HeaderName], list[str], dict[HeaderName, str]]  # start line, names, values, the first value of each name

_native = native.rows(KNOWN, HeaderName, CONTENT_LENGTH)


def read_rows(head: bytes) -> Rows:
    """The rows of a head without its empty line: unfolded, in order, no blanks around names and values. ParseError."""
    found: Rows | None = None if _native is None else _native.read(head)
    return found or read_unusual_rows(head)


def write_rows(start: str, names: list[HeaderName], values: list[str], body: bytes) -> bytes:
    """The octets for the wire: Content-Length as the body is."""
    written: bytes | None = None if _native is None else _native.write(start, names, values, body)
    return written or write_unusual_rows(start, names, values, body)


def read_unusual_rows(head: bytes) -> Rows:
    lines = _split_lines(head)
    names: list[HeaderName] = []
    values: list[str] = []
    first: dict[HeaderName, str] = {}
    for line in lines[1:]:
        text, colon, value = line.partition(":")
        name = KNOWN.get(text) or _named(text, colon)
        value = value.strip(" \t")
        names.append(name)
        values.append(value)
        if name not in first:
            first[name] = value
    return lines[0], names, values, first


def write_unusual_rows(start: str, names: list[HeaderName], values: list[str], body: bytes) -> bytes:
    rows = [n.prefix + v for n, v in zip(names, values, strict=True) if n is not CONTENT_LENGTH]
    rows.insert(0, start)
    rows.append(f"Content-Length: {len(body)}\r\n\r\n")
    return "\r\n".join(rows).encode("utf-8", "surrogateescape") + body


def _named(text: str, colon: str) -> HeaderName:
    """A name that is not written in one of the usual ways."""
    if not colon:
        raise ParseError("header without a colon")
    return HeaderName(text.rstrip(" \t"))


def _split_lines(head: bytes) -> list[str]:
    """Unfolded lines. ParseError on anything that another parser could take for a line end, and beyond a limit."""
    if len(head) > MAX_HEAD:
        raise ParseError("header too long", status=513)
    breaks = head.count(b"\r\n")
    if head.count(b"\n") != breaks or head.count(b"\r") != breaks:
        raise ParseError("CR or LF alone")
    if breaks > 4 * MAX_HEADERS:
        raise ParseError("too many lines", status=513)
    lines = head.decode("utf-8", "surrogateescape").split("\r\n")
    if b"\r\n " in head or b"\r\n\t" in head:
        lines = _unfold(lines)
    if len(lines) > MAX_HEADERS:
        raise ParseError("too many headers", status=513)
    if len(head) > MAX_LINE:
        if len(lines[0]) > MAX_LINE:
            raise ParseError("start line too long", status=414)
        if max(map(len, lines)) > MAX_LINE:
            raise ParseError("header line too long", status=513)
    return lines


def _unfold(lines: list[str]) -> list[str]:
    """Folded lines joined to one with one space (RFC 3261 s7.3.1)."""
    parts: list[list[str]] = []
    for line in lines:
        if line[:1] not in (" ", "\t"):
            parts.append([line.rstrip(" \t")] if parts else [line])
        elif len(parts) > 1:
            parts[-1].append(line.strip(" \t"))
        else:
            raise ParseError("folded start line")
    return [" ".join(part) for part in parts]
