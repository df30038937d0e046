"""Emergency calls: of those we know whatever is against it, of strangers as many as the policy takes."""

from __future__ import annotations

import re

import pytest

from sbc.inputs import PolicyChanged
from sbc.shield.queue import Rank
from sbc.sip.message import Request, Response
from tests.scenarios.cast import ANONYMOUS_FROM, Cast, policy
from tests.scenarios.test_registration import DOMAIN, credentials, registered
from tests.world import POLICY, Agent, World, sdp, snapshot_of

EMERGENCY = '  outside: {numbers: ["112"], send_to: [carrier]}\n'
HELPED = EMERGENCY.replace("}", ", strangers: {media: plain, calls: 2, new_calls: 6/m}}")
WITH_HELP = POLICY.replace(EMERGENCY, HELPED)


def stranger(world: World, number: int = 1) -> Agent:
    return world.agent(f"stranger{number}", (f"198.51.100.{number}", 5060), "outside")


def call(agent: Agent, number: str = "112", call_id: str = "", *headers: tuple[str, str]) -> Request:
    request = agent.request("INVITE", f"sip:{number}@{DOMAIN}", call_id=call_id, body=sdp(agent.host, 40000), headers=headers)
    agent.last_invite = request
    agent.send(request)
    return request


def helped(world: World, agent: Agent, carrier: Agent) -> Request:
    call(agent)
    agent.expect_response(100)
    return carrier.expect_request("INVITE")


def test_a_stranger_gets_no_help_unless_the_policy_says_so() -> None:
    people = Cast(POLICY)
    somebody = stranger(people.world)
    call(somebody)
    somebody.expect_response(401)
    people.carrier.expect_nothing()


@pytest.mark.parametrize("number", ["112", "1-1-2", "%31%31%32", "112;phone-context=+49"])
def test_REG_04_HDR_13_a_stranger_is_helped(number: str) -> None:
    people = Cast(WITH_HELP)
    somebody = stranger(people.world)
    call(somebody, number)
    somebody.expect_response(100)
    received = people.carrier.expect_request("INVITE")
    assert received.uri.user == "112"
    assert "P-Asserted-Identity" not in received.headers, "nothing is known of a stranger"
    people.carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))
    people.carrier.expect_request("ACK")
    ok = somebody.expect_response(200)
    somebody.ack(ok)
    assert somebody.last_invite is not None
    people.world.after(3)
    somebody.send(somebody.within(somebody.last_invite, ok, "REFER", headers=(("Refer-To", "<sip:+4930@h>"),)))
    somebody.expect_response(405)
    somebody.send(somebody.within(somebody.last_invite, ok, "BYE", cseq=3))
    somebody.expect_response(200)
    people.carrier.answer(people.carrier.expect_request("BYE"), 200)
    (record,) = people.world.records
    assert (record["emergency"], record["identified_by"], record["a"]["trunk"]) == (True, "emergency", "stranger.outside")  # type: ignore[index]
    people.world.expect_nothing_left()


@pytest.mark.parametrize("number", ["+49112", "1120000", "0112", "+112", "+4930123456", "carrier"])
def test_and_with_nothing_else(number: str) -> None:
    people = Cast(WITH_HELP)
    somebody = stranger(people.world)
    call(somebody, number)
    somebody.expect_response(401)
    somebody.send(somebody.request("MESSAGE", f"sip:112@{DOMAIN}", headers=(("Subject", "x" * 400),)))
    somebody.expect_response(401)
    people.carrier.expect_nothing()


def test_OVL_02_a_call_for_help_goes_before_other_strangers() -> None:
    people, without = Cast(WITH_HELP), Cast(POLICY)
    for number, expected in (("112", Rank.PLEA), ("1-1-2", Rank.PLEA), ("1120", Rank.UNKNOWN), ("+4930123456", Rank.UNKNOWN)):
        somebody = stranger(people.world)
        invite = somebody.request("INVITE", f"sip:{number}@{DOMAIN}")
        assert people.world.core.rank(invite, somebody.flow) == expected
        assert without.world.core.rank(invite, somebody.flow) == Rank.UNKNOWN, "where none is helped"
    options = somebody.request("OPTIONS", f"sip:112@{DOMAIN}")
    assert people.world.core.rank(options, somebody.flow) == Rank.UNKNOWN


def test_strangers_share_so_many_calls() -> None:
    """Two at a time, and then one in ten seconds; what is refused leaves nothing behind."""
    people = Cast(WITH_HELP)
    world, carrier = people.world, people.carrier
    first, second, third = (stranger(world, number) for number in (1, 2, 3))
    received = helped(world, first, carrier)
    helped(world, second, carrier)
    before = world.core.leftovers()
    call(third)
    assert third.expect_response(503).headers.first("Retry-After") == "5"
    assert world.core.leftovers() == before
    carrier.expect_nothing()
    carrier.answer(received, 486)
    carrier.expect_request("ACK")
    first.expect_response(486)
    first.ack(Response.answer(first.last_invite, 486, to_tag="x"))  # type: ignore[arg-type]
    call(third, call_id="again")
    third.expect_response(503)  # a place is free, but they come too fast
    world.after(11)
    carrier.inbox.clear()
    call(third, call_id="later")
    third.expect_response(100)


