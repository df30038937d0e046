"""One side of an INVITE dialog usage as far as sending goes: requests, responses, ACK, and which way they go (RFC 3261 s12)."""

from __future__ import annotations

import contextlib

from media.api import Side
from sbc.call.abilities import abilities
from sbc.call.answering import answering, room_for_credentials
from sbc.call.context import Context, flow_to, flow_within
from sbc.call.editing import hearing, sent
from sbc.call.health import server_failed
from sbc.call.session_ids import SessionIds
from sbc.call.words import Asked
from sbc.clock import Now
from sbc.effects import Send
from sbc.errors import ParseError
from sbc.flow import Flow
from sbc.policy.realms import Realm
from sbc.policy.snapshot import Party, Trunk
from sbc.sip.dialog import TARGET_REFRESH, Dialog
from sbc.sip.fields.tokens import parse_tokens
from sbc.sip.message import Request, Response
from sbc.sip.names import ALLOW as ALLOW_HEADER
from sbc.sip.transactions import ClientTransaction, ClientUser, ServerTransaction

SDP_TYPE = "application/sdp"
# "If a request is within 200 bytes of the path MTU, or if it is larger than 1300 bytes and the path MTU is unknown, the request
# MUST be sent using an RFC 2914 congestion controlled transport protocol, such as TCP" (RFC 3261 s18.1.1)
LONGEST_DATAGRAM = 1300
HeaderRows = tuple[tuple[str, str], ...]


