"""SIP statuses and Q.850 causes: RFC 3398 s7.2.6.1, s8.2.6.1, and what may be told to the other side."""

from __future__ import annotations

from collections.abc import Mapping

from sbc.call.words import Cause
from sbc.errors import ParseError
from sbc.sip.fields.contact import Contact, parse_contacts
from sbc.sip.fields.reason import Reason
from sbc.sip.fields.retry_after import parse_retry_after
from sbc.sip.fields.tokens import parse_tokens
from sbc.sip.message import Request, Response
from sbc.sip.names import ALLOW_EVENTS, CONTACT, EXPIRES, MIN_EXPIRES, REASON, RECV_INFO, RETRY_AFTER, SIP_ETAG, HeaderName

NORMAL_CLEARING = 16
MAX_CONTACTS = 10  # of one redirection; as many as an account may register

Q850_OF_STATUS: Mapping[int, int] = {
    400: 41, 401: 21, 402: 21, 403: 21, 404: 1, 405: 63, 406: 79, 407: 21, 408: 102, 410: 22, 413: 127, 414: 127,
    415: 79, 416: 127, 420: 127, 421: 127, 423: 127, 480: 18, 481: 41, 482: 25, 483: 25, 484: 28, 485: 1, 486: 17,
    487: 16, 488: 65, 500: 41, 501: 79, 502: 38, 503: 41, 504: 102, 505: 127, 513: 127, 600: 17, 603: 21, 604: 1, 606: 65,
}  # fmt: skip

STATUS_OF_Q850: Mapping[int, int] = {
    1: 404, 2: 404, 3: 404, 17: 486, 18: 408, 19: 480, 20: 480, 21: 403, 22: 410, 26: 404, 27: 502, 28: 484, 29: 501,
    31: 480, 34: 503, 38: 503, 41: 503, 42: 503, 47: 503, 55: 403, 57: 403, 58: 503, 65: 488, 70: 488, 79: 501, 87: 403,
    88: 503, 102: 504, 111: 500, 127: 500,
}  # fmt: skip

# Said between us and one hop: the other leg never asked for any of this.
HOP_BY_HOP_STATUSES = frozenset({401, 407, 420, 421, 422, 423, 494, 503, 505, 513})


def q850_of(cause: Cause) -> int:
    """The Q.850 value for the call record: told by the peer, else mapped from the status (RFC 3398)."""
    if cause.q850 is not None:
        return cause.q850
    if cause.status < 300:
        return NORMAL_CLEARING
    return Q850_OF_STATUS.get(cause.status, 127 if cause.status >= 500 else 31)


def cause_of_response(response: Response) -> Cause:
    """What a final 3xx-6xx answer tells the other leg."""
    reasons = tuple(response.headers.all(REASON))
    return Cause(response.status, response.reason, q850_told(reasons), reasons, told_headers(response), contacts_of(response))


# What an answer is not complete without: RFC 6086 s4.2.2, RFC 6665 s8.3.2, RFC 3261 s21.4.17.
NEEDED: Mapping[int, HeaderName] = {423: MIN_EXPIRES, 469: RECV_INFO, 489: ALLOW_EVENTS}


def told_headers(response: Response) -> tuple[tuple[str, str], ...]:
    """The few headers that cross with an answer."""
    if response.status < 300:
        # How long it lasts, and what it is called from now on (RFC 6665 s4.2.1.1, RFC 3903 s6)
        names = (EXPIRES, SIP_ETAG) if response.cseq.method in ("PUBLISH", "SUBSCRIBE") else ()
        return tuple([(name, value) for name in names if (value := response.headers.first(name)) is not None])
    if response.status in NEEDED:
        name = NEEDED[response.status]
        return ((name, ", ".join(parse_tokens(response.headers.all(name)))),)
    return retry_after_of(response) if response.status in (404, 480, 486, 600, 603) else ()


def contacts_of(response: Response) -> tuple[Contact, ...]:
    """Where a redirection points to, by falling q (RFC 3261 s8.1.3.4). 305 and 380 ask for more than another number."""
    if response.status not in (300, 301, 302):
        return ()
    try:
        contacts = parse_contacts(response.headers.all(CONTACT)) or ()
    except ParseError:
        return ()
    return tuple(sorted(contacts, key=lambda contact: -contact.q)[:MAX_CONTACTS])


def retry_after_of(response: Response) -> tuple[tuple[str, str], ...]:
    """The seconds alone: the comment behind them may name anything of that side."""
    value = response.headers.first(RETRY_AFTER)
    try:
        return (("Retry-After", str(parse_retry_after(value))),) if value else ()
    except ParseError:
        return ()


def cause_of_request(request: Request) -> Cause:
    """What a BYE or CANCEL tells the other leg (RFC 3326)."""
    reasons = tuple(request.headers.all(REASON))
    return Cause(200 if request.method == "BYE" else 487, "", q850_told(reasons), reasons)


def q850_told(reasons: tuple[str, ...]) -> int | None:
    for value in reasons:
        try:
            reason = Reason.parse(value)
        except ParseError:  # an optional header that is wrong is ignored, not fatal (RFC 3261 s8.2.2)
            continue
        if reason.protocol.upper() == "Q.850":
            return reason.cause
    return None


def refusal_to_peer(cause: Cause) -> Cause:
    """The same cause as the other side may hear it (RFC 3261 s16.7: a 503 of one hop is not a 503 of ours)."""
    status = cause.status
    if (cause.by == "peer" and status in HOP_BY_HOP_STATUSES) or (status == 503 and not cause.out_of_service):
        return Cause(500, "", cause.q850, cause.reasons, by=cause.by, note=cause.note)
    if 300 <= status < 400 and not cause.headers:  # a redirection names addresses of the far side, unless we have put ours there
        return Cause(480, "", cause.q850, cause.reasons, by=cause.by, note=cause.note)
    return cause
