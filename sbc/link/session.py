"""SIP between two ends across connections that come and go: octets that were not heard of are said again by the next one. Pure."""

from __future__ import annotations

from collections import deque

from sbc.link.frames import LinkError
from sbc.sip.framing import Frame, StreamFramer

UNHEARD = 1024 * 1024  # octets kept until the other end has them: 1,000 messages, far more than calls of half a minute make
TELL_EVERY = 32 * 1024  # octets received until the other end is told


class Session:
    """`boot` of the other end names the process that it is with: another one has other calls."""

    def __init__(self, boot: bytes) -> None:
        self.boot = boot
        self.received = 0
        self._told = 0
        self._base = 0  # position of the first octet in `_unheard`
        self._unheard = bytearray()
        self._keys: deque[tuple[int, str]] = deque()  # where each message with a key ends
        self._framer = StreamFramer()

    def write(self, data: bytes, key: str) -> bool:
        """To be sent once there is a connection, and kept. False: too much is kept already."""
        if len(self._unheard) + len(data) > UNHEARD:
            return False
        self._unheard += data
        if key:
            self._keys.append((self._base + len(self._unheard), key))
        return True

    def heard(self, count: int) -> None:
        """The other end has so many octets. Raises LinkError."""
        if not self._base <= count <= self._base + len(self._unheard):
            raise LinkError("has heard what was never said")
        del self._unheard[: count - self._base]
        self._base = count
        while self._keys and self._keys[0][0] <= count:
            self._keys.popleft()

    def resume(self, count: int) -> bytes:
        """The other end has so many octets: what it has to be told on the new connection. Raises LinkError."""
        self.heard(count)
        return bytes(self._unheard)

    def receive(self, data: bytes) -> list[Frame]:
        """Messages that became whole. Raises FramingLost."""
        self.received += len(data)
        return self._framer.feed(data)

    def shall_tell(self) -> bool:
        """Whether it is time to say how much has come; asked once that is being said."""
        return self.received - self._told >= TELL_EVERY

    def told(self) -> None:
        self._told = self.received

    def lost(self) -> list[str]:
        """Keys of all that may never have arrived: the session is over."""
        return [key for _, key in self._keys]
