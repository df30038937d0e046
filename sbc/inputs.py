"""All that can happen to the core."""

from __future__ import annotations

from dataclasses import field

from media.api import MediaEvent, RelayPorts, RelayStats
from sbc.errors import SipError
from sbc.flow import Flow
from sbc.frozen import frozen
from sbc.identity.signature import Signature
from sbc.identity.verdict import Verdict
from sbc.policy.lasting import Used
from sbc.policy.snapshot import Snapshot
from sbc.sip.locate import Answers
from sbc.sip.message import Request, Response


@frozen
class RequestIn:
    """`octets`: as they came from the wire, for recordings; empty: not kept."""

    request: Request
    flow: Flow
    octets: bytes = field(default=b"", repr=False, compare=False)


@frozen
class ResponseIn:
    response: Response
    flow: Flow
    octets: bytes = field(default=b"", repr=False, compare=False)


@frozen
class MalformedIn:
    """Octets that did not parse. `request` is what could be read of it, if enough to route an answer."""

    error: SipError
    request: Request | None
    flow: Flow


@frozen
class FlowClosed:
    """A connection is gone, by either side or by fault."""

    flow: Flow


@frozen
class SendFailed:
    """A `Send` with that `key` could not be carried out: refused, unreachable, TLS failure (RFC 3261 s18.4)."""

    key: str
    reason: str


@frozen
class Resolved:
    """The records found for a `Resolve`, as the name servers gave them; what nobody could say in time counts as not there."""

    question: str
    answers: Answers


@frozen
class Verified:
    """The answer to a `Verify`."""

    question: str
    verdict: Verdict


@frozen
class Signed:
    """The answer to a `Sign`."""

    question: str
    signature: Signature


@frozen
class RelayOpened:
    relay: str
    ports: RelayPorts


@frozen
class RelayFailed:
    relay: str
    reason: str
    temporary: bool


@frozen
class RelayClosed:
    relay: str
    stats: RelayStats


@frozen
class MediaHappened:
    event: MediaEvent


@frozen
class LinkCompared:
    """The other end of the link to that site has these calls. Those that are `older`, seconds since their answer, it should know."""

    site: str
    call_ids: tuple[str, ...]
    older: float


@frozen
class BindingsFound:
    """What an earlier process stored, by account: the first input of all."""

    stored: tuple[tuple[str, str], ...]


@frozen
class UsageFound:
    """What an earlier process had used up of limits that take long to be there again: before the first call."""

    used: tuple[Used, ...]


@frozen
class Begun:
    """All that we listen on is open: what we do of ourselves may begin."""


@frozen
class PolicyChanged:
    snapshot: Snapshot


@frozen
class LoadChanged:
    """`share`: percent of their new requests that peers are to spare us (RFC 7339); 0: none."""

    share: int


@frozen
class DrainBegun:
    """No new calls from now on; those in progress go on."""


@frozen
class DrainEnded:
    """Release every call still in progress."""


Input = (
    RequestIn
    | ResponseIn
    | MalformedIn
    | FlowClosed
    | SendFailed
    | Resolved
    | Verified
    | Signed
    | RelayOpened
    | RelayFailed
    | RelayClosed
    | MediaHappened
    | LinkCompared
    | BindingsFound
    | UsageFound
    | Begun
    | PolicyChanged
    | LoadChanged
    | DrainBegun
    | DrainEnded
)
