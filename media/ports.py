"""The port pool of one interface: random, and slow to give a port to the next call."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from media.api import Interface, MediaError, PortsExhausted

# Peers go on sending for a while after a call ended; their packets must not meet the next call.
QUARANTINE = 30.0

# Under pressure a port comes back earlier, but never before the packets that were on the way have arrived.
LEAST_QUARANTINE = 2.0

_NUMBERS = 256  # drawn at once, for one system call


class Choice:
    """Random numbers nobody can guess: `Choice(os.urandom)(n)` is below `n`, which must be below 2**16."""

    __slots__ = ("_numbers", "_octets")

    def __init__(self, octets: Callable[[int], bytes]) -> None:
        self._octets = octets
        self._numbers: list[int] = []

    def __call__(self, below: int) -> int:
        if not self._numbers:
            drawn = self._octets(4 * _NUMBERS)
            self._numbers = [int.from_bytes(drawn[at : at + 4], "big") for at in range(0, len(drawn), 4)]
        # Uneven by less than 2**16 / 2**32: far from anything a guesser could use.
        return self._numbers.pop() * below >> 32


class PortPool:
    """Even RTP ports whose RTCP neighbour lies in the range as well. `choose(n)` gives a random number below `n`."""

    __slots__ = ("_choose", "_clean", "_resting", "interface")

    def __init__(self, interface: Interface, choose: Callable[[int], int]) -> None:
        first = interface.first_port + interface.first_port % 2
        if not 0 < first < interface.last_port <= 65535:
            raise MediaError(f"{interface.address}: no RTP port between {interface.first_port} and {interface.last_port}")
        self.interface = interface
        self._choose = choose
        self._clean = list(range(first, interface.last_port, 2))
        self._resting: deque[tuple[float, int]] = deque()  # oldest first

    def take(self, now: float) -> int:
        """A port that nobody uses, at monotonic time `now`. Raises PortsExhausted."""
        clean, resting = self._clean, self._resting
        while resting and now - resting[0][0] >= QUARANTINE:
            clean.append(resting.popleft()[1])
        if clean:
            place = self._choose(len(clean))
            clean[place], clean[-1] = clean[-1], clean[place]
            return clean.pop()
        if resting and now - resting[0][0] >= LEAST_QUARANTINE:
            return resting.popleft()[1]
        raise PortsExhausted(f"{self.interface.address}: every RTP port is in use")

    def release(self, port: int, now: float) -> None:
        """The relay is done with `port`, or another process has it: not to be given out for a while."""
        self._resting.append((now, port))

    def give_back(self, port: int) -> None:
        """`port` was taken but never used."""
        self._clean.append(port)
