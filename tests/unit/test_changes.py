"""Applied, undone, confirmed: by a process that runs, over its socket."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from media.api import MediaError
from sbc import changes
from sbc.admin import client
from sbc.app import App, Settings
from sbc.effects import WriteRecord
from sbc.errors import ConfigError
from sbc.inputs import PolicyChanged, RequestIn
from sbc.log import EventLog
from sbc.policy.snapshot import Snapshot
from sbc.policy.text import Text, read_text
from sbc.store import versions
from sbc.views import Answer, CallsView, Question, RegistrationsAsked, RegistrationsView
from tests.unit.net.bench import LOCALHOST, free_port, message, run, until
from tests.unit.test_app import POLICY, Stage, can_bind

OTHER = POLICY.replace('to: "*"', 'to: "+49*"')
THIRD = POLICY.replace('to: "*"', 'to: "+44*"')


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


async def tell(stage: Stage, do: str, **more: object) -> dict[str, Any]:
    return await asyncio.to_thread(client.ask, stage.records.with_name("sbc.sock"), {"do": do, **more}, 30.0)


def taken(stage: Stage) -> list[str]:
    """The policies that the core was given, by their digests."""
    return [event.snapshot.digest for event in stage.core.inputs if isinstance(event, PolicyChanged)]


def logged(stage: Stage, event: str) -> list[str]:
    return [line for line in stage.logged if f" {event} " in line]


def test_applied_and_undone_and_gone_back_to(stage: Stage) -> None:
    async def scene(it: App) -> None:
        first = await tell(stage, "policy")
        assert first["files"]["sbc.yaml"] == (stage.policies / "sbc.yaml").read_text()
        assert (first["by"], first["number"], first["folder"]) == ("start", 1, str(stage.policies))
        stage.write(OTHER)
        second = await tell(stage, "apply", sudo="anna")
        assert (second["was"], second["number"]) == (first["digest"], 2)
        assert taken(stage) == [second["running"]]
        kept = (await tell(stage, "versions"))["versions"]
        assert [(each["number"], each["running"], each["previous"]) for each in kept] == [(2, True, 1), (1, False, 0)]
        assert kept[0]["by"].endswith("(anna)")
        undone = await tell(stage, "undo", sudo="ben")
        assert (undone["running"], undone["folder"]) == (first["digest"], "is as it was then")
        assert "+49*" not in (stage.policies / "sbc.yaml").read_text()
        assert "(ben)" in logged(stage, "policy_changed")[-1], "who undid it, not who had it before"
        running = await tell(stage, "policy")
        assert running["by"].endswith("(ben)")
        assert running["since"] > kept[0]["since"]
        assert (await tell(stage, "versions"))["versions"][1]["by"] == "start"
        with pytest.raises(ConfigError, match="nothing to go back to"):
            await tell(stage, "undo")
        again = await tell(stage, "undo", to=2)
        assert again["running"] == second["running"]
        assert "+49*" in (stage.policies / "sbc.yaml").read_text()
        with pytest.raises(ConfigError, match="there is no version 9; `sbc versions`"):
            await tell(stage, "undo", to=9)
        assert taken(stage) == [second["running"], first["digest"], second["running"]]

    stage.play(scene)


def test_undone_step_by_step(stage: Stage) -> None:
    async def scene(it: App) -> None:
        for text in (OTHER, THIRD):
            stage.write(text)
            await tell(stage, "apply")
        await tell(stage, "undo")
        await tell(stage, "undo")
        assert (await tell(stage, "policy"))["number"] == 1
        stage.write(THIRD)
        await tell(stage, "apply")
        assert (await tell(stage, "policy"))["previous"] == 1

    stage.play(scene)


def test_what_was_not_compared_is_not_applied(stage: Stage) -> None:
    async def scene(it: App) -> None:
        first = (await tell(stage, "policy"))["digest"]
        stage.write(OTHER)
        with pytest.raises(ConfigError, match=r"the running policy is \w+, by start since .*, not 0000: compare again"):
            await tell(stage, "apply", running="0000")
        with pytest.raises(ConfigError, match=r"policies was changed after it was compared: it is \w+ now, not 1111"):
            await tell(stage, "apply", running=first, saved="1111")
        with pytest.raises(ConfigError, match="the running policy is"):
            await tell(stage, "undo", running="0000")
        assert taken(stage) == []
        assert (await tell(stage, "policy"))["digest"] == first
        assert len(logged(stage, "policy_rejected")) == 3

    stage.play(scene)


def nothing_listens_there(stage: Stage) -> None:
    stage.write(OTHER, address="192.0.2.1")


def no_such_relay(stage: Stage) -> None:
    stage.write(OTHER, relay="192.0.2.1")


def two_mistakes(stage: Stage) -> None:
    stage.write(OTHER.replace("media: plain}}", "media: plane}}").replace("send_to: [peer]", "send_to: [pear]"))


def no_media(stage: Stage) -> None:
    stage.write(OTHER)
    stage.port = free_port()
    stage.write(OTHER)

    def refuse(interfaces: object) -> None:
        raise MediaError("no ports")

    stage.media.provide = refuse  # type: ignore[method-assign]


def no_disk(stage: Stage) -> None:
    stage.write(OTHER)
    (stage.folder / "policy-versions").rename(stage.folder / "gone")


@pytest.mark.interpreted  # the fake engine is told to refuse
@pytest.mark.parametrize("spoil", [nothing_listens_there, no_such_relay, two_mistakes, no_media, no_disk])
def test_a_failed_apply_changes_nothing_and_says_why(stage: Stage, spoil: Callable[[Stage], None]) -> None:
    async def scene(it: App) -> None:
        before, port = await tell(stage, "policy"), stage.port
        provide = stage.media.provide
        spoil(stage)
        with pytest.raises(ConfigError) as caught:
            await tell(stage, "apply")
        assert str(caught.value)
        assert taken(stage) == []
        assert await tell(stage, "policy") == before
        assert [each["number"] for each in (await tell(stage, "versions"))["versions"]] == [1]
        assert not can_bind(port)
        assert stage.port == port or can_bind(stage.port)
        (line,) = logged(stage, "policy_rejected")
        assert str(caught.value).splitlines()[0][:40] in line
        stage.media.provide = provide  # type: ignore[method-assign]
        (stage.folder / "policy-versions").mkdir(exist_ok=True)
        stage.port = port
        stage.write(OTHER)
        assert (await tell(stage, "apply"))["number"] == 2

    stage.play(scene)


def test_what_fails_its_own_tests_is_not_applied(stage: Stage) -> None:
    async def scene(it: App) -> None:
        (stage.policies / "tests").mkdir()
        (stage.policies / "tests" / "calls.yaml").write_text(
            "version: 1\ncases:\n  - name: to London\n    given: {trunk: peer, to: +442071234567}\n    expect: {route: loop}\n"
        )
        stage.write(OTHER)
        with pytest.raises(ConfigError, match=r"1 of what the policy's tests expect is not so: `sbc test`\n.*calls.yaml:5:"):
            await tell(stage, "apply")
        assert taken(stage) == []
        stage.write(THIRD)
        await tell(stage, "apply")
        stage.write(OTHER)
        (stage.policies / "tests" / "calls.yaml").write_text("version: 1\nnonsense: 1\n")
        with pytest.raises(ConfigError, match=r"calls.yaml:2:1"):
            await tell(stage, "apply")
        await tell(stage, "undo")  # tests are for what is new

    stage.play(scene)


def test_a_folder_that_was_edited_since_is_left_alone_by_undo(stage: Stage) -> None:
    async def scene(it: App) -> None:
        stage.write(OTHER)
        await tell(stage, "apply")
        stage.write(THIRD)
        assert "was edited since" in (await tell(stage, "undo"))["folder"]
        assert "+44*" in (stage.policies / "sbc.yaml").read_text()

    stage.play(scene)


def test_the_same_policy_again_takes_certificates_anew_and_is_no_version(stage: Stage) -> None:
    async def scene(it: App) -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: taken(stage))
        assert len((await tell(stage, "versions"))["versions"]) == 1
        with pytest.raises(ConfigError, match="nothing has changed that could be confirmed"):
            await tell(stage, "apply", confirm=60)

    stage.play(scene)


# Confirmed, or not


def play_unconfirmed(stage: Stage, scene: Callable[[str, str], Awaitable[None]]) -> None:
    """`scene` is told the digests before and now."""

    async def whole(it: App) -> None:
        stage.write(OTHER)
        told = await tell(stage, "apply", confirm=10)
        await scene(told["was"], told["running"])

    stage.play(whole)


def hurry(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """The time in which to confirm."""
    watch = changes.Changes._watch
    monkeypatch.setattr(changes.Changes, "_watch", lambda self, probation, _: watch(self, probation, seconds))
    monkeypatch.setattr(changes, "LOOK", 0.02)


def test_what_is_not_confirmed_in_time_is_taken_back(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch, 0.1)

    async def scene(was: str, now: str) -> None:
        await until(lambda: taken(stage) == [now, was])
        await until(lambda: logged(stage, "policy_undone"))
        (line,) = logged(stage, "policy_undone")
        assert 'by="not confirmed in time"' in line
        with pytest.raises(ConfigError, match="nothing to confirm"):
            await tell(stage, "confirm")
        assert "+49*" not in (stage.policies / "sbc.yaml").read_text()

    play_unconfirmed(stage, scene)
    assert not (stage.folder / "policy-versions" / versions.UNCONFIRMED).exists()


def test_what_is_confirmed_stays(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch, 0.5)

    async def scene(was: str, now: str) -> None:
        stage.write(THIRD)
        with pytest.raises(ConfigError, match=f"{now} is not confirmed yet: `sbc confirm` or `sbc undo` first"):
            await tell(stage, "apply")
        assert not (await tell(stage, "policy"))["confirmed"]
        await tell(stage, "confirm")
        await asyncio.sleep(0.6)
        assert taken(stage) == [now]
        assert (await tell(stage, "apply"))["was"] == now

    play_unconfirmed(stage, scene)


class Slow:
    """Whatever is read next of the policy folder takes until `go`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = False
        self._go = threading.Event()
        monkeypatch.setattr(changes, "read_text", self._read)

    def _read(self, folder: Path) -> Text:
        self.begun = True
        assert self._go.wait(10.0)
        return read_text(folder)

    async def until_time_is_up(self, it: App) -> None:
        """And whoever takes the policy back waits for the other one to be done."""
        await until(lambda: self.begun)
        await until(lambda: it._changes._busy._waiters or it._changes._unconfirmed is None)
        self._go.set()


