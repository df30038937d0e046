"""Time and identifiers as the pure code sees them: arguments, never calls to the operating system."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Now(NamedTuple):
    """One instant: `monotonic` seconds for every duration, `wall` seconds since the epoch for what people read."""

    monotonic: float
    wall: float


class Ids(Protocol):
    """Source of everything unguessable. Production: the CSPRNG of the operating system; tests and replay: a recording.

    Tags, branches, Call-IDs and Contact users start with this node's and worker's id,
    so that any worker can hand a stray message to its owner.
    """

    def tag(self) -> str: ...

    def branch(self) -> str:
        """A Via branch, magic cookie `z9hG4bK` included (RFC 3261 s8.1.1.7)."""
        ...

    def call_id(self) -> str: ...

    def random(self, size: int) -> bytes:
        """`size` octets for keys and nonces."""
        ...
