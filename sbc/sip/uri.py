"""SIP, SIPS and tel URIs (RFC 3261 s19.1, RFC 3966); any other scheme is kept opaque."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from typing import Any
from urllib.parse import unquote_to_bytes

from sbc.errors import ParseError
from sbc.frozen import frozen, replace
from sbc.sip.grammar import Params, find_param, format_params

_CACHED_URIS = 4096  # the same URIs come back in every message of a call; about 4 MB when full
_CACHED_LENGTH = 256  # longer ones are parsed anew each time, so that the bound above holds

# Wider than the RFC where peers are (`#` and `[` in the user part, `=` in parameter values), but printable ASCII only,
# and never a character that would end the URI where it is embedded: space, quote, angle bracket.
_sip_uri = re.compile(
    r"(sips?):"
    r"(?:([!#-9;=?A-~]++)(?::([!#-;=?A-~]*+))?@)?"
    r"(\[[0-9A-Fa-f:.]++\]|[A-Za-z0-9_][A-Za-z0-9._\-]*+)"
    r"(?::([0-9]{1,5}+))?"
    r"((?:;[!#-:=A-~]++)*)"
    r"(?:\?([!#-;=?-~]*+))?",
    re.IGNORECASE | re.ASCII,
).fullmatch
_other_uri = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*+):([!#-;=?-~]++)").fullmatch
_tel_subscriber = re.compile(r"[+0-9A-Fa-f*#\-.()]++").fullmatch
_broken_escape = re.compile(r"%(?![0-9A-Fa-f]{2})").search
_param_name = re.compile(r"[A-Za-z0-9\-_.!~*'()\[\]/:&+$]++").fullmatch

HOST_LENGTH = 255  # RFC 1035 s2.3.4


@frozen
class Uri:
    """`user`, `password`, parameter values and `headers` are raw: escapes kept, never unescaped before splitting.

    `scheme` and `host` are lower case; an IPv6 host has no brackets. For a scheme other than sip and sips `host` is empty
    and `user` holds all that is opaque (for tel: the number, with its parameters in `params`).
    """

    scheme: str
    user: str | None = None
    password: str | None = None
    host: str = ""
    port: int | None = None
    params: Params = ()
    headers: str = ""

    @classmethod
    def parse(cls, text: str) -> Uri:
        """ParseError when `text` is not a URI, or not a legal one of its scheme."""
        return _parse_cached(text) if len(text) <= _CACHED_LENGTH else _parse(text)

    @classmethod
    def sip(cls, user: str | None, host: str, port: int | None = None, params: Params = ()) -> Uri:
        return cls("sip", user, None, host, port, params)

    def param(self, name: str) -> str | None:
        """The raw value, "" for a parameter without one, None when it is not there."""
        return find_param(self.params, name)

    @property
    def decoded_user(self) -> str:
        """The user part without escapes: may contain any character at all, so it is for comparing, never for writing."""
        return unescape(self.user) if self.user else ""

    def with_(self, **changes: Any) -> Uri:
        return replace(self, **changes)

    def __str__(self) -> str:
        if self.scheme != "sip" and self.scheme != "sips":
            return f"{self.scheme}:{self.user}{format_params(self.params)}"
        userinfo = ""
        if self.user is not None:
            userinfo = f"{self.user}@" if self.password is None else f"{self.user}:{self.password}@"
        params = format_params(self.params) if self.params else ""
        headers = f"?{self.headers}" if self.headers else ""
        return f"{self.scheme}:{userinfo}{format_host(self.host, self.port)}{params}{headers}"


def format_host(host: str, port: int | None) -> str:
    """`host:port` as it stands in a URI or a Via: IPv6 in brackets."""
    if ":" in host:
        host = f"[{host}]"
    return host if port is None else f"{host}:{port}"


def parse_host(text: str) -> str:
    """A host as matched by a pattern, checked and folded: lower case, IPv6 valid and without brackets. ParseError."""
    if len(text) > HOST_LENGTH:
        raise ParseError("host name too long")
    if text[0] != "[":
        return text.lower()
    # RFC 3261's grammar let a third colon in before an embedded IPv4 address (RFC 5118 s4.10); RFC 5954 took it out.
    host = text[1:-1].lower().replace(":::", "::")
    try:
        IPv6Address(host)
    except AddressValueError:
        raise ParseError("malformed IPv6 address") from None
    return host


def parse_port(text: str | None) -> int | None:
    if text is None:
        return None
    port = int(text)
    if port > 65535:
        raise ParseError("port out of range")
    return port


def unescape(text: str) -> str:
    """`%41` becomes `A`, once; octets that are not UTF-8 survive as surrogates."""
    if "%" not in text:
        return text
    return unquote_to_bytes(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")


def same_uri(a: Uri, b: Uri) -> bool:
    """Equivalence by RFC 3261 s19.1.4, with `transport` among the parameters that must be in both or in neither."""
    if a == b:
        return True
    if a.scheme != b.scheme or a.port != b.port or not _same_host(a.host, b.host):
        return False
    if a.scheme == "tel":
        return _tel_digits(a.user) == _tel_digits(b.user) and _folded(a.params) == _folded(b.params)
    if not a.host:
        return a.user == b.user
    if (a.user is None) != (b.user is None) or a.decoded_user != b.decoded_user or unescape(a.password or "") != unescape(b.password or ""):
        return False
    return _same_params(_folded(a.params), _folded(b.params)) and _same_headers(a.headers, b.headers)


def _parse(text: str) -> Uri:
    match = _sip_uri(text)
    if match is None:
        return _parse_other(text)
    scheme, user, password, host, port, params, headers = match.groups()
    if "%" in text and _broken_escape(text):
        raise ParseError("malformed escape in a URI")
    return Uri(scheme.lower(), user, password, parse_host(host), parse_port(port), _parse_params(params) if params else (), headers or "")


_parse_cached = lru_cache(maxsize=_CACHED_URIS)(_parse)


def _parse_params(text: str) -> Params:
    params = []
    for item in text[1:].split(";"):
        name, equals, value = item.partition("=")
        if "%" in name:  # the same parameter as without escapes (RFC 4475 s3.1.1.3), unless the escapes are needed
            decoded = unescape(name)
            name = decoded if _param_name(decoded) else name
        elif not name:
            raise ParseError("URI parameter without a name")
        params.append((name.lower(), value if equals else None))
    return tuple(params)


def _parse_other(text: str) -> Uri:
    match = _other_uri(text)
    if match is None:
        raise ParseError("malformed URI")
    scheme, rest = match.groups()
    scheme = scheme.lower()
    if scheme in ("sip", "sips"):
        raise ParseError("malformed SIP URI")
    if scheme != "tel":
        return Uri(scheme, rest)
    number, semicolon, params = rest.partition(";")
    if not _tel_subscriber(number):
        raise ParseError("malformed tel URI")
    return Uri("tel", number, params=_parse_params(semicolon + params) if semicolon else ())


def _same_host(a: str, b: str) -> bool:
    return a == b or (":" in a and ":" in b and IPv6Address(a) == IPv6Address(b))


def _tel_digits(number: str | None) -> str:
    return re.sub(r"[\-.()]", "", number or "").lower()


def _folded(params: Params) -> dict[str, str]:
    return {name: unescape(value or "").lower() for name, value in params}


_NEVER_IGNORED = frozenset({"user", "ttl", "method", "maddr", "transport"})


def _same_params(a: dict[str, str], b: dict[str, str]) -> bool:
    if any(a[name] != b[name] for name in a.keys() & b.keys()):
        return False
    return _NEVER_IGNORED.isdisjoint(a.keys() ^ b.keys())


def _same_headers(a: str, b: str) -> bool:
    def fold(headers: str) -> list[tuple[str, str]]:
        pairs = [item.partition("=") for item in headers.split("&")] if headers else []
        return sorted((unescape(name).lower(), unescape(value)) for name, _, value in pairs)

    return fold(a) == fold(b)
