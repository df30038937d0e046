"""Has written down, again and again, what is used up of limits for long."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable

from sbc.clock import Now
from sbc.net.ports import CoreLike
from sbc.policy.lasting import Used
from sbc.store.usage import UsageFile
from sbc.views import UsageAsked, UsageView

EVERY = 1.0  # seconds: calls that began since then are given once more when the process is killed


class UsageKeeper:
    """`failed(text)` is told what goes wrong; what was not written is tried again."""

    def __init__(self, file: UsageFile, core: CoreLike, now: Callable[[], Now], failed: Callable[[str], None]) -> None:
        self._file = file
        self._core = core
        self._now = now
        self._failed = failed
        self._since = 0.0

    async def follow(self) -> None:
        """For ever."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(EVERY)
            now, used = self._used()
            if used:
                self._note(now, await loop.run_in_executor(None, self._write, used, now.wall))

    def close(self) -> None:
        now, used = self._used()
        self._note(now, self._write(used, now.wall))
        self._file.close()

    def _used(self) -> tuple[Now, tuple[Used, ...]]:
        now = self._now()
        view = self._core.ask(UsageAsked(self._since), now)
        return now, view.used if isinstance(view, UsageView) else ()

    def _write(self, used: tuple[Used, ...], wall: float) -> str:
        """What went wrong, "": nothing."""
        try:
            self._file.keep(used, wall)
        except sqlite3.Error as error:
            return str(error)
        return ""

    def _note(self, now: Now, problem: str) -> None:
        if problem:
            self._failed(problem)
        else:
            self._since = now.monotonic
