"""Counters: what they refuse, what they tell, and that nothing is lost or counted twice."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.clock import Now
from sbc.frozen import replace
from sbc.policy import limits as limits_module
from sbc.policy.counters import FEW, LimitRules, Way
from sbc.policy.limits import NOBODY, Between, Limits, Refused, Reservation
from sbc.policy.snapshot import Party, Patterns, Route, Snapshot, Strangers, Trunk, User
from sbc.sdp.rules import MediaRules

MEDIA = MediaRules(("PCMA",), "off", (), None)


def trunk(name: str = "t", *rules: LimitRules) -> Trunk:
    return Trunk(name, "r", (), None, None, MEDIA, rules)


def route(*rules: LimitRules) -> Route:
    return Route("out", Patterns(), Patterns(), (), frozenset(), 60.0, "", limits=rules)


def snapshot(*parties: Party, everybody: tuple[LimitRules, ...] = (), routes: tuple[Route, ...] = ()) -> Snapshot:
    trunks = {party.name: party for party in parties if isinstance(party, Trunk)}
    users = {party.name: party for party in parties if isinstance(party, User)}
    named = [rules for of in (*[party.limits for party in parties], everybody, *[each.limits for each in routes]) for rules in of]
    return Snapshot(
        1, "", {}, trunks, users, routes, {}, Strangers(), {rules.name: rules for rules in named}, {}, {}, {}, everybody=everybody
    )


def at(seconds: float) -> Now:
    return Now(seconds, 0.0)


def reserved(limits: Limits, party: Party, seconds: float = 0.0, way: Way = "from", between: Between = NOBODY) -> Reservation:
    result = limits.reserve(party, at(seconds), way, between)
    assert isinstance(result, Reservation)
    return result


def refused(limits: Limits, party: Party, seconds: float = 0.0, way: Way = "from", between: Between = NOBODY) -> str:
    """What forbids it, and the answer."""
    result = limits.reserve(party, at(seconds), way, between)
    assert isinstance(result, Refused)
    return f"{result.text}: {result.status} {result.reason}"


class Ears:
    """What was told."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, object, object]] = []

    def __call__(self, event: str, facts: Mapping[str, object]) -> None:
        self.heard.append((event, facts["of"], facts["now"]))

    def take(self) -> list[tuple[str, object, object]]:
        heard, self.heard = self.heard, []
        return heard


# Calls in progress


def test_concurrent_calls() -> None:
    limits, party = Limits(), trunk("t", LimitRules("l", calls=2))
    first = reserved(limits, party)
    reserved(limits, party, way="to")
    assert refused(limits, party) == refused(limits, party, way="to") == "limit calls of t: 503 Service Unavailable"
    limits.release(first)
    reserved(limits, party)
    assert limits.calls("t") == 2


def test_each_way_has_a_limit_of_its_own() -> None:
    """A carrier has sold sixty channels, of which we may call out on forty."""
    limits, party = Limits(), trunk("t", LimitRules("l", calls=6, calls_to=4, calls_from=5))
    out = [reserved(limits, party, way="to") for _ in range(4)]
    assert refused(limits, party, way="to") == "limit calls_to of t: 503 Service Unavailable"
    reserved(limits, party)
    reserved(limits, party)
    assert refused(limits, party) == "limit calls of t: 503 Service Unavailable"
    for each in out:
        limits.release(each)
    for _ in range(3):
        reserved(limits, party)
    assert refused(limits, party) == "limit calls_from of t: 503 Service Unavailable"
    reserved(limits, party, way="to")


def test_OVL_04_a_user_at_the_limit_is_busy() -> None:
    limits, party = Limits(), User("u", "r", "", MEDIA, (LimitRules("l", calls=1),))
    reserved(limits, party)
    assert refused(limits, party) == "limit calls of u: 486 Busy Here"


def test_a_user_who_calls_too_often_may_try_later() -> None:
    limits, party = Limits(), User("u", "r", "", MEDIA, (LimitRules("l", new_calls=1.0),))
    reserved(limits, party)
    assert refused(limits, party) == "limit new_calls of u: 480 Temporarily Unavailable"


