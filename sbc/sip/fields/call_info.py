"""Call-Info, Alert-Info and Error-Info: URIs of something to show or to play (RFC 3261 s20.9, s20.4, s20.18)."""

from __future__ import annotations

import re

from sbc.errors import ParseError
from sbc.frozen import frozen
from sbc.sip.grammar import Params, find_param, format_params, parse_params, unquote

_info = re.compile(r"<([!#-;=?-~]++)>[ \t]*+(;.*)?", re.DOTALL).fullmatch
_authority = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*+:(?://)?(?:[^@/?#]*+@)?(\[[0-9A-Fa-f:.]++\]|[^:/?#;\[\]]*+)").match


@frozen
class CallInfo:
    """`uri` is never fetched, and of any scheme."""

    uri: str
    params: Params = ()

    @classmethod
    def parse(cls, text: str) -> CallInfo:
        """One value. ParseError."""
        match = _info(text)
        if match is None:
            raise ParseError("malformed Call-Info")
        return cls(match[1], parse_params(match[2]) if match[2] else ())

    @property
    def purpose(self) -> str:
        """In lower case, "" if absent."""
        return unquote(find_param(self.params, "purpose") or "").lower()

    @property
    def host(self) -> str:
        """In lower case, IPv6 without brackets; "" for a URI that names none, such as urn:alert:service:normal."""
        if self.uri[:4].lower() in ("urn:", "cid:", "tel:"):
            return ""
        match = _authority(self.uri)
        return match[1].strip("[]").lower() if match else ""

    def __str__(self) -> str:
        return f"<{self.uri}>{format_params(self.params)}"
