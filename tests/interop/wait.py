"""Waiting for something another process does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Expired(AssertionError):
    """It did not happen in time."""


def until(what: Callable[[], T | None], seconds: float, otherwise: str, meanwhile: Callable[[], None] | None = None) -> T:
    """Ask `what` until it answers something true and return that. `meanwhile` fills the time between, or we doze 50 ms."""
    deadline = time.monotonic() + seconds
    while not (answer := what()):
        if time.monotonic() > deadline:
            raise Expired(f"{otherwise} within {seconds:g} s")
        if meanwhile is None:
            time.sleep(0.05)
        else:
            meanwhile()
    return answer
