"""The engine in C with the network and the clock in the test's hands, as FakeEngine has them."""

from __future__ import annotations

import ctypes
import socket
import struct
from functools import cache
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_loader
from typing import Any

from media.api import KEYPAD, Address, Digit, EventKind, MediaError, RelayStats, Side, SideSpec, SideStats
from media.native.engine import _EVENTS, _INTRUSION, _SIDES, _told
from tests.fuzz.native.build import driven_core

Sent = tuple[Side, bool, bytes, Address]

HOSTS = {Side.A: "127.0.0.2", Side.B: "::1"}
PORT = 44000

_SOCKADDR = 28  # octets of a sockaddr_in6


@cache
def _library() -> tuple[Any, Any]:
    """The module, and what it exports beside."""
    path = str(driven_core())
    loader = ExtensionFileLoader("media.native.core", path)
    spec = spec_from_loader("media.native.core", loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    library = ctypes.PyDLL(path)
    library.drive_receive.argtypes = [ctypes.c_uint64, ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32, ctypes.c_char_p]
    library.drive_watch.argtypes = [ctypes.c_uint64]
    library.drive_listen.argtypes = [ctypes.c_uint64]
    return module, library


@cache
def _engine() -> Any:
    return _library()[0].Engine(1, 60.0, 0.0)


class DrivenRelay:
    """One relay, A over IPv4 and B over IPv6. Its packets come by `receive`, which tells what left."""

    def __init__(self, now: float) -> None:
        self._core, self._drive = _engine(), _library()[1]
        self._core.set_clock(now)
        self._typing: dict[Side, None] = {}
        self._handle = self._core.open(*(self._core.bind(HOSTS[side], PORT) for side in Side))

    def update(self, a: SideSpec, b: SideSpec) -> None:
        try:
            self._core.update(self._handle, _told(a), _told(b))
        except (ValueError, OverflowError, OSError) as error:
            raise MediaError(str(error)) from None

    def receive(self, side: Side, packet: bytes, source: Address, *, rtcp: bool) -> list[Sent]:
        count = self._drive.drive_receive(self._handle, _SIDES.index(side), rtcp, packet, len(packet), sockaddr(source))
        return [self._sent(number) for number in range(count)]

    def advance_to(self, now: float) -> list[Sent]:
        self._core.set_clock(now)
        typed = self.type()
        return typed + [self._sent(number) for number in range(self._drive.drive_watch(self._handle))]

    def send_digit(self, side: Side, digit: Digit) -> list[Sent]:
        self._core.add_digit(self._handle, side is Side.B, KEYPAD.index(digit.key), digit.duration)
        self._typing[side] = None
        return self.type()

    def type(self) -> list[Sent]:
        self._drive.drive_listen(self._handle)
        self._typing = dict.fromkeys(side for side in self._typing if self._core.type(self._handle, side is Side.B) is not None)
        return [self._sent(number) for number in range(self._drive.drive_heard())]

    def take_events(self) -> set[tuple[Side, EventKind]]:
        kinds = {**dict(enumerate(_EVENTS)), _INTRUSION: EventKind.INTRUSION}
        return {(_SIDES[side], kinds[event]) for _, side, event in self._core.take_events() if event in kinds}

    def take_digits(self) -> list[tuple[Side, str, int]]:
        return [(side, KEYPAD[event], time) for side in Side for event, time in self._core.take_digits(self._handle, side is Side.B)]

    def stats(self) -> RelayStats:
        a, b = self._core.stats(self._handle)
        return RelayStats(SideStats(*a), SideStats(*b))

    def close(self) -> RelayStats:
        a, b = self._core.close(self._handle)
        return RelayStats(SideStats(*a), SideStats(*b))

    def _sent(self, number: int) -> Sent:
        side, rtcp, packet, to = ctypes.c_int(), ctypes.c_int(), ctypes.c_void_p(), ctypes.c_void_p()
        size = self._drive.drive_sent(number, *(ctypes.byref(each) for each in (side, rtcp, packet, to)))
        return _SIDES[side.value], bool(rtcp.value), ctypes.string_at(packet, size), address(ctypes.string_at(to, _SOCKADDR))


def sockaddr(address: Address) -> bytes:
    host, port = address
    if ":" in host:
        return struct.pack("=H2sI16sI", socket.AF_INET6, port.to_bytes(2, "big"), 0, socket.inet_pton(socket.AF_INET6, host), 0)
    return struct.pack("=H2s4s20x", socket.AF_INET, port.to_bytes(2, "big"), socket.inet_aton(host))


def address(octets: bytes) -> Address:
    family, port = struct.unpack_from("=H2s", octets)
    host = octets[8:24] if family == socket.AF_INET6 else octets[4:8]
    return socket.inet_ntop(family, host), int.from_bytes(port, "big")
