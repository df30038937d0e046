"""Messages out of a stream (RFC 3261 s18.3, RFC 5626 s4.4.1)."""

from __future__ import annotations

import re
from typing import NamedTuple

from sbc.errors import ParseError
from sbc.sip.grammar import parse_number
from sbc.sip.parse import HIGHEST_CONTENT_LENGTH, MAX_HEAD, MAX_MESSAGE, Malformed
from sbc.sip.salvage import salvage

_find_lengths = re.compile(rb"\r\n(?i:content-length|l)[ \t]*+:([^\r\n]*+)").findall


class Message(NamedTuple):
    """One message, still in octets, as `parse_message` takes it."""

    head: bytes
    body: bytes


class Ping:
    """CRLF CRLF between messages: to be answered with one CRLF."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ping)

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "Ping()"


Frame = Message | Ping


class FramingLost(Malformed):
    """Where the next message begins cannot be known: answer `request` if there is one, then close.

    `frames` are those that were whole before.
    """

    def __init__(self, error: ParseError, head: bytes, frames: list[Frame]) -> None:
        super().__init__(str(error), status=error.status, request=salvage(head[:MAX_HEAD]))
        self.frames = frames


class StreamFramer:
    """Cuts one direction of a connection into messages. Holds one message of at most 256 KiB and what came after it.

    Octets are looked at once, however small the pieces they come in.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0  # no end of the head before this position
        self._head_size = 0  # of the message whose body is awaited, empty line included; 0 between messages
        self._size = 0  # of that whole message
        self._lost = False

    @property
    def buffered(self) -> int:
        """Octets that wait for the rest of their message."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Frame]:
        """What became whole with `data`, in order. FramingLost, and from then on the stream is of no use."""
        if self._lost:
            raise FramingLost(ParseError("framing was lost before"), b"", [])
        self._buffer += data
        frames: list[Frame] = []
        while True:
            if not self._head_size:
                self._skip_line_ends(frames)
                try:
                    if not self._find_head():
                        return frames
                except ParseError as error:
                    head = bytes(self._buffer[: self._searched])
                    self._lost = True
                    self._buffer.clear()
                    raise FramingLost(error, head, frames) from error
            if len(self._buffer) < self._size:
                return frames
            message = bytes(self._buffer[: self._size])
            frames.append(Message(message[: self._head_size - 4], message[self._head_size :]))
            del self._buffer[: self._size]
            self._searched = self._head_size = 0

    def _skip_line_ends(self, frames: list[Frame]) -> None:
        """Line ends before a start line are no error (RFC 3261 s7.5), two together are a ping. Many pings at once count as one."""
        buffer = self._buffer
        end = 0
        while buffer.startswith(b"\r\n\r\n", end):
            end += 4
        if end and (not frames or not isinstance(frames[-1], Ping)):
            frames.append(Ping())
        if buffer.startswith(b"\r\n", end) and len(buffer) > end + 2 and buffer[end + 2] != 0x0D:
            end += 2
        if end:
            del buffer[:end]

    def _find_head(self) -> bool:
        """True when the head of the next message is whole. ParseError when it is too long or does not say how long the body is."""
        buffer = self._buffer
        end = buffer.find(b"\r\n\r\n", self._searched, MAX_HEAD + 4)
        if end < 0:
            if len(buffer) > MAX_HEAD + 4:
                self._searched = MAX_HEAD
                raise ParseError("header too long", status=513)
            self._searched = max(0, len(buffer) - 3)
            return False
        self._searched = end
        size = end + 4 + _content_length(_content_lengths(bytes(buffer[:end])))
        if size > MAX_MESSAGE:
            raise ParseError("message too long", status=513)
        self._head_size = end + 4
        self._size = size
        return True


def whole_message(data: bytes) -> Message:
    """The one message of a WebSocket message (RFC 7118 s4.2). FramingLost when it is none, or more than one.

    It needs no Content-Length there (s5.4); what we hand on has one, as on any stream.
    """
    data = data.lstrip(b"\r\n")
    end = data.find(b"\r\n\r\n", 0, MAX_HEAD + 4)
    head, body = (data[:end], data[end + 4 :]) if end >= 0 else (data, b"")
    try:
        if end < 0:
            raise ParseError("no end of the header", status=513 if len(data) > MAX_HEAD else 400)
        lengths = _content_lengths(head)
        if not lengths:
            return Message(b"%s\r\nContent-Length: %d" % (head, len(body)), body)
        if _content_length(lengths) != len(body):
            raise ParseError("Content-Length is not that of the body")
    except ParseError as error:
        raise FramingLost(error, head, []) from error
    return Message(head, body)


def _content_lengths(head: bytes) -> set[bytes]:
    if b"\r\n " in head or b"\r\n\t" in head:
        head = head.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ")
    return {value.strip(b" \t") for value in _find_lengths(head)}


def _content_length(lengths: set[bytes]) -> int:
    if len(lengths) != 1:
        raise ParseError("no Content-Length on a stream" if not lengths else "two different values of Content-Length")
    return parse_number(lengths.pop().decode("latin-1"), HIGHEST_CONTENT_LENGTH)
