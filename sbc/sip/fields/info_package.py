"""Info-Package (RFC 6086 s7.2)."""

from __future__ import annotations

from sbc.errors import ParseError
from sbc.sip.grammar import is_token, parse_params


def parse_info_package(text: str) -> str:
    """The name of the package, folded to lower case; parameters are not looked at. ParseError."""
    name, semicolon, params = text.partition(";")
    name = name.strip(" \t")
    if not is_token(name):
        raise ParseError("malformed Info-Package")
    parse_params(semicolon + params)
    return name.lower()
