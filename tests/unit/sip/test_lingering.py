from __future__ import annotations

import gc

from hypothesis import given, settings
from hypothesis import strategies as st

from sbc.clock import Now
from sbc.sip.lingering import Lingering
from sbc.sip.timers import Timers


def test_a_key_is_known_for_its_time_and_no_longer() -> None:
    timers = Timers()
    lingering: Lingering[str] = Lingering(timers)
    lingering.add("j", b"octets", 32.0, Now(0.0, 0.0))
    lingering.add("k", None, 5.0, Now(1.0, 0.0))
    lingering.add("j2", b"", 32.0, Now(2.0, 0.0))
    assert (lingering["j"], lingering["k"], lingering["j2"], len(timers)) == (b"octets", None, b"", 2)
    known = []
    for instant in (5.9, 6.0, 31.9, 32.0, 33.9, 34.0):
        timers.fire(Now(instant, 0.0))
        known.append("".join(key for key in ("j", "k", "j2") if key in lingering))
    assert known == ["jkj2", "jj2", "jj2", "j2", "j2", ""]
    assert (len(lingering), len(timers)) == (0, 0)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.floats(0.0, 3.0), st.sampled_from((5.0, 6.4, 32.0))), max_size=40))
def test_each_ends_at_its_instant_whatever_the_order(added: list[tuple[float, float]]) -> None:
    timers = Timers()
    lingering: Lingering[int] = Lingering(timers)
    ends, clock = [], 0.0
    for number, (pause, duration) in enumerate(added):
        clock += pause
        while (when := timers.next()) is not None and when <= clock:
            timers.fire(Now(when, 0.0))
        lingering.add(number, None, duration, Now(clock, 0.0))
        ends.append(clock + duration)
    while (when := timers.next()) is not None:
        clock = when
        timers.fire(Now(clock, 0.0))
        assert [number in lingering for number in range(len(ends))] == [end > clock for end in ends]
    assert len(lingering) == 0


def test_the_garbage_collector_does_not_see_what_lingers() -> None:
    timers = Timers()
    lingering: Lingering[tuple[str, str, int, str]] = Lingering(timers)
    gc.collect()
    before = len(gc.get_objects())
    for number in range(1000):
        lingering.add((f"z9hG4bK-{number}", "192.0.2.7", 5060, "BYE"), b"octets", 32.0, Now(float(number), 0.0))
    gc.collect()
    assert len(gc.get_objects()) - before < 50
