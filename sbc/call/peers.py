"""What calls have found out about those they talk to, for all of them: who TLS servers have to be, and who has proved who it is."""

from __future__ import annotations

from sbc.flow import Flow
from sbc.frozen import frozen
from sbc.tap import Answered, unrecorded

# TLS servers, the last called: far more than all trunks together have, but their names may change address every minute, and their
# Contacts may name any
SERVER_NAMES = 4096


@frozen
class Vouched:
    """Who has proved who it is on a connection. `alias`: the port it lets us send requests to by that connection; 0: none."""

    flow: Flow
    name: str
    alias: int


class Peers:
    """Servers by flow, connections by number. A connection that is gone has to be forgotten by whoever hears of it."""

    __slots__ = ("_names", "_proven", "expected", "vouched", "who")

    def __init__(self, answered: Answered = unrecorded) -> None:
        self._names: dict[Flow, str] = {}
        self._proven: dict[int, Vouched] = {}
        self.expected = answered(self._name_to_verify)
        self.vouched = answered(self._alias_of)
        self.who = answered(self._name_proven)

    def __len__(self) -> int:
        """Connections on which somebody has proved who it is."""
        return len(self._proven)

    def expect(self, name: str, flow: Flow) -> None:
        """Whoever is there must prove to be `name` (RFC 5922 s7.3). What is called most seldom is forgotten when DNS has named too many."""
        self._names.pop(flow, None)
        if len(self._names) >= SERVER_NAMES:
            del self._names[next(iter(self._names))]
        self._names[flow] = name

    def _name_to_verify(self, flow: Flow) -> str:
        """The domain its certificate must carry; "": nobody has said."""
        return self._names.get(flow, "")

    def vouch(self, vouched: Vouched) -> None:
        """Somebody has proved who it is on that connection."""
        self._proven[vouched.flow.connection] = vouched

    def proven(self) -> tuple[Vouched, ...]:
        """All connections on which somebody has, in the order they did."""
        return tuple(self._proven.values())

    def _alias_of(self, connection: int) -> int | None:
        """None: nobody has proved anything there."""
        known = self._proven.get(connection)
        return known.alias if known is not None else None

    def _name_proven(self, connection: int) -> str:
        """The trunk or user that somebody has proved to be there, first; "": nobody has."""
        known = self._proven.get(connection)
        return known.name if known is not None else ""

    def forget(self, connection: int) -> None:
        self._proven.pop(connection, None)
