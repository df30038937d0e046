from __future__ import annotations

import os
import subprocess
import sys

import pytest

from sbc.log import LINES_PER_SECOND, MASK, VALUE_LENGTH, EventLog


def logged(**facts: object) -> str:
    lines: list[str] = []
    EventLog(lines.append, wall=lambda: 1738324800.5).event("warning", "something", facts)
    (line,) = lines
    assert line.endswith("\n")
    assert line.count("\n") == 1
    return line[:-1]


def test_a_line() -> None:
    assert logged(remote="10.0.0.9:5060", count=3, reason="not now", none=None) == (
        '2025-01-31T12:00:00.500Z warning something remote=10.0.0.9:5060 count=3 reason="not now" none=null'
    )


@pytest.mark.parametrize("name", ["password", "Authorization", "proxy-authorization", "crypto", "key", "send_key", "private.key", "token"])
def test_secret_names_are_masked(name: str) -> None:
    assert logged(**{name: "hunter2"}).endswith(f"{name}={MASK}")
    assert "hunter2" not in logged(outer={"x": [{name: "hunter2"}]})


@pytest.mark.parametrize(
    "value",
    [
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 hunter2",
        "AES inline:hunter2",
        "INLINE:hunter2",
        "Authorization: Digest hunter2",
        'Digest username="a", response="hunter2"',
        "-----BEGIN PRIVATE KEY-----hunter2",
        b"hunter2",
    ],
)
def test_secret_values_are_masked(value: object) -> None:
    assert "hunter2" not in logged(text=value)
    assert "hunter2" not in logged(texts=[value])


@pytest.mark.parametrize("value", ["a\nb", "a\r\nINJECTED", "\x1b[31mred", "nul\0", "\x7f", "\u2028", "\udc80", 'q"uote', "= x", ""])
def test_SYN_12_no_control_characters(value: str) -> None:
    line = logged(text=value, nested={value: value})
    assert line.isascii()
    assert line.isprintable()


def test_long_values_are_cut() -> None:
    assert len(logged(text="x" * 100_000)) < VALUE_LENGTH + 100


def test_levels() -> None:
    lines: list[str] = []
    log = EventLog(lines.append, level="warning")
    log.event("info", "no")
    log.event("error", "yes")
    assert len(lines) == 1


def test_a_flood_of_one_event_is_counted_instead_of_written() -> None:
    lines: list[str] = []
    now = 0.0
    log = EventLog(lines.append, monotonic=lambda: now)
    for _ in range(LINES_PER_SECOND + 7):
        log.event("info", "flood")
    log.event("info", "other")
    assert len(lines) == LINES_PER_SECOND + 1
    now = 1.0
    log.event("info", "flood")
    log.event("info", "flood")
    assert lines[-2].endswith("suppressed=7\n")
    assert "suppressed" not in lines[-1]


def test_exceptions_show_type_text_and_place() -> None:
    lines: list[str] = []
    try:
        raise ValueError("no such\nthing")
    except ValueError as error:
        EventLog(lines.append).exception("fault", error, call="c1")
    (line,) = lines
    assert r'call=c1 error=ValueError text="no such\nthing" at=unit/test_log.py:' in line
    assert "test_exceptions_show_type_text_and_place" in line


@pytest.mark.parametrize("error", [BrokenPipeError(), ValueError("I/O operation on closed file")])
def test_a_log_that_cannot_be_written_is_not_worth_a_call(error: Exception) -> None:
    def write(line: str) -> None:
        raise error

    EventLog(write).event("info", "x")


@pytest.mark.parametrize(("ours", "first"), [(True, "<4>"), (False, "")])
def test_in_the_journal_a_line_has_a_priority(ours: bool, first: str) -> None:
    """Which is said by the environment, and may be about the stderr of whoever started us."""
    reading, writing = os.pipe()
    info = os.fstat(writing)
    stream = f"{info.st_dev}:{info.st_ino}" if ours else f"{info.st_dev}:{info.st_ino + 1}"
    code = "import os; from sbc.log import EventLog, writer; EventLog(writer(os.environ)).event('warning', 'something')"
    subprocess.run([sys.executable, "-c", code], stderr=writing, env={**os.environ, "JOURNAL_STREAM": stream}, timeout=60, check=True)
    os.close(writing)
    with os.fdopen(reading) as log:
        line = log.read()
    assert line.startswith(f"{first}20")
    assert line.endswith("Z warning something\n")
