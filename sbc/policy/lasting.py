"""What is used up of a rate for longer than a restart takes, so that it outlives the process: a day's calls are not given twice. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from sbc.clock import Now
from sbc.frozen import frozen
from sbc.policy.counters import LimitRules, Watch, What, size_of

LONG = 60.0  # seconds: what is there again before is not worth a row on the disk
MOST = 100_000  # watches that are remembered to be told, 10 MB: ten `limits` objects with all the numbers that they may have
RATES: tuple[What, ...] = ("new_calls", "new_calls_from", "new_calls_to", "requests")


@frozen
class Used:
    """`until`: seconds since the epoch, when nothing of it is used up any more. `scope`, `limit`, `what`: as in LimitState."""

    scope: str
    limit: str
    what: What
    until: float


class Lasting:
    """Those whose rates were used lately, and take long to be there again."""

    def __init__(self) -> None:
        self.limits: frozenset[str] = frozenset()  # `limits` objects that have such rates
        self._spent: OrderedDict[Watch, float] = OrderedDict()  # monotonic seconds, the latest last

    def follow(self, limits: Iterable[LimitRules]) -> None:
        self.limits = frozenset([rules.name for rules in limits if _longest(rules) >= LONG])
        self._spent = OrderedDict([(watch, at) for watch, at in self._spent.items() if watch.limit in self.limits])

    def note(self, watch: Watch, now: float) -> None:
        self._spent[watch] = now
        self._spent.move_to_end(watch)
        if len(self._spent) > MOST:
            self._spent.popitem(last=False)

    def since(self, then: float, now: Now) -> list[Used]:
        """Of what was spent at `then`, in monotonic seconds, or later."""
        found: list[Used] = []
        for watch, at in reversed(self._spent.items()):
            if at < then:
                break
            for what in RATES:
                left = watch.due(what) - now.monotonic
                if left >= LONG:
                    found.append(Used(watch.scope, watch.limit, what, round(now.wall + left, 3)))
        return found


def seconds_of(rules: LimitRules, what: What) -> float:
    """Until all that may be used up at once is there again; 0: it has no such rate."""
    rate: float | None = getattr(rules, what)
    return size_of(rate, rules.burst) / rate if rate is not None else 0.0


def _longest(rules: LimitRules) -> float:
    return max([seconds_of(rules, what) for what in RATES])
