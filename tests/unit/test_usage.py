"""What is used up of limits, on the disk."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import suppress
from pathlib import Path

import pytest

from sbc import usage
from sbc.app import App
from sbc.clock import Now
from sbc.errors import ConfigError
from sbc.inputs import UsageFound
from sbc.policy.lasting import Used
from sbc.store.usage import UsageFile
from sbc.usage import UsageKeeper
from sbc.views import Answer, Question, UsageAsked, UsageView
from tests.unit.net.bench import ScriptedCore, run, until
from tests.unit.test_app import Stage

OFFICE = Used("office", "daily", "new_calls", 4102444800.0)
ALICE = Used("alice daily for +4930", "daily", "requests", 4102444801.5)


def test_what_is_kept_is_found_again_until_it_is_over(tmp_path: Path) -> None:
    path = tmp_path / "var" / "registrations.limits"
    file = UsageFile(path)
    assert file.found == ()
    file.keep([OFFICE, Used("office", "daily", "requests", 999.0)], 0.0)
    file.keep([ALICE, Used("office", "daily", "new_calls", 4102444900.0)], 1000.0)
    file.close()
    assert path.stat().st_mode & 0o777 == 0o600
    assert set(UsageFile(path).found) == {ALICE, Used("office", "daily", "new_calls", 4102444900.0)}


def test_what_is_no_such_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "registrations.limits"
    path.write_bytes(b"somebody's letters, of more than a hundred octets" * 10)
    with pytest.raises(ConfigError, match=r"limits: cannot use .*: file is not a database; move it away"):
        UsageFile(path)
    os.symlink(path, tmp_path / "link")
    with pytest.raises(ConfigError, match="symbolic links"):
        UsageFile(tmp_path / "link")


class Spending(ScriptedCore):
    """A core that has used something up, at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.spent: list[tuple[float, Used]] = []

    def ask(self, question: Question, now: Now) -> Answer:
        if isinstance(question, UsageAsked):
            return UsageView(tuple([each for at, each in self.spent if at >= question.since]))
        return super().ask(question, now)


def test_what_could_not_be_written_is_written_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "EVERY", 0.01)
    file, core, failed = UsageFile(tmp_path / "limits"), Spending(), list[str]()
    refusals, keep, clock = [sqlite3.OperationalError("database or disk is full")], file.keep, [10.0]
    kept: list[Used] = []

    def refuse(used: tuple[Used, ...], wall: float) -> None:
        if refusals:
            raise refusals.pop()
        kept.extend(used)
        keep(used, wall)

    monkeypatch.setattr(file, "keep", refuse)

    async def scene() -> None:
        keeper = UsageKeeper(file, core, lambda: Now(clock[0], clock[0]), failed.append)
        following = asyncio.get_running_loop().create_task(keeper.follow())
        core.spent.append((10.0, OFFICE))
        await until(lambda: kept)
        clock[0] = 20.0
        await asyncio.sleep(0.05)
        before = len(kept)
        core.spent.append((20.0, ALICE))
        await until(lambda: ALICE in kept)
        assert OFFICE not in kept[before + 1 :]
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
        keeper.close()

    run(scene())
    assert failed == ["database or disk is full"]
    assert set(UsageFile(tmp_path / "limits").found) == {OFFICE, ALICE}


def test_the_next_process_is_told(tmp_path: Path) -> None:
    core = Spending()
    core.spent.append((0.0, OFFICE))
    stage = Stage(tmp_path, core)

    async def scene(it: App) -> None: ...

    stage.play(scene)
    assert not [event for event in core.inputs if isinstance(event, UsageFound)]
    stage.said.clear()
    stage.play(scene)
    assert [event for event in core.inputs if isinstance(event, UsageFound)] == [UsageFound((OFFICE,))]
    assert (tmp_path / "registrations.limits").exists()
