"""SIP over WebSocket, the server's side (RFC 7118, RFC 6455).

The protocol itself is the sans-IO half of `websockets`; what is ours are the limits, and what SIP wants of it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Origin, Subprotocol

from sbc.sip import framing
from sbc.sip.framing import FramingLost, Ping, whole_message
from sbc.sip.parse import MAX_MESSAGE, is_keepalive

SUBPROTOCOL = Subprotocol("sip")
MAX_HANDSHAKE = 16 * 1024  # octets; browsers add the cookies of the site (nginx and h11 take as much by default)
MAX_FRAGMENTS = 64  # of one message; browsers send one, and 256 KiB in pieces of an octet would be 262,144 frames

_DATA = (Opcode.TEXT, Opcode.BINARY)
_SILENT = logging.Logger("websockets", logging.CRITICAL + 1)  # what strangers send is counted, not logged


class WebSocket:
    """See sbc.net.framing.Framing. `origins`: of pages that may connect (RFC 6455 s10.2); who is no browser sends none and may.

    The subprotocol "sip" is required (RFC 7118 s4.1). No extension is accepted: deflate would let a few octets unpack to many.
    """

    def __init__(self, origins: Sequence[str] = ()) -> None:
        self.ready = False
        self._protocol = ServerProtocol(
            origins=[*map(Origin, origins), None], subprotocols=[SUBPROTOCOL], max_size=MAX_MESSAGE, logger=_SILENT
        )
        self._handshake = bytearray()
        self._failed = False  # … by us
        self._fragments: list[bytes] = []
        self._text = False  # the message being received
        self._speaks_text = False  # the last one: we answer in kind
        self._close_code = CloseCode.NORMAL_CLOSURE

    @property
    def ended(self) -> bool:
        return self._failed or self._protocol.eof_sent

    @property
    def buffered(self) -> int:
        return len(self._handshake) + len(self._protocol.reader.buffer) + sum(map(len, self._fragments))

    def feed(self, data: bytes) -> list[framing.Frame]:
        if not self.ready:
            data = self._receive_handshake(data)
        if self.ended or not data:
            return []
        self._protocol.receive_data(data)
        frames: list[framing.Frame] = []
        try:
            for event in self._protocol.events_received():
                if isinstance(event, Frame):
                    self._receive_frame(event, frames)
                if self._failed:
                    break
        except FramingLost as error:
            self._close_code = CloseCode.UNSUPPORTED_DATA  # of the farewell, once it is answered
            error.frames[:0] = frames
            raise
        return frames

    def take_replies(self) -> bytes:
        return b"".join(self._protocol.data_to_send())

    def wrap(self, message: bytes) -> bytes:
        """Nothing once the closing handshake has begun."""
        if self._protocol.state is not State.OPEN:
            return b""
        if self._speaks_text and _is_utf8(message):
            self._protocol.send_text(message)
        else:
            self._protocol.send_binary(message)
        return self.take_replies()

    def farewell(self) -> bytes:
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(self._close_code)
        return self.take_replies()

    def _receive_handshake(self, data: bytes) -> bytes:
        """What comes behind it. Until it is answered, the protocol is not shown anything else: it would answer that first."""
        self._handshake += data
        head, end, rest = self._handshake.partition(b"\r\n\r\n")
        if len(head) > MAX_HANDSHAKE:
            self._failed = True
        elif end:
            self._handshake.clear()
            self._protocol.receive_data(bytes(head + end))
            for event in self._protocol.events_received():
                if isinstance(event, Request):
                    self._shake_hands(event)
            return bytes(rest)
        return b""

    def _shake_hands(self, request: Request) -> None:
        response = self._protocol.accept(request)
        if response.status_code == 426:
            response.headers["Sec-WebSocket-Version"] = "13"  # RFC 6455 s4.4
        self._protocol.send_response(response)
        self.ready = response.status_code == 101

    def _receive_frame(self, frame: Frame, frames: list[framing.Frame]) -> None:
        if frame.opcode in _DATA:
            self._text = frame.opcode is Opcode.TEXT
        elif frame.opcode is not Opcode.CONT:
            return  # pings are answered, and the closing handshake is done, by the protocol
        self._fragments.append(bytes(frame.data))
        if len(self._fragments) > MAX_FRAGMENTS:
            self._fail(CloseCode.MESSAGE_TOO_BIG)
        elif frame.fin:
            message = b"".join(self._fragments)
            self._fragments.clear()
            self._receive_message(message, frames)

    def _receive_message(self, message: bytes, frames: list[framing.Frame]) -> None:
        if self._text and not _is_utf8(message):
            self._fail(CloseCode.INVALID_DATA)  # RFC 6455 s8.1
            return
        self._speaks_text = self._text
        if not is_keepalive(message):
            frames.append(whole_message(message))
        elif message.startswith(b"\r\n\r\n") and not (frames and isinstance(frames[-1], Ping)):
            frames.append(Ping())  # RFC 7118 s6

    def _fail(self, code: CloseCode) -> None:
        self._failed = True
        self._fragments.clear()
        if not self._protocol.eof_sent:  # what came before its Close frame may be at fault all the same
            self._protocol.fail(code)


def _is_utf8(message: bytes) -> bool:
    try:
        message.decode()
    except UnicodeDecodeError:
        return False
    return True
