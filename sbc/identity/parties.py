"""Caller and called of a request as a PASSporT names them (RFC 8224 s8.3)."""

from __future__ import annotations

import re

from sbc.sip.uri import Uri

_separators = re.compile(r"[-.() ]").sub
_digits = re.compile(r"\+?[0-9*#]{1,32}").fullmatch


def party(uri: Uri) -> str:
    """A number without plus and separators, for tel and for a user part that is one; else the URI without its parameters."""
    if uri.scheme in ("sip", "sips", "tel"):
        user = uri.decoded_user if uri.scheme != "tel" else (uri.user or "")
        number = _separators("", user.partition(";")[0])
        if _digits(number):
            return number.lstrip("+")
        if uri.scheme != "tel":
            return f"{uri.scheme}:{uri.user or ''}@{uri.host}" if uri.user else f"{uri.scheme}:{uri.host}"
    return str(uri)
