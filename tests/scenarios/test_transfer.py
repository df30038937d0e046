"""Transfers that we perform: blind, attended, and INVITEs that replace a leg."""

from __future__ import annotations

from base64 import b64encode
from typing import NamedTuple

import pytest

from sbc.inputs import PolicyChanged
from sbc.sip.fields.replaces import Replaces
from sbc.sip.message import Request, Response
from tests.scenarios.test_registration import DOMAIN, call_as_alice, credentials
from tests.world import POLICY, Agent, World, connect, sdp, snapshot_of

PERFORMED = (
    POLICY.replace("    peer: sip:10.0.0.20:5060\n", "    peer: sip:10.0.0.20:5060\n    transfers: perform\n    limits: office\n")
    .replace("    peer: sip:10.1.0.3:5060\n", "    peer: sip:10.1.0.3:5060\n    transfers: perform\n")
    .replace("limits:\n  person", "limits:\n  office: {calls: 2, longest_call: 1h}\n  person")
    .replace('to: "+*"}', 'to: "+49*", not_to: "+4990*"}')
    .replace("send_to: [carrier, backup]", "send_to: [backup]")
)
TARGET = "<sip:+4940555@10.0.0.1>"


@pytest.fixture
def policy() -> str:
    return PERFORMED


class Answered(NamedTuple):
    """A call between two agents: what each needs to go on with it."""

    invite: Request
    ok: Response
    received: Request


def call_the_office(carrier: Agent, office: Agent) -> Answered:
    return Answered(*connect(carrier, office, "+4930123456"))


def refer(office: Agent, call: Answered, refer_to: str = TARGET, cseq: int = 1, *rows: tuple[str, str]) -> None:
    office.send(office.within_received(call.received, "REFER", cseq=cseq, headers=(("Refer-To", refer_to), *rows)))


def expect_report(agent: Agent, line: str, state: str) -> Request:
    report = agent.expect_request("NOTIFY")
    assert report.body == f"SIP/2.0 {line}\r\n".encode()
    assert report.headers.first("Content-Type") == "message/sipfrag;version=2.0"
    assert (report.headers.first("Subscription-State") or "").startswith(state)
    agent.answer(report, 200)
    return report


def accept_blind(world: World, office: Agent, carrier: Agent, backup: Agent) -> tuple[Answered, Request]:
    """Up to the moment the target answers."""
    call = call_the_office(carrier, office)
    refer(office, call)
    office.expect_response(202)
    expect_report(office, "100 Trying", "active")
    received = backup.expect_request("INVITE")
    backup.answer(received, 180)
    expect_report(office, "180 Ringing", "active")
    return call, received


