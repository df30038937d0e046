"""Reliable provisional responses (RFC 3262) on each leg by itself, and the offers and answers they and their PRACKs carry (RFC 6337)."""

from __future__ import annotations

import pytest

from sbc.sip.message import Request, Response
from tests.world import POLICY, Agent, World, sdp

REQUIRED = (("Require", "100rel"),)
SUPPORTED = (("Supported", "100rel"),)


def statuses(agent: Agent) -> list[int | str]:
    return [message.method if isinstance(message, Request) else message.status for message in agent.inbox]


def reliable(rseq: int) -> tuple[tuple[str, str], ...]:
    return (("Require", "100rel"), ("RSeq", str(rseq)), ("Allow", "INVITE, ACK, BYE, CANCEL, PRACK, UPDATE"))


def rseq_of(response: Response) -> int:
    assert response.headers.first("Require") == "100rel"
    return int(response.headers.first("RSeq") or "0")


def prack(agent: Agent, invite: Request, response: Response, *, cseq: int = 2, body: bytes = b"", rack: str = "") -> Request:
    headers = (("RAck", rack or f"{rseq_of(response)} {response.cseq}"),)
    request = agent.within(invite, response, "PRACK", cseq=cseq, body=body, headers=headers)
    agent.send(request)
    return request


def ring(
    office: Agent, carrier: Agent, headers: tuple[tuple[str, str], ...], rseq: int | None = None, body: bytes = b""
) -> tuple[Request, Request, Response]:
    """The caller's INVITE, the callee's, and the 18x the caller gets; reliable from the callee with `rseq`."""
    invite = office.invite("+4930123456", headers=headers)
    office.expect_response(100)
    received = carrier.expect_request("INVITE")
    status = 183 if body else 180
    carrier.answer(received, status, body=body, headers=reliable(rseq) if rseq is not None else ())
    if rseq is not None:
        carrier.answer(carrier.expect_request("PRACK"), 200)
    return invite, received, office.expect_response(status)


# The caller requires it


def test_REL_01_every_18x_is_reliable_and_repeated_without_ceiling(world: World, office: Agent, carrier: Agent) -> None:
    invite, received, ringing = ring(office, carrier, REQUIRED)
    assert 1 <= rseq_of(ringing) < 2**31
    sent = []
    for _ in range(31):
        world.after(1)
        sent += [office.inbox.popleft() for _ in range(len(office.inbox))]
    assert len(sent) == 5, "after 0.5, 1.5, 3.5, 7.5, 15.5 s: the interval doubles past T2"
    assert {message.encode() for message in sent} == {ringing.encode()}
    prack(office, invite, ringing)
    office.expect_response(200)
    world.after(20)
    office.expect_nothing()
    carrier.answer(received, 486)


def test_REL_01_no_prack_within_64_t1_ends_the_attempt(world: World, office: Agent, carrier: Agent) -> None:
    _, received, _ = ring(office, carrier, REQUIRED)
    world.after(32.1)
    assert statuses(office)[-1] == 504
    assert statuses(carrier) == ["CANCEL"]
    carrier.answer(received, 487)
    assert world.records[0]["note"] == "no PRACK"


def test_REL_01_the_second_waits_for_the_prack_of_the_first(world: World, office: Agent, carrier: Agent) -> None:
    invite, received, ringing = ring(office, carrier, REQUIRED)
    carrier.answer(received, 181)
    carrier.answer(received, 182)
    office.expect_nothing()
    prack(office, invite, ringing)
    office.expect_response(200)
    forwarded = office.expect_response(181)
    assert rseq_of(forwarded) == rseq_of(ringing) + 1
    office.expect_nothing()
    prack(office, invite, forwarded, cseq=3)
    office.expect_response(200)
    assert rseq_of(office.expect_response(182)) == rseq_of(ringing) + 2


def test_REL_01_rseq_starts_at_random(office: Agent, carrier: Agent) -> None:
    firsts = set()
    for _ in range(3):
        invite, received, ringing = ring(office, carrier, REQUIRED)
        firsts.add(rseq_of(ringing))
        prack(office, invite, ringing)
        office.expect_response(200)
        carrier.answer(received, 486)
        carrier.expect_request("ACK")
        office.ack(office.expect_response(486))
    assert len(firsts) == 3


