"""What calls have found out about those they talk to, for all of them: who TLS servers have to be, and who has proved who it is."""

from __future__ import annotations

from sbc.flow import Flow
from sbc.tap import Answered, unrecorded

# TLS servers, the last called: far more than all trunks together have, but their names may change address every minute, and their
# Contacts may name any
SERVER_NAMES = 4096


class Peers:
    """Servers by flow, connections by number. A connection that is gone has to be forgotten by whoever hears of it."""

    __slots__ = ("_aliases", "_names", "expected", "vouched")

    def __init__(self, answered: Answered = unrecorded) -> None:
        self._names: dict[Flow, str] = {}
        self._aliases: dict[int, int] = {}
        self.expected = answered(self._name_to_verify)
        self.vouched = answered(self._alias_of)

    def __len__(self) -> int:
        """Connections on which somebody has proved who it is."""
        return len(self._aliases)

    def expect(self, name: str, flow: Flow) -> None:
        """Whoever is there must prove to be `name` (RFC 5922 s7.3). What is called most seldom is forgotten when DNS has named too many."""
        self._names.pop(flow, None)
        if len(self._names) >= SERVER_NAMES:
            del self._names[next(iter(self._names))]
        self._names[flow] = name

    def _name_to_verify(self, flow: Flow) -> str:
        """The domain its certificate must carry; "": nobody has said."""
        return self._names.get(flow, "")

    def vouch(self, connection: int, alias: int) -> None:
        """Somebody has proved who it is there. `alias`: the port it lets us send requests to by that connection; 0: none."""
        self._aliases[connection] = alias

    def _alias_of(self, connection: int) -> int | None:
        """None: nobody has proved anything there."""
        return self._aliases.get(connection)

    def forget(self, connection: int) -> None:
        self._aliases.pop(connection, None)
