"""What a policy's `headers` do to the messages of one party: ordered edits, compiled once. Pure.

What a party's message says is edited as soon as we know whose it is, before anything is read of it; what it is told is edited
last, after trust has decided what that is. What the dialog stands on is out of reach of every edit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal

from sbc.frozen import frozen
from sbc.policy.expression import expression
from sbc.sip.message import Headers, Request, Response
from sbc.sip.names import KNOWN, REMOTE_PARTY_ID, HeaderName

Verb = Literal["keep", "remove", "set", "add", "rename", "replace"]

# Who is in the dialog, by which way, and in which order; what the body is; who has proved itself; what a method is about.
FIXED = frozenset(
    map(
        HeaderName,
        (
            *("Via", "From", "To", "Call-ID", "CSeq", "Contact", "Route", "Record-Route", "Path", "Service-Route"),
            *("Max-Forwards", "Max-Breadth", "Timestamp", "Require", "Proxy-Require", "Unsupported", "Expires", "Min-Expires"),
            *("Content-Length", "Content-Type", "Content-Encoding", "Content-Disposition", "Content-ID", "Content-Language"),
            *("Content-Transfer-Encoding", "MIME-Version", "Authorization", "Proxy-Authorization", "WWW-Authenticate"),
            *("Proxy-Authenticate", "Authentication-Info", "RAck", "RSeq", "Event", "Subscription-State", "SIP-ETag", "SIP-If-Match"),
            *("Refer-To", "Refer-Sub", "Replaces", "Join", "Target-Dialog", "Info-Package"),
        ),
    )
)
# Taken away, they are as if they had never been said; any other value would be a lie, or break a signature (RFC 8224 s4.1).
TAKEN_AWAY = frozenset(
    map(
        HeaderName,
        (
            *("Identity", "Date", "Session-ID", "Session-Expires", "Min-SE", "Supported", "Allow", "Allow-Events", "Accept"),
            *("Accept-Encoding", "Accept-Language", "Recv-Info"),
        ),
    )
)
# Header fields that IANA has registered and nothing else here speaks of. Remote-Party-ID is of a draft that ended.
_REGISTERED = (
    *("Additional-Identity", "Answer-Mode", "Cellular-Network-Info", "DC-Info", "Feature-Caps", "Flow-Timer", "Geolocation-Error"),
    *("Origination-Id", "P-Answer-State", "P-Associated-URI", "P-Charging-Function-Addresses", "P-DCS-Billing-Info"),
    *("P-DCS-LAES", "P-DCS-OSPS", "P-DCS-Redirect", "P-DCS-Trace-Party-ID", "P-Early-Media", "P-Media-Authorization"),
    *("P-Private-Network-Indication", "P-Profile-Key", "P-Refused-URI-List", "P-Served-User", "P-User-Database"),
    *("Permission-Missing", "Policy-Contact", "Policy-ID", "Priority-Share", "Priority-Verstat", "Priv-Answer-Mode"),
    *("Relayed-Charge", "Reply-To", "Resource-Share", "Response-Source", "Restoration-Info", "Security-Client", "Security-Server"),
    *("Security-Verify", "Service-Interact-Info", "Suppress-If-Match", "Trigger-Consent"),
)
STANDARD: frozenset[str] = frozenset({*KNOWN.values(), *FIXED, *map(HeaderName, _REGISTERED)}) - {REMOTE_PARTY_ID}


@frozen
class Edit:
    """One line of a `headers` object.

    names, prefixes  keep: all other headers go; remove: these go
    rows             set, add: names and values; rename: old names and new ones
    header, pattern, instead   replace: of each row of it the first match
    methods          of the messages it is for; none: of all
    source, line     as the policy says it, and where
    """

    verb: Verb
    names: frozenset[str] = frozenset()
    prefixes: tuple[str, ...] = ()
    rows: tuple[tuple[str, str], ...] = ()
    header: str = ""
    pattern: str = ""
    instead: str = ""
    methods: frozenset[str] = frozenset()
    source: str = ""
    line: str = ""

    def apply(self, headers: Headers) -> None:
        APPLY[self.verb](self, headers)


@frozen
class Edits:
    """Of one party: what happens to what it says, and to what it is told."""

    requests_in: tuple[Edit, ...] = ()
    responses_in: tuple[Edit, ...] = ()
    requests_out: tuple[Edit, ...] = ()
    responses_out: tuple[Edit, ...] = ()

    def heard_request(self, request: Request) -> Request:
        """A copy: what was received is what was received, for whoever keeps it."""
        edits = self.requests_in
        return request.with_headers(_edited(request.headers, edits, request.method)) if edits else request

    def heard(self, response: Response) -> Response:
        edits = self.responses_in
        return response.with_headers(_edited(response.headers, edits, response.cseq.method)) if edits else response

    def sent_request(self, request: Request) -> None:
        _edit(request.headers, self.requests_out, request.method)

    def sent(self, response: Response) -> None:
        """100 is said hop by hop, and stays as it is."""
        if response.status > 100:
            _edit(response.headers, self.responses_out, response.cseq.method)


@frozen
class Step:
    """What one edit has done: the rows that went and those that came, as they stand in a message."""

    source: str
    line: str
    before: tuple[str, ...]
    after: tuple[str, ...]


def steps(edits: Iterable[Edit], message: Request | Response) -> tuple[Step, ...]:
    """What each of `edits` would do to `message`, which stays as it is: those that are for its method, in order."""
    headers = message.headers.copy()
    found = []
    for edit in edits:
        if edit.methods and message.cseq.method not in edit.methods:
            continue
        before = _written(headers)
        edit.apply(headers)
        after = _written(headers)
        found.append(Step(edit.source, edit.line, _without(before, after), _without(after, before)))
    return tuple(found)


def _edited(headers: Headers, edits: tuple[Edit, ...], method: str) -> Headers:
    copied = headers.copy()
    _edit(copied, edits, method)
    return copied


def _edit(headers: Headers, edits: tuple[Edit, ...], method: str) -> None:
    for edit in edits:
        if not edit.methods or method in edit.methods:
            edit.apply(headers)


def _keep(edit: Edit, headers: Headers) -> None:
    for name in {name for name, _ in headers.pairs()}:
        if name not in edit.names and name not in FIXED and name not in TAKEN_AWAY and not _begins(name, edit.prefixes):
            headers.remove(name)


def _remove(edit: Edit, headers: Headers) -> None:
    for name in {name for name, _ in headers.pairs()}:
        if (name in edit.names or _begins(name, edit.prefixes)) and name not in FIXED:
            headers.remove(name)


def _begins(name: str, prefixes: tuple[str, ...]) -> bool:
    return bool(prefixes) and name.startswith(prefixes)


def _set(edit: Edit, headers: Headers) -> None:
    for name, value in edit.rows:
        headers.set(name, value)


def _add(edit: Edit, headers: Headers) -> None:
    for name, value in edit.rows:
        headers.add(name, value)


def _rename(edit: Edit, headers: Headers) -> None:
    for old, new in edit.rows:
        values = headers.all(old)
        headers.remove(old)
        for value in values:
            headers.add(new, value)


def _replace(edit: Edit, headers: Headers) -> None:
    """A row of which nothing is left goes."""
    values = headers.all(edit.header)
    replaced = [expression(edit.pattern, edit.instead).replace(value) for value in values]
    if replaced == values:
        return
    headers.remove(edit.header)
    for value in replaced:
        if value.strip():
            headers.add(edit.header, value)


APPLY: Mapping[str, Callable[[Edit, Headers], None]] = {
    "keep": _keep,
    "remove": _remove,
    "set": _set,
    "add": _add,
    "rename": _rename,
    "replace": _replace,
}


def _written(headers: Headers) -> list[str]:
    return [f"{name.prefix}{value}" for name, value in headers.pairs()]


def _without(rows: list[str], others: list[str]) -> tuple[str, ...]:
    left = others.copy()
    found = []
    for row in rows:
        if row in left:
            left.remove(row)
        else:
            found.append(row)
    return tuple(found)