class Usage:
    """`flow` is where the peer was last heard; `dialog` is None until there is one.

    `takes_update`: the peer has said that it does (RFC 3311 s4). `across` is who it is connected with, or may soon be.
    """

    def __init__(self, context: Context, side: Side, party: Party, realm: Realm, flow: Flow, session: SessionIds) -> None:
        self.context = context
        self.side = side
        self.party = party
        self.realm = realm
        self.flow = flow
        self.session = session
        self.local_tag = context.ids.tag()
        self.sent_by = context.sent_by(flow, party)
        self.contact = self.sent_by.contact(self.local_tag)
        self.dialog: Dialog | None = None
        self.takes_update = False
        self.across: Party | None = None
        self._last_ack: tuple[int, bytes, Flow] | None = None
        self._proof: HeaderRows = ()  # the credentials of the last INVITE that was challenged

    def request(self, method: str, body: bytes = b"", headers: HeaderRows = ()) -> Request:
        """The next request of the dialog."""
        assert self.dialog is not None
        request = self.dialog.request(
            method,
            via=self.sent_by.via(self.context.ids.branch()),
            contact=self.contact if method in TARGET_REFRESH else None,
            headers=(*headers, *self.session.rows(self.side)),
            body=body,
            content_type=SDP_TYPE if body else "",
        )
        return sent(self.party, request)

    def asking(self, word: Asked) -> Request:
        """A request of the dialog that changes nothing of the call."""
        assert self.dialog is not None
        request = self.dialog.request(
            word.method,
            via=self.sent_by.via(self.context.ids.branch()),
            contact=self.contact if word.method in TARGET_REFRESH else None,
            max_forwards=word.max_forwards,
            headers=(*word.headers, *self.session.rows(self.side)),
            body=word.body,
        )
        return sent(self.party, request)

    def dialog_flow(self, now: Now) -> Flow:
        """Where a request of the dialog goes now."""
        assert self.dialog is not None
        return self.flow_to(self.dialog, now)

    def flow_to(self, dialog: Dialog, now: Now) -> Flow:
        return flow_within(self.context, self.party, self.realm, self.flow, dialog.next_hop, now)

    def dispatch(self, request: Request, now: Now, user: ClientUser, dialog: Dialog | None = None) -> ClientTransaction:
        """Send a request of the dialog: by TCP if it is too long for UDP, and by UDP after all if there is no TCP.

        Its Contact says where we are reached as before, for the next one may be short. `dialog`: a fork's.
        """
        flow = self.flow_to(dialog, now) if dialog is not None else self.dialog_flow(now)
        stream = self._stream(request, flow, now)
        again = answering(self.context, self.party, dialog or self.dialog, self.note_proof if request.method == "INVITE" else None)
        hears = hearing(self.party)
        if stream is None:
            return self.context.transactions.client(request, flow, now, user, self.party.timers, again=again, heard=hears)
        via = request.via

        def instead(now: Now) -> tuple[Request, Flow]:
            server_failed(self.context, stream, now)
            request.put_via(via)
            return request, flow

        request.put_via(self.context.sent_by(stream, self.party).via(self.context.ids.branch()))
        return self.context.transactions.client(request, stream, now, user, self.party.timers, instead, again, hears)

    def _stream(self, request: Request, flow: Flow, now: Now) -> Flow | None:
        """The way by TCP for what is too long, to a trunk that may have TCP: a phone behind a NAT could not be reached so."""
        party = self.party
        if flow.reliable or not isinstance(party, Trunk) or party.peer is None or party.peer.transport is not None:
            return None
        stream = flow_to(self.realm, "TCP", *flow.remote)
        if stream is None or request.length + room_for_credentials(party) <= LONGEST_DATAGRAM or self.context.penalties.holds(stream, now):
            return None
        return stream

    def note_proof(self, proof: HeaderRows) -> None:
        self._proof = proof

    def heard_from(self, flow: Flow) -> None:
        """A request of the peer proved that it is there: behind a NAT, or on a new connection, that is the only way to it."""
        if flow != self.flow:
            self.flow = flow
            self.sent_by = self.context.sent_by(flow, self.party)

    def note_methods(self, message: Request | Response) -> None:
        """What the peer says it can do; silence says nothing new."""
        rows = message.headers.all(ALLOW_HEADER)
        if rows:
            self.takes_update = "UPDATE" in parse_tokens(rows)

    def respond(
        self, transaction: ServerTransaction, status: int, reason: str = "", headers: HeaderRows = (), body: bytes = b"", *, now: Now
    ) -> Response:
        if status in (200, 405):
            headers = (*abilities(self.party, self.across), *headers)
        session = self.session.rows_of_trying(self.side) if status == 100 else self.session.rows(self.side)
        response = Response.answer(
            transaction.request,
            status,
            reason,
            to_tag="" if status == 100 else self.local_tag,
            headers=(*headers, *session),
            body=body,
            content_type=SDP_TYPE if body else "",
        )
        self.context.transactions.respond(transaction, response, now)
        return response

    def busy(self, transaction: ServerTransaction, now: Now) -> None:
        """An INVITE or UPDATE before the one before has its final answer (RFC 3261 s14.2, RFC 3311 s5.2)."""
        seconds = self.context.ids.random(1)[0] % 11
        self.respond(transaction, 500, headers=(("Retry-After", str(seconds)),), now=now)

    def acknowledge(self, response: Response, now: Now, body: bytes = b"") -> None:
        """ACK of a 2xx to an INVITE of ours, by the target and route that 2xx gave. `body`: the answer to its offer."""
        assert self.dialog is not None
        with contextlib.suppress(ParseError):  # a Contact we cannot read leaves the target as it was
            self.dialog.receive_response(response)
        ack = self.dialog.ack(
            response.cseq.number,
            via=self.sent_by.via(self.context.ids.branch()),
            headers=(*self._proof, *self.session.rows(self.side)),
            body=body,
            content_type=SDP_TYPE if body else "",
        )
        self._last_ack = (response.cseq.number, sent(self.party, ack).encode(), self.dialog_flow(now))
        self.context.emit(Send(self._last_ack[1], self._last_ack[2]))

    def acknowledge_again(self, response: Response) -> None:
        """The same octets for a 2xx that was repeated (RFC 3261 s13.2.2.4)."""
        if self._last_ack is not None and self._last_ack[0] == response.cseq.number:
            self.context.emit(Send(self._last_ack[1], self._last_ack[2]))
