"""What a recording must not tell: keys are replaced, each one everywhere by the same other key; answers to password challenges
and digits that are dialled within a call (numbers of cards, codes of mailboxes) are blanked.

All of it leaves the length, and with it all that the core makes of a message, as it was.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Callable

from sbc import native
from sbc.call.info import SIGNS_OF_DIGITS, key_of

KEY = re.compile(rb"inline:([A-Za-z0-9+/]+)", re.IGNORECASE)  # RFC 4568 s9.1; what follows is no key
DIGEST = re.compile(rb'(\bresponse[ \t\r\n]*=[ \t\r\n]*"?)([0-9a-f]+)', re.IGNORECASE)  # RFC 7616 s3.4: open to a search for the password
BASIC = re.compile(rb"(\bbasic[ \t\r\n]+)([A-Za-z0-9+/=._~-]+)", re.IGNORECASE)
DIGITS = re.compile(rb"^(?:content-type|c)[ \t]*:\s*application/(?:dtmf|dtmf-relay|vnd\.nortelnetworks\.digits)[ \t]*[;\r]", re.I | re.M)
LINE_OF_DIGITS = re.compile(rb"^(?![ \t]*duration)([^=\r\n]*=)?([^\r\n]+)", re.I | re.M)  # "Signal=5", or "5" alone
KEY_OF_A_PHONE = re.compile(rb"[0-9A-D*#]", re.IGNORECASE)  # RFC 4733 s3.2
SECRET = 32  # octets
LONGEST_KEY = 64  # octets; RFC 6188 s4 has the longest in use, 46


SIGNS_OF_KEYS = (b"inline:",)
SIGNS_OF_PASSWORDS = (b"authorization",)
SIGNS = (*SIGNS_OF_KEYS, *SIGNS_OF_PASSWORDS, *SIGNS_OF_DIGITS)  # what has none of these has nothing to hide


def holds_any(octets: bytes, signs: tuple[bytes, ...], start: int) -> bool:
    folded = octets[start:].lower()
    return any(sign in folded for sign in signs)


HOLDS_ANY = native.signs_finder() or holds_any


def may_hold_any(octets: bytes, start: int) -> bool:
    """Whether there may be secrets in many messages, which begin there: in those of most calls there are none."""
    return HOLDS_ANY(octets, SIGNS, start)


class Secrets:
    """`draw` gives random octets: with some that nobody knows any more once the recording is written keys are replaced. None: they stay."""

    def __init__(self, draw: Callable[[int], bytes] | None) -> None:
        self._draw = draw
        self._secret = b""

    def key(self, master: bytes) -> bytes:
        """Another key of that length, LONGEST_KEY at most."""
        if self._draw is None:
            return master
        if not self._secret:  # most calls have no key
            self._secret = self._draw(SECRET)
        return hmac.digest(self._secret, master, "sha512")[: len(master)]

    def octets(self, message: bytes) -> bytes:
        """A message without its secrets."""
        if self._draw is not None and HOLDS_ANY(message, SIGNS_OF_KEYS, 0):
            message = KEY.sub(self._inline, message)
        if HOLDS_ANY(message, SIGNS_OF_PASSWORDS, 0):
            head, end, body = message.partition(b"\r\n\r\n")
            for pattern in (DIGEST, BASIC):
                head = pattern.sub(lambda found: found[1] + b"0" * len(found[2]), head)
            message = head + end + body
        if HOLDS_ANY(message, SIGNS_OF_DIGITS, 0):
            head, end, body = message.partition(b"\r\n\r\n")
            if DIGITS.search(head + b"\r"):
                message = head + end + LINE_OF_DIGITS.sub(_blanked, body)
        return message

    def _inline(self, found: re.Match[bytes]) -> bytes:
        text = found[1]
        start = found[0][: -len(text)]
        try:
            master = base64.b64decode(text + b"=" * (-len(text) % 4))
        except binascii.Error:
            master = b""
        if not 0 < len(master) <= LONGEST_KEY:  # no key, then; what it lacks to be one stays lacking
            return start + b"A" * len(text)
        return start + base64.b64encode(self.key(master)).rstrip(b"=")


def _blanked(found: re.Match[bytes]) -> bytes:
    """What is a digit stays one, and what is none stays none: it may be told in other words."""
    digit = key_of(found[2].decode("latin-1")) is not None
    return (found[1] or b"") + KEY_OF_A_PHONE.sub(b"0" if digit else b"x", found[2])
