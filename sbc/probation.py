"""Whether a policy that is not confirmed yet does harm: fewer are registered, or fewer calls are answered, than before. Pure.

Calls of a minute say little: with fewer than ENOUGH attempts before or since, the share that was answered is not looked at.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from sbc.call.record import timestamp
from sbc.effects import WriteRecord
from sbc.net.ports import Records

ENOUGH = 20  # attempts
REMEMBERED = 200  # attempts, the newest


class CallTally:
    """Of call records: which attempts were answered."""

    def __init__(self) -> None:
        self._attempts: deque[tuple[str, bool]] = deque(maxlen=REMEMBERED)  # when they began, and whether

    def note(self, record: Mapping[str, object]) -> None:
        self._attempts.append((str(record.get("began")), record.get("answered") is not None))

    def since(self, wall: float) -> tuple[int, int]:
        """How many that began at `wall` or later are over, and how many of those were answered."""
        found = [answered for began, answered in self._attempts if began >= (timestamp(wall) or "")]
        return len(found), sum(found)

    def share(self) -> float | None:
        """Of all; None: there were too few."""
        attempts, answered = self.since(0.0)
        return answered / attempts if attempts >= ENOUGH else None


class Noted:
    """Call records on their way to where they are kept."""

    def __init__(self, records: Records, tally: CallTally) -> None:
        self._records = records
        self._tally = tally

    def write(self, record: WriteRecord) -> None:
        self._tally.note(record.record)
        self._records.write(record)


class Probation:
    """`registrations`, `share`: before. `least_registrations`, `least_answers`: percent of that."""

    def __init__(self, registrations: int, share: float | None, least_registrations: int, least_answers: int) -> None:
        self._registrations = registrations
        self._share = share
        self._least_registrations = least_registrations
        self._least_answers = least_answers

    def complaint(self, registrations: int, attempts: int, answered: int) -> str:
        """What is worse than it may be; "": nothing. `attempts` and `answered` count calls that began since."""
        if registrations * 100 < self._registrations * self._least_registrations:
            return f"{registrations} are registered of {self._registrations}"
        if self._share is not None and attempts >= ENOUGH and answered / attempts * 100 < self._share * self._least_answers:
            return f"{answered} of {attempts} calls were answered, before it was {self._share:.0%}"
        return ""
