"""`sbc run --watch`: whatever is saved in the policy folder, or in files it refers to, is applied, once it was left alone for a moment."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path

EVERY = 1.0  # seconds between looks; a save of several files, or of one in several steps, is over by the second look
SHARE = 0.05  # of the time, at most, that is spent looking: of 100,000 secrets once in some ten seconds
Seen = tuple[tuple[str, int, int, int], ...]


async def follow(folder: Path, referred: Callable[[], Iterable[Path]], changed: Callable[[], Awaitable[None]]) -> None:
    """For ever. `referred`: files elsewhere that matter, too. `changed` is called when the files are other ones than at the last
    call, and the same as at the last look; and once at the beginning, for what was saved while we started.
    """
    loop = asyncio.get_running_loop()
    known: Seen | None = None
    before: Seen | None = None
    while True:
        begun = loop.time()
        now = await asyncio.to_thread(lambda: seen(folder, referred()))
        pause = max(EVERY, (loop.time() - begun) / SHARE)
        if now != known and now == before:
            known = now
            await changed()
        before = now
        await asyncio.sleep(pause)


def seen(folder: Path, referred: Iterable[Path]) -> Seen:
    """What tells one state of the files from another: names, when they were written, how long they are, and which they are."""
    found = []
    saved = [file for place in (folder, folder / "profiles", folder / "tests") for file in sorted(place.glob("*.yaml"))]
    for file in (*saved, *referred):
        with suppress(OSError):
            status = os.stat(file)
            found.append((str(file), status.st_mtime_ns, status.st_size, status.st_ino))
    return tuple(found)
