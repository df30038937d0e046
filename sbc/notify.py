"""What the service manager hears of us: sd_notify(3), datagrams to the socket that it names in our environment.

Nothing that goes wrong there is worth a call, and no call waits for it.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress

AGAIN = 0.1  # seconds until the next try, when its socket is full
UNTOLD = 16  # messages that wait for that, the newest: far more than we have to say while a manager is slow
EVERY = 1.0  # seconds between two words on how draining goes
GRACE = 30.0  # seconds from such a word on, in which there has to be another, or an end: closing files on a slow disk takes some


class Notifier:
    """Tells nobody anything where `environment` names no socket. To be used inside of a running loop."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._address = _address(environment)
        self._pause = _pause(environment) if self._address else 0.0
        self._socket: socket.socket | None = None
        self._untold: deque[bytes] = deque(maxlen=UNTOLD)
        self._retry: asyncio.TimerHandle | None = None
        self._next = 0.0

    def ready(self) -> None:
        """We serve; or a reload is over, whatever came of it."""
        self._tell("READY=1", "STATUS=serving")

    def reloading(self) -> None:
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        self._tell("STOPPING=1", _extension())

    def draining(self, calls: int, seconds: float) -> None:
        """How many calls are still there, and for how long at most. May be called as often as one likes: it says so once a second."""
        now = asyncio.get_running_loop().time()
        if now >= self._next:
            self._next = now + EVERY
            still = "1 call is" if calls == 1 else f"{calls} calls are"
            self._tell(f"STATUS=ending: {still} still there, for {seconds:.0f} s at most", _extension())

    async def watch(self) -> None:
        """That the loop turns, for as long as it does; nothing, unless the manager wants to know."""
        while self._pause:
            self._tell("WATCHDOG=1")
            await asyncio.sleep(self._pause)

    def close(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
        if self._socket is not None:
            self._socket.close()
        self._address = ""

    def _tell(self, *lines: str) -> None:
        if self._address:
            self._untold.append("\n".join(lines).encode())
            if self._retry is None:
                self._send()

    def _send(self) -> None:
        self._retry = None
        while self._untold:
            try:
                self._open().sendto(self._untold[0], self._address)
            except BlockingIOError:
                self._retry = asyncio.get_running_loop().call_later(AGAIN, self._send)
                return
            except OSError:  # nobody is there, or lets us in
                pass
            self._untold.popleft()

    def _open(self) -> socket.socket:
        """Not connected: a manager that begins anew has the same name and another socket."""
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
        return self._socket


def _address(environment: Mapping[str, str]) -> str:
    """A path, or an abstract name, which is written with @; anything else is none of ours."""
    name = environment.get("NOTIFY_SOCKET", "")
    return f"\0{name[1:]}" if name.startswith("@") else name if name.startswith("/") else ""


def _pause(environment: Mapping[str, str]) -> float:
    """Seconds between two signs of life: half of what the manager waits, as sd_watchdog_enabled(3) has it; 0: it does not."""
    with suppress(ValueError):
        if int(environment.get("WATCHDOG_PID", os.getpid())) == os.getpid():
            return max(int(environment.get("WATCHDOG_USEC", "0")), 0) / 2e6
    return 0.0


def _extension() -> str:
    """The time a stop may take is not over while we say so: how long calls get is said once, to us."""
    return f"EXTEND_TIMEOUT_USEC={(EVERY + GRACE) * 1e6:.0f}"
