"""All that the core can ask for. One executor (sbc.net.engine) carries them out, in order."""

from __future__ import annotations

import json
from dataclasses import field
from typing import Final, Literal, Protocol

from media.api import Digit, Side, SideSpec
from sbc import native
from sbc.flow import Flow
from sbc.frozen import frozen
from sbc.identity.signature import ToSign
from sbc.identity.verdict import Claimed
from sbc.shield.bans import Proof
from sbc.shield.offences import Offence
from sbc.sip.locate import Wanted

Level = Literal["debug", "info", "warning", "error"]


@frozen
class Send:
    """Octets for the wire. `key` comes back in `SendFailed`; empty: nobody waits for it."""

    data: bytes
    flow: Flow
    key: str = ""
    server_name: str = ""  # the domain a TLS peer's certificate must carry, when a connection is opened for this


@frozen
class CloseFlow:
    flow: Flow


@frozen
class TrustFlow:
    """Whoever is at the other end of this connection has proved who it is, or is helped: it need not be watched like a stranger's.

    `alias`: the port of the peer that it may stand for when we have requests for it (RFC 5923); 0: none.
    """

    flow: Flow
    alias: int = 0


@frozen
class KeepAlive:
    """Ping by that connection (RFC 5626 s4.4.1). `within`: seconds a pong may take, or the connection is closed; 0: none is expected."""

    flow: Flow
    within: float


@frozen
class Resolve:
    """Ask DNS for all that is needed to find `wanted`, as the realm sees it."""

    question: str
    realm: str
    wanted: Wanted


@frozen
class Verify:
    """Who stands for the caller? Certificates that have not come after `patience` seconds are not waited for."""

    question: str
    asked: Claimed
    patience: float


@frozen
class Sign:
    """Stand for the caller. Whoever does it has a time of its own, after which the call goes unsigned."""

    question: str
    asked: ToSign


@frozen
class OpenRelay:
    relay: str
    realm_a: str
    realm_b: str


@frozen
class UpdateRelay:
    relay: str
    a: SideSpec
    b: SideSpec


@frozen
class SendDigit:
    """To the peer of that side, as a telephone-event."""

    relay: str
    side: Side
    digit: Digit


@frozen
class CloseRelay:
    relay: str


# Made once: making it costs as much as using it.
_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), default=str).encode
_write_usual = native.json_writer()


def line_of(value: dict[str, object]) -> bytes:
    """A line of JSON."""
    line = None if _write_usual is None else _write_usual(value)
    return _encode(value).encode() + b"\n" if line is None else line


class WriteRecord:
    """One call attempt, ready for JSON: text, numbers, None and nested dictionaries of them."""

    __match_args__: Final = ("record",)
    __slots__ = ("_line", "record")

    def __init__(self, record: dict[str, object]) -> None:
        self.record = record
        self._line = b""

    def line(self) -> bytes:
        """As it stands in a file: made once, for more than one of them want it."""
        if not self._line:
            self._line = line_of(self.record)
        return self._line

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WriteRecord) and self.record == other.record


@frozen
class StoreBindings:
    """Keep what is registered for `account`, in words that only the core reads; what was kept of it before goes."""

    account: str
    bindings: str


@frozen
class ForgetBindings:
    account: str


class Recorded(Protocol):
    """A call to be kept: when it began (UTC, to be sorted by), its identifier, and the policies it ran under, by digest."""

    def began(self) -> str: ...

    def call(self) -> str: ...

    def encode(self) -> bytes: ...

    def policy(self, digest: str) -> bytes: ...

    def digests(self) -> tuple[str, ...]: ...


@frozen
class KeepRecording:
    recording: Recorded


@frozen
class Log:
    level: Level
    event: str
    facts: dict[str, object] = field(default_factory=dict)


@frozen
class Offended:
    """Somebody at the other end of `flow` did what the shield counts. `proof`: what shows that it is there; None: it may be anybody."""

    flow: Flow
    offence: Offence
    proof: Proof | None
    note: str = ""


@frozen
class Vouch:
    """Somebody at the other end of `flow` has proved who it is: its address is not a stranger's."""

    flow: Flow


Effect = (
    Send
    | CloseFlow
    | TrustFlow
    | KeepAlive
    | Resolve
    | Verify
    | Sign
    | OpenRelay
    | UpdateRelay
    | SendDigit
    | CloseRelay
    | WriteRecord
    | StoreBindings
    | ForgetBindings
    | KeepRecording
    | Log
    | Offended
    | Vouch
)
