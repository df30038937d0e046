"""Reason (RFC 3326, RFC 8606)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from sbc.errors import ParseError
from sbc.frozen import frozen
from sbc.sip.grammar import Params, find_param, format_params, is_token, parse_number, parse_params, quote, split_rows, unquote

_HIGHEST_CAUSE = 65535
_TYPED = frozenset({"cause", "text"})
MAX_REASONS = 8  # two protocols are usual, and one more for each of a few Identity headers that failed (RFC 9410)
SEVERAL = frozenset({"STIR"})  # protocols of which a message may tell more than one (RFC 9410 s5)


@frozen
class Reason:
    """`protocol` such as "SIP", "Q.850", "STIR"; `text` decoded, "" if absent; `params` are all others, raw."""

    protocol: str
    cause: int | None = None
    text: str = ""
    params: Params = ()

    @classmethod
    def parse(cls, text: str) -> Reason:
        """One value. ParseError."""
        protocol, semicolon, rest = text.partition(";")
        protocol = protocol.strip(" \t")
        if not is_token(protocol):
            raise ParseError("malformed Reason")
        params = parse_params(semicolon + rest)
        cause = find_param(params, "cause")
        return cls(
            protocol,
            parse_number(cause, _HIGHEST_CAUSE) if cause else None,
            unquote(find_param(params, "text") or ""),
            tuple([item for item in params if item[0] not in _TYPED]),
        )

    def __str__(self) -> str:
        cause = "" if self.cause is None else f";cause={self.cause}"
        text = f";text={quote(self.text)}" if self.text else ""
        return f"{self.protocol}{cause}{text}{format_params(self.params)}"


def parse_reasons(rows: Iterable[str]) -> list[Reason]:
    """All Reason values of a message. ParseError."""
    return [Reason.parse(item) for item in split_rows(rows)]


def reasons_told(rows: Iterable[str]) -> tuple[str, ...]:
    """The Reason values that may be carried on, each as it was written.

    "there MUST NOT be more than one reason value for the same protocol" (RFC 3326 s2), except where a protocol is registered
    for several (RFC 9366), as STIR is: the first counts. What is malformed falls out.
    """
    items: list[str] = []
    for row in rows:
        with contextlib.suppress(ParseError):
            items += split_rows([row])
    told: list[str] = []
    protocols: set[str] = set()
    for item in items[:MAX_REASONS]:
        protocol = _protocol(item)
        if protocol and protocol not in protocols:
            told.append(item)
            if protocol not in SEVERAL:
                protocols.add(protocol)
    return tuple(told)


def _protocol(item: str) -> str:
    """In upper case; "" of a value that is malformed."""
    try:
        return Reason.parse(item).protocol.upper()
    except ParseError:
        return ""
