"""Contact: a star, or a list of addresses with expiry and preference (RFC 3261 s20.10)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sbc.errors import ParseError
from sbc.frozen import frozen
from sbc.sip.fields.expires import parse_expires
from sbc.sip.fields.nameaddr import NameAddr
from sbc.sip.grammar import split_rows, unquote
from sbc.sip.uri import Uri

_qvalue = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?").fullmatch


@frozen
class Contact:
    """`expires` in seconds, None when not given here (then the Expires header counts); `q` from 0 to 1."""

    address: NameAddr
    expires: int | None = None
    q: float = 1.0

    @classmethod
    def parse(cls, text: str) -> Contact:
        """One value other than the star. ParseError."""
        address = NameAddr.parse(text)
        seconds = address.param("expires")
        q = address.param("q")
        if q is not None and not _qvalue(q):
            raise ParseError("malformed q in a Contact")
        return cls(address, None if seconds is None else parse_expires(seconds), 1.0 if q is None else float(q))

    @property
    def uri(self) -> Uri:
        return self.address.uri

    @property
    def instance(self) -> str:
        """The `+sip.instance` of RFC 5626 s4.1 without quotes, "" if absent."""
        return unquote(self.address.param("+sip.instance") or "")


def parse_contacts(rows: Iterable[str]) -> tuple[Contact, ...] | None:
    """All Contact values of a message, () when there are none; None is the star. ParseError, also for a star among others."""
    items = split_rows(rows)
    if "*" in items:
        if len(items) > 1:
            raise ParseError("a star among other Contacts")
        return None
    return tuple([Contact.parse(item) for item in items])
