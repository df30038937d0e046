"""SIP statuses and Q.850 causes: RFC 3398 s7.2.4.1, s8.2.6.1, and what may be told to the other side."""

from __future__ import annotations

from collections.abc import Mapping

from sbc.call.crossing import read_answer
from sbc.call.words import Cause
from sbc.errors import ParseError
from sbc.frozen import replace
from sbc.policy.snapshot import Party, Route, Trunk, User
from sbc.sip.fields.call_info import CallInfo
from sbc.sip.fields.contact import Contact, parse_contacts
from sbc.sip.fields.reason import Reason, reasons_told
from sbc.sip.fields.retry_after import parse_retry_after
from sbc.sip.fields.tokens import parse_tokens
from sbc.sip.fields.warning import Warning
from sbc.sip.grammar import split_rows
from sbc.sip.message import Headers, Request, Response
from sbc.sip.names import (
    ALLOW_EVENTS,
    CALL_INFO,
    CONTACT,
    EXPIRES,
    MIN_EXPIRES,
    REASON,
    RECV_INFO,
    RETRY_AFTER,
    SIP_ETAG,
    WARNING,
    HeaderName,
)
from sbc.sip.status import REASONS

NORMAL_CLEARING = 16
NORMAL_UNSPECIFIED = 31  # "Any SIP status codes not listed below … should be mapping to cause code 31" (RFC 3398 s8.2.6.1)
NO_CIRCUIT = 34
BEARER_NOT_IMPLEMENTED = 65
MAX_CONTACTS = 10  # of one redirection; as many as an account may register

LIMIT_REACHED = 'Q.850;cause=34;text="limit"'
UNALLOCATED = 'Q.850;cause=1;text="Unallocated number"'

# 487 answers a CANCEL, hence 16; 607 and 608 are calls rejected (RFC 8197 s3, RFC 8688 s3). 488 and 606: see `q850_of`.
Q850_OF_STATUS: Mapping[int, int] = {
    400: 41, 401: 21, 402: 21, 403: 21, 404: 1, 405: 63, 406: 79, 407: 21, 408: 102, 410: 22, 413: 127, 414: 127,
    415: 79, 416: 127, 420: 127, 421: 127, 423: 127, 480: 18, 481: 41, 482: 25, 483: 25, 484: 28, 485: 1, 486: 17,
    487: 16, 500: 41, 501: 79, 502: 38, 503: 41, 504: 102, 505: 127, 513: 127, 600: 17, 603: 21, 604: 1, 607: 21, 608: 21,
}  # fmt: skip

STATUS_OF_Q850: Mapping[int, int] = {
    1: 404, 2: 404, 3: 404, 17: 486, 18: 408, 19: 480, 20: 480, 21: 403, 22: 410, 23: 410, 26: 404, 27: 502, 28: 484, 29: 501,
    31: 480, 34: 503, 38: 503, 41: 503, 42: 503, 47: 503, 55: 403, 57: 403, 58: 503, 65: 488, 70: 488, 79: 501, 87: 403,
    88: 503, 102: 504, 111: 500, 127: 500,
}  # fmt: skip
REJECTED = 21
BY_THE_USER = "U"  # location of a Reason (RFC 8606)

# RFC 3261 s20.43. The text of the peer may name anything of its side.
WARNINGS: Mapping[int, str] = {
    300: "Incompatible network protocol", 301: "Incompatible network address formats", 302: "Incompatible transport protocol",
    303: "Incompatible bandwidth units", 304: "Media type not available", 305: "Incompatible media format",
    306: "Attribute not understood", 307: "Session description parameter not understood", 330: "Multicast not available",
    331: "Unicast not available", 370: "Insufficient bandwidth", 380: "SIPS Not Allowed", 381: "SIPS Required",
}  # fmt: skip
OF_THE_BEARER = frozenset({304, 305, 306, 370})  # "speaks to an unavailable bearer capability" (RFC 3398 s8.2.6.1)
OUR_PSEUDONYM = "sbc"  # in the place of the host that warns (RFC 3261 s20.43)

# Said between us and one hop: the other leg never asked for any of this.
HOP_BY_HOP_STATUSES = frozenset({401, 407, 420, 421, 422, 423, 494, 503, 505, 513})
# Somebody decided that this call is not to reach the called number, by whatever way (RFC 8197, RFC 8688).
UNWANTED_STATUSES = frozenset({607, 608})


# From status to cause and back