def test_what_is_applied_as_the_time_is_up_is_refused_and_not_taken_back_itself(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch, 0.1)

    async def whole(it: App) -> None:
        stage.write(OTHER)
        told = await tell(stage, "apply", confirm=10)
        stage.write(THIRD)
        slow = Slow(monkeypatch)
        applying = asyncio.create_task(tell(stage, "apply"))  # noqa: TID251
        await slow.until_time_is_up(it)
        with pytest.raises(ConfigError, match="is not confirmed yet"):
            await applying
        await until(lambda: logged(stage, "policy_undone"))
        assert taken(stage) == [told["running"], told["was"]]
        assert "was edited since" in logged(stage, "policy_undone")[0]
        assert "+44*" in (stage.policies / "sbc.yaml").read_text()

    stage.play(whole)


def test_what_is_confirmed_while_somebody_else_is_at_it_stays(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch, 0.3)

    async def whole(it: App) -> None:
        stage.write(OTHER)
        told = await tell(stage, "apply", confirm=10)
        slow = Slow(monkeypatch)
        applying = asyncio.create_task(tell(stage, "apply"))  # noqa: TID251
        await until(lambda: slow.begun)
        confirming = asyncio.create_task(tell(stage, "confirm"))  # noqa: TID251
        await until(lambda: len(it._changes._busy._waiters or ()) == 2 or it._changes._unconfirmed is None)
        await slow.until_time_is_up(it)
        await applying
        await confirming
        assert taken(stage) == [told["running"]] * 2
        assert not logged(stage, "policy_undone")

    stage.play(whole)


