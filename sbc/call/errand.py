"""One request outside of dialogs that passes: MESSAGE (RFC 3428) and PUBLISH (RFC 3903), with identifiers of our own on the far side."""

from __future__ import annotations

from typing import Literal

from sbc.call.bridge import Invitation, from_of
from sbc.call.callee import Target
from sbc.call.causes import cause_of_response, refusal_to_peer
from sbc.call.context import Context
from sbc.call.message import CROSSING, crossing_rows
from sbc.call.targets import Lookup, locate, target_at
from sbc.call.words import Cause
from sbc.clock import Now
from sbc.effects import Resolve
from sbc.flow import Address
from sbc.policy.snapshot import Party, Route, Snapshot
from sbc.sip.fields.cseq import CSeq
from sbc.sip.fields.nameaddr import NameAddr
from sbc.sip.message import Request, Response
from sbc.sip.transactions import ClientTransaction, ServerTransaction
from sbc.sip.uri import Uri

# "MUST NOT … exceed 1300 bytes unless … all hops are congestion safe" (RFC 3428 s8); other requests would be lost in fragments, too
MAX_ON_UDP = 1300


class Errand:
    """Tries the targets of a route in turn; the first final answer that the route does not go on from is the answer."""

    def __init__(
        self, context: Context, snapshot: Snapshot, route: Route, invitation: Invitation, transaction: ServerTransaction, tag: str
    ) -> None:
        self._context = context
        self._snapshot = snapshot
        self._route = route
        self._invitation = invitation
        self._transaction = transaction
        self._request = transaction.request
        self._tag = tag  # ours, in the answer
        self._remaining = list(route.send_to)
        self._cause = Cause(480, by="sbc")

    def begin(self, now: Now) -> None:
        while self._remaining:
            party = self._snapshot.party(self._remaining.pop(0))
            if not may_take(party, self._request):
                self._cause = Cause(403, by="sbc", note=f"no {self._request.method} for {party.name}")
                continue
            found = locate(self._context, self._snapshot, party, self._invitation, now)
            if isinstance(found, Target):
                if self._send(found, now):
                    return
            elif isinstance(found, Lookup):
                self._ask(party, found)
                return
            else:
                self._cause = found
        self._answer(self._cause, now)

    def _ask(self, party: Party, lookup: Lookup) -> None:
        question = self._context.ids.tag()

        def answered(addresses: tuple[Address, ...], now: Now) -> None:
            for address in addresses:
                found = target_at(self._context, self._snapshot, party, self._invitation, address)
                if isinstance(found, Target) and self._send(found, now):
                    return
            self._cause = Cause(503, by="sbc", note=f"{lookup.host} has no address")
            self.begin(now)

        self._context.questions[question] = answered
        self._context.emit(Resolve(question, lookup.host, lookup.port))

    def _send(self, target: Target, now: Now) -> bool:
        """False: too long for the way there."""
        context, uri = self._context, target.uri
        sent_by = context.sent_by(target.flow)
        request = Request.build(
            self._request.method,
            uri,
            via=sent_by.via(context.ids.branch()),
            from_=from_of(self._invitation, sent_by.host, context.ids.tag()),
            to=NameAddr("", Uri(uri.scheme, uri.user, None, uri.host, uri.port)),
            call_id=context.ids.call_id(),
            cseq=CSeq(1, self._request.method),
            max_forwards=self._invitation.max_forwards,
            headers=(*self._invitation.headers, *crossing_rows(self._request, CROSSING[self._request.method])),
            body=self._request.body,
        )
        if not target.flow.reliable and len(request.encode()) > MAX_ON_UDP:
            self._cause = Cause(513, by="sbc", note="too long for UDP", out_of_service=True)
            return False
        context.transactions.client(request, target.flow, now, self)
        return True

    def receive_response(self, transaction: ClientTransaction, response: Response, now: Now) -> None:
        if response.status < 200:
            return
        cause = cause_of_response(response)
        if cause.status in self._route.next_on and self._remaining:
            self._cause = cause
            self.begin(now)
        else:
            self._answer(cause, now)

    def transaction_failed(self, transaction: ClientTransaction, cause: Literal["timeout", "transport"], now: Now) -> None:
        """After a time-out nobody waits any more, and nothing is said (RFC 4320 s4.2)."""
        self._cause = Cause(408 if cause == "timeout" else 503, by="sbc")
        if cause == "transport":
            self.begin(now)
        else:
            self._answer(self._cause, now)

    def _answer(self, cause: Cause, now: Now) -> None:
        """2xx "MUST NOT contain a body" nor a Contact (RFC 3428 s7)."""
        told = refusal_to_peer(cause)
        response = Response.answer(self._request, told.status, told.reason, to_tag=self._tag, headers=told.headers)
        self._context.transactions.respond(self._transaction, response, now)


def may_take(party: Party, request: Request) -> bool:
    """Whether the policy lets the far party have it."""
    return party.services.messages
