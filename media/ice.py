"""The ICE of one side (RFC 8445; we are the lite agent): where its peer's checks came from, and so where that is and may send from."""

from __future__ import annotations

from media.api import Ice
from media.latch import Latch, SocketAddress
from media.stun import Check, NotACheck, answer, read_check

# Checks answered in a second: a browser sends 20 on each pair of addresses until one is chosen, then one every few seconds.
MOST_CHECKS = 100

# Addresses a peer may send from with ICE: a host has a few, each perhaps as its NATs show it.
MAX_CHECKED = 8

# Without a valid check for that long we have no consent to send (RFC 7675 s5.1). Seconds.
CONSENT = 30.0


class Checks:
    """Of the peer whose place on the RTP port `latch` is.

    ice        the credentials; None: there is no ICE
    sources    where valid checks came from, the latest last
    allowance  how many more are answered in this second
    """

    __slots__ = ("_at", "_consent", "_latch", "allowance", "ice", "sources")

    def __init__(self, latch: Latch) -> None:
        self._latch = latch
        self._at = 0.0
        self._consent = False
        self.ice: Ice | None = None
        self.sources: dict[SocketAddress, None] = {}
        self.allowance = MOST_CHECKS

    def use(self, ice: Ice | None, now: float) -> None:
        """New credentials are a restart: until something new is nominated what was stays in use (RFC 8839 s4.4.1.1.1)."""
        if (ice is None) is not (self.ice is None):
            self._latch.redirect(None, now)
            self.sources.clear()
        if ice != self.ice:
            self._at, self._consent = now, True
        self.ice = ice

    def reply(self, packet: bytes, source: SocketAddress, now: float) -> bytes | None:
        """What to say to a STUN datagram; b"": nothing, it only keeps the way open. None: it is no check of the peer's, or one too many."""
        assert self.ice is not None
        try:
            check = read_check(packet, self.ice)
        except NotACheck:
            return None
        if check is None:
            return b""
        self.allowance -= 1
        if self.allowance < 0:
            return None
        if not check.unknown:
            self._accept(check, source, now)
        return answer(check, (source[0], source[1]), self.ice)

    def ran_out(self, now: float) -> bool:
        """Whether the peer's consent to be sent anything just has: it is nowhere, until it is checked for again."""
        if self.ice is None or not self._consent or now - self._at < CONSENT:
            return False
        self._consent = False
        self.sources.clear()
        self._latch.locked = self._latch.destination = None
        return True

    def _accept(self, check: Check, source: SocketAddress, now: float) -> None:
        self.sources.pop(source, None)
        self.sources[source] = None
        self._at = now
        self._consent = True
        if len(self.sources) > MAX_CHECKED:
            del self.sources[next(iter(self.sources))]
        latch = self._latch
        if check.nominates:
            latch.locked = latch.destination = source
        elif latch.destination is None:
            latch.destination = source  # a pair that works, until one is nominated (RFC 8445 s12.1)
