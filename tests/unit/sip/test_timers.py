from __future__ import annotations

import gc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sbc.clock import Now
from sbc.sip.timers import KEPT_DEAD, Action, Timers, TimerValues


def at(instant: float) -> Now:
    return Now(instant, 1_700_000_000.0 + instant)


def note(log: list[str], name: str) -> Action:
    return lambda now: log.append(f"{name}@{now.monotonic}")


def test_timers_fire_in_order_and_once() -> None:
    timers, log = Timers(), list[str]()
    timers.start(2.0, note(log, "b"))
    timers.start(1.0, note(log, "a"))
    timers.start(2.0, note(log, "c"))
    assert (len(timers), timers.next()) == (3, 1.0)
    timers.fire(at(0.9))
    assert log == []
    timers.fire(at(2.0))
    timers.fire(at(2.0))
    assert log == ["a@2.0", "b@2.0", "c@2.0"]
    assert (len(timers), timers.next()) == (0, None)


def test_a_cancelled_timer_does_not_run() -> None:
    timers, log = Timers(), list[str]()
    first = timers.start(1.0, note(log, "a"))
    timers.start(2.0, note(log, "b"))
    first.cancel()
    first.cancel()
    assert (len(timers), timers.next()) == (1, 2.0)
    timers.fire(at(5.0))
    first.cancel()
    assert log == ["b@5.0"]
    assert len(timers) == 0


def test_an_action_may_cancel_and_start_others() -> None:
    timers, log = Timers(), list[str]()

    def act(now: Now) -> None:
        victim.cancel()
        timers.start(now.monotonic + 0.5, note(log, "new"))

    timers.start(1.0, act)
    victim = timers.start(1.0, note(log, "victim"))
    timers.fire(at(1.0))
    assert log == []
    assert timers.next() == 1.5
    timers.fire(at(1.5))
    assert log == ["new@1.5"]


def test_after_an_action_that_raises_the_others_still_run() -> None:
    timers, log = Timers(), list[str]()

    def fault(now: Now) -> None:
        raise RuntimeError("fault")

    timers.start(1.0, fault)
    timers.start(1.0, note(log, "b"))
    with pytest.raises(RuntimeError, match="fault"):
        timers.fire(at(1.0))
    timers.fire(at(1.0))
    assert log == ["b@1.0"]


def test_cancelled_timers_do_not_pile_up() -> None:
    timers = Timers()
    kept = [timers.start(100.0 + i, note([], "")) for i in range(10)]
    for i in range(50_000):
        timers.start(32.0 + i, note([], "")).cancel()
        assert len(timers._heap) <= 2 * len(kept) + KEPT_DEAD + 1
    assert len(timers) == 10
    assert timers.next() == 100.0


def test_a_timer_that_ran_or_was_cancelled_holds_nothing() -> None:
    class Owner:
        def handle(self, now: Now) -> None: ...

    timers = Timers()
    gc.collect()
    gc.disable()
    try:
        ran, cancelled = Owner(), Owner()
        ran.timer = timers.start(1.0, ran.handle)  # type: ignore[attr-defined]
        cancelled.timer = timers.start(2.0, cancelled.handle)  # type: ignore[attr-defined]
        cancelled.timer.cancel()  # type: ignore[attr-defined]
        timers.fire(at(1.0))
        del ran, cancelled
        assert not [o for o in gc.get_objects() if isinstance(o, Owner)]
    finally:
        gc.enable()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 50), st.booleans()), max_size=60), st.lists(st.integers(0, 60), max_size=10))
def test_exactly_the_due_and_not_cancelled_run(started: list[tuple[int, bool]], fired: list[int]) -> None:
    timers, ran = Timers(), list[int]()
    for number, (when, cancelled) in enumerate(started):
        timer = timers.start(float(when), lambda now, n=number: ran.append(n))  # type: ignore[misc]
        if cancelled:
            timer.cancel()
    expected = sorted((when, n) for n, (when, cancelled) in enumerate(started) if not cancelled)
    latest = -1
    for instant in fired:
        latest = max(latest, instant)
        timers.fire(at(float(instant)))
        assert ran == [n for when, n in expected if when <= latest]
        rest = [when for when, _ in expected if when > latest]
        assert timers.next() == (float(rest[0]) if rest else None)
        assert len(timers) == len(rest)


def test_TXN_13_timer_values_have_the_defaults_of_the_standard_and_sane_bounds() -> None:
    values = TimerValues()
    assert (values.t1, values.t2, values.t4, values.give_up, values.retransmissions_at_t2) == (0.5, 4.0, 5.0, 32.0, 3.5)
    assert TimerValues(t1=0.1).give_up == pytest.approx(6.4)
    for wrong in ({"t1": 0.01}, {"t1": 3.0}, {"t2": 0.2}, {"t4": -1.0}, {"invite_timeout": 0.1}):
        with pytest.raises(ValueError, match=" s "):
            TimerValues(**wrong)
