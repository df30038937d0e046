"""Quality of a call as its parties report it (RFC 6035): for its record while it lasts, for the log afterwards."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from media.api import Side
from sbc.clock import Ids, Now
from sbc.effects import Log
from sbc.errors import SipError
from sbc.policy.snapshot import Party
from sbc.sip.fields.content import MediaType
from sbc.sip.fields.event import Event
from sbc.sip.fields.expires import expires
from sbc.sip.message import Request
from sbc.sip.names import CONTENT_TYPE, EVENT, SIP_IF_MATCH
from sbc.sip.quality_report import PACKAGE, TYPE, QualityReport
from sbc.tap import Answered, unrecorded

if TYPE_CHECKING:
    from sbc.call.leg import Leg

MAX_BODY = 8192  # octets; with both ends and all lines a report has 2,000
KEPT_S = 60.0  # after a call: phones report when they have hung up, some of them half a minute later
MAX_KEPT = 10_000  # calls that are over: a minute of 160 a second
LONGEST_EXPIRES_S = 3600


class Heard:
    """What is known of one call: the Call-IDs it has, and what each side ("a", "b") reported last."""

    __slots__ = ("call_ids", "is_over", "reports")

    def __init__(self) -> None:
        self.call_ids: list[str] = []
        self.reports: dict[str, dict[str, object]] = {}
        self.is_over = False


class VoiceReports:
    """Reports by call. Only the peer of a leg is heard about it."""

    def __init__(self, answered: Answered = unrecorded) -> None:
        self._calls: dict[str, Heard] = {}  # by our identifier
        self._legs: dict[str, tuple[str, Side, str]] = {}  # Call-ID -> call, side, party
        self._over: deque[tuple[float, str]] = deque()
        self.reported = answered(self._reported)

    def watch(self, call: str, leg: Leg) -> None:
        """`leg` is one of that call's from now on."""
        if leg.dialog is not None:
            call_id = leg.dialog.call_id
            self._calls.setdefault(call, Heard()).call_ids.append(call_id)
            self._legs[call_id] = call, leg.side, leg.party.name

    def _reported(self, call: str, now: Now) -> dict[str, dict[str, object]] | None:
        """What the sides of a call reported, for its record: it is over."""
        heard = self._calls.get(call)
        if heard is None:
            return None
        heard.is_over = True
        self._over.append((now.monotonic + KEPT_S, call))
        while len(self._over) > MAX_KEPT or self._over[0][0] <= now.monotonic:
            self._forget(self._over.popleft()[1])
        return heard.reports or None

    def _forget(self, call: str) -> None:
        heard = self._calls.pop(call, None)
        for call_id in heard.call_ids if heard is not None else ():
            if self._legs.get(call_id, ("",))[0] == call:
                del self._legs[call_id]

    def take(self, party: Party, request: Request) -> Log | None:
        """A PUBLISH of `party`. None: it stands in the record of its call. Raises SipError 400, 412, 413, 415."""
        if SIP_IF_MATCH in request.headers:  # each report is a thing by itself, and none is kept as it came
            raise SipError(status=412, reason="Conditional Request Failed")
        if len(request.body) > MAX_BODY:
            raise SipError(status=413, reason="Request Entity Too Large")
        if MediaType.parse(request.headers.first(CONTENT_TYPE) or TYPE).name != TYPE:
            raise SipError(status=415, reason="Unsupported Media Type", headers=(("Accept", TYPE),))
        report = QualityReport.parse(request.body)
        call, side, name = self._legs.get(report.call_id, ("", Side.A, ""))
        if name != party.name:
            return Log("info", "quality reported", {"party": party.name, "call_id": report.call_id, **report.figures})
        if not self._calls[call].is_over:
            self._calls[call].reports[side.value] = report.figures
            return None
        return Log("info", "quality reported", {"call": call, "side": side.value, "party": party.name, **report.figures})


def is_for_us(request: Request, party: Party) -> bool:
    """A report that the policy passes to nobody is taken here. Raises SipError 400 for a malformed Event."""
    return PACKAGE not in party.services.events and Event.parse(request.headers.first(EVENT) or "").package == PACKAGE


def accepted(request: Request, ids: Ids) -> tuple[tuple[str, str], ...]:
    """Headers of the 200 (RFC 3903 s6). The tag names nothing that could be changed afterwards."""
    asked = expires(request.headers)
    granted = LONGEST_EXPIRES_S if asked is None else min(asked, LONGEST_EXPIRES_S)
    return ("SIP-ETag", ids.tag()), ("Expires", str(granted))