def test_what_is_undone_before_need_not_be_confirmed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch, 0.3)

    async def scene(was: str, now: str) -> None:
        await tell(stage, "undo")
        await asyncio.sleep(0.4)
        assert taken(stage) == [now, was]

    play_unconfirmed(stage, scene)


def test_fewer_registrations_take_it_back_at_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch, 30.0)
    registered = [10]

    def ask(question: Question, now: object) -> Answer:
        return RegistrationsView((), 0, registered[0]) if isinstance(question, RegistrationsAsked) else CallsView((), 0, 0)

    stage.core.ask = ask  # type: ignore[method-assign]

    async def scene(was: str, now: str) -> None:
        registered[0] = 8
        await asyncio.sleep(0.1)
        assert taken(stage) == [now]
        registered[0] = 7
        await until(lambda: taken(stage) == [now, was])
        await until(lambda: any('by="7 are registered of 10"' in line for line in logged(stage, "policy_undone")))

    play_unconfirmed(stage, scene)


def test_fewer_answers_take_it_back_at_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch, 30.0)
    answered = "2000-01-01T00:00:00.000Z"
    record: dict[str, object] = {"began": answered, "answered": answered}
    stage.core.script = lambda event: [WriteRecord(dict(record))] if isinstance(event, RequestIn) else []

    async def calls(count: int) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
            phone.bind(("127.0.0.9", 0))  # the trunk: of strangers not all would be heard
            before = len(stage.core.inputs)
            for number in range(count):
                phone.sendto(message(branch=f"z9hG4bK{before}x{number}"), (LOCALHOST, stage.port))
            await until(lambda: len(stage.core.inputs) >= before + count)

    async def whole(it: App) -> None:
        await calls(20)
        stage.write(OTHER)
        now = (await tell(stage, "apply", confirm=60))["running"]
        record.update(began="2100-01-01T00:00:00.000Z", answered=None)
        await calls(19)
        await asyncio.sleep(0.1)
        assert taken(stage) == [now]
        await calls(1)
        await until(lambda: any("0 of 20 calls were answered, before it was 100%" in line for line in logged(stage, "policy_undone")))

    stage.play(whole)


