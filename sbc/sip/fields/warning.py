"""Warning (RFC 3261 s20.43)."""

from __future__ import annotations

import re

from sbc.errors import ParseError
from sbc.frozen import frozen
from sbc.sip.grammar import QUOTED, quote, unquote

_warning = re.compile(rf"([0-9]{{3}})[ \t]++([^\s\",]++)[ \t]++({QUOTED})", re.DOTALL).fullmatch


@frozen
class Warning:
    """`code` from 300 to 399; `agent` is the host or pseudonym that warns; `text` decoded."""

    code: int
    agent: str
    text: str

    @classmethod
    def parse(cls, text: str) -> Warning:
        """One value. ParseError."""
        match = _warning(text)
        if match is None:
            raise ParseError("malformed Warning")
        return cls(int(match[1]), match[2], unquote(match[3]))

    def __str__(self) -> str:
        return f"{self.code} {self.agent} {quote(self.text)}"