def test_a_user_is_not_busy_because_others_are() -> None:
    limits, party = Limits(), User("u", "r", "", MEDIA)
    limits.follow(snapshot(party, everybody=(LimitRules("l", calls=1),)))
    assert isinstance(limits.reserve_route(route(), party, NOBODY, at(0)), Reservation)
    full = limits.reserve_route(route(), party, NOBODY, at(0))
    assert isinstance(full, Refused)
    assert (full.text, full.status) == ("limit calls of everybody together", 480)


def test_a_refused_call_is_not_counted() -> None:
    limits, party = Limits(), trunk("t", LimitRules("l", calls=1, new_calls=1.0), LimitRules("m", new_calls=1.0))
    first = reserved(limits, party)
    limits.reserve(party, at(5))
    limits.release(first)
    reserved(limits, party, 5.0)  # the refusal took no token either
    assert limits.calls("t") == 1


def test_each_object_counts_for_itself_unless_shared() -> None:
    separate, shared = LimitRules("s", calls=1), LimitRules("p", calls=1, shared=True)
    limits = Limits()
    reserved(limits, trunk("a", separate))
    reserved(limits, trunk("b", separate))
    limits = Limits()
    reserved(limits, trunk("a", shared))
    assert refused(limits, trunk("b", shared)) == "limit calls of limits.p: 503 Service Unavailable"


def test_several_limits_all_count() -> None:
    own, pool = LimitRules("own", calls=3), LimitRules("pool", calls=4, shared=True)
    limits, a, b = Limits(), trunk("a", own, pool), trunk("b", own, pool)
    calls = [reserved(limits, a) for _ in range(3)]
    assert refused(limits, a).startswith("limit calls of a:")
    reserved(limits, b)
    assert refused(limits, b).startswith("limit calls of limits.pool:")
    limits.release(calls.pop())
    reserved(limits, b)


def test_emergency_calls_are_exempt_but_counted() -> None:
    limits, party = Limits(), trunk("t", LimitRules("l", calls=1))
    reserved(limits, party)
    extra = limits.reserve_exempt(party)
    assert limits.calls("t") == 2
    limits.release(extra)
    assert isinstance(limits.reserve(party, at(0)), Refused)


def test_counters_survive_new_rules() -> None:
    limits = Limits()
    before = reserved(limits, trunk())  # no limits at all yet
    assert isinstance(limits.reserve(trunk("t", LimitRules("l", calls=1)), at(0)), Refused)
    limits.release(before)
    call = reserved(limits, trunk("t", LimitRules("l", calls=1)))
    shared = trunk("other", LimitRules("l", calls=1, shared=True))
    assert isinstance(limits.reserve(shared, at(0)), Refused)  # made shared: the pool knows the call
    limits.release(call)
    reserved(limits, shared)


def test_limits_are_those_of_the_policy_in_force() -> None:
    """A call goes on with the trunk it began with; what that may do is said by the policy of today."""
    limits, old = Limits(), trunk("t", LimitRules("l", calls=9))
    limits.follow(snapshot(old))
    reserved(limits, old)
    limits.follow(snapshot(trunk("t", LimitRules("l", calls=1, longest_call=60.0))))
    assert refused(limits, old).startswith("limit calls of t")
    assert limits.longest((old,), route()) == 60.0
    limits.follow(snapshot())
    reserved(limits, old)


def test_the_shortest_longest_call_counts() -> None:
    limits = Limits()
    limits.follow(snapshot(everybody=(LimitRules("e", longest_call=7200.0),)))
    assert limits.longest((trunk(), trunk("u")), route()) == 7200.0
    parties = trunk("a", LimitRules("l", longest_call=3600.0)), trunk("b", LimitRules("m", longest_call=600.0))
    assert limits.longest(parties, route()) == 600.0
    assert limits.longest(parties, route(LimitRules("n", longest_call=60.0))) == 60.0
    assert Limits().longest((trunk(),), route()) is None


# Routes, numbers, sources


def test_a_route_has_limits_for_all_who_take_it() -> None:
    limits, premium = Limits(), route(LimitRules("premium", calls=1, new_calls=10 / 86400, burst=2))
    first = limits.reserve_route(premium, trunk("a"), NOBODY, at(0))
    assert isinstance(first, Reservation)
    full = limits.reserve_route(premium, trunk("b"), NOBODY, at(0))
    assert isinstance(full, Refused)
    assert full.text == "limit calls of route out"
    limits.release(first)
    second = limits.reserve_route(premium, trunk("b"), NOBODY, at(0))
    assert isinstance(second, Reservation)
    limits.release(second)
    spent = limits.reserve_route(premium, trunk("b"), NOBODY, at(8000))
    assert isinstance(spent, Refused)
    assert spent.which == "new_calls"
    assert isinstance(limits.reserve_route(premium, trunk("b"), NOBODY, at(8641)), Reservation)


