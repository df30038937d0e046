"""Call records as JSON lines: one object per call attempt, appended to a file that only its owner may read."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sbc.effects import WriteRecord
from sbc.errors import ConfigError

FLUSH_AFTER = 0.5  # seconds; a record is on its way to the disk at most 1 s after its call
BACKLOG = 100_000  # records kept while the disk is full or stuck: two minutes at 700 calls/s, some 100 MB; then the newest are lost


class RecordFile:
    """Appends records in batches from a thread of its own, so that a slow disk never holds up a call.

    `failed(text, lost)` is told about a disk that refuses (with the number of records given up, mostly 0).
    """

    def __init__(self, path: Path, loop: asyncio.AbstractEventLoop, failed: Callable[[str, int], None]) -> None:
        """Raises ConfigError when the file cannot be opened for appending."""
        self._path = path
        self._loop = loop
        self._failed = failed
        self._file = _open(path)
        self._lines: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None
        self._writing = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="records")
        self.written = 0
        self.lost = 0

    def write(self, record: WriteRecord) -> None:
        if len(self._lines) >= BACKLOG:
            self.lost += 1
            return
        self._lines.append(record.line())
        self._arm()

    def reopen(self) -> None:
        """After a rotation has moved the file away. Raises ConfigError, and goes on with the old file then."""
        file = _open(self._path)
        self._thread.submit(os.close, self._file)  # behind the batch that may be on its way
        self._file = file

    def close(self) -> None:
        """Write what is left and wait for it."""
        if self._timer is not None:
            self._timer.cancel()
        self._thread.shutdown(wait=True)
        try:
            self._append(self._file, b"".join(self._lines))
            os.fsync(self._file)
        except OSError as error:
            self._failed(f"{self._path}: {error.strerror}", len(self._lines))
        os.close(self._file)

    def _arm(self) -> None:
        if self._timer is None and not self._writing:
            self._timer = self._loop.call_later(FLUSH_AFTER, self._flush)

    def _flush(self) -> None:
        self._timer = None
        self._writing = True
        lines, self._lines = self._lines, []
        future = self._thread.submit(self._append, self._file, b"".join(lines))
        asyncio.wrap_future(future, loop=self._loop).add_done_callback(lambda done: self._flushed(lines, done))

    def _flushed(self, lines: list[bytes], done: asyncio.Future[None]) -> None:
        self._writing = False
        if done.cancelled():
            return
        error = done.exception()
        if error is None:
            self.written += len(lines)
        else:
            lost, self.lost = self.lost, 0
            self._lines[:0] = lines  # nothing of the batch is in the file: _append takes back a part
            self._failed(f"{self._path}: {error}", lost)
        if self._lines:
            self._arm()

    @staticmethod
    def _append(file: int, data: bytes) -> None:
        """All of it or nothing, so that a batch tried again leaves neither half a line nor a line twice."""
        start = os.fstat(file).st_size
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(file, view) :]
        except OSError:
            os.ftruncate(file, start)
            raise


def _open(path: Path) -> int:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        size = os.fstat(file).st_size
        if size and os.pread(file, 1, size - 1) != b"\n":  # the machine went down in the middle of a line
            os.write(file, b"\n")
    except OSError as error:
        raise ConfigError(f"call records: cannot write {path}: {error.strerror}; name another file with --records") from error
    return file
