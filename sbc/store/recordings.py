"""Recordings of calls: a folder that only its owner may look into, the oldest dropped when there are too many.

Calls that end in the same second share a file: making a file, naming it and dropping it later costs more than what is in it.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from sbc.effects import Recorded
from sbc.recording.files import SUFFIX, bundled, calls_in, digests_in, name_of, policies_of, policy_name

FLUSH_AFTER = 1.0  # seconds
# What recording costs is a small part of the call, whatever the rate; but a flood of calls shall not be one of octets on the disk, too.
WRITES_PER_S = 100.0  # calls: 1 MB
WRITES_AT_ONCE = 200.0  # a short burst is kept whole
KEPT = 2_000  # calls; a folder that can still be looked through
KEPT_OCTETS = 64 * 1024 * 1024  # some 6,000 calls of 10 KiB; policies count, too
LARGEST_POLICY = 16 * 1024 * 1024  # a policy of 20,000 users; a greater one is not written beside its calls
PARTIAL = ".partial"
WRITTEN_AT_ONCE = 1024  # pieces, IOV_MAX of Linux


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
            self._take(recording)
        if self._timer is None:
            self._timer = self._loop.call_later(FLUSH_AFTER, self._flush)

    def _take(self, recording: Recorded) -> None:
        """Its octets are made here: another thread would first have to bring all that a call left over to its CPU, and free it there."""
        try:
            recording.encode()
        except Exception as error:  # one call that cannot be told must not end the others
            self._failed(f"{recording.call()}: {type(error).__name__}", 1)
        else:
            self._waiting.append(recording)

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
        self._shelf.add(recordings)
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
        self._files: deque[tuple[str, int]] = deque()
        self._octets = self._calls = 0
        self._uses: Counter[str] = Counter()  # digest -> files of calls that ran under that policy
        for name in sorted(entry.name for entry in os.scandir(folder) if entry.name.endswith(SUFFIX)):
            self._take_in(name, (folder / name).stat().st_size)

    def add(self, recordings: Sequence[Recorded]) -> None:
        """As one file."""
        policies = policies_of(recordings)
        for digest, recording in policies.items():
            if digest not in self._policies:
                self._add_policy(digest, recording.policy(digest))
        name = name_of(recordings, policies)
        pieces = bundled([(recording.call(), recording.encode()) for recording in recordings])
        self._write(name, pieces)
        self._take_in(name, sum(map(len, pieces)))

    def _take_in(self, name: str, size: int) -> None:
        self._files.append((name, size))
        self._octets += size
        self._calls += calls_in(name)
        self._uses.update(digests_in(name))

    def _add_policy(self, digest: str, data: bytes) -> None:
        self._policies[digest] = len(data)
        if len(data) <= LARGEST_POLICY:
            self._write(policy_name(digest), [data])

    def drop_oldest(self) -> None:
        """Down to the limits, and the policies no call is left of."""
        while self._files and (self._calls > KEPT or self._octets + sum(self._policies.values()) > KEPT_OCTETS):
            name, size = self._files.popleft()
            self._octets -= size
            self._calls -= calls_in(name)
            with suppress(FileNotFoundError):  # somebody has tidied up
                (self._folder / name).unlink()
            self._uses.subtract(digests_in(name))
            for digest in digests_in(name):
                if not self._uses[digest]:
                    self._drop_policy(digest)

    def _drop_policy(self, digest: str) -> None:
        del self._uses[digest]
        self._policies.pop(digest, None)
        (self._folder / policy_name(digest)).unlink(missing_ok=True)

    def _write(self, name: str, pieces: Sequence[bytes]) -> None:
        """All of it under its name, or nothing."""
        partial = self._folder / (name + PARTIAL)
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            write_all(descriptor, pieces)
        except OSError:
            partial.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)
        partial.rename(self._folder / name)


def write_all(descriptor: int, pieces: Sequence[bytes]) -> None:
    """In one go, mostly: half of what it takes to write them one by one, or to put them together before."""
    for start in range(0, len(pieces), WRITTEN_AT_ONCE):
        some = pieces[start : start + WRITTEN_AT_ONCE]
        written = os.writev(descriptor, some)
        if written < sum(map(len, some)):  # a disk that is nearly full, say
            rest = memoryview(b"".join(some))[written:]
            while rest:
                rest = rest[os.write(descriptor, rest) :]
