"""The transaction layer (RFC 3261 s17 with RFC 6026 and RFC 4320): matches messages to the machines and drives them.

Server side: `absorb` every request first; what it does not take is new and gets a `server` transaction, answered by `respond`.
The 100 that an INVITE needs within 200 ms (s17.2.1) is the caller's to `respond`: it knows what else it will say.
2xx answers to INVITE are repeated, and their ACK is sent, by the call: here they are only let through (RFC 6026 s7).
"""

from __future__ import annotations

from typing import Protocol

from sbc.clock import Now
from sbc.flow import Flow
from sbc.sip.client import (
    Again,
    Cause,
    ClientLayer,
    ClientTransaction,
    ClientUser,
    HeaderRows,
    Heard,
    Instead,
    acknowledgement,
    cancel_request,
    client_key,
)
from sbc.sip.fields.via import Via
from sbc.sip.machine import Layer, Sender
from sbc.sip.message import Request, Response
from sbc.sip.names import VIA
from sbc.sip.overload import Overload
from sbc.sip.server import (
    ClosedConnections,
    Sent,
    ServerLayer,
    ServerTransaction,
    ServerUser,
    has_cookie,
    key_with_cookie,
    repeat,
    response_flow,
    server_key,
)
from sbc.sip.timers import Timers, TimerValues
from sbc.tap import NoTap, ServerKey, Tap

__all__ = [
    "Again",
    "Cause",
    "ClientTransaction",
    "ClientUser",
    "Sender",
    "ServerTransaction",
    "ServerUser",
    "TransactionUser",
    "Transactions",
    "acknowledgement",
    "cancel_request",
    "response_flow",
    "stateless_response",
]


class TransactionUser(ClientUser, ServerUser, Protocol):
    """The owner of transactions of both kinds."""


