"""Octets to `Session` (RFC 8866 s5, s9): lenient about line ends and order, strict about bounds and shapes."""

from __future__ import annotations

from sbc.errors import ParseError
from sbc.sdp.model import Attribute, Connection, Line, Media, Session
from sbc.sdp.text import is_number

# Bounds before cost. A browser with camera and microphone stays below 10 KiB, 150 lines and 100 attributes per m=.
MAX_OCTETS = 64 * 1024  # refused from here on: no SIP message over UDP can carry more
MAX_LINES = 2048
MAX_LINE_OCTETS = 4096  # parameter sets of video codecs come close to 1,000
MAX_MEDIA = 16
MAX_FORMATS = 64
MAX_ATTRIBUTES = 256  # per section
MAX_CANDIDATES = 20  # per m=

_TEXT = bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100)) + b"\t\r\n"
_SESSION_LETTERS = frozenset("iuepbtrzk")
_MEDIA_LETTERS = frozenset("ibk")
_FAMILIES = frozenset(("IP4", "IP6"))

_Section = tuple[Connection | None, tuple[Attribute, ...], tuple[Line, ...], int]


class SdpError(ParseError):
    """The body is not a session description we can read. Never quotes the body: it may hold keys."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, reason="Bad Session Description")


def parse_session(body: bytes) -> Session:
    """Read a description. Raises SdpError.

    Tolerated because devices do it: LF alone as line end, blank lines at the end, t= before c=, no s= or t=.
    A type letter RFC 8866 does not know makes the whole description invalid (s5).
    """
    lines = _lines(body)
    if lines[0] != "v=0" or len(lines) < 2 or not lines[1].startswith("o="):
        raise SdpError("does not start with v=0 and o=")
    origin = lines[1][2:]
    if len(origin.split()) < 6:  # more: blanks in the user name, which do no harm
        raise SdpError("o= line is incomplete")
    at, name = 2, "-"
    if len(lines) > 2 and lines[2].startswith("s="):
        at, name = 3, lines[2][2:]
    connection, attributes, others, at = _section(lines, at, _SESSION_LETTERS)
    media: list[Media] = []
    while at < len(lines):
        if len(media) == MAX_MEDIA:
            raise SdpError(f"more than {MAX_MEDIA} m= lines")
        section = _section(lines, at + 1, _MEDIA_LETTERS)
        media.append(_media(lines[at], section, at))
        at = section[-1]
    if body.count(b"a=candidate:") > MAX_CANDIDATES * max(1, len(media)):
        raise SdpError("too many candidates")
    return Session(origin, name, connection, attributes, others, tuple(media))


def _lines(body: bytes) -> list[str]:
    if len(body) >= MAX_OCTETS:
        raise SdpError(f"{len(body)} octets")
    if body.count(b"\n") > MAX_LINES:
        raise SdpError(f"more than {MAX_LINES} lines")
    if body.translate(None, _TEXT):
        raise SdpError("control characters")
    text = body.decode("utf-8", "surrogateescape").replace("\r\n", "\n").rstrip("\n")
    # A lone CR ends a line for some parsers and not for others: a way to smuggle lines past us.
    if "\r" in text:
        raise SdpError("carriage return inside a line")
    lines = text.split("\n")
    if len(text) > MAX_LINE_OCTETS and max(map(len, lines)) > MAX_LINE_OCTETS:
        raise SdpError(f"line longer than {MAX_LINE_OCTETS} octets")
    return lines


def _section(lines: list[str], start: int, letters: frozenset[str]) -> _Section:
    """The lines from `start` up to the next m= line, and where that is."""
    connection: Connection | None = None
    attributes: list[Attribute] = []
    others: list[Line] = []
    at = start
    for at in range(start, len(lines)):
        line = lines[at]
        prefix = line[:2]
        if prefix == "a=":
            name, colon, value = line[2:].partition(":")
            attributes.append((name, value if colon else None))
        elif prefix == "m=":
            break
        elif prefix == "c=":
            if connection is not None:  # several are for layered multicast only (RFC 8866 s5.7)
                raise SdpError(f"line {at + 1}: second c= in a section")
            connection = _connection(line[2:], at)
        elif prefix[1:] == "=" and prefix[0] in letters:
            others.append((prefix[0], line[2:]))
        else:
            raise SdpError(f"line {at + 1}: not allowed here")
    else:
        at = len(lines)
    if len(attributes) > MAX_ATTRIBUTES:
        raise SdpError(f"more than {MAX_ATTRIBUTES} attributes in a section")
    return connection, tuple(attributes), tuple(others), at


def _connection(value: str, at: int) -> Connection:
    fields = value.split()
    if len(fields) != 3 or fields[0] != "IN" or fields[1] not in _FAMILIES:
        raise SdpError(f"line {at + 1}: not a c= line we know")
    return Connection(fields[1], fields[2])


def _media(line: str, section: _Section, at: int) -> Media:
    fields = line[2:].split()
    if len(fields) < 4:
        raise SdpError(f"line {at + 1}: m= line is incomplete")
    if len(fields) - 3 > MAX_FORMATS:
        raise SdpError(f"line {at + 1}: more than {MAX_FORMATS} formats")
    kind, port, protocol = fields[:3]
    port, slash, count = port.partition("/")
    connection, attributes, others, _ = section
    return Media(
        kind,
        _number(port, at),
        protocol,
        tuple(fields[3:]),
        connection,
        attributes,
        others,
        _number(count, at) if slash else 1,
    )


def _number(text: str, at: int) -> int:
    if not is_number(text, 5) or int(text) > 0xFFFF:
        raise SdpError(f"line {at + 1}: not a port number")
    return int(text)
