"""Which servers are well: what calls find out, and asking those that failed whether they are back (OPTIONS, RFC 3261 s11)."""

from __future__ import annotations

from typing import Literal

from sbc.call.causes import seconds_of
from sbc.call.context import Context
from sbc.call.editing import sent
from sbc.call.record import server_of
from sbc.clock import Now
from sbc.effects import Log
from sbc.flow import Flow
from sbc.policy.snapshot import Trunk
from sbc.sip.fields.cseq import CSeq
from sbc.sip.fields.nameaddr import NameAddr
from sbc.sip.message import Request, Response
from sbc.sip.transactions import ClientTransaction
from sbc.sip.uri import Uri


def server_failed(context: Context, server: Flow, now: Now, retry_after: float = 0.0) -> None:
    """It is tried last for a while; logged when that is news."""
    if not context.penalties.holds(server, now):
        context.emit(Log("warning", "server failed", {"realm": server.realm, "server": server_of(server)}))
    context.penalties.failed(server, now, retry_after)


def server_answered(context: Context, server: Flow) -> None:
    if context.penalties.passed(server):
        context.emit(Log("info", "server is back", {"realm": server.realm, "server": server_of(server)}))


def ask_whether_it_is_back(context: Context, uri: Uri, server: Flow, trunk: Trunk, now: Now) -> None:
    """One OPTIONS; until its outcome is known the server's penalty goes on, so that nobody has to find out with a call."""
    context.penalties.extend(server)
    if server.secure:
        context.peers.expect(uri.host, server)
    sent_by = context.sent_by(server, trunk)
    tag = context.ids.tag()
    request = Request.build(
        "OPTIONS",
        uri,
        via=sent_by.via(context.ids.branch()),
        from_=NameAddr("", Uri.sip(None, sent_by.host)).with_tag(tag),
        to=NameAddr("", uri),
        call_id=context.ids.call_id(),
        cseq=CSeq(1, "OPTIONS"),
        headers=(("Contact", sent_by.contact(tag, uri)), ("Accept", "application/sdp")),
    )
    context.transactions.client(sent(trunk, request), server, now, _Probe(context, server), trunk.timers)


class _Probe:
    """Owner of the OPTIONS. Whoever answers is there, even if it answers that it does not know OPTIONS; a 503 says that it is not."""

    __slots__ = ("_context", "_server")

    def __init__(self, context: Context, server: Flow) -> None:
        self._context = context
        self._server = server

    def receive_response(self, transaction: ClientTransaction, response: Response, now: Now) -> None:
        if response.status == 503:
            server_failed(self._context, self._server, now, seconds_of(response) or 0)
        elif response.status >= 200:
            server_answered(self._context, self._server)

    def transaction_failed(self, transaction: ClientTransaction, cause: Literal["timeout", "transport"], now: Now) -> None:
        server_failed(self._context, self._server, now)
