"""Resource-Priority (RFC 4412): taken from whom the policy trusts with a namespace, and told to such alone.

Emergency calls are not looked at here: theirs crosses as it came (RFC 7135).
"""

from __future__ import annotations

from sbc.call.bridge import Invitation
from sbc.errors import ParseError, SipError
from sbc.frozen import replace
from sbc.policy.snapshot import Party
from sbc.sip.fields.resource_priority import NAMESPACES, ResourcePriority, parse_priorities
from sbc.sip.fields.tokens import parse_tokens
from sbc.sip.message import Request
from sbc.sip.names import REQUIRE, RESOURCE_PRIORITY

OPTION = "resource-priority"


def allowed_priority(request: Request, party: Party) -> str:
    """The values that `party` may ask for, as the header has them; "" when there are none.

    Raises SipError 417 with those when it requires another (s4.6.2); without Require unknown ones are ignored (s4.6.1).
    """
    if RESOURCE_PRIORITY not in request.headers and REQUIRE not in request.headers:  # nearly always
        return ""
    try:
        asked = parse_priorities(request.headers.all(RESOURCE_PRIORITY))
    except ParseError:
        asked = []
    allowed = [value for value in asked if trusted(value, party)]
    if not allowed and OPTION in parse_tokens(request.headers.all(REQUIRE)):
        accepted = [f"{namespace}.{value}" for namespace in party.services.priorities for value in NAMESPACES[namespace]]
        headers = (("Accept-Resource-Priority", ", ".join(accepted)),)
        raise SipError(status=417, reason="Unknown Resource-Priority", headers=headers)
    return ", ".join(map(str, allowed))


def with_priority(invitation: Invitation, priority: str) -> Invitation:
    return replace(invitation, priority=priority) if priority else invitation


def without_foreign_priority(invitation: Invitation, party: Party) -> Invitation:
    """What of it `party` may know."""
    if not invitation.priority:
        return invitation
    known = [str(each) for each in parse_priorities([invitation.priority]) if trusted(each, party)]
    return replace(invitation, priority=", ".join(known))


def trusted(priority: ResourcePriority, party: Party) -> bool:
    return priority.known and priority.namespace in party.services.priorities
