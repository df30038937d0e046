"""Time and identifiers as the operating system gives them: the production side of sbc.clock."""

from __future__ import annotations

import os
import time

from sbc.clock import Now

_MAGIC = "z9hG4bK"  # RFC 3261 s8.1.1.7
_POOL = 4096  # octets drawn at once: a system call for some 300 identifiers
_TAG = 16  # hexadecimal digits: 64 bits; RFC 3261 s19.3 asks for 32
_BRANCH = 24  # 96 bits: a response, an ICMP error or a CANCEL that knows it has seen our request
_CALL_ID = 32


class SystemClock:
    def now(self) -> Now:
        return Now(time.monotonic(), time.time())


class SystemIds:
    """Identifiers from the CSPRNG of the operating system; each starts with `node` and `worker` (see sbc.clock.Ids)."""

    def __init__(self, node: int = 0, worker: int = 0) -> None:
        if not (0 <= node < 256 and 0 <= worker < 256):
            raise ValueError("node and worker are numbers from 0 to 255")
        self._owner = f"{node:02x}{worker:02x}"
        self._branch_start = _MAGIC + self._owner
        self._pool = ""
        self._used = 0

    def tag(self) -> str:
        return self._owner + self._digits(_TAG)

    def branch(self) -> str:
        return self._branch_start + self._digits(_BRANCH)

    def call_id(self) -> str:
        return self._owner + self._digits(_CALL_ID)

    def random(self, size: int) -> bytes:
        return os.urandom(size)  # never from the pool: keys shall not lie about in memory

    def _digits(self, count: int) -> str:
        start = self._used
        end = start + count
        if end > len(self._pool):
            self._pool = os.urandom(_POOL).hex()
            start, end = 0, count
        self._used = end
        return self._pool[start:end]


class ThreadTime:
    """Seconds that this thread has run or has been ready to: on a machine that has no time for it, that counts, too."""

    def __init__(self) -> None:
        try:
            self._file: int | None = os.open("/proc/thread-self/schedstat", os.O_RDONLY | os.O_CLOEXEC)
            self.seconds()
        except (OSError, ValueError):  # a kernel without it
            self._file = None

    def seconds(self) -> float:
        if self._file is None:
            return time.thread_time()
        ran, waited, *_ = os.pread(self._file, 64, 0).split()
        return (int(ran) + int(waited)) / 1e9

    def __del__(self) -> None:
        if self._file is not None:
            os.close(self._file)
