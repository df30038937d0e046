"""All subscriptions that pass, as many as each party may have."""

from __future__ import annotations

from collections import Counter

from sbc.call.bridge import Invitation
from sbc.call.context import Context
from sbc.call.subscription import Subscription
from sbc.clock import Now
from sbc.errors import SipError
from sbc.flow import Flow
from sbc.policy.snapshot import Party, Route
from sbc.sip.transactions import ServerTransaction

MAX_SUBSCRIPTIONS = 1000  # of one party: a PBX with as many lamps; each costs about 10 kB


class Subscriptions:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._all: set[Subscription] = set()
        self._count: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._all)

    def begin(self, route: Route, invitation: Invitation, party: Party, flow: Flow, transaction: ServerTransaction, now: Now) -> None:
        """Raises SipError: 400 for a SUBSCRIBE that makes no dialog, 503 when the party has as many as it may."""
        if self._count[party.name] >= MAX_SUBSCRIPTIONS:
            raise SipError(f"too many subscriptions of {party.name}", status=503, reason="Service Unavailable")
        context = self._context
        subscription = Subscription(context, context.snapshot, route, invitation, (party, flow), transaction, self._ended)
        self._all.add(subscription)
        self._count[party.name] += 1
        subscription.begin(now)

    def release_all(self, now: Now) -> None:
        for subscription in tuple(self._all):
            subscription.release(now)

    def _ended(self, subscription: Subscription) -> None:
        self._all.discard(subscription)
        self._count[subscription.party.name] -= 1
        if not self._count[subscription.party.name]:
            del self._count[subscription.party.name]
