"""The four authentication header fields (RFC 3261 s20.7, s20.27, s20.28, s20.44; RFC 7616, RFC 8760)."""

from __future__ import annotations

import re
from dataclasses import field

from sbc.errors import ParseError
from sbc.frozen import frozen
from sbc.sip.grammar import QUOTED, TOKEN, quote, unquote

_scheme = re.compile(rf"({TOKEN})[ \t]++(.*)", re.DOTALL).fullmatch
_PARAM = rf"[ \t]*+({TOKEN})[ \t]*+=[ \t]*+({QUOTED}|[^\s,\"=][^\s,\"]*+)[ \t]*+"
_are_params = re.compile(rf"(?:{_PARAM}(?:,|$)|[ \t]*+,)+", re.DOTALL).fullmatch
_find_params = re.compile(rf"{_PARAM}(?:,|$)", re.DOTALL).findall

# Parameters that are written without quotes.
_BARE_IN_CHALLENGE = frozenset({"algorithm", "stale", "userhash", "charset"})
_BARE_IN_CREDENTIALS = frozenset({"algorithm", "qop", "nc", "userhash"})


@frozen
class Challenge:
    """WWW-Authenticate, Proxy-Authenticate. `scheme` as written; `params` by lower-case name, values without quotes."""

    scheme: str
    params: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Challenge:
        """One header row. ParseError, also for a parameter that is there twice."""
        return Challenge(*_parse(text))

    @property
    def digest(self) -> bool:
        return self.scheme.lower() == "digest"

    def __str__(self) -> str:
        return _format(self.scheme, self.params, _BARE_IN_CHALLENGE)


@frozen
class Credentials:
    """Authorization, Proxy-Authorization. `scheme` as written; `params` by lower-case name, values without quotes."""

    scheme: str
    params: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Credentials:
        """One header row. ParseError, also for a parameter that is there twice."""
        return Credentials(*_parse(text))

    @property
    def digest(self) -> bool:
        return self.scheme.lower() == "digest"

    def __str__(self) -> str:
        return _format(self.scheme, self.params, _BARE_IN_CREDENTIALS)


def _parse(text: str) -> tuple[str, dict[str, str]]:
    match = _scheme(text)
    if match is None:
        raise ParseError("malformed authentication header")
    scheme, rest = match.groups()
    params: dict[str, str] = {}
    if not _are_params(rest):
        if scheme.lower() == "digest":
            raise ParseError("malformed digest parameters")
        return scheme, params  # another scheme, with a syntax of its own such as token68
    for name, value in _find_params(rest):
        name = name.lower()
        if name in params:
            raise ParseError("a digest parameter twice")
        params[name] = unquote(value)
    return scheme, params


def _format(scheme: str, params: dict[str, str], bare: frozenset[str]) -> str:
    return scheme + " " + ", ".join([f"{name}={value if name in bare else quote(value)}" for name, value in params.items()])