class Transactions:
    """All transactions of one core. `send` is given octets, their flow, and for client requests the key to `transport_failed`.

    `overload` hears what servers say of theirs.
    """

    def __init__(
        self,
        timers: Timers,
        send: Sender,
        values: TimerValues | None = None,
        closed: ClosedConnections | None = None,
        overload: Overload | None = None,
        tap: Tap | None = None,
    ) -> None:
        self._values = values or TimerValues()
        self._servers: ServerLayer = Layer(timers, send)
        self._clients: ClientLayer = Layer(timers, send)
        self._closed = closed or ClosedConnections()
        self._overload = overload
        self._tap = tap or NoTap()

    # Server side

    def absorb(self, request: Request, flow: Flow, now: Now) -> bool:
        """True: a retransmission, or the ACK of a 300-699 response; its transaction has done all there is to do."""
        key = server_key(request, request.method, flow)
        transaction = self._servers.living.get(key)
        if transaction is not None:
            self._tap.met(transaction.key)
            transaction.receive(request, now)
            return True
        if key in self._servers.lingering:
            if request.method != "ACK" or has_cookie(key):  # else it is one of RFC 2543, which has a key of its own
                self._tap.met(key)
            return repeat(self._servers.lingering[key], request, flow, self._servers.send)
        return False

    def server(
        self,
        request: Request,
        flow: Flow,
        now: Now,
        user: ServerUser | None,
        values: TimerValues | None = None,
        sent: Sent | None = None,
    ) -> ServerTransaction:
        """A new transaction for a request that `absorb` did not take. Stamps the top Via with its source (TRN-01, TRN-02).

        `sent`: is shown each response before it goes, to edit it.
        """
        assert request.method != "ACK", "an ACK makes no transaction"
        key = server_key(request, request.method, flow)
        assert key not in self._servers.living and key not in self._servers.lingering, "absorb comes first"
        self._tap.opened(key)
        request.stamp(flow.remote)
        return ServerTransaction(key, request, flow, user, now, values or self._values, self._servers, self._closed, sent)

    def invite_to_cancel(self, cancel: Request, flow: Flow) -> ServerTransaction | None:
        """The INVITE that a CANCEL means (RFC 3261 s9.2), None if there is none or it is over.

        Answered already with `last_status` >= 200, it cannot be cancelled, but the CANCEL is still answered 200.
        """
        return self._servers.living.get(server_key(cancel, "INVITE", flow))

    def cancels_too_late(self, cancel: Request, flow: Flow) -> bool:
        """The INVITE it means is over but not forgotten: the CANCEL is answered 200, not 481, and does nothing else."""
        return server_key(cancel, "INVITE", flow) in self._servers.lingering

    def has_invite_of(self, request: Request, flow: Flow) -> bool:
        """Whether the INVITE that an ACK, a CANCEL or its repetition means is here, or was a moment ago."""
        return self._has_server(server_key(request, "INVITE", flow))

    def has_invite_with(self, via: Via, flow: Flow) -> bool:
        """The same of an INVITE with that top Via, whose branch has the cookie."""
        return self._has_server(key_with_cookie(via, "INVITE", flow))

    def _has_server(self, key: ServerKey) -> bool:
        return key in self._servers.living or key in self._servers.lingering

    def respond(self, transaction: ServerTransaction, response: Response, now: Now) -> None:
        """Answer. What the machine does not allow is left unsent:

        a second final response other than one more 2xx; to a non-INVITE 408, a final one after 64*T1 (RFC 4320 s4.2),
        a 1xx other than 100, and over UDP a 100 before Timer E of the client is at T2 (s4.1).
        """
        transaction.respond(response, now)

    def flow_closed(self, flow: Flow) -> None:
        """Its connection is gone: responses that still want it go by a new one (RFC 3261 s18.2.2)."""
        self._closed.add(flow)

    # Client side

    def client(
        self,
        request: Request,
        flow: Flow,
        now: Now,
        user: ClientUser,
        values: TimerValues | None = None,
        instead: Instead | None = None,
        again: Again | None = None,
        heard: Heard | None = None,
    ) -> ClientTransaction:
        """Send `request`, whose top Via has a branch of its own; `values`: the timers of this peer.

        `instead`: asked for another way when this one fails before anything was heard. `again`: asked for the same with
        credentials when it is challenged. `heard`: makes of each response what `user` is told.
        """
        assert request.method != "ACK", "an ACK makes no transaction"
        transaction = ClientTransaction(request, flow, user, values or self._values, self._clients, instead, again, heard)
        assert transaction.key not in self._clients.living, "every transaction needs a branch of its own"
        transaction.start(now)
        return transaction

    def cancel(self, invite: ClientTransaction, now: Now, user: ClientUser, headers: HeaderRows = ()) -> None:
        """CANCEL an INVITE: now if a 1xx has come, else as soon as one comes, not at all after a final response (RFC 3261 s9.1).

        `user` owns the CANCEL's transaction. The INVITE fails by `timeout` when no final response follows in 64*T1.
        """
        invite.cancel(user, headers, now)

    def receive_response(self, response: Response, flow: Flow, now: Now) -> bool:
        """False: a stray; no transaction asked for it, or its owner wants no more of it."""
        method = response.cseq.method
        key = client_key(response.via.branch, method)
        transaction = self._clients.living.get(key)
        if transaction is None or transaction.method != method:
            return key in self._clients.lingering
        if (response.via.host, response.via.port) != transaction.sent_by:
            return False  # "the response MUST be silently discarded" (RFC 3261 s18.1.2)
        if response.via.params and self._overload is not None:
            self._overload.heed(response.via, transaction.flow, now)
        transaction.heard = flow
        transaction.receive(response, now)
        return True

    def awaits(self, response: Response) -> bool:
        """Whether it answers a request of ours."""
        key = client_key(response.via.branch, response.cseq.method)
        return key in self._clients.living or key in self._clients.lingering

    def transport_failed(self, key: str, now: Now) -> None:
        """What was sent with that key could not be (RFC 3261 s17.1.4, s18.4)."""
        transaction = self._clients.living.get(key)
        if transaction is not None:
            transaction.fail(now)

    # Figures

    def counts(self) -> tuple[int, int]:
        """Server and client transactions, those included that only wait for repetitions."""
        servers, clients = self._servers, self._clients
        return len(servers.living) + len(servers.lingering), len(clients.living) + len(clients.lingering)

    def __len__(self) -> int:
        return sum(self.counts())


def stateless_response(response: Response, request: Request, flow: Flow) -> tuple[bytes, Flow]:
    """The octets and the flow of an answer that makes no transaction, its top Via stamped with the source of `request`."""
    via = response.via.stamped(flow.remote)
    if via is not response.via:
        response.via = via
        response.headers.replace_first(VIA, str(via))
    return response.encode(), response_flow(request.via, flow)
