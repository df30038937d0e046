"""Bodies of several parts (RFC 2046 s5.1, RFC 5621)."""

from __future__ import annotations

from typing import NamedTuple

from sbc.errors import ParseError
from sbc.sip.fields.content import Disposition, MediaType
from sbc.sip.message import Headers, Request, Response
from sbc.sip.names import CONTENT_DISPOSITION, CONTENT_TYPE

SDP = "application/sdp"
MAX_PARTS = 16  # SDP, ISUP, PIDF-LO, recording metadata: four is the most seen in one message
MAX_PART_HEADER = 4096
MAX_BOUNDARY = 70  # RFC 2046 s5.1.1


class Part(NamedTuple):
    """`headers` may be empty (then the part is text/plain); `body` without the line end that belongs to the boundary."""

    headers: Headers
    body: bytes

    @property
    def type(self) -> str:
        """ "type/subtype" in lower case, "text/plain" if absent (RFC 2046 s5.2). ParseError."""
        text = self.headers.first(CONTENT_TYPE)
        return "text/plain" if text is None else MediaType.parse(text).name

    @property
    def handling(self) -> str:
        """ "optional": who does not understand it may leave it; "required"; "" when nothing is said. ParseError."""
        text = self.headers.first(CONTENT_DISPOSITION)
        return "" if text is None else Disposition.parse(text).handling


def parts(content_type: str, body: bytes) -> list[Part]:
    """The parts of a body of that multipart type, in order. ParseError when the boundary or the body is broken or a limit passed.

    Parts that are multipart themselves come whole.
    """
    boundary = MediaType.parse(content_type).param("boundary").rstrip(" ")
    if not boundary or len(boundary) > MAX_BOUNDARY or not boundary.isascii():
        raise ParseError("multipart without a usable boundary")
    found = []
    start = -1  # of the part being read; the text before the first delimiter is nobody's
    for begin, end, last in _delimiters(b"\r\n" + body, b"\r\n--" + boundary.encode("ascii")):
        if start >= 0:
            found.append(_part(body[start : max(start, begin - 2)]))
        if last:
            return found
        if len(found) == MAX_PARTS:
            raise ParseError("too many parts")
        start = end - 2
    raise ParseError("multipart without an end")


def _delimiters(data: bytes, delimiter: bytes) -> list[tuple[int, int, bool]]:
    """Begin and end of each delimiter line, and whether it is the last. A longer boundary that begins alike is not one."""
    lines: list[tuple[int, int, bool]] = []
    position = data.find(delimiter)
    while position >= 0 and len(lines) <= MAX_PARTS + 1:
        end = position + len(delimiter)
        last = data.startswith(b"--", end)
        after = end + 2 if last else end
        while data[after : after + 1] in (b" ", b"\t"):
            after += 1
        if data.startswith(b"\r\n", after) or (last and after == len(data)):
            lines.append((position, after + 2, last))
            if last:
                break
            end = after  # the next delimiter may begin with this line's end
        position = data.find(delimiter, end)
    return lines


def _part(data: bytes) -> Part:
    if data.startswith(b"\r\n"):
        return Part(Headers(), data[2:])
    end = data.find(b"\r\n\r\n", 0, MAX_PART_HEADER)
    if end < 0:
        raise ParseError("part without an empty line")
    headers = Headers()
    for line in data[:end].decode("utf-8", "surrogateescape").replace("\r\n ", " ").replace("\r\n\t", " ").split("\r\n"):
        name, colon, value = line.partition(":")
        try:
            if not colon:
                raise ParseError("part header without a colon")
            headers.add(name.rstrip(" \t"), value.strip(" \t"))
        except ValueError:
            raise ParseError("CR, LF or NUL in a part header") from None
    return Part(headers, data[end + 4 :])


def sdp_of(message: Request | Response) -> bytes | None:
    """The session description in the body, alone or as the first such part of a multipart/mixed one. ParseError."""
    text = message.headers.first(CONTENT_TYPE)
    if not message.body or text is None:
        return None
    kind = MediaType.parse(text).name
    if kind == SDP:
        return message.body
    if kind != "multipart/mixed":
        return None
    return next((part.body for part in parts(text, message.body) if part.type == SDP), None)
