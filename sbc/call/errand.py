"""One request outside of dialogs that passes: MESSAGE (RFC 3428) and PUBLISH (RFC 3903), with identifiers of our own on the far side."""

from __future__ import annotations

from typing import Literal

from sbc.call.answering import answering
from sbc.call.bridge import Invitation
from sbc.call.callee import Target
from sbc.call.causes import cause_of_response
from sbc.call.context import Context
from sbc.call.editing import hearing
from sbc.call.message import far_request, may_take, told_of
from sbc.call.search import Search
from sbc.call.words import Cause
from sbc.clock import Now
from sbc.policy.snapshot import Party, Route, Snapshot
from sbc.sip.message import Response
from sbc.sip.transactions import ClientTransaction, ServerTransaction

# "MUST NOT … exceed 1300 bytes unless … all hops are congestion safe" (RFC 3428 s8); a PUBLISH would be lost in fragments, too
MAX_ON_UDP = 1300


class Errand:
    """Tries the targets of a route in turn; the first final answer that the route does not go on from is the answer."""

    def __init__(self, context: Context, snapshot: Snapshot, route: Route, invitation: Invitation, transaction: ServerTransaction) -> None:
        request = transaction.request
        self._context = context
        self._invitation = invitation
        self._transaction = transaction
        self._request = request
        self._party: Party | None = None  # asked last
        self._search = Search(context, snapshot, route, invitation, lambda party: may_take(party, request), self._attempt, self._answer)

    def begin(self, now: Now) -> None:
        self._search.next(now)

    def _attempt(self, target: Target, now: Now) -> Cause | None:
        ids, sent_by = self._context.ids, self._context.sent_by(target.flow, target.party)
        names = (ids.branch(), ids.call_id(), ids.tag())
        request = far_request(self._request, self._invitation, target.party, target.uri, sent_by, *names, target.route_rows)
        if not target.flow.reliable and request.length > MAX_ON_UDP:
            return Cause(513, note="too long for UDP", by="sbc")
        self._party = target.party
        if target.flow.secure and target.server_name:
            self._context.peers.expect(target.server_name, target.flow)
        again = answering(self._context, target.party)
        self._context.transactions.client(request, target.flow, now, self, target.party.timers, again=again, heard=hearing(target.party))
        return None

    def receive_response(self, transaction: ClientTransaction, response: Response, now: Now) -> None:
        assert self._party is not None
        if response.status >= 300:
            self._search.failed(cause_of_response(response, self._party), now)
        elif response.status >= 200:
            self._answer(cause_of_response(response, self._party), now)

    def transaction_failed(self, transaction: ClientTransaction, cause: Literal["timeout", "transport"], now: Now) -> None:
        if cause == "timeout":  # nobody waits for an answer any more, and nothing is said (RFC 4320 s4.2)
            self._answer(Cause(408, by="sbc"), now)
        else:
            self._search.failed(Cause(503, by="sbc"), now)

    def _answer(self, cause: Cause, now: Now) -> None:
        """2xx "MUST NOT contain a body" nor a Contact (RFC 3428 s7)."""
        told = told_of(cause)
        tag = self._context.ids.tag()
        response = Response.answer(self._request, told.status, told.reason, to_tag=tag, headers=told.headers)
        self._context.transactions.respond(self._transaction, response, now)
