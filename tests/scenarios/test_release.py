"""Calls that are not answered: CANCEL and its races, refusals, silence, and the next target."""

from __future__ import annotations

import pytest

from sbc.sip.message import Response
from tests.world import Agent, World, sdp


def ring(office: Agent, carrier: Agent) -> tuple[object, object]:
    invite = office.invite("+4930123456")
    office.expect_response(100)
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 180)
    office.expect_response(180)
    return invite, received


def test_INV_02_cancel_while_ringing(world: World, office: Agent, carrier: Agent) -> None:
    invite, received = ring(office, carrier)
    office.cancel(invite)  # type: ignore[arg-type]
    office.expect_response(200)
    office.ack(office.expect_response(487))
    cancel = carrier.expect_request("CANCEL")
    assert cancel.via.branch == received.via.branch  # type: ignore[attr-defined]
    carrier.answer(cancel, 200)
    carrier.answer(received, 487)  # type: ignore[arg-type]
    carrier.expect_request("ACK")
    (record,) = world.records
    assert record["sip_status"] == 487
    assert record["released_by"] == "a"
    assert record["answered"] is None


def test_INV_01_cancel_is_held_until_the_callee_has_spoken(world: World, office: Agent, carrier: Agent) -> None:
    invite = office.invite("+4930123456")
    office.expect_response(100)
    received = carrier.expect_request("INVITE")
    office.cancel(invite)
    office.expect_response(200)
    office.ack(office.expect_response(487))
    carrier.expect_nothing()
    carrier.answer(received, 100)
    carrier.answer(carrier.expect_request("CANCEL"), 200)
    carrier.answer(received, 487)
    carrier.expect_request("ACK")


def test_INV_03_200_crosses_cancel(world: World, office: Agent, carrier: Agent) -> None:
    invite, received = ring(office, carrier)
    office.cancel(invite)  # type: ignore[arg-type]
    office.expect_response(200)
    office.ack(office.expect_response(487))
    cancel = carrier.expect_request("CANCEL")
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))  # type: ignore[arg-type]
    carrier.expect_request("ACK")
    carrier.answer(carrier.expect_request("BYE"), 200)
    carrier.answer(cancel, 200)
    office.expect_nothing()


def test_INV_02_cancel_after_the_answer_changes_nothing(world: World, office: Agent, carrier: Agent) -> None:
    invite, received = ring(office, carrier)
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))  # type: ignore[arg-type]
    carrier.expect_request("ACK")
    ok = office.expect_response(200)
    office.cancel(invite)  # type: ignore[arg-type]
    assert office.expect_response(200).to.tag == ok.to.tag
    office.ack(ok)
    office.expect_nothing()
    assert world.core.busy() == 1


def test_UAS_05_cancel_of_nothing(world: World, office: Agent) -> None:
    office.cancel(office.request("INVITE", "sip:+4930@10.0.0.1"))
    office.expect_response(481)


@pytest.mark.parametrize(
    ("status", "told"),
    [(486, 486), (404, 404), (603, 603), (600, 600), (480, 480), (401, 500), (407, 500), (420, 500), (302, 480), (483, 483)],
)
def test_failures_are_mapped(world: World, office: Agent, carrier: Agent, status: int, told: int) -> None:
    _, received = ring(office, carrier)
    carrier.answer(received, status, headers=(("Reason", "Q.850;cause=17"), ("Contact", "<sip:elsewhere@10.1.0.9>")))  # type: ignore[arg-type]
    carrier.expect_request("ACK")
    refused = office.expect_response(told)
    assert b"10.1.0" not in refused.encode()
    assert refused.headers.first("Reason") == "Q.850;cause=17"
    office.ack(refused)
    assert world.records[0]["sip_status"] == status
    assert world.records[0]["q850"] == 17
    assert world.records[0]["released_by"] == "b"


def test_BLK_02_603_network_blocked_keeps_phrase_and_reason(world: World, office: Agent, carrier: Agent) -> None:
    _, received = ring(office, carrier)
    reason = 'SIP;cause=603;text="v=analytics1;url=https://example.com/;id=A1"'
    carrier.answer(received, 603, "Network Blocked", headers=(("Reason", reason),))  # type: ignore[arg-type]
    carrier.expect_request("ACK")
    refused = office.expect_response(603)
    assert refused.reason == "Network Blocked"
    assert refused.headers.first("Reason") == reason


