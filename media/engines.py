"""Which engine runs here: the compiled one where it was built, else the portable one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from media.api import EngineCapabilities, MediaEngine, MediaError

Build: TypeAlias = Callable[[asyncio.AbstractEventLoop], MediaEngine]


class Wanted(StrEnum):
    AUTO = "auto"
    NATIVE = "native"
    PORTABLE = "portable"


@dataclass(frozen=True, slots=True)
class Choice:
    """`build` makes the engine; `passed_over` says why it is not a better one, empty when it is the best there is."""

    capabilities: EngineCapabilities
    build: Build
    passed_over: str = ""


def choose(wanted: Wanted) -> Choice:
    """Raises MediaError when the compiled engine is asked for and not there."""
    problem = ""
    if wanted is not Wanted.PORTABLE:
        try:
            from media.native import engine as native
        except ImportError as error:
            problem = f"the compiled media engine is not there ({error})"
        else:
            return Choice(native.CAPABILITIES, native.NativeEngine)
    if wanted is Wanted.NATIVE:
        raise MediaError(problem)
    from media import portable

    return Choice(portable.CAPABILITIES, portable.PortableEngine, problem)
