"""Bans in a file of their own: small, and written anew as a whole, for there are at most 10,000 of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sbc.store.versions import write_file

WRITTEN_WITHIN = 2.0  # seconds: an attack by thousands of sources is one write of 2 MB each so often
LARGEST = 8 * 1024 * 1024  # octets that are read

Snapshot = Callable[[], Callable[[], str]]


class BanFile:
    """`found`: what an earlier process wrote, or "". `failed(text)` is told what goes wrong; bans hold all the same.

    Writes from a thread of its own: most is written while we are attacked.
    """

    def __init__(self, path: Path, loop: asyncio.AbstractEventLoop, failed: Callable[[str], None]) -> None:
        self._path = path
        self._loop = loop
        self._failed = failed
        self._timer: asyncio.TimerHandle | None = None
        self._wanted: Snapshot | None = None
        self._writing = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="bans")
        self.found = self._read()

    def save(self, snapshot: Snapshot) -> None:
        self._wanted = snapshot
        self._arm()

    def close(self) -> None:
        """Write what is left and wait for it."""
        if self._timer is not None:
            self._timer.cancel()
        self._thread.shutdown(wait=True)
        if self._wanted is not None:
            try:
                self._write(self._wanted())
            except OSError as error:
                self._tell(error)

    def _arm(self) -> None:
        if self._timer is None and not self._writing:
            self._timer = self._loop.call_later(WRITTEN_WITHIN, self._flush)

    def _flush(self) -> None:
        wanted, self._wanted, self._timer = self._wanted, None, None
        assert wanted is not None
        self._writing = True
        future = self._thread.submit(self._write, wanted())
        asyncio.wrap_future(future, loop=self._loop).add_done_callback(self._flushed)

    def _flushed(self, done: asyncio.Future[None]) -> None:
        self._writing = False
        if not done.cancelled() and (error := done.exception()) is not None:
            self._tell(error)
        if self._wanted is not None:
            self._arm()

    def _write(self, text: Callable[[], str]) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_file(self._path, text().encode())

    def _tell(self, error: BaseException) -> None:
        self._failed(f"cannot write {self._path}: {error}")

    def _read(self) -> str:
        try:
            with self._path.open("rb") as file:
                return file.read(LARGEST).decode()
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            self._failed(f"cannot read {self._path}: {error}")
            return ""
