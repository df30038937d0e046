"""The commands as a person types them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sbc import running
from sbc.admin import client
from tests.unit.explain.conftest import folder  # noqa: F401 - a fixture
from tests.unit.test_cli import call

Captured = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch


def test_explain_tells_where_a_call_would_go(folder: Path, monkeypatch: Patch, capsys: Captured) -> None:  # noqa: F811
    assert call(monkeypatch, "explain", "--trunk", "office", "--to", "0301234567", "--policies", folder) == 0
    assert "route      out: +49301234567 is one of +*; send to carrier, backup" in capsys.readouterr().out
    options = ("--answer", "carrier=503", "--calls", "office=3", "--codec", "PCMA", "--header", "X: y", "--json")
    assert call(monkeypatch, "explain", "--trunk", "office", "--to", "0301", "--policies", folder, *options) == 0
    assert json.loads(capsys.readouterr().out)["result"]["tried"] == ["carrier", "backup"]


def test_explain_reads_a_message_with_or_without_carriage_returns(folder: Path, monkeypatch: Patch, capsys: Captured) -> None:  # noqa: F811
    rows = "INVITE sip:030@h SIP/2.0", "Via: SIP/2.0/UDP 10.0.0.20;branch=z9hG4bK1", "From: <sip:a@h>;tag=1", "To: <sip:030@h>"
    text = "\n".join((*rows, "Call-ID: 1", "CSeq: 1 INVITE", "Contact: <sip:a@h>", "", ""))
    (folder / "invite.sip").write_text(text)
    assert call(monkeypatch, "explain", "--message", folder / "invite.sip", "--policies", folder) == 0
    assert "who        trunk office, by its address" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "what is asked?"),
        (("--to", "1", "--trunk", "nobody"), "there is no trunk 'nobody'"),
        (("--to", "1", "--user", "office"), "'office' is no user, but a trunk"),
        (("--to", "1", "--trunk", "alice"), "'alice' is no trunk, but a user"),
        (("--to", "1", "--trunk", "office", "--header", "x"), "no header row"),
        (("--to", "1", "--trunk", "office", "--answer", "carrier"), "--answer carrier: write NAME=STATUS"),
        (("--to", "1", "--trunk", "office", "--signed", "maybe"), "--signed passed, failed or unsigned"),
        (("--message", "/nowhere"), "cannot be read"),
    ],
)
def test_mistakes_are_one_line(folder: Path, monkeypatch: Patch, capsys: Captured, arguments: tuple[str, ...], said: str) -> None:  # noqa: F811
    assert call(monkeypatch, "explain", *arguments, "--policies", folder) == 1
    assert said in capsys.readouterr().err


def test_test_says_how_many_are_as_expected(folder: Path, monkeypatch: Patch, capsys: Captured) -> None:  # noqa: F811
    assert call(monkeypatch, "test", folder) == 0
    assert "no tests" in capsys.readouterr().err
    (folder / "tests").mkdir()
    good = "version: 1\ncases:\n- {name: x, given: {trunk: office, to: +49301}, expect: {route: out}}\n"
    (folder / "tests" / "a.yaml").write_text(good)
    assert call(monkeypatch, "test", folder) == 0
    assert "1 of 1 as expected" in capsys.readouterr().out
    (folder / "tests" / "b.yaml").write_text(good.replace("route: out", "status: 404"))
    assert call(monkeypatch, "test", folder) == 1
    told = capsys.readouterr()
    assert "1 of 2 as expected" in told.out
    assert "b.yaml:3:66: cases.1.expect.status: x: expected 404, got 200" in told.err


def test_why_asks_about_refusals_and_of_an_address_how_it_stands(monkeypatch: Patch, capsys: Captured) -> None:
    asked: list[Any] = []

    def answered(path: Path, question: dict[str, object]) -> dict[str, Any]:
        asked.append((path, question))
        if question["ask"] == "why":
            return {"refusals": [], "strangers": [], "total": 4, "intrusions": []}
        return {
            "source": "192.0.2.7",
            "standing": "let in",
            "because": "nothing",
            "score": 0,
            "counts": {},
            "suspicion": 0,
            "ban": None,
        }

    monkeypatch.setattr(client, "ask", answered)
    assert call(monkeypatch, "why", "192.0.2.7", "--socket", "x.sock") == 0
    assert asked == [
        (Path("x.sock"), {"ask": "why", "most": 10, "about": "192.0.2.7"}),
        (Path("x.sock"), {"ask": "source", "address": "192.0.2.7"}),
    ]
    told = capsys.readouterr().out
    assert told.index("let in") < told.index("4 refusals are")
    assert call(monkeypatch, "why", "some-call-id", "--json", "--limit", "3") == 0
    assert json.loads(capsys.readouterr().out)["standing"] is None


def test_explain_asks_the_running_process_for_its_policy_and_who_is_there(folder: Path, monkeypatch: Patch, capsys: Captured) -> None:  # noqa: F811
    saved = (folder / "sbc.yaml").read_text()
    full = {"limit": "carrier", "scope": "carrier", "what": "calls", "now": 2, "highest": 2, "most": 2, "refused": 0, "rate": None}
    told: dict[str, dict[str, Any]] = {
        "policy": {"folder": str(folder), "files": {"sbc.yaml": saved.replace("name: out\n", "name: running\n")}},
        "trunks": {"trunks": [{"name": "carrier", "calls": 2, "registration": ""}, {"name": "office", "calls": 0, "registration": ""}]},
        "registrations": {"registrations": [], "matching": 0},
        "limits": {"limits": [full]},
    }

    def answered(path: Path, question: dict[str, object]) -> dict[str, Any]:
        return told[str(question.get("ask") or question["do"])]

    monkeypatch.setattr(running, "ask", answered)
    assert call(monkeypatch, "explain", "--running", "--trunk", "office", "--to", "0301", "--json") == 0
    result = json.loads(capsys.readouterr().out)["result"]
    assert (result["route"], result["tried"]) == ("running", ["carrier", "backup"]), "the carrier has the two calls that it may have"
    assert call(monkeypatch, "explain", "--running", "--trunk", "backup", "--to", "alice", "--json") == 0
    assert json.loads(capsys.readouterr().out)["result"]["status"] == 404
    assert call(monkeypatch, "explain", "--running", "--trunk", "carrier", "--to", "alice", "--json", "--calls", "carrier=0") == 0
    assert json.loads(capsys.readouterr().out)["result"]["note"] == "alice is not registered"
