"""All that can happen to the core."""

from __future__ import annotations

from dataclasses import dataclass

from media.api import MediaEvent, RelayPorts, RelayStats
from sbc.errors import SipError
from sbc.flow import Address, Flow
from sbc.policy.snapshot import Snapshot
from sbc.sip.message import Request, Response


@dataclass(frozen=True, slots=True)
class RequestIn:
    request: Request
    flow: Flow


@dataclass(frozen=True, slots=True)
class ResponseIn:
    response: Response
    flow: Flow


@dataclass(frozen=True, slots=True)
class MalformedIn:
    """Octets that did not parse. `request` is what could be read of it, if enough to route an answer."""

    error: SipError
    request: Request | None
    flow: Flow


@dataclass(frozen=True, slots=True)
class FlowClosed:
    """A connection is gone, by either side or by fault."""

    flow: Flow


@dataclass(frozen=True, slots=True)
class SendFailed:
    """A `Send` with that `key` could not be carried out: refused, unreachable, TLS failure (RFC 3261 s18.4)."""

    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class Resolved:
    """The addresses behind a host name, best first; empty: none, or not in time."""

    question: str
    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class RelayOpened:
    relay: str
    ports: RelayPorts


@dataclass(frozen=True, slots=True)
class RelayFailed:
    relay: str
    reason: str
    temporary: bool


@dataclass(frozen=True, slots=True)
class RelayClosed:
    relay: str
    stats: RelayStats


@dataclass(frozen=True, slots=True)
class MediaHappened:
    event: MediaEvent


@dataclass(frozen=True, slots=True)
class PolicyChanged:
    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class DrainBegun:
    """No new calls from now on; those in progress go on."""


@dataclass(frozen=True, slots=True)
class DrainEnded:
    """Release every call still in progress."""


Input = (
    RequestIn
    | ResponseIn
    | MalformedIn
    | FlowClosed
    | SendFailed
    | Resolved
    | RelayOpened
    | RelayFailed
    | RelayClosed
    | MediaHappened
    | PolicyChanged
    | DrainBegun
    | DrainEnded
)
