"""Calls by the link to a remote site, whose two ends compare what they have after each reconnection."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from sbc.call.call import Call
from sbc.call.context import Context
from sbc.call.words import Cause
from sbc.clock import Now
from sbc.inputs import LinkCompared
from sbc.policy.snapshot import Party, Trunk


def is_linked(party: Party, site: str) -> bool:
    return isinstance(party, Trunk) and party.link == site


def end_unknown(context: Context, calls: Iterable[Call], compared: LinkCompared, now: Now) -> None:
    """The other end knows only its calls: others were ended there while nobody could be told."""
    cause = Cause(200, by="sbc", note="the other end of the link does not know this call")
    for call in tuple(calls):
        answered = call.facts.times.answered
        if answered is None or now.wall - answered < compared.older:
            continue
        legs = [leg for leg in (call.facts.a, call.facts.b) if leg is not None and is_linked(leg.party, compared.site)]
        if any(leg.call_id not in compared.call_ids for leg in legs):
            context.tap.within(call.facts.id, partial(call.release, cause), now)
