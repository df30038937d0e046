"""Where offer and answer of one leg stand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from media.api import Keys, Suite
from sbc.sdp.crypto import Crypto
from sbc.sdp.describe import Description, Slot
from sbc.sdp.dtls import Own
from sbc.sdp.model import Codec, Direction, Session
from sbc.sdp.relay import Agreement
from sbc.sdp.selection import Stripped

NO_KEYS: Mapping[Suite, Keys] = {}


class State(NamedTuple):
    """All of a leg that a failed re-offer has to put back."""

    open: Literal["", "sent", "received"] = ""  # the offer that waits for its answer
    offered: bool = False  # `written` is an offer of ours
    written: Session | None = None  # our last description
    body: bytes = b""
    codecs: tuple[Codec, ...] = ()  # those of `written`
    direction: Direction = Direction.SENDRECV  # that of `written`
    peer: Description | None = None  # the peer's last offer
    crypto: Crypto | None = None  # the line of it we take
    slots: tuple[Slot, ...] = ()
    place: int = 0  # of the stream among them
    keys: Mapping[Suite, Keys] = NO_KEYS  # what we send with, when that suite is agreed
    agreed: Agreement | None = None
    stripped: Stripped = ()  # of what the far side said, not in `written`
    own: Own | None = None  # our half of DTLS and ICE, once there is any

    def __repr__(self) -> str:
        return f"<{self.open or 'settled'}>"  # the rest holds keys


Mark = tuple[State, State]
"""What is in force, and what was before the open offer."""
