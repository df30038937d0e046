from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from sbc import watch
from tests.unit.net.bench import run, until

REFERRED = "office.secret"


def play(folder: Path, scene: Callable[[list[str]], Awaitable[None]], monkeypatch: pytest.MonkeyPatch) -> None:
    """`scene` gets what was in the file at each call."""
    monkeypatch.setattr(watch, "EVERY", 0.02)
    calls: list[str] = []

    async def changed() -> None:
        calls.append((folder / "sbc.yaml").read_text() if (folder / "sbc.yaml").exists() else "gone")

    async def whole() -> None:
        watching = asyncio.get_running_loop().create_task(watch.follow(folder, lambda: [folder.parent / REFERRED], changed))
        await scene(calls)
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching

    (folder / "sbc.yaml").write_text("0")
    run(whole())


def test_each_state_of_the_files_is_told_of_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(calls: list[str]) -> None:
        await until(lambda: calls == ["0"])
        (tmp_path / "sbc.yaml").write_text("11")
        await until(lambda: calls == ["0", "11"])
        (tmp_path / "notes.txt").write_text("no policy")
        await asyncio.sleep(0.1)
        assert len(calls) == 2
        (tmp_path / "tests").mkdir()
        (tmp_path / "tests" / "calls.yaml").write_text("version: 1")
        await until(lambda: len(calls) == 3)
        (tmp_path / "sbc.yaml").unlink()
        await until(lambda: calls[3:] == ["gone"])

    play(tmp_path, scene, monkeypatch)


def test_what_the_policy_refers_to_is_looked_at_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(calls: list[str]) -> None:
        await until(lambda: calls == ["0"])
        for content in ("first", "second one"):
            before = len(calls)
            (tmp_path / REFERRED).write_text(content)
            await until(lambda before=before: len(calls) == before + 1)  # type: ignore[misc]

    folder = tmp_path / "policies"
    folder.mkdir()
    play(folder, scene, monkeypatch)


def test_what_is_still_being_written_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = [0, 0, 1, 2, 3, 4, 4, 4, 5, 4, 4, 6, 6]
    monkeypatch.setattr(watch, "seen", lambda folder, referred: (("sbc.yaml", looks.pop(0) if len(looks) > 1 else looks[0], 0, 0),))

    async def scene(calls: list[str]) -> None:
        await until(lambda: len(looks) == 1)
        await until(lambda: len(calls) == 3)  # for 0, 4 and 6

    play(tmp_path, scene, monkeypatch)
