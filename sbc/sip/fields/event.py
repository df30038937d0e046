"""Event (RFC 6665 s8.2.1)."""

from __future__ import annotations

from sbc.errors import ParseError
from sbc.frozen import frozen
from sbc.sip.grammar import Params, find_param, format_params, is_token, parse_params


@frozen
class Event:
    """`package` is folded to lower case, its template included: "dialog", "presence.winfo"."""

    package: str
    params: Params = ()

    @classmethod
    def parse(cls, text: str) -> Event:
        """ParseError."""
        package, semicolon, rest = text.partition(";")
        package = package.strip(" \t")
        if not is_token(package):
            raise ParseError("malformed Event")
        return cls(package.lower(), parse_params(semicolon + rest))

    @property
    def id(self) -> str:
        """Which of several subscriptions to that package, "" if not said."""
        return find_param(self.params, "id") or ""

    def __str__(self) -> str:
        return self.package + format_params(self.params)
