"""A program that runs as long as we do, and is there before the first call is."""

from __future__ import annotations

import asyncio
import os
from asyncio.subprocess import Process
from collections.abc import Callable, Sequence
from contextlib import suppress

PATIENCE = 10.0  # seconds; starting Python takes one on a busy machine


class Companion:
    """It is told `--ready N`, a descriptor that it closes when it is ready."""

    def __init__(self, process: Process, ended: Callable[[int], None]) -> None:
        self._process = process
        self._watching = asyncio.get_running_loop().create_task(self._watch(ended))

    @classmethod
    async def start(cls, command: Sequence[str], ended: Callable[[int], None]) -> Companion:
        """Returns when it is ready, has ended, or has not said so for too long. `ended` is told when it ends by itself."""
        ready, closing = os.pipe()
        try:
            # A session of its own: Ctrl-C reaches us alone, so that calls with it can end in order.
            arguments = (*command, "--ready", str(closing))
            process = await asyncio.create_subprocess_exec(*arguments, pass_fds=(closing,), start_new_session=True)
        except OSError:
            os.close(ready)
            raise
        finally:
            os.close(closing)
        companion = cls(process, ended)
        with suppress(TimeoutError):
            await _closed(ready)
        return companion

    async def close(self) -> None:
        self._watching.cancel()
        if self._process.returncode is None:
            self._process.terminate()
        await self._process.wait()

    async def _watch(self, ended: Callable[[int], None]) -> None:
        ended(await self._process.wait())


async def _closed(descriptor: int) -> None:
    """Nobody can write into that pipe any more. Raises TimeoutError."""
    reader = asyncio.StreamReader()
    pipe = os.fdopen(descriptor, "rb", buffering=0)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    try:
        async with asyncio.timeout(PATIENCE):
            await reader.read()
    finally:
        transport.close()
