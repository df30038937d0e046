"""Golden decisions: a policy, a request, and what has to come of it, through the code that decides."""

from __future__ import annotations

import json
import shutil
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from sbc import devcerts
from sbc.explain.asked import Assumed, Flags, Reply, asked
from sbc.explain.cases import load_cases
from sbc.explain.story import explain
from sbc.explain.testing import run_cases
from sbc.policy.load import Loaded, load_policy

GOLDEN = Path(__file__).with_name("golden")
VECTORS = Path(__file__).parents[1] / "vectors"
POLICIES = sorted(file.parent for file in GOLDEN.glob("*/sbc.yaml"))
NUMBERS = json.loads((VECTORS / "numbers" / "e164.json").read_text())
BLOCKING = json.loads((VECTORS / "blocking" / "603plus.json").read_text())


@lru_cache
def loaded(text: str) -> Loaded:
    """A policy of one file, with certificates and passwords beside it."""
    folder = Path(mkdtemp(prefix="golden-"))
    try:
        (folder / "policies").mkdir()
        (folder / "policies" / "sbc.yaml").write_text(text)
        devcerts.make(folder / "certs", users=["alice", "office", "tel"])
        return load_policy(folder / "policies")
    finally:
        shutil.rmtree(folder)


CASES = [
    pytest.param(folder.name, index, id=f"{folder.name}: {case.name}")
    for folder in POLICIES
    for index, case in enumerate(load_cases(folder, loaded((folder / "sbc.yaml").read_text()).snapshot))
]


@pytest.mark.parametrize(("policy", "index"), CASES)
def test_golden(policy: str, index: int) -> None:
    found = loaded((GOLDEN / policy / "sbc.yaml").read_text())
    case = load_cases(GOLDEN / policy, found.snapshot)[index]
    assert list(map(str, run_cases([case], found).failures)) == []


def decided(policy: str, flags: Flags, assumed: Assumed | None = None) -> dict[str, Any]:
    found = loaded(policy)
    return explain(found.snapshot, found.places, asked(found.snapshot, flags, assumed or Assumed())).facts


# vectors/numbers: a trunk in each country, with the dial plan its operator would write

HEAD = """\
version: 1
realms:
  outside: {signalling: [udp://10.0.0.1:5060], relay: {address: 10.0.0.1, ports: 20000-20999}}
  inside: {signalling: [udp://10.1.0.1:5060], relay: {address: 10.1.0.1, ports: 30000-30999}}
media: {plain: {srtp: off, codecs: [PCMA]}}
"""


def dial_plan(case: dict[str, str]) -> dict[str, str]:
    country, trunk, international = case["country"], case["trunk_prefix"], case["intl_prefix"]
    plan = {international: "+", trunk: f"+{country}"} if trunk else {international: "+", **{d: f"+{country}{d}" for d in "0123456789"}}
    if country == "44":
        plan["44"] = "+44"  # "only if the trunk is configured so"
    if country == "1":
        plan |= {d: f"+1{d}" for d in "23456789"} | {"911": "911", "555": "555"}
    return plan


def countries() -> str:
    plans = {case["country"]: dial_plan(case) for case in NUMBERS["normalise"]}
    trunks = "".join(
        f"  c{country}: {{realm: outside, media: plain, accept_from: [10.9.{index}.1], dial_plan: {json.dumps(plan)}}}\n"
        for index, (country, plan) in enumerate(plans.items())
    )
    out = "  out: {realm: inside, media: plain, peer: 'sip:10.1.0.2'}\n"
    emergency = 'emergency: {outside: {numbers: ["112", "110", "911", "999", "000"], send_to: [out]}, inside: none}\n'
    route = 'routes: [{name: all, when: {realm: outside, to: "*"}, send_to: [out]}]\n'
    return f"{HEAD}trunks:\n{trunks}{out}{route}{emergency}"


@pytest.mark.parametrize("case", NUMBERS["normalise"], ids=lambda case: case["why"] or case["input"])
def test_numbers(case: dict[str, str]) -> None:
    facts = decided(countries(), Flags(case["input"].replace(" ", "%20"), trunk=f"c{case['country']}"))
    if case["e164"] is not None:
        assert (facts["called"], facts["route"]) == (case["e164"], "all")
    elif case["input"] in ("999", "911"):
        assert (facts["called"], facts["emergency"]) == (case["input"], True)
    elif case["input"] == "5550143":
        assert (facts["called"], facts["route"]) == ("5550143", "all")
    else:
        assert (facts["status"] in (400, 484), facts["sent_to"]) == (True, None)


@pytest.mark.parametrize("case", NUMBERS["emergency"], ids=lambda case: case["input"])
def test_emergencies(case: dict[str, Any]) -> None:
    facts = decided(countries(), Flags(case["input"], trunk="c7"))  # whose dial plan leaves all of these alone
    assert facts["emergency"] == case["emergency"]
    assert facts["route"] == ("emergency.outside" if case["emergency"] else "all" if facts["status"] == 200 else None)
    assert facts["status"] == 200 or not case["emergency"]


# vectors/numbers, "cli": which callers' numbers a trunk may show

CALLERS = {
    "trunk-in": "refuse_from: [invalid, premium]",
    "trunk-in-international": 'refuse_from: [premium, "GB geographic"]',
    "emergency": "refuse_from: [invalid, premium]",
    "psap-callback": "refuse_from: [invalid, premium]",
}


def callers(direction: str) -> str:
    trunk = f"  in: {{realm: outside, media: plain, trusted: true, accept_from: [10.0.0.9], {CALLERS[direction]}}}\n"
    office = "  office: {realm: inside, media: plain, peer: 'sip:10.1.0.2', blocks: [dno]}\n"
    rest = (
        'routes: [{name: all, when: {realm: outside, to: "*"}, send_to: [office]}]\n'
        'blocks: {dno: {callers: ["+4478001111"], answer: 403}}\n'
        'emergency: {outside: {numbers: ["112"], send_to: [office]}, inside: none}\n'
    )
    return f"{HEAD}trunks:\n{trunk}{office}{rest}"


