from __future__ import annotations

import asyncio
from array import array

import pytest

from media.api import Keys, Suite
from sbc.probe.stream import SUITES, Stream, new_keys
from sbc.probe.tones import FRAME, Law, loudest, silence, tone
from tests.unit.probe.until import until

HOST = "127.0.0.1"


class _Ear:
    def __init__(self) -> None:
        self.heard: list[float | None] = []
        self.enough = asyncio.Event()

    def listen(self, samples: array[int], now: float) -> None:
        self.heard.append(loudest(samples, (600, 1000)))
        if len(self.heard) == 3:
            self.enough.set()


async def _pair(keys: Keys | None, receive_keys: Keys | None) -> tuple[Stream, Stream, _Ear]:
    ear = _Ear()
    sender = await Stream.open(HOST, lambda: tone(1000), _Ear().listen)
    receiver = await Stream.open(HOST, lambda: silence(FRAME), ear.listen)
    receiver.start(sender.local, Law.PCMU, None, receive_keys)
    sender.start(receiver.local, Law.PCMU, keys, None)
    return sender, receiver, ear


@pytest.mark.parametrize("suite", [None, *sorted(SUITES)])
def test_a_tone_arrives(suite: Suite | None) -> None:
    async def run() -> None:
        keys = new_keys(suite) if suite else None
        sender, receiver, ear = await _pair(keys, keys)
        async with asyncio.timeout(5):
            await ear.enough.wait()
        sender.close()
        receiver.close()
        assert set(ear.heard) == {1000}
        assert receiver.reception.lost == receiver.rejected == 0
        assert sender.local[1] % 2 == 0

    asyncio.run(run())


def test_packets_under_another_key_are_rejected_and_never_heard() -> None:
    async def run() -> None:
        suite = Suite.AES_CM_128_HMAC_SHA1_80
        sender, receiver, ear = await _pair(new_keys(suite), new_keys(suite))
        await until(lambda: receiver.rejected >= 3)
        sender.close()
        receiver.close()
        assert ear.heard == []

    asyncio.run(run())


def test_a_paused_stream_sends_nothing_and_goes_on_where_it_was() -> None:
    async def run() -> None:
        sender, receiver, ear = await _pair(None, None)
        async with asyncio.timeout(5):
            await ear.enough.wait()
        sender.pause()
        sent = sender.sent
        await asyncio.sleep(0.06)
        assert sender.sent == sent
        sender.start(receiver.local, Law.PCMU, None, None)
        await until(lambda: receiver.reception.received >= sent + 2)
        sender.close()
        receiver.close()
        assert receiver.reception.lost == 0

    asyncio.run(run())
