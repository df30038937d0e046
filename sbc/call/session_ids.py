"""One session identifier from end to end, however many dialogs it crosses (RFC 7989)."""

from __future__ import annotations

from media.api import Side
from sbc.clock import Ids
from sbc.errors import ParseError
from sbc.sip.fields.session_id import NIL, SessionId
from sbc.sip.message import Headers
from sbc.sip.names import SESSION_ID


class SessionIds:
    """The UUIDs of both ends of one call. We are no end of it, so that each end is told the other's, not ours.

    Nothing is written while neither end has one. When one has, the other gets one from us, as an intermediary may give an
    endpoint that knows nothing of all this (RFC 7989 s7).
    """

    __slots__ = ("_ids", "_uuids")

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self._uuids: dict[Side, str] = {}

    def learn(self, side: Side, headers: Headers) -> None:
        """From any message of that end; it may become another in the course of a call (RFC 7989 s6). A malformed one is none."""
        value = headers.first(SESSION_ID)
        if value is None:
            return
        try:
            session = SessionId.parse(value)
        except ParseError:
            return
        echoed = not session.remote and session.local == self._uuids.get(other(side))  # RFC 7329: one identifier for both
        if session.local != NIL and not echoed:
            self._uuids[side] = session.local

    def forget(self, side: Side) -> None:
        """Somebody else is called."""
        self._uuids.pop(side, None)

    def take(self, before: SessionIds, theirs: Side, ours: Side) -> None:
        """An end of another session is one of this now."""
        if theirs in before._uuids:
            self._uuids[ours] = before._uuids[theirs]

    def rows(self, side: Side) -> tuple[tuple[str, str], ...]:
        """For a message to that end."""
        if not self._uuids:
            return ()
        far = other(side)
        if far not in self._uuids:
            self._uuids[far] = new_uuid(self._ids)
        return ((SESSION_ID, str(SessionId(self._uuids[far], self._uuids.get(side, NIL)))),)

    def rows_of_trying(self, side: Side) -> tuple[tuple[str, str], ...]:
        """For a 100: nothing is known of the other end yet, and nothing is made up for it."""
        return ((SESSION_ID, str(SessionId(NIL, self._uuids[side]))),) if side in self._uuids else ()


def other(side: Side) -> Side:
    return Side.B if side is Side.A else Side.A


def new_uuid(ids: Ids) -> str:
    """Version 4 (RFC 4122 s4.4), as Session-ID writes it."""
    digits = ids.random(16).hex()
    return f"{digits[:12]}4{digits[13:16]}{'89ab'[int(digits[16], 16) % 4]}{digits[17:]}"
