"""What waits while there is more to do than time to do it: by rank, each with its share, and what has waited too long is told apart.

A line whose requests wait longer than the target for a whole interval is overloaded: until its delay falls well below the target,
whatever has waited longer than that is late. This is CoDel (RFC 8289) with one difference: senders of calls do not slow down for one
that is lost, as TCP does, so that all late ones go, not one now and then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import IntEnum
from typing import Generic, TypeVar

T = TypeVar("T")

OLDEST_S = 0.5  # T1: by then its sender has repeated it
INTERVAL_S = OLDEST_S  # a burst of that length is served whole. RFC 8289 s3.2 takes a round trip, which is what T1 stands for
TARGET_S = 0.2  # a caller does not notice. With 20 ms half of the calls that could be served were late on a machine that was busy otherwise
RELIEF = 0.5  # of the target: below it the overload is over. Just below it stands a line whose late ones have just gone
ROOM = 8192  # waiting at a time in one line; what waits 20 ms is far less, unless the process was held up


class Rank(IntEnum):
    """Who is served first. Of the last five each has its share; the first two go before them all."""

    FIRST = 0  # what belongs to something begun: a dialog that matched, an answer to a request of ours, a CANCEL or ACK of an INVITE here
    URGENT = 1  # whoever we know calls for help, or with a priority it may have
    TRUNK = 2
    AUTHENTICATED = 3  # proved by password, certificate or registration
    SEEN = 4  # answered a request of ours
    PLEA = 5  # a stranger calls for help, where the policy takes such calls: so many a second, which whoever asks counts
    UNKNOWN = 6


SHARES = {Rank.TRUNK: 8, Rank.AUTHENTICATED: 4, Rank.SEEN: 2, Rank.PLEA: 2, Rank.UNKNOWN: 1}  # of the time, when all of them wait


class _Line(Generic[T]):
    __slots__ = ("late_since", "overloaded", "rank", "share", "spent", "waiting")

    def __init__(self, rank: Rank) -> None:
        self.rank = rank
        self.share = SHARES.get(rank, 0)  # 0: it goes before those that share
        self.waiting: deque[tuple[float, T]] = deque()
        self.spent = 0.0  # seconds, by its share
        self.late_since: float | None = None
        self.overloaded = False

    def is_late(self, since: float, now: float) -> bool:
        """Whether what was taken, having waited `since` then, has waited too long; called for each."""
        delay = now - since
        if delay < TARGET_S * RELIEF or not self.waiting:
            self.overloaded = False
        if delay < TARGET_S:
            self.late_since = None
        elif self.late_since is None:
            self.late_since = now
        elif now - self.late_since >= INTERVAL_S:
            self.overloaded = True
        return delay >= OLDEST_S or (self.overloaded and delay >= TARGET_S)


class Queue(Generic[T]):
    """Times in monotonic seconds."""

    def __init__(self) -> None:
        self._lines: list[_Line[T]] = [_Line(rank) for rank in Rank]
        self._count = 0
        self._served = 0.0  # what the line that was served last has spent

    def __len__(self) -> int:
        return self._count

    def is_overloaded(self, rank: Rank) -> bool:
        """Whether some of that rank have to be turned away, as it looks."""
        return self._lines[rank].overloaded

    def put(self, item: T, rank: Rank, now: float) -> bool:
        """False: there is no room."""
        line = self._lines[rank]
        if len(line.waiting) >= ROOM:
            return False
        if not line.waiting:  # time it did not want is not owed to it
            line.spent = max(line.spent, self._served)
        line.waiting.append((now, item))
        self._count += 1
        return True

    def take(self, now: float) -> tuple[T, Rank, bool] | None:
        """What is to be served next, its rank, and whether it has waited so long that it need not be. None: nothing waits."""
        line = self._next()
        if line is None:
            return None
        since, item = line.waiting.popleft()
        self._count -= 1
        if not line.share:
            return item, line.rank, False
        self._served = line.spent
        return item, line.rank, line.is_late(since, now)

    def withdraw(self, rank: Rank, wanted: Callable[[T], bool]) -> list[T]:
        """Those of that rank that wait no longer, in their order."""
        line = self._lines[rank]
        found = [item for _, item in line.waiting if wanted(item)]
        if found:
            line.waiting = deque([each for each in line.waiting if not wanted(each[1])])
            self._count -= len(found)
        return found

    def charge(self, rank: Rank, seconds: float) -> None:
        """So long it took to serve one of that rank."""
        line = self._lines[rank]
        if line.share:
            line.spent += seconds / line.share

    def _next(self) -> _Line[T] | None:
        if not self._count:
            return None
        chosen: _Line[T] | None = None
        for line in self._lines:
            if not line.waiting:
                continue
            if not line.share:
                return line
            if chosen is None or line.spent < chosen.spent:
                chosen = line
        return chosen