def q850_of(cause: Cause) -> int:
    """The Q.850 value for the call record: told by the peer, else mapped from the status (RFC 3398 s8.2.6.1)."""
    if cause.q850 is not None:
        return cause.q850
    if cause.status < 300:
        return NORMAL_CLEARING
    status = recognised(cause.status)
    if status in (488, 606):  # "by Warning header"
        return BEARER_NOT_IMPLEMENTED if OF_THE_BEARER & set(_warned(cause.headers)) else NORMAL_UNSPECIFIED
    return Q850_OF_STATUS.get(status, NORMAL_UNSPECIFIED)


def status_of(cause: Cause) -> int:
    """The status of a call that was not answered but released (RFC 3398 s7.2.4.1); 480 when no cause was told."""
    if cause.q850 == REJECTED and any(_location(value) == BY_THE_USER for value in cause.reasons):
        return 603
    return STATUS_OF_Q850.get(cause.q850 or NORMAL_UNSPECIFIED, 480)


def recognised(status: int) -> int:
    """ "treat any final response it does not recognize as being equivalent to the x00 response code of that class"
    (RFC 3261 s8.1.3.2).
    """
    return status if status in REASONS else status // 100 * 100


def _warned(headers: tuple[tuple[str, str], ...]) -> list[int]:
    rows = [value[:3] for name, value in headers if HeaderName(name) == WARNING]
    return [int(code) for code in rows if code.isascii() and code.isdigit()]


def _location(value: str) -> str:
    try:
        return dict(Reason.parse(value).params).get("location") or ""
    except ParseError:
        return ""


# What a peer says


def cause_of_response(response: Response, party: Party) -> Cause:
    """What a final 3xx-6xx answer of `party` tells the other leg."""
    reasons = reasons_told(response.headers.all(REASON))
    headers, contacts, said = told_headers(response), contacts_of(response), read_answer(response, party)
    return Cause(response.status, response.reason, q850_told(reasons), reasons, headers, contacts, said=said)


# What an answer is not complete without: RFC 6086 s4.2.2, RFC 6665 s8.3.2, RFC 3261 s21.4.17.
NEEDED: Mapping[int, HeaderName] = {423: MIN_EXPIRES, 469: RECV_INFO, 489: ALLOW_EVENTS}


def told_headers(response: Response) -> tuple[tuple[str, str], ...]:
    """The few headers that cross with an answer."""
    if response.status < 300:
        # How long it lasts, and what it is called from now on (RFC 6665 s4.2.1.1, RFC 3903 s6)
        names = (EXPIRES, SIP_ETAG) if response.cseq.method in ("PUBLISH", "SUBSCRIBE") else ()
        return tuple([(name, value) for name in names if (value := response.headers.first(name)) is not None])
    headers = warnings_of(response.headers)
    if response.status in NEEDED:
        name = NEEDED[response.status]
        return (*headers, (name, ", ".join(parse_tokens(response.headers.all(name)))))
    if response.status in (404, 480, 486, 600, 603):
        return (*headers, *retry_after_of(response))
    return (*headers, *redress_of(response.headers)) if response.status == 608 else headers


def contacts_of(response: Response) -> tuple[Contact, ...]:
    """Where a redirection points to, by falling q (RFC 3261 s8.1.3.4). 305 and 380 ask for more than another number."""
    if response.status not in (300, 301, 302):
        return ()
    try:
        contacts = parse_contacts(response.headers.all(CONTACT)) or ()
    except ParseError:
        return ()
    return tuple(sorted(contacts, key=lambda contact: -contact.q)[:MAX_CONTACTS])


def cause_of_request(request: Request) -> Cause:
    """What a BYE or CANCEL tells the other leg (RFC 3326)."""
    reasons = reasons_told(request.headers.all(REASON))
    return Cause(200 if request.method == "BYE" else 487, "", q850_told(reasons), reasons)


def retry_after_of(response: Response) -> tuple[tuple[str, str], ...]:
    """The seconds alone: the comment behind them may name anything of that side."""
    seconds = seconds_of(response)
    return () if seconds is None else (("Retry-After", str(seconds)),)


def seconds_of(response: Response) -> int | None:
    """What its Retry-After says; None: it has none that could be read."""
    value = response.headers.first(RETRY_AFTER)
    try:
        return parse_retry_after(value) if value else None
    except ParseError:
        return None


