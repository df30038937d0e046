"""Bans on the disk: whole or not at all."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sbc.store import bans
from sbc.store.bans import BanFile


def test_OVL_05_what_is_saved_is_found_again(tmp_path: Path) -> None:
    path, faults, asked = tmp_path / "var" / "bans.json", list[str](), list[int]()

    def text() -> str:
        asked.append(1)
        return "some bans"

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


def test_it_is_written_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bans, "WRITTEN_WITHIN", 0.0)
    loop = asyncio.new_event_loop()
    BanFile(tmp_path / "bans.json", loop, lambda problem: None).save(lambda: "some")
    loop.run_until_complete(asyncio.sleep(0.01))
    loop.close()
    assert (tmp_path / "bans.json").read_text() == "some"


def test_a_disk_that_is_none_is_said_and_no_reason_to_stop(tmp_path: Path) -> None:
    faults = list[str]()
    loop = asyncio.new_event_loop()
    (tmp_path / "bans.json").mkdir()
    file = BanFile(tmp_path / "bans.json", loop, faults.append)
    file.save(lambda: "some")
    file.close()
    loop.close()
    assert [fault.partition(" ")[0] for fault in faults] == ["cannot", "cannot"]
