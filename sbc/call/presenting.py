"""Whom the called side of a route sees: the caller, nobody, or a number that the policy names."""

from __future__ import annotations

from sbc.call.bridge import Invitation
from sbc.call.neutral import numbered
from sbc.call.priority import without_foreign_priority
from sbc.frozen import replace
from sbc.policy.snapshot import Party, Route
from sbc.sip.fields.nameaddr import NameAddr
from sbc.sip.fields.privacy import ID, NONE, USER
from sbc.sip.names import DATE, IDENTITY

PROOF = frozenset({IDENTITY, DATE})


def as_told(invitation: Invitation, route: Route, party: Party) -> Invitation:
    """What `party`, a target of `route`, is told of a call. Who calls for help hides nothing."""
    return invitation if route.emergency else masked(without_foreign_priority(invitation, party), route)


def masked(invitation: Invitation, route: Route) -> Invitation:
    """As the called side of `route` is to see it; emergency services that call back are seen as they are."""
    said = invitation.said
    if route.shows is None or said.calls_back:
        return invitation
    always = tuple([row for row in said.always if row[0] not in PROOF])  # it proves another caller, or names the one who is hidden
    if route.shows == NOBODY:
        asked = said.privacy.without(NONE)
        privacy = asked.with_(ID) if said.identities else asked
        said = replace(said, hidden=True, anonymous=True, privacy=privacy, verstat="", always=always)
        return replace(invitation, said=said, masked=True)
    said = replace(
        said,
        identities=(NameAddr("", numbered(route.shows)),),
        hidden=False,
        anonymous=False,
        privacy=said.privacy.without(ID, USER),
        verstat="",
        parties=(),
        always=always,
    )
    return replace(invitation, caller=route.shows, caller_name="", anonymous=False, said=said, masked=True)


NOBODY = "nobody"
