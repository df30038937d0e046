"""Identity (RFC 8224 s4): a signed token, and where its certificate is."""

from __future__ import annotations

import re

from sbc.errors import ParseError
from sbc.frozen import frozen
from sbc.sip.grammar import TOKEN, unquote

MAX_LENGTH = 16 * 1024  # of one value; a token with rich call data and an enclosed one has some 4 KB

# The token: base64url in up to three parts. Wider than the ABNF by "=" alone: what has it is looked at, and refused with a reason.
_value = re.compile(rf'([A-Za-z0-9_\-.=]++)((?:[ \t]*+;[ \t]*+{TOKEN}[ \t]*+(?:=[ \t]*+(?:<[^<>"]*+>|"[^"\\]*+"|[^\s;,"<>]++))?)*+)[ \t]*+')
_params = re.compile(rf';[ \t]*+({TOKEN})[ \t]*+(?:=[ \t]*+(<[^<>"]*+>|"[^"\\]*+"|[^\s;,"<>]++))?')


@frozen
class SignedIdentity:
    """`ppt` is None where the parameter is missing: a PASSporT without extension, or one whose sender forgot."""

    token: str
    info: str
    alg: str = "ES256"
    ppt: str | None = None

    @classmethod
    def parse(cls, text: str) -> SignedIdentity:
        """ParseError, also without `info`."""
        found = _value.fullmatch(text) if len(text) <= MAX_LENGTH else None
        if found is None:
            raise ParseError("malformed Identity")
        pairs: list[tuple[str, str]] = _params.findall(found[2])
        params = {name.lower(): value for name, value in reversed(pairs)}
        info = params.get("info", "")
        if not info.startswith("<") or len(info) < 3:
            raise ParseError("Identity without info")
        ppt = unquote(params["ppt"]) if params.get("ppt") else None
        return cls(found[1], info[1:-1], unquote(params.get("alg") or "ES256"), ppt)

    def __str__(self) -> str:
        ppt = f';ppt="{self.ppt}"' if self.ppt is not None else ""
        return f"{self.token};info=<{self.info}>;alg={self.alg}{ppt}"