def test_REL_02_a_prack_of_nothing(world: World, office: Agent, carrier: Agent) -> None:
    invite, received, ringing = ring(office, carrier, REQUIRED)
    rseq = rseq_of(ringing)
    for cseq, rack in enumerate((f"{rseq + 1} 1 INVITE", f"{rseq} 2 INVITE", f"{rseq} 1 UPDATE"), 2):
        prack(office, invite, ringing, cseq=cseq, rack=rack)
        office.expect_response(481)
    prack(office, invite, ringing, cseq=6, rack="nonsense")
    office.expect_response(400)
    office.send(office.within(invite, ringing, "PRACK", cseq=7))
    office.expect_response(400)
    prack(office, invite, ringing, cseq=8)
    office.expect_response(200)
    prack(office, invite, ringing, cseq=9)
    office.expect_response(481)
    carrier.answer(received, 486)
    office.expect_response(486)


def test_REL_02_a_repeated_prack_gets_its_200_again(office: Agent, carrier: Agent) -> None:
    invite, _, ringing = ring(office, carrier, REQUIRED)
    request = prack(office, invite, ringing)
    office.expect_response(200)
    office.send(request)
    office.expect_response(200)


def test_REL_02_the_2xx_waits_for_the_prack_of_a_description(world: World, office: Agent, carrier: Agent) -> None:
    invite, received, early = ring(office, carrier, REQUIRED, body=sdp("10.1.0.2", 50000))
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))
    carrier.expect_request("ACK")
    office.expect_nothing()
    prack(office, invite, early)
    office.expect_response(200)
    ok = office.expect_response(200)
    assert ok.cseq.method == "INVITE"
    assert ok.body == b"", "the answer has been given and acknowledged"
    office.ack(ok)
    assert world.updates[-1][0].remote == ("10.0.0.20", 40000)


def test_REL_02_a_2xx_does_not_wait_where_nothing_was_described(office: Agent, carrier: Agent) -> None:
    invite, received, ringing = ring(office, carrier, REQUIRED)
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))
    ok = office.expect_response(200)
    assert b"m=audio" in ok.body
    prack(office, invite, ringing)
    office.expect_response(200)
    office.ack(ok)


def test_REL_02_the_callee_hangs_up_while_its_2xx_waits(world: World, office: Agent, carrier: Agent) -> None:
    _, received, _ = ring(office, carrier, REQUIRED, body=sdp("10.1.0.2", 50000))
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))
    carrier.expect_request("ACK")
    carrier.send(carrier.within_received(received, "BYE"))
    carrier.expect_response(200)
    office.expect_response(480)
    assert world.records[0]["answered"] is None, "nobody pays for a call that the caller never had"


def test_REL_02_the_caller_cancels_while_the_2xx_waits(world: World, office: Agent, carrier: Agent) -> None:
    invite, received, _ = ring(office, carrier, REQUIRED, body=sdp("10.1.0.2", 50000))
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))
    carrier.expect_request("ACK")
    office.cancel(invite)
    office.expect_response(200)
    office.ack(office.expect_response(487))
    carrier.answer(carrier.expect_request("BYE"), 200)
    assert world.records[0]["answered"] is None


def test_REL_02_no_prack_while_the_2xx_waits(world: World, office: Agent, carrier: Agent) -> None:
    _, received, _ = ring(office, carrier, REQUIRED, body=sdp("10.1.0.2", 50000))
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))
    carrier.expect_request("ACK")
    world.after(32.1)
    assert statuses(office)[-1] == 504
    carrier.answer(carrier.expect_request("BYE"), 200)


def test_REL_01_never_for_100_and_never_after_a_final_answer(world: World, office: Agent, carrier: Agent) -> None:
    office.invite("+4930123456", headers=REQUIRED)
    assert "RSeq" not in office.expect_response(100).headers
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 180)
    office.expect_response(180)
    carrier.answer(received, 486)
    office.ack(office.expect_response(486))
    world.after(40)
    office.expect_nothing()


