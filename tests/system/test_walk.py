"""As a new user would, by the README: from `sbc init` to a changed route, compared, applied and undone."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from sbc import cli

README = Path(__file__).parents[2] / "README.md"


class User:
    """Somebody in a folder, with one `sbc run` in another window."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self.folder = folder
        self.policy = folder / "policies" / "sbc.yaml"
        self.window: subprocess.Popen[bytes] | None = None

    def sbc(self, *words: str, status: int = 0) -> str:
        """What it prints."""
        self._monkeypatch.setattr(sys, "argv", ["sbc", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        told = self._capsys.readouterr()
        assert ended.value.code == status, told
        return told.out + told.err

    def asked(self, *words: str, answer: str) -> str:
        """What it prints on a terminal, where somebody answers."""
        ours, theirs = pty.openpty()
        os.write(ours, f"{answer}\n".encode())
        command = (sys.executable, "-P", "-m", "sbc", *words)
        process = subprocess.Popen(command, cwd=self.folder, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        told = b""
        try:
            while more := os.read(ours, 4096):
                told += more
        except OSError:  # how Linux says that nobody is at the other end any more
            pass
        finally:
            os.close(ours)
        assert process.wait(30) == 0, told
        return told.decode()

    def run(self, *options: str) -> None:
        with (self.folder / "log").open("wb") as sink:
            command = (sys.executable, "-P", "-m", "sbc", "run", *options)
            self.window = subprocess.Popen(command, cwd=self.folder, stdout=sink, stderr=subprocess.STDOUT)
        self.until(lambda: "stop with Ctrl-C" in self.log)

    def until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + 30.0
        while not condition():
            assert time.monotonic() < end, self.log
            time.sleep(0.05)

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def edit(self, old: str, new: str) -> None:
        text = self.policy.read_text()
        assert old in text
        self.policy.write_text(text.replace(old, new))


@pytest.fixture
def newcomer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[User]:
    """Nothing is there yet."""
    user = User(tmp_path / "site", monkeypatch, capsys)
    monkeypatch.chdir(tmp_path)
    yield user
    if user.window is not None:
        user.window.send_signal(signal.SIGINT)
        user.window.wait(15)
        assert "Traceback" not in user.log


@pytest.fixture
def user(newcomer: User, monkeypatch: pytest.MonkeyPatch) -> User:
    newcomer.folder.mkdir()
    monkeypatch.chdir(newcomer.folder)
    newcomer.sbc("init", ".", "sbc.example.test", "--address", "127.0.0.86")
    return newcomer


def commands_of_readme(heading: str, until: str) -> list[list[str]]:
    """The indented lines between two texts, without what is behind #."""
    text = README.read_text()
    part = text[text.index(heading) : text.index(until, text.index(heading))]
    return [shlex.split(line, comments=True) for line in re.findall(r"^    (.+)$", part, re.MULTILINE)]


def test_the_commands_of_the_readme_one_after_the_other(newcomer: User, monkeypatch: pytest.MonkeyPatch) -> None:
    (_, *found), (_, init, *names), (_, folder), (_, check), (_, run) = commands_of_readme("## Your own network", "`sbc init site --ex")
    assert (found, init, check, run) == (["PATH=$PWD/.venv/bin:$PATH"], "init", "check", "run")
    assert f"then: cd {folder}; sbc check; sbc run" in newcomer.sbc(init, *names, "--address", "127.0.0.86")
    monkeypatch.chdir(folder)
    assert "good" in newcomer.sbc(check)
    newcomer.run()
    before = newcomer.policy.read_text()
    newcomer.edit('    when: {realm: outside, to: "+*"}', '    when: {realm: outside, to: ["+49*", "+44*"]}')
    commands = commands_of_readme("**To change something", "`sbc run --watch`")
    assert [words[1] for words in commands] == ["check", "explain", "diff", "apply", "undo"]
    say: dict[str, Callable[..., str]] = {"apply": partial(newcomer.asked, answer="y")}
    told = {name: say.get(name, newcomer.sbc)(name, *words) for _, name, *words in commands}
    assert "good" in told["check"]
    assert re.search(
        r"route +outbound: \+4930123456 is one of \+49\*; send to carrier\s+policies/sbc.yaml:\d+:\d+ routes.1", told["explain"]
    )
    assert "~ routes.outbound.when.to: +* → [+49*, +44*]" in told["diff"]
    assert "apply? [y/N]" in told["apply"]
    assert "applied: " in told["apply"]
    assert "undone: " in told["undo"]
    assert newcomer.policy.read_text() == before


def test_an_example_is_served_where_it_was_written(newcomer: User, monkeypatch: pytest.MonkeyPatch) -> None:
    newcomer.sbc("init", "site", "--example", "enterprise-edge")
    monkeypatch.chdir("site")
    assert "13 of 13 as expected" in newcomer.sbc("test")
    newcomer.run()
    newcomer.edit("calls: 30, longest_call", "calls: 20, longest_call")
    assert "applied" in newcomer.sbc("apply", "--yes")


def policy(digest: str) -> str:
    """Without what stands for the contents of secrets and certificates."""
    return digest.partition("+")[0]


def test_from_init_to_a_changed_route_and_back(user: User) -> None:
    user.run()
    assert "nothing differs" in user.sbc("diff")
    user.edit('    when: {trunk: carrier, to: "*"}', '    when: {trunk: carrier, to: "+4930123*"}')
    user.edit("    ring_for: 2m", "    ring_for: 120s")
    assert "good" in user.sbc("check")
    told = user.sbc("diff")
    (line,) = [line for line in told.splitlines() if line.startswith("~")]
    assert line.startswith("~ routes.inbound.when.to: * → +4930123*  [new calls only]")
    assert "/policies/sbc.yaml:" in line
    compared = json.loads(user.sbc("diff", "--json"))
    assert compared["changes"][0]["effect"] == "new calls only"
    assert f"applied: {policy(compared['saved'])}, version 2; before it was {policy(compared['running'])}" in user.sbc("apply", "--yes")
    assert "nothing differs" in user.sbc("diff")
    assert policy(compared["running"]) in user.sbc("versions")
    assert f"undone: {policy(compared['running'])} runs again, version 1" in user.sbc("undo")
    assert 'to: "*"}' in user.policy.read_text()
    assert "nothing differs" in user.sbc("diff")


def test_with_a_net_below(user: User) -> None:
    user.run()
    user.edit("calls: 100", "calls: 90")
    before = json.loads(user.sbc("diff", "--json"))
    assert "a duration is a number with its unit" in user.sbc("apply", "--confirm", "soon", status=1)
    assert "from 10s to 1d" in user.sbc("apply", "--confirm", "1s", status=1)
    assert "compare again" in user.sbc("apply", "--if-match", "000000000000", status=1)
    assert "it is taken back in 5m unless you say `sbc confirm`" in user.sbc(
        *("apply", "--yes", "--confirm", "5m", "--if-match", before["running"])
    )
    assert "not confirmed" in user.sbc("diff")
    assert f"confirmed: {policy(before['saved'])} stays" in user.sbc("confirm")
    assert "nothing to confirm" in user.sbc("confirm", status=1)


def test_nothing_is_applied_where_nobody_can_be_asked(user: User) -> None:
    user.run()
    user.edit("calls: 100", "calls: 90")
    told = user.sbc("apply", status=1)
    assert "~ limits.carrier.calls: 100 → 90" in told
    assert "add --yes" in told.splitlines()[-1]
    assert "limits.carrier.calls" in user.sbc("diff"), "as before"


def test_a_mistake_is_shown_with_its_line_and_changes_nothing(user: User) -> None:
    user.run()
    running = json.loads(user.sbc("diff", "--json"))["running"]
    user.edit("send_to: [office]", "send_to: [offise]")
    for command in ("diff", "apply"):
        told = user.sbc(command, status=1)
        assert "sbc.yaml:" in told
        assert "did you mean 'office'?" in told
    user.edit("send_to: [offise]", "send_to: [office]")
    assert json.loads(user.sbc("diff", "--json"))["running"] == running


def test_without_a_process_there_is_one_line(user: User) -> None:
    for command in ("diff", "apply", "undo", "confirm", "versions"):
        assert user.sbc(command, status=1).startswith("no sbc answers at var/sbc.sock: start one")


def test_watched(user: User) -> None:
    user.run("--watch")
    user.edit("calls: 100", "calls: hundred")
    user.until(lambda: "policy_rejected" in user.log)
    user.edit("calls: hundred", "calls: 90")
    user.until(lambda: "policy_changed" in user.log)
    (rejected,) = [line for line in user.log.splitlines() if "policy_rejected" in line]
    assert "sbc.yaml:" in rejected
    assert "by=watch" in rejected
    user.sbc("undo")
    time.sleep(2.5)  # two looks at what the undo has written
    assert user.log.count("policy_changed") == 2
    assert "nothing differs" in user.sbc("diff")