@pytest.mark.parametrize(
    ("key", "one", "other"),
    [("caller", Between("+1"), Between("+2")), ("called", Between("", "+1"), Between("", "+2")), ("source", Between(source="::1"), NOBODY)],
)
def test_each_number_and_source_is_counted_apart(key: str, one: Between, other: Between) -> None:
    limits, party = Limits(), trunk("t", replace(LimitRules("l", calls=1), for_each=key))
    call = reserved(limits, party, between=one)
    name = "+1" if key != "source" else "::1"
    assert refused(limits, party, between=one) == f"limit calls of t l for {name}: 503 Service Unavailable"
    reserved(limits, party, between=other)
    limits.release(call)
    reserved(limits, party, between=one)
    assert limits.calls("t") == 2


def test_numbers_of_a_pool_are_the_same_for_all_its_objects() -> None:
    rules = LimitRules("l", calls=1, shared=True, for_each="called")
    limits, called = Limits(), Between("", "+49900")
    reserved(limits, trunk("a", rules), between=called)
    assert refused(limits, trunk("b", rules), between=called).startswith("limit calls of limits.l l for +49900")


@pytest.mark.interpreted
def test_memory_for_numbers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits_module, "MAX_KEYS", 3)
    limits, party = Limits(), trunk("t", LimitRules("l", new_calls=1 / 60, for_each="caller"))
    other = trunk("u", LimitRules("m", new_calls=1 / 60, for_each="caller"))
    limits.follow(snapshot(party, other))
    reserved(limits, other, between=Between("+0"))
    for caller in ("+1", "+2", "+3", "+1", "+4"):
        limits.reserve(party, at(0), "from", Between(caller))
    assert [state.scope for state in limits.states(at(0))] == ["u m for +0", "t l for +3", "t l for +1", "t l for +4"]
    assert refused(limits, party, between=Between("+1")).startswith("limit new_calls")
    assert refused(limits, other, between=Between("+0")).startswith("limit new_calls"), "one trunk's numbers do not push out another's"


# Rates


def test_new_calls_burst_is_one_second_and_refills_evenly() -> None:
    limits, party = Limits(), trunk("t", LimitRules("l", new_calls=20.0))
    for _ in range(20):
        reserved(limits, party)
    assert refused(limits, party) == "limit new_calls of t: 503 Service Unavailable"
    assert isinstance(limits.reserve(party, at(0.049)), Refused)
    reserved(limits, party, 0.05)
    assert isinstance(limits.reserve(party, at(0.05)), Refused)
    for _ in range(20):
        reserved(limits, party, 10.0)
    assert isinstance(limits.reserve(party, at(10.0)), Refused)


def test_a_slow_rate_still_lets_one_call_through() -> None:
    limits, party = Limits(), trunk("t", LimitRules("l", new_calls=1 / 60))
    reserved(limits, party)
    assert isinstance(limits.reserve(party, at(59)), Refused)
    reserved(limits, party, 60.0)


def test_new_calls_each_way() -> None:
    limits, party = Limits(), trunk("t", LimitRules("l", new_calls=3.0, new_calls_to=1.0))
    reserved(limits, party, way="to")
    assert refused(limits, party, way="to").startswith("limit new_calls_to of t")
    reserved(limits, party)
    reserved(limits, party)
    assert refused(limits, party).startswith("limit new_calls of t")


def test_requests_are_counted_apart_from_calls() -> None:
    limits, party = Limits(), trunk("t", LimitRules("l", requests=2.0))
    assert limits.may_request(party, NOBODY, at(0)) is limits.may_request(party, NOBODY, at(0)) is None
    third = limits.may_request(party, NOBODY, at(0))
    assert third is not None
    assert (third.text, third.status) == ("limit requests of t", 503)
    reserved(limits, party)
    assert limits.may_request(trunk("free"), NOBODY, at(0)) is None