@pytest.mark.parametrize("status", [500, 503])
def test_the_next_target_is_tried(world: World, office: Agent, carrier: Agent, backup: Agent, status: int) -> None:
    office.invite("+4930123456")
    office.expect_response(100)
    carrier.answer(carrier.expect_request("INVITE"), status)
    carrier.expect_request("ACK")
    received = backup.expect_request("INVITE")
    backup.answer(received, 200, body=sdp("10.1.0.3", 50000))
    backup.expect_request("ACK")
    office.ack(office.expect_response(200))
    office.send(office.within(office.last_invite, Response.answer(office.last_invite, 200, to_tag="x"), "OPTIONS"))  # type: ignore[arg-type]
    office.expect_response(481)
    world.shut_down()
    backup.answer(backup.expect_request("BYE"), 200)
    office.answer(office.expect_request("BYE"), 200)
    assert [attempt["status"] for attempt in world.records[0]["attempts"]] == [status, 200]  # type: ignore[attr-defined]


def test_a_busy_is_final_where_the_route_does_not_say_otherwise(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    _, received = ring(office, carrier)
    carrier.answer(received, 486)  # type: ignore[arg-type]
    office.expect_response(486)
    backup.expect_nothing()


def test_DNS_04_silence_of_the_first_target_leads_to_the_second(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    office.invite("+4930123456")
    world.after(32)
    assert {type(message).__name__ for message in carrier.inbox} == {"Request"}
    assert len(carrier.inbox) == 7
    carrier.inbox.clear()
    backup.answer(backup.expect_request("INVITE"), 404)
    office.expect_response(100)
    office.ack(office.expect_response(404))


def test_TRN_07_an_unreachable_target_leads_to_the_second_at_once(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    world.unreachable.add(("10.1.0.2", 5060))
    office.invite("+4930123456")
    backup.answer(backup.expect_request("INVITE"), 486)
    office.expect_response(100)
    office.expect_response(486)


def test_TMD_04_nobody_answers_in_time(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    _, received = ring(office, carrier)
    world.after(60)
    cancel = carrier.expect_request("CANCEL")
    carrier.answer(cancel, 200)
    carrier.answer(received, 487)  # type: ignore[arg-type]
    second = backup.expect_request("INVITE")
    backup.answer(second, 180)
    world.after(60)
    backup.expect_request("CANCEL")
    office.expect_response(180)
    office.expect_response(180)
    office.ack(office.expect_response(408))
    backup.answer(second, 487)


def test_a_callee_that_answers_after_it_was_given_up_is_hung_up_on(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    _, received = ring(office, carrier)
    world.after(60)
    carrier.expect_request("CANCEL")
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))  # type: ignore[arg-type]
    carrier.expect_request("ACK")
    carrier.answer(carrier.expect_request("BYE"), 200)
    backup.answer(backup.expect_request("INVITE"), 486)
    office.expect_response(180)
    office.expect_response(486)


def test_the_caller_gives_up_between_two_targets(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    invite = office.invite("+4930123456")
    carrier.answer(carrier.expect_request("INVITE"), 503)
    received = backup.expect_request("INVITE")
    backup.answer(received, 180)
    office.cancel(invite)
    backup.expect_request("CANCEL")
    backup.answer(received, 487)
    office.inbox.clear()
    assert len(world.records) == 1


def test_all_targets_fail(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    office.invite("+4930123456")
    carrier.answer(carrier.expect_request("INVITE"), 503, headers=(("Retry-After", "30"),))
    backup.answer(backup.expect_request("INVITE"), 503)
    office.expect_response(100)
    refused = office.expect_response(500)
    assert "Retry-After" not in refused.headers
    assert world.records[0]["sip_status"] == 503


def test_REJ_04_no_route(world: World, office: Agent) -> None:
    office.invite("100")
    refused = office.expect_response(404)
    office.ack(refused)
    assert world.records[0]["sip_status"] == 404
    assert world.records[0]["q850"] == 1


def test_dial_plan_comes_before_the_route(world: World, office: Agent, carrier: Agent) -> None:
    office.invite("030123456")
    received = carrier.expect_request("INVITE")
    assert received.uri.user == "+4930123456"
    carrier.answer(received, 486)
    assert (world.records[0]["dialled"], world.records[0]["called"]) == ("030123456", "+4930123456")
    office.inbox.clear()


def test_no_media_ports_left_is_a_temporary_refusal(world: World, office: Agent, carrier: Agent) -> None:
    interface = world.snapshot.realms["inside"].relay
    world.media.in_use |= {(interface.address, port) for port in range(interface.first_port, interface.last_port + 1)}
    office.invite("+4930123456")
    office.expect_response(100)
    office.ack(office.expect_response(503))
    carrier.expect_nothing()
    assert str(world.records[0]["note"]).startswith("media")


def test_the_callers_connection_is_gone_while_it_rings(world: World, alice: Agent, carrier: Agent) -> None:
    from sbc.inputs import FlowClosed
    from tests.scenarios.test_registration import call_as_alice

    call_as_alice(alice)
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 180)
    world.receive(FlowClosed(alice.flow))
    carrier.expect_request("CANCEL")
    carrier.answer(received, 487)
    alice.inbox.clear()
    assert world.records[0]["note"] == "caller's connection closed"
