"""What the process says of the trunk, and what follows from it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from sbc.admin.client import NotRunning
from sbc.doctor import running
from sbc.errors import ConfigError
from tests.unit.doctor.conftest import Place

TRUNK: dict[str, Any] = {"servers": [], "health": "unknown", "failures": [], "calls": 1, "counted": 1, "limit": None}
BINDING = {
    "contact": "sip:office@192.168.1.9:5061",
    "transport": "TLS",
    "source": "203.0.113.7:40123",
    "expires_in": 99.0,
    "state": "registered",
}

plain = Place.snapshot


def found(place: Place, monkeypatch: pytest.MonkeyPatch, trunk: str, view: object, bindings: list[dict[str, Any]]) -> list[str]:
    def ask(path: Path, question: dict[str, object]) -> dict[str, Any]:
        if isinstance(view, Exception):
            raise view
        return {"trunks": [view] if view else [], "registrations": bindings, "out": bindings}

    monkeypatch.setattr(running, "ask", ask)
    return [str(finding) for finding in running.state(place.snapshot().trunks[trunk], Path("sbc.sock"))]


def test_registered_behind_a_nat(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = found(place, monkeypatch, "office", TRUNK, [BINDING])
    assert lines == [
        "good  registered from TLS 203.0.113.7:40123, for 99 s (behind a NAT: its Contact says 192.168.1.9)",
        "good  1 calls in progress",
    ]


def test_not_registered_or_gone(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    line = found(place, monkeypatch, "office", TRUNK, [])[0]
    assert line.startswith("wrong it is not registered: does it have user 'office'")
    line = found(place, monkeypatch, "office", TRUNK, [{**BINDING, "state": "flow lost"}])[0]
    assert line.startswith("wrong the connection it registered over from TLS 203.0.113.7:40123 is gone")


def test_a_trunk_that_does_not_register_is_not_asked_for_that(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(place, monkeypatch, "peer", TRUNK, []) == ["good  1 calls in progress"]


def test_servers_that_failed_and_limits_that_are_reached(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    server = {"server": "UDP 192.0.2.1:5060", "state": "down", "status": 408}
    failure = {"status": 408, "note": "timeout", "server": "UDP 192.0.2.1:5060"}
    view = TRUNK | {"servers": [server], "health": "down", "failures": [failure], "limit": 1}
    failed, last, limit = found(place, monkeypatch, "peer", view, [])
    assert failed.startswith("wrong UDP 192.0.2.1:5060 failed last, with 408")
    assert last == "note  the last call to it that failed: 408 timeout UDP 192.0.2.1:5060"
    assert limit.startswith("wrong all 1 calls of its limits are taken: raise 'calls'")
    assert "good  calls to it get answers" in found(place, monkeypatch, "peer", TRUNK | {"health": "up"}, [])


def test_our_registration_at_a_carrier(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def registering(text: str) -> str:
        account = 'register_to: {registrar: sip:127.0.0.42, user: "1", password: {env: SBC_TEST_SECRET}}'
        return re.sub(r'peer: "[^"]+", media', f"{account}, media", text)

    monkeypatch.setattr(Place, "snapshot", lambda self: plain(self, change=registering))
    out = {"server": "UDP 127.0.0.42:5060", "state": "registered", "last": "200"}
    assert found(place, monkeypatch, "peer", TRUNK, [out])[0] == "good  we are registered at UDP 127.0.0.42:5060: the last answer was 200"
    refused = found(place, monkeypatch, "peer", TRUNK, [out | {"state": "refused", "last": "403"}])[0]
    assert refused.startswith("wrong our registration is refused at UDP 127.0.0.42:5060: the last answer was 403")
    waiting = found(place, monkeypatch, "peer", TRUNK, [out | {"state": "waiting", "server": "", "last": ""}])[0]
    assert waiting.startswith("wrong we are not registered (waiting) at no server yet: the last answer was none")


def test_nobody_to_ask(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    (line,) = found(place, monkeypatch, "peer", NotRunning("no sbc answers"), [])
    assert line.startswith("note  whether it is registered")
    (line,) = found(place, monkeypatch, "peer", ConfigError("belongs to another user"), [])
    assert line.startswith("wrong the running process could not be asked: belongs to another user")
    (line,) = found(place, monkeypatch, "peer", None, [])
    assert line.startswith("wrong the running process does not know trunk peer")
