from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sbc import __version__, cli


def sbc(*arguments: str | Path, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sbc", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=folder, check=False)


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    """In this process, for the exit status."""
    monkeypatch.setattr(sys, "argv", ["sbc", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "version") == 0
    assert capsys.readouterr().out == f"sbc {__version__}\n"


def test_init_then_check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert call(monkeypatch, "init", tmp_path, "sbc.example.net", "--address", "127.0.0.1") == 0
    assert "created" in capsys.readouterr().out
    assert call(monkeypatch, "check", tmp_path / "policies") == 0
    assert "good: 2 realms" in capsys.readouterr().out
    assert call(monkeypatch, "init", tmp_path) == 1
    assert "overwritten" in capsys.readouterr().err


def test_check_says_what_comes_from_a_profile(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert call(monkeypatch, "init", tmp_path, "sbc.example.net", "--address", "127.0.0.1") == 0
    policy = tmp_path / "policies" / "sbc.yaml"
    policy.write_text(
        policy.read_text().replace("    media: encrypted\n    limits: office\n", "    profile: freepbx\n    limits: office\n")
    )
    capsys.readouterr()
    assert call(monkeypatch, "check", tmp_path / "policies") == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("trunk office"))
    assert line.startswith("trunk office: profile freepbx (")
    assert line.endswith("freepbx.yaml) gives transfers, redirects, media")


def test_pbx_config(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert call(monkeypatch, "init", tmp_path, "sbc.example.net", "--address", "127.0.0.1") == 0
    capsys.readouterr()
    policies = ("--policies", tmp_path / "policies")
    assert call(monkeypatch, "pbx-config", "asterisk", "office", *policies, "--show-password", "--ca-file", "/ca.pem") == 0
    password = (tmp_path / "certs" / "office.secret").read_text().strip()
    output = capsys.readouterr().out
    assert f"\npassword={password}\n" in output
    assert "\nca_list_file=/ca.pem\n" in output
    assert call(monkeypatch, "pbx-config", "asterisk", "carrierr", *policies) == 1
    assert "there is no trunk 'carrierr'" in capsys.readouterr().err


def test_check_says_everything_that_is_wrong(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "sbc.yaml").write_text("version: 1\nrealmz: {}\ntrunks: {a: {rea: b}}\n")
    assert call(monkeypatch, "check", tmp_path) == 1
    output = capsys.readouterr()
    assert "did you mean 'realms'?" in output.err
    assert "trunks.a" in output.err
    assert output.out == ""


def test_check_says_how_media_would_go(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert call(monkeypatch, "init", tmp_path, "sbc.example.net", "--address", "127.0.0.1") == 0
    policy = tmp_path / "policies" / "sbc.yaml"
    capsys.readouterr()
    call(monkeypatch, "check", tmp_path / "policies")
    assert "media by" not in capsys.readouterr().out
    policy.write_text(policy.read_text().replace("20000-29999}", "20000-29999, packets: xdp}"))
    assert call(monkeypatch, "check", tmp_path / "policies") == 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "media by" in line]
    assert line.startswith("realm outside: media by native/sockets: ")
    assert line.endswith("packets go through sockets (warning)"), "nothing leaves by the loopback"


def test_mistakes_show_no_traceback(tmp_path: Path) -> None:
    for arguments in (
        ("check", tmp_path / "none"),
        ("run", tmp_path / "none"),
        ("run", "--drain", "x"),
        ("testcall", "--password-file", "/none"),
    ):
        done = sbc(*arguments, folder=tmp_path)
        assert done.returncode in (1, 2)
        assert "Traceback" not in done.stderr
        assert done.stderr.strip()


def test_help_names_every_command() -> None:
    done = sbc("--help")
    assert done.returncode == 0
    for command in (
        "run",
        "check",
        "init",
        "testpeer",
        "testcall",
        "calls",
        "call",
        "registrations",
        "limits",
        "trunks",
        "pbx-config",
        "doctor",
        "version",
    ):
        assert command in done.stdout


def test_an_engine_that_is_not_there_is_said_with_those_that_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert call(monkeypatch, "run", tmp_path, "--media", "fast") == 1
    assert "--media fast: there are auto, native, portable" in capsys.readouterr().err
