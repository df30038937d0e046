"""Recordings of calls: a folder that only its owner may look into, one file a call, the oldest dropped when there are too many."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from sbc.effects import Recorded
from sbc.recording.recording import SUFFIX, policy_name

FLUSH_AFTER = 0.5  # seconds
# Making and writing a file costs some 0.2 ms of CPU, a tenth of a call: a flood of calls shall not be one of files, too.
WRITES_PER_S = 20.0
WRITES_AT_ONCE = 200.0  # a short burst is kept whole
KEPT = 2_000  # files; a folder that can still be looked through
KEPT_OCTETS = 64 * 1024 * 1024  # some 6,000 calls of 10 KiB; policies count, too
LARGEST_POLICY = 16 * 1024 * 1024  # a policy of 20,000 users; a greater one is not written beside its calls
PARTIAL = ".partial"


class RecordingFolder:
    """Writes in batches from a thread of its own. Made when the first recording comes; `failed(text, lost)` is told what goes wrong."""

    def __init__(self, folder: Path, loop: asyncio.AbstractEventLoop, failed: Callable[[str, int], None]) -> None:
        self._folder = folder
        self._loop = loop
        self._failed = failed
        self._waiting: list[Recorded] = []
        self._timer: asyncio.TimerHandle | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="recordings")
        self._tokens = WRITES_AT_ONCE
        self._counted = loop.time()
        self._shelf: Shelf | None = None
        self.lost = 0

    def write(self, recording: Recorded) -> None:
        now = self._loop.time()
        self._tokens = min(WRITES_AT_ONCE, self._tokens + (now - self._counted) * WRITES_PER_S)
        self._counted = now
        if self._tokens < 1.0:
            self.lost += 1
        else:
            self._tokens -= 1.0
            self._waiting.append(recording)
        if self._timer is None:
            self._timer = self._loop.call_later(FLUSH_AFTER, self._flush)

    def close(self) -> None:
        """Write what is left and wait for it."""
        if self._timer is not None:
            self._timer.cancel()
        self._thread.shutdown(wait=True)
        try:
            self._put_away(self._waiting)
        except OSError as error:
            self._failed(f"{self._folder}: {error.strerror}", len(self._waiting))

    def _flush(self) -> None:
        self._timer = None
        waiting, self._waiting = self._waiting, []
        lost, self.lost = self.lost, 0
        if lost:
            self._failed(f"more than {WRITES_PER_S:.0f} a second", lost)
        future = self._thread.submit(self._put_away, waiting)
        asyncio.wrap_future(future, loop=self._loop).add_done_callback(lambda done: self._flushed(len(waiting), done))

    def _flushed(self, count: int, done: asyncio.Future[None]) -> None:
        if not done.cancelled() and (error := done.exception()) is not None:
            self._failed(f"{self._folder}: {error}", count)

    def _put_away(self, recordings: list[Recorded]) -> None:
        if not recordings:
            return
        if self._shelf is None:
            self._shelf = Shelf(self._folder)
        for recording in recordings:
            self._shelf.add(recording)
        self._shelf.drop_oldest()


class Shelf:
    """What is in the folder, the oldest first: names begin with the time. Methods raise OSError."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        for torn in folder.glob(f"*{PARTIAL}"):  # the machine went down
            torn.unlink()
        self._folder = folder
        self._policies: dict[str, int] = {}  # digest -> octets; written by this process, so that no other version's stays
        found = sorted(entry.name for entry in os.scandir(folder) if entry.name.endswith(SUFFIX))
        self._calls = deque([(name, (folder / name).stat().st_size) for name in found])
        self._octets = sum(size for _, size in self._calls)

    def add(self, recording: Recorded) -> None:
        for digest in recording.digests():
            if digest not in self._policies:
                data = recording.policy(digest)
                self._policies[digest] = len(data)
                if len(data) <= LARGEST_POLICY:
                    self._write(policy_name(digest), data)
        data = recording.encode()
        self._write(recording.name, data)
        self._calls.append((recording.name, len(data)))
        self._octets += len(data)

    def drop_oldest(self) -> None:
        """Down to the limits, and the policies no call is left of."""
        dropped = False
        while self._calls and (len(self._calls) > KEPT or self._octets + sum(self._policies.values()) > KEPT_OCTETS):
            name, size = self._calls.popleft()
            self._octets -= size
            dropped = True
            with suppress(FileNotFoundError):  # somebody has tidied up
                (self._folder / name).unlink()
        if dropped:
            self._drop_policies()

    def _drop_policies(self) -> None:
        needed = {policy_name(digest) for name, _ in self._calls for digest in name.removesuffix(SUFFIX).split(".")}
        for file in self._folder.glob(policy_name("*")):
            if file.name not in needed:
                file.unlink(missing_ok=True)
        self._policies = {digest: size for digest, size in self._policies.items() if policy_name(digest) in needed}

    def _write(self, name: str, data: bytes) -> None:
        """All of it under its name, or nothing."""
        partial = self._folder / (name + PARTIAL)
        partial.unlink(missing_ok=True)
        file = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(file, view) :]
        except OSError:
            partial.unlink(missing_ok=True)
            raise
        finally:
            os.close(file)
        partial.rename(self._folder / name)