def test_requests_of_everybody_together() -> None:
    limits = Limits()
    limits.follow(snapshot(trunk("a"), everybody=(LimitRules("e", requests=1.0),)))
    assert limits.may_request(trunk("a"), NOBODY, at(0)) is None
    assert limits.may_request(trunk("b"), NOBODY, at(0)) is not None


def test_messages_are_counted_apart_from_calls() -> None:
    limits = Limits()
    slow = trunk("t", LimitRules("l", new_calls=2.0))
    assert [limits.may_send(slow, at(0.0)) for _ in range(3)] == [True, True, False]
    reserved(limits, slow)
    assert limits.may_send(slow, at(0.5))
    free = trunk("free")
    assert [limits.may_send(free, at(0.0)) for _ in range(11)] == [True] * 10 + [False]
    shared = LimitRules("s", new_calls=1.0, shared=True)
    assert limits.may_send(trunk("one", shared), at(0.0))
    assert not limits.may_send(trunk("two", shared), at(0.0))


# Bandwidth


def test_bandwidth_is_reserved_and_then_what_it_really_is() -> None:
    limits, party = Limits(), trunk("t", LimitRules("l", bandwidth=200_000))
    first = limits.reserve(party, at(0), "to", NOBODY, 84_000)
    assert isinstance(first, Reservation)
    second = limits.reserve(party, at(0), "from", NOBODY, 84_000)
    assert isinstance(second, Reservation)
    full = limits.reserve(party, at(0), "from", NOBODY, 84_000)
    assert isinstance(full, Refused)
    assert (full.text, full.status) == ("limit bandwidth of t", 503)
    first = limits.carry(first, 24_000)
    third = limits.reserve(party, at(0), "from", NOBODY, 84_000)
    assert isinstance(third, Reservation)
    first = limits.carry(first, 500_000)
    (state,) = limits.of(party, at(0))
    assert (state.now, state.highest, state.most, state.full) == (668_000, 192_000, 200_000, True), "nobody takes it from a call"
    for each in (first, second, third):
        limits.release(each)
    assert limits.of(party, at(0))[0].now == 0


def test_room_for_a_call_that_has_a_place_already() -> None:
    ears = Ears()
    limits, party = Limits(told=ears), trunk("t", LimitRules("l", bandwidth=100_000))
    place = reserved(limits, party)
    wide = limits.widen(place, party, NOBODY, 80_000, at(0))
    assert isinstance(wide, Reservation)
    assert ears.take() == [("limit nearly reached", "t", 80_000)]
    assert isinstance(limits.widen(wide, party, NOBODY, 100_000, at(0)), Reservation), "its own room does not count against it"
    assert isinstance(limits.widen(reserved(limits, party), party, NOBODY, 80_000, at(0)), Refused)
    assert limits.measures(party)
    assert not limits.measures(trunk("u", LimitRules("l", calls=1)))


def test_room_on_a_route() -> None:
    limits, narrow = Limits(), route(LimitRules("l", bandwidth=100_000))
    first, second = (limits.reserve_route(narrow, trunk(), NOBODY, at(0)) for _ in range(2))
    assert isinstance(first, Reservation)
    assert isinstance(second, Reservation)
    assert isinstance(limits.widen_route(first, narrow, trunk(), NOBODY, 80_000, at(0)), Reservation)
    full = limits.widen_route(second, narrow, trunk(), NOBODY, 80_000, at(0))
    assert isinstance(full, Refused)
    assert full.text == "limit bandwidth of route out"


# What is told


def test_OVL_04_four_fifths_are_told_once_until_it_has_eased() -> None:
    ears = Ears()
    limits, party = Limits(told=ears), trunk("t", LimitRules("l", calls=10))
    calls = [reserved(limits, party) for _ in range(7)]
    assert ears.take() == []
    calls.append(reserved(limits, party))
    assert ears.take() == [("limit nearly reached", "t", 8)]
    calls += [reserved(limits, party), reserved(limits, party)]
    for _ in range(3):
        limits.release(calls.pop())
    calls.append(reserved(limits, party))
    assert ears.take() == [], "seven are still too many for it to be news again"
    for _ in range(2):
        limits.release(calls.pop())
    for _ in range(2):
        calls.append(reserved(limits, party))
    assert ears.take() == [("limit nearly reached", "t", 8)]


