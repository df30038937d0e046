"""How many calls and requests, and how fast. Counters belong to names, so they survive a new policy, whose rules count at once. Pure.

A call counts for its caller (`from`) and for each callee that is tried (`to`), on each of these sides for the network and for the
number, if that is one of the party's and has limits, too; once for its route, and once for everybody together.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from sbc.clock import Now
from sbc.frozen import frozen
from sbc.policy.counters import LimitRules, LimitState, Tally, Watch, Way, What, tally_of
from sbc.policy.lasting import Lasting, Used, seconds_of
from sbc.policy.snapshot import Party, Route, Snapshot, User
from sbc.tap import Answered, unrecorded

LINE = "numbers "  # before a line of the inventory; names have no spaces
EVERYBODY = "everybody together"  # no object can be called so, either
MESSAGES_PER_SECOND = 10.0  # of one party, when its limits name no rate of calls: a busy SMS gateway, not a flood
MAX_KEYS = 10_000  # numbers or sources of one `limits` object, 10 MB; forgotten first is who has not called for longest

RARE = ("bandwidth", "longest_call", "requests")

Owner = tuple[str, tuple[LimitRules, ...]]
"""Whose limits: the name that is counted under, and the rules."""


@frozen
class Between:
    """The numbers and the source of a call, for limits that count for each."""

    caller: str = ""
    called: str = ""
    source: str = ""


NOBODY = Between()


@frozen
class Reservation:
    """One call, counted under these names until it is released.

    near   the limits that it has brought near to their end
    bits   a second that its media take on that side
    """

    counters: tuple[str, ...]
    way: Way = "from"
    near: tuple[LimitState, ...] = ()
    bits: int = 0


@frozen
class Refused:
    """`which` limit is reached, of the object `name`, and the answer: a user is busy or may try later, a trunk is out of circuits.

    Never 403: a limit passes, and a PBX that is told "forbidden" does not come back.

    limit   the `limits` object that says so
    state   what is to be told of it; None: that has been told a short while ago
    """

    which: What
    name: str
    status: int
    reason: str
    limit: str = ""
    state: LimitState | None = None

    @property
    def text(self) -> str:
        return f"limit {self.which} of {self.name}"


Told = Callable[[str, Mapping[str, object]], None]
"""An event for the log, and its facts."""


def untold(event: str, facts: Mapping[str, object]) -> None:
    """Nobody reads it."""


class Limits:
    """Counters of calls in progress, and of rates, by name."""

    def __init__(self, answered: Answered = unrecorded, told: Told = untold) -> None:
        self._tallies: dict[str, Tally] = {}  # of those that have calls
        self._watches: dict[str, Watch] = {}  # of the objects of the policy
        self._keyed: dict[str, OrderedDict[str, Watch]] = {}  # by `limits` object: those that count for each number or source
        self._messages: dict[str, Watch] = {}
        self._snapshot: Snapshot | None = None
        self._routes: dict[str, tuple[LimitRules, ...]] = {}
        self._realms: dict[str, Owner] = {}
        self._lasting = Lasting()
        self._limited = frozenset(RARE)  # figures that some `limits` object of the policy has: the others cost nothing
        self._tell = told
        self._judged = answered(self._judge)
        self._judged_room = answered(self._judge_room)
        self._judged_request = answered(self._judge_request)
        self._judged_message = answered(self._judge_message)

    def follow(self, snapshot: Snapshot) -> None:
        """Its limits count from now on. What it has no use for is forgotten, but for calls in progress."""
        self._snapshot = snapshot
        self._routes = {route.name: route.limits for route in snapshot.routes}
        self._realms = {name: (f"realm {name}", realm.limits) for name, realm in snapshot.realms.items()}
        self._limited = frozenset([name for name in RARE if any(getattr(rules, name) is not None for rules in snapshot.limits.values())])
        self._lasting.follow(snapshot.limits.values())
        scopes = self._scopes()
        self._watches = {name: watch for name, watch in self._watches.items() if watch.scope in scopes and watch.limit in snapshot.limits}
        self._keyed = {name: watches for name, watches in self._keyed.items() if name in snapshot.limits}
        self._messages = {name: watch for name, watch in self._messages.items() if name in scopes}

    def reserve(self, party: Party, now: Now, way: Way = "from", between: Between = NOBODY, bits: int = 0) -> Reservation | Refused:
        """Count one more call of `party`, or say which limit forbids it; then nothing is counted."""
        return self._told(self._judged(self._side(party, way, between), party, way, between, bits, now))

    def reserve_exempt(self, party: Party, way: Way = "from", between: Between = NOBODY) -> Reservation:
        """Count one more call that no limit forbids (an emergency call)."""
        return Reservation(self._count(self._side(party, way, between), way, between), way)

    def reserve_route(self, route: Route, party: Party, between: Between, now: Now) -> Reservation | Refused:
        """The same for the route of a call that `party` asks for, and for everybody together."""
        return self._told(self._judged(self._route(route), party, "from", between, 0, now))

    def reserve_route_exempt(self, route: Route, between: Between) -> Reservation:
        return Reservation(self._count(self._route(route), "from", between))

    def release(self, reservation: Reservation) -> None:
        """The call is over. Exactly once per reservation."""
        for name in reservation.counters:
            tally = self._tallies.get(name)
            if tally is None:
                continue  # counted in another process: this one plays a recording
            tally.bits -= reservation.bits
            if reservation.way == "from":
                tally.calls_from -= 1
            else:
                tally.calls_to -= 1
            if not (tally.calls_from or tally.calls_to):
                del self._tallies[name]

    @property
    def counts_bandwidth(self) -> bool:
        """Whether anybody's is limited. What calls took that were answered before is counted when they change."""
        return "bandwidth" in self._limited

    def measures(self, party: Party, route: Route | None = None) -> bool:
        """Whether it matters how much the media of a call of `party`, by that route, take."""
        if not self.counts_bandwidth:
            return False
        numbers = self._snapshot.limits_of.values() if self._snapshot is not None else ()
        owners = (self._party(party), self._realm(party), *(self._route(route) if route is not None else ()), *numbers)
        return any(rules.bandwidth is not None for _, of in owners for rules in of)

    def widen(self, place: Reservation, party: Party, between: Between, bits: int, now: Now) -> Reservation | Refused:
        """The place with room for so many bits a second, or which limit forbids it."""
        return self._widened(place, self._side(party, place.way, between), party, between, bits, now)

    def widen_route(self, place: Reservation, route: Route, party: Party, between: Between, bits: int, now: Now) -> Reservation | Refused:
        return self._widened(place, self._route(route), party, between, bits, now)

    def carry(self, place: Reservation, bits: int) -> Reservation:
        """The same place, and what its media really take, which nothing forbids any more."""
        for name in place.counters:
            tally = self._tallies.get(name)
            if tally is not None:
                tally.bits += bits - place.bits
        return Reservation(place.counters, place.way, place.near, bits)

    def may_request(self, party: Party, between: Between, now: Now) -> Refused | None:
        """One more request of `party` outside of dialogs. None: it may."""
        if "requests" not in self._limited:
            return None
        owners = (self._party(party), self._realm(party), self._everybody())
        refused = self._judged_request(owners, party, between, now)
        if refused is not None:
            self._tell_refusal(refused)
        return refused

    def may_send(self, party: Party, now: Now) -> bool:
        """One more request that is no call: as many a second as new calls, counted apart from them."""
        return self._judged_message(self._party(party), now)

    def longest(self, parties: Sequence[Party], route: Route, between: Between = NOBODY) -> float | None:
        """Seconds after which a call between them is ended; None: never."""
        if "longest_call" not in self._limited:
            return None
        owners: list[Owner] = [*self._route(route)]
        for party in parties:
            owners += (*self._side(party, "from", between), *self._number(party, between.called))
        found = [rules.longest_call for _, of in owners for rules in of if rules.longest_call is not None]
        return min(found, default=None)

    def calls(self, name: str) -> int:
        """Calls in progress of the trunk or user `name`."""
        tally = self._tallies.get(name)
        return tally.of("calls") if tally is not None else 0

    # To be shown

    def of(self, party: Party, now: Now) -> list[LimitState]:
        """The figures of its limits, but for those that count for each number or source."""
        owner, of = self._party(party)
        return self._met(((owner, tuple([rules for rules in of if rules.for_each is None])),), NOBODY, now)

    def states(self, now: Now) -> Iterator[LimitState]:
        """All there is: each pool once; of users, numbers, and of what counts for each number or source, those that had calls."""
        users = self._snapshot.users if self._snapshot is not None else {}
        shown: set[str] = set()
        for owner, of in self._owners():
            for rules in of:
                scope, key = _scope(owner, rules, NOBODY)
                name = _watch_name(scope, key, rules)
                watch = self._watches.get(name)
                if key or name in shown or (watch is None and (owner in users or owner.startswith(LINE))):
                    continue
                shown.add(name)
                yield from (watch or Watch(scope, rules.name)).states(rules, self._tallies.get(scope), now.monotonic)
        for limit, watches in self._keyed.items():
            rules = self._snapshot.limits[limit] if self._snapshot is not None else LimitRules(limit)
            for watch in watches.values():
                yield from watch.states(rules, self._tallies.get(watch.scope), now.monotonic)

    def _met(self, owners: Sequence[Owner], between: Between, now: Now) -> list[LimitState]:
        found: list[LimitState] = []
        for owner, of in owners:
            for rules in of:
                scope, key = _scope(owner, rules, between)
                watches = self._keyed.get(rules.name, {}) if key else self._watches
                watch = watches.get(_watch_name(scope, key, rules)) or Watch(scope, rules.name)
                found += watch.states(rules, self._tallies.get(scope), now.monotonic)
        return found

    def assume(self, states: Iterable[LimitState], now: Now) -> None:
        """All that is counted elsewhere, as `states` there told it: for a core that only shows what would be."""
        figures: dict[str, dict[What, int]] = {}
        for state in states:
            rules = self._snapshot.limits.get(state.limit) if self._snapshot is not None else None
            if rules is None:
                continue
            if state.rate is None:
                figures.setdefault(state.scope, {})[state.what] = state.now
                continue
            self._watch_of(state.scope, rules).use_up(state.what, now.monotonic + state.now / state.rate)
        for scope, known in figures.items():
            self._tallies[scope] = tally_of(known)

    def restore(self, found: Iterable[Used], now: Now) -> None:
        """What an earlier process had used up; of what the policy has no more, nothing."""
        snapshot = self._snapshot
        scopes = self._scopes()
        for used in found:
            rules = snapshot.limits.get(used.limit) if snapshot is not None else None
            if rules is not None and (rules.for_each is not None or used.scope in scopes):
                left = min(used.until - now.wall, seconds_of(rules, used.what))  # a clock that was put back takes no more than all
                if left > 0.0:
                    self._watch_of(used.scope, rules).use_up(used.what, now.monotonic + left)

    def used_since(self, then: float, now: Now) -> tuple[Used, ...]:
        """Of rates that take long to be there again: what was used up at `then`, in monotonic seconds, or later."""
        return tuple(self._lasting.since(then, now))

    # Whose limits

    def _party(self, party: Party) -> Owner:
        """As the policy in force has it; one that is not there any more keeps what it had."""
        snapshot = self._snapshot
        if snapshot is not None:
            party = snapshot.trunks.get(party.name) or snapshot.users.get(party.name) or party
        return party.name, party.limits

    def _side(self, party: Party, way: Way, between: Between) -> tuple[Owner, ...]:
        """Who has to do with a call on the side of that party: itself, its network, and its number."""
        return (self._party(party), self._realm(party), *self._number(party, between.caller if way == "from" else between.called))

    def _realm(self, party: Party) -> Owner:
        return self._realms.get(party.realm) or (f"realm {party.realm}", ())

    def _number(self, party: Party, number: str) -> tuple[Owner, ...]:
        """The line of the inventory that has it, if that has limits. Nobody else's calls count there, whatever number they show."""
        snapshot = self._snapshot
        line = snapshot.limited.owner_of(number) if snapshot is not None else None
        if snapshot is None or line is None:
            return ()
        owner, of = snapshot.limits_of[line]
        return ((_line(line), of),) if owner == party.name else ()

    def _route(self, route: Route) -> tuple[Owner, Owner]:
        return (f"route {route.name}", self._routes.get(route.name, route.limits)), self._everybody()

    def _everybody(self) -> Owner:
        return EVERYBODY, self._snapshot.everybody if self._snapshot is not None else ()

    def _scopes(self) -> set[str]:
        """All names that are counted under, but those with a number or source in them."""
        pools = map(_pool, self._snapshot.limits.values()) if self._snapshot is not None else ()
        return {owner for owner, _ in self._owners()}.union(pools)

    def _owners(self) -> Iterator[Owner]:
        snapshot = self._snapshot
        if snapshot is not None:
            for parties in (snapshot.trunks, snapshot.users):
                for party in parties.values():
                    yield party.name, party.limits
            yield from self._realms.values()
            for line, (_, of) in snapshot.limits_of.items():
                yield _line(line), of
            for route in snapshot.routes:
                yield f"route {route.name}", route.limits
            yield self._everybody()

    # Judging

    def _judge(self, owners: Sequence[Owner], party: Party, way: Way, between: Between, bits: int, now: Now) -> Reservation | Refused:
        watches = []
        for owner, of in owners:
            for rules in of:
                watch = self._watch(owner, rules, between)
                which = watch.forbids(rules, self._tallies.get(watch.scope), way, bits, now.monotonic)
                if which is not None:
                    return _refused(which, watch, rules, self._tallies.get(watch.scope), owner, party, now)
                watches.append((rules, watch))
        counters = self._count(owners, way, between, bits)
        near: list[LimitState] = []
        for rules, watch in watches:
            near += watch.take(rules, self._tallies[watch.scope], way, bits, now.monotonic)
            if rules.name in self._lasting.limits:
                self._lasting.note(watch, now.monotonic)
        return Reservation(counters, way, tuple(near), bits)

    def _widened(
        self, place: Reservation, owners: Sequence[Owner], party: Party, between: Between, bits: int, now: Now
    ) -> Reservation | Refused:
        more = bits - place.bits
        if any(rules.bandwidth is not None for _, of in owners for rules in of):
            near = self._judged_room(owners, party, between, more, now)
            if isinstance(near, Refused):
                return self._told(near)
            self._told(Reservation((), near=near))
        return self.carry(place, bits)

    def _judge_room(self, owners: Sequence[Owner], party: Party, between: Between, bits: int, now: Now) -> tuple[LimitState, ...] | Refused:
        watches = [(owner, rules, self._watch(owner, rules, between)) for owner, of in owners for rules in of]
        for owner, rules, watch in watches:
            tally = self._tallies.get(watch.scope)
            if not watch.carries(rules, tally, bits):
                return _refused("bandwidth", watch, rules, tally, owner, party, now)
        near: list[LimitState] = []
        for _, rules, watch in watches:
            tally = self._tallies.get(watch.scope)
            near += watch.widen(rules, tally.bits + bits if tally is not None else bits, bits)
        return tuple(near)

    def _judge_request(self, owners: Sequence[Owner], party: Party, between: Between, now: Now) -> Refused | None:
        counted = [(self._watch(owner, rules, between), rules, owner) for owner, of in owners for rules in of if rules.requests is not None]
        for watch, rules, owner in counted:
            assert rules.requests is not None
            if not watch.has("requests", rules.requests, rules.burst, now.monotonic):
                return _refused("requests", watch, rules, None, owner, party, now)
        for watch, rules, _ in counted:
            assert rules.requests is not None
            watch.spend(rules, "requests", rules.requests, now.monotonic)
            if rules.name in self._lasting.limits:
                self._lasting.note(watch, now.monotonic)
        return None

    def _judge_message(self, owner: Owner, now: Now) -> bool:
        name, of = owner
        slowest = min([rules for rules in of if rules.new_calls is not None and rules.for_each is None], key=_new_calls, default=None)
        scope, rate, burst = name, MESSAGES_PER_SECOND, None
        if slowest is not None:
            scope, rate, burst = _scope(name, slowest, NOBODY)[0], _new_calls(slowest), slowest.burst
        watch = self._messages.setdefault(scope, Watch(scope, "messages"))
        if not watch.has("requests", rate, burst, now.monotonic):
            return False
        watch.spend(slowest or LimitRules(""), "requests", rate, now.monotonic)
        return True

    def _count(self, owners: Sequence[Owner], way: Way, between: Between, bits: int = 0) -> tuple[str, ...]:
        """One more call, for each owner, for the pools its limits have or might have, and for its number or source."""
        names: list[str] = []
        for owner, of in owners:
            names.append(owner)
            for rules in of:
                names.append(_pool(rules))
                if rules.for_each is not None:
                    names.append(_scope(owner, rules, between)[0])
        for name in names:
            tally = self._tallies.get(name)
            if tally is None:
                tally = self._tallies[name] = Tally()
            tally.bits += bits
            if way == "from":
                tally.calls_from += 1
            else:
                tally.calls_to += 1
        return tuple(names)

    def _watch(self, owner: str, rules: LimitRules, between: Between) -> Watch:
        scope, _ = _scope(owner, rules, between)
        return self._watch_of(scope, rules)

    def _watch_of(self, scope: str, rules: LimitRules) -> Watch:
        key = rules.for_each or ""
        name = _watch_name(scope, key, rules)
        if not key:
            watch = self._watches.get(name)
            if watch is None:
                watch = self._watches[name] = Watch(scope, rules.name)
            return watch
        watches = self._keyed.get(rules.name)
        if watches is None:
            watches = self._keyed[rules.name] = OrderedDict()
        watch = watches.get(name)
        if watch is None:
            watch = watches[name] = Watch(scope, rules.name)
            if len(watches) > MAX_KEYS:
                watches.popitem(last=False)
        else:
            watches.move_to_end(name)
        return watch

    def _told(self, answer: Reservation | Refused) -> Reservation | Refused:
        """What there is to tell is part of the answer, so that a call that is played again tells the same."""
        if isinstance(answer, Refused):
            self._tell_refusal(answer)
        else:
            for state in answer.near:
                self._tell("limit nearly reached", _facts(state))
        return answer

    def _tell_refusal(self, refused: Refused) -> None:
        if refused.state is not None:
            self._tell("limit reached", _facts(refused.state))


