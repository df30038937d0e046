"""Callers that are not wanted: by analytics (ATIS-1000099, "603+"), by a list, or by the called party itself (RFC 8197)."""

from __future__ import annotations

from collections.abc import Sequence

from sbc.call.bridge import Invitation
from sbc.call.record import Facts
from sbc.call.words import Cause
from sbc.policy.snapshot import Block, Party, Route
from sbc.sip.fields.reason import Reason

# "exactly": it is one of the three signs by which the caller's network knows what this is. LN: the local network (RFC 8606)
NETWORK_BLOCKED = "Network Blocked"
LOCATION = (("location", "LN"),)


def blocked_by(blocks: Sequence[Block], callers: Sequence[str], call: str) -> Cause | None:
    """The refusal of the first list that has one of the caller's numbers. `call` is the id whoever complains will name."""
    for block in blocks:
        if any(caller and block.callers.match(caller) for caller in callers):
            return _refusal(block, call)
    return None


def _refusal(block: Block, call: str) -> Cause:
    note = f"blocked by {block.name}"
    if not block.redress:
        return Cause(block.status, by="sbc", note=note)
    notice = Reason("SIP", 603, f"{block.redress};id={call}", LOCATION)
    return Cause(603, NETWORK_BLOCKED, reasons=(str(notice),), by="sbc", note=note)


def kept_from(party: Party, route: Route, invitation: Invitation, facts: Facts) -> Cause | None:
    """Callers the callee does not get: never one who calls for help, nor an emergency service that calls back."""
    if not party.headers.blocks or route.emergency or invitation.said.calls_back:
        return None
    return blocked_by(party.headers.blocks, (facts.caller, facts.asserted or ""), facts.id)


def unwelcome(party: Party, route: Route, invitation: Invitation) -> Cause | None:
    """Callers who hide who they are, when the callee wants none of those (RFC 5079)."""
    anonymous = invitation.anonymous or invitation.said.hidden
    if not (party.headers.refuse_anonymous and anonymous) or route.emergency or invitation.said.calls_back:
        return None
    return Cause(433, by="sbc", note=f"{party.name} refuses anonymous calls")
