"""The states of a call, in the order it passes them."""

from __future__ import annotations

from enum import StrEnum


class CallState(StrEnum):
    SCREENED = "screened"  # let in; ports and addresses are being found
    DIALLING = "dialling"  # INVITE is on its way to a callee
    RINGING = "ringing"  # a callee made progress
    CONNECTED = "connected"
    ENDED = "ended"  # entered once: reservations released, relay closed, record written when its figures are in


BEFORE_CONNECTED = (CallState.SCREENED, CallState.DIALLING, CallState.RINGING)