@pytest.mark.parametrize("case", NUMBERS["cli"], ids=lambda case: f"{case['direction']} {case['frm']}")
def test_callers(case: dict[str, Any]) -> None:
    rows = [("P-Asserted-Identity", f"<sip:{case['pai']}@10.0.0.9>")] if case["pai"] else []
    rows += [("Privacy", case["privacy"])] if case["privacy"] else []
    rows += [("Priority", "psap-callback")] if case["direction"] == "psap-callback" else []
    from_ = f"sip:{case['frm']}" if "@" in case["frm"] else case["frm"]
    to = "112" if case["direction"] == "emergency" else "+4930123456"
    facts = decided(callers(case["direction"]), Flags(to, trunk="in", caller=from_, headers=tuple(rows)))
    refused = case["expect"] == "block"
    assert (facts["status"], facts["sent_to"]) == ((403, None) if refused else (200, "office"))


# vectors/blocking: what a network that blocks a call says, and what becomes of that

BLOCKED = (
    f"{HEAD}trunks:\n"
    "  in: {realm: outside, media: plain, accept_from: [10.0.0.9]}\n"
    "  first: {realm: inside, media: plain, peer: 'sip:10.1.0.2', responses_from: {603: 480}}\n"
    "  second: {realm: inside, media: plain, peer: 'sip:10.1.0.3'}\n"
    'routes: [{name: all, when: {realm: outside, to: "*"}, send_to: [first, second], next_on: [480, 486, 5xx]}]\n'
    "emergency: {outside: {numbers: ['112'], send_to: [first, second]}, inside: none}\n"
)


@pytest.mark.parametrize("case", BLOCKING["detect"], ids=lambda case: case["id"])
def test_a_blocked_call_stays_blocked_and_says_so(case: dict[str, Any]) -> None:
    """Not translated, not tried elsewhere, every Reason as it came; what only looks like it is an answer like others."""
    reply = Reply(case["status"], case["phrase"], tuple([("Reason", value) for value in case["reason_headers"]]))
    facts = decided(BLOCKED, Flags("+4930", trunk="in"), Assumed({"first": reply}))
    if case["is_603plus"]:
        assert (facts["tried"], facts["status"], facts["reason"]) == (["first"], 603, case["phrase"])
        told = [value for name, value in facts["answer_headers"] if name == "Reason"]
        assert ", ".join(told) == ", ".join(case["reason_headers"])
    else:
        assert (facts["tried"], facts["status"]) == (["first", "second"], 200)


def test_a_blocked_emergency_call_is_tried_elsewhere() -> None:
    case = BLOCKING["detect"][0]
    reply = Reply(603, case["phrase"], (("Reason", case["reason_headers"][0]),))
    facts = decided(BLOCKED, Flags("112", trunk="in"), Assumed({"first": reply}))
    assert (facts["tried"], facts["status"]) == (["first", "second"], 200)


@pytest.mark.parametrize("case", [each for each in BLOCKING["generate"] if "expect_reason" in each], ids=lambda case: case["id"])
def test_what_analytics_block_is_told_as_such(case: dict[str, Any]) -> None:
    policy = BLOCKED.replace("responses_from: {603: 480}", "blocks: [robots]")
    policy += f'blocks: {{robots: {{callers: ["+882*"], redress: {{url: "{case["input"]["url"]}"}}}}}}\n'
    facts = decided(policy, Flags("+4930", trunk="in", caller="+88212"))
    assert f"SIP/2.0 {facts['status']} {facts['reason']}" == case["expect_line"]
    (reason,) = [value for name, value in facts["answer_headers"] if name == "Reason"]
    ours = case["expect_reason"].replace("call_0-9", "")  # the id is that of our own record
    assert reason.startswith(ours.partition("id=")[0])
    assert reason.endswith(";location=LN")


@pytest.mark.parametrize(("answer", "status", "phrase"), [(603, 603, "Decline"), (403, 403, "Forbidden"), (607, 607, "Unwanted")])
def test_what_a_list_blocks_is_no_network_blocking(answer: int, status: int, phrase: str) -> None:
    policy = BLOCKED.replace("responses_from: {603: 480}", "blocks: [dno]") + f'blocks: {{dno: {{callers: ["+882*"], answer: {answer}}}}}\n'
    facts = decided(policy, Flags("+4930", trunk="in", caller="+88212"))
    assert (facts["status"], facts["reason"], facts["sent_to"]) == (status, phrase, None)
    assert "analytics" not in str(facts["answer_headers"])


@pytest.mark.parametrize(("status", "phrase", "name"), [(608, "Rejected", "Call-Info"), (607, "Unwanted", "Reason")])
def test_the_answers_of_the_ietf_end_the_hunt_as_well(status: int, phrase: str, name: str) -> None:
    value = "<https://x.example/a>;purpose=jwscard" if name == "Call-Info" else 'SIP;cause=607;text="Unwanted"'
    facts = decided(BLOCKED, Flags("+4930", trunk="in"), Assumed({"first": Reply(status, phrase, ((name, value),))}))
    assert (facts["tried"], facts["status"]) == (["first"], status)


def test_there_are_enough_of_them() -> None:
    vectors = len(NUMBERS["normalise"]) + len(NUMBERS["emergency"]) + len(NUMBERS["cli"]) + len(BLOCKING["detect"])
    assert vectors == 33 + 18 + 12 + 11
    assert len(CASES) + vectors >= 180
