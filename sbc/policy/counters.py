"""What a limit is, and what it counts for one object or number: calls in progress, how far a rate is used up, what is to be told. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sbc.frozen import frozen

Way = Literal["from", "to"]
What = Literal["calls", "calls_from", "calls_to", "bandwidth", "new_calls", "new_calls_from", "new_calls_to", "requests"]

NEARLY = 0.8  # of a limit, and somebody should know
EASED = 0.6  # below that it is news when it comes near once more
FEW = 5  # a phone with one line is always either free or full: below this many, only refusals are told
TOLD_EVERY_S = 3600.0  # that calls are refused; whoever is at the limit all day is told once an hour


@dataclass(frozen=True, slots=True)
class LimitRules:
    """One `limits` object. None: no such limit.

    calls         concurrent calls
    new_calls     per second
    longest_call  seconds
    requests      per second outside of dialogs; of strangers: per source
    shared        the objects that name these rules share one pool instead of having one each
    …_from, …_to  the same of calls that come from the object, and that go to it
    burst         calls, or requests, at once; None: one second's worth, at least one
    for_each      counted apart for each calling number, called number or source address
    bandwidth     bits a second that the media of the calls take, one way
    """

    name: str
    calls: int | None = None
    new_calls: float | None = None
    longest_call: float | None = None
    requests: float | None = None
    shared: bool = False
    calls_from: int | None = None
    calls_to: int | None = None
    new_calls_from: float | None = None
    new_calls_to: float | None = None
    burst: int | None = None
    for_each: Literal["caller", "called", "source"] | None = None
    bandwidth: int | None = None


@frozen
class LimitState:
    """One figure of a `limits` object, where it counts.

    scope     the trunk or user, `realm NAME`, `numbers LINE`, `route NAME`, `everybody together` or `limits.NAME` for a pool, and
              which number or source of it
    now       calls in progress, or the bits a second they take; of a rate what is used up of its burst
    highest   that has been
    most      that is allowed
    rate      a second, where it is one
    """

    limit: str
    scope: str
    what: What
    now: int
    highest: int
    most: int
    refused: int
    rate: float | None = None

    @property
    def full(self) -> bool:
        """The next one would be refused."""
        return self.now >= self.most

    def left(self) -> float:
        """What share of it is free; the least comes first."""
        return 1.0 - self.now / self.most


class Tally:
    """Calls in progress under one name, and the bits a second that their media take each way."""

    __slots__ = ("bits", "calls_from", "calls_to")

    def __init__(self) -> None:
        self.calls_from = 0
        self.calls_to = 0
        self.bits = 0

    def of(self, what: What) -> int:
        if what == "calls":
            return self.calls_from + self.calls_to
        if what == "bandwidth":
            return self.bits
        return self.calls_from if what == "calls_from" else self.calls_to


def tally_of(figures: Mapping[What, int]) -> Tally:
    """As far as they are known: of calls whose way is not, all go the way of which nothing is known."""
    tally = Tally()
    tally.bits = figures.get("bandwidth", 0)
    tally.calls_from, tally.calls_to = figures.get("calls_from", 0), figures.get("calls_to", 0)
    rest = figures.get("calls", 0) - tally.calls_from - tally.calls_to
    if rest > 0 and "calls_from" not in figures:
        tally.calls_from += rest
    elif rest > 0:
        tally.calls_to += rest
    return tally


class Mark:
    """What one figure has come to."""

    __slots__ = ("_told_at", "_warned", "highest", "refused")

    def __init__(self) -> None:
        self.highest = 0
        self.refused = 0
        self._warned = False
        self._told_at: float | None = None

    def see(self, figure: int, most: int, more: int = 1) -> bool:
        """So many `more`, which makes `figure`. Whether that is near enough to the limit to be told."""
        if figure > self.highest:
            self.highest = figure
        if self._warned and figure - more <= EASED * most:
            self._warned = False
        if self._warned or most < FEW or figure < NEARLY * most:
            return False
        self._warned = True
        return True

    def refuse(self, now: float) -> bool:
        """Whether it is to be told."""
        self.refused += 1
        if self._told_at is not None and now - self._told_at < TOLD_EVERY_S:
            return False
        self._told_at = now
        return True


class Watch:
    """One `limits` object, where it counts. Rates are token buckets, each kept as one time: when it would be full again (generic
    cell rate algorithm, ITU-T I.371).
    """

    __slots__ = ("_due", "_marks", "limit", "scope")

    def __init__(self, scope: str, limit: str) -> None:
        self.scope = scope
        self.limit = limit
        self._due: dict[What, float] = {}
        self._marks: dict[What, Mark] = {}

    def forbids(self, rules: LimitRules, tally: Tally | None, way: Way, bits: int, now: float) -> What | None:
        """What of `rules` one more call of so many `bits` would pass; `tally`: the calls in progress, None: there are none."""
        if not self.carries(rules, tally, bits):
            return "bandwidth"
        if tally is not None:
            for what, most in _calls(rules, way):
                if tally.of(what) >= most:
                    return what
        for what, rate in _rates(rules, way):
            if not self.has(what, rate, rules.burst, now):
                return what
        return None

    def carries(self, rules: LimitRules, tally: Tally | None, bits: int) -> bool:
        """Whether there is room for so many `bits` more."""
        return rules.bandwidth is None or (tally.bits if tally is not None else 0) + bits <= rules.bandwidth

    def widen(self, rules: LimitRules, total: int, bits: int) -> list[LimitState]:
        """So many bits more, which makes `total`: that, if it has come near to its limit."""
        most = rules.bandwidth
        if most is None or not self.mark("bandwidth").see(total, most, bits):
            return []
        return [self._state(rules, "bandwidth", total, most)]

    def take(self, rules: LimitRules, tally: Tally, way: Way, bits: int, now: float) -> list[LimitState]:
        """One more call, which `tally` has counted already: what has now come near to its limit."""
        near = self.widen(rules, tally.bits, bits)
        for what, most in _calls(rules, way):
            if self.mark(what).see(tally.of(what), most):
                near.append(self._state(rules, what, tally.of(what), most))
        for what, rate in _rates(rules, way):
            state = self.spend(rules, what, rate, now)
            if state is not None:
                near.append(state)
        return near

    def has(self, what: What, rate: float, burst: int | None, now: float) -> bool:
        """Whether there is a token left."""
        due = self._due.get(what, now)
        # Half a microsecond of tolerance: sums of 1/rate are not exact.
        return due <= now or due - now <= (size_of(rate, burst) - 1.0) / rate + 5e-7

    def spend(self, rules: LimitRules, what: What, rate: float, now: float) -> LimitState | None:
        """Take a token. What is to be told, if that was one of the last."""
        self._due[what] = max(now, self._due.get(what, now)) + 1.0 / rate
        used, most = self._used(what, rate, now), int(size_of(rate, rules.burst))
        return self._state(rules, what, used, most, rate) if self.mark(what).see(used, most) else None

    def use_up(self, what: What, due: float) -> None:
        """Somebody else has taken so many tokens that all are there again only then."""
        self._due[what] = due

    def due(self, what: What) -> float:
        """Monotonic seconds, when all its tokens are there again."""
        return self._due.get(what, 0.0)

    def mark(self, what: What) -> Mark:
        found = self._marks.get(what)
        if found is None:
            found = self._marks[what] = Mark()
        return found

    def states(self, rules: LimitRules, tally: Tally | None, now: float) -> list[LimitState]:
        """All its figures."""
        both = dict.fromkeys((*_calls(rules, "from"), *_calls(rules, "to")))
        if rules.bandwidth is not None:
            both["bandwidth", rules.bandwidth] = None
        rates = dict.fromkeys((*_rates(rules, "from"), *_rates(rules, "to")))
        if rules.requests is not None:
            rates["requests", rules.requests] = None
        return [
            *[self._state(rules, what, tally.of(what) if tally is not None else 0, most) for what, most in both],
            *[self._state(rules, what, self._used(what, rate, now), int(size_of(rate, rules.burst)), rate) for what, rate in rates],
        ]

    def _used(self, what: What, rate: float, now: float) -> int:
        """Tokens, a begun one as a whole."""
        return -int(-max(0.0, self._due.get(what, now) - now - 5e-7) * rate // 1)

    def _state(self, rules: LimitRules, what: What, figure: int, most: int, rate: float | None = None) -> LimitState:
        mark = self._marks.get(what)
        highest, refused = (mark.highest, mark.refused) if mark is not None else (0, 0)
        return LimitState(rules.name, self.scope, what, figure, highest, most, refused, rate)


def size_of(rate: float, burst: int | None) -> float:
    """Of a bucket: one second's worth if nothing is said, at least one."""
    return max(1.0, rate) if burst is None else float(burst)


def _calls(rules: LimitRules, way: Way) -> list[tuple[What, int]]:
    """The limits of calls in progress that a call this way counts for."""
    found: list[tuple[What, int]] = []
    if rules.calls is not None:
        found.append(("calls", rules.calls))
    if way == "from":
        if rules.calls_from is not None:
            found.append(("calls_from", rules.calls_from))
    elif rules.calls_to is not None:
        found.append(("calls_to", rules.calls_to))
    return found


def _rates(rules: LimitRules, way: Way) -> list[tuple[What, float]]:
    """The same of new calls."""
    found: list[tuple[What, float]] = []
    if rules.new_calls is not None:
        found.append(("new_calls", rules.new_calls))
    if way == "from":
        if rules.new_calls_from is not None:
            found.append(("new_calls_from", rules.new_calls_from))
    elif rules.new_calls_to is not None:
        found.append(("new_calls_to", rules.new_calls_to))
    return found
