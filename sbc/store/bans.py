"""Bans in a file of their own: small, and written anew as a whole, for there are at most 10,000 of them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

WRITTEN_WITHIN = 2.0  # seconds: an attack by thousands of sources is one write of 2 MB each so often
LARGEST = 8 * 1024 * 1024  # octets that are read


class BanFile:
    """`found`: what an earlier process wrote, or "". `failed(text)` is told what goes wrong; bans hold all the same."""

    def __init__(self, path: Path, loop: asyncio.AbstractEventLoop, failed: Callable[[str], None]) -> None:
        self._path = path
        self._loop = loop
        self._failed = failed
        self._timer: asyncio.TimerHandle | None = None
        self._text: Callable[[], str] | None = None
        self.found = self._read()

    def save(self, text: Callable[[], str]) -> None:
        """What `text` says by then is to be kept."""
        self._text = text
        if self._timer is None:
            self._timer = self._loop.call_later(WRITTEN_WITHIN, self._write)

    def close(self) -> None:
        """Write what is left."""
        if self._timer is not None:
            self._timer.cancel()
            self._write()

    def _write(self) -> None:
        self._timer = None
        if self._text is None:
            return
        try:
            _replace(self._path, self._text().encode())
        except OSError as error:
            self._failed(f"cannot write {self._path}: {error.strerror}")

    def _read(self) -> str:
        try:
            with self._path.open("rb") as file:
                return file.read(LARGEST).decode()
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            self._failed(f"cannot read {self._path}: {error}")
            return ""


def _replace(path: Path, data: bytes) -> None:
    """All of it or nothing: whoever is killed meanwhile leaves the old one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    other = path.with_name(path.name + ".new")
    with open(os.open(other, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    other.replace(path)
