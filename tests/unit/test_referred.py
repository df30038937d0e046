"""Secrets that change while the process runs: compared, applied and watched, and never shown."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from sbc import policy_cli, watch
from sbc.admin import client
from sbc.app import App, Settings
from sbc.errors import ConfigError
from sbc.inputs import PolicyChanged
from sbc.log import EventLog
from tests.unit.net.bench import run, until
from tests.unit.test_app import POLICY, Stage

WITH_SECRET = POLICY + "users:\n  alice: {{realm: outside, media: plain, password: {{file: ../alice.secret}}}}\n"
WITH_ANOTHER = WITH_SECRET + "  bob: {{realm: outside, media: plain, password: {{file: ../bob.secret}}}}\n"


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    stage = Stage(tmp_path)
    write(stage, "first secret")
    stage.write(WITH_SECRET)
    return stage


def write(stage: Stage, secret: str, name: str = "alice") -> None:
    file = stage.folder / f"{name}.secret"
    file.write_text(secret)
    file.chmod(0o600)


def passwords(stage: Stage) -> list[str]:
    """Of alice, as the core was given them."""
    return [event.snapshot.users["alice"].password for event in stage.core.inputs if isinstance(event, PolicyChanged)]


async def tell(stage: Stage, do: str, **more: object) -> dict[str, Any]:
    return await asyncio.to_thread(client.ask, stage.folder / "sbc.sock", {"do": do, **more}, 30.0)


async def told(stage: Stage, capsys: pytest.CaptureFixture[str], *, as_json: bool = False) -> str:
    await asyncio.to_thread(policy_cli.diff, stage.folder / "sbc.sock", None, as_json=as_json)
    return capsys.readouterr().out


async def apply(stage: Stage, running: str) -> None:
    socket = stage.folder / "sbc.sock"
    await asyncio.to_thread(policy_cli.apply, socket, running=running, confirm="", registrations=80, answers=50, yes=True)


def test_a_secret_that_was_changed_is_a_difference(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    async def scene(it: App) -> None:
        assert "nothing differs" in await told(stage, capsys)
        before = json.loads(await told(stage, capsys, as_json=True))
        write(stage, "hunter2")
        text = await told(stage, capsys)
        assert "~ users.alice.password: contents of ../alice.secret changed  [live]" in text
        assert "nothing differs" not in text
        assert "hunter2" not in text
        after = json.loads(await told(stage, capsys, as_json=True))
        assert before["running"] == before["saved"] == after["running"] != after["saved"]
        assert [(each["kind"], each["after"]) for each in after["changes"]] == [("contents", "../alice.secret")]
        await apply(stage, before["running"])
        assert passwords(stage) == ["hunter2"]
        assert any("policy_changed" in line and "contents=../alice.secret" in line for line in stage.logged)
        assert not any("hunter2" in line for line in stage.logged)
        with pytest.raises(ConfigError, match=r"the running policy is \w+\+\w+, not"):
            await apply(stage, before["running"])
        await apply(stage, before["running"].partition("+")[0])
        with pytest.raises(ConfigError, match="what is in secrets and certificates cannot be taken back"):
            await tell(stage, "apply", confirm=60)

    stage.play(scene)


def test_what_was_compared_is_what_is_applied(stage: Stage) -> None:
    async def scene(it: App) -> None:
        compared = await asyncio.to_thread(policy_cli.Compared, stage.folder / "sbc.sock", None)
        seals = {"running_seal": compared.running["seal"], "saved_seal": compared.seal}
        write(stage, "hunter2")
        with pytest.raises(ConfigError, match="refers to, secrets or certificates, was changed after it was compared"):
            await tell(stage, "apply", **seals)
        assert passwords(stage) == []
        await tell(stage, "apply")
        write(stage, "first secret")
        with pytest.raises(ConfigError, match="have been read anew meanwhile"):
            await tell(stage, "apply", **seals)
        assert passwords(stage) == ["hunter2"]

    stage.play(scene)


def play_watched(stage: Stage, scene: Callable[[], Awaitable[None]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "EVERY", 0.02)

    async def whole() -> None:
        settings = Settings(stage.policies, stage.records, watch=True)
        log = EventLog(stage.logged.append)
        it = App(settings, stage.said.append, log=log, media=stage.choice(), build_core=lambda *_: stage.core)
        serving = asyncio.get_running_loop().create_task(it.run())
        await until(lambda: stage.said or serving.done())
        await scene()
        it.stop()
        await serving

    run(whole())


def test_a_secret_that_was_changed_is_taken_when_watched(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        for secret in ("hunter2", "hunter3"):
            write(stage, secret)
            await until(lambda secret=secret: passwords(stage)[-1:] == [secret])  # type: ignore[misc]
        assert passwords(stage) == ["hunter2", "hunter3"]

    play_watched(stage, scene, monkeypatch)


def test_a_file_that_was_missing_is_waited_for(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        stage.write(WITH_ANOTHER)
        await until(lambda: any("policy_rejected" in line and "bob.secret" in line for line in stage.logged))
        write(stage, "bobs", "bob")
        await until(lambda: passwords(stage) == ["first secret"])

    play_watched(stage, scene, monkeypatch)
