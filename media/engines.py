"""Which engine runs here: the compiled one where it was built, else the portable one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TypeAlias

from media.api import EngineCapabilities, Interface, MediaEngine, MediaError, Tier

Build: TypeAlias = Callable[[asyncio.AbstractEventLoop], MediaEngine]
Probe: TypeAlias = Callable[[Mapping[str, Interface]], Mapping[str, Tier]]


class Wanted(StrEnum):
    AUTO = "auto"
    NATIVE = "native"
    PORTABLE = "portable"


@dataclass(frozen=True, slots=True)
class Choice:
    """`build` makes the engine; `passed_over` says why it is not a better one, empty when it is the best there is.

    `probe` says how the packets of interfaces would come and go, changing nothing.
    """

    capabilities: EngineCapabilities
    build: Build
    probe: Probe
    passed_over: str = ""


def choose(wanted: Wanted) -> Choice:
    """Raises MediaError when the compiled engine is asked for and not there."""
    problem = ""
    if wanted is not Wanted.PORTABLE:
        try:
            from media.native import engine as native
            from media.native import tiers
        except ImportError as error:
            problem = f"the compiled media engine is not there ({error})"
        else:
            return Choice(native.CAPABILITIES, native.NativeEngine, tiers.probe)
    if wanted is Wanted.NATIVE:
        raise MediaError(problem)
    from media import control, portable

    return Choice(portable.CAPABILITIES, portable.PortableEngine, partial(control.sockets_only, portable.CAPABILITIES), problem)