def test_REF_02_a_blind_transfer(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    call, received = accept_blind(world, office, carrier, backup)
    assert received.uri.user == "+4940555"
    assert received.from_.uri.user == "carrier", "the party that stays is the caller"
    backup.answer(received, 200, body=sdp("10.1.0.3", 50500))
    backup.expect_request("ACK")
    report = expect_report(office, "200 OK", "terminated;reason=noresource")
    assert report.headers.first("Event") == "refer;id=1"
    office.answer(office.expect_request("BYE"), 200)
    reinvite = carrier.expect_request("INVITE")
    assert reinvite.call_id == call.invite.call_id
    carrier.answer(reinvite, 200, body=sdp("10.1.0.2", 40000))
    carrier.expect_request("ACK")
    a, b = world.updates[-1]
    assert (a.remote, b.remote) == (("10.1.0.2", 40000), ("10.1.0.3", 50500))
    assert (a.send, b.send) == (True, True), "they hear each other"
    assert len(world.open_relays) == 1, "the relay of the first call is gone"
    carrier.send(carrier.within(call.invite, call.ok, "BYE", cseq=2))
    carrier.expect_response(200)
    backup.answer(backup.expect_request("BYE"), 200)
    first, second = world.records
    assert (first["caller"], first["called"], first["note"], first["transferred_by"]) == ("carrier", "+4930123456", "transferred", None)
    assert (second["caller"], second["called"], second["transferred_by"]) == ("carrier", "+4940555", "office")
    assert second["sip_status"] == 200
    assert second["answered"] is not None
    office.expect_nothing()


class TestReferredBy:
    @pytest.fixture(params=["", "trusted: true"])
    def trusted(self, request: pytest.FixtureRequest) -> str:
        trusted: str = request.param
        return trusted

    @pytest.fixture
    def policy(self, trusted: str) -> str:
        text = PERFORMED
        for peer in ("10.0.0.20", "10.1.0.3") if trusted else ():
            text = text.replace(f"    peer: sip:{peer}:5060\n", f"    peer: sip:{peer}:5060\n    {trusted}\n")
        return text

    @pytest.mark.parametrize("caller", ["carrier", "office"])
    def test_REF_04_the_target_hears_who_transfers_among_trusted_sides(
        self, world: World, office: Agent, carrier: Agent, backup: Agent, trusted: str, caller: str
    ) -> None:
        rows = ("Referred-By", "<sip:030-777@10.0.0.20>;cid=x@10.0.0.20")
        if caller == "carrier":
            refer(office, call_the_office(carrier, office), TARGET, 1, rows)
        else:
            call = Answered(*connect(office, backup, "+4940111"))
            office.send(office.within(call.invite, call.ok, "REFER", cseq=2, headers=(("Refer-To", TARGET), rows)))
        office.expect_response(202)
        expect_report(office, "100 Trying", "active")
        received = backup.expect_request("INVITE")
        assert received.headers.all("Referred-By") == (["<sip:+4930777@10.1.0.1;user=phone>"] if trusted else [])
        backup.answer(received, 429)
        backup.expect_request("ACK")
        expect_report(office, "429 Provide Referrer Identity", "terminated")


def test_REF_02_the_caller_transfers_the_callee(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    call = Answered(*connect(office, backup, "+4940111"))
    office.send(office.within(call.invite, call.ok, "REFER", cseq=2, headers=(("Refer-To", "<sip:+4940222@10.0.0.1>"),)))
    office.expect_response(202)
    expect_report(office, "100 Trying", "active")
    received = backup.expect_request("INVITE")
    assert received.from_.uri.user == "+4940111"
    backup.answer(received, 200, body=sdp("10.1.0.3", 50600))
    backup.expect_request("ACK")
    expect_report(office, "200 OK", "terminated")
    office.answer(office.expect_request("BYE"), 200)
    reinvite = backup.expect_request("INVITE")
    assert reinvite.call_id == call.received.call_id
    backup.answer(reinvite, 200, body=sdp("10.1.0.3", 50000))
    backup.expect_request("ACK")
    assert world.core.busy() == 1


def test_REF_02_who_was_on_hold_is_not_any_more(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    call = call_the_office(carrier, office)
    office.send(office.within_received(call.received, "INVITE", cseq=1, body=sdp("10.0.0.20", 50000, version=2, direction="sendonly")))
    office.expect_response(100)
    carrier.answer(carrier.expect_request("INVITE"), 200, body=sdp("10.1.0.2", 40000, version=2, direction="recvonly"))
    carrier.expect_request("ACK")
    office.expect_response(200)
    office.send(office.within_received(call.received, "ACK", cseq=1))
    refer(office, call, cseq=2)
    received = backup.expect_request("INVITE")
    assert b"recvonly" not in received.body
    assert b"sendonly" not in received.body
    backup.answer(received, 200, body=sdp("10.1.0.3", 50500))
    reinvite = carrier.expect_request("INVITE")
    assert b"recvonly" not in reinvite.body
    assert b"sendonly" not in reinvite.body
    carrier.answer(reinvite, 200, body=sdp("10.1.0.2", 40000, version=3))
    office.inbox.clear()
    backup.inbox.clear()


def test_REF_02_afterwards_it_is_a_call_like_any_other(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    call, received = accept_blind(world, office, carrier, backup)
    backup.answer(received, 200, body=sdp("10.1.0.3", 50500))
    backup.expect_request("ACK")
    carrier.answer(carrier.expect_request("INVITE"), 200, body=sdp("10.1.0.2", 40000))
    carrier.expect_request("ACK")
    office.inbox.clear()
    carrier.send(carrier.within(call.invite, call.ok, "INVITE", cseq=2, body=sdp("10.1.0.2", 40000, version=2, direction="sendonly")))
    carrier.expect_response(100)
    hold = backup.expect_request("INVITE")
    assert b"a=sendonly" in hold.body
    backup.answer(hold, 200, body=sdp("10.1.0.3", 50500, version=2, direction="recvonly"))
    backup.expect_request("ACK")
    assert b"a=recvonly" in carrier.expect_response(200).body
    carrier.send(carrier.within(call.invite, call.ok, "ACK", cseq=2))
    backup.send(backup.within_received(received, "REFER", cseq=1, headers=(("Refer-To", "<sip:+4930999@10.1.0.1>"),)))
    backup.expect_response(404)  # it may transfer, but has no route there
    backup.send(backup.within_received(received, "BYE", cseq=2))
    backup.expect_response(200)
    carrier.answer(carrier.expect_request("BYE"), 200)
    assert [record["released_by"] for record in world.records] == ["sbc", "sbc", "b"]
    office.expect_nothing()


def test_REF_02_the_target_redirects(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    """A redirection of the target is refused as in any call, and the referrer hears of it."""
    _, received = accept_blind(world, office, carrier, backup)
    backup.answer(received, 302, headers=(("Contact", "<sip:+4990666@10.1.0.3>"),))
    expect_report(office, "480 Temporarily Unavailable", "terminated")
    backup.expect_request("ACK")
    carrier.expect_nothing()


@pytest.mark.parametrize(("status", "line"), [(486, "486 Busy Here"), (603, "603 Decline"), (404, "404 Not Found")])
def test_REF_02_the_target_refuses(world: World, office: Agent, carrier: Agent, backup: Agent, status: int, line: str) -> None:
    call, received = accept_blind(world, office, carrier, backup)
    backup.answer(received, status)
    backup.expect_request("ACK")
    expect_report(office, line, "terminated")
    assert world.core.busy() == 1, "the call goes on as it was"
    carrier.expect_nothing()
    office.send(office.within_received(call.received, "BYE", cseq=2))
    office.expect_response(200)
    carrier.answer(carrier.expect_request("BYE"), 200)
    assert world.records[0]["sip_status"] == status
    assert world.records[0]["transferred_by"] == "office"


def test_REF_02_the_referrer_hangs_up_at_once(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    """Many phones do not wait for the outcome."""
    call, received = accept_blind(world, office, carrier, backup)
    office.send(office.within_received(call.received, "BYE", cseq=2))
    office.expect_response(200)
    carrier.expect_nothing()
    backup.answer(received, 200, body=sdp("10.1.0.3", 50500))
    expect_report(office, "200 OK", "terminated")
    carrier.answer(carrier.expect_request("INVITE"), 200, body=sdp("10.1.0.2", 40000))
    carrier.expect_request("ACK")
    office.expect_nothing()
    assert world.core.busy() == 1
    backup.expect_request("ACK")


def test_REF_02_the_referrer_hangs_up_and_the_target_refuses(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    call, received = accept_blind(world, office, carrier, backup)
    office.send(office.within_received(call.received, "BYE", cseq=2))
    office.expect_response(200)
    backup.answer(received, 486)
    backup.expect_request("ACK")
    expect_report(office, "486 Busy Here", "terminated")
    carrier.answer(carrier.expect_request("BYE"), 200)
    assert world.core.busy() == 0


def test_REF_02_the_party_that_waits_hangs_up(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    call, received = accept_blind(world, office, carrier, backup)
    carrier.send(carrier.within(call.invite, call.ok, "BYE", cseq=2))
    carrier.expect_response(200)
    backup.answer(backup.expect_request("CANCEL"), 200)
    backup.answer(received, 487)
    expect_report(office, "487 Request Terminated", "terminated")
    office.answer(office.expect_request("BYE"), 200)
    assert world.core.busy() == 0
    backup.inbox.clear()


def test_REF_02_changes_that_cross_are_tried_again(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    _, received = accept_blind(world, office, carrier, backup)
    backup.answer(received, 200, body=sdp("10.1.0.3", 50500))
    backup.expect_request("ACK")
    carrier.answer(carrier.expect_request("INVITE"), 491)
    carrier.expect_request("ACK")
    backup.send(backup.within_received(received, "INVITE", cseq=1, body=sdp("10.1.0.3", 50501, version=2)))
    backup.expect_response(100)
    backup.expect_response(491)
    world.after(2.2)
    carrier.answer(carrier.expect_request("INVITE"), 200, body=sdp("10.1.0.2", 40000))
    carrier.expect_request("ACK")
    assert world.core.busy() == 1
    office.inbox.clear()


def test_REF_02_the_party_that_stays_cannot_talk_to_the_target(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    _, received = accept_blind(world, office, carrier, backup)
    backup.answer(received, 200, body=sdp("10.1.0.3", 50500))
    backup.expect_request("ACK")
    carrier.answer(carrier.expect_request("INVITE"), 488)
    carrier.expect_request("ACK")
    carrier.answer(carrier.expect_request("BYE"), 200)
    backup.answer(backup.expect_request("BYE"), 200)
    assert world.core.busy() == 0
    office.inbox.clear()


@pytest.mark.parametrize("number", ["+4990123", "+882123", "bob", "tooearly!"])
def test_REF_05_a_target_the_referrer_may_not_call(world: World, office: Agent, carrier: Agent, backup: Agent, number: str) -> None:
    call = call_the_office(carrier, office)
    refer(office, call, f"<sip:{number}@10.0.0.99>")
    office.expect_response(404)
    for agent in (office, carrier, backup):
        agent.expect_nothing()
    (record,) = world.records
    assert (record["transferred_by"], record["dialled"], record["sip_status"]) == ("office", number, 404)
    assert str(record["note"]).startswith("transfer: ")
    assert world.core.busy() == 1


def test_REF_05_a_transferred_call_counts_for_the_referrer(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    for _ in range(2):
        _, received = accept_blind(world, office, carrier, backup)
        backup.answer(received, 200, body=sdp("10.1.0.3", 50500))
        carrier.answer(carrier.expect_request("INVITE"), 200, body=sdp("10.1.0.2", 40000))
        for agent in (office, carrier, backup):
            agent.inbox.clear()
    office.invite("+4940666")
    office.expect_response(503)
    world.after(3601)
    assert world.core.busy() == 0, "and so does its longest_call"
    for agent in (office, carrier, backup):
        agent.inbox.clear()


@pytest.mark.parametrize("rows", [(), (TARGET, TARGET), ("<sip:a@b;method=BYE>",), ("nonsense",)])
def test_REF_01_exactly_one_refer_to(world: World, office: Agent, carrier: Agent, rows: tuple[str, ...]) -> None:
    call = call_the_office(carrier, office)
    headers = tuple(("Refer-To", row) for row in rows)
    office.send(office.within_received(call.received, "REFER", headers=headers))
    office.expect_response(400)


def test_REF_01_no_reports_are_wanted(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    call = call_the_office(carrier, office)
    refer(office, call, TARGET, 1, ("Refer-Sub", "false"), ("Require", "norefersub"))
    assert office.expect_response(202).headers.first("Refer-Sub") == "false"
    backup.answer(backup.expect_request("INVITE"), 486)
    office.expect_nothing()
    backup.expect_request("ACK")


def test_REF_01_a_second_transfer_at_the_same_time(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    call, received = accept_blind(world, office, carrier, backup)
    refer(office, call, "<sip:+4940777@10.0.0.1>", 2)
    office.expect_response(491)
    backup.answer(received, 486)
    backup.expect_request("ACK")
    expect_report(office, "486 Busy Here", "terminated")
    refer(office, call, "<sip:+4940777@10.0.0.1>", 3)
    office.expect_response(202)
    assert expect_report(office, "100 Trying", "active").headers.first("Event") == "refer;id=3"
    backup.answer(backup.expect_request("INVITE"), 486)
    expect_report(office, "486 Busy Here", "terminated")
    backup.expect_request("ACK")


def test_REF_01_who_refuses_a_report_gets_no_more(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    call = call_the_office(carrier, office)
    refer(office, call)
    office.expect_response(202)
    office.answer(office.expect_request("NOTIFY"), 481)
    backup.answer(backup.expect_request("INVITE"), 486)
    backup.expect_request("ACK")
    office.expect_nothing()
    assert world.core.busy() == 1


def test_REF_02_a_trunk_that_may_not_transfer(world: World, office: Agent, carrier: Agent) -> None:
    call = call_the_office(carrier, office)
    carrier.send(carrier.within(call.invite, call.ok, "REFER", headers=(("Refer-To", TARGET),)))
    assert "REFER" not in (carrier.expect_response(405).headers.first("Allow") or "")
    assert "REFER" not in (call.ok.headers.first("Allow") or "")
    assert "REFER" in (call.received.headers.first("Allow") or "")
    assert "replaces" in (call.received.headers.first("Supported") or "")


def test_REF_02_the_target_is_down_and_the_process_stops(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    accept_blind(world, office, carrier, backup)
    world.shut_down()
    assert world.core.busy() == 0
    for agent in (office, carrier, backup):
        agent.inbox.clear()


@pytest.mark.parametrize("today", ["revoked", "nobody", "no route"])
def test_REF_05_the_policy_of_today_counts(world: World, office: Agent, carrier: Agent, backup: Agent, today: str) -> None:
    """A transfer is a new call, even if the one it begins in is old."""
    call = call_the_office(carrier, office)
    match today:
        case "revoked":
            policy = PERFORMED.replace("transfers: perform", "transfers: refuse")
        case "nobody":
            policy = PERFORMED.replace("  office:\n    realm", "  bureau:\n    realm").replace("trunk: office", "trunk: bureau")
            policy = policy.replace("send_to: [office]", "send_to: [bureau]")
        case _:
            policy = PERFORMED.replace('to: "+49*"', 'to: "+43*"')
    world.receive(PolicyChanged(snapshot_of(policy)))
    refer(office, call)
    office.expect_response(404 if today == "no route" else 403)
    backup.expect_nothing()
    assert world.core.busy() == 1
    world.receive(PolicyChanged(snapshot_of(PERFORMED)))
    refer(office, call, cseq=2)
    office.expect_response(202)
    backup.answer(backup.expect_request("INVITE"), 486)
    backup.expect_request("ACK")
    office.inbox.clear()


def test_REF_02_outside_of_a_call_nobody_can_be_transferred(world: World, office: Agent) -> None:
    office.send(office.request("REFER", "sip:+4930123456@10.0.0.1", headers=(("Refer-To", TARGET),)))
    office.expect_response(403)


# Attended


class Consulted(NamedTuple):
    first: Answered  # the carrier called the office
    second: Answered  # the office asks the backup


def consult(office: Agent, carrier: Agent, backup: Agent) -> Consulted:
    first = call_the_office(carrier, office)
    return Consulted(first, Answered(*connect(office, backup, "+4940555")))


def replaced_by_office(call: Answered) -> Replaces:
    """The office's own dialog of a call it made, seen by us."""
    return Replaces(call.ok.call_id, call.ok.to.tag, call.ok.from_.tag)


def refer_attended(office: Agent, calls: Consulted, replaces: Replaces | None = None) -> None:
    named = str(replaces or replaced_by_office(calls.second)).replace("@", "%40").replace(";", "%3B").replace("=", "%3D")
    refer(office, calls.first, f"<sip:n1w1t000001@10.0.0.1?Replaces={named}>")


def test_REF_02_an_attended_transfer(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    calls = consult(office, carrier, backup)
    refer_attended(office, calls)
    office.expect_response(202)
    expect_report(office, "100 Trying", "active")
    reinvite = backup.expect_request("INVITE")
    assert reinvite.call_id == calls.second.received.call_id
    backup.answer(reinvite, 200, body=sdp("10.1.0.3", 50000))
    backup.expect_request("ACK")
    # the order is ours: the consultation ends, the outcome is told, the first call ends
    office.answer(office.expect_request("BYE"), 200)
    expect_report(office, "200 OK", "terminated")
    office.answer(office.expect_request("BYE"), 200)
    carrier.answer(carrier.expect_request("INVITE"), 200, body=sdp("10.1.0.2", 40000))
    carrier.expect_request("ACK")
    a, b = world.updates[-1]
    assert (a.remote, b.remote) == (("10.1.0.2", 40000), ("10.1.0.3", 50000))
    assert (a.send, b.send) == (True, True)
    assert len(world.open_relays) == 1
    assert world.core.busy() == 1
    carrier.send(carrier.within(calls.first.invite, calls.first.ok, "BYE", cseq=2))
    carrier.expect_response(200)
    backup.answer(backup.expect_request("BYE"), 200)
    assert [record["note"] for record in world.records] == ["transferred", "transferred", None]
    assert world.records[2]["transferred_by"] == "office"
    assert (world.records[2]["caller"], world.records[2]["called"]) == ("carrier", "+4940555")


def test_REF_02_an_attended_transfer_the_target_refuses(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    calls = consult(office, carrier, backup)
    before = list(world.updates)
    refer_attended(office, calls)
    office.expect_response(202)
    expect_report(office, "100 Trying", "active")
    backup.answer(backup.expect_request("INVITE"), 488)
    backup.expect_request("ACK")
    expect_report(office, "488 Not Acceptable Here", "terminated")
    assert world.core.busy() == 2, "both calls go on"
    assert world.updates == before
    office.send(office.within(calls.second.invite, calls.second.ok, "INVITE", cseq=2, body=sdp("10.0.0.20", 41000, version=2)))
    office.expect_response(100)
    changed = backup.expect_request("INVITE")
    assert b"m=audio 30" in changed.body, "at the relay of their own call"
    backup.answer(changed, 200, body=sdp("10.1.0.3", 50000))
    backup.expect_request("ACK")
    office.expect_response(200)
    office.send(office.within(calls.second.invite, calls.second.ok, "ACK", cseq=2))
    carrier.expect_nothing()


def test_REF_02_both_calls_are_hung_up_by_the_referrer(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    calls = consult(office, carrier, backup)
    refer_attended(office, calls)
    office.expect_response(202)
    expect_report(office, "100 Trying", "active")
    office.send(office.within(calls.second.invite, calls.second.ok, "BYE", cseq=2))
    office.expect_response(200)
    office.send(office.within_received(calls.first.received, "BYE", cseq=2))
    office.expect_response(200)
    backup.answer(backup.expect_request("INVITE"), 200, body=sdp("10.1.0.3", 50000))
    backup.expect_request("ACK")
    expect_report(office, "200 OK", "terminated")
    carrier.answer(carrier.expect_request("INVITE"), 200, body=sdp("10.1.0.2", 40000))
    carrier.expect_request("ACK")
    assert world.core.busy() == 1
    office.expect_nothing()


def test_REF_02_hung_up_and_refused(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    calls = consult(office, carrier, backup)
    refer_attended(office, calls)
    office.expect_response(202)
    expect_report(office, "100 Trying", "active")
    office.send(office.within(calls.second.invite, calls.second.ok, "BYE", cseq=2))
    office.expect_response(200)
    backup.answer(backup.expect_request("INVITE"), 488)
    backup.expect_request("ACK")
    expect_report(office, "488 Not Acceptable Here", "terminated")
    backup.answer(backup.expect_request("BYE"), 200)
    assert world.core.busy() == 1, "the first call"


def test_REF_02_the_target_of_an_attended_transfer_hangs_up(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    calls = consult(office, carrier, backup)
    refer_attended(office, calls)
    office.expect_response(202)
    expect_report(office, "100 Trying", "active")
    reinvite = backup.expect_request("INVITE")
    backup.send(backup.within_received(calls.second.received, "BYE", cseq=1))
    backup.expect_response(200)
    backup.inbox.clear()
    backup.answer(reinvite, 487)
    office.answer(office.expect_request("NOTIFY"), 200)
    office.answer(office.expect_request("BYE"), 200)
    assert world.core.busy() == 1


def test_REF_02_replaces_of_no_call_of_the_referrer(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    calls = consult(office, carrier, backup)
    refer_attended(office, calls, Replaces("nobody", "a", "b"))
    office.expect_response(404)
    refer_attended(office, calls, Replaces(calls.first.received.call_id, calls.first.received.from_.tag, "to-office"))  # itself
    office.expect_response(404)
    assert world.core.busy() == 2


# Phones, and encryption


def test_REF_02_a_phone_may_transfer_without_being_told_so(world: World, alice: Agent, carrier: Agent) -> None:
    """Even with a limit of one call: the transferred call takes the place of the one she leaves."""
    call_as_alice(alice)
    alice.expect_response(100)
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))
    carrier.expect_request("ACK")
    ok = alice.expect_response(200)
    alice.ack(ok)
    assert alice.last_invite is not None
    alice.send(alice.within(alice.last_invite, ok, "REFER", cseq=3, headers=(("Refer-To", "<sip:+4940555@sbc.example.com>"),)))
    alice.expect_response(202)
    expect_report(alice, "100 Trying", "active")
    target = carrier.expect_request("INVITE")
    carrier.answer(target, 200, body=sdp("10.1.0.2", 50001), tag="target")
    carrier.expect_request("ACK")
    expect_report(alice, "200 OK", "terminated")
    alice.answer(alice.expect_request("BYE"), 200)
    carrier.answer(carrier.expect_request("INVITE"), 200, body=sdp("10.1.0.2", 50000))
    carrier.expect_request("ACK")
    assert {side.remote for side in world.updates[-1]} == {("10.1.0.2", 50000), ("10.1.0.2", 50001)}
    second = alice.request("INVITE", f"sip:+4940666@{DOMAIN}", call_id="second", body=sdp(alice.host, 40000))
    alice.send(second)
    again = alice.request(
        *("INVITE", f"sip:+4940666@{DOMAIN}"),
        call_id="second",
        cseq=2,
        body=second.body,
        headers=(credentials(alice.expect_response(401), second),),
    )
    alice.send(again)
    alice.expect_response(486)


def test_SRTP_03_a_new_peer_is_heard_with_new_keys(world: World, alice: Agent, backup: Agent, carrier: Agent, office: Agent) -> None:
    """The carrier transfers Alice, who has SRTP, to the office."""
    crypto = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + b64encode(bytes(30)).decode()
    offer = sdp(alice.host, 40000, extra=f"{crypto}\r\n").replace(b"RTP/AVP", b"RTP/SAVP")
    world.receive(
        PolicyChanged(snapshot_of(POLICY.replace("    peer: sip:10.1.0.2:5060\n", "    peer: sip:10.1.0.2:5060\n    transfers: perform\n")))
    )
    call_as_alice(alice, offer=offer)
    alice.expect_response(100)
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))
    carrier.expect_request("ACK")
    ok = alice.expect_response(200)
    alice.ack(ok)
    before = world.updates[-1][0].send_keys
    carrier.send(carrier.within_received(received, "REFER", headers=(("Refer-To", "<sip:+4930777@10.1.0.1>"),)))
    carrier.expect_response(202)
    carrier.answer(carrier.expect_request("NOTIFY"), 200)
    office.answer(office.expect_request("INVITE"), 200, body=sdp("10.0.0.20", 46000))
    office.expect_request("ACK")
    reinvite = alice.expect_request("INVITE")
    alice.answer(reinvite, 200, body=offer.replace(b"4711 1", b"4711 2"))
    alice.expect_request("ACK")
    after = world.updates[-1][0]
    assert before is not None
    assert after.send_keys is not None
    assert after.send_keys.master != before.master
    assert after.remote == (alice.host, 40000)
    carrier.inbox.clear()