def test_UAS_09_a_reliable_180_is_repeated_as_a_new_one_each_minute() -> None:
    world = World(POLICY.replace("ring_for: 60s", "ring_for: 5m"))
    office = world.agent("office", ("10.0.0.20", 5060), "outside")
    carrier = world.agent("carrier", ("10.1.0.2", 5060), "inside")
    invite, _, ringing = ring(office, carrier, REQUIRED)
    for minute in range(3):
        prack(office, invite, ringing, cseq=2 + minute)
        office.expect_response(200)
        world.after(58)
        office.expect_nothing()
        world.after(2.1)
        again = office.expect_response(180)
        assert rseq_of(again) == rseq_of(ringing) + 1
        ringing = again


# The callee uses it


@pytest.mark.parametrize("rseq", [1, 988789, 2**32 - 1])
def test_REL_04_a_caller_without_100rel_never_notices(world: World, office: Agent, carrier: Agent, rseq: int) -> None:
    invite = office.invite("+4930123456")
    office.expect_response(100)
    received = carrier.expect_request("INVITE")
    assert "100rel" in (received.headers.first("Supported") or "")
    carrier.answer(received, 183, body=sdp("10.1.0.2", 50000), headers=reliable(rseq))
    acknowledgement = carrier.expect_request("PRACK")
    assert acknowledgement.headers.first("RAck") == f"{rseq} 1 INVITE"
    assert acknowledgement.to.tag == "to-carrier"
    assert acknowledgement.cseq.number == 2
    carrier.answer(acknowledgement, 200)
    early = office.expect_response(183)
    assert "RSeq" not in early.headers
    assert "Require" not in early.headers
    assert b"m=audio" in early.body
    carrier.answer(received, 200)
    carrier.expect_request("ACK")
    ok = office.expect_response(200)
    assert ok.body == early.body, "SDP-06: an answer given again is the same"
    office.ack(ok)
    office.send(office.within(invite, ok, "BYE"))
    bye = carrier.expect_request("BYE")
    assert bye.cseq.number == 3, "the PRACK counted"
    carrier.answer(bye, 200)


def test_REL_04_both_sides_each_for_itself(world: World, office: Agent, carrier: Agent) -> None:
    invite, received, early = ring(office, carrier, SUPPORTED, rseq=700, body=sdp("10.1.0.2", 50000))
    assert rseq_of(early) != 700
    prack(office, invite, early)
    office.expect_response(200)
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))
    carrier.expect_request("ACK")
    ok = office.expect_response(200)
    assert ok.body == b""
    office.ack(ok)
    a, b = world.updates[-1]
    assert (a.remote, b.remote) == (("10.0.0.20", 40000), ("10.1.0.2", 50000))


def test_REL_04_a_caller_that_only_supports_it_is_not_asked_for_more(office: Agent, carrier: Agent) -> None:
    _, _, ringing = ring(office, carrier, SUPPORTED)
    assert "RSeq" not in ringing.headers


def test_REL_04_neither_side(office: Agent, carrier: Agent) -> None:
    _, _, ringing = ring(office, carrier, ())
    assert "RSeq" not in ringing.headers


def test_REL_04_an_offerless_caller_who_cannot_answer_early_is_not_the_reason_for_an_early_offer(office: Agent, carrier: Agent) -> None:
    office.invite("+4930123456", b"")
    assert "100rel" not in (carrier.expect_request("INVITE").headers.first("Supported") or "")
    office.cancel(office.last_invite)  # type: ignore[arg-type]


def test_REL_03_in_order_once_and_acknowledged_again(world: World, office: Agent, carrier: Agent) -> None:
    office.invite("+4930123456")
    office.expect_response(100)
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 180, headers=reliable(10))
    first = carrier.expect_request("PRACK")
    carrier.answer(first, 200)
    office.expect_response(180)
    carrier.answer(received, 182, headers=reliable(12))
    carrier.expect_nothing()
    office.expect_nothing()
    carrier.answer(received, 181, headers=reliable(11))
    second = carrier.expect_request("PRACK")
    assert second.headers.first("RAck") == "11 1 INVITE"
    carrier.answer(second, 200)
    office.expect_response(181)
    carrier.answer(received, 181, headers=reliable(11))
    assert carrier.expect_request("PRACK").encode() == second.encode(), "the same octets, one transaction"
    office.expect_nothing()
    carrier.answer(received, 180, headers=reliable(10))
    carrier.expect_nothing()
    carrier.answer(received, 182, headers=reliable(12))
    carrier.answer(carrier.expect_request("PRACK"), 200)
    office.expect_response(182)


