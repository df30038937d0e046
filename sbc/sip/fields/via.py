"""Via (RFC 3261 s20.42, RFC 3581)."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import ip_address

from sbc.errors import ParseError
from sbc.flow import Address
from sbc.frozen import frozen
from sbc.sip.grammar import TOKEN, Params, format_params, parse_number, parse_params
from sbc.sip.uri import format_host, parse_host, parse_port

_CACHED_VIAS = 1024  # our own come back in every response, a peer's in every retransmission
_CACHED_LENGTH = 256

_HOST = r"\[[0-9A-Fa-f:.]++\]|[A-Za-z0-9_][A-Za-z0-9._\-]*+"
_PORT = r"(?:[ \t]*+:[ \t]*+([0-9]{1,5}+))?"
_SLASH = r"[ \t]*+/[ \t]*+"
_sent_by = re.compile(rf"SIP{_SLASH}2\.0{_SLASH}({TOKEN})[ \t]++({_HOST}){_PORT}[ \t]*+", re.IGNORECASE | re.ASCII).fullmatch
_readable = re.compile(rf"SIP{_SLASH}[0-9.]++{_SLASH}({TOKEN})[ \t]++({_HOST}){_PORT}", re.IGNORECASE | re.ASCII).match
_readable_branch = re.compile(rf";[ \t]*+branch[ \t]*+=[ \t]*+({TOKEN})", re.IGNORECASE | re.ASCII).search
_readable_rport = re.compile(r";[ \t]*+rport[ \t]*+(?:[;=,]|$)", re.IGNORECASE | re.ASCII).search


@frozen
class Via:
    """`transport` is upper case; `host` and `received` are lower case, IPv6 without brackets; `branch` is "" if absent.

    `wants_rport` tells that the parameter is there, `rport` its value; `params` are all others, raw.
    """

    transport: str
    host: str
    port: int | None = None
    branch: str = ""
    received: str | None = None
    rport: int | None = None
    wants_rport: bool = False
    params: Params = ()

    @classmethod
    def parse(cls, text: str) -> Via:
        """One Via value (not a list of them). ParseError."""
        return _parse_cached(text) if len(text) <= _CACHED_LENGTH else _parse(text)

    @classmethod
    def salvage(cls, text: str) -> Via:
        """The sent-by, the branch and the wish for rport out of a value that is broken elsewhere, to route a 400 by."""
        match = _readable(text)
        if match is None:
            raise ParseError("unreadable Via")
        transport, host, port = match.groups()
        branch = _readable_branch(text, match.end())
        return cls(
            transport.upper(),
            parse_host(host),
            parse_port(port),
            branch[1] if branch else "",
            wants_rport=_readable_rport(text, match.end()) is not None,
        )

    def param(self, name: str) -> str | None:
        for key, value in self.params:
            if key == name:
                return value or ""
        return None

    def stamped(self, source: Address) -> Via:
        """As the server that received it from `source` hands it on (RFC 3261 s18.2.1, RFC 3581 s4).

        What the sender itself claimed in `received` and `rport` is overwritten: it would steer our answers.
        """
        host, port = source
        received = None if not self.wants_rport and _same_address(self.host, host) else host
        rport = port if self.wants_rport else None
        if received == self.received and rport == self.rport:
            return self
        return Via(self.transport, self.host, self.port, self.branch, received, rport, self.wants_rport, self.params)

    def __str__(self) -> str:
        text = f"SIP/2.0/{self.transport} {format_host(self.host, self.port)}"
        if self.branch:
            text += f";branch={self.branch}"
        if self.received is not None:
            text += f";received={self.received}"  # never in brackets (RFC 5118 s4.5)
        if self.wants_rport:
            text += ";rport" if self.rport is None else f";rport={self.rport}"
        return text + format_params(self.params) if self.params else text


def _parse(text: str) -> Via:
    sent_by, semicolon, rest = text.partition(";")
    transport, host, port = _parse_sent_by_cached(sent_by)
    branch, received, rport, wants_rport, others = "", None, None, False, []
    seen = set()
    for name, value in parse_params(semicolon + rest) if semicolon else ():
        if name in seen:
            raise ParseError("a Via parameter twice")
        seen.add(name)
        if name == "branch":
            branch = value or ""
        elif name == "received":
            received = value.strip("[]").lower() if value else None
        elif name == "rport":
            wants_rport = True
            rport = parse_number(value, 65535) if value else None
        else:
            others.append((name, value))
    return Via(transport, host, port, branch, received, rport, wants_rport, tuple(others))


_parse_cached = lru_cache(maxsize=_CACHED_VIAS)(_parse)


def _parse_sent_by(text: str) -> tuple[str, str, int | None]:
    """Transport, host and port: what all Vias of a peer begin with, while each has a branch of its own."""
    match = _sent_by(text)
    if match is None:
        raise ParseError("malformed Via")
    transport, host, port = match.groups()
    return transport.upper(), parse_host(host), parse_port(port)


_parse_sent_by_cached = lru_cache(maxsize=_CACHED_VIAS)(_parse_sent_by)


def _same_address(sent_by: str, source: str) -> bool:
    if sent_by == source:
        return True
    if ":" not in sent_by or ":" not in source:
        return False
    try:
        return ip_address(sent_by) == ip_address(source)
    except ValueError:
        return False
