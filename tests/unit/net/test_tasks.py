from __future__ import annotations

import asyncio

from sbc.net.tasks import Tasks
from tests.unit.net.bench import run


def test_failures_are_reported_and_the_rest_is_ended() -> None:
    async def scene() -> None:
        failures: list[BaseException] = []
        tasks = Tasks(asyncio.get_running_loop(), failures.append)
        ended = asyncio.Event()

        async def fails() -> None:
            raise KeyError("x")

        async def waits() -> None:
            try:
                await asyncio.sleep(60)
            finally:
                ended.set()

        tasks.start(fails())
        tasks.start(waits())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert [type(error) for error in failures] == [KeyError]
        assert len(tasks) == 1
        await tasks.close()
        assert ended.is_set()
        assert len(tasks) == 0

    run(scene())
