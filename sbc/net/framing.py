"""How SIP messages lie in the octets of a connection: one behind the other, or each in a WebSocket message (sbc.net.websocket)."""

from __future__ import annotations

from typing import Protocol

from sbc.sip.framing import Frame, StreamFramer


class Framing(Protocol):
    """Of one connection.

    ready     messages may come: there is no handshake, or it is over
    ended     nothing more will come, and nothing may be sent
    buffered  octets that wait for the rest of their message
    """

    @property
    def ready(self) -> bool: ...

    @property
    def ended(self) -> bool: ...

    @property
    def buffered(self) -> int: ...

    def feed(self, data: bytes) -> list[Frame]:
        """What became whole with `data`. FramingLost: the connection is of no use any more."""
        ...

    def take_replies(self) -> bytes:
        """What the framing itself has to say after `feed`; to be written before any message."""
        ...

    def wrap(self, message: bytes) -> bytes:
        """A message, or a pong, as it goes on the wire."""
        ...

    def farewell(self) -> bytes:
        """The last octets before the connection closes."""
        ...


class PlainFraming:
    """TCP and TLS: Content-Length says where a message ends (RFC 3261 s18.3)."""

    ready = True
    ended = False

    def __init__(self) -> None:
        self._framer = StreamFramer()
        self.feed = self._framer.feed

    @property
    def buffered(self) -> int:
        return self._framer.buffered

    def take_replies(self) -> bytes:
        return b""

    def wrap(self, message: bytes) -> bytes:
        return message

    def farewell(self) -> bytes:
        return b""
