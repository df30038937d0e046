"""What waits for the window of a link that is too small for its calls: old media is dropped, SIP goes first."""

from __future__ import annotations

import asyncio
import struct
from functools import partial
from pathlib import Path

import pytest

from sbc.flow import Flow
from sbc.link.waiting import LATE
from sbc.link.window import SMALLEST, VoiceWindow
from tests.unit.net.bench import run
from tests.unit.net.linked import Stage, linked, up

pytestmark = pytest.mark.interpreted
STAMP = struct.Struct("!d164x")  # when it was said; a packet of G.711
WAY = 0.05  # seconds each way
CALLS = 50  # need three times what SMALLEST lets through at that distance


async def talk(stage: Stage, seconds: float) -> None:
    """The site's calls, and a request every 100 ms."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    for number in range(int(seconds / 0.004)):
        for call in range(CALLS // 5):
            stage.site.links.send_media("edge", 20_000 + 2 * call, STAMP.pack(loop.time()))
        stage.site.links.flush()
        if number % 25 == 0:
            stage.site.say(f"z9hG4bK{loop.time()}")
        await asyncio.sleep(max(0.0, begun + 0.004 * (number + 1) - loop.time()))


def test_media_that_is_late_is_dropped_and_sip_does_not_wait_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VoiceWindow, "congestion_window", property(lambda _: SMALLEST, lambda _, wanted: None), raising=False)

    async def scene() -> None:
        async with linked(tmp_path) as stage:
            loop = asyncio.get_running_loop()
            stage.shim.delay = WAY
            await up(stage)
            media: list[float] = []
            sip: list[float] = []
            stage.edge.on_media = lambda packet: media.append(loop.time() - STAMP.unpack(packet)[0])
            stage.edge.on_message = partial(note, sip)
            await talk(stage, 1.5)
            await asyncio.sleep(0.3)
            figures = stage.site.links.figures("edge")
            assert figures is not None
            assert figures.late > 500
            assert len(media) > 800
            assert max(media) < WAY + LATE + 0.04
            assert len(sip) == 15
            assert max(sip) < WAY + 0.06

    run(scene())


def note(into: list[float], head: bytes, flow: Flow) -> bool:
    """How long a request took, whose branch is the time when it was said."""
    into.append(asyncio.get_running_loop().time() - float(head.partition(b"z9hG4bK")[2].split(b"\r")[0]))
    return True