def test_REL_03_a_lost_prack_is_repeated_by_its_transaction(world: World, office: Agent, carrier: Agent) -> None:
    office.invite("+4930123456")
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 180, headers=reliable(10))
    world.after(0.6)
    assert statuses(carrier) == ["PRACK", "PRACK"]
    office.inbox.clear()


@pytest.mark.parametrize("status", [481, 500])
def test_REL_03_a_refused_prack_is_no_reason_to_end_the_call(office: Agent, carrier: Agent, status: int) -> None:
    office.invite("+4930123456")
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 180, headers=reliable(10))
    carrier.answer(carrier.expect_request("PRACK"), status)
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))
    carrier.expect_request("ACK")
    assert statuses(office) == [100, 180, 200]
    office.ack(office.inbox.pop())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "headers",
    [(("Require", "100rel"),), (("RSeq", "5"),), (("Require", "100rel"), ("RSeq", "x")), (("Require", "100rel"), ("RSeq", "0"))],
    ids=["no RSeq", "no Require", "no number", "zero"],
)
def test_REL_03_what_cannot_be_acknowledged_rings_all_the_same(office: Agent, carrier: Agent, headers: tuple[tuple[str, str], ...]) -> None:
    office.invite("+4930123456")
    carrier.answer(carrier.expect_request("INVITE"), 180, headers=headers)
    carrier.expect_nothing()
    assert statuses(office) == [100, 180]


def test_REL_03_each_fork_counts_by_itself(office: Agent, carrier: Agent) -> None:
    office.invite("+4930123456")
    received = carrier.expect_request("INVITE")
    for tag, rseq in (("one", 100), ("two", 7), ("one", 101), ("two", 8)):
        carrier.answer(received, 180, headers=reliable(rseq), tag=tag)
        acknowledgement = carrier.expect_request("PRACK")
        assert (acknowledgement.to.tag, acknowledgement.headers.first("RAck")) == (tag, f"{rseq} 1 INVITE")
        carrier.answer(acknowledgement, 200)


def test_REL_03_the_prack_follows_the_route_of_its_early_dialog(world: World, office: Agent, carrier: Agent) -> None:
    proxy = world.agent("proxy", ("10.1.0.2", 5070), "inside")
    office.invite("+4930123456")
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 180, headers=(*reliable(1), ("Record-Route", "<sip:10.1.0.2:5070;lr>")))
    assert proxy.expect_request("PRACK").headers.all("Route") == ["<sip:10.1.0.2:5070;lr>"]


# Offers and answers in them: patterns 3, 4 and 5 of RFC 6337 s2.2


def test_SDP_06_pattern_4_the_offer_in_a_reliable_1xx_is_answered_in_prack(world: World, office: Agent, carrier: Agent) -> None:
    invite = office.invite("+4930123456", b"", headers=SUPPORTED)
    office.expect_response(100)
    received = carrier.expect_request("INVITE")
    assert received.body == b""
    carrier.answer(received, 183, body=sdp("10.1.0.2", 50000, "8 101"), headers=reliable(5))
    carrier.expect_nothing()
    offered = office.expect_response(183)
    assert b"m=audio" in offered.body
    prack(office, invite, offered, body=sdp("10.0.0.20", 40000, "8 101"))
    office.expect_response(200)
    answered = carrier.expect_request("PRACK")
    assert b"m=audio 30" in answered.body
    carrier.answer(answered, 200)
    a, b = world.updates[-1]
    assert (a.remote, b.remote) == (("10.0.0.20", 40000), ("10.1.0.2", 50000))
    carrier.answer(received, 200)
    assert carrier.expect_request("ACK").body == b""
    ok = office.expect_response(200)
    assert ok.body == b""
    office.ack(ok)
    assert world.core.busy() == 1


def test_SDP_06_pattern_4_without_an_answer_in_prack(world: World, office: Agent, carrier: Agent) -> None:
    invite = office.invite("+4930123456", b"", headers=SUPPORTED)
    office.expect_response(100)
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 183, body=sdp("10.1.0.2", 50000), headers=reliable(5))
    prack(office, invite, office.expect_response(183))
    office.expect_response(200)
    assert isinstance(office.inbox[-1], Response)
    assert office.inbox[-1].status in (400, 488)
    carrier.expect_request("CANCEL")
    carrier.answer(received, 487)


