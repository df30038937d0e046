from __future__ import annotations

import asyncio
import errno
import json
import os
import stat
from pathlib import Path

import pytest

from sbc.effects import WriteRecord
from sbc.errors import ConfigError
from sbc.store import records
from sbc.store.records import RecordFile
from tests.unit.net.bench import run, until


def test_the_line_of_a_record_is_made_once() -> None:
    record = WriteRecord({"call": 1, "to": "\N{SNOWMAN}", "odd": 2.5})
    line = record.line()
    assert line == b'{"call":1,"to":"\\u2603","odd":2.5}\n'
    assert record.line() is line


def open_records(path: Path) -> tuple[RecordFile, list[tuple[str, int]]]:
    failures: list[tuple[str, int]] = []
    return RecordFile(path, asyncio.get_running_loop(), lambda text, lost: failures.append((text, lost))), failures


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_records_reach_the_file_by_themselves(tmp_path: Path) -> None:
    async def scene() -> None:
        path = tmp_path / "var" / "records.jsonl"
        file, failures = open_records(path)
        file.write(WriteRecord({"call": 1, "to": "a\n\u2028b", "nested": {"x": None}}))
        file.write(WriteRecord({"call": 2}))
        await until(lambda: file.written == 2, 1.0)
        assert lines(path) == [{"call": 1, "to": "a\n\u2028b", "nested": {"x": None}}, {"call": 2}]
        assert path.read_bytes().count(b"\n") == 2
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        file.write(WriteRecord({"call": 3}))
        file.close()
        assert [line["call"] for line in lines(path)] == [1, 2, 3]
        assert failures == []

    run(scene())


def test_appends_after_a_torn_line(tmp_path: Path) -> None:
    async def scene() -> None:
        path = tmp_path / "records.jsonl"
        path.write_text('{"call":1}\n{"cal')
        file, _ = open_records(path)
        file.write(WriteRecord({"call": 2}))
        file.close()
        assert path.read_text() == '{"call":1}\n{"cal\n{"call":2}\n'

    run(scene())


def test_rotation(tmp_path: Path) -> None:
    async def scene() -> None:
        path = tmp_path / "records.jsonl"
        file, _ = open_records(path)
        file.write(WriteRecord({"call": 1}))
        await until(lambda: file.written == 1)
        path.rename(tmp_path / "old")
        file.reopen()
        file.write(WriteRecord({"call": 2}))
        file.close()
        assert lines(tmp_path / "old") == [{"call": 1}]
        assert lines(path) == [{"call": 2}]

    run(scene())


def test_a_file_that_cannot_be_written_is_said_at_start(tmp_path: Path) -> None:
    async def scene() -> None:
        (tmp_path / "file").write_text("")
        for path in (tmp_path, tmp_path / "file" / "records.jsonl"):
            with pytest.raises(ConfigError, match="cannot write"):
                open_records(path)

    run(scene())


def test_a_full_disk_delays_records_and_tears_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "FLUSH_AFTER", 0.01)
    write = os.write
    full = True

    def short(file: int, data: bytes) -> int:
        if full and bytes(data).startswith(b'{"call":1}'):
            return write(file, data[:5])
        if full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, data)

    async def scene() -> None:
        nonlocal full
        path = tmp_path / "records.jsonl"
        file, failures = open_records(path)
        monkeypatch.setattr(os, "write", short)
        file.write(WriteRecord({"call": 1}))
        await until(lambda: failures)
        assert "No space left" in failures[0][0]
        file.write(WriteRecord({"call": 2}))
        full = False
        await until(lambda: file.written == 2)
        assert lines(path) == [{"call": 1}, {"call": 2}]
        file.close()

    run(scene())


def test_what_waits_for_the_disk_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "BACKLOG", 3)

    async def scene() -> None:
        path = tmp_path / "records.jsonl"
        file, _ = open_records(path)
        for number in range(5):
            file.write(WriteRecord({"call": number}))
        assert file.lost == 2
        file.close()
        assert [line["call"] for line in lines(path)] == [0, 1, 2]

    run(scene())
