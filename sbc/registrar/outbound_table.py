"""What becomes of one registration of ours at a carrier, as a table. A pair of state and event that has no row is ignored.

`sbc.registrar.outbound` has the driver.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    RESTING = "resting"  # until the next refresh or try
    LOCATING = "locating"  # DNS is asked
    ASKING = "asking"  # a REGISTER is under way
    PARTING = "parting"  # the same, and nobody wants it any more
    LEAVING = "leaving"  # the REGISTER that takes it back is under way
    GONE = "gone"


class Event(StrEnum):
    DUE = "it is time"
    LOCATED = "servers are known"
    ACCEPTED = "2xx"
    CHALLENGED = "challenge that can be answered"
    TOO_BRIEF = "423"
    REDIRECTED = "3xx"
    FAILED = "this server cannot"
    EXHAUSTED = "no server can"
    DENIED = "not with this account"
    FLOW_LOST = "connection lost"
    LAPSED = "what was granted is over"
    UNWANTED = "not wanted any more"
    OUT_OF_TIME = "has had its time to leave"


class Action(StrEnum):
    LOCATE = "ask DNS"
    FOLLOW = "go where it was sent"
    TRY = "try the next server"
    ASK = "send REGISTER"
    LENGTHEN = "ask for longer"
    BIND = "it is registered"
    LOSE = "it is not registered any more"
    REFRESH_LATER = "wait for the refresh"
    BACK_OFF = "wait longer each time"
    HOLD_BACK = "wait, much longer after the second time"
    RETRY_SOON = "wait a moment"
    TAKE_BACK = "send REGISTER with nothing granted"
    FORGET = "forget it"


Table = Mapping[tuple[State, Event], tuple[State, tuple[Action, ...]]]

S, E, A = State, Event, Action

TABLE: Table = {
    (S.RESTING, E.DUE): (S.LOCATING, (A.LOCATE,)),
    (S.RESTING, E.FLOW_LOST): (S.RESTING, (A.LOSE, A.RETRY_SOON)),
    (S.RESTING, E.LAPSED): (S.RESTING, (A.LOSE,)),
    (S.RESTING, E.UNWANTED): (S.LEAVING, (A.TAKE_BACK,)),
    (S.LOCATING, E.LOCATED): (S.ASKING, (A.TRY,)),
    (S.LOCATING, E.FLOW_LOST): (S.LOCATING, (A.LOSE,)),
    (S.LOCATING, E.LAPSED): (S.LOCATING, (A.LOSE,)),
    (S.LOCATING, E.UNWANTED): (S.LEAVING, (A.TAKE_BACK,)),
    (S.ASKING, E.ACCEPTED): (S.RESTING, (A.BIND, A.REFRESH_LATER)),
    (S.ASKING, E.CHALLENGED): (S.ASKING, (A.ASK,)),
    (S.ASKING, E.TOO_BRIEF): (S.ASKING, (A.LENGTHEN, A.ASK)),
    (S.ASKING, E.REDIRECTED): (S.LOCATING, (A.FOLLOW,)),
    (S.ASKING, E.FAILED): (S.ASKING, (A.TRY,)),
    (S.ASKING, E.EXHAUSTED): (S.RESTING, (A.BACK_OFF,)),
    (S.ASKING, E.DENIED): (S.RESTING, (A.HOLD_BACK,)),
    (S.ASKING, E.FLOW_LOST): (S.ASKING, (A.LOSE,)),
    (S.ASKING, E.LAPSED): (S.ASKING, (A.LOSE,)),
    # One REGISTER at a time: the one under way is waited for, for it may yet be accepted
    (S.ASKING, E.UNWANTED): (S.PARTING, ()),
    (S.PARTING, E.ACCEPTED): (S.LEAVING, (A.BIND, A.TAKE_BACK)),
    (S.PARTING, E.CHALLENGED): (S.LEAVING, (A.TAKE_BACK,)),
    (S.PARTING, E.TOO_BRIEF): (S.LEAVING, (A.TAKE_BACK,)),
    (S.PARTING, E.REDIRECTED): (S.LEAVING, (A.TAKE_BACK,)),
    (S.PARTING, E.FAILED): (S.LEAVING, (A.TAKE_BACK,)),
    (S.PARTING, E.DENIED): (S.LEAVING, (A.TAKE_BACK,)),
    (S.PARTING, E.FLOW_LOST): (S.PARTING, (A.LOSE,)),
    (S.PARTING, E.OUT_OF_TIME): (S.GONE, (A.FORGET,)),
    (S.LEAVING, E.CHALLENGED): (S.LEAVING, (A.TAKE_BACK,)),
    (S.LEAVING, E.ACCEPTED): (S.GONE, (A.FORGET,)),
    (S.LEAVING, E.TOO_BRIEF): (S.GONE, (A.FORGET,)),
    (S.LEAVING, E.REDIRECTED): (S.GONE, (A.FORGET,)),
    (S.LEAVING, E.FAILED): (S.GONE, (A.FORGET,)),
    (S.LEAVING, E.DENIED): (S.GONE, (A.FORGET,)),
    (S.LEAVING, E.FLOW_LOST): (S.GONE, (A.FORGET,)),
    (S.LEAVING, E.OUT_OF_TIME): (S.GONE, (A.FORGET,)),
}
