"""Numbers that callers show: what a policy refuses of them, and that emergencies are never refused for it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sbc.sip.message import Response
from tests.scenarios.cast import Cast
from tests.vectors.messages import VECTORS
from tests.world import POLICY

CASES = json.loads((VECTORS / "numbers" / "e164.json").read_text())["cli"]

# What an operator of each kind of trunk would write. A number in Ofcom's ranges for drama is in use nowhere, and stands for a mobile.
RULES = {
    "trunk-in": "refuse_from: [invalid, premium]",
    "trunk-in-international": 'refuse_from: [premium, "GB geographic"]',
    "emergency": "refuse_from: [invalid, premium]",
    "psap-callback": "refuse_from: [invalid, premium]",
}
UNWANTED = 'blocks: {dno: {callers: ["+4478001111"], answer: 403}}\n'


def cast(direction: str) -> Cast:
    text = POLICY.replace("  inside: none\n", '  inside: {numbers: ["112"], send_to: [office]}\n')
    text = text.replace("  carrier:\n", f"  carrier:\n    trusted: true\n    {RULES[direction]}\n", 1)
    return Cast(text.replace("  office:\n", "  office:\n    blocks: [dno]\n", 1) + UNWANTED)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['direction']} {case['frm']}")
def test_cli(case: dict[str, Any]) -> None:
    people = cast(case["direction"])
    from_ = f"<sip:{case['frm']}>" if "@" in case["frm"] else f"<sip:{case['frm']}@10.1.0.2>"
    headers = [("P-Asserted-Identity", f"<sip:{case['pai']}@10.1.0.2>")] if case["pai"] else []
    headers += [("Privacy", case["privacy"])] if case["privacy"] else []
    headers += [("Priority", "psap-callback")] if case["direction"] == "psap-callback" else []
    number = "112" if case["direction"] == "emergency" else "+4930123456"
    people.send(people.carrier, number, tuple(headers), from_)
    if case["expect"] == "block":
        answer = people.carrier.inbox.pop()  # behind a 100, if it was looked at as far as that
        assert isinstance(answer, Response)
        assert answer.status == 403
        people.office.expect_nothing()
        (record,) = people.world.records
        assert record["sip_status"] == 403
    else:
        people.office.expect_request("INVITE")


def test_every_case_is_used() -> None:
    assert {case["direction"] for case in CASES} == RULES.keys()
    assert len(CASES) == 12
