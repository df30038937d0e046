"""One heap for every timer of the signalling core, and the timer values of RFC 3261 Appendix A."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush

from sbc.clock import Now
from sbc.frozen import frozen

Action = Callable[[Now], None]

# A cancelled timer stays in the heap until its instant comes. The dead may outnumber the living only up to this count;
# past it the heap is rebuilt. Bound: 2 * living + KEPT_DEAD entries of about 250 octets, 45 MB with 90,000 living timers.
KEPT_DEAD = 1024


@frozen
class TimerValues:
    """The base values in seconds (RFC 3261 s17.1.1.1, s17.1.2.2); every timer of the four machines derives from them.

    invite_timeout   Timer B, when a peer shall be given up sooner than after 64*T1 (fail-over to the next gateway)
    Raises ValueError for values no network needs: T1 outside 0.1 to 2 s, T2 below T1, a negative T4, a Timer B below T1.
    """

    t1: float = 0.5
    t2: float = 4.0
    t4: float = 5.0
    invite_timeout: float | None = None

    def __post_init__(self) -> None:
        if not 0.1 <= self.t1 <= 2.0 or self.t2 < self.t1 or self.t4 < 0.0:
            raise ValueError(f"T1 {self.t1} s must be 0.1 to 2, T2 {self.t2} s at least T1, T4 {self.t4} s not negative")
        if self.invite_timeout is not None and self.invite_timeout < self.t1:
            raise ValueError(f"Timer B {self.invite_timeout} s is shorter than T1 {self.t1} s")

    @property
    def give_up(self) -> float:
        """64*T1: Timers F, H, J, L, M, and B unless set otherwise."""
        return 64.0 * self.t1

    @property
    def retransmissions_at_t2(self) -> float:
        """Seconds from the first send until Timer E is reset to T2: before it no 100 over UDP (RFC 4320 s4.1); 3.5 by default."""
        interval, passed = self.t1, 0.0
        while interval < self.t2:
            passed += interval
            interval *= 2.0
        return passed


class Timer:
    """A running timer; what `Timers.start` returns."""

    __slots__ = ("_timers", "action")

    def __init__(self, action: Action, timers: Timers) -> None:
        self.action: Action | None = action
        self._timers = timers

    def cancel(self) -> None:
        """Its action will not run. Cancelling a timer that ran or was cancelled is nothing."""
        if self.action is not None:
            self.action = None
            self._timers.bury()


class Timers:
    """All timers of one core. Instants are monotonic seconds."""

    __slots__ = ("_dead", "_heap", "_started", "_timed")

    def __init__(self, timed: Callable[[Action], Action] | None = None) -> None:
        """`timed` is given the action of each timer and gives the one to run instead."""
        self._heap: list[tuple[float, int, Timer]] = []  # tuples compare in C; the number decides between equal instants
        self._started = 0
        self._dead = 0
        self._timed = timed

    def start(self, when: float, action: Action) -> Timer:
        """Run `action` at `when`, which must be later than the instant being fired."""
        return self.start_common(when, action if self._timed is None else self._timed(action))

    def start_common(self, when: float, action: Action) -> Timer:
        """The same for an action that serves many calls, not the one under way."""
        self._started += 1
        timer = Timer(action, self)
        heappush(self._heap, (when, self._started, timer))
        return timer

    def next(self) -> float | None:
        """The instant of the next timer; None when there is none."""
        heap = self._heap
        while heap:
            if heap[0][2].action is not None:
                return heap[0][0]
            heappop(heap)
            self._dead -= 1
        return None

    def fire(self, now: Now) -> None:
        """Run every timer that is due, in order. Should an action raise, the next call runs the remaining ones."""
        heap = self._heap
        instant = now.monotonic
        while heap and heap[0][0] <= instant:
            timer = heappop(heap)[2]
            action = timer.action
            if action is None:
                self._dead -= 1
            else:
                timer.action = None  # breaks the cycle timer -> owner -> timer before it can cost a collection
                action(now)

    def __len__(self) -> int:
        """Timers that are still to run."""
        return len(self._heap) - self._dead

    def bury(self) -> None:
        """One of them was cancelled."""
        self._dead += 1
        if self._dead > KEPT_DEAD and self._dead * 2 > len(self._heap):
            # In place: `fire` may be walking this very list.
            self._heap[:] = [entry for entry in self._heap if entry[2].action is not None]
            heapify(self._heap)
            self._dead = 0
