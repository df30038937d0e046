"""Why a call ended or was refused, as each side hears it."""

from __future__ import annotations

import pytest

from sbc.sip.message import Request, Response
from tests.scenarios.cast import NUMBER, TRUSTED, Cast, policy
from tests.world import POLICY, Agent, World, connect, sdp

BLOCKED = 'SIP;cause=603;text="v=analytics1;url=https://redress.example.com/;id=12345";location=TN'


def refused(office: Agent, status: int) -> Response:
    """The final answer the caller gets, acknowledged."""
    response = office.expect_response(status)
    office.ack(response)
    return response


def call(office: Agent, carrier: Agent) -> Request:
    office.invite(NUMBER)
    office.expect_response(100)
    return carrier.expect_request("INVITE")


# RSN-01: Reason from end to end


@pytest.mark.parametrize(
    ("told", "carried"),
    [
        (["Q.850;cause=17"], ["Q.850;cause=17"]),
        (['Q.850 ;cause=16 ;text="a, b" , SIP;cause=200;text="x"'], ['Q.850 ;cause=16 ;text="a, b"', 'SIP;cause=200;text="x"']),
        (["SIP;cause=580", "Q.850;cause=47;location=RLN", "q.850;cause=1"], ["SIP;cause=580", "Q.850;cause=47;location=RLN"]),
        (['STIR;cause=436;text="a"', 'STIR;cause=438;text="b"'], ['STIR;cause=436;text="a"', 'STIR;cause=438;text="b"']),
        (["", ";cause=1", "Q.850;cause=x", 'SIP;text="open', "X"], ["X"]),
        ([f"P{number};cause=1" for number in range(20)], [f"P{number};cause=1" for number in range(8)]),
    ],
)
def test_RSN_01_reason_of_a_refusal(world: World, office: Agent, carrier: Agent, told: list[str], carried: list[str]) -> None:
    received = call(office, carrier)
    carrier.answer(received, 486, headers=tuple([("Reason", value) for value in told]))
    assert refused(office, 486).headers.all("Reason") == carried


def test_RSN_01_reason_of_bye_and_cancel(world: World, office: Agent, carrier: Agent) -> None:
    reasons = (("Reason", "Q.850;cause=31, SIP;cause=200"), ("Reason", 'X;cause=1;text="y"'))
    invite, ok, _ = connect(office, carrier, NUMBER)
    office.send(office.within(invite, ok, "BYE", headers=reasons))
    office.expect_response(200)
    bye = carrier.expect_request("BYE")
    assert bye.headers.all("Reason") == ["Q.850;cause=31", "SIP;cause=200", 'X;cause=1;text="y"']
    carrier.answer(bye, 200)
    assert world.records[0]["q850"] == 31


def test_RSN_01_reason_of_a_cancel(world: World, office: Agent, carrier: Agent) -> None:
    invite = office.invite(NUMBER)
    office.expect_response(100)
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 180)
    office.expect_response(180)
    cancel = office.request("CANCEL", str(invite.uri), call_id=invite.call_id, branch=invite.via.branch, from_tag=invite.from_.tag)
    cancel.headers.add("Reason", 'SIP;cause=200;text="Call completed elsewhere"')
    office.send(cancel)
    office.expect_response(200)
    office.expect_response(487)
    assert carrier.expect_request("CANCEL").headers.all("Reason") == ['SIP;cause=200;text="Call completed elsewhere"']


def test_RSN_01_reason_of_a_refused_change(world: World, office: Agent, carrier: Agent) -> None:
    _, _, received = connect(office, carrier, NUMBER)
    again = carrier.within_received(received, "INVITE", cseq=3, body=sdp("10.1.0.2", 50000, version=2, direction="sendonly"))
    carrier.send(again)
    carrier.expect_response(100)
    change = office.expect_request("INVITE")
    office.answer(change, 488, headers=(("Reason", "Q.850;cause=65"), ("Warning", '305 10.0.0.20 "x"')), tag="from-office")
    answer = carrier.expect_response(488)
    assert answer.headers.all("Reason") == ["Q.850;cause=65"]
    assert answer.headers.all("Warning") == ['305 sbc "Incompatible media format"']


