"""Counters: what they refuse, and that nothing is lost or counted twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sbc.clock import Now
from sbc.policy.limits import Limits, Refused, Reservation
from sbc.policy.snapshot import LimitRules, Party, Trunk, User
from sbc.sdp.rules import MediaRules

MEDIA = MediaRules(("PCMA",), "off", (), None)


def trunk(name: str = "t", rules: LimitRules | None = None) -> Trunk:
    return Trunk(name, "r", (), None, None, MEDIA, rules)


def at(seconds: float) -> Now:
    return Now(seconds, 0.0)


def reserved(limits: Limits, party: Party, seconds: float = 0.0) -> Reservation:
    result = limits.reserve(party, at(seconds))
    assert isinstance(result, Reservation)
    return result


def test_concurrent_calls() -> None:
    limits, party = Limits(), trunk(rules=LimitRules("l", calls=2))
    first = reserved(limits, party)
    reserved(limits, party)
    assert limits.reserve(party, at(0)) == Refused("calls", "t", 503, "Service Unavailable")
    limits.release(first)
    reserved(limits, party)
    assert limits.calls("t") == 2


def test_a_user_at_the_limit_is_busy() -> None:
    limits, party = Limits(), User("u", "r", "", MEDIA, LimitRules("l", calls=1))
    reserved(limits, party)
    assert limits.reserve(party, at(0)) == Refused("calls", "u", 486, "Busy Here")


def test_a_user_who_calls_too_often_may_try_later() -> None:
    limits, party = Limits(), User("u", "r", "", MEDIA, LimitRules("l", new_calls=1.0))
    reserved(limits, party)
    assert limits.reserve(party, at(0)) == Refused("new_calls", "u", 480, "Temporarily Unavailable")


def test_new_calls_burst_is_one_second_and_refills_evenly() -> None:
    limits, party = Limits(), trunk(rules=LimitRules("l", new_calls=20.0))
    for _ in range(20):
        reserved(limits, party)
    assert limits.reserve(party, at(0)) == Refused("new_calls", "t", 503, "Service Unavailable")
    assert isinstance(limits.reserve(party, at(0.049)), Refused)
    reserved(limits, party, 0.05)
    assert isinstance(limits.reserve(party, at(0.05)), Refused)
    for _ in range(20):
        reserved(limits, party, 10.0)
    assert isinstance(limits.reserve(party, at(10.0)), Refused)


def test_a_slow_rate_still_lets_one_call_through() -> None:
    limits, party = Limits(), trunk(rules=LimitRules("l", new_calls=1 / 60))
    reserved(limits, party)
    assert isinstance(limits.reserve(party, at(59)), Refused)
    reserved(limits, party, 60.0)


def test_a_refused_call_is_not_counted() -> None:
    limits, party = Limits(), trunk(rules=LimitRules("l", calls=1, new_calls=1.0))
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
    assert limits.reserve(trunk("b", shared), at(0)) == Refused("calls", "limits.p", 503, "Service Unavailable")


def test_emergency_calls_are_exempt_but_counted() -> None:
    limits, party = Limits(), trunk(rules=LimitRules("l", calls=1))
    reserved(limits, party)
    extra = limits.reserve_exempt(party)
    assert limits.calls("t") == 2
    limits.release(extra)
    assert isinstance(limits.reserve(party, at(0)), Refused)


def test_counters_survive_new_rules() -> None:
    limits = Limits()
    before = reserved(limits, trunk())  # no limits at all yet
    assert isinstance(limits.reserve(trunk(rules=LimitRules("l", calls=1)), at(0)), Refused)
    limits.release(before)
    call = reserved(limits, trunk(rules=LimitRules("l", calls=1)))
    shared = trunk("other", LimitRules("l", calls=1, shared=True))
    assert isinstance(limits.reserve(shared, at(0)), Refused)  # made shared: the pool knows the call
    limits.release(call)
    reserved(limits, shared)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans()), max_size=60))
def test_reservations_and_releases_balance(steps: list[tuple[str, bool]]) -> None:
    limits, open_calls = Limits(), dict[str, list[Reservation]](a=[], b=[])
    for name, begin in steps:
        party = trunk(name, LimitRules("l", calls=3))
        if begin:
            result = limits.reserve(party, at(0))
            assert isinstance(result, Refused) == (len(open_calls[name]) == 3)
            if isinstance(result, Reservation):
                open_calls[name].append(result)
        elif open_calls[name]:
            limits.release(open_calls[name].pop())
        assert limits.calls(name) == len(open_calls[name])


def test_messages_are_counted_apart_from_calls() -> None:
    limits = Limits()
    slow = trunk(rules=LimitRules("l", new_calls=2.0))
    assert [limits.may_send(slow, at(0.0)) for _ in range(3)] == [True, True, False]
    reserved(limits, slow)
    assert limits.may_send(slow, at(0.5))
    free = trunk("free")
    assert [limits.may_send(free, at(0.0)) for _ in range(11)] == [True] * 10 + [False]
    shared = LimitRules("s", new_calls=1.0, shared=True)
    assert limits.may_send(trunk("one", shared), at(0.0))
    assert not limits.may_send(trunk("two", shared), at(0.0))
