"""Re-INVITEs: hold, codec change, refresh, glare, refusal; and session timers."""

from __future__ import annotations

import pytest

from sbc.sip.message import Request
from tests.world import Agent, World, connect, sdp


def test_hold_and_resume_from_the_caller(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok, _ = connect(office, carrier, "+4930123456")
    office.send(office.within(invite, ok, "INVITE", cseq=2, body=sdp("10.0.0.20", 40000, version=2, direction="sendonly")))
    office.expect_response(100)
    hold = carrier.expect_request("INVITE")
    assert b"a=sendonly" in hold.body
    carrier.answer(hold, 200, body=sdp("10.1.0.2", 50000, version=2, direction="recvonly"))
    carrier.expect_request("ACK")
    held = office.expect_response(200)
    assert b"a=recvonly" in held.body
    office.send(office.within(invite, ok, "ACK", cseq=2))
    office.send(office.within(invite, ok, "INVITE", cseq=3, body=sdp("10.0.0.20", 40000, version=3)))
    office.expect_response(100)
    resume = carrier.expect_request("INVITE")
    assert b"a=sendonly" not in resume.body
    carrier.answer(resume, 200, body=sdp("10.1.0.2", 50000, version=3))
    carrier.expect_request("ACK")
    resumed = office.expect_response(200)
    assert b"a=recvonly" not in resumed.body
    office.send(office.within(invite, ok, "ACK", cseq=3))
    office.expect_nothing()


def test_hold_from_the_callee(world: World, office: Agent, carrier: Agent) -> None:
    _, _, received = connect(office, carrier, "+4930123456")
    carrier.send(carrier.within_received(received, "INVITE", cseq=7, body=sdp("10.1.0.2", 50000, version=2, direction="inactive")))
    carrier.expect_response(100)
    hold = office.expect_request("INVITE")
    assert b"a=inactive" in hold.body
    office.answer(hold, 200, body=sdp("10.0.0.20", 40000, version=2, direction="inactive"))
    office.expect_request("ACK")
    carrier.expect_response(200)
    carrier.send(carrier.within_received(received, "ACK", cseq=7))


def test_new_media_address_of_one_side_moves_the_relay_only(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok, _ = connect(office, carrier, "+4930123456")
    office.send(office.within(invite, ok, "INVITE", body=sdp("10.0.0.20", 41000, version=2)))
    reinvite = carrier.expect_request("INVITE")
    carrier.answer(reinvite, 200, body=sdp("10.1.0.2", 50000, version=1))
    carrier.expect_request("ACK")
    office.expect_response(100)
    office.expect_response(200)
    office.send(office.within(invite, ok, "ACK", cseq=2))
    assert world.updates[-1][0].remote == ("10.0.0.20", 41000)


def test_a_reinvite_that_changes_nothing_is_answered_here(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok, _ = connect(office, carrier, "+4930123456")
    office.send(office.within(invite, ok, "INVITE", body=sdp("10.0.0.20", 40000)))
    refreshed = office.expect_response(200)
    assert refreshed.body == ok.body, "same version, same octets (SDP-04)"
    office.send(office.within(invite, ok, "ACK", cseq=2))
    carrier.expect_nothing()


@pytest.mark.parametrize("status", [488, 491, 500])
def test_INV_09_a_refused_change_keeps_the_call(world: World, office: Agent, carrier: Agent, status: int) -> None:
    invite, ok, _ = connect(office, carrier, "+4930123456")
    before = len(world.updates)
    office.send(office.within(invite, ok, "INVITE", body=sdp("10.0.0.20", 41000, version=2)))
    carrier.answer(carrier.expect_request("INVITE"), status)
    carrier.expect_request("ACK")
    office.expect_response(100)
    refused = office.expect_response(status)
    office.send(office.within(invite, refused, "ACK"))
    assert len(world.updates) == before
    assert world.core.busy() == 1


@pytest.mark.parametrize("status", [481, 408])
def test_INV_09_a_change_that_finds_no_dialog_ends_the_call(world: World, office: Agent, carrier: Agent, status: int) -> None:
    invite, ok, _ = connect(office, carrier, "+4930123456")
    office.send(office.within(invite, ok, "INVITE", body=sdp("10.0.0.20", 41000, version=2)))
    carrier.answer(carrier.expect_request("INVITE"), status)
    carrier.expect_request("ACK")
    office.inbox.popleft()
    assert world.core.busy() == 0
    final = [message for message in office.inbox if not isinstance(message, Request)]
    assert [message.status for message in final] == [487], "the waiting re-INVITE gets its answer, too"
    assert [message.method for message in office.inbox if isinstance(message, Request)] == ["BYE"]


def test_UAS_06_second_reinvite_before_the_answer_to_the_first(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok, _ = connect(office, carrier, "+4930123456")
    office.send(office.within(invite, ok, "INVITE", cseq=2, body=sdp("10.0.0.20", 41000, version=2)))
    office.expect_response(100)
    office.send(office.within(invite, ok, "INVITE", cseq=3, body=sdp("10.0.0.20", 42000, version=3)))
    refused = office.expect_response(500)
    assert 0 <= int(refused.headers.first("Retry-After") or "-1") <= 10
    carrier.answer(carrier.expect_request("INVITE"), 488)
    office.expect_response(488)


def test_UAS_06_glare(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok, received = connect(office, carrier, "+4930123456")
    office.send(office.within(invite, ok, "INVITE", body=sdp("10.0.0.20", 41000, version=2)))
    ours = carrier.expect_request("INVITE")
    carrier.send(carrier.within_received(received, "INVITE", cseq=9, body=sdp("10.1.0.2", 51000, version=2)))
    carrier.expect_response(491)
    carrier.answer(ours, 200, body=sdp("10.1.0.2", 50000, version=2))
    carrier.expect_request("ACK")
    office.expect_response(100)
    office.expect_response(200)
    office.send(office.within(invite, ok, "ACK", cseq=2))


def test_INV_08_bye_crosses_a_reinvite(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok, _ = connect(office, carrier, "+4930123456")
    office.send(office.within(invite, ok, "INVITE", cseq=2, body=sdp("10.0.0.20", 41000, version=2)))
    reinvite = carrier.expect_request("INVITE")
    office.expect_response(100)
    office.send(office.within(invite, ok, "BYE", cseq=3))
    office.expect_response(200)
    office.expect_response(487)
    carrier.answer(carrier.expect_request("BYE"), 200)
    carrier.answer(reinvite, 487)


def test_cancel_of_a_reinvite_keeps_the_session(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok, _ = connect(office, carrier, "+4930123456")
    reinvite = office.within(invite, ok, "INVITE", cseq=2, body=sdp("10.0.0.20", 41000, version=2))
    office.send(reinvite)
    office.expect_response(100)
    office.cancel(reinvite)
    office.expect_response(200)
    office.expect_response(487)
    carrier.answer(carrier.expect_request("INVITE"), 200, body=sdp("10.1.0.2", 50000, version=2))
    assert world.core.busy() == 1


def test_INV_02_cancel_of_a_refused_reinvite_leaves_the_next_one_alone(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok, _ = connect(office, carrier, "+4930123456")
    office.send(office.within(invite, ok, "INVITE", cseq=2, body=sdp("10.0.0.20", 41000, version=2)))
    office.expect_response(100)
    second = office.within(invite, ok, "INVITE", cseq=3, body=sdp("10.0.0.20", 42000, version=3))
    office.send(second)
    office.expect_response(500)
    office.cancel(second)
    office.expect_response(200)
    office.expect_nothing()
    carrier.answer(carrier.expect_request("INVITE"), 200, body=sdp("10.1.0.2", 50000, version=2))
    office.expect_response(200)


def test_UAS_05_requests_out_of_order(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok, _ = connect(office, carrier, "+4930123456")
    office.send(office.within(invite, ok, "OPTIONS", cseq=10))
    office.expect_response(200)
    office.send(office.within(invite, ok, "BYE", cseq=9))
    office.expect_response(500)
    assert world.core.busy() == 1


@pytest.mark.parametrize("method", ["INFO", "REFER", "MESSAGE", "NOTIFY", "SUBSCRIBE"])
def test_requests_we_do_not_understand_are_answered_never_crossed(world: World, office: Agent, carrier: Agent, method: str) -> None:
    invite, ok, _ = connect(office, carrier, "+4930123456")
    office.send(office.within(invite, ok, method))
    refused = office.expect_response(405)
    assert "INVITE" in (refused.headers.first("Allow") or "")
    carrier.expect_nothing()


def test_another_dialog_of_the_same_call_id_is_refused(world: World, office: Agent, carrier: Agent) -> None:
    _, _, received = connect(office, carrier, "+4930123456")
    carrier.send(carrier.within_received(received, "BYE", tag="guessed"))
    carrier.expect_response(481)
    assert world.core.busy() == 1


# Session timers (RFC 4028)


def test_TMR_01_too_short_an_interval(world: World, office: Agent, carrier: Agent) -> None:
    office.invite("+4930123456", headers=(("Supported", "timer"), ("Session-Expires", "60")))
    office.expect_response(100)
    refused = office.expect_response(422)
    assert refused.headers.first("Min-SE") == "90"
    carrier.expect_nothing()


def test_TMR_01_the_caller_refreshes(world: World, office: Agent, carrier: Agent) -> None:
    office.invite("+4930123456", headers=(("Supported", "timer"), ("Session-Expires", "600;refresher=uac")))
    received = carrier.expect_request("INVITE")
    assert received.headers.first("Session-Expires") == "1800"
    assert "timer" in (received.headers.first("Supported") or "")
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))
    office.expect_response(100)
    ok = office.expect_response(200)
    assert ok.headers.first("Session-Expires") == "600;refresher=uac"
    assert ok.headers.first("Require") == "timer"
    office.ack(ok)
    carrier.inbox.clear()
    world.after(567)
    assert world.core.busy() == 1
    world.after(2)
    assert world.core.busy() == 0, "32 s before the end without a refresh"
    assert world.records[0]["note"] == "session timer expired"


def test_TMR_02_we_refresh_towards_the_callee(world: World, office: Agent, carrier: Agent) -> None:
    office.invite("+4930123456")
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000), headers=(("Session-Expires", "400;refresher=uac"), ("Require", "timer")))
    carrier.expect_request("ACK")
    office.expect_response(100)
    office.ack(office.expect_response(200))
    world.after(200)
    refresh = carrier.expect_request("INVITE")
    assert refresh.body == received.body, "the same description: no media change"
    assert refresh.headers.first("Session-Expires") == "400;refresher=uac"
    carrier.answer(refresh, 200, body=sdp("10.1.0.2", 50000), headers=(("Session-Expires", "400;refresher=uac"),))
    carrier.expect_request("ACK")
    office.expect_nothing()
    world.after(200)
    carrier.answer(carrier.expect_request("INVITE"), 481)
    assert world.core.busy() == 0
    carrier.inbox.clear()


def test_TMR_01_a_422_of_the_callee_is_obeyed_once(world: World, office: Agent, carrier: Agent) -> None:
    office.invite("+4930123456")
    first = carrier.expect_request("INVITE")
    carrier.answer(first, 422, headers=(("Min-SE", "3600"),))
    carrier.expect_request("ACK")
    second = carrier.expect_request("INVITE")
    assert (second.call_id, second.from_.tag, second.cseq.number) == (first.call_id, first.from_.tag, 2)
    assert second.headers.first("Session-Expires") == "3600"
    assert second.headers.first("Min-SE") == "3600"
    carrier.answer(second, 486)
    office.expect_response(100)
    office.expect_response(486)


def test_UAS_07_refresh_glare_backs_off(world: World, office: Agent, carrier: Agent) -> None:
    office.invite("+4930123456")
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000), headers=(("Session-Expires", "400;refresher=uac"),))
    carrier.expect_request("ACK")
    office.expect_response(100)
    office.ack(office.expect_response(200))
    world.after(200)
    carrier.answer(carrier.expect_request("INVITE"), 491)
    carrier.expect_request("ACK")
    world.after(2.0)
    carrier.expect_nothing()
    world.after(2.1)
    again = carrier.expect_request("INVITE")
    carrier.inbox.clear()  # its retransmissions
    carrier.answer(again, 200, body=sdp("10.1.0.2", 50000), headers=(("Session-Expires", "400;refresher=uas"),))
    carrier.expect_request("ACK")
    world.after(400)
    assert world.core.busy() == 0, "the callee promised to refresh and did not"