def test_RSN_01_reason_of_an_answer_that_is_no_refusal(world: World, office: Agent, carrier: Agent) -> None:
    """RFC 9410: a verification service says on a 1xx or 2xx why it did not believe."""
    received = call(office, carrier)
    reason = (("Reason", 'STIR;cause=436;text="Bad Identity Info"'),)
    carrier.answer(received, 183, headers=reason)
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000), headers=reason)
    carrier.expect_request("ACK")
    assert office.expect_response(183).headers.all("Reason") == [reason[0][1]]
    ok = office.expect_response(200)
    assert ok.headers.all("Reason") == [reason[0][1]]
    office.ack(ok)


# BLK: 603+


@pytest.mark.parametrize("phrase", ["Network Blocked", "NETWORK BLOCKED"])
@pytest.mark.parametrize("keys", ["", "responses_from: {603: 480, 6xx: 486}", "responses_to: {603: 480, 6xx: 486}"])
def test_BLK_02_relayed_unchanged(keys: str, phrase: str) -> None:
    cast = Cast(policy(office=keys if "to" in keys else "", carrier=keys if "from" in keys else ""))
    received = cast.told()
    cast.carrier.answer(received, 603, phrase, headers=(("Reason", 'Q.850;cause=21;text="Call rejected"'), ("Reason", BLOCKED)))
    answer = cast.office.expect_response(603)
    assert answer.reason == phrase
    assert answer.headers.all("Reason") == ['Q.850;cause=21;text="Call rejected"', BLOCKED]


@pytest.mark.parametrize(("phrase", "reason"), [("Decline", BLOCKED), ("Network Blocked", "Q.850;cause=21")])
def test_BLK_02_a_plain_603_is_translated(phrase: str, reason: str) -> None:
    cast = Cast(policy(carrier="responses_from: {603: 480}"))
    cast.carrier.answer(cast.told(), 603, phrase, headers=(("Reason", reason),))
    answer = cast.office.expect_response(480)
    assert answer.reason == "Temporarily Unavailable"
    assert answer.headers.all("Reason") == [reason]


EAGER = POLICY.replace("next_on: [408, 5xx]", "next_on: [4xx, 5xx, 6xx]")


@pytest.mark.parametrize(("status", "phrase", "reason"), [(603, "Network Blocked", BLOCKED), (607, "Unwanted", ""), (608, "Rejected", "")])
def test_BLK_03_never_tried_on(status: int, phrase: str, reason: str) -> None:
    cast = Cast(EAGER)
    backup = cast.world.agent("backup", ("10.1.0.3", 5060), "inside")
    redress = "<https://block.example/redress.jws>;purpose=jwscard"
    headers = ((("Reason", reason),) if reason else ()) + (("Call-Info", redress), ("Call-Info", "<http://10.1.0.2/>;purpose=icon"))
    cast.carrier.answer(cast.told(), status, phrase, headers=headers)
    answer = cast.office.expect_response(status)
    assert answer.reason == phrase
    assert answer.headers.all("Call-Info") == ([redress] if status == 608 else [])
    backup.expect_nothing()


def test_BLK_03_who_calls_for_help_is_tried_on() -> None:
    cast = Cast(POLICY.replace('numbers: ["112"], send_to: [carrier]', 'numbers: ["112"], send_to: [carrier, backup]'))
    backup = cast.world.agent("backup", ("10.1.0.3", 5060), "inside")
    cast.carrier.answer(cast.told(number="112"), 603, "Network Blocked", headers=(("Reason", BLOCKED),))
    backup.expect_request("INVITE")


# INV-11


