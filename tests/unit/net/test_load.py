"""Four looks a second at how busy we are: who is told what."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from sbc.log import EventLog
from sbc.net.inbox import Inbox
from sbc.net.load import INTERVAL, OVER_AFTER, LoadWatch


class Counts:
    """What it sees of an inbox."""

    def __init__(self) -> None:
        self.served = 0
        self.refused = 0
        self.pressed = False

    def press(self, pressed: bool) -> None:
        self.pressed = pressed


class Stage:
    def __init__(self) -> None:
        self.now = 0.0
        self.spent = 0.0
        self.counts = Counts()
        self.told: list[int] = []
        self.lines: list[str] = []
        self.due: Callable[[], None] | None = None
        loop, inbox = cast("asyncio.AbstractEventLoop", self), cast("Inbox", self.counts)
        self.watch = LoadWatch(loop, lambda: self.now, lambda: self.spent, inbox, self.told.append, EventLog(self.lines.append))
        self.watch.start()

    def call_later(self, seconds: float, action: Callable[[], None]) -> Any:
        assert seconds == INTERVAL
        self.due = action

    def look(self, load: float, served: int = 0, refused: int = 0) -> None:
        self.now += INTERVAL
        self.spent += load * INTERVAL
        self.counts.served += served
        self.counts.refused += refused
        assert self.due is not None
        self.due()

    def events(self) -> list[str]:
        return [line.split(" ", 2)[2].strip() for line in self.lines]


def test_peers_are_told_when_the_share_changes() -> None:
    stage = Stage()
    stage.look(0.5)
    assert stage.told == []
    stage.look(1.0, served=50, refused=50)
    stage.look(0.85)
    assert stage.told == [50]


def test_without_time_left_the_inbox_puts_in_order_what_comes() -> None:
    stage = Stage()
    for load, pressed in ((0.9, False), (0.99, True), (0.5, False)):
        stage.look(load)
        assert stage.counts.pressed is pressed


def test_the_log_has_the_beginning_and_the_end_of_an_overload_that_comes_in_waves() -> None:
    stage = Stage()
    for _ in range(3):
        stage.look(1.0, served=10, refused=7)
        for _ in range(OVER_AFTER - 1):
            stage.look(0.1)
    assert stage.events() == ["overload_begun refused=7"]
    stage.look(0.1)
    assert stage.events() == ["overload_begun refused=7", "overload_ended refused=21"]
    for _ in range(OVER_AFTER):
        stage.look(0.1)
    assert len(stage.lines) == 2
