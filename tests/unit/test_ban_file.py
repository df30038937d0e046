"""Bans on the disk: whole or not at all."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from sbc.store import bans
from sbc.store.bans import BanFile
from tests.unit.net.bench import run, until


def test_OVL_05_what_is_saved_is_found_again(tmp_path: Path) -> None:
    path, faults, asked = tmp_path / "var" / "bans.json", list[str](), list[int]()

    def text() -> Callable[[], str]:
        asked.append(1)
        return lambda: "some bans"

    loop = asyncio.new_event_loop()
    file = BanFile(path, loop, faults.append)
    assert file.found == ""
    for _ in range(1000):
        file.save(text)
    assert asked == [], "in one go, and not at once"
    file.close()
    loop.close()
    assert asked == [1]
    assert BanFile(path, loop, faults.append).found == "some bans"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["bans.json"]
    assert faults == []


def test_it_is_written_soon_and_beside_the_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bans, "WRITTEN_WITHIN", 0.0)
    path, threads = tmp_path / "bans.json", list[int]()

    def text() -> str:
        threads.append(threading.get_ident())
        return "some"

    async def scene() -> None:
        file = BanFile(path, asyncio.get_running_loop(), lambda problem: None)
        file.save(lambda: text)
        await until(path.exists)
        file.save(lambda: lambda: "more")
        await until(lambda: path.read_text() == "more")
        file.close()

    run(scene())
    assert path.read_text() == "more"
    assert len(threads) == 1
    assert threads != [threading.get_ident()]


def test_a_disk_that_is_none_is_said_and_no_reason_to_stop(tmp_path: Path) -> None:
    faults = list[str]()
    loop = asyncio.new_event_loop()
    (tmp_path / "bans.json").mkdir()
    file = BanFile(tmp_path / "bans.json", loop, faults.append)
    file.save(lambda: lambda: "some")
    file.close()
    loop.close()
    assert [fault.partition(" ")[0] for fault in faults] == ["cannot", "cannot"]
