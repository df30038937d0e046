"""`sbc explain --running`: what is used up and who is registered in the process that runs counts, and is there as before afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sbc import running
from sbc.admin import wire
from sbc.shield.views import Question as ShieldQuestion
from tests.scenarios.cast import Cast, policy
from tests.scenarios.test_limits import hang_up
from tests.scenarios.test_registration import call_as_alice, registered
from tests.unit.explain.conftest import folder  # noqa: F401 - a fixture
from tests.unit.test_cli import call
from tests.world import POLICY, World, connect, sdp

NUMBER = "+4930123456"


class Process:
    """The world as the process at a socket."""

    def __init__(self, world: World, text: str, folder: Path) -> None:  # noqa: F811
        self.world = world
        self._policy = {"folder": str(folder), "files": {"sbc.yaml": text}}

    def ask(self, path: Path, question: dict[str, Any]) -> dict[str, Any]:
        if "do" in question:
            return self._policy
        asked = wire.question_of({"version": wire.VERSION, **question})
        assert not isinstance(asked, ShieldQuestion)
        told: dict[str, Any] = json.loads(wire.line_of(wire.plain(self.world.core.ask(asked, self.world.now))))
        return told


class Explained:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path) -> None:  # noqa: F811
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self._folder = folder

    def runs(self, text: str) -> Cast:
        it = Cast(text)
        self._process = Process(it.world, text, self._folder)
        self._monkeypatch.setattr(running, "ask", self._process.ask)
        return it

    def __call__(self, *options: str, user: str = "", trunk: str = "", to: str = NUMBER) -> dict[str, Any]:
        whose = ("--user", user) if user else ("--trunk", trunk)
        before = self._process.ask(Path(), {"ask": "limits", "most": 500})
        assert call(self._monkeypatch, "explain", "--running", *whose, "--to", to, "--json", *options) == 0
        assert self._process.ask(Path(), {"ask": "limits", "most": 500}) == before, "asking costs nothing"
        told = json.loads(self._capsys.readouterr().out)
        self.phases = {each["phase"]: each["text"] for each in told["phases"]}
        result: dict[str, Any] = told["result"]
        return result


@pytest.fixture
def explained(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path) -> Explained:  # noqa: F811
    return Explained(monkeypatch, capsys, folder)


def test_a_user_who_has_all_the_calls_it_may_have_is_refused(explained: Explained) -> None:
    it = explained.runs(POLICY)
    assert explained(user="alice")["status"] == 200
    invite = call_as_alice(it.alice)
    it.alice.expect_response(100)
    told = it.carrier.expect_request("INVITE")
    it.carrier.answer(told, 200, body=sdp("10.1.0.2", 40000))
    ok = it.alice.expect_response(200)
    it.alice.ack(ok)
    it.carrier.expect_request("ACK")
    refused = explained(user="alice")
    assert (refused["status"], refused["step"], refused["limit"]) == (486, "limits", "person")
    assert explained("--calls", "alice=0", user="alice")["status"] == 200
    assert explained(user="alice", to="112")["status"] == 200
    hang_up(it.alice, it.carrier, invite, ok)
    assert explained(user="alice")["status"] == 200


def test_what_is_used_up_of_a_rate_counts_until_it_is_there_again(explained: Explained) -> None:
    daily = policy(office="limits: daily").replace("  person:", "  daily: {new_calls: 24/d, burst: 2}\n  person:")
    it = explained.runs(daily)
    for expected in (200, 200, 503):
        assert explained(trunk="office")["status"] == expected
        if expected == 200:
            hang_up(it.office, it.carrier, *connect(it.office, it.carrier, NUMBER)[:2])
    it.world.after(3601)
    assert explained(trunk="office")["status"] == 200


def test_pools_and_limits_of_single_numbers_count(explained: Explained) -> None:
    limits = "  pool: {calls: 2, shared: true}\n  one: {for_each: caller, calls: 1}\n  person:"
    text = policy(office="limits: [pool, one]").replace("limits: carrier", "limits: pool").replace("  person:", limits)
    it = explained.runs(text)
    connect(it.office, it.carrier, NUMBER)
    one = explained(trunk="office")
    assert (one["status"], one["limit"]) == (503, "pool"), "the caller has one place of it, and the carrier the other"
    one = explained("--from", "+49307", trunk="office")
    assert (one["status"], one["limit"]) == (503, "pool")


def test_a_number_that_has_its_call_is_refused_and_another_one_not(explained: Explained) -> None:
    text = policy(office="limits: one").replace("  person:", "  one: {for_each: caller, calls: 1}\n  person:")
    it = explained.runs(text)
    connect(it.office, it.carrier, NUMBER)
    assert explained("--from", "office", trunk="office")["limit"] == "one"
    assert explained("--from", "+49307", trunk="office")["status"] == 200


def test_who_is_registered_is_called_where_it_is(explained: Explained) -> None:
    it = explained.runs(POLICY)
    away = explained(trunk="carrier", to="alice")
    assert (away["status"], away["note"]) == (480, "alice is not registered")
    registered(it.alice)
    here = explained(trunk="carrier", to="alice")
    assert (here["status"], here["sent_to"]) == (200, "alice")
    assert "TLS 203.0.113.7:40123" in explained.phases["target"]
    assert explained("--absent", "alice", trunk="carrier", to="alice")["status"] == 480
    assert explained(user="alice")["status"] == 200
    it.world.after(601)
    assert explained(trunk="carrier", to="alice")["status"] == 480
