"""A carrier's challenge to a request of ours is answered with what the policy has for it (RFC 3261 s22.2, s22.3)."""

from __future__ import annotations

from collections.abc import Callable

from sbc.call.context import Context
from sbc.clock import Now
from sbc.policy.snapshot import Credentials, Party, Trunk
from sbc.sip.dialog import Dialog
from sbc.sip.message import Request, Response
from sbc.sip.names import AUTHORIZATION, PROXY_AUTHORIZATION
from sbc.sip.prover import Prover
from sbc.sip.transactions import Again

CREDENTIALS_ROOM = 400  # octets that a challenge makes of a request more: a SHA-256 answer with a nonce of 100 has 330

HeaderRows = tuple[tuple[str, str], ...]


class Answering:
    """Of one request. In a dialog its next number is used up; `note` is told the credentials it goes with."""

    __slots__ = ("_context", "_dialog", "_note", "_prover")

    def __init__(
        self, context: Context, credentials: Credentials, dialog: Dialog | None, note: Callable[[HeaderRows], None] | None
    ) -> None:
        self._context = context
        self._dialog = dialog
        self._note = note
        self._prover = Prover(credentials.user, credentials.password, context.ids.random)

    def __call__(self, request: Request, response: Response, now: Now) -> Request | None:
        if not self._prover.learn(response):
            return None
        number = request.cseq.number + 1
        if self._dialog is not None:
            number = self._dialog.local_cseq = max(number, self._dialog.local_cseq + 1)
        again = self._prover.again(request, number, self._context.ids.branch())
        if self._note is not None:
            self._note(proof_of(again))
        return again


def answering(
    context: Context, party: Party, dialog: Dialog | None = None, note: Callable[[HeaderRows], None] | None = None
) -> Again | None:
    """For the next request to `party`; None: there is nothing to answer its challenges with."""
    credentials = party.credentials if isinstance(party, Trunk) else None
    return Answering(context, credentials, dialog, note) if credentials is not None else None


def room_for_credentials(party: Party) -> int:
    """Octets that a request to `party` may still grow by."""
    return CREDENTIALS_ROOM if isinstance(party, Trunk) and party.credentials is not None else 0


def proof_of(request: Request) -> HeaderRows:
    """The credentials of a request: the ACK of its 2xx has them, too (RFC 3261 s22.1)."""
    return tuple([(name, value) for name in (AUTHORIZATION, PROXY_AUTHORIZATION) for value in request.headers.all(name)])
