"""The four authentication header fields (RFC 3261 s20.7, s20.27, s20.28, s20.44; RFC 7616, RFC 8760)."""

from __future__ import annotations

import re
from dataclasses import field
from typing import Self

from sbc.errors import ParseError
from sbc.frozen import frozen
from sbc.sip.grammar import QUOTED, TOKEN, quote, unquote

_scheme = re.compile(rf"({TOKEN})[ \t]++(.*)", re.DOTALL).fullmatch
_PARAM = rf"[ \t]*+({TOKEN})[ \t]*+=[ \t]*+({QUOTED}|[^\s,\"=][^\s,\"]*+)[ \t]*+"
_are_params = re.compile(rf"(?:{_PARAM}(?:,|$)|[ \t]*+,)+", re.DOTALL).fullmatch
_find_params = re.compile(rf"{_PARAM}(?:,|$)", re.DOTALL).findall


@frozen
class _Auth:
    """`scheme` as written; `params` by lower-case name, values without quotes."""

    scheme: str
    params: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Self:
        """One header row. ParseError, also for a parameter that is there twice."""
        match = _scheme(text)
        if match is None:
            raise ParseError("malformed authentication header")
        scheme, rest = match.groups()
        if not _are_params(rest):
            if scheme.lower() == "digest":
                raise ParseError("malformed digest parameters")
            return cls(scheme)  # another scheme, with a syntax of its own such as token68
        params: dict[str, str] = {}
        for name, value in _find_params(rest):
            name = name.lower()
            if name in params:
                raise ParseError("a digest parameter twice")
            params[name] = unquote(value)
        return cls(scheme, params)

    @property
    def digest(self) -> bool:
        return self.scheme.lower() == "digest"

    def __str__(self) -> str:
        return self.scheme + " " + ", ".join([f"{n}={v if n in self._bare() else quote(v)}" for n, v in self.params.items()])

    def _bare(self) -> frozenset[str]:
        """Names of the parameters that are written without quotes."""
        raise NotImplementedError


class Challenge(_Auth):
    """WWW-Authenticate, Proxy-Authenticate."""

    __slots__ = ()

    def _bare(self) -> frozenset[str]:
        return _BARE_IN_CHALLENGE


class Credentials(_Auth):
    """Authorization, Proxy-Authorization."""

    __slots__ = ()

    def _bare(self) -> frozenset[str]:
        return _BARE_IN_CREDENTIALS


_BARE_IN_CHALLENGE = frozenset({"algorithm", "stale", "userhash", "charset"})
_BARE_IN_CREDENTIALS = frozenset({"algorithm", "qop", "nc", "userhash"})
