"""Registrations in an SQLite file of their own, so that a restart of ours is none for those who registered.

What the core hands over is on the disk WRITTEN_WITHIN seconds later, and the time one commit takes: that much of what was
answered 200 can be lost with the process, and no more with the machine. Whoever is lost so registers again when its time is over.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sbc.errors import ConfigError

WRITTEN_WITHIN = 0.2  # seconds; 10,000 phones that refresh each minute are 33 rows a commit
BUSY = 5.0  # seconds that another process, one that is about to end, may keep the file
SCHEMA = "CREATE TABLE IF NOT EXISTS registrations (account TEXT PRIMARY KEY, bindings TEXT NOT NULL) WITHOUT ROWID"
STORE = "INSERT INTO registrations VALUES (?, ?) ON CONFLICT (account) DO UPDATE SET bindings = excluded.bindings"
FORGET = "DELETE FROM registrations WHERE account = ?"

Kept = dict[str, str | None]  # by account: its bindings as the core wrote them; None: it has none any more


class RegistrationFile:
    """Writes in batches from a thread of its own. `failed(text)` is told what goes wrong; what was not written is tried again."""

    def __init__(self, path: Path, loop: asyncio.AbstractEventLoop, failed: Callable[[str], None]) -> None:
        """Raises ConfigError when the file cannot be used, or another process uses it."""
        self._path = path
        self._loop = loop
        self._failed = failed
        self._database, self.found = _open(path)
        self._waiting: Kept = {}
        self._timer: asyncio.TimerHandle | None = None
        self._writing = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="registrations")

    def store(self, account: str, bindings: str) -> None:
        self._waiting[account] = bindings
        self._arm()

    def forget(self, account: str) -> None:
        self._waiting[account] = None
        self._arm()

    def close(self) -> None:
        """Write what is left and wait for it."""
        if self._timer is not None:
            self._timer.cancel()
        self._thread.shutdown(wait=True)
        try:
            self._commit(self._waiting)
        except sqlite3.Error as error:
            self._failed(f"{self._path}: {error}")
        self._database.close()

    def _arm(self) -> None:
        if self._timer is None and not self._writing:
            self._timer = self._loop.call_later(WRITTEN_WITHIN, self._flush)

    def _flush(self) -> None:
        self._timer = None
        self._writing = True
        batch, self._waiting = self._waiting, {}
        future = self._thread.submit(self._commit, batch)
        asyncio.wrap_future(future, loop=self._loop).add_done_callback(lambda done: self._flushed(batch, done))

    def _flushed(self, batch: Kept, done: asyncio.Future[None]) -> None:
        self._writing = False
        if done.cancelled():
            return
        error = done.exception()
        if error is not None:
            self._waiting = batch | self._waiting  # what came meanwhile is newer
            self._failed(f"{self._path}: {error}")
        if self._waiting:
            self._arm()

    def _commit(self, batch: Kept) -> None:
        """All of it or nothing."""
        with self._database:
            self._database.executemany(STORE, [(account, text) for account, text in batch.items() if text is not None])
            self._database.executemany(FORGET, [(account,) for account, text in batch.items() if text is None])


def _open(path: Path) -> tuple[sqlite3.Connection, tuple[tuple[str, str], ...]]:
    """The database, and all that is in it."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))  # SQLite's other files are made like it
        database = sqlite3.connect(path, timeout=BUSY, check_same_thread=False)
        database.execute("PRAGMA locking_mode = EXCLUSIVE")  # no second process would know what the first one has in memory
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        with database:
            database.execute(SCHEMA)
            found = tuple(database.execute("SELECT account, bindings FROM registrations"))
    except (OSError, sqlite3.Error) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        if isinstance(error, sqlite3.Error) and error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
            why = "an SBC that runs has it open; stop that one first"
        raise ConfigError(f"registrations: cannot use {path}: {why}, or name another file with --registrations") from error
    return database, found