def _line(line: str) -> str:
    return LINE + line


def _pool(rules: LimitRules) -> str:
    return f"limits.{rules.name}"


def _scope(owner: str, rules: LimitRules, between: Between) -> tuple[str, str]:
    """The name that is counted under, and the number or source in it."""
    scope = _pool(rules) if rules.shared else owner
    if rules.for_each is None:
        return scope, ""
    key = between.caller if rules.for_each == "caller" else between.called if rules.for_each == "called" else between.source
    return f"{scope} {rules.name} for {key or 'nobody'}", key or "nobody"


def _watch_name(scope: str, key: str, rules: LimitRules) -> str:
    """Two `limits` objects of one trunk count the same calls, but not the same figures."""
    return scope if key else f"{scope} {rules.name}"


def _new_calls(rules: LimitRules) -> float:
    return rules.new_calls or MESSAGES_PER_SECOND


def _refused(which: What, watch: Watch, rules: LimitRules, tally: Tally | None, owner: str, party: Party, now: Now) -> Refused:
    state: LimitState | None = None
    if watch.mark(which).refuse(now.monotonic):
        state = next(each for each in watch.states(rules, tally, now.monotonic) if each.what == which)
    status, reason = 503, "Service Unavailable"
    if isinstance(party, User):  # 503 is for servers: a phone would say that we are broken
        busy = which.startswith("calls") and (owner == party.name or owner.startswith(LINE))
        status, reason = (486, "Busy Here") if busy else (480, "Temporarily Unavailable")
    return Refused(which, watch.scope, status, reason, rules.name, state)


def _facts(state: LimitState) -> dict[str, object]:
    return {"limit": state.limit, "of": state.scope, "what": state.what, "now": state.now, "most": state.most}
