"""Redirections: passed on as numbers at our own address, or followed on the account of whoever redirected."""

from __future__ import annotations

import pytest

from sbc.sip.message import Request
from tests.world import POLICY, Agent, World, sdp


def redirecting(how: str) -> str:
    """The office redirects calls of the carrier; it may call +49 only."""
    peer = "    peer: sip:10.0.0.20:5060\n"
    policy = POLICY.replace(peer, f"{peer}    redirects: {how}\n    limits: office\n")
    policy = policy.replace("limits:\n  person", "limits:\n  office: {calls: 2}\n  person")
    policy = policy.replace("send_to: [carrier, backup]", "send_to: [backup, carrier]")
    return policy.replace('to: "+*"}', 'to: "+49*", not_to: "+4990*"}')


@pytest.fixture
def policy() -> str:
    return redirecting("follow")


def redirect(carrier: Agent, office: Agent, *contacts: str, status: int = 302) -> Request:
    """The carrier calls the office, which says: not here."""
    invite = carrier.invite("+4930123456")
    carrier.expect_response(100)
    received = office.expect_request("INVITE")
    rows = tuple(("Contact", contact) for contact in contacts)
    office.answer(received, status, headers=rows)
    office.expect_request("ACK")
    return invite


def test_INV_10_a_redirection_is_followed_as_a_call_of_who_redirects(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    redirect(carrier, office, "<sip:0040111@10.0.0.20>;q=0.1", "<sip:040222@10.0.0.20>;q=0.9")
    received = backup.expect_request("INVITE")
    assert received.uri.user == "+4940222", "the best q, by the dial plan of the office"
    assert received.from_.uri.user == "carrier"
    assert received.headers.first("Max-Forwards") == "68", "a redirection is a hop"
    backup.answer(received, 180)
    carrier.expect_response(180)
    backup.answer(received, 200, body=sdp("10.1.0.3", 50000))
    backup.expect_request("ACK")
    ok = carrier.expect_response(200)
    carrier.ack(ok)
    carrier.send(carrier.within(carrier.last_invite, ok, "BYE"))  # type: ignore[arg-type]
    carrier.expect_response(200)
    backup.answer(backup.expect_request("BYE"), 200)
    (record,) = world.records
    assert record["called"] == "+4930123456"
    assert record["route"] == "in"
    assert record["attempts"] == [
        {"target": "office", "status": 302, "server": "UDP 10.0.0.20:5060", "note": "redirected to +4940222, +40111"},
        {"target": "backup", "status": 200, "server": "UDP 10.1.0.3:5060"},
    ]


def test_INV_10_the_next_contact_when_one_fails(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    redirect(carrier, office, "<sip:+4940111@h>;q=0.9", "<sip:+4940222@h>;q=0.5")
    backup.answer(backup.expect_request("INVITE"), 486)
    backup.expect_request("ACK")
    second = backup.expect_request("INVITE")
    assert second.uri.user == "+4940222"
    backup.answer(second, 404)
    carrier.expect_response(404)


def test_INV_11_6xx_ends_the_search(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    redirect(carrier, office, "<sip:+4940111@h>;q=0.9", "<sip:+4940222@h>;q=0.5")
    backup.answer(backup.expect_request("INVITE"), 603)
    carrier.expect_response(603)
    backup.expect_request("ACK")
    backup.expect_nothing()


@pytest.mark.parametrize(
    "contact",
    [
        "<sip:+4930123456@h>",  # whom we have just called
        "<sip:+882123@h>",  # the office may not call there
        "<sip:+4990123@h>",
        "<sip:bob@elsewhere.example>",
        "<mailto:bob@example.com>",
        "*",
        "<<",
    ],
)
def test_REF_05_a_target_the_redirecting_party_may_not_call(
    world: World, office: Agent, carrier: Agent, backup: Agent, contact: str
) -> None:
    redirect(carrier, office, contact)
    carrier.expect_response(480)
    backup.expect_nothing()
    office.expect_nothing()
    assert world.records[0]["sip_status"] == 302


def test_REF_05_the_refused_target_is_in_the_record(world: World, office: Agent, carrier: Agent) -> None:
    redirect(carrier, office, "<sip:+4990123@h>")
    carrier.expect_response(480)
    assert world.records[0]["attempts"] == [
        {"target": "office", "status": 302, "server": "UDP 10.0.0.20:5060", "note": "redirected to +4990123"},
        {"target": "office", "status": 404, "note": "redirected to +4990123: no route"},
    ]


def test_REF_05_followed_calls_count_for_who_redirects(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    for _ in range(2):
        redirect(carrier, office, "<sip:+4940111@h>")
        backup.answer(backup.expect_request("INVITE"), 180)
        carrier.expect_response(180)
    office.invite("+4940333")
    office.expect_response(503)
    assert "limit calls of office" in str(world.records[0]["note"])


@pytest.mark.parametrize("status", [305, 380, 399])
def test_INV_10_other_redirections_are_not_followed(world: World, office: Agent, carrier: Agent, backup: Agent, status: int) -> None:
    redirect(carrier, office, "<sip:+4940111@h>", status=status)
    carrier.expect_response(480)
    backup.expect_nothing()


def test_INV_10_a_redirection_loop_ends(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    redirect(carrier, office, *(f"<sip:+49401{number}@h>" for number in range(9)))
    for _ in range(5):
        backup.answer(backup.expect_request("INVITE"), 486)
        backup.expect_request("ACK")
    carrier.expect_response(486)
    backup.expect_nothing()


def test_INV_10_no_hops_left(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    carrier.invite("+4930123456", max_forwards=1)
    carrier.expect_response(100)
    office.answer(office.expect_request("INVITE"), 302, headers=(("Contact", "<sip:+4940111@h>"),))
    carrier.expect_response(480)
    backup.expect_nothing()


def test_INV_10_the_caller_hangs_up_on_the_way(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    invite = redirect(carrier, office, "<sip:+4940111@h>")
    received = backup.expect_request("INVITE")
    backup.answer(received, 180)
    carrier.expect_response(180)
    carrier.cancel(invite)
    carrier.expect_response(200)
    carrier.expect_response(487)
    backup.answer(backup.expect_request("CANCEL"), 200)
    backup.answer(received, 487)


class TestPassed:
    @pytest.fixture
    def policy(self) -> str:
        return redirecting("pass")

    def test_INV_10_a_redirection_is_passed_with_numbers_at_our_address(
        self, world: World, office: Agent, carrier: Agent, backup: Agent
    ) -> None:
        redirect(carrier, office, "<sip:040222@10.0.0.20;transport=tcp>;q=0.9", "<sip:bob@10.0.0.21>", "<tel:+4930777>;q=0.25")
        told = carrier.expect_response(302)
        assert told.headers.all("Contact") == ["<sip:+4940222@10.1.0.1:5060>;q=0.9", "<sip:+4930777@10.1.0.1:5060>;q=0.25"]
        assert b"10.0.0" not in told.encode()
        backup.expect_nothing()
        assert world.records[0]["sip_status"] == 302
        assert world.records[0]["note"] == "redirected to +4940222, +4930777"

    def test_INV_10_305_is_not_passed(self, world: World, office: Agent, carrier: Agent) -> None:
        redirect(carrier, office, "<sip:040222@10.0.0.20>", status=305)
        assert "Contact" not in carrier.expect_response(480).headers