def test_four_fifths_of_a_rate_are_told_once() -> None:
    ears = Ears()
    limits, party = Limits(told=ears), trunk("t", LimitRules("l", new_calls=10.0))
    for _ in range(10):
        reserved(limits, party)
    assert ears.take() == [("limit nearly reached", "t", 8)]
    for _ in range(10):
        reserved(limits, party, 10.0)
    assert ears.take() == [("limit nearly reached", "t", 8)]


def test_refusals_are_told_once_an_hour() -> None:
    ears = Ears()
    limits, party = Limits(told=ears), trunk("t", LimitRules("l", calls=1))
    reserved(limits, party)
    for seconds in (1.0, 2.0, 3000.0, 3602.0, 3700.0):
        refused(limits, party, seconds)
    assert ears.take() == [("limit reached", "t", 1)] * 2


def test_a_phone_with_one_line_is_not_told_of() -> None:
    ears = Ears()
    limits, party = Limits(told=ears), trunk("t", LimitRules("l", calls=FEW - 1))
    for _ in range(FEW - 1):
        reserved(limits, party)
    assert ears.take() == []


@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans(), st.sampled_from(["from", "to"])), max_size=60))
def test_reservations_and_releases_balance(steps: list[tuple[str, bool, Way]]) -> None:
    limits, open_calls = Limits(), dict[str, list[Reservation]](a=[], b=[])
    for name, begin, way in steps:
        party = trunk(name, LimitRules("l", calls=3, calls_to=2), LimitRules("k", calls=2, for_each="caller"))
        between = Between(str(len(open_calls[name])))
        if begin:
            result = limits.reserve(party, at(0), way, between)
            to = sum(each.way == "to" for each in open_calls[name])
            assert isinstance(result, Refused) == (len(open_calls[name]) == 3 or (way == "to" and to == 2))
            if isinstance(result, Reservation):
                open_calls[name].append(result)
        elif open_calls[name]:
            limits.release(open_calls[name].pop())
        assert limits.calls(name) == len(open_calls[name])
    for each in (*open_calls["a"], *open_calls["b"]):
        limits.release(each)
    assert not limits._tallies, "nothing is left"


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 100)), max_size=60))
def test_bandwidth_balances(steps: list[tuple[int, int]]) -> None:
    """Whatever calls begin, change and end: what is counted is what they have, and none begins beyond the limit."""
    limits, party = Limits(), trunk("t", LimitRules("l", bandwidth=250, shared=True))
    calls: dict[int, Reservation] = {}
    for call, bits in steps:
        held = sum(place.bits for place in calls.values())
        if call not in calls:
            place = limits.reserve(party, at(0), "from", NOBODY, bits)
            assert isinstance(place, Reservation) == (held + bits <= 250)
            if isinstance(place, Reservation):
                calls[call] = place
        elif bits == 0:
            limits.release(calls.pop(call))
        elif bits % 2:
            calls[call] = limits.carry(calls[call], bits)
        else:
            wide = limits.widen(calls[call], party, NOBODY, bits, at(0))
            assert isinstance(wide, Reservation) == (held - calls[call].bits + bits <= 250)
            calls[call] = wide if isinstance(wide, Reservation) else calls[call]
        assert limits.of(party, at(0))[0].now == sum(place.bits for place in calls.values())


@given(
    rate=st.floats(0.001, 20.0),
    burst=st.none() | st.integers(1, 20),
    gaps=st.lists(st.floats(0.0, 20.0), min_size=1, max_size=20),
)
def test_a_bucket_never_gives_more_than_burst_and_rate(rate: float, burst: int | None, gaps: list[float]) -> None:
    """In any stretch of time: burst + rate·t, half a microsecond for sums of floats, and never less than that while calls keep coming."""
    limits, party = Limits(), trunk("t", LimitRules("l", new_calls=rate, burst=burst))
    size = max(1.0, rate) if burst is None else float(burst)
    given: list[float] = []
    now = 0.0
    for gap in gaps:
        now += gap
        while isinstance(limits.reserve(party, at(now)), Reservation):
            given.append(now)
    for first, start in enumerate(given):
        for last in range(first, len(given)):
            assert last - first + 1 <= size + rate * (given[last] - start) + rate * 1e-6 + 1e-6
    assert len(given) >= int(size)
