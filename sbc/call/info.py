"""INFO (RFC 6086) crosses to the other leg: the legacy kinds, and the Info Packages the policy names."""

from __future__ import annotations

from media.api import KEYPAD
from sbc.call.abilities import methods_of, recv_info
from sbc.call.asking import Crossing
from sbc.call.words import Asked, Cause
from sbc.errors import SipError
from sbc.policy.snapshot import Party
from sbc.sdp.text import is_number
from sbc.sip.fields.content import MediaType
from sbc.sip.fields.info_package import parse_info_package
from sbc.sip.message import Request
from sbc.sip.names import CONTENT_DISPOSITION, CONTENT_TYPE, INFO_PACKAGE

# What INFO was used for before it had packages, and is still sent without one (RFC 6086 s9): digits, and "send me a key frame".
LEGACY = (
    "application/dtmf",
    "application/dtmf-relay",
    "application/media_control+xml",
    "application/vnd.nortelnetworks.digits",
)
SIGNS_OF_DIGITS = (b"dtmf", b"nortelnetworks.digits")  # all kinds of digits in INFO have one of these in their name
MAX_BODY = 16_384  # digits take 30 octets, a key frame request 200; RFC 6086 s8.2 wants bulk elsewhere


def crossing_info(request: Request, party: Party) -> Crossing | None:
    """What crosses of an INFO of `party`; None for an empty one, which asks nothing (RFC 2976 s2.2).

    Raises SipError: 469 with Recv-Info for a package that may not pass, 415 with Accept for an unknown legacy kind, 413.
    """
    if len(request.body) > MAX_BODY:
        raise SipError(status=413, reason="Request Entity Too Large")
    name = request.headers.first(INFO_PACKAGE)
    content_type = request.headers.first(CONTENT_TYPE) or ""
    if name is not None:
        if parse_info_package(name) not in party.services.info_packages:
            raise bad_package(party)
    elif not request.body:
        return None
    elif MediaType.parse(content_type).name not in LEGACY:
        raise SipError(status=415, reason="Unsupported Media Type", headers=(("Accept", ", ".join(LEGACY)),))
    crossing = (INFO_PACKAGE, CONTENT_TYPE, CONTENT_DISPOSITION)
    return Crossing(tuple((header, value) for header in crossing if (value := request.headers.first(header))), request.body)


def may_hear(party: Party, word: Asked) -> Cause | None:
    """None: what the far peer asks may be put to `party`."""
    if word.method not in methods_of(party):
        return Cause(403, by="sbc", note=f"no {word.method} for {party.name}")
    package = next((value for name, value in word.headers if name == INFO_PACKAGE), None)
    if package is not None and parse_info_package(package) not in party.services.info_packages:
        refused = bad_package(party)
        return Cause(refused.status, headers=refused.headers, by="sbc", note="Info Package")
    return None


def carries_digits(word: Asked) -> bool:
    """Whether it says which keys were pressed, in a package or without, alone or as one part of several."""
    if word.method != "INFO":
        return False
    text = b" ".join([*(value.encode() for _, value in word.headers), word.body]).lower()
    return any(sign in text for sign in SIGNS_OF_DIGITS)


def key_of(text: str) -> str | None:
    """The key that stands there: itself, or the number of its event (RFC 4733 s3.2), as many write it. None: that is no key."""
    key = text.strip().upper()
    if len(key) == 2 and is_number(key, 2) and int(key) < len(KEYPAD):
        return KEYPAD[int(key)]
    return key if key in KEYPAD else None


def bad_package(party: Party) -> SipError:
    """The refusal names the packages that would be taken (RFC 6086 s4.2.2)."""
    return SipError(status=469, reason="Bad Info Package", headers=recv_info(party))
