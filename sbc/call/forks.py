"""The early dialogs that one INVITE of ours has made: one for each To tag (RFC 3261 s12.1.2, s13.2.2.4)."""

from __future__ import annotations

from sbc.errors import ParseError
from sbc.flow import Flow
from sbc.sdp.offer import Description, Mark
from sbc.sip.dialog import Dialog
from sbc.sip.fields.rack import parse_rseq
from sbc.sip.fields.tokens import parse_tokens
from sbc.sip.message import Request, Response
from sbc.sip.names import CONTACT, RECORD_ROUTE, REQUIRE, RSEQ

# Early dialogs of one INVITE. Every phone of a large hunt group is a few dozen at most; Kamailio forks to 12 branches, Max-Breadth
# starts at 60 (RFC 5393). Further forks ring all the same, but can neither be acknowledged nor bring early media.
MAX_FORKS = 60


class Fork:
    """One of them.

    media      where the exchange with it stands, while another fork has the leg
    described  what it said of itself
    told       what it knows of the caller
    settled    its answer came in a reliable response: both sides know of it, further offers may be made (RFC 3311 s5.1)
    rseq       of the last reliable response, None before the first
    owes       its reliable response with an offer, which our PRACK has to answer
    prack      our last one, for a response that is repeated
    """

    __slots__ = ("described", "dialog", "media", "owes", "prack", "rseq", "settled", "told")

    def __init__(self, dialog: Dialog, media: Mark, told: Description | None) -> None:
        self.dialog = dialog
        self.media = media
        self.told = told
        self.described: Description | None = None
        self.settled = False
        self.rseq: int | None = None
        self.owes: Response | None = None
        self.prack: tuple[bytes, Flow] | None = None


def rseq_of(response: Response) -> int | None:
    """The number of a reliable provisional response; None: it is none, or cannot be acknowledged (RFC 3262 s4)."""
    value = response.headers.first(RSEQ)
    if value is None or response.status == 100 or "100rel" not in parse_tokens(response.headers.all(REQUIRE)):
        return None
    try:
        return parse_rseq(value)
    except ParseError:
        return None


def dialog_of(request: Request, response: Response) -> tuple[Dialog, bool]:
    """The dialog a 2xx makes, and whether its Contact and Record-Route could be read.

    If not, the Request-URI stands in for them: even then the 2xx has to be acknowledged and its call ended.
    """
    try:
        return Dialog.from_response(request, response), True
    except ParseError:
        response.headers.remove(CONTACT)
        response.headers.remove(RECORD_ROUTE)
        return Dialog.from_response(request, response), False
