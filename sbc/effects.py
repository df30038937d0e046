"""All that the core can ask for. One executor (sbc.net.engine) carries them out, in order."""

from __future__ import annotations

from dataclasses import field
from typing import Literal, Protocol

from media.api import SideSpec
from sbc.flow import Flow
from sbc.frozen import frozen

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
class Resolve:
    question: str
    host: str
    port: int


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
class CloseRelay:
    relay: str


@frozen
class WriteRecord:
    """One call attempt, ready for JSON: text, numbers, None and nested dictionaries of them."""

    record: dict[str, object]


class Recorded(Protocol):
    """A call as a file: `name` without folder, and beside it a file for each policy it ran under, by digest."""

    name: str

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


Effect = Send | CloseFlow | Resolve | OpenRelay | UpdateRelay | CloseRelay | WriteRecord | KeepRecording | Log
