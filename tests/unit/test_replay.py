"""`sbc replay` as it is typed: what it says, and its exit status."""

from __future__ import annotations

from pathlib import Path

import pytest

from sbc import devcerts
from sbc.store.recordings import Shelf
from tests.unit.recording.test_recording import a_call
from tests.unit.test_cli import call
from tests.world import POLICY

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    shelf = Shelf(tmp_path / "recordings")
    (recording,) = a_call().recordings
    shelf.add([recording])
    (file,) = (tmp_path / "recordings").glob("*.sbc")
    return file


def test_the_same_effects(monkeypatch: pytest.MonkeyPatch, capsys: Capture, recorded: Path) -> None:
    assert call(monkeypatch, "replay", recorded) == 0
    assert capsys.readouterr().out == "call n1w1t000001: the same 11 effects\n"


def test_a_ladder(monkeypatch: pytest.MonkeyPatch, capsys: Capture, recorded: Path) -> None:
    assert call(monkeypatch, "replay", recorded, "--ladder") == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "+0.000 INVITE sip:+4930123456@10.0.0.1:5060 SIP/2.0 ──▶│ outside UDP 10.0.0.20:5060"
    assert lines[1] == "+0.000 SIP/2.0 100 Trying ◀──│ outside UDP 10.0.0.20:5060"
    assert lines[4] == "+0.000 inside UDP 10.1.0.2:5060 │──▶ INVITE sip:+4930123456@10.1.0.2:5060 SIP/2.0"
    assert lines[5] == "+0.000 inside UDP 10.1.0.2:5060 │◀── SIP/2.0 180 Ringing"
    assert "+0.000 · WriteRecord 200 OK, released by a" in lines
    assert len(lines) == 20


def test_every_message_whole(monkeypatch: pytest.MonkeyPatch, capsys: Capture, recorded: Path) -> None:
    assert call(monkeypatch, "replay", recorded, "--verbose") == 0
    output = capsys.readouterr().out
    assert output.count("m=audio ") == 4
    assert '"packets_received": 0' in output


def test_the_first_difference_with_both_sides(monkeypatch: pytest.MonkeyPatch, capsys: Capture, recorded: Path) -> None:
    recorded.write_bytes(
        recorded.read_bytes().replace(
            b"SIP/2.0 180 Ringing\r\nVia: SIP/2.0/UDP 10.0.0.20", b"SIP/2.0 180 Wringin\r\nVia: SIP/2.0/UDP 10.0.0.20"
        )
    )
    assert call(monkeypatch, "replay", recorded, "--ladder") == 1
    output = capsys.readouterr().out
    assert "effect 4 of 11 is not the same" in output
    assert "recorded: Send outside 10.0.0.20:5060: SIP/2.0 180 Wringin\n" in output
    assert "replayed: Send outside 10.0.0.20:5060: SIP/2.0 180 Ringing\n" in output
    assert output.count("≠ recorded") == 1


def test_what_a_peer_sent_does_nothing_to_the_terminal(monkeypatch: pytest.MonkeyPatch, capsys: Capture, recorded: Path) -> None:
    recorded.write_bytes(recorded.read_bytes().replace(b"180 Ringing", b"180 Ri\x1b[1mg"))
    assert call(monkeypatch, "replay", recorded, "--verbose") == 0
    output = capsys.readouterr().out
    assert "\x1b" not in output
    assert "SIP/2.0 180 Ri\\x1b[1mg" in output


def test_what_if(monkeypatch: pytest.MonkeyPatch, capsys: Capture, recorded: Path, tmp_path: Path) -> None:
    policies = tmp_path / "policies"
    policies.mkdir()
    devcerts.make(tmp_path / "certs", ["sbc.example.com"], users=())
    devcerts.write_new(policies / "alice.secret", b"wonderland\n", devcerts.PRIVATE_MODE)
    (policies / "sbc.yaml").write_text(POLICY)
    assert call(monkeypatch, "replay", recorded, "--policy", policies) == 0
    assert capsys.readouterr().out.endswith("makes no difference\n")
    (policies / "sbc.yaml").write_text(POLICY.replace("send_to: [carrier, backup]", "send_to: [backup]"))
    assert call(monkeypatch, "replay", recorded, "--policy", policies) == 1
    output = capsys.readouterr().out
    assert "goes another way from effect 3 on" in output
    assert "then: Send inside 10.1.0.3:5060: INVITE sip:+4930123456@10.1.0.3:5060 SIP/2.0\n" in output


def test_mistakes_are_one_line(monkeypatch: pytest.MonkeyPatch, capsys: Capture, recorded: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("dear diary\n")
    lonely = tmp_path / recorded.name
    lonely.write_bytes(recorded.read_bytes())
    for file, problem in ((tmp_path / "none", "cannot be read"), (tmp_path / "notes.txt", "not a recording"), (lonely, "policy-")):
        assert call(monkeypatch, "replay", file) == 1
        output = capsys.readouterr()
        assert output.out == ""
        assert problem in output.err
        assert output.err.count("\n") == 1


@pytest.fixture
def several(tmp_path: Path) -> Path:
    """A folder with one file of two calls and one of one."""
    shelf = Shelf(tmp_path / "recordings")
    calls = a_call(), a_call(POLICY.replace("    media: plain\n", "    media: plain\n    info: pass\n")), a_call()
    (first,), (second,), (third,) = [world.recordings for world in calls]
    second._call, third._call = "two", "three"  # type: ignore[attr-defined]
    shelf.add([first, second])
    shelf.add([third])
    return tmp_path / "recordings"


@pytest.mark.interpreted
def test_one_of_several_calls(monkeypatch: pytest.MonkeyPatch, capsys: Capture, several: Path) -> None:
    (file,) = several.glob("*+1.*.sbc")
    assert call(monkeypatch, "replay", file) == 0
    assert capsys.readouterr().out == "call n1w1t000001: the same 11 effects\ncall two: the same 11 effects\n"
    for place in (file, several):
        assert call(monkeypatch, "replay", place, "--call", "two") == 0
        assert capsys.readouterr().out == "call two: the same 11 effects\n"
    assert call(monkeypatch, "replay", several) == 0
    assert capsys.readouterr().out.count("the same 11 effects") == 3
    assert call(monkeypatch, "replay", several, "--call", "four") != 0
    assert "no recording of the call four" in "".join(capsys.readouterr())
    file.write_bytes(file.read_bytes()[:-1])
    assert call(monkeypatch, "replay", file) != 0
    assert "ends within a call" in "".join(capsys.readouterr())


@pytest.mark.interpreted
def test_a_call_is_saved_alone_with_its_policy(monkeypatch: pytest.MonkeyPatch, capsys: Capture, several: Path, tmp_path: Path) -> None:
    (tmp_path / "alone").mkdir()
    target = tmp_path / "alone" / "two.sbc"
    assert call(monkeypatch, "replay", several, "--save", target) != 0
    assert "--call" in "".join(capsys.readouterr())
    assert call(monkeypatch, "replay", several, "--call", "two", "--save", target) == 0
    assert b"n1w1t000001-1" in target.read_bytes()
    assert target.stat().st_mode & 0o777 == 0o600
    assert len(list(target.parent.glob("policy-*.json"))) == 1, "not the other call's"
    capsys.readouterr()
    assert call(monkeypatch, "replay", target) == 0
    assert capsys.readouterr().out == "call two: the same 11 effects\n"
