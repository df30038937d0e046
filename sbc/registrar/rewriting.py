"""What crosses between a phone that registers and the registrar behind us, and what stays behind."""

from __future__ import annotations

from sbc.call.context import SentBy
from sbc.errors import ParseError
from sbc.sip.fields.auth import Credentials
from sbc.sip.fields.contact import Contact
from sbc.sip.fields.nameaddr import NameAddr
from sbc.sip.grammar import format_params
from sbc.sip.message import Headers, Response
from sbc.sip.names import (
    AUTHENTICATION_INFO,
    AUTHORIZATION,
    MIN_EXPIRES,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    UNSUPPORTED,
    WWW_AUTHENTICATE,
    HeaderName,
)

HeaderRows = tuple[tuple[str, str], ...]

CHALLENGES = (WWW_AUTHENTICATE, PROXY_AUTHENTICATE)
CREDENTIALS = (AUTHORIZATION, PROXY_AUTHORIZATION)
FEATURE_CAPS = HeaderName("Feature-Caps")
TOLD = (FEATURE_CAPS, HeaderName("P-Associated-URI"))  # of a 200, and again with each one that we give without asking
TOLD_ONCE = (AUTHENTICATION_INFO, *CHALLENGES, MIN_EXPIRES, UNSUPPORTED)

# Of the Contact's URI: what names a device for those who push to it, or is its name everywhere (RFC 8599 s4, RFC 5627 s4)
URI_PARAMS = frozenset({"gr", "pn-provider", "pn-prid", "pn-param", "pn-purr"})
# Of the Contact: what a phone can do (RFC 3840 s9) and which flow it is. Others may be anything: one phone writes its password's hash
PARAMS = frozenset(
    {
        *("q", "reg-id", "audio", "automata", "class", "duplex", "data", "control", "mobility", "description", "events", "priority"),
        *("methods", "schemes", "application", "video", "language", "type", "isfocus", "actor", "text", "extensions"),
    }
)


def contact_of(contact: Contact, token: str, sent_by: SentBy, seconds: int) -> str:
    """The Contact as the registrar is told it: ours, with what the phone says of its abilities."""
    ours = NameAddr.parse(sent_by.contact(token, contact.uri)).uri
    uri = ours.with_(params=(*ours.params, *[item for item in contact.uri.params if item[0] in URI_PARAMS]))
    params = tuple([item for item in contact.address.params if item[0] in PARAMS or item[0].startswith("+")])
    return f"<{uri}>{format_params(params)};expires={seconds}"


def route_to_us(sent_by: SentBy, user: str = "", params: str = "") -> str:
    """A loose route to us, for a Path or a Service-Route."""
    uri = NameAddr.parse(sent_by.contact(user or "sbc")).uri
    return f"<{uri.with_(user=user or None)};lr{params}>"


def told(headers: Headers, names: tuple[HeaderName, ...]) -> HeaderRows:
    return tuple([(name, value) for name in names for value in headers.all(name)])


def credentials_of(headers: Headers) -> str:
    """Who it says it is, to whom, in answer to which challenge; "": nobody."""
    found = []
    for _, value in told(headers, CREDENTIALS):
        try:
            params = Credentials.parse(value).params
        except ParseError:
            return value
        found.append(" ".join([params.get(name, "") for name in ("username", "realm", "nonce")]))
    return "\n".join(found)


def granted_for(token: str, contacts: tuple[Contact, ...], default: int | None) -> int:
    """Seconds the registrar gave that Contact of ours: what it does not list it has not got."""
    for contact in contacts:
        if contact.uri.decoded_user == token:
            return (contact.expires if contact.expires is not None else default) or 0
    return 0


def is_refusal(response: Response) -> bool:
    """Of this REGISTER, by somebody who understood it; anything else says that there is nobody to ask right now."""
    return 400 <= response.status < 500 and response.status != 408


def was_wrong(headers: Headers, response: Response) -> bool:
    """Whether a registrar that answers so did not believe the credentials it was sent."""
    if response.status not in (401, 403, 407) or not credentials_of(headers):
        return False
    return not any("stale=true" in value.replace(" ", "").lower() for _, value in told(response.headers, CHALLENGES))
