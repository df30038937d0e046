"""How many calls, and how fast. Counters belong to names, so they survive a new snapshot; the rules come with the party. Pure."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from sbc.clock import Now
from sbc.frozen import frozen
from sbc.policy.snapshot import LimitRules, Party, User
from sbc.tap import Answered, unrecorded


@frozen
class Reservation:
    """One call, counted under these names until it is released."""

    counters: tuple[str, ...]


@frozen
class Refused:
    """`which` limit of the object `name` is reached, and the answer: a user is busy or may try later, a trunk is out of circuits.

    Never 403: a limit passes, and a PBX that is told "forbidden" does not come back.
    """

    which: Literal["calls", "new_calls"]
    name: str
    status: int
    reason: str


MESSAGES_PER_SECOND = 10.0  # of one party, when its limits name no rate of calls: a busy SMS gateway, not a flood


class Limits:
    """Counters of calls in progress and of call rates, by name: at most two of each per object of the policies seen."""

    def __init__(self, answered: Answered = unrecorded) -> None:
        self._calls: Counter[str] = Counter()
        self._due: dict[str, float] = {}
        self._judged = answered(self._judge)

    def reserve(self, party: Party, now: Now) -> Reservation | Refused:
        """Count one more call of `party`, or say which limit forbids it; then nothing is counted."""
        return self._judged(party, now)

    def _judge(self, party: Party, now: Now) -> Reservation | Refused:
        rules = party.limits
        if rules is None:
            return self.reserve_exempt(party)
        name = _pool(rules) if rules.shared else party.name
        if rules.calls is not None and self._calls[name] >= rules.calls:
            return _refused("calls", party, name)
        if rules.new_calls is not None and not self._take(name, rules.new_calls, now.monotonic):
            return _refused("new_calls", party, name)
        return self.reserve_exempt(party)

    def reserve_exempt(self, party: Party) -> Reservation:
        """Count one more call that no limit forbids (an emergency call)."""
        counters = (party.name,) if party.limits is None else (party.name, _pool(party.limits))
        for name in counters:
            self._calls[name] += 1
        return Reservation(counters)

    def may_send(self, party: Party, now: Now) -> bool:
        """One more request that is no call: as many a second as new calls, counted apart from them."""
        rules = party.limits
        rate = (rules.new_calls if rules else None) or MESSAGES_PER_SECOND
        name = _pool(rules) if rules and rules.shared else party.name
        return self._take(f"messages of {name}", rate, now.monotonic)

    def release(self, reservation: Reservation) -> None:
        """The call is over. Exactly once per reservation."""
        for name in reservation.counters:
            self._calls[name] -= 1
            if not self._calls[name]:
                del self._calls[name]

    def calls(self, name: str) -> int:
        """Calls in progress of the trunk or user `name`."""
        return self._calls.get(name, 0)

    def counted(self, party: Party) -> int:
        """Calls in progress that count against the `calls` of its limits: its own, or those of the whole pool."""
        rules = party.limits
        return self.calls(_pool(rules) if rules is not None and rules.shared else party.name)

    def _take(self, name: str, rate: float, now: float) -> bool:
        """A token bucket kept as one time: when the bucket would be full again (generic cell rate algorithm, ITU-T I.371)."""
        burst = max(1.0, rate)
        due = max(now, self._due.get(name, now))
        # Half a microsecond of tolerance: sums of 1/rate are not exact.
        if due - now > (burst - 1.0) / rate + 5e-7:
            return False
        self._due[name] = due + 1.0 / rate
        return True


def _pool(rules: LimitRules) -> str:
    return f"limits.{rules.name}"


def _refused(which: Literal["calls", "new_calls"], party: Party, name: str) -> Refused:
    if isinstance(party, User):  # 503 is for servers: a phone would say that we are broken
        return Refused(which, name, 486, "Busy Here") if which == "calls" else Refused(which, name, 480, "Temporarily Unavailable")
    return Refused(which, name, 503, "Service Unavailable")
