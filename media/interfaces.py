"""The interfaces of an engine by name, and who gets which of their ports."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping

from media.api import Interface, MediaError, PortsExhausted
from media.ports import PortPool

# Ports of other processes met in one `take` before it gives up: each costs a system call, and is set aside for the next.
MAX_TRIES = 64

# The machine's limits, gone as soon as calls end.
_TEMPORARY = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ENOSPC})


def refusal(error: OSError, what: str) -> MediaError:
    """What the system's `error` about `what` means to who asked for a relay."""
    cause = PortsExhausted if error.errno in _TEMPORARY else MediaError
    return cause(f"{what}: {error.strerror}")


class Interfaces:
    """`clock` is monotonic seconds; `choose(n)` a random number below `n`, for port numbers nobody can guess."""

    def __init__(self, clock: Callable[[], float], choose: Callable[[int], int]) -> None:
        self._clock = clock
        self._choose = choose
        self._named: dict[str, Interface] = {}
        self._pools: dict[Interface, PortPool] = {}

    def provide(self, interfaces: Mapping[str, Interface]) -> None:
        """See MediaEngine. An interface that stays as it is keeps its quarantine."""
        pools = {each: self._pools.get(each) or PortPool(each, self._choose) for each in interfaces.values()}
        self._named, self._pools = dict(interfaces), pools

    def find(self, name: str) -> Interface:
        """Raises MediaError."""
        interface = self._named.get(name)
        if interface is None:
            raise MediaError(f"no interface {name!r}")
        return interface

    def take(self, interface: Interface, bind: Callable[[str, int], None]) -> int:
        """A port of its own, bound by `bind(address, port)`, which raises OSError. Raises PortsExhausted, MediaError."""
        pool = self._pools[interface]
        now = self._clock()
        for _ in range(MAX_TRIES):
            port = pool.take(now)
            try:
                bind(interface.address, port)
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    pool.release(port, now)
                    continue
                pool.give_back(port)
                raise refusal(error, f"{interface.address} port {port}") from error
            return port
        raise PortsExhausted(f"{interface.address}: other processes hold the ports")

    def release(self, interface: Interface, port: int) -> None:
        """The relay is done with `port`. What is provided no more has no pool to go back to."""
        pool = self._pools.get(interface)
        if pool is not None:
            pool.release(port, self._clock())

    def give_back(self, interface: Interface, port: int) -> None:
        """`port` was taken but never used."""
        self._pools[interface].give_back(port)
