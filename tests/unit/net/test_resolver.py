from __future__ import annotations

import asyncio
import socket
from typing import Any

from sbc.inputs import Resolved
from sbc.net import resolver
from sbc.net.resolver import Resolver
from sbc.net.tasks import Tasks
from tests.unit.net.bench import run, until


class Loop:
    """A loop whose getaddrinfo answers as told."""

    def __init__(self, answer: list[str] | Exception | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._answer = answer
        self.call_soon = self._loop.call_soon
        self.create_task = self._loop.create_task

    async def getaddrinfo(self, host: str, port: int, **options: object) -> list[tuple[Any, ...]]:
        if self._answer is None:
            await asyncio.sleep(60)
        if isinstance(self._answer, Exception):
            raise self._answer
        assert isinstance(self._answer, list)
        return [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", (address, port)) for address in self._answer]


async def ask(answer: list[str] | Exception | None, count: int = 1, budget: float = 0.05) -> list[Resolved]:
    answers: list[Resolved] = []
    loop: Any = Loop(answer)
    tasks = Tasks(loop, lambda error: None)
    asked = Resolver(loop, tasks, answers.append, budget)
    for number in range(count):
        asked.ask(f"q{number}", "host.example", 5060)
    assert answers == []  # never from within the question
    await until(lambda: len(answers) == count)
    await until(lambda: len(tasks) == 0)
    return answers


def test_addresses_in_order_without_repetitions() -> None:
    found = run(ask(["192.0.2.2", "192.0.2.1", "192.0.2.2"]))
    assert found == [Resolved("q0", (("192.0.2.2", 5060), ("192.0.2.1", 5060)))]


def test_no_answer_is_an_empty_one() -> None:
    nothing: list[str] | Exception | None
    for nothing in ([], socket.gaierror("no such name"), UnicodeError("label too long"), None):
        assert run(ask(nothing)) == [Resolved("q0", ())]


def test_answers_are_bounded() -> None:
    (found,) = run(ask([f"10.0.{n // 256}.{n % 256}" for n in range(1000)]))
    assert len(found.addresses) == resolver.ADDRESSES


def test_questions_at_once_are_bounded() -> None:
    found = run(ask(["192.0.2.1"], resolver.QUESTIONS + 10))
    assert sum(not each.addresses for each in found) == 10


def test_the_real_thing() -> None:
    async def scene() -> None:
        answers: list[Resolved] = []
        loop = asyncio.get_running_loop()
        Resolver(loop, Tasks(loop, lambda error: None), answers.append).ask("q", "127.0.0.1", 5060)
        await until(lambda: answers)
        assert answers == [Resolved("q", (("127.0.0.1", 5060),))]

    run(scene())
