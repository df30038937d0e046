"""Addresses on their way from leg to leg: who, without where. The host of one side never shows on the other."""

from __future__ import annotations

import re
from urllib.parse import quote

from sbc.errors import SipError
from sbc.policy.decide import dialled, normalise
from sbc.policy.snapshot import NumberTable, Party
from sbc.sip.fields.nameaddr import NameAddr
from sbc.sip.grammar import Params
from sbc.sip.uri import Uri

ANONYMOUS_HOST = "anonymous.invalid"  # RFC 3323 s4.1.1.3: an anonymous caller has no domain to hide
USER_PHONE = ("user", "phone")
ANONYMOUS = NameAddr("Anonymous", Uri.sip("anonymous", ANONYMOUS_HOST))

# What a verification service says of the caller's number (3GPP TS 24.229 s7.2A.20); carriers add the attestation.
_verstat = re.compile(r"(?:TN-Validation-Passed|TN-Validation-Failed|No-TN-Validation)(?:-[ABC])?", re.IGNORECASE).fullmatch
# RFC 4694 s4: digits of a routing number may be hexadecimal; its context is the beginning of a global number, or a domain.
PORTABILITY = {
    "npdi": re.compile("").fullmatch,
    "rn": re.compile(r"\+?[0-9A-Fa-f.\-]{1,32}").fullmatch,
    "rn-context": re.compile(r"\+?[0-9A-Za-z.\-]{1,64}").fullmatch,
}
_needs_no_escape = re.compile(r"[+A-Za-z0-9_.\-]*+").fullmatch


def user_part(text: str) -> str:
    """A number or name as the user part of a URI: whatever would end it early is escaped (RFC 3261 s19.1.2)."""
    return text if _needs_no_escape(text) else quote(text, safe="-_.!~*'()&=+$,/")


def is_anonymous(uri: Uri) -> bool:
    """Nobody: the host of RFC 3323, or the user part that equipment without it writes."""
    return uri.host == ANONYMOUS_HOST or (uri.user or "").lower() == "anonymous"


def neutral(address: NameAddr, party: Party) -> NameAddr | None:
    """What `party` wrote, its number normalised as a called one would be, without host, header parameters and URI headers.

    None: not the address of anybody we could name.
    """
    uri = address.uri
    if uri.scheme not in ("sip", "sips", "tel"):
        return None
    if is_anonymous(uri):
        return ANONYMOUS
    try:
        number = normalise(party, dialled(uri))
    except SipError:
        return None
    verstat = verstat_of(uri) if party.headers.trusted else ""
    return NameAddr(address.display, numbered(number, verstat, uri.scheme))


def numbered(number: str, verstat: str = "", scheme: str = "sip") -> Uri:
    """The host-less URI of a normalised number or a name. Only a global number can do without a host (RFC 3966 s5.1.4)."""
    if not number.startswith("+"):
        return Uri.sip(user_part(number), "")
    if scheme == "tel":
        return Uri("tel", number, params=(("verstat", verstat),) if verstat else ())
    return Uri.sip(number + (f";verstat={verstat}" if verstat else ""), "", params=(USER_PHONE,))


def placed(address: NameAddr, host: str) -> NameAddr:
    """A neutral address with the host that this side knows: ours."""
    uri = address.uri
    if uri.host or uri.scheme == "tel":
        return address
    return NameAddr(address.display, Uri(uri.scheme, uri.user, None, host, None, uri.params, uri.headers), address.params)


def shown(address: NameAddr, party: Party, host: str) -> NameAddr:
    """A neutral address as `party` wants to see people, at its domain; else at `host`, ours on that side."""
    presents = party.headers.presents
    if presents is None or address.uri.host:
        return placed(address, host)
    name = address.display if presents.names else ""
    uri, host = address.uri, presents.domain or host
    number, mark, rest = (uri.user or "").partition(";")
    if not number.startswith("+"):
        return placed(NameAddr(name, uri, address.params), host)
    written = as_written(number, presents.callers)
    params = uri.params
    if uri.scheme == "tel":
        if written == number and presents.user_phone is None:
            return NameAddr(name, uri, address.params)
        params = (*params, USER_PHONE)  # only a global number can do without a host (RFC 3966 s5.1.4)
    if presents.user_phone is False:
        params = tuple([item for item in params if item != USER_PHONE])
    elif presents.user_phone and USER_PHONE not in params:
        params = (*params, USER_PHONE)
    return NameAddr(name, Uri("sip", f"{written}{mark}{rest}", None, host, None, params, uri.headers), address.params)


def called_at(party: Party, called: str, ported: str = "") -> tuple[str, Params]:
    """User part and parameters of the URI of a normalised number or name, as `party` is to be asked for it."""
    presents = party.headers.presents
    if not called.startswith("+"):
        return user_part(called), ()
    ported = ported if party.headers.trusted else ""
    if presents is None:
        return called + ported, ()
    return as_written(called, presents.called) + ported, (USER_PHONE,) if presents.user_phone else ()


def ported_of(uri: Uri) -> str:
    """What a URI says of the number's portability (RFC 4694), as it stands behind the number: `;npdi;rn=+12025550100`; "" mostly."""
    found = uri.params if uri.scheme == "tel" else _params(uri.user)
    known = [(name, value) for name, value in found if name in PORTABILITY and PORTABILITY[name](value or "")]
    return "".join([f";{name}={value}" if value else f";{name}" for name, value in known])


def as_written(number: str, table: NumberTable) -> str:
    """A number in E.164 as somebody wants it on the wire."""
    for prefix, instead in table:
        if number.startswith(prefix):
            return instead + number[len(prefix) :]
    return number


def verstat_of(uri: Uri) -> str:
    """The value of `verstat`, which stands behind the number or, of a SIP URI, also behind the host; "" if there is none."""
    user = _params(uri.user) if uri.scheme != "tel" else ()
    for name, value in (*user, *uri.params):
        if name == "verstat" and _verstat(value or ""):
            return value or ""
    return ""


def _params(user: str | None) -> Params:
    """`+1202;verstat=X` may ride in the user part (RFC 3261 s19.1.6)."""
    pairs = [item.partition("=") for item in (user or "").split(";")[1:]]
    return tuple([(name.lower(), value) for name, _, value in pairs])
