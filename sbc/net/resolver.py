"""Addresses of a host name: A and AAAA through the system's resolver."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from sbc.flow import Address
from sbc.inputs import Resolved
from sbc.net.tasks import Tasks

BUDGET = 2.0  # seconds for one question; a caller is waiting
ADDRESSES = 32  # of one answer; more is not a host but an attack on whoever tries them all
QUESTIONS = 256  # at once: getaddrinfo holds a thread each, and they queue


class Resolver:
    """`answer` gets one Resolved per question: an empty one when there is none, or not in time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, tasks: Tasks, answer: Callable[[Resolved], None], budget: float = BUDGET) -> None:
        self._loop = loop
        self._tasks = tasks
        self._answer = answer
        self._budget = budget
        self._asked = 0

    def ask(self, question: str, host: str, port: int) -> None:
        if self._asked >= QUESTIONS:
            self._loop.call_soon(self._answer, Resolved(question, ()))
            return
        self._asked += 1
        self._tasks.start(self._resolve(question, host, port))

    async def _resolve(self, question: str, host: str, port: int) -> None:
        addresses: tuple[Address, ...] = ()
        try:
            async with asyncio.timeout(self._budget):
                found = await self._loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
            # The order is RFC 6724's (RFC 7984 s4); a dict keeps it and drops repetitions.
            addresses = tuple(dict.fromkeys((str(address[0]), int(address[1])) for *_, address in found))[:ADDRESSES]
        except (OSError, UnicodeError, TimeoutError):
            pass
        finally:
            self._asked -= 1
        self._answer(Resolved(question, addresses))
