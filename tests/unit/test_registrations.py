"""The file of registrations: for its owner only, written behind the back of the loop, and there again after whatever happened."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from pathlib import Path

import pytest

from sbc.errors import ConfigError
from sbc.store import registrations
from sbc.store.registrations import WRITTEN_WITHIN, RegistrationFile
from tests.unit.net.bench import run, until


def open_file(path: Path) -> tuple[RegistrationFile, list[str]]:
    failures: list[str] = []
    return RegistrationFile(path, asyncio.get_running_loop(), failures.append), failures


def on_disk(path: Path) -> dict[str, str]:
    """As another process would find it after a crash: of copies, for the file itself is locked."""
    copy = path.parent / "copy"
    copy.mkdir(exist_ok=True)
    for file in path.parent.glob(f"{path.name}*"):
        (copy / file.name).write_bytes(file.read_bytes())
    with sqlite3.connect(copy / path.name) as database:
        found = dict(database.execute("SELECT account, bindings FROM registrations"))
    database.close()
    for file in copy.iterdir():
        file.unlink()
    return found


def test_what_is_stored_is_there_shortly_after_whatever_happens(tmp_path: Path) -> None:
    async def scene() -> None:
        path = tmp_path / "var" / "registrations.db"
        file, failures = open_file(path)
        assert file.found == ()
        file.store("alice", "[1]")
        file.store("bob", "[2]")
        file.store("alice", "[3]")
        await until(lambda: on_disk(path) == {"alice": "[3]", "bob": "[2]"}, WRITTEN_WITHIN + 0.8)
        file.forget("bob")
        file.store("carol", "[4]")
        await until(lambda: on_disk(path) == {"alice": "[3]", "carol": "[4]"}, WRITTEN_WITHIN + 0.8)
        for each in path.parent.glob("registrations.db*"):
            assert stat.S_IMODE(each.stat().st_mode) == 0o600, each
        file.store("dave", "[5]")
        file.close()
        again, _ = open_file(path)
        assert sorted(again.found) == [("alice", "[3]"), ("carol", "[4]"), ("dave", "[5]")]
        again.close()
        assert failures == []

    run(scene())


def test_two_processes_do_not_share_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registrations, "BUSY", 0.05)

    async def scene() -> None:
        file, _ = open_file(tmp_path / "registrations.db")
        with pytest.raises(ConfigError, match="an SBC that runs has it open; stop that one first, or name another file"):
            open_file(tmp_path / "registrations.db")
        file.close()
        open_file(tmp_path / "registrations.db")[0].close()

    run(scene())


def test_what_is_no_such_file_is_left_alone(tmp_path: Path) -> None:
    async def scene() -> None:
        path = tmp_path / "registrations.db"
        path.write_bytes(b"somebody's letters, of more than a hundred octets" * 10)
        with pytest.raises(ConfigError, match="file is not a database"):
            open_file(path)
        link = tmp_path / "link.db"
        os.symlink(path, link)
        with pytest.raises(ConfigError, match="symbolic links"):
            open_file(link)
        assert path.read_bytes().startswith(b"somebody's letters")

    run(scene())


def test_a_disk_that_refuses_gets_it_later(tmp_path: Path) -> None:
    async def scene() -> None:
        file, failures = open_file(tmp_path / "registrations.db")
        refusals = [sqlite3.OperationalError("database or disk is full")] * 2
        commit = file._commit

        def refuse(batch: dict[str, str | None]) -> None:
            if refusals:
                raise refusals.pop()
            commit(batch)

        file._commit = refuse  # type: ignore[method-assign]
        file.store("alice", "[1]")
        file.store("bob", "[1]")
        await until(lambda: failures)
        file.store("alice", "[2]")
        await until(lambda: on_disk(tmp_path / "registrations.db") == {"alice": "[2]", "bob": "[1]"})
        assert "disk is full" in failures[0]
        file.close()

    run(scene())
