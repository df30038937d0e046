"""What the kernel is told of many sources, and what becomes of our table when nft fails: nobody is dropped by what nobody looks after."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from sbc.shield import kernel, ruleset
from sbc.shield.kernel import Kernel, Unavailable
from sbc.shield.rules import ShieldRules
from sbc.shield.shield import MAX_KNOWN

ATTACKER = "198.51.100.66"
DOORS = [("udp", "192.0.2.1", 5060)]


class Filter:
    """nft as it would be: `sets` is what is in ours. `fails_at`: the number of the run that comes to nothing."""

    def __init__(self, fails_at: int = 0) -> None:
        self.runs: list[list[Any]] = []
        self.sets: dict[str, dict[str, int]] = {}
        self.said: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []
        self._fails_at = fails_at

    def start(self, run: Coroutine[Any, Any, None]) -> None:
        self.tasks.append(asyncio.get_running_loop().create_task(run))

    def nft(self, arguments: Sequence[str], text: Callable[[], str]) -> bytes:
        told = text()
        if not told:
            return b"{}"
        self.runs.append(json.loads(told)["nftables"])
        if len(self.runs) == self._fails_at:
            raise Unavailable("nft did not come to an end")
        for command in self.runs[-1]:
            self._take(command)
        return b""

    def _take(self, command: dict[str, Any]) -> None:
        ((verb, what),) = command.items()
        if verb == "delete" and "table" in what:
            self.sets.clear()
        for each in what.get("element", {}).get("elem", ()):
            elements = self.sets.setdefault(what["element"]["name"], {})
            if verb == "delete":
                del elements[each]
            elif "elem" in each:
                elements.setdefault(each["elem"]["val"], each["elem"]["timeout"])


async def settle(it: Filter) -> None:
    """All that is waiting is done; looks at the counters go on."""
    await asyncio.gather(*[task for task in it.tasks if "_catch_up" in repr(task)])


@pytest.fixture
def nft(monkeypatch: pytest.MonkeyPatch) -> Filter:
    return install(monkeypatch, Filter())


def install(monkeypatch: pytest.MonkeyPatch, it: Filter) -> Filter:
    monkeypatch.setattr(kernel, "_run_nft", it.nft)
    monkeypatch.setattr(kernel, "GATHER", 0.0)
    return it


def sources(count: int) -> list[str]:
    return [f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}" for number in range(count)]


def test_all_who_may_be_known_are_so_after_a_new_policy(nft: Filter) -> None:
    async def scene() -> None:
        it = Kernel("sbc_1", nft.start, nft.said.append)
        for _ in range(2):  # a second policy, before the kernel has heard all of the first
            it.apply(DOORS, ShieldRules())
            it.ban(ATTACKER, 300.0)
            for source in sources(MAX_KNOWN):
                it.know(source)
            await asyncio.sleep(0)
        it.unban("198.51.100.67")
        await settle(nft)

    asyncio.run(scene())
    assert len(nft.sets["known4"]) == MAX_KNOWN
    assert nft.sets["banned4"] == {ATTACKER: 300}
    most = max(len(command["add"]["element"]["elem"]) for run in nft.runs for command in run if "element" in command.get("add", {}))
    assert most <= kernel.MOST


def test_what_is_wanted_last_of_a_source_counts(nft: Filter) -> None:
    async def scene() -> None:
        it = Kernel("sbc_1", nft.start, nft.said.append)
        it.apply(DOORS, ShieldRules())
        it.ban(ATTACKER, 300.0)
        it.unban(ATTACKER)
        it.unban("198.51.100.67")
        it.ban("198.51.100.67", 60.0)
        it.ban("198.51.100.67", 600.0)
        await settle(nft)
        assert nft.sets["banned4"] == {"198.51.100.67": 600}
        it.unban("198.51.100.67")
        await settle(nft)

    asyncio.run(scene())
    assert nft.sets["banned4"] == {}


def test_more_than_fit_wait_for_nothing_but_a_pardon_is_heard(nft: Filter) -> None:
    async def scene() -> None:
        it = Kernel("sbc_1", nft.start, nft.said.append)
        it.apply(DOORS, ShieldRules())
        it.ban(ATTACKER, 300.0)
        await settle(nft)
        for source in sources(kernel.WAITING + 10):
            it.know(source)
        it.unban(ATTACKER)
        await settle(nft)

    asyncio.run(scene())
    assert len(nft.sets["known4"]) == kernel.WAITING
    assert nft.sets["banned4"] == {}


def test_when_it_fails_the_table_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    nft = install(monkeypatch, Filter(fails_at=2))

    async def scene() -> None:
        it = Kernel("sbc_1", nft.start, nft.said.append)
        it.apply(DOORS, ShieldRules())
        await settle(nft)
        it.know(ATTACKER)
        await settle(nft)
        assert not it.works
        assert nft.runs[2:] == [ruleset.removal("sbc_1")]

    asyncio.run(scene())
    assert nft.said == ["", "nft did not come to an end"]
