"""Who is at the other end, once that changes within a call (RFC 4916; RFC 3325 s5 for what may be believed and told)."""

from __future__ import annotations

from sbc.call.crossing import NOTHING, Said, read_connected, rows_for, who
from sbc.policy.snapshot import Party
from sbc.sip.message import Request, Response
from sbc.sip.names import P_ASSERTED_IDENTITY, P_PREFERRED_IDENTITY, REMOTE_PARTY_ID

TELLS = frozenset({P_ASSERTED_IDENTITY, P_PREFERRED_IDENTITY, REMOTE_PARTY_ID})
HeaderRows = tuple[tuple[str, str], ...]


class ConnectedIdentity:
    """Of one leg: who its peer says it is, and who that peer is to be told it is connected with.

    `untold`: it does not know yet.
    """

    __slots__ = ("_far", "_masked", "_party", "_peer", "untold")

    def __init__(self, party: Party) -> None:
        self._party = party
        self._peer = NOTHING
        self._far = NOTHING
        self._masked = False
        self.untold = False

    def mask(self) -> None:
        """The peer is shown somebody else, and never told who it is really connected with."""
        self._masked = True

    def heard(self, message: Request | Response) -> Said:
        """Who the peer is, if that is news; NOTHING: it says nothing of that, or the same as before."""
        said = read_connected(message.headers, self._party, "calling" if isinstance(message, Request) else "called")
        if said is NOTHING or said == self._peer:
            return NOTHING
        self._peer = said
        return said

    def learn(self, far: Said, host: str) -> None:
        """Who is at the other end now. What the peer may not know of it makes no difference."""
        before = self._rows(host)
        self._far = who(far)
        rows = self._rows(host)
        if rows != before:
            self.untold = bool(rows)

    def rows(self, host: str) -> HeaderRows:
        """For a request or a 2xx of ours: the peer is told with it. `host` is ours on that side."""
        self.untold = False
        return self._rows(host)

    def _rows(self, host: str) -> HeaderRows:
        if self._masked:
            return ()
        rows = rows_for(self._far, self._party, host)
        return tuple(rows) if any(name in TELLS for name, _ in rows) else ()
