"""The local socket: who may open it, what it takes, and that it never harms whoever serves calls beside it."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import socket
import stat
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from media.api import Interface, Side, SideSpec
from media.fake import FakeEngine
from sbc.admin import client, wire
from sbc.admin.commands import Apply, Command, Confirm, Undo
from sbc.admin.server import CLIENTS, AdminServer
from sbc.clock import Now
from sbc.errors import ConfigError
from sbc.net.tasks import Tasks
from sbc.views import Answer, CallAsked, CallsAsked, CallsView, CallView, LegView, TrunksView
from tests.unit.media.packets import rtp
from tests.unit.net.bench import run, until

NOW = Now(100.0, 1_800_000_000.0)


def call(identifier: str = "c1", relay: str | None = "c1-1") -> CallView:
    a = LegView("office", "trunk", "outside", "TLS", "10.0.0.1:5061", "10.0.0.20:40123", "id-a", "PCMA", ("PCMA",), "sdes", "AEAD")
    b = LegView("carrier", "trunk", "inside", "UDP", "10.1.0.1:5060", "10.1.0.2:5060", "id-b", "PCMA", ("PCMA",), "", "")
    began = NOW.wall - 20
    return CallView(identifier, "connected", began, began + 5, "+4930", "+4940", "040", False, "out", a, b, relay, ({"target": "carrier"},))


class Stage:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.media = FakeEngine()
        self.asked: list[wire.Question] = []
        self.told: list[tuple[Command, str]] = []
        self.refusal = ""
        self.answer: Answer = CallsView((), 0, 0)

    def ask(self, question: wire.Question) -> Answer:
        self.asked.append(question)
        return self.answer

    async def act(self, command: Command, by: str) -> dict[str, Any]:
        self.told.append((command, by))
        if self.refusal:
            raise ConfigError(self.refusal)
        return {"running": "abc"}

    def play(self, scene: Callable[[AdminServer], Awaitable[object]]) -> None:
        async def whole() -> None:
            failed: list[BaseException] = []
            tasks = Tasks(asyncio.get_running_loop(), failed.append)
            server = AdminServer(self.path, self.ask, self.act, self.media, lambda: NOW, tasks.start)
            await server.open()
            try:
                await scene(server)
                await until(lambda: not len(tasks))
            finally:
                server.close()
                await tasks.close()
            assert failed == []

        run(whole())

    async def tell(self, question: dict[str, object]) -> dict[str, Any]:
        return await asyncio.to_thread(client.ask, self.path, question)

    async def raw(self, octets: bytes) -> bytes:
        with wire.short_path(self.path) as name:
            reader, writer = await asyncio.open_unix_connection(name)
        writer.write(octets)
        try:
            return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    folder = tmp_path / ("deep" * 30)  # longer than an address of a socket may be
    return Stage(folder / "sbc.sock")


def test_asked_and_answered_with_the_figures_of_the_media(stage: Stage) -> None:
    stage.media.provide({"outside": Interface("10.0.0.1", 20000, 20099), "inside": Interface("10.1.0.1", 30000, 30099)})
    stage.media.open("c1-1", "outside", "inside")
    side = SideSpec(("10.0.0.20", 40000), payload_types={8: 8}, clock_rates={8: 8000})
    stage.media.update("c1-1", side, side)
    for sequence in range(100):
        stage.media.receive("c1-1", Side.A, rtp(sequence), ("10.0.0.20", 40000))
    stage.answer = CallsView((call(), call("c2", None)), 2, 9)

    async def scene(server: AdminServer) -> None:
        answer = await stage.tell({"ask": "calls", "most": 10, "party": "office", "number": "+49"})
        assert (answer["version"], answer["matching"], answer["total"]) == (1, 2, 9)
        one, other = answer["calls"]
        assert (one["id"], one["a"]["party"], one["b"]["transport"], one["attempts"]) == ("c1", "office", "UDP", [{"target": "carrier"}])
        assert one["media"] == {
            "a": {"verdict": "ok", "mos_lq": 4.41, "mos_cq": None},
            "b": {"verdict": "one_way", "mos_lq": None, "mos_cq": None},
        }
        assert other["media"] is None
        stage.answer = call()
        found = (await stage.tell({"ask": "call", "id": "c1"}))["call"]
        assert (found["media"]["a"]["packets_received"], found["media"]["b"]["packets_sent"]) == (100, 100)
        assert found["media"]["a"]["suite"] == "AEAD"
        stage.answer = call(relay="closed meanwhile")
        assert (await stage.tell({"ask": "call", "id": "c1"}))["call"]["media"] is None

    stage.play(scene)
    assert stage.asked[:2] == [CallsAsked(10, "office", "+49"), CallAsked("c1")]


def test_a_call_that_is_not_there_is_said_in_words(stage: Stage) -> None:
    stage.answer = None

    async def scene(server: AdminServer) -> None:
        with pytest.raises(ConfigError, match="no such call"):
            await stage.tell({"ask": "call", "id": "x"})

    stage.play(scene)


@pytest.mark.parametrize(
    ("octets", "told"),
    [
        (b"\n", "not a line of JSON"),
        (b"[" * 4000 + b"\n", "not a line of JSON"),
        (b'{"version":2,"ask":"calls"}\n', "version 1"),
        (b'{"version":1,"ask":"secrets"}\n', "what can be asked: calls, call, registrations, limits, why, trunks"),
        (b'{"version":1,"ask":["calls"]}\n', "what can be asked"),
        (b'{"version":1,"ask":"calls","most":0}\n', "from 1 to 500"),
        (b'{"version":1,"ask":"calls","most":501}\n', "from 1 to 500"),
        (b'{"version":1,"ask":"calls","most":true}\n', "most is not what it should be"),
        (b'{"version":1,"ask":"call","id":"' + b"x" * 129 + b'"}\n', "id is too long"),
        (b'{"version":1,"ask":"call","of":"x"}\n', "unknown: of"),
    ],
)
def test_what_is_no_question_is_refused(stage: Stage, octets: bytes, told: str) -> None:
    async def scene(server: AdminServer) -> None:
        answer = json.loads(await stage.raw(octets))
        assert answer["version"] == 1
        assert told in answer["error"]

    stage.play(scene)
    assert stage.asked == []


def test_a_question_has_its_length_and_its_time(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "PATIENCE", 0.05)

    async def scene(server: AdminServer) -> None:
        assert await stage.raw(b"x" * 100_000) == b""
        assert await stage.raw(b'{"version":1') == b"", "half a question, and then nothing"

    stage.play(scene)


def test_more_clients_than_there_may_be_are_sent_away(stage: Stage) -> None:
    async def scene(server: AdminServer) -> None:
        with wire.short_path(stage.path) as name:
            clients = [await asyncio.open_unix_connection(name) for _ in range(CLIENTS + 1)]
        try:
            async with asyncio.timeout(wire.PATIENCE / 2):
                assert await clients[-1][0].read() == b"", "at once, not when its time is over"
        finally:
            for _, each in clients:
                each.close()
        await until(lambda: server._clients == 0)
        assert (await stage.tell({"ask": "calls"}))["total"] == 0

    stage.play(scene)


def test_only_our_own_user_may_ask(stage: Stage) -> None:
    async def scene(server: AdminServer) -> None:
        assert stat.S_IMODE(stage.path.stat().st_mode) == 0o600

    stage.play(scene)
    assert not stage.path.exists()


def test_what_a_killed_process_left_is_replaced_and_a_living_one_is_not(stage: Stage) -> None:
    stage.path.parent.mkdir()
    with wire.short_path(stage.path) as name, socket.socket(socket.AF_UNIX) as dead:
        dead.bind(name)

    async def scene(server: AdminServer) -> None:
        with pytest.raises(ConfigError, match="another sbc answers at"):
            await asyncio.to_thread(AdminServer, stage.path, stage.ask, stage.act, stage.media, lambda: NOW, lambda task: None)
        assert (await stage.tell({"ask": "trunks"}))["total"] == 0

    stage.answer = TrunksView((), 0, 0)
    stage.play(scene)


def test_a_file_in_its_place_is_left_alone(stage: Stage) -> None:
    stage.path.parent.mkdir()
    stage.path.write_text("precious")
    with pytest.raises(ConfigError, match="something else"):
        AdminServer(stage.path, stage.ask, stage.act, stage.media, lambda: NOW, lambda task: None)
    assert stage.path.read_text() == "precious"


def test_nobody_there_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(client.NotRunning, match=r"no sbc answers at .*sbc\.sock: start one with `sbc run`, or name"):
        client.ask(tmp_path / "sbc.sock", {"ask": "calls"})
    with pytest.raises(client.NotRunning):
        client.ask(tmp_path / "nowhere" / "sbc.sock", {"ask": "calls"})


def test_an_answer_that_is_none_is_one_line(tmp_path: Path) -> None:
    for said, told in ((b"", "no whole answer"), (b'{"version":9}\n', "another version"), (b"7\n", "another version")):
        path = tmp_path / "sbc.sock"
        with wire.short_path(path) as name, socket.socket(socket.AF_UNIX) as server:
            server.bind(name)
            server.listen()
            answering = threading.Thread(target=answer_once, args=(server, said))
            answering.start()
            with pytest.raises(ConfigError, match=told):
                client.ask(path, {"ask": "calls"})
            answering.join()
        path.unlink()


def answer_once(server: socket.socket, said: bytes) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(4096)
        connection.sendall(said)


def test_commands_are_done_by_whoever_tells_them(stage: Stage) -> None:
    me = pwd.getpwuid(os.getuid()).pw_name

    async def scene(server: AdminServer) -> None:
        assert (await stage.tell({"do": "apply", "running": "abc", "saved": "def", "confirm": 300}))["running"] == "abc"
        await stage.tell({"do": "undo", "to": 12, "sudo": "anna"})
        await stage.tell({"do": "confirm", "sudo": "an\nna"})
        assert stage.told == [(Apply("abc", "def", 300), me), (Undo(to=12), f"{me} (anna)"), (Confirm(), me)]
        stage.refusal = "it is another one\nby now"
        with pytest.raises(ConfigError, match="it is another one\nby now"):
            await stage.tell({"do": "apply"})
        assert stage.asked == []

    stage.play(scene)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"do": "reboot"}, "what can be done: apply, undo, confirm"),
        ({"do": ["apply"]}, "what can be done"),
        ({"do": "apply", "now": True}, "unknown: now"),
        ({"do": "apply", "running": 1}, "running is not what it should be"),
        ({"do": "apply", "confirm": 5}, "confirm is not"),
        ({"do": "apply", "confirm": "300"}, "confirm is not"),
        ({"do": "apply", "confirm": 1e9}, "confirm is not"),
        ({"do": "apply", "answers": 101}, "answers is not"),
        ({"do": "undo", "to": -1}, "to is not"),
        ({"do": "undo", "to": True}, "to is not"),
    ],
)
def test_what_is_no_command_is_refused(stage: Stage, told: dict[str, object], why: str) -> None:
    async def scene(server: AdminServer) -> None:
        with pytest.raises(ConfigError, match=why):
            await stage.tell(told)
        assert stage.told == []

    stage.play(scene)
