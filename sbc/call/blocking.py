"""Callers that are not wanted: by analytics (ATIS-1000099, "603+"), by a list, or by the called party itself (RFC 8197)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sbc.call.bridge import Invitation
from sbc.call.crossing import hides_from
from sbc.call.record import Facts
from sbc.call.words import Cause
from sbc.errors import SipError
from sbc.identity.verdict import Verstat
from sbc.policy.decide import BARRED_CALLER
from sbc.policy.plans import INVALID, kind_of
from sbc.policy.snapshot import Block, Party, Route
from sbc.sip.fields.reason import Reason
from sbc.sip.status import reason_phrase

# "exactly": it is one of the three signs by which the caller's network knows what this is. LN: the local network (RFC 8606)
NETWORK_BLOCKED = "Network Blocked"
LOCATION = (("location", "LN"),)


def blocked_by(blocks: Sequence[Block], callers: Sequence[str], call: str) -> Cause | None:
    """The refusal of the first list that has one of the caller's numbers. `call` is the id whoever complains will name."""
    for block in blocks:
        if any(caller and block.has(caller) for caller in callers):
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


def refuse_from(party: Party, callers: Iterable[str], call: str) -> None:
    """Numbers that calls of `party` may not come from: nobody calls with those. SipError."""
    cause = blocked_by(party.headers.blocks_from, tuple(callers), call) if party.headers.blocks_from else None
    if cause is not None:
        reasons = tuple([("Reason", reason) for reason in cause.reasons or (BARRED_CALLER,)])
        raise SipError(cause.note, status=cause.status, reason=cause.reason or reason_phrase(cause.status), headers=reasons)


def unwelcome(party: Party, route: Route, invitation: Invitation, caller: Party) -> Cause | None:
    """Callers who hide who they are, when the callee wants none of those (RFC 5079), or a route that needs to show somebody.

    party   that is called
    caller  whose call it is
    """
    if route.emergency or invitation.said.calls_back:
        return None
    if party.headers.refuse_anonymous and (invitation.anonymous or invitation.said.hidden):
        return Cause(433, by="sbc", note=f"{party.name} refuses anonymous calls")
    if not route.needs_caller:
        return None
    if invitation.anonymous or hides_from(invitation.said, party):
        return Cause(433, by="sbc", note=f"route {route.name} needs to show a caller, and this one hides")
    problem = _no_caller(invitation, caller if route.cli == "call-center" else None)
    return Cause(403, reasons=(BARRED_CALLER,), by="sbc", note=f"route {route.name} needs to show a caller: {problem}") if problem else None


def _no_caller(invitation: Invitation, owner: Party | None) -> str:
    """Why nobody would know who calls, or could call back the `owner` of the number; "" when they do."""
    asserted = [(each.uri.user or "").partition(";")[0] for each in invitation.said.identities]
    numbers = [number for number in (*asserted, invitation.caller) if number.startswith("+")]
    if not numbers:
        return "it shows no number"
    for number in numbers:
        kind = kind_of(number)
        if kind is None or kind.type == INVALID:
            return f"{number} is a number of nobody"
        if owner is not None and not owner.headers.own(number):
            return f"{number} is none of {owner.name}'s own"
    return "the proof of its number is not valid" if invitation.said.verstat.startswith(Verstat.FAILED) else ""
