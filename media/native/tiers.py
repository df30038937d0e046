"""How packets reach the compiled engine at each interface: sockets, or XDP where that is wanted and can be had (media/native/xdp)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from media.api import Interface, Packets, Tier
from media.native import core

if TYPE_CHECKING:
    from media.native.xdp import tier

SOCKETS = "native/sockets"
AVAILABLE = ("native/xdp", SOCKETS) if find_spec("media.native.xdp.tier") else (SOCKETS,)
NOT_BUILT = "XDP was not built: `make` does it with clang, libbpf-dev and libxdp-dev"


@dataclass(frozen=True, slots=True)
class Express:
    """How XDP is used where it is wanted.

    forwards       plain RTP is sent on by the kernel; else all comes by AF_XDP
    native_pairs   virtual Ethernet by its driver as well: quicker, but in silence it drops what it sends if nothing at the far end takes it
    """

    forwards: bool = True
    native_pairs: bool = False


DEFAULT = Express()


class Tiers:
    """The tier beside the sockets, loaded when an interface first wants it."""

    def __init__(self, engine: core.Engine, workers: int, express: Express) -> None:
        self._engine = engine
        self._workers = workers
        self._express = express
        self._xdp: tier.Tier | None = None
        self._attached: dict[str, Tier] = {}  # by address

    def provide(self, interfaces: Mapping[str, Interface]) -> dict[str, Tier]:
        """How the packets of each interface go from now on. Those of relays that are open go on either way."""
        wanted = {each.address for each in interfaces.values() if each.packets == Packets.XDP}
        found = {address: self._attached.get(address) or self._try(address) for address in sorted(wanted)}
        for address in self._attached.keys() - wanted:  # last: an interface that is used again need not be left
            self._leave(address)
        return {name: found.get(each.address, Tier(SOCKETS)) for name, each in interfaces.items()}

    def flows(self) -> tuple[int, int, int]:
        """Directions of relays that the kernel forwards, that come by AF_XDP, and of these those that still wait for it."""
        return self._xdp.flows() if self._xdp is not None else (0, 0, 0)

    def close(self) -> None:
        """Once the engine has stopped."""
        self._attached.clear()
        if self._xdp is not None:
            self._xdp.close()
            self._xdp = None

    def _leave(self, address: str) -> None:
        del self._attached[address]
        if self._xdp is not None:
            self._xdp.detach(address)

    def _try(self, address: str) -> Tier:
        try:
            if self._xdp is None:
                self._xdp = _loaded(self._workers, self._express.forwards)
                self._engine.use(self._xdp.capsule())
            made = self._attached[address] = _described(self._xdp.attach(address, self._express.native_pairs))
        except (ImportError, OSError, ValueError) as error:
            return _failed(error)
        return made


def probe(interfaces: Mapping[str, Interface]) -> dict[str, Tier]:
    """What `provide` of an engine would say, without an engine, and without taking anything."""
    xdp: tier.Tier | None = None
    found = {}
    for name, interface in interfaces.items():
        found[name] = Tier(SOCKETS)
        if interface.packets == Packets.XDP:
            try:
                xdp = xdp or _loaded(1, True)
                found[name] = _described(xdp.probe(interface.address))
            except (ImportError, OSError, ValueError) as error:
                found[name] = _failed(error)
    if xdp is not None:
        xdp.close()
    return found


def _loaded(workers: int, forwards: bool) -> tier.Tier:
    """Raises ImportError, OSError."""
    from media.native.xdp import tier

    return tier.Tier(workers, forwards)


def _described(attachment: tuple[str, bool, int, str]) -> Tier:
    interface, native, queues, problem = attachment
    mode = "native" if native else "generic"
    name = f"native/xdp at {interface}, {mode}, {queues} {'queue' if queues == 1 else 'queues'}"
    return Tier(name, f"{problem}; SRTP goes through sockets" if problem else "")


def _failed(error: Exception) -> Tier:
    problem = NOT_BUILT if isinstance(error, ModuleNotFoundError) else str(error.args[-1] if isinstance(error, OSError) else error)
    return Tier(SOCKETS, f"{problem}; packets go through sockets")
