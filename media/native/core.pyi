"""The compiled part; module.c has the words."""

from typing import TypeAlias

_Address: TypeAlias = tuple[str, int]
_Keys: TypeAlias = tuple[tuple[int, bytes, bytes, int], ...]
_Spec: TypeAlias = tuple[
    _Address | None,
    _Address | None,
    bool,
    tuple[str, ...],
    _Keys,
    _Keys,
    _Keys,
    _Keys,
    dict[int, int],
    dict[int, int],
    bool,
    float | None,
    bool,
    bool,
    tuple[str, str] | None,
    dict[int, int],
    tuple[int, ...],
    tuple[int, int] | None,
    int,
    bool,
    int,
    int,
]
_Stats: TypeAlias = tuple[
    int,
    int,
    int,
    int,
    int,
    int,
    int,
    float,
    int,
    int,
    int,
    int,
    int,
    int,
    int,
    _Address | None,
    int,
    int,
    int,
    int,
    float | None,
    int | None,
    float | None,
    int,
    _Address | None,
]

class Engine:
    def __new__(cls, workers: int, sweep_every: float, clock: float) -> Engine: ...
    def fileno(self) -> int: ...
    def set_clock(self, seconds: float, /) -> None: ...
    def use(self, tier: object, /) -> None: ...
    def bind(self, host: str, port: int, /) -> int: ...
    def unbind(self, pair: int, /) -> None: ...
    def open(self, a: int, b: int, /) -> int: ...
    def update(self, handle: int, a: _Spec, b: _Spec, /) -> None: ...
    def stats(self, handle: int, /) -> tuple[_Stats, _Stats]: ...
    def close(self, handle: int, /) -> tuple[_Stats, _Stats]: ...
    def take_handshake(self, handle: int, b: bool, /) -> list[tuple[bool, bytes, _Address]]: ...
    def send(self, handle: int, b: bool, rtcp: bool, octets: bytes, destination: _Address, /) -> None: ...
    def take_digits(self, handle: int, b: bool, /) -> list[tuple[int, int]]: ...
    def add_digit(self, handle: int, b: bool, event: int, duration: int, /) -> None: ...
    def type(self, handle: int, b: bool, /) -> float | None: ...
    def take_events(self) -> list[tuple[int, int, int]]: ...
    def stop(self) -> None: ...

class Context:
    def __new__(cls, suite: int, master: bytes, mki: bytes, sending: bool, /) -> Context: ...
    def protect(self, packet: bytes, /) -> bytes | int: ...
    def unprotect(self, packet: bytes, /) -> bytes | int: ...
    def protect_rtcp(self, packet: bytes, /) -> bytes | int: ...
    def unprotect_rtcp(self, packet: bytes, /) -> bytes | int: ...
