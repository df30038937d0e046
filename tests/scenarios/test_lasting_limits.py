"""A restart gives nobody what a limit had used up; what is there again in no time is not kept."""

from __future__ import annotations

import pytest

from sbc.clock import Now
from sbc.inputs import UsageFound
from sbc.policy.lasting import Used
from sbc.views import UsageAsked, UsageView
from tests.scenarios.cast import Cast
from tests.scenarios.test_limits import NUMBER, cast, hang_up, limits_of, refused, text
from tests.world import START, World, connect

DAILY = "  daily: {new_calls: 24/d, burst: 2}\n"
HOUR = 3600.0


def call(it: Cast) -> None:
    hang_up(it.office, it.carrier, *connect(it.office, it.carrier, NUMBER)[:2])


def used(world: World, since: float = 0.0) -> tuple[Used, ...]:
    view = world.core.ask(UsageAsked(since), world.now)
    assert isinstance(view, UsageView)
    return view.used


def next_process(it: Cast, limits: str = DAILY, later: float = 0.0) -> Cast:
    """With what the one before has left, so many seconds later: its monotonic clock tells nothing of that."""
    left = used(it.world)
    after = cast(limits, office="limits: daily")
    after.world.now = Now(START.monotonic, it.world.now.wall + later)
    after.world.receive(UsageFound(left))
    return after


def test_a_days_calls_are_not_given_twice() -> None:
    it = cast(DAILY, office="limits: daily")
    for _ in range(2):
        call(it)
    refused(it.office, 503)
    after = next_process(it, later=60.0)
    refused(after.office, 503)
    (state,) = limits_of(after.world, "daily")
    assert (state.now, state.most) == (2, 2)
    after.world.after(HOUR)
    after.office.inbox.clear()  # the refusal, again and again: nobody has acknowledged it
    call(after)
    refused(after.office, 503)


def test_what_is_there_again_while_nobody_ran_is_there() -> None:
    it = cast(DAILY, office="limits: daily")
    for _ in range(2):
        call(it)
    after = next_process(it, later=2 * HOUR + 1)
    for _ in range(2):
        call(after)


def test_what_was_used_up_is_told_once_for_each_time() -> None:
    it = cast(DAILY, office="limits: daily")
    call(it)
    (told,) = used(it.world)
    assert (told.scope, told.limit, told.what) == ("office", "daily", "new_calls")
    assert told.until == pytest.approx(it.world.now.wall + HOUR, abs=5.0)
    it.world.after(1)
    assert used(it.world, it.world.now.monotonic) == ()
    call(it)
    assert len(used(it.world, it.world.now.monotonic - 1)) == 1
    it.world.after(2 * HOUR)
    assert used(it.world) == ()


def test_of_each_number_by_itself() -> None:
    each = "  daily: {for_each: caller, new_calls: 24/d, burst: 1}\n"
    it = cast(each, office="limits: daily")
    call(it)
    assert used(it.world)[0].scope == "office daily for office"
    after = next_process(it, each)
    refused(after.office, 503)
    after.send(after.office, NUMBER, (), "<sip:+4930777@10.0.0.20>")
    after.office.expect_response(100)
    after.carrier.expect_request("INVITE")


def test_quick_ones_are_not_kept() -> None:
    it = cast("  quick: {new_calls: 20/s, requests: 30/m, burst: 20}\n", office="limits: quick")
    call(it)
    assert used(it.world) == ()


def test_slow_requests_are_kept() -> None:
    it = cast("  daily: {requests: 24/d, burst: 2}\n", office="limits: daily")
    call(it)
    assert [each.what for each in used(it.world)] == ["requests"]


@pytest.mark.parametrize("limits", ["  daily: {calls: 10}\n", "  daily: {new_calls: 20/s}\n"])
def test_the_rules_of_today_count(limits: str) -> None:
    it = cast(DAILY, office="limits: daily")
    for _ in range(2):
        call(it)
    after = next_process(it, limits)
    after.world.after(2)
    call(after)


def test_a_clock_that_was_put_back_takes_no_more_than_all() -> None:
    it = cast(DAILY, office="limits: daily")
    call(it)
    after = next_process(it, later=-1000 * HOUR)
    refused(after.office, 503)
    after.world.after(HOUR)
    after.office.inbox.clear()  # the refusal, again and again: nobody has acknowledged it
    call(after)


def test_what_the_policy_has_no_more_is_forgotten() -> None:
    world = World(text(DAILY))
    before = limits_of(world)
    gone = [("nobody", "daily", "new_calls"), ("office", "none", "new_calls"), ("office", "daily", "requests")]
    world.receive(UsageFound(tuple([Used(scope, limit, what, world.now.wall + HOUR) for scope, limit, what in gone])))  # type: ignore[arg-type]
    assert limits_of(world) == before