def test_what_nobody_has_confirmed_does_not_outlive_the_process(stage: Stage) -> None:
    async def scene(was: str, now: str) -> None: ...

    before = read_text(stage.policies).files
    play_unconfirmed(stage, scene)
    assert read_text(stage.policies).files != before
    stage.said.clear()

    async def next_process(it: App) -> None:
        assert (await tell(stage, "policy"))["number"] == 1
        assert logged(stage, "policy_undone")

    stage.play(next_process)
    assert read_text(stage.policies).files == before


def test_what_could_not_be_taken_back_is_not_applied(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: versions.Versions, previous: int) -> None:
        raise ConfigError("versions of the policy: no space left on device")

    monkeypatch.setattr(versions.Versions, "expect", fail)

    async def scene(it: App) -> None:
        first = await tell(stage, "policy")
        stage.write(OTHER)
        with pytest.raises(ConfigError, match="no space left"):
            await tell(stage, "apply", confirm=10)
        assert taken(stage) == []
        assert (await tell(stage, "policy"))["digest"] == first["digest"]
        assert len((await tell(stage, "versions"))["versions"]) == 1

    stage.play(scene)


@pytest.mark.interpreted  # the fake engine is told to refuse
def test_a_policy_that_is_not_applied_leaves_nothing_to_be_taken_back(stage: Stage) -> None:
    async def scene(it: App) -> None:
        no_media(stage)
        with pytest.raises(ConfigError, match="no ports"):
            await tell(stage, "apply", confirm=10)

    stage.play(scene)
    assert not (stage.folder / "policy-versions" / versions.UNCONFIRMED).exists()


@pytest.mark.interpreted  # the fake engine is told to refuse
def test_what_is_applied_after_a_failed_undo_is_not_taken_back_by_the_next_process(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch, 0.1)
    provide = stage.media.provide

    def refuse(interfaces: object) -> None:
        raise MediaError("no ports")

    async def scene(was: str, now: str) -> None:
        monkeypatch.setattr(stage.media, "provide", refuse)
        await until(lambda: logged(stage, "policy_rejected"))
        monkeypatch.setattr(stage.media, "provide", provide)
        stage.write(THIRD)
        await tell(stage, "apply")

    play_unconfirmed(stage, scene)
    assert not (stage.folder / "policy-versions" / versions.UNCONFIRMED).exists()


def test_of_policies_that_are_over_nothing_is_left(stage: Stage) -> None:
    def snapshots() -> int:
        gc.unfreeze()  # what was there at the start is, too, and would not be counted
        gc.collect()
        return sum(type(each) is Snapshot for each in gc.get_objects())

    async def whole() -> None:
        settings = Settings(stage.policies, stage.records)
        it = App(settings, stage.said.append, log=EventLog(stage.logged.append), media=stage.choice())
        serving = asyncio.get_running_loop().create_task(it.run())
        await until(lambda: stage.said)
        assert snapshots() == before + 1
        for number in range(20):
            stage.write(POLICY.replace('to: "*"', f'to: "+49{number}*"'))
            await tell(stage, "apply")
        await until(lambda: snapshots() == before + 1)
        it.stop()
        await serving

    before = snapshots()
    run(whole())
