"""Diversion (RFC 5806): who sent the call on, the latest on top."""

from __future__ import annotations

from collections.abc import Iterable

from sbc.errors import ParseError
from sbc.frozen import frozen
from sbc.sip.fields.nameaddr import NameAddr
from sbc.sip.grammar import Params, format_params, is_token, parse_number, quote, split_rows, unquote

MAX_DIVERSIONS = 20  # Max-Forwards alone would allow 70; networks end a call after 5 (ITU-T Q.732.2 s2.4)
HIGHEST_COUNTER = 99  # "1*2DIGIT" (RFC 5806 s4)
_TYPED = frozenset({"reason", "counter", "privacy"})


@frozen
class Diversion:
    """`reason` such as "user-busy", "unknown" if absent; `counter`: how many diversions this one stands for, at least 1.

    `privacy` "full", "name", "uri" or "off", the latter if absent. `params` are all others (limit, screen, …), raw.
    """

    address: NameAddr
    reason: str = "unknown"
    counter: int = 1
    privacy: str = "off"
    params: Params = ()

    @classmethod
    def parse(cls, text: str) -> Diversion:
        """One value. ParseError."""
        address = NameAddr.parse(text)
        counter = address.param("counter")
        return cls(
            NameAddr(address.display, address.uri),
            unquote(address.param("reason") or "").lower() or "unknown",
            max(1, parse_number(counter, HIGHEST_COUNTER)) if counter else 1,
            unquote(address.param("privacy") or "").lower() or "off",
            tuple([item for item in address.params if item[0] not in _TYPED]),
        )

    @property
    def private(self) -> bool:
        return self.privacy != "off"

    def __str__(self) -> str:
        reason = self.reason if is_token(self.reason) else quote(self.reason)
        privacy = self.privacy if is_token(self.privacy) else quote(self.privacy)
        return f"{self.address};reason={reason};counter={self.counter};privacy={privacy}{format_params(self.params)}"


def parse_diversions(rows: Iterable[str]) -> tuple[Diversion, ...]:
    """All values of a message, the latest first. ParseError, also for more than a call survives."""
    items = split_rows(rows)
    if len(items) > MAX_DIVERSIONS:
        raise ParseError("diverted too often")
    return tuple([Diversion.parse(item) for item in items])


def times_diverted(diversions: Iterable[Diversion]) -> int:
    """The sum of the counters (RFC 5806 s6.4)."""
    return sum([diversion.counter for diversion in diversions])
