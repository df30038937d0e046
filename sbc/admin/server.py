"""Answers whoever may open our socket: the user we run as, and nobody else."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from media.api import LinkStats, MediaEngine, MediaError, RelayStats
from sbc.admin import commands, wire
from sbc.call.record import Times, heard_json, judged_json
from sbc.clock import Now
from sbc.errors import ConfigError
from sbc.shield.views import Answer as ShieldAnswer
from sbc.views import Answer, CallsView, CallView, TrunksView

CLIENTS = 8  # at once: a few people who watch, and a script
AT_ONCE = 50  # rows until others get their turn: 2 ms
FIGURES = ("verdict", "mos_lq", "mos_cq")  # of a call in a list

Ask = Callable[[wire.Question], Answer | ShieldAnswer]
Act = Callable[[commands.Command, str], Awaitable[dict[str, Any]]]
Links = Callable[[str], LinkStats | None]  # how the link to that site is
Start = Callable[[Any], object]  # of a coroutine, with an owner


def unlinked(site: str) -> LinkStats | None:
    """There are no links."""
    return None


class AdminServer:
    """`ask` is the core and the shield, `act` does what a user of that name wants, `start` runs a coroutine for as long as we live,
    `now` is the clock.
    """

    def __init__(
        self, path: Path, ask: Ask, act: Act, media: MediaEngine, now: Callable[[], Now], start: Start, links: Links = unlinked
    ) -> None:
        """Raises ConfigError: another process answers there, or the socket cannot be made."""
        self._links = links
        self._path = path
        self._ask = ask
        self._act = act
        self._media = media
        self._now = now
        self._start = start
        self._clients = 0
        self._server: asyncio.Server | None = None
        self._socket = _listening(path)
        self._made = os.stat(path)

    async def open(self) -> None:
        self._server = await asyncio.start_unix_server(self._accept, sock=self._socket, limit=wire.LONGEST_QUESTION)

    def close(self) -> None:
        """Nobody is let in any more; what is under way ends with the tasks."""
        if self._server is not None:
            self._server.close()
        self._socket.close()
        with suppress(OSError):
            there = os.stat(self._path)
            if (there.st_dev, there.st_ino) == (self._made.st_dev, self._made.st_ino):
                self._path.unlink()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._clients >= CLIENTS:
            writer.close()
            return
        self._clients += 1
        self._start(self._serve(reader, writer))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(wire.PATIENCE):
                line = await reader.readline()
            answer = wire.line_of(await self._answer(line, writer.get_extra_info("socket"))) if line else b""
            writer.write(answer)
            async with asyncio.timeout(wire.PATIENCE):
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (TimeoutError, OSError, ValueError):  # ValueError: a line that is too long
            writer.transport.abort()
        finally:
            self._clients -= 1

    async def _answer(self, line: bytes, link: socket.socket | None) -> dict[str, Any]:
        try:
            asked = wire.asked_of(line)
            if "do" in asked:
                return await self._act(commands.command_of(asked), commands.who(link, asked))
            question = wire.question_of(asked)
        except (wire.Refused, ConfigError) as error:
            return {"error": str(error)}
        try:
            found = self._ask(question)
        except ValueError as error:
            return {"error": str(error)}
        if found is None:
            return {"error": "no such call: it is over, and its record is among the call records, or it never was"}
        if isinstance(found, CallView):
            return {"call": wire.plain(found) | {"media": self._figures(found)}}
        if isinstance(found, CallsView):
            return {"calls": await self._rows(found), "matching": found.matching, "total": found.total}
        told: dict[str, Any] = wire.plain(found)
        if isinstance(found, TrunksView):
            for row in told["trunks"]:
                row["link"] = wire.plain(self._links(row["site"])) if row["site"] else None
        return told

    async def _rows(self, found: CallsView) -> list[dict[str, Any]]:
        rows = []
        for index, call in enumerate(found.calls):
            if index % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)
            figures = self._figures(call)
            media = figures and {side: {name: each[name] for name in FIGURES} for side, each in figures.items()}
            rows.append(wire.plain(call) | {"media": media})
        return rows

    def _figures(self, call: CallView) -> dict[str, dict[str, object]] | None:
        """What was heard from each side so far, and what is to be thought of it; None: there is no relay."""
        try:
            stats = self._media.stats(call.relay) if call.relay is not None else None
        except MediaError:  # it has just been closed
            stats = None
        return None if stats is None else _heard(call, stats, self._now())


def _heard(call: CallView, stats: RelayStats, now: Now) -> dict[str, dict[str, object]]:
    times = Times(call.began, answered=call.answered, ended=now.wall)
    sides = (("a", call.a, stats.a, stats.b), ("b", call.b, stats.b, stats.a))
    figures: dict[str, dict[str, object]] = {}
    for name, leg, side, far in sides:
        suite = side.suite.value if side.suite is not None else leg.suite if leg is not None else ""
        figures[name] = heard_json(side) | judged_json(side, far, leg.speech if leg is not None else "", times) | {"suite": suite}
    return figures


def _listening(path: Path) -> socket.socket:
    """A socket that only its owner can open: nobody can connect before `listen`, and then its mode is what it shall be."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove_stale(path)
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with wire.short_path(path) as name:
                made.bind(name)
                os.chmod(name, 0o600)
            made.listen(CLIENTS)
        except BaseException:
            made.close()
            raise
    except OSError as error:
        raise ConfigError(f"socket for the live views: cannot use {path}: {error.strerror}; name another with --socket") from error
    return made


def _remove_stale(path: Path) -> None:
    """What a process that was killed has left behind."""
    try:
        kind = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise ConfigError(f"socket for the live views: {path} is something else; remove it, or name another place with --socket")
    if wire.is_answered(path):
        raise ConfigError(f"socket for the live views: another sbc answers at {path}; stop it, or name another place with --socket")
    path.unlink()
