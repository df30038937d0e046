"""Session-ID (RFC 7989 s5; the older form without `remote`: RFC 7329)."""

from __future__ import annotations

import re

from sbc.errors import ParseError
from sbc.frozen import frozen
from sbc.sip.grammar import find_param, parse_params

NIL = "0" * 32  # "the nil UUID": not known yet
_uuid = re.compile(r"[0-9a-f]{32}").fullmatch  # "sess-uuid = 32(DIGIT / %x61-66)": lower case only


@frozen
class SessionId:
    """`local` is the UUID of whoever sends it, `remote` that of the other end; "" in the old form, which has none."""

    local: str
    remote: str = NIL

    @classmethod
    def parse(cls, text: str) -> SessionId:
        """ParseError. Other parameters are dropped, as RFC 7989 s5 has none."""
        local, semicolon, rest = text.partition(";")
        local = local.strip(" \t")
        remote = find_param(parse_params(semicolon + rest), "remote")
        if not _uuid(local) or (remote is not None and not _uuid(remote)):
            raise ParseError("malformed Session-ID")
        return cls(local, "" if remote is None else remote)

    def __str__(self) -> str:
        return f"{self.local};remote={self.remote}" if self.remote else self.local
