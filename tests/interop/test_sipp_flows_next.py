"""Transfers, INFO, MESSAGE and subscriptions (RFC 3515, 6086, 3428, 6665) between two SIPp."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.flows import CALLER, PATIENCE, Flows, requests
from tests.interop.server import POLICY
from tests.interop.sipp import sipp

TARGET_PORT = 5070  # the carrier's second switch
PARTNERS = "    messages: pass\n    events: [dialog]\n    info: pass\n"
WITH_PARTNERS = (
    POLICY.replace("    peer: sip:{attacker}:5060\n", f"    peer: sip:{{attacker}}:5060\n    transfers: perform\n{PARTNERS}")
    .replace("    peer: sip:{carrier}:5060\n", f"    peer: sip:{{carrier}}:5060\n{PARTNERS}")
    .replace("  plain_pbx:", f'  second: {{{{realm: inside, peer: "sip:{{carrier}}:{TARGET_PORT}", media: plain}}}}\n  plain_pbx:')
    .replace("  - name: out\n", '  - {{name: second, when: {{realm: outside, to: "+4950*"}}, send_to: [second]}}\n  - name: out\n')
)


@pytest.fixture(scope="module")
def policy() -> str:
    return WITH_PARTNERS


def test_INF_01_a_digit_by_info(flows: Flows, tmp_path: Path) -> None:
    _, callee, _ = flows.run(tmp_path, "info_caller", "info_callee")
    assert requests(callee) == ["INVITE", "ACK", "INFO", "BYE"]


def test_REF_02_a_blind_transfer_is_performed(flows: Flows, tmp_path: Path) -> None:
    """The PBX leaves; whom it called and whom it named are connected, and hang up as any two."""
    target = sipp(flows.lab.carrier, tmp_path / "target", "callee", port=TARGET_PORT, patience=PATIENCE)
    before = len(flows.server.records())
    calling = {**CALLER, "target": "+4950777"}
    caller, callee, _ = flows.run(tmp_path, "referring_caller", "transferred_callee", attempts=2, keys=calling)
    assert target.result().successful == 1
    assert requests(caller) == ["NOTIFY", "NOTIFY", "NOTIFY", "BYE"]
    assert requests(callee) == ["INVITE", "ACK", "INVITE", "ACK"]
    assert requests(target) == ["INVITE", "ACK", "BYE"]
    first, second = flows.server.records()[before:]
    assert first["note"] == "transferred"
    assert (second["called"], second["transferred_by"]) == ("+4950777", "plain_pbx")


def test_MSG_01_a_text_passes(flows: Flows, tmp_path: Path) -> None:
    _, callee, _ = flows.run(tmp_path, "message_caller", "message_callee", attempts=0)
    (message,) = callee.received()
    assert "10.99.1." not in message


def test_EVT_01_a_subscription_and_its_notifies_pass(flows: Flows, tmp_path: Path) -> None:
    caller, callee, _ = flows.run(tmp_path, "subscribe_caller", "subscribe_callee", attempts=0)
    assert requests(caller) == ["NOTIFY", "NOTIFY"]
    assert requests(callee) == ["SUBSCRIBE", "SUBSCRIBE"]
    assert not any("10.99.2." in message for message in caller.received())
