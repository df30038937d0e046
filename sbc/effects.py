"""All that the core can ask for. One executor (sbc.net.engine) carries them out, in order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from media.api import SideSpec
from sbc.flow import Flow

Level = Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Send:
    """Octets for the wire. `key` comes back in `SendFailed`; empty: nobody waits for it."""

    data: bytes
    flow: Flow
    key: str = ""
    server_name: str = ""  # the domain a TLS peer's certificate must carry, when a connection is opened for this


@dataclass(frozen=True, slots=True)
class CloseFlow:
    flow: Flow


@dataclass(frozen=True, slots=True)
class Resolve:
    question: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class OpenRelay:
    relay: str
    realm_a: str
    realm_b: str


@dataclass(frozen=True, slots=True)
class UpdateRelay:
    relay: str
    a: SideSpec
    b: SideSpec


@dataclass(frozen=True, slots=True)
class CloseRelay:
    relay: str


@dataclass(frozen=True, slots=True)
class WriteRecord:
    """One call attempt, ready for JSON: text, numbers, None and nested dictionaries of them."""

    record: dict[str, object]


@dataclass(frozen=True, slots=True)
class Log:
    level: Level
    event: str
    facts: dict[str, object] = field(default_factory=dict)


Effect = Send | CloseFlow | Resolve | OpenRelay | UpdateRelay | CloseRelay | WriteRecord | Log
