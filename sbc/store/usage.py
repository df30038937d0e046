"""What is used up of limits for long, in an SQLite file of its own, so that a restart gives nobody a day's calls twice."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from sbc.errors import ConfigError
from sbc.policy.lasting import RATES, Used

BUSY = 5.0  # seconds that another process, one that is about to end, may keep the file
SCHEMA = """\
CREATE TABLE IF NOT EXISTS used (scope TEXT, limits TEXT, what TEXT, until REAL, PRIMARY KEY (scope, limits, what)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_end ON used (until);
"""
KEEP = "INSERT INTO used VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET until = excluded.until"
OVER = "DELETE FROM used WHERE until < ?"


class UsageFile:
    """`found`: what an earlier process has left."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigError when the file cannot be used."""
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))  # numbers of people are in it
            self._database = sqlite3.connect(path, timeout=BUSY, check_same_thread=False)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.executescript(SCHEMA)
            rows = self._database.execute("SELECT scope, limits, what, until FROM used")
            self.found = tuple([Used(*row) for row in rows if row[2] in RATES])
        except (OSError, sqlite3.Error) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            raise ConfigError(f"limits: cannot use {path}: {why}; move it away, and what is used up is forgotten") from error

    def keep(self, used: Iterable[Used], wall: float) -> None:
        """Those, and no more what is over at `wall`. Raises sqlite3.Error."""
        with self._database:
            self._database.executemany(KEEP, [(each.scope, each.limit, each.what, each.until) for each in used])
            self._database.execute(OVER, (wall,))

    def close(self) -> None:
        self._database.close()