def test_SDP_06_pattern_4_an_offer_the_caller_could_not_take(office: Agent, carrier: Agent) -> None:
    office.invite("+4930123456", b"", headers=SUPPORTED)
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 183, body=sdp("10.1.0.2", 50000, "96"), headers=reliable(5))
    refused = carrier.expect_request("PRACK")
    assert b"m=audio 0 " in refused.body
    carrier.answer(refused, 200)
    carrier.expect_request("CANCEL")
    carrier.answer(received, 487)
    assert statuses(office) == [100, 488]


def test_REL_03_nothing_is_acknowledged_while_an_offer_waits_for_its_answer(office: Agent, carrier: Agent) -> None:
    invite = office.invite("+4930123456", b"", headers=SUPPORTED)
    office.expect_response(100)
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 183, body=sdp("10.1.0.2", 50000), headers=reliable(5))
    offered = office.expect_response(183)
    carrier.answer(received, 180, headers=reliable(6))
    carrier.answer(received, 183, body=sdp("10.1.0.2", 50000), headers=reliable(5))
    carrier.expect_nothing()
    prack(office, invite, offered, body=sdp("10.0.0.20", 40000))
    office.expect_response(200)
    assert carrier.expect_request("PRACK").headers.first("RAck") == "5 1 INVITE"
    carrier.answer(received, 180, headers=reliable(6))
    assert carrier.expect_request("PRACK").headers.first("RAck") == "6 1 INVITE"


def test_TMR_01_early_dialogs_end_with_the_invite_that_a_422_refused(office: Agent, carrier: Agent) -> None:
    office.invite("+4930123456")
    office.expect_response(100)
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 183, body=sdp("10.1.0.2", 50000), headers=reliable(5))
    carrier.expect_request("PRACK")
    carrier.answer(received, 422, headers=(("Min-SE", "3600"),))
    carrier.expect_request("ACK")
    again = carrier.expect_request("INVITE")
    carrier.answer(again, 200, body=sdp("10.1.0.2", 51000))
    carrier.expect_request("ACK")
    early, ok = office.expect_response(183), office.expect_response(200)
    assert (ok.to.tag, ok.body) == (early.to.tag, early.body)
    office.ack(ok)


def test_SDP_06_pattern_5_an_offer_in_prack_is_answered_in_its_200(world: World, office: Agent, carrier: Agent) -> None:
    invite, received, early = ring(office, carrier, REQUIRED, rseq=1, body=sdp("10.1.0.2", 50000))
    prack(office, invite, early, body=sdp("10.0.0.20", 41000, version=2, direction="sendonly"))
    answered = office.expect_response(200)
    assert b"a=recvonly" in answered.body
    assert world.updates[-1][0].remote == ("10.0.0.20", 41000)
    update = carrier.expect_request("UPDATE")
    assert b"a=sendonly" in update.body, "the callee hears of the hold as soon as it can"
    carrier.answer(update, 200, body=sdp("10.1.0.2", 50000, version=2, direction="recvonly"))
    carrier.answer(received, 200)
    carrier.expect_request("ACK")
    ok = office.expect_response(200)
    assert ok.body == b""
    office.ack(ok)


def test_SDP_06_pattern_5_a_callee_without_update_hears_of_it_once_it_has_answered(office: Agent, carrier: Agent) -> None:
    invite = office.invite("+4930123456", headers=REQUIRED)
    office.expect_response(100)
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 183, body=sdp("10.1.0.2", 50000))
    early = office.expect_response(183)
    prack(office, invite, early, body=sdp("10.0.0.20", 40000, version=2, direction="sendonly"))
    assert b"a=recvonly" in office.expect_response(200).body
    carrier.expect_nothing()
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))
    carrier.expect_request("ACK")
    assert b"a=sendonly" in carrier.expect_request("INVITE").body
    office.ack(office.expect_response(200))


def test_SDP_06_an_offer_in_prack_before_the_first_one_is_answered(office: Agent, carrier: Agent) -> None:
    invite, _, ringing = ring(office, carrier, REQUIRED)
    prack(office, invite, ringing, body=sdp("10.0.0.20", 41000, version=2))
    refused = office.expect_response(500)
    assert 0 <= int(refused.headers.first("Retry-After") or "-1") <= 10
