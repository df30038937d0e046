"""Strangers who call for help, where the policy takes their calls: a few at a time, and never at the cost of anybody who is known."""

from __future__ import annotations

from sbc.call.context import Context
from sbc.clock import Now
from sbc.doorkeeper import Doorkeeper
from sbc.flow import Flow
from sbc.policy.decide import Admitted, account, emergency_route
from sbc.policy.realms import Realm
from sbc.policy.snapshot import Helped, Trunk, stranger_in
from sbc.shield.budgets import Budget
from sbc.sip.message import Request, Response
from sbc.sip.names import AUTHORIZATION, PROXY_AUTHORIZATION

CREDENTIALS = frozenset({AUTHORIZATION, PROXY_AUTHORIZATION})
RETRY_S = 5  # somebody who needs help tries again anyway; their phone may do so by another way at once


class Helpline:
    """Asks the doorkeeper first. Nothing is remembered of a stranger but the token it takes from the bucket of its realm."""

    def __init__(self, context: Context, doorkeeper: Doorkeeper) -> None:
        self._context = context
        self._doorkeeper = doorkeeper
        self._buckets: dict[str, tuple[Helped, Budget]] = {}

    def admit(self, request: Request, realm: Realm, flow: Flow, now: Now) -> Admitted | Response | None:
        """Who sent the request, or what it is answered; see `Doorkeeper.admit`."""
        found = self._doorkeeper.admit(request, realm, flow, now)
        if request.method != "INVITE" or isinstance(found, Admitted):
            return found
        snapshot = self._context.snapshot
        stranger = snapshot.trunks.get(stranger_in(realm.name))
        if stranger is None or emergency_route(snapshot, stranger, request.uri) is None or self._will_prove_itself(request, realm, found):
            return found
        if self._takes(stranger, snapshot.strangers.helped[realm.name], now):
            return Admitted(stranger, "emergency")
        if not self._doorkeeper.may_answer(flow, now):
            return None
        return self._context.answer(request, 503, headers=(("Retry-After", str(RETRY_S)),))

    def _will_prove_itself(self, request: Request, realm: Realm, found: Response | None) -> bool:
        """One of ours that has not been asked yet, or answers a nonce that is too old: then whoever helps learns who calls.

        A phone that has been asked and has a wrong password is a stranger like any other; help does not depend on it.
        """
        if found is None or found.status != 401:
            return False
        if request.headers.has_any(CREDENTIALS):
            return any("stale=true" in row.lower() for row in found.headers.all("WWW-Authenticate"))
        return account(self._context.snapshot, realm.name, request.from_.uri.decoded_user) is not None

    def _takes(self, stranger: Trunk, helped: Helped, now: Now) -> bool:
        if self._context.limits.calls(stranger.name) >= helped.calls:
            return False
        known = self._buckets.get(stranger.name)
        if known is None or known[0] != helped:
            known = self._buckets[stranger.name] = helped, Budget(helped.new_calls, float(helped.calls))
        bucket = known[1]
        return bucket.take("", now.monotonic)