def warnings_of(headers: Headers) -> tuple[tuple[str, str], ...]:
    """The codes, in our words and under our name. 399 is text alone, and has none."""
    rows = headers.all(WARNING)
    codes: dict[int, None] = {}
    for item in _items(rows):
        try:
            codes[Warning.parse(item).code] = None
        except ParseError:
            continue
    return tuple([(WARNING, str(Warning(code, OUR_PSEUDONYM, WARNINGS[code]))) for code in codes if code in WARNINGS])


def redress_of(headers: Headers) -> tuple[tuple[str, str], ...]:
    """Where a caller complains who was blocked: goes to the caller as it is (RFC 8688 s3.2)."""
    found = []
    for item in _items(headers.all(CALL_INFO)):
        try:
            if CallInfo.parse(item).purpose == "jwscard":
                found.append((CALL_INFO, item))
        except ParseError:
            continue
    return tuple(found)


def _items(rows: list[str]) -> list[str]:
    try:
        return split_rows(rows)
    except ParseError:
        return []


def q850_told(reasons: tuple[str, ...]) -> int | None:
    for value in reasons:
        reason = Reason.parse(value)
        if reason.protocol.upper() == "Q.850":
            return reason.cause
    return None


# What becomes of it


def is_network_blocked(cause: Cause) -> bool:
    """603+: blocked by analytics, told with a way to complain (ATIS-1000099): all three signs, or it is a plain 603."""
    return (
        cause.status == 603
        and cause.reason.casefold() == "network blocked"
        and any(Reason.parse(value).text.startswith("v=analytics1") for value in cause.reasons)
    )


def may_go_on(cause: Cause, route: Route) -> bool:
    """Whether the next target is tried. Whoever decided that the call is unwanted did so for all of them; only somebody
    who calls for help is tried on.
    """
    if not route.emergency and (is_network_blocked(cause) or cause.status in UNWANTED_STATUSES):
        return False
    return recognised(cause.status) in route.next_on or cause.status in route.next_on


def better(before: Cause, after: Cause) -> Cause:
    """What the caller is told after two attempts: "any 6xx", else the lowest class, a 503 last of all (RFC 3261 s16.7 step 6);
    of two that are as good, the later.
    """
    if _rank(before.status) >= _rank(after.status):
        return after
    return before if before.reasons else replace(before, reasons=after.reasons, q850=after.q850)


def _rank(status: int) -> int:
    if status >= 600:
        return 0
    if status in HOP_BY_HOP_STATUSES:  # 503 among them
        return 3
    return 2 if status >= 500 else 1


def taken_for(party: Party, cause: Cause) -> Cause:
    """An answer of `party` as its `responses_from` reads it."""
    instead = _translated(party.responses_from, cause) if isinstance(party, Trunk) else cause.status
    if instead == cause.status:
        return cause
    return replace(cause, status=instead, reason="", contacts=(), note=f"{cause.status} taken for {instead}")


def status_told(party: Party, cause: Cause) -> tuple[int, str]:
    """Status and phrase of a refusal as `party` gets them, by its `responses_to`."""
    instead = _translated(party.responses_to, cause) if isinstance(party, Trunk) else cause.status
    return (instead, "") if instead != cause.status else (cause.status, cause.reason)


def _translated(rules: Mapping[int, int], cause: Cause) -> int:
    return cause.status if not rules or is_network_blocked(cause) else rules.get(cause.status, cause.status)


def refusal_to_peer(cause: Cause) -> Cause:
    """The same cause as the other side may hear it (RFC 3261 s16.7: a 503 of one hop is not a 503 of ours)."""
    if (cause.by == "peer" and cause.status in HOP_BY_HOP_STATUSES) or (cause.status == 503 and not cause.out_of_service):
        return replace(cause, status=500, reason="", headers=())
    if cause.by == "peer" and cause.status == 430:  # of a flow between a proxy and a phone, which is none of the caller's (RFC 5626 s5.3)
        return replace(cause, status=480, reason="", headers=())
    if 300 <= cause.status < 400 and all(HeaderName(name) != CONTACT for name, _ in cause.headers):
        # A redirection names addresses of the far side, unless we have put ours there
        return replace(cause, status=480, reason="", headers=())
    return cause


def refusal_to_caller(cause: Cause, caller: Party) -> Cause:
    """The same when all ways were tried. That there is no room is told to phones otherwise: of a 503 they would say that we are broken."""
    if isinstance(caller, User) and cause.out_of_service and LIMIT_REACHED in cause.reasons and cause.status == 503:
        return replace(cause, status=480, reason="")
    return refusal_to_peer(cause)
