"""Where the policy's edits of headers (sbc.policy.edits) meet the messages of a party. Mostly there are none."""

from __future__ import annotations

from sbc.policy.snapshot import Party
from sbc.sip.client import Heard
from sbc.sip.message import Request
from sbc.sip.server import Sent


def sent(party: Party, request: Request) -> Request:
    """A request of ours as `party` is to get it, before its length is measured."""
    if party.edits is not None:
        party.edits.sent_request(request)
    return request


def heard(party: Party, request: Request) -> Request:
    """A request of `party` as we are to read it."""
    return request if party.edits is None else party.edits.heard_request(request)


def hearing(party: Party) -> Heard | None:
    """What makes of the answers of `party` what we are to read."""
    edits = party.edits
    return edits.heard if edits is not None and edits.responses_in else None


def sending(party: Party | None) -> Sent | None:
    """What makes of our answers what `party` is to get."""
    edits = party.edits if party is not None else None
    return edits.sent if edits is not None and edits.responses_out else None