def test_INV_11_a_6xx_ends_the_hunt(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    carrier.answer(call(office, carrier), 600)
    assert refused(office, 600).reason == "Busy Everywhere"
    backup.expect_nothing()


def test_INV_11_unless_the_policy_knows_better() -> None:
    cast = Cast(EAGER)
    backup = cast.world.agent("backup", ("10.1.0.3", 5060), "inside")
    cast.carrier.answer(cast.told(), 603)
    backup.answer(backup.expect_request("INVITE"), 480)
    cast.office.expect_response(603)


@pytest.mark.parametrize(("status", "goes_on"), [(599, True), (499, False), (699, False)])
def test_INV_11_an_unknown_status_counts_as_the_first_of_its_class(status: int, goes_on: bool) -> None:
    cast = Cast(POLICY.replace("next_on: [408, 5xx]", "next_on: [500]"))
    backup = cast.world.agent("backup", ("10.1.0.3", 5060), "inside")
    cast.carrier.answer(cast.told(), status, "New In 2031")
    if goes_on:
        backup.expect_request("INVITE")
    else:
        assert cast.office.expect_response(status).reason == "New In 2031"


def test_INV_11_a_503_of_a_trunk_is_a_500_of_ours(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    carrier.answer(call(office, carrier), 503, headers=(("Retry-After", "60"), ("Reason", "Q.850;cause=34")))
    backup.answer(backup.expect_request("INVITE"), 503)
    answer = refused(office, 500)
    assert answer.reason == "Server Internal Error"
    assert "Retry-After" not in answer.headers


def test_INV_11_a_503_of_ours_is_one_when_we_have_no_room(world: World, office: Agent, carrier: Agent) -> None:
    world.drain()
    office.invite(NUMBER)
    assert 5 <= int(refused(office, 503).headers.first("Retry-After") or "") <= 30


# The best of several answers


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [(503, 486, 486), (408, 503, 408), (500, 502, 502), (502, 503, 502), (503, 600, 600), (500, 404, 404), (500, 401, 500)],
)
def test_the_best_answer_is_told(first: int, second: int, told: int, world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    carrier.answer(call(office, carrier), first, headers=(("Reason", "Q.850;cause=27"),) if first == told else ())
    backup.answer(backup.expect_request("INVITE"), second, headers=(("Reason", "Q.850;cause=38"),))
    answer = refused(office, told)
    assert answer.headers.all("Reason") == ["Q.850;cause=27" if first == told else "Q.850;cause=38"]
    assert world.records[0]["sip_status"] in (first, second)


def test_the_last_reason_is_told_when_the_best_answer_has_none(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    carrier.answer(call(office, carrier), 500)
    backup.answer(backup.expect_request("INVITE"), 503, headers=(("Reason", "Q.850;cause=38"),))
    assert refused(office, 500).headers.all("Reason") == ["Q.850;cause=38"]
    assert world.records[0]["q850"] == 38


# Warning


def test_warnings_cross_in_our_words(world: World, office: Agent, carrier: Agent) -> None:
    rows = ('305 10.1.0.2:5060 "no G.722 on 10.1.0.2", 399 switch "on fire"', '370 10.1.0.2 "x"', '305 y "again"', "broken", '398 h "new"')
    carrier.answer(call(office, carrier), 488, headers=tuple([("Warning", row) for row in rows]))
    answer = refused(office, 488)
    assert answer.headers.all("Warning") == ['305 sbc "Incompatible media format"', '370 sbc "Insufficient bandwidth"']
    assert b"10.1.0.2" not in answer.encode()
    assert world.records[0]["q850"] == 65


# Translation, trunk by trunk


def test_responses_from_a_trunk_are_taken_for_others_before_anything_else() -> None:
    """486 is taken for 503, and so the next target is tried; a class counts less than one of it."""
    cast = Cast(policy(carrier="responses_from: {4xx: 503, 486: 404}"))
    backup = cast.world.agent("backup", ("10.1.0.3", 5060), "inside")
    cast.carrier.answer(cast.told(), 480, "gone fishing", headers=(("Reason", "Q.850;cause=18"),))
    cast.carrier.expect_request("ACK")
    backup.answer(backup.expect_request("INVITE"), 484)
    assert cast.office.expect_response(484).reason == "Address Incomplete"
    attempt = cast.world.records[0]["attempts"][0]  # type: ignore[index]
    assert attempt == {"target": "carrier", "status": 503, "server": "UDP 10.1.0.2:5060", "note": "480 taken for 503"}
    cast.carrier.answer(cast.told(), 486)
    assert cast.office.expect_response(404).reason == "Not Found"


def test_responses_from_a_trunk_redirections_too() -> None:
    cast = Cast(policy(carrier="responses_from: {3xx: 486}"))
    cast.carrier.answer(cast.told(), 302, headers=(("Contact", "<sip:x@10.1.0.9>"),))
    answer = cast.office.expect_response(486)
    assert (answer.reason, "Contact" in answer.headers) == ("Busy Here", False)


def test_responses_to_a_trunk_are_translated_last_of_all() -> None:
    cast = Cast(policy(office="responses_to: {486: 480, 5xx: 503, 404: 604}"))
    cast.carrier.answer(cast.told(), 486, "Busy", headers=(("Reason", "Q.850;cause=17"), ("Retry-After", "5")))
    answer = cast.office.expect_response(480)
    assert (answer.reason, answer.headers.first("Reason")) == ("Temporarily Unavailable", "Q.850;cause=17")
    assert cast.world.records[0]["sip_status"] == 486, "the record has what happened"
    cast.office.inbox.clear()
    cast.world.drain()
    cast.office.invite(NUMBER)
    cast.office.expect_response(503)


def test_responses_to_a_trunk_also_when_we_refuse_ourselves() -> None:
    cast = Cast(policy(office="responses_to: {404: 604}"))
    cast.office.invite("4711")
    answer = cast.office.expect_response(604)
    assert (answer.reason, answer.headers.first("Reason")) == ("Does Not Exist Anywhere", 'Q.850;cause=1;text="Unallocated number"')


@pytest.mark.parametrize("direction", ["responses_from", "responses_to"])
def test_what_belongs_to_the_protocol_is_never_translated(direction: str) -> None:
    keys = f"{direction}: {{4xx: 600}}"
    cast = Cast(policy(office=keys if "to" in direction else "", carrier=keys if "from" in direction else ""))
    invite = cast.send(cast.office, NUMBER, ())
    cast.office.expect_response(100)
    received = cast.carrier.expect_request("INVITE")
    cast.carrier.answer(received, 180)
    cast.office.expect_response(180)
    cast.office.cancel(invite)
    cast.office.expect_response(200)
    cast.office.expect_response(487)
    cast.carrier.answer(cast.carrier.expect_request("CANCEL"), 200)
    cast.carrier.answer(received, 487)
    assert cast.world.records[0]["sip_status"] == 487


# Answers of our own (section by section, what a caller hears of our rules)


@pytest.mark.parametrize(
    ("number", "status", "reason"),
    [("4711", 404, 'Q.850;cause=1;text="Unallocated number"'), ("+0", 484, 'Q.850;cause=28;text="Invalid number format"')],
)
def test_a_number_nobody_has(world: World, office: Agent, number: str, status: int, reason: str) -> None:
    office.invite(number)
    assert refused(office, status).headers.all("Reason") == [reason]


def test_a_limit_of_the_callee_is_told_as_no_circuit() -> None:
    cast = Cast(POLICY.replace("send_to: [carrier, backup]", "send_to: [carrier]"))
    for _ in range(2):
        connect(cast.office, cast.carrier, NUMBER)
    cast.office.invite(NUMBER)
    cast.office.expect_response(100)
    assert refused(cast.office, 503).headers.all("Reason") == ['Q.850;cause=34;text="limit"']


def test_what_came_with_a_refusal_crosses_by_trust() -> None:
    for office, expected in ((TRUSTED, 1), ("", 0)):
        cast = Cast(policy(office=office, carrier=TRUSTED))
        headers = (("P-Asserted-Identity", "<sip:+4930999@10.1.0.2>"), ("Privacy", "id"))
        cast.carrier.answer(cast.told(), 486, headers=headers)
        assert len(cast.office.expect_response(486).headers.all("P-Asserted-Identity")) == expected
