"""The four transaction machines of RFC 3261 s17, corrected by RFC 6026 (Accepted) and RFC 4320 (no 408), as tables.

A pair of state and event that has no row is ignored. `transactions` has the driver; `diagram` draws a table for the guide.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from sbc.frozen import frozen


class State(StrEnum):
    CALLING = "Calling"
    TRYING = "Trying"
    PROCEEDING = "Proceeding"
    COMPLETED = "Completed"
    CONFIRMED = "Confirmed"
    ACCEPTED = "Accepted"
    TERMINATED = "Terminated"


class Event(StrEnum):
    """What can happen to a transaction; responses are received by a client and given by the user of a server."""

    REQUEST = "request again"
    ACK = "ACK"
    PROVISIONAL = "1xx"
    SUCCESS = "2xx"
    FAILURE = "300-699"
    FINAL = "200-699"
    SILENCE = "too late to answer"
    CANCEL = "user cancels"
    TRANSPORT_ERROR = "transport error"
    TIMER_A = "Timer A"
    TIMER_B = "Timer B"
    TIMER_D = "Timer D"
    TIMER_E = "Timer E"
    TIMER_F = "Timer F"
    TIMER_G = "Timer G"
    TIMER_H = "Timer H"
    TIMER_I = "Timer I"
    TIMER_J = "Timer J"
    TIMER_K = "Timer K"
    TIMER_L = "Timer L"
    TIMER_M = "Timer M"


class Action(StrEnum):
    SEND = "send response"
    SEND_NOTHING = "send nothing"
    RESEND = "send again"
    DOUBLE = "double the interval"
    BACK_OFF = "double the interval, at most T2"
    SLOW_DOWN = "set the interval to T2"
    STOP = "stop timers"
    ACKNOWLEDGE = "send ACK"
    HOLD_CANCEL = "hold CANCEL"
    SEND_HELD_CANCEL = "send held CANCEL"
    SEND_CANCEL = "send CANCEL"
    DELIVER = "tell user"
    TELL_TIMEOUT = "tell user 408"
    TELL_TRANSPORT = "tell user 503"
    TELL_NO_ACK = "tell user no ACK came"
    RELEASE = "let go of request and user"
    # A timer of no length (reliable transport) ends its state at once.
    START_D = "start D"
    START_GH = "start G, H"
    START_I = "start I"
    START_J = "start J"
    START_K = "start K"
    START_L = "start L"
    START_M = "start M"


Row = tuple[State, tuple[Action, ...]]
Table = Mapping[tuple[State, Event], Row]


@frozen
class Machine:
    """A table with its first state and, for each state that has timers, the events they become: repeating (or None), last."""

    name: str
    start: State
    table: Table
    timers: Mapping[State, tuple[Event | None, Event]]


S, E, A = State, Event, Action

CLIENT_INVITE = Machine(
    "INVITE client",
    S.CALLING,
    {
        (S.CALLING, E.TIMER_A): (S.CALLING, (A.RESEND, A.DOUBLE)),
        (S.CALLING, E.TIMER_B): (S.TERMINATED, (A.TELL_TIMEOUT, A.RELEASE)),
        (S.CALLING, E.PROVISIONAL): (S.PROCEEDING, (A.STOP, A.SEND_HELD_CANCEL, A.DELIVER)),
        (S.CALLING, E.SUCCESS): (S.ACCEPTED, (A.START_M, A.DELIVER)),
        (S.CALLING, E.FAILURE): (S.COMPLETED, (A.ACKNOWLEDGE, A.START_D, A.DELIVER, A.RELEASE)),
        (S.CALLING, E.TRANSPORT_ERROR): (S.TERMINATED, (A.TELL_TRANSPORT, A.RELEASE)),
        # RFC 3261 s9.1: "If no provisional response has been received, the CANCEL request MUST NOT be sent".
        (S.CALLING, E.CANCEL): (S.CALLING, (A.HOLD_CANCEL,)),
        (S.PROCEEDING, E.PROVISIONAL): (S.PROCEEDING, (A.DELIVER,)),
        (S.PROCEEDING, E.SUCCESS): (S.ACCEPTED, (A.START_M, A.DELIVER)),
        (S.PROCEEDING, E.FAILURE): (S.COMPLETED, (A.ACKNOWLEDGE, A.START_D, A.DELIVER, A.RELEASE)),
        (S.PROCEEDING, E.TRANSPORT_ERROR): (S.TERMINATED, (A.TELL_TRANSPORT, A.RELEASE)),
        (S.PROCEEDING, E.CANCEL): (S.PROCEEDING, (A.SEND_CANCEL,)),
        # Runs here only after a CANCEL: s9.1 has the client give the INVITE up when no final answer follows in 64*T1.
        (S.PROCEEDING, E.TIMER_B): (S.TERMINATED, (A.TELL_TIMEOUT, A.RELEASE)),
        (S.COMPLETED, E.FAILURE): (S.COMPLETED, (A.RESEND,)),
        (S.COMPLETED, E.TIMER_D): (S.TERMINATED, ()),
        (S.COMPLETED, E.TRANSPORT_ERROR): (S.TERMINATED, ()),
        (S.ACCEPTED, E.SUCCESS): (S.ACCEPTED, (A.DELIVER,)),
        (S.ACCEPTED, E.TIMER_M): (S.TERMINATED, (A.RELEASE,)),
    },
    {
        S.CALLING: (E.TIMER_A, E.TIMER_B),
        S.PROCEEDING: (None, E.TIMER_B),
        S.COMPLETED: (None, E.TIMER_D),
        S.ACCEPTED: (None, E.TIMER_M),
    },
)

CLIENT_OTHER = Machine(
    "non-INVITE client",
    S.TRYING,
    {
        (S.TRYING, E.TIMER_E): (S.TRYING, (A.RESEND, A.BACK_OFF)),
        (S.TRYING, E.TIMER_F): (S.TERMINATED, (A.TELL_TIMEOUT, A.RELEASE)),
        (S.TRYING, E.PROVISIONAL): (S.PROCEEDING, (A.DELIVER,)),
        (S.TRYING, E.FINAL): (S.COMPLETED, (A.START_K, A.DELIVER, A.RELEASE)),
        (S.TRYING, E.TRANSPORT_ERROR): (S.TERMINATED, (A.TELL_TRANSPORT, A.RELEASE)),
        (S.PROCEEDING, E.TIMER_E): (S.PROCEEDING, (A.RESEND, A.SLOW_DOWN)),
        (S.PROCEEDING, E.TIMER_F): (S.TERMINATED, (A.TELL_TIMEOUT, A.RELEASE)),
        (S.PROCEEDING, E.PROVISIONAL): (S.PROCEEDING, (A.DELIVER,)),
        (S.PROCEEDING, E.FINAL): (S.COMPLETED, (A.START_K, A.DELIVER, A.RELEASE)),
        (S.PROCEEDING, E.TRANSPORT_ERROR): (S.TERMINATED, (A.TELL_TRANSPORT, A.RELEASE)),
        (S.COMPLETED, E.FINAL): (S.COMPLETED, ()),
        (S.COMPLETED, E.TIMER_K): (S.TERMINATED, ()),
    },
    {
        S.TRYING: (E.TIMER_E, E.TIMER_F),
        S.PROCEEDING: (E.TIMER_E, E.TIMER_F),
        S.COMPLETED: (None, E.TIMER_K),
    },
)

SERVER_INVITE = Machine(
    "INVITE server",
    S.PROCEEDING,
    {
        (S.PROCEEDING, E.REQUEST): (S.PROCEEDING, (A.RESEND,)),
        (S.PROCEEDING, E.PROVISIONAL): (S.PROCEEDING, (A.SEND,)),
        (S.PROCEEDING, E.SUCCESS): (S.ACCEPTED, (A.SEND, A.START_L, A.RELEASE)),
        (S.PROCEEDING, E.FAILURE): (S.COMPLETED, (A.SEND, A.START_GH)),
        (S.PROCEEDING, E.ACK): (S.PROCEEDING, ()),
        (S.COMPLETED, E.REQUEST): (S.COMPLETED, (A.RESEND,)),
        (S.COMPLETED, E.TIMER_G): (S.COMPLETED, (A.RESEND, A.BACK_OFF)),
        (S.COMPLETED, E.TIMER_H): (S.TERMINATED, (A.TELL_NO_ACK, A.RELEASE)),
        (S.COMPLETED, E.ACK): (S.CONFIRMED, (A.START_I, A.RELEASE)),
        (S.CONFIRMED, E.REQUEST): (S.CONFIRMED, ()),
        (S.CONFIRMED, E.ACK): (S.CONFIRMED, ()),
        (S.CONFIRMED, E.TIMER_I): (S.TERMINATED, ()),
        # RFC 6026 s7.1: a repeated INVITE is absorbed; the user repeats the 2xx and takes the ACK.
        (S.ACCEPTED, E.REQUEST): (S.ACCEPTED, ()),
        (S.ACCEPTED, E.SUCCESS): (S.ACCEPTED, (A.SEND,)),
        (S.ACCEPTED, E.TIMER_L): (S.TERMINATED, ()),
    },
    {
        S.COMPLETED: (E.TIMER_G, E.TIMER_H),
        S.CONFIRMED: (None, E.TIMER_I),
        S.ACCEPTED: (None, E.TIMER_L),
    },
)

SERVER_OTHER = Machine(
    "non-INVITE server",
    S.TRYING,
    {
        (S.TRYING, E.REQUEST): (S.TRYING, ()),
        (S.TRYING, E.PROVISIONAL): (S.PROCEEDING, (A.SEND,)),
        (S.TRYING, E.FINAL): (S.COMPLETED, (A.SEND, A.START_J, A.RELEASE)),
        # RFC 4320 s4.2: "MUST NOT send a response with Status-Code of 408"; from then on repeated requests meet silence.
        (S.TRYING, E.SILENCE): (S.COMPLETED, (A.SEND_NOTHING, A.START_J, A.RELEASE)),
        (S.PROCEEDING, E.REQUEST): (S.PROCEEDING, (A.RESEND,)),
        (S.PROCEEDING, E.PROVISIONAL): (S.PROCEEDING, (A.SEND,)),
        (S.PROCEEDING, E.FINAL): (S.COMPLETED, (A.SEND, A.START_J, A.RELEASE)),
        (S.PROCEEDING, E.SILENCE): (S.COMPLETED, (A.SEND_NOTHING, A.START_J, A.RELEASE)),
        (S.COMPLETED, E.REQUEST): (S.COMPLETED, (A.RESEND,)),
        (S.COMPLETED, E.TIMER_J): (S.TERMINATED, ()),
    },
    {S.COMPLETED: (None, E.TIMER_J)},
)

MACHINES = (CLIENT_INVITE, CLIENT_OTHER, SERVER_INVITE, SERVER_OTHER)


def diagram(table: Table) -> str:
    """The table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", f"    [*] --> {next(iter(table))[0]}"]
    for (state, event), (following, actions) in table.items():
        label = f"{event} / {', '.join(actions)}" if actions else event
        lines.append(f"    {state} --> {following} : {label}")
    lines.append(f"    {State.TERMINATED} --> [*]")
    return "\n".join(lines) + "\n"
