"""SRTP and SRTCP of one direction by the compiled contexts, for who has single packets: as media.keys, with every suite."""

from __future__ import annotations

from collections.abc import Callable

from media.api import Keys, Suite
from media.keys import AuthenticationFailed, Refused, Replayed, Unusable
from media.native.core import Context

# As the compiled core numbers them.
NUMBERS = {suite: number for number, suite in enumerate(Suite)}
SUITES = frozenset(Suite)

_VERDICTS: dict[int, type[Refused]] = {1: AuthenticationFailed, 2: Replayed, 3: Unusable}


class Inbound:
    """Takes protection off."""

    __slots__ = ("_context",)

    def __init__(self, keys: Keys) -> None:
        self._context = Context(NUMBERS[keys.suite], keys.master, keys.mki, False)

    def rtp(self, packet: bytes) -> bytes:
        """Plain RTP of an SRTP packet. Raises Refused."""
        return _accepted(self._context.unprotect, packet)

    def rtcp(self, packet: bytes) -> bytes:
        """Plain RTCP of an SRTCP packet. Raises Refused."""
        return _accepted(self._context.unprotect_rtcp, packet)


class Outbound:
    """Puts protection on."""

    __slots__ = ("_context",)

    def __init__(self, keys: Keys) -> None:
        self._context = Context(NUMBERS[keys.suite], keys.master, keys.mki, True)

    def rtp(self, packet: bytes) -> bytes:
        """SRTP of an RTP packet. Raises Refused."""
        return _accepted(self._context.protect, packet)

    def rtcp(self, packet: bytes) -> bytes:
        """SRTCP of an RTCP packet. Raises Refused."""
        return _accepted(self._context.protect_rtcp, packet)


def _accepted(run: Callable[[bytes], bytes | int], packet: bytes) -> bytes:
    result = run(packet)
    if isinstance(result, int):
        raise _VERDICTS[result]
    return result
