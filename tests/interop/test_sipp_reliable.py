"""Reliable 18x (RFC 3262) and UPDATE (RFC 3311) between two SIPp: each leg by itself."""

from __future__ import annotations

from pathlib import Path

from tests.interop.flows import Flows, requests


def test_REL_01_a_caller_that_requires_100rel_and_a_callee_without(flows: Flows, tmp_path: Path) -> None:
    _, callee, record = flows.run(tmp_path, "reliable_caller", "callee")
    assert requests(callee) == ["INVITE", "ACK", "BYE"]
    assert record["sip_status"] == 200


def test_REL_01_a_callee_that_rings_reliably_and_a_caller_without(flows: Flows, tmp_path: Path) -> None:
    caller, callee, _ = flows.run(tmp_path, "caller", "reliable_callee")
    assert requests(callee) == ["INVITE", "PRACK", "ACK", "BYE"]
    assert not any("\nRSeq:" in message for message in caller.received())


def test_REL_01_both_reliable_each_on_its_own_leg(flows: Flows, tmp_path: Path) -> None:
    _, callee, record = flows.run(tmp_path, "reliable_caller", "reliable_callee")
    assert requests(callee) == ["INVITE", "PRACK", "ACK", "BYE"]
    assert record["sip_status"] == 200


def test_UPD_01_hold_and_resume_by_update(flows: Flows, tmp_path: Path) -> None:
    _, callee, _ = flows.run(tmp_path, "update_caller", "update_callee")
    assert requests(callee) == ["INVITE", "ACK", "UPDATE", "UPDATE", "BYE"]


def test_UPD_01_towards_a_callee_without_update_it_is_a_reinvite(flows: Flows, tmp_path: Path) -> None:
    _, callee, _ = flows.run(tmp_path, "update_caller", "held_callee")
    assert requests(callee) == ["INVITE", "ACK", "INVITE", "ACK", "INVITE", "ACK", "BYE"]
