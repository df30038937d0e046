"""`sbc run --watch`: whatever is saved in the policy folder is applied, once it has been left alone for a moment."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

EVERY = 1.0  # seconds between looks; a save of several files, or of one in several steps, is over by the second look
Seen = tuple[tuple[str, int, int, int], ...]


async def follow(folder: Path, changed: Callable[[], Awaitable[None]]) -> None:
    """For ever. `changed` is called when the files are other ones than at the last call, and the same as at the last look; and once
    at the beginning, for what was saved while we started.
    """
    known: Seen | None = None
    before = seen(folder)
    while True:
        await asyncio.sleep(EVERY)
        now = seen(folder)
        if now != known and now == before:
            known = now
            await changed()
        before = now


def seen(folder: Path) -> Seen:
    """What tells one state of the files from another: names, when they were written, how long they are, and which they are."""
    found = []
    for place in (folder, folder / "profiles", folder / "tests"):
        for file in sorted(place.glob("*.yaml")):
            with suppress(OSError):
                status = os.stat(file)
                found.append((str(file), status.st_mtime_ns, status.st_size, status.st_ino))
    return tuple(found)
