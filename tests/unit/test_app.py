from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from media.control import sockets_only
from media.engines import Choice
from media.fake import FakeEngine
from sbc import app, companion, devcerts, provision, replay
from sbc.app import App, Settings
from sbc.effects import Effect, Resolve, Send, WriteRecord
from sbc.errors import ConfigError
from sbc.flow import Flow
from sbc.inputs import Begun, DrainBegun, DrainEnded, Input, PolicyChanged, RequestIn, Resolved
from sbc.log import EventLog
from sbc.net import network
from sbc.net.links import Links
from sbc.net.resolver import Resolver
from sbc.recording.replay import first_difference, play
from sbc.sip.locate import Question, Wanted
from tests.unit.net.bench import LOCALHOST, ScriptedCore, free_port, message, run, until
from tests.unit.net.nameserver import NameServer, serving

POLICY = """\
version: 1
realms:
  outside:
    signalling: [udp://{address}:{port}]
    relay: {{address: {relay}, ports: 21000-21099}}
trunks:
  peer: {{realm: outside, accept_from: [127.0.0.9/32], peer: "sip:127.0.0.9", media: plain}}
routes:
  - {{name: loop, when: {{trunk: peer, to: "*"}}, send_to: [peer]}}
media:
  plain: {{srtp: off, codecs: [PCMA]}}
emergency: {{outside: none}}
"""


@dataclass
class Stage:
    folder: Path
    core: ScriptedCore = field(default_factory=ScriptedCore)
    said: list[str] = field(default_factory=list)
    logged: list[str] = field(default_factory=list)
    port: int = field(default_factory=free_port)
    drain: float = 1.0
    companion: tuple[str, ...] = ()
    media: FakeEngine = field(default_factory=FakeEngine)

    def __post_init__(self) -> None:
        self.policies = self.folder / "policies"
        self.policies.mkdir()
        self.records = self.folder / "records.jsonl"
        self.write()

    def write(self, text: str = POLICY, address: str = LOCALHOST, relay: str = LOCALHOST) -> None:
        (self.policies / "sbc.yaml").write_text(text.format(port=self.port, address=address, relay=relay))

    def app(self) -> App:
        settings = Settings(self.policies, self.records, self.drain, self.companion)
        log = EventLog(self.logged.append)
        return App(settings, self.said.append, log=log, media=self.choice(), build_core=lambda *_: self.core)

    def choice(self) -> Choice:
        return Choice(self.media.capabilities, lambda loop: self.media, partial(sockets_only, self.media.capabilities), "as told")

    def play(self, scene: Callable[[App], object]) -> None:
        """Start, play the scene (a coroutine function), stop, and look that nothing is left."""

        async def whole() -> None:
            it = self.app()
            serving = asyncio.get_running_loop().create_task(it.run())
            try:
                await until(lambda: self.said or serving.done())
                if not serving.done():
                    await scene(it)  # type: ignore[misc]
                    it.stop()
                await serving
            finally:
                serving.cancel()

        run(whole())
        assert can_bind(self.port)


