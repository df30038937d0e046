"""What crosses of requests that are no calls: MESSAGE (RFC 3428), PUBLISH (RFC 3903), SUBSCRIBE and NOTIFY (RFC 6665)."""

from __future__ import annotations

from sbc.call.asking import Crossing
from sbc.call.bridge import Invitation, from_of, host_told, rows_of, to_of
from sbc.call.causes import refusal_to_peer
from sbc.call.context import SentBy
from sbc.call.editing import sent
from sbc.call.words import Cause
from sbc.errors import SipError
from sbc.policy.snapshot import Party
from sbc.sip.fields.cseq import CSeq
from sbc.sip.fields.event import Event
from sbc.sip.message import Request
from sbc.sip.names import (
    ACCEPT,
    CONTENT_DISPOSITION,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_TYPE,
    EVENT,
    EXPIRES,
    SIP_IF_MATCH,
    SUBJECT,
    HeaderName,
)
from sbc.sip.quality_report import PACKAGE
from sbc.sip.uri import Uri

MAX_BODY = 32_768  # a long SMS has 1,530 octets, a location 2,000, the state of 50 lines 20,000; more belongs into a session (RFC 3428 s8)
HeaderRows = tuple[tuple[str, str], ...]
CONTENT = (CONTENT_TYPE, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE)
CROSSING: dict[str, tuple[HeaderName, ...]] = {
    "MESSAGE": (*CONTENT, EXPIRES, SUBJECT),
    "PUBLISH": (*CONTENT, EXPIRES, SIP_IF_MATCH),
    "SUBSCRIBE": (*CONTENT, EXPIRES, ACCEPT),
    "NOTIFY": CONTENT,
}


def event_of(request: Request, party: Party) -> Event:
    """Raises SipError 489, with what would be taken, for an event that is not the party's (RFC 6665 s4.1.3, RFC 3903 s6)."""
    event = Event.parse(request.headers.first(EVENT) or "")
    if event.package not in party.services.events:
        known = dict.fromkeys((*party.services.events, PACKAGE) if request.method == "PUBLISH" else party.services.events)
        raise SipError(status=489, reason="Bad Event", headers=(("Allow-Events", ", ".join(known)),))
    return event


def may_take(party: Party, request: Request) -> bool:
    """Whether the policy lets the far party have it."""
    if request.method == "MESSAGE":
        return party.services.messages
    return Event.parse(request.headers.first(EVENT) or "").package in party.services.events


def crossing_rows(request: Request) -> tuple[tuple[str, str], ...]:
    """The event with its id alone: other parameters name dialogs of the other side (RFC 4235 s3.2)."""
    rows = [(name, value) for name in CROSSING[request.method] for value in request.headers.all(name)]
    if request.method != "MESSAGE":
        event = Event.parse(request.headers.first(EVENT) or "")
        rows.append((EVENT, f"{event.package};id={event.id}" if event.id else event.package))
    return tuple(rows)


def crossing_message(request: Request, party: Party) -> Crossing:
    """What crosses of a MESSAGE within a call. Raises SipError 413."""
    check_size(request)
    return Crossing(crossing_rows(request), request.body)


def check_size(request: Request) -> None:
    if len(request.body) > MAX_BODY:
        raise SipError(status=413, reason="Request Entity Too Large")


def far_request(
    request: Request,
    invitation: Invitation,
    party: Party,
    uri: Uri,
    sent_by: SentBy,
    branch: str,
    call_id: str,
    tag: str,
    headers: HeaderRows,
) -> Request:
    """The same outside of dialogs, to the far party: only what may cross, all identifiers ours."""
    host = host_told(party, sent_by.host)
    made = Request.build(
        request.method,
        uri,
        via=sent_by.via(branch),
        from_=from_of(invitation, party, host, tag),
        to=to_of(uri),
        call_id=call_id,
        cseq=CSeq(1, request.method),
        max_forwards=invitation.max_forwards,
        headers=(*headers, *rows_of(invitation, party, host), *crossing_rows(request)),
        body=request.body,
    )
    return sent(party, made)


def told_of(cause: Cause) -> Cause:
    """The far party's answer as the near one may hear it; how long things may last is a matter of those two."""
    return cause if cause.status == 423 and cause.headers else refusal_to_peer(cause)
