"""P-Asserted-Identity and P-Preferred-Identity (RFC 3325 s9.1, s9.2)."""

from __future__ import annotations

from collections.abc import Iterable

from sbc.errors import ParseError
from sbc.sip.fields.nameaddr import NameAddr
from sbc.sip.grammar import split_rows

_KIND = {"sip": "sip", "sips": "sip", "tel": "tel"}
MAX_VALUES = 8  # looked at; two are all that may be there


def parse_identities(rows: Iterable[str]) -> tuple[NameAddr, ...]:
    """The values of either header, in order: at most one SIP or SIPS URI and one tel URI.

    "There may be one or two … values. If there is one … it MUST be a sip, sips, or tel URI. If there are two … one value
    MUST be a sip or sips URI and the other MUST be a tel URI" (RFC 3325 s9.1). A second one of a kind, and any other
    scheme, falls out: which of two names is meant cannot be known, and the first is what everybody shows. ParseError.
    """
    found: dict[str, NameAddr] = {}
    items = split_rows(rows)
    if len(items) > MAX_VALUES:
        raise ParseError("more identities than anybody has")
    for item in items:
        address = NameAddr.parse(item)
        kind = _KIND.get(address.uri.scheme)
        if kind is not None and kind not in found:
            found[kind] = address
    return tuple(found.values())
