"""What becomes of a transfer, told by NOTIFY with the first line of an answer (RFC 3515 s2.4.4, s2.4.5)."""

from __future__ import annotations

from typing import Literal

from sbc.call.asking import Crossing
from sbc.call.usage import Usage
from sbc.call.words import Asked
from sbc.clock import Now
from sbc.errors import ParseError, SipError
from sbc.policy.snapshot import Party
from sbc.sip.fields.event import Event
from sbc.sip.fields.subscription_state import SubscriptionState
from sbc.sip.message import Request, Response
from sbc.sip.names import EVENT, SUBSCRIPTION_STATE
from sbc.sip.status import reason_phrase
from sbc.sip.transactions import ClientTransaction

SIPFRAG = "message/sipfrag;version=2.0"
REPORTED_FOR_S = 600  # told to the referrer: longer than anything rings, and the last report ends it anyway
MAX_REPORTED = 8  # transfers of one leg whose reports may still come; a person makes one at a time


class Reported:
    """The transfers one leg's peer was asked for: its reports name our REFER, whoever wanted it knows its own."""

    __slots__ = ("_wishes",)

    def __init__(self) -> None:
        self._wishes: dict[int, int] = {}  # CSeq of our REFER -> of the one we got

    def expect(self, ours: int, theirs: int) -> None:
        self._wishes[ours] = theirs
        if len(self._wishes) > MAX_REPORTED:
            del self._wishes[next(iter(self._wishes))]

    def crossing(self, request: Request, party: Party) -> Crossing | None:
        """What crosses of a report: state and status line. Raises SipError: 489 for other events, 481 for one nobody waits for."""
        event = Event.parse(request.headers.first(EVENT) or "")
        if event.package != "refer":
            raise SipError(status=489, reason="Bad Event", headers=(("Allow-Events", "refer"),))
        # "the first REFER … MAY be included, the others' id MUST" (RFC 3515 s2.4.6)
        ours = int(event.id) if event.id.isdecimal() and event.id.isascii() else next(iter(self._wishes), 0)
        theirs = self._wishes.get(ours)
        if theirs is None:
            raise SipError(status=481, reason="Subscription Does Not Exist")
        state = SubscriptionState.parse(request.headers.first(SUBSCRIPTION_STATE) or "")
        if state.terminated:
            del self._wishes[ours]
        rows = (("Event", f"refer;id={theirs}"), ("Subscription-State", str(state.told)), ("Content-Type", SIPFRAG))
        return Crossing(rows, status_line(request.body))


def status_line(fragment: bytes) -> bytes:
    """The first line of a fragment, written anew: anything else in it speaks of the other side. ParseError when it is none."""
    words = fragment.partition(b"\r\n")[0].decode("ascii", "replace").split(" ", 2)
    if len(words) < 2 or words[0].upper() != "SIP/2.0" or not (len(words[1]) == 3 and words[1].isdecimal() and words[1].isascii()):
        raise ParseError("no status line in a report")
    status = int(words[1])
    if not 100 <= status < 700:
        raise ParseError("no status in a report")
    return f"SIP/2.0 {status} {reason_phrase(status)}\r\n".encode()


class Reports:
    """Ours to a referrer, in the dialog its REFER came by; that goes on when the call in it has ended (RFC 5057 s4.1)."""

    def __init__(self, leg: Usage, cseq: int, max_forwards: int, now: Now) -> None:
        self._leg = leg
        self._cseq = cseq
        self._max_forwards = max_forwards
        self._told = 0
        self.say(100, now)

    def say(self, status: int, now: Now) -> None:
        """Each status once; a final one is the last."""
        if status == self._told or self._told >= 200:
            return
        self._told = status
        state = f"active;expires={REPORTED_FOR_S}" if status < 200 else "terminated;reason=noresource"
        headers = (("Event", f"refer;id={self._cseq}"), ("Subscription-State", state), ("Content-Type", SIPFRAG))
        body = f"SIP/2.0 {status} {reason_phrase(status)}\r\n".encode()
        self._leg.dispatch(self._leg.asking(Asked("NOTIFY", self._max_forwards, headers, body, _unasked)), now, self)

    def receive_response(self, transaction: ClientTransaction, response: Response, now: Now) -> None:
        if response.status >= 300:
            self._told = 200  # whoever does not want to hear it is not told any more (RFC 6665 s4.2.2)

    def transaction_failed(self, transaction: ClientTransaction, cause: Literal["timeout", "transport"], now: Now) -> None:
        self._told = 200


def _unasked(cause: object, now: Now) -> None:
    """Nobody waits for the answer to a report."""
