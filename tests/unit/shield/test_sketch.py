from __future__ import annotations

from sbc.shield.sketch import COLUMNS, ROWS, SKETCH_OCTETS, Sketch

KEY = b"k" * 32


def test_it_counts_each_source_and_runs_out() -> None:
    sketch = Sketch(KEY, leak=2.0)
    for _ in range(6):
        sketch.add("192.0.2.1", 1.0, 0.0)
    assert sketch.level("192.0.2.1", 0.0) == 6.0
    assert sketch.level("192.0.2.2", 0.0) == 0.0
    assert sketch.level("192.0.2.1", 2.0) == 2.0
    assert sketch.level("192.0.2.1", 60.0) == 0.0


def test_it_is_a_bucket_of_tokens() -> None:
    sketch = Sketch(KEY, leak=2.0)
    assert [sketch.take("a", 3.0, 0.0) for _ in range(5)] == [True, True, True, False, False]
    assert [sketch.take("a", 3.0, 1.0) for _ in range(3)] == [True, True, False], "two a second come back"


def test_OVL_05_it_never_counts_too_little_and_rarely_too_much() -> None:
    """Ten times as many sources as there are columns: whoever sent often stands out."""
    sketch = Sketch(KEY, leak=0.0)
    for number in range(10 * COLUMNS):
        sketch.add(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 1.0, 0.0)
    for _ in range(1000):
        sketch.add("192.0.2.9", 1.0, 0.0)
    assert sketch.level("192.0.2.9", 0.0) >= 1000.0
    strangers = [sketch.level(f"203.0.113.{number}", 0.0) for number in range(200)]
    assert sorted(strangers)[190] < 20.0


def test_its_memory_is_one_size() -> None:
    sketch = Sketch(KEY, leak=1.0)
    assert len(sketch._levels) == len(sketch._times) == ROWS * COLUMNS
    assert sketch._levels.itemsize * 2 * ROWS * COLUMNS == SKETCH_OCTETS


def test_who_shares_cells_with_whom_is_a_secret() -> None:
    assert Sketch(b"one", 1.0)._cells("192.0.2.1") != Sketch(b"two", 1.0)._cells("192.0.2.1")
