"""What becomes of our table when nft fails: nobody is dropped by what nobody looks after any more."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Sequence
from typing import Any

import pytest

from sbc.shield import kernel, ruleset
from sbc.shield.kernel import Kernel, Unavailable
from sbc.shield.rules import ShieldRules

ATTACKER = "198.51.100.66"


def test_when_it_fails_the_table_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[list[Any]] = []
    said: list[str] = []

    def nft(arguments: Sequence[str], text: str) -> bytes:
        if not text:
            return b"{}"
        runs.append(json.loads(text)["nftables"])
        if len(runs) == 2:
            raise Unavailable("nft did not come to an end")
        return b""

    monkeypatch.setattr(kernel, "_run_nft", nft)
    monkeypatch.setattr(kernel, "GATHER", 0.0)

    async def scene() -> None:
        tasks: list[asyncio.Task[None]] = []

        def start(run: Coroutine[Any, Any, None]) -> None:
            tasks.append(asyncio.get_running_loop().create_task(run))

        it = Kernel("sbc_1", start, said.append)
        it.apply([("udp", "192.0.2.1", 5060)], ShieldRules())
        await asyncio.gather(*tasks)
        it.know(ATTACKER)
        await asyncio.gather(*tasks)
        assert not it.works
        assert runs[2:] == [ruleset.removal("sbc_1")]

    asyncio.run(scene())
    assert said == ["", "nft did not come to an end"]
