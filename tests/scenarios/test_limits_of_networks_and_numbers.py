"""Limits of a whole network, and of lines of the inventory: what they count, until when, and what is told of it."""

from __future__ import annotations

from sbc.inputs import PolicyChanged
from tests.scenarios.cast import Cast, policy
from tests.scenarios.test_limits import hang_up, limits_of, refused
from tests.world import connect, snapshot_of

NUMBER = "+4930123456"
OWN = "+4930999"
FIVE = "  five: {calls: 5}\n  two: {calls: 2}\n  hour: {longest_call: 1h}\n"
NUMBERS = """
numbers:
  "+49309*": {owner: office, limits: [two, hour]}
"""


def text(realm: str = "", numbers: str = "") -> str:
    written = (
        policy().replace("limits:\n  person", f"limits:\n{FIVE}  person").replace("{calls: 2, new_calls: 50/s, longest_call: 4h}", "{}")
    )
    written = written.replace("  carrier: {}\n", "").replace("    limits: carrier\n", "").replace("send_to: [office]", "send_to: [owner]")
    return written.replace("  outside:\n", f"  outside:\n    {realm}\n" if realm else "  outside:\n", 1) + (
        numbers or '\nnumbers: {"+4930*": office}\n'
    )


def test_a_network_counts_the_calls_of_all_who_are_in_it() -> None:
    it = Cast(text("limits: five"))
    first, ok, _ = connect(it.office, it.carrier, NUMBER)
    for _ in range(2):
        connect(it.office, it.carrier, NUMBER)
    for _ in range(2):
        connect(it.carrier, it.office, NUMBER)
    assert [(log.event, log.facts["of"], log.facts["now"]) for log in it.world.logs] == [("limit nearly reached", "realm outside", 4)]
    refused(it.office, 503)
    assert str(it.world.records[-1]["note"]) == "limit calls of realm outside"
    refused(it.carrier, 503, NUMBER)
    (state,) = limits_of(it.world, "outside")
    assert (state.limit, state.scope, state.now, state.refused) == ("five", "realm outside", 5, 2)
    hang_up(it.office, it.carrier, first, ok)
    connect(it.office, it.carrier, NUMBER)


def test_a_limit_that_a_network_gets_counts_calls_that_are_there() -> None:
    it = Cast(text())
    for _ in range(5):
        connect(it.office, it.carrier, NUMBER)
    it.world.receive(PolicyChanged(snapshot_of(text("limits: five"))))
    refused(it.office, 503)


def test_numbers_with_lines_of_their_own() -> None:
    it = Cast(text(numbers=NUMBERS))
    it.send(it.office, NUMBER, (), f"<sip:{OWN}@h>")
    it.office.expect_response(100)
    it.carrier.expect_request("INVITE")
    connect(it.carrier, it.office, OWN)
    refused(it.carrier, 503, OWN)
    assert [each["note"] for each in it.world.records[-1]["attempts"]] == ["limit calls of numbers +49309*"]  # type: ignore[attr-defined]
    it.send(it.office, NUMBER, (), f"<sip:{OWN}@h>")
    it.office.expect_response(503)
    connect(it.office, it.carrier, NUMBER)  # which shows no number
    (state,) = limits_of(it.world, "+49309123")
    assert (state.scope, state.now, state.refused) == ("numbers +49309*", 2, 2)


def test_a_call_to_such_a_number_lasts_no_longer_than_it_may() -> None:
    it = Cast(text(numbers=NUMBERS))
    connect(it.carrier, it.office, OWN)
    it.world.after(3599.0)
    it.office.inbox.clear()
    it.world.after(2.0)
    it.office.answer(it.office.expect_request("BYE"), 200)