def test_a_flood_of_strangers_is_bounded_and_costs_nobody_else_anything() -> None:
    people = Cast(WITH_HELP.replace("6/m", "50/s"))
    world, office, carrier = people.world, people.office, people.carrier
    for number in range(1, 200):
        call(stranger(world, number), call_id=f"flood-{number}")
    assert world.core.busy() == 2
    carrier.inbox.clear()
    office.invite("112")
    office.expect_response(100)
    carrier.expect_request("INVITE")
    registered(people.alice)


def test_who_is_ours_is_asked_first_and_helped_even_so() -> None:
    people = Cast(WITH_HELP)
    phone = people.world.agent("alice", ("203.0.113.9", 5060), "outside")
    request = call(phone)
    challenge = phone.expect_response(401)
    people.carrier.expect_nothing()
    right = credentials(challenge, request)
    call(phone, "112", "known", right)
    phone.expect_response(100)
    people.carrier.expect_request("INVITE")
    (call_of_alice,) = people.world.calls()
    assert call_of_alice.facts.identified_by == "digest"
    wrong = (right[0], right[1].replace('response="', 'response="0'))
    call(phone, "112", "wrong", wrong)
    phone.expect_response(100)
    people.carrier.expect_request("INVITE")


AGAINST_IT = (
    'foreign_numbers: refuse; numbers: ["+4930999"]; refuse_from: [invalid, DE, "GB geographic"]; '
    "refuse_to: [DE, GB, invalid]; limits: none-left"
)


def test_REG_04_nothing_stops_who_we_know() -> None:
    """Every limit is reached, every refusal applies, every block matches, we drain: the emergency call goes through."""
    text = policy(office=AGAINST_IT, carrier="blocks: [all]; refuse_anonymous: true; limits: none-left")
    text = text.replace("    limits: carrier\n", "", 1)
    text += 'blocks: {all: {callers: ["+49*", "+44*", "office"]}}\n'
    text = text.replace("limits:\n", "limits:\n  none-left: {calls: 1, new_calls: 1/h, requests: 1/h}\n", 1)
    people = Cast(text)
    office, carrier = people.office, people.carrier
    office.invite("+33123456789", call_id="first")  # not of the kinds that are refused
    office.inbox.clear()
    carrier.inbox.clear()
    office.invite("+33123456780", call_id="second")
    assert isinstance(last := office.inbox.pop(), Response)
    assert last.status >= 400
    people.world.drain()
    people.send(office, "112", (("Privacy", "critical;unknown"), ("Require", "privacy")), ANONYMOUS_FROM)
    office.expect_response(100)
    assert carrier.expect_request("INVITE").uri.user == "112"


def test_who_is_helped_is_a_stranger_still() -> None:
    """Or one call for help, which takes no proof, would buy whoever floods us a place among those we know."""
    people = Cast(WITH_HELP.replace("[udp://", "[tcp://10.0.0.1:5060, udp://", 1))
    somebody = people.world.agent("app", ("198.51.100.9", 40000), "outside", "TCP", 77)
    helped(people.world, somebody, people.carrier)
    assert people.world.vouched == []
    assert people.world.core.rank(None, somebody.flow) == Rank.SEEN


def test_who_proves_itself_after_it_was_helped_is_known_by_its_own_name() -> None:
    """And its connection goes when the policy has it no more, as that of anybody else does."""
    text = WITH_HELP.replace("[udp://", "[tcp://10.0.0.1:5060, udp://", 1)
    people = Cast(text)
    somebody = people.world.agent("app", ("198.51.100.9", 40000), "outside", "TCP", 77)
    helped(people.world, somebody, people.carrier)
    registered(somebody)
    assert people.world.vouched[-1] == somebody.flow
    assert people.world.core.rank(None, somebody.flow) == Rank.AUTHENTICATED
    assert people.world.core.departed() == ()
    people.world.receive(PolicyChanged(snapshot_of(re.sub(r"\balice\b(?!\.secret)", "bob", text))))
    assert people.world.core.departed() == (somebody.flow,)


def test_a_local_number_within_a_country_is_the_emergency_number() -> None:
    people = Cast(WITH_HELP)
    somebody = stranger(people.world)
    request = somebody.request("INVITE", "tel:112;phone-context=+49", body=sdp(somebody.host, 40000))
    somebody.last_invite = request
    somebody.send(request)
    somebody.expect_response(100)
    assert people.carrier.expect_request("INVITE").uri.user == "112"
