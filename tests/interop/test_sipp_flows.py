"""Flows of RFC 3261, 3264 and 4028 between two SIPp."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.flows import CALLER, PATIENCE, Flows, requests
from tests.interop.sipp import sipp


def test_an_offer_in_the_200_and_its_answer_in_the_ack(flows: Flows, tmp_path: Path) -> None:
    _, _, record = flows.run(tmp_path, "offerless_caller", "callee")
    assert record["sip_status"] == 200
    assert record["released_by"] == "a"


def test_hold_and_resume_by_the_caller(flows: Flows, tmp_path: Path) -> None:
    _, callee, record = flows.run(tmp_path, "hold_caller", "held_callee")
    assert requests(callee) == ["INVITE", "ACK", "INVITE", "ACK", "INVITE", "ACK", "BYE"]
    assert record["released_by"] == "a"


def test_hold_and_resume_by_the_callee(flows: Flows, tmp_path: Path) -> None:
    caller, _, record = flows.run(tmp_path, "held_caller", "hold_callee")
    assert requests(caller) == ["INVITE", "ACK", "INVITE", "ACK", "BYE"]
    assert record["released_by"] == "b"


@pytest.mark.parametrize("caller", ["cancel_caller", "cancel_at_once_caller"])
def test_a_cancel_waits_until_the_callee_has_been_heard_of(flows: Flows, tmp_path: Path, caller: str) -> None:
    _, callee, record = flows.run(tmp_path, caller, "cancelled_callee")
    assert requests(callee) == ["INVITE", "CANCEL", "ACK"]
    assert record["sip_status"] == 487


def test_a_cancel_that_meets_the_answer(flows: Flows, tmp_path: Path) -> None:
    """The caller gave up and the callee picked up: who picked up is hung up on."""
    _, callee, record = flows.run(tmp_path, "cancel_caller", "cancel_meets_answer_callee")
    assert requests(callee) == ["INVITE", "CANCEL", "ACK", "BYE"]
    assert record["sip_status"] == 487


def test_a_cancel_after_the_answer_changes_nothing(flows: Flows, tmp_path: Path) -> None:
    _, callee, record = flows.run(tmp_path, "cancel_too_late_caller", "callee")
    assert requests(callee) == ["INVITE", "ACK", "BYE"]
    assert record["sip_status"] == 200


def test_a_redirection_is_refused_and_its_address_stays_inside(flows: Flows, tmp_path: Path) -> None:
    _, callee, record = flows.run(tmp_path, "refused_caller", "redirecting_callee")
    assert requests(callee) == ["INVITE", "ACK"]
    assert record["answered"] is None


def test_options_outside_of_a_call(flows: Flows, tmp_path: Path) -> None:
    caller = sipp(flows.lab.attacker, tmp_path / "caller", "options_caller", f"{flows.lab.outside}:5060", keys=CALLER, patience=PATIENCE)
    assert caller.result().successful == 1


def test_options_within_a_call_are_answered_here(flows: Flows, tmp_path: Path) -> None:
    _, callee, _ = flows.run(tmp_path, "options_within_caller", "callee")
    assert requests(callee) == ["INVITE", "ACK", "BYE"]


def test_of_two_who_answer_the_second_is_hung_up_on(flows: Flows, tmp_path: Path) -> None:
    """A proxy behind the carrier forked, and both 200 came before either could be cancelled (RFC 3261 s13.2.2.4)."""
    caller, callee, record = flows.run(tmp_path, "caller", "forked_callee")
    assert requests(callee) == ["INVITE", "ACK", "ACK", "BYE", "BYE"]
    assert sum(message.startswith("SIP/2.0 200 ") for message in caller.received()) == 2, "to INVITE and to BYE"
    assert record["sip_status"] == 200


def test_early_media(flows: Flows, tmp_path: Path) -> None:
    _, _, record = flows.run(tmp_path, "early_caller", "early_callee")
    assert record["progressed"] is not None
    assert record["answered"] is not None


def test_a_session_is_refreshed_and_the_other_side_hears_nothing_of_it(flows: Flows, tmp_path: Path) -> None:
    _, callee, record = flows.run(tmp_path, "timer_caller", "callee", attempts=2)
    assert requests(callee) == ["INVITE", "ACK", "BYE"]
    assert record["sip_status"] == 200
