from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from sbc import notify
from sbc.notify import Notifier
from tests.unit.net.bench import run, until


class Manager:
    """The socket of one, at a path or, with @, an abstract name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(f"\0{name[1:]}" if name.startswith("@") else name)
        self.socket.setblocking(False)

    def heard(self) -> list[str]:
        """Since the last time."""
        messages = []
        while True:
            try:
                messages.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return messages

    def gather(self, told: list[str]) -> list[str]:
        told += self.heard()
        return told


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(str(tmp_path / "notify") if request.param == "path" else f"@sbc-test-{os.getpid()}")
    with closing(manager.socket):
        yield manager


def play(environment: dict[str, str], scene: Callable[[Notifier], Coroutine[object, object, None]]) -> None:
    async def whole() -> None:
        with closing(Notifier(environment)) as notifier:
            await scene(notifier)

    run(whole())


def test_each_state_is_told_as_it_comes(manager: Manager) -> None:
    async def scene(notifier: Notifier) -> None:
        notifier.ready()
        assert manager.heard() == ["READY=1\nSTATUS=serving"]
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        notifier.reloading()
        (reloading,) = manager.heard()
        first, _, when = reloading.partition("\nMONOTONIC_USEC=")
        assert first == "RELOADING=1"
        assert before <= int(when) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        notifier.stopping()
        assert manager.heard() == ["STOPPING=1\nEXTEND_TIMEOUT_USEC=31000000"]

    play({"NOTIFY_SOCKET": manager.name}, scene)


def test_who_is_still_there_is_told_once_a_second(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "EVERY", 0.02)

    async def scene(notifier: Notifier) -> None:
        notifier.draining(12, 299.7)
        notifier.draining(11, 299.7)
        assert manager.heard() == ["STATUS=ending: 12 calls are still there, for 300 s at most\nEXTEND_TIMEOUT_USEC=30020000"]
        await asyncio.sleep(0.03)
        notifier.draining(1, 3)
        assert manager.heard() == ["STATUS=ending: 1 call is still there, for 3 s at most\nEXTEND_TIMEOUT_USEC=30020000"]

    play({"NOTIFY_SOCKET": manager.name}, scene)


def test_a_loop_that_turns_is_told_of_and_one_that_hangs_is_not(manager: Manager) -> None:
    async def scene(notifier: Notifier) -> None:
        watching = asyncio.get_running_loop().create_task(notifier.watch())
        began = time.monotonic()
        told: list[str] = []
        await until(lambda: len(manager.gather(told)) >= 5)
        assert set(told) == {"WATCHDOG=1"}
        assert time.monotonic() - began > 0.015  # twice in the time that it waits, and no more
        manager.heard()
        time.sleep(0.05)  # noqa: ASYNC251 it is the loop that hangs
        assert manager.heard() == []
        await until(manager.heard)
        watching.cancel()

    play({"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "10000", "WATCHDOG_PID": str(os.getpid())}, scene)


@pytest.mark.parametrize(
    "watchdog",
    [{}, {"WATCHDOG_USEC": "10000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "-1"}, {"WATCHDOG_USEC": "soon"}],
    ids=str,
)
def test_nobody_waits_for_signs_of_life(manager: Manager, watchdog: dict[str, str]) -> None:
    async def scene(notifier: Notifier) -> None:
        await notifier.watch()
        assert manager.heard() == []

    play({"NOTIFY_SOCKET": manager.name, **watchdog}, scene)


def test_what_has_no_room_is_told_when_there_is_some(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "AGAIN", 0.01)
    monkeypatch.setattr(notify, "EVERY", 0.0)

    async def scene(notifier: Notifier) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as others, suppress(BlockingIOError):
            others.setblocking(False)
            while True:
                others.sendto(b"noise", manager.socket.getsockname())
        began = time.monotonic()
        notifier.ready()
        for number in range(notify.UNTOLD + 5):
            notifier.draining(number, 1)
        notifier.stopping()
        assert time.monotonic() - began < 0.5
        told: list[str] = []
        await until(lambda: "STOPPING=1\nEXTEND_TIMEOUT_USEC=30000000" in manager.gather(told))
        assert len([message for message in told if message != "noise"]) == notify.UNTOLD  # of a manager that is stuck the newest only

    play({"NOTIFY_SOCKET": manager.name}, scene)


def test_a_manager_that_begins_anew_is_found_again(tmp_path: Path) -> None:
    async def scene(notifier: Notifier) -> None:
        notifier.ready()  # nobody is there
        for _ in range(2):
            manager = Manager(str(tmp_path / "notify"))
            with closing(manager.socket):
                notifier.ready()
                assert len(manager.heard()) == 1
            os.unlink(manager.name)
            notifier.ready()

    play({"NOTIFY_SOCKET": str(tmp_path / "notify")}, scene)


@pytest.mark.parametrize("name", ["", "notify", "vsock:2:1234", "@", "@" + "x" * 200, "/" + "x" * 5000, "/proc/self/mem", "/"])
def test_a_socket_that_is_none_hurts_nobody(name: str) -> None:
    async def scene(notifier: Notifier) -> None:
        notifier.ready()
        notifier.stopping()
        notifier.draining(1, 1)

    play({"NOTIFY_SOCKET": name}, scene)
