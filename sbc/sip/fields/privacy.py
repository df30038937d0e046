"""Privacy (RFC 3323 s4.2, RFC 3325 s9.3, RFC 7044 s10.1.2)."""

from __future__ import annotations

from collections.abc import Iterable

from sbc.frozen import frozen
from sbc.sip.grammar import is_token

HEADER = "header"  # whatever in the message says where the caller is: Via, Contact, Record-Route
SESSION = "session"  # the same of the session description
USER = "user"  # what the caller said of itself: From, Subject, Call-Info, …
ID = "id"  # what the network asserted of it
HISTORY = "history"  # who diverted the call
NONE = "none"  # "privacy services MUST NOT perform any privacy function"
CRITICAL = "critical"  # rather no call than one without the privacy asked for

KNOWN = frozenset({HEADER, SESSION, USER, ID, HISTORY, NONE, CRITICAL})


@frozen
class Privacy:
    """`values` in lower case, each once, in order; () when nothing is asked."""

    values: tuple[str, ...] = ()

    @classmethod
    def parse(cls, rows: Iterable[str]) -> Privacy:
        """All rows of a message. Values are separated by semicolons; commas are seen as well. What is no token is not there."""
        words = [word.strip(" \t").lower() for row in rows for word in row.replace(",", ";").split(";")]
        return cls(tuple(dict.fromkeys([word for word in words if is_token(word)])))

    def __contains__(self, value: str) -> bool:
        return value in self.values

    def without(self, *handled: str) -> Privacy:
        """What is left to ask of the next one; `critical` alone asks nothing."""
        left = tuple([value for value in self.values if value not in handled])
        return Privacy() if left == (CRITICAL,) else Privacy(left)

    def with_(self, value: str) -> Privacy:
        """`critical` stays last, where RFC 3323 s4.2 has it."""
        if value in self.values:
            return self
        critical = tuple([each for each in self.values if each == CRITICAL])
        return Privacy((*[each for each in self.values if each != CRITICAL], value, *critical))

    @property
    def unknown(self) -> bool:
        """Something is asked that we know nothing of."""
        return any(value not in KNOWN for value in self.values)

    def __str__(self) -> str:
        return ";".join(self.values)
