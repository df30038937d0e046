"""Callers that somebody does not get: what each kind of list answers, and who is never blocked."""

from __future__ import annotations

import pytest

from sbc.call.causes import is_network_blocked
from sbc.call.words import Cause
from tests.scenarios.cast import NUMBER, TRUSTED, Cast, policy
from tests.world import POLICY

LISTS = """blocks:
  declined: {callers: "+4990*"}
  forbidden: {callers: ["+4991*", "+49930"], answer: 403}
  unwanted: {callers: "+4992*", answer: 607}
  robocalls: {callers: ["+4993*"], redress: {url: "https://redress.example.com/b", email: blocked@example.com}}
limits:
"""
ALL = "blocks: [declined, forbidden, unwanted, robocalls]"


def cast(carrier: str = ALL, office: str = "", text: str = "") -> Cast:
    return Cast((text or policy(office=office, carrier=carrier)).replace("limits:\n  person", LISTS + "  person", 1))


def call(scene: Cast, caller: str, *headers: tuple[str, str], number: str = NUMBER) -> None:
    scene.send(scene.office, number, headers, f"<sip:{caller}@10.0.0.20>")
    scene.office.expect_response(100)


@pytest.mark.parametrize(
    ("caller", "status", "phrase", "name"),
    [
        ("+4990123", 603, "Decline", "declined"),
        ("0090123", 603, "Decline", ""),  # +90 123 by the office's dial plan, and on no list
        ("090123", 603, "Decline", "declined"),
        ("+4991123", 403, "Forbidden", "forbidden"),
        ("+49930", 403, "Forbidden", "forbidden"),
        ("+4992123", 607, "Unwanted", "unwanted"),
        ("+4993123", 603, "Network Blocked", "robocalls"),
        ("+494", 0, "", ""),
    ],
)
def test_REJ_20_each_list_has_its_answer(caller: str, status: int, phrase: str, name: str) -> None:
    scene = cast()
    call(scene, caller)
    if not name:
        scene.carrier.expect_request("INVITE")
        return
    answer = scene.office.expect_response(status)
    assert answer.reason == phrase
    scene.carrier.expect_nothing()
    (record,) = scene.world.records
    assert (record["sip_status"], record["sip_reason"], record["note"], record["released_by"]) == (
        status,
        phrase,
        f"blocked by {name}",
        "sbc",
    )
    notice = f'SIP;cause=603;text="v=analytics1;url=https://redress.example.com/b;email=blocked@example.com;id={record["id"]}";location=LN'
    assert answer.headers.all("Reason") == ([notice] if name == "robocalls" else [])
    assert is_network_blocked(Cause(answer.status, answer.reason, reasons=tuple(answer.headers.all("Reason")))) == (name == "robocalls")


def test_REJ_20_the_asserted_number_counts_as_much() -> None:
    scene = cast(f"{TRUSTED}; {ALL}", TRUSTED)
    call(scene, "+494", ("P-Asserted-Identity", "<sip:+4992123@10.0.0.20>"), ("Privacy", "id"))
    assert scene.office.expect_response(607).reason == "Unwanted"


@pytest.mark.parametrize(("caller", "goes_on"), [("+4990123", True), ("+4991123", True), ("+4992123", False), ("+4993123", False)])
def test_REJ_20_what_is_unwanted_is_not_tried_elsewhere(caller: str, goes_on: bool) -> None:
    scene = cast(text=policy(carrier=ALL).replace("next_on: [408, 5xx]", "next_on: [4xx, 6xx]"))
    backup = scene.world.agent("backup", ("10.1.0.3", 5060), "inside")
    call(scene, caller)
    assert bool(backup.inbox) == goes_on
    backup.inbox.clear()


def test_REJ_20_nor_with_the_usual_routes() -> None:
    scene = cast()
    backup = scene.world.agent("backup", ("10.1.0.3", 5060), "inside")
    call(scene, "+4990123")
    scene.office.expect_response(603)
    backup.expect_nothing()


def test_REJ_20_nobody_translates_it() -> None:
    scene = cast(office="responses_to: {603: 480, 607: 486}")
    call(scene, "+4993123")
    assert scene.office.expect_response(603).reason == "Network Blocked"
    call(scene, "+4992123")
    scene.office.expect_response(486)


def test_REJ_20_who_calls_for_help_is_never_blocked() -> None:
    scene = cast()
    call(scene, "+4993123", number="112")
    scene.carrier.expect_request("INVITE")
    scene = cast(office=TRUSTED)
    call(scene, "+4993123", ("Priority", "psap-callback"))
    scene.carrier.expect_request("INVITE")


def test_REJ_20_only_for_who_names_the_list() -> None:
    scene = cast(carrier="")
    call(scene, "+4993123")
    scene.carrier.expect_request("INVITE")
    assert "blocks" not in POLICY


# Numbers that nobody calls from


DNO = "blocks_from: [forbidden, robocalls]"


@pytest.mark.parametrize(
    ("caller", "status", "phrase"), [("+4991123", 403, "Forbidden"), ("+4993123", 603, "Network Blocked"), ("+4990123", 0, "")]
)
def test_FRD_11_a_call_from_a_number_that_nobody_calls_from(caller: str, status: int, phrase: str) -> None:
    scene = cast(carrier="", office=DNO)
    scene.send(scene.office, NUMBER, (), f"<sip:{caller}@10.0.0.20>")
    if not status:
        scene.carrier.expect_request("INVITE")
        return
    answer = scene.office.expect_response(status)
    assert answer.reason == phrase
    (reason,) = answer.headers.all("Reason")
    assert reason.startswith("Q.850;cause=21" if status == 403 else "SIP;cause=603")
    scene.carrier.expect_nothing()
    assert scene.world.records[0]["sip_status"] == status


def test_FRD_11_who_is_asserted_counts_as_well_and_who_calls_for_help_does_not() -> None:
    scene = cast(carrier="", office=f"{DNO}; {TRUSTED}")
    scene.send(scene.office, NUMBER, (("P-Asserted-Identity", "<sip:+4991123@10.0.0.20>"),), "<sip:+494@10.0.0.20>")
    scene.office.expect_response(403)
    call(scene, "+4991123", number="112")
    scene.carrier.expect_request("INVITE")
