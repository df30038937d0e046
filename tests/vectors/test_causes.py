"""RFC 3398 in both directions, and what counts as 603+."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sbc.call.causes import (
    NORMAL_CLEARING,
    cause_of_request,
    cause_of_response,
    is_network_blocked,
    q850_of,
    recognised,
    status_of,
)
from sbc.call.words import Cause
from sbc.sip.fields.reason import Reason
from sbc.sip.message import Response
from tests.vectors.messages import VECTORS
from tests.world import World

CAUSES = json.loads((VECTORS / "metrics" / "rfc3398_cause_map.json").read_text())
BLOCKING = json.loads((VECTORS / "blocking" / "603plus.json").read_text())


@pytest.mark.parametrize("row", CAUSES["sip_to_isup"], ids=lambda row: str(row["sip"]))
def test_RSN_01_status_to_cause(row: dict[str, Any]) -> None:
    """s8.2.6.1. Without a row: 487 answers a CANCEL, and 488 and 606 go by their Warning."""
    expected = {487: NORMAL_CLEARING, 488: 31, 606: 31}.get(row["sip"], row["cause"])
    assert q850_of(Cause(row["sip"])) == expected


@pytest.mark.parametrize("row", CAUSES["isup_to_sip"], ids=lambda row: str(row["cause"]))
def test_RSN_01_cause_to_status(row: dict[str, Any]) -> None:
    """s7.2.4.1. 16 answers nothing, so that 480 stands in for it, the status of what is not listed."""
    assert status_of(Cause(200, q850=row["cause"])) == (row["sip"] or 480)


def test_RSN_01_cause_to_status_by_location() -> None:
    told = "Q.850;cause=21;location="
    assert [status_of(Cause(200, "", 21, (told + location,))) for location in ("U", "LN")] == [603, 403]
    assert status_of(Cause(200)) == 480, "no cause told"


@pytest.mark.parametrize(("warning", "cause"), [("304", 65), ("305", 65), ("370", 65), ("300", 31), ("399", 31), ("x", 31)])
@pytest.mark.parametrize("status", [488, 606])
def test_RSN_01_by_the_warning(status: int, warning: str, cause: int) -> None:
    assert q850_of(Cause(status, headers=(("Warning", f'{warning} sbc "x"'),))) == cause


def test_INV_11_an_unknown_status_is_the_first_of_its_class() -> None:
    assert [recognised(status) for status in (499, 599, 699, 404, 389, 486)] == [400, 500, 600, 404, 300, 486]
    assert [q850_of(Cause(status)) for status in (499, 599, 699)] == [41, 41, 17]
    assert q850_of(Cause(433)) == q850_of(Cause(580)) == CAUSES["default_sip_to_cause"], "known, but later than RFC 3398"


def test_RSN_01_bye_and_cancel() -> None:
    bye = World().agent("office", ("10.0.0.20", 5060), "outside").request("BYE", "sip:x@h")
    assert q850_of(cause_of_request(bye)) == CAUSES["bye_cancel_cause"]


def refusal(case: dict[str, Any]) -> Cause:
    world = World()
    agent = world.agent("office", ("10.0.0.20", 5060), "outside")
    invite = agent.request("INVITE", "sip:x@h")
    headers = tuple([("Reason", value) for value in case["reason_headers"]])
    return cause_of_response(Response.answer(invite, case["status"], case["phrase"], headers=headers), world.snapshot.trunks["carrier"])


@pytest.mark.parametrize("case", BLOCKING["detect"], ids=lambda case: case["id"])
def test_BLK_02_detection(case: dict[str, Any]) -> None:
    cause = refusal(case)
    assert is_network_blocked(cause) == case["is_603plus"]
    assert ", ".join(cause.reasons) == ", ".join(case["reason_headers"]), "character by character"
    assert cause.reason == case["phrase"]
    if "location" in case["parsed"]:
        (told,) = [reason for reason in map(Reason.parse, cause.reasons) if reason.text.startswith("v=analytics1")]
        assert dict(told.params)["location"] == case["parsed"]["location"]


def test_BLK_02_every_case_is_used() -> None:
    assert (len(BLOCKING["detect"]), len(CAUSES["sip_to_isup"]), len(CAUSES["isup_to_sip"])) == (11, 37, 32)
