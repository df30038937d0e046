"""History-Info (RFC 7044 s5): every target a request has had, in the order it had them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from sbc.errors import ParseError
from sbc.frozen import frozen
from sbc.sip.fields.nameaddr import NameAddr
from sbc.sip.fields.privacy import Privacy
from sbc.sip.fields.reason import Reason
from sbc.sip.grammar import Params, format_params, parse_number, split_rows
from sbc.sip.uri import unescape

How = Literal["rc", "mp", "np"]  # the user is the same, another one, or not known to have changed (RFC 7044 s5)
Index = tuple[int, ...]

MAX_ENTRIES = 64  # as many as Max-Forwards has hops, nearly
MAX_DEPTH = 64
_HIGHEST = 999
_HOW: dict[str, How] = {"rc": "rc", "mp": "mp", "np": "np"}


@frozen
class HistoryEntry:
    """`address`: the target, with the headers of its URI as they came. `index` (1, 1, 2) is "1.1.2".

    `how` says by what step it became the target, `from_` the index of the entry that was retargeted. `params`: all others, raw.
    """

    address: NameAddr
    index: Index
    how: How | None = None
    from_: Index = ()
    params: Params = ()

    @classmethod
    def parse(cls, text: str) -> HistoryEntry:
        """One value. ParseError, also without an index."""
        address = NameAddr.parse(text)
        how: How | None = None
        from_: Index = ()
        others = []
        for name, value in address.params:
            if name in _HOW:
                how, from_ = _HOW[name], parse_index(value or "")
            elif name != "index":
                others.append((name, value))
        return cls(NameAddr(address.display, address.uri), parse_index(address.param("index") or ""), how, from_, tuple(others))

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Why the request left this target (RFC 7044 s5: Reason escaped into the URI). What is malformed is not there."""
        found = []
        for value in self._headers("reason"):
            try:
                found.append(Reason.parse(value))
            except ParseError:
                continue
        return tuple(found)

    @property
    def private(self) -> bool:
        """Not to be shown outside its domain (RFC 7044 s10.1.2)."""
        privacy = Privacy.parse(self._headers("privacy"))
        return privacy.values not in ((), ("none",))

    def _headers(self, name: str) -> list[str]:
        pairs = [item.partition("=") for item in self.address.uri.headers.split("&")]
        return [unescape(value) for key, _, value in pairs if unescape(key).lower() == name]

    def __str__(self) -> str:
        how = f";{self.how}={format_index(self.from_)}" if self.how else ""
        return f"{self.address};index={format_index(self.index)}{how}{format_params(self.params)}"


def parse_history(rows: Iterable[str]) -> tuple[HistoryEntry, ...]:
    """All entries of a message, the oldest first. ParseError, also for too many."""
    items = split_rows(rows)
    if len(items) > MAX_ENTRIES:
        raise ParseError("a history too long")
    return tuple([HistoryEntry.parse(item) for item in items])


def parse_index(text: str) -> Index:
    """ "1.1.2" as (1, 1, 2). ParseError."""
    parts = text.split(".")
    if len(parts) > MAX_DEPTH:
        raise ParseError("an index too deep")
    return tuple([parse_number(part, _HIGHEST) for part in parts])


def format_index(index: Index) -> str:
    return ".".join(map(str, index))
