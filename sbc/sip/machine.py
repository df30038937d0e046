"""The driver of the four transaction machines: what client and server transactions have in common."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Generic, TypeVar, cast

from sbc.clock import Now
from sbc.flow import Flow
from sbc.frozen import frozen
from sbc.sip.lingering import Lingering
from sbc.sip.message import Response
from sbc.sip.tables import Action, Event, Machine, State
from sbc.sip.timers import Timer, Timers, TimerValues

# Octets, where to, and the key that comes back when they could not be sent; empty: nobody waits for it.
Sender = Callable[[bytes, Flow, str], None]

Step = Callable[["Transaction", Response | None, Now], None]
K = TypeVar("K", bound=Hashable)
T = TypeVar("T", bound="Transaction")

TERMINATED = State.TERMINATED  # looked up on every step


@frozen
class Program:
    """A `Machine` whose actions are methods."""

    start: State
    rows: Mapping[tuple[State, Event], tuple[State, tuple[Step, ...]]]
    timers: Mapping[State, tuple[Event | None, Event]]


def program(machine: Machine, methods: Mapping[Action, Callable[[T, Response | None, Now], None]]) -> Program:
    """Raises KeyError when the table names an action that has no method."""
    # Safe: a class hands its own methods and only ever runs its own programs.
    steps = {action: cast(Step, method) for action, method in methods.items()}
    rows = {pair: (state, tuple(steps[action] for action in actions)) for pair, (state, actions) in machine.table.items()}
    return Program(machine.start, rows, machine.timers)


class Layer(Generic[K, T]):
    """What all transactions of one kind, client or server, share."""

    __slots__ = ("lingering", "living", "send", "timers")

    def __init__(self, timers: Timers, send: Sender) -> None:
        self.timers = timers
        self.send = send
        self.living: dict[K, T] = {}
        self.lingering: Lingering[K] = Lingering(timers)


class Transaction:
    """One transaction, at most one entry in the timer heap: the next retransmission or the end, whichever is sooner.

    flow     where its messages go
    state    where its machine stands
    """

    __slots__ = ("_data", "_deadline", "_interval", "_program", "_timer", "_timers", "_values", "flow", "state")

    def __init__(self, code: Program, flow: Flow, timers: Timers, values: TimerValues) -> None:
        self._program = code
        self.state = code.start
        self.flow = flow
        self._timers = timers
        self._values = values
        self._data = b""  # what a retransmission repeats, byte for byte
        self._timer: Timer | None = None
        self._interval = 0.0  # seconds to the next retransmission; 0: none
        self._deadline = 0.0  # instant of the timer that ends the state

    def _step(self, event: Event, response: Response | None, now: Now) -> None:
        row = self._program.rows.get((self.state, event))
        if row is None:
            return
        self.state, actions = row
        if self.state is TERMINATED:
            self._cancel_timer()
            self._forget()
        for action in actions:
            action(self, response, now)

    def _forget(self) -> None:
        """Leave the table of the living."""
        raise NotImplementedError

    # Timers

    def _run(self, interval: float, duration: float, now: Now) -> None:
        """Repeat after `interval` seconds (0: never) and end the state after `duration`; no duration ends it at once."""
        self._cancel_timer()
        if duration <= 0.0:
            self._step(self._program.timers[self.state][1], None, now)
            return
        self._interval = interval
        self._deadline = now.monotonic + duration
        self._arm(now)

    def _arm(self, now: Now) -> None:
        when = self._deadline
        if self._interval:
            when = min(when, now.monotonic + self._interval)
        self._timer = self._timers.start(when, self)

    def __call__(self, now: Now) -> None:
        """The timer fired. A transaction is its own action, to save a bound method for each."""
        self._timer = None
        repeating, last = self._program.timers[self.state]
        if repeating is None or not self._interval or now.monotonic >= self._deadline:
            self._step(last, None, now)
        else:
            self._step(repeating, None, now)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # Actions of both kinds

    def _stop(self, _: Response | None, now: Now) -> None:
        self._cancel_timer()

    def _double(self, _: Response | None, now: Now) -> None:
        self._interval *= 2.0
        self._arm(now)

    def _back_off(self, _: Response | None, now: Now) -> None:
        self._interval = min(self._interval * 2.0, self._values.t2)
        self._arm(now)

    def _slow_down(self, _: Response | None, now: Now) -> None:
        self._interval = self._values.t2
        self._arm(now)