def can_bind(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((LOCALHOST, port))
        except OSError:
            return False
        return True


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_from_datagram_to_answer_and_record(stage: Stage) -> None:
    def script(event: Input) -> list[Effect]:
        return [Send(b"answer", event.flow), WriteRecord({"call": 1})] if isinstance(event, RequestIn) else []

    stage.core.script = script

    async def scene(it: App) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
            phone.setblocking(False)
            phone.sendto(message(), (LOCALHOST, stage.port))
            await until(lambda: it.stats.datagrams_out)
            assert phone.recv(100) == b"answer"

    stage.play(scene)
    assert json.loads(stage.records.read_text()) == {"call": 1}
    assert f"outside      UDP {LOCALHOST}:{stage.port}" in stage.said[0]
    assert [type(event) for event in stage.core.inputs] == [Begun, RequestIn, DrainBegun, DrainEnded]


def test_the_name_servers_of_the_policy_are_asked_and_those_of_the_next_one(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setattr(app, "Resolver", partial(Resolver, port=port))
    wanted = Wanted("gw.example", 5060, "UDP", False, (("UDP", LOCALHOST),))
    stage.core.script = lambda event: [Resolve("q", "outside", wanted)] if isinstance(event, RequestIn) else []

    def ask(phone: socket.socket) -> None:
        phone.sendto(message(), (LOCALHOST, stage.port))

    def found() -> list[object]:
        return [
            record for event in stage.core.inputs if isinstance(event, Resolved) for record in event.answers[Question("A", "gw.example")]
        ]

    async def scene(it: App) -> None:
        one, two = NameServer(), NameServer()
        one.knows("gw.example A 192.0.2.1")
        two.knows("gw.example A 192.0.2.2")
        async with serving(one, "127.0.0.7", port), serving(two, "127.0.0.8", port):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
                ask(phone)
                await until(lambda: found() == ["192.0.2.1"])
                stage.write(POLICY.replace("  outside:\n", "  outside:\n    name_servers: [127.0.0.8]\n"))
                it.reload()
                await until(lambda: any(isinstance(event, PolicyChanged) for event in stage.core.inputs))
                ask(phone)
                await until(lambda: found() == ["192.0.2.1", "192.0.2.2"])

    stage.write(POLICY.replace("  outside:\n", "  outside:\n    name_servers: [127.0.0.7]\n"))
    stage.play(scene)


def test_drain_waits_for_calls(stage: Stage) -> None:
    stage.core.calls = 1
    stage.drain = 30.0

    async def scene(it: App) -> None:
        it.stop()
        await until(lambda: stage.core.inputs == [Begun(), DrainBegun()])
        await asyncio.sleep(0.05)
        assert stage.core.inputs == [Begun(), DrainBegun()]
        stage.core.calls = 0
        await until(lambda: stage.core.inputs[-1] == DrainEnded())

    stage.play(scene)


def test_drain_waits_for_goodbyes(stage: Stage) -> None:
    """Or carriers would go on calling for as long as we are registered there."""
    stage.core.leaving = True
    stage.drain = 30.0

    async def scene(it: App) -> None:
        it.stop()
        await until(lambda: DrainBegun() in stage.core.inputs)
        await asyncio.sleep(0.05)
        assert DrainEnded() not in stage.core.inputs
        stage.core.leaving = False
        await until(lambda: stage.core.inputs[-1] == DrainEnded())

    stage.play(scene)


def test_drain_ends_in_time_with_calls_released(stage: Stage) -> None:
    stage.core.calls = 1
    stage.drain = 0.1
    begun = time.monotonic()

    async def scene(it: App) -> None: ...

    stage.play(scene)
    assert 0.1 <= time.monotonic() - begun < 2.0
    assert stage.core.inputs == [Begun(), DrainBegun(), DrainEnded()]
    assert any("drain_ended calls=1" in line for line in stage.logged)


def test_a_second_signal_ends_at_once(stage: Stage) -> None:
    stage.core.calls = 1
    stage.drain = 600.0

    async def scene(it: App) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await until(lambda: stage.core.inputs == [Begun(), DrainBegun()])
        os.kill(os.getpid(), signal.SIGINT)
        await until(lambda: stage.core.inputs[-1] == DrainEnded())

    stage.play(scene)


def test_sighup_takes_the_policy_and_the_record_file_anew(stage: Stage) -> None:
    async def scene(it: App) -> None:
        old, stage.port = stage.port, free_port()
        stage.write()
        stage.records.rename(stage.folder / "rotated")
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: len(stage.core.inputs) > 1)
        _, event = stage.core.inputs
        assert isinstance(event, PolicyChanged)
        assert event.snapshot.realms["outside"].listeners[0].port == stage.port
        assert not can_bind(old)  # for calls that began there
        assert not can_bind(stage.port)
        assert stage.records.exists()
        assert any("policy_changed" in line for line in stage.logged)

    stage.play(scene)


def test_a_sighup_before_we_serve_is_taken_when_we_do(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    old = stage.port

    def links(*args: Any) -> Links:
        """When the policy has been read, and before we listen."""
        stage.port = free_port()
        stage.write()
        os.kill(os.getpid(), signal.SIGHUP)
        return Links(*args)

    monkeypatch.setattr(app, "Links", links)

    async def scene(it: App) -> None:
        await until(lambda: any(isinstance(event, PolicyChanged) for event in stage.core.inputs))
        assert not can_bind(stage.port)

    stage.play(scene)
    assert can_bind(old)


def test_what_a_policy_leaves_behind_is_closed_when_no_call_needs_it(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "LINGER", 0.0)
    monkeypatch.setattr(provision, "CLEARING", 0.01)
    peer = Flow("outside", "TCP", (LOCALHOST, 5060), (LOCALHOST, 40000), 1)
    closed: list[Flow] = []

    def close(_: network.Network, flow: Flow) -> None:
        closed.append(flow)
        stage.core.stray.clear()

    monkeypatch.setattr(network.Network, "close_flow", close)

    async def scene(it: App) -> None:
        old, stage.port = stage.port, free_port()
        stage.core.in_use.add(Flow("outside", "UDP", (LOCALHOST, old), (LOCALHOST, 40000)))
        stage.core.going.append(peer)
        stage.write()
        it.reload()
        await until(lambda: len(stage.core.inputs) > 1)
        await asyncio.sleep(0.05)
        assert not can_bind(old)
        stage.core.in_use.clear()
        await until(lambda: can_bind(old))
        assert closed == []
        stage.core.stray.append(stage.core.going.pop())
        await until(lambda: closed == [peer])

    stage.play(scene)


def test_how_media_goes_is_logged_when_it_changes(stage: Stage) -> None:
    async def scene(it: App) -> None:
        stage.write(POLICY.replace("21099}}", "21099, packets: xdp}}"))
        for _ in range(2):
            it.reload()
            await until(lambda: any("policy_changed" in line for line in stage.logged))

    stage.play(scene)
    first, second = [line for line in stage.logged if "media_packets" in line]
    assert "realm=outside by=memory" in first
    assert "warning" in second
    assert "XDP is for the compiled media engine" in second


def test_a_wrong_new_policy_is_logged_and_changes_nothing(stage: Stage) -> None:
    async def scene(it: App) -> None:
        stage.write(POLICY.replace("routes:", "rootes:"))
        it.reload()
        await until(lambda: any("policy_rejected" in line and "rootes" in line for line in stage.logged))
        stage.write(address="192.0.2.1")
        it.reload()
        await until(lambda: any("policy_rejected" in line and "192.0.2.1" in line for line in stage.logged))
        assert stage.core.inputs == [Begun()]
        assert not can_bind(stage.port)

    stage.play(scene)


def test_sigusr1_logs_what_is_alive(stage: Stage) -> None:
    stage.core.calls = 2

    async def scene(it: App) -> None:
        def status() -> dict[str, float]:
            lines = [line.split() for line in stage.logged if " status " in line]
            return {name: float(value) for name, _, value in (word.partition("=") for word in lines[-1][3:])} if lines else {}

        os.kill(os.getpid(), signal.SIGUSR1)
        await until(status)
        first = status()
        assert list(first) == [*app.TABLES, "connections", "tasks", "files", "memory_mib"]
        assert (first["calls"], first["dialogs"]) == (2, 0)
        assert first["memory_mib"] > 5
        stage.core.calls = 0
        with socket.socket(), socket.socket():
            it.report()
            assert status()["files"] == first["files"] + 2
        assert status()["calls"] == 0

    stage.play(scene)


def test_TLS_09_a_certificate_that_expires_is_in_the_log_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devcerts, "VALID_DAYS", 5)
    devcerts.make(stage.folder / "certs", users=())
    stage.write(POLICY.replace("udp://{address}:{port}]", "udp://{address}:{port}, tls://{address}:{port}]\n    certificate: edge"))

    async def scene(it: App) -> None:
        it.reload()
        await until(lambda: any("policy_changed" in line for line in stage.logged))

    stage.play(scene)
    (line,) = [line for line in stage.logged if "certificate_expires" in line]
    assert "realm outside: certificate" in line
    assert "expires in 4 days" in line


def test_errors_at_start_are_one_line_and_leave_nothing_open(stage: Stage) -> None:
    async def scene(it: App) -> None:
        raise AssertionError("it started")

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((LOCALHOST, stage.port))
        with pytest.raises(ConfigError, match="another program uses it"):
            stage.play(scene)
    stage.write(relay="192.0.2.1")
    with pytest.raises(ConfigError, match=r"realm outside: relay 192\.0\.2\.1"):
        stage.play(scene)
    assert can_bind(stage.port)
    stage.records = stage.folder
    stage.write()
    with pytest.raises(ConfigError, match="cannot write"):
        stage.play(scene)
    stage.policies = stage.folder / "nowhere"
    with pytest.raises(ConfigError, match="nowhere"):
        stage.play(scene)


def test_the_companion_lives_as_long_as_we_do(stage: Stage) -> None:
    mark = stage.folder / "pid"
    stage.companion = program(f"pathlib.Path({str(mark)!r}).write_text(str(os.getpid())); os.close(int(sys.argv[2])); time.sleep(60)")

    async def scene(it: App) -> None:
        os.kill(int(mark.read_text()), 0)

    stage.play(scene)
    with pytest.raises(ProcessLookupError):
        os.kill(int(mark.read_text()), 0)
    assert not any("companion_ended" in line for line in stage.logged)


def test_nobody_is_let_in_before_the_companion_is_ready(stage: Stage) -> None:
    mark = stage.folder / "port"
    look = (
        f"probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); time.sleep(0.2); probe.bind(({LOCALHOST!r}, {stage.port})); "
        f"probe.close(); pathlib.Path({str(mark)!r}).write_text('free'); os.close(int(sys.argv[2])); time.sleep(60)"
    )
    stage.companion = program(look)

    async def scene(it: App) -> None:
        assert mark.read_text() == "free"

    stage.play(scene)


def test_a_companion_that_never_says_so_is_not_waited_for(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(companion, "PATIENCE", 0.1)
    stage.companion = program("time.sleep(60)")

    async def scene(it: App) -> None:
        assert "records in" in stage.said[0]

    stage.play(scene)


def test_a_companion_that_ends_by_itself_is_mentioned(stage: Stage) -> None:
    stage.companion = program("raise SystemExit(3)")

    async def scene(it: App) -> None:
        await until(lambda: any("companion_ended" in line and "exit=3" in line for line in stage.logged))

    stage.play(scene)


def program(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", f"import os, pathlib, socket, sys, time; {code}")


def test_the_real_thing_starts_and_ends_with_exit_status_0(stage: Stage) -> None:
    command = [sys.executable, "-m", "sbc", "run", str(stage.policies), "--records", str(stage.records)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "runs" in process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 0
    assert "Traceback" not in errors
    assert "Warning" not in errors


def test_a_call_on_the_wire_becomes_a_file_that_replays(stage: Stage) -> None:
    text = POLICY.replace("127.0.0.9/32", f"{LOCALHOST}/32").replace("media: plain}}\nroutes", "media: plain, record: failed}}\nroutes")
    stage.write(text.replace('to: "*"', 'to: "+1*"'))
    folder = stage.folder / "recordings"
    settings = Settings(stage.policies, stage.records, recordings=folder)

    async def whole() -> None:
        it = App(settings, stage.said.append, log=EventLog(stage.logged.append), media=stage.choice())
        serving = asyncio.get_running_loop().create_task(it.run())
        await until(lambda: stage.said or serving.done())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
            phone.setblocking(False)
            phone.bind((LOCALHOST, 0))
            invite = message("INVITE").replace(b"Max-Forwards", b"Contact: <sip:a@127.0.0.1>\r\nMax-Forwards")
            phone.sendto(invite, (LOCALHOST, stage.port))
            await until(lambda: it.stats.datagrams_out)
        it.stop()
        await serving

    run(whole())
    (record,) = [json.loads(line) for line in stage.records.read_text().splitlines()]
    (file,) = folder.glob("*.sbc")
    recording = replay.read(file)
    assert recording.call == record["id"]
    assert first_difference(play(recording)) is None
    assert stage.logged == [line for line in stage.logged if " error " not in line]
