"""Why calls and sources were refused, the last of them: what an operator asks after the fact. Nothing is decided by it.

Bounded by numbers and by lengths, whatever comes: some 3 MB when full.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping
from itertools import islice
from typing import Literal

from sbc.flow import Flow
from sbc.frozen import frozen
from sbc.shield.budgets import source_key
from sbc.sip.locate import is_address
from sbc.sip.message import Request
from sbc.sip.status import REASONS

# How far a request has come, in the order of the questions.
Step = Literal["who", "allowed", "number", "caller", "limits", "route", "proof", "target", "media"]

CALLS = 2000  # refused requests of those we know: an hour at one refusal every two seconds
SOURCES = 1000  # of those we do not; one that comes again takes no more room
LONGEST = 120  # characters of what peers have written
ATTEMPTS = 8  # of one call


@frozen
class Decision:
    """One refusal. `at`: seconds since the epoch. `status` 0: it was not answered at all.

    party, by    whose request it was and what proved it; "": a stranger's
    step         which of the questions the policy is asked in turn was answered with no
    line         of the rule that chose the targets, where it got that far
    attempts     as in the call record
    """

    at: float
    step: Step
    method: str
    realm: str
    transport: str
    source: str
    port: int
    call_id: str
    status: int
    reason: str
    note: str
    party: str = ""
    by: str = ""
    id: str = ""
    caller: str = ""
    called: str = ""
    route: str = ""
    line: str = ""
    attempts: tuple[Mapping[str, object], ...] = ()


@frozen
class Source:
    """`count` refusals since `since`, the last of them in full."""

    count: int
    since: float
    last: Decision


class Decisions:
    """The last of them. Each source we do not know has one entry, so that one that floods us does not wash out the others."""

    def __init__(self) -> None:
        self._of_known: deque[Decision] = deque(maxlen=CALLS)
        self._of_strangers: OrderedDict[str, Source] = OrderedDict()

    def add(self, decision: Decision) -> None:
        if decision.party:
            self._of_known.append(decision)
            return
        key = source_key(decision.source)
        before = self._of_strangers.pop(key, None)
        count, since = (before.count, before.since) if before is not None else (0, decision.at)
        self._of_strangers[key] = Source(count + 1, since, decision)
        if len(self._of_strangers) > SOURCES:
            self._of_strangers.popitem(last=False)

    def about(self, wanted: str, most: int) -> tuple[Decision, ...]:
        """The newest of a call, by our id or its Call-ID, of an address, or of a trunk or user; "": of anything."""
        found: list[Decision] = []
        for decision in reversed(self._of_known):
            if wanted in ("", decision.id, decision.call_id, decision.source, decision.party):
                found.append(decision)
                if len(found) == most:
                    break
        return tuple(found)

    def strangers(self, wanted: str, most: int) -> tuple[Source, ...]:
        """The sources that address or their last Call-ID is of, last heard first; "": all."""
        if is_address(wanted):
            found = self._of_strangers.get(source_key(wanted))
            return (found,) if found is not None else ()
        every = reversed(self._of_strangers.values())
        return tuple(islice([source for source in every if wanted in ("", source.last.call_id)], most))

    def __len__(self) -> int:
        return len(self._of_known) + len(self._of_strangers)


def refused_request(request: Request, flow: Flow, at: float, step: Step, answer: tuple[int, str, str], party: str = "") -> Decision:
    """A request that was no call, or came from nobody we know. `answer`: status, reason, and what people are told."""
    status, reason, note = answer
    return Decision(
        at,
        step,
        request.method,
        flow.realm,
        flow.transport,
        flow.remote[0],
        flow.remote[1],
        request.call_id[:LONGEST],
        status,
        reason[:LONGEST] or REASONS.get(status, ""),
        note[:LONGEST],
        party,
    )
