"""What a caller may rely on in our answers, and in how we read the callee's (RFC 3261 s8.1.3, s8.2, s13.3)."""

from __future__ import annotations

import pytest

from sbc.sip.message import Request, Response
from tests.scenarios.test_registration import call_as_alice
from tests.scenarios.test_reliable import statuses
from tests.world import Agent, World, connect, sdp


@pytest.mark.parametrize(
    ("header", "value", "names"),
    [("Content-Type", "application/isup", "Accept"), ("Content-Encoding", "gzip", "Accept-Encoding")],
)
@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_UAS_03_a_body_we_do_not_understand(office: Agent, carrier: Agent, method: str, header: str, value: str, names: str) -> None:
    if method == "INVITE":
        request = office.request("INVITE", "sip:+4930123456@10.0.0.1", body=sdp(office.host, 40000))
    else:
        invite, ok, _ = connect(office, carrier, "+4930123456")
        request = office.within(invite, ok, method, body=sdp(office.host, 40000, version=2))
    request.headers.set(header, value)
    office.send(request)
    assert names in office.expect_response(415).headers
    carrier.expect_nothing()


def test_UAS_03_a_body_that_may_be_left_is_left(office: Agent, carrier: Agent) -> None:
    request = office.request(
        "INVITE", "sip:+4930123456@10.0.0.1", body=b"anything", headers=(("Content-Disposition", "x;handling=optional"),)
    )
    request.headers.set("Content-Type", "application/x-vendor")
    office.send(request)
    assert carrier.expect_request("INVITE").body == b"", "an INVITE without an offer"
    office.cancel(request)


def test_UAS_04_answers_repeat_what_was_asked_and_keep_their_tag(office: Agent, carrier: Agent) -> None:
    invite = office.invite("+4930123456")
    received = carrier.expect_request("INVITE")
    for status in (180, 183, 200):
        carrier.answer(received, status, body=sdp("10.1.0.2", 50000) if status == 200 else b"")
    carrier.expect_request("ACK")
    trying, *others = list(office.inbox)
    assert isinstance(trying, Response)
    assert trying.to.tag == ""
    assert len({message.to.tag for message in others} - {""}) == 1
    for message in (trying, *others):
        assert (message.from_, message.call_id, message.cseq) == (invite.from_, invite.call_id, invite.cseq)
        assert message.via.branch == invite.via.branch
        assert str(message.to.with_tag("")) == str(invite.to)
    office.ack(others[-1])  # type: ignore[arg-type]


def test_UAS_05_what_has_no_dialog(world: World, office: Agent) -> None:
    for method in ("BYE", "UPDATE", "PRACK", "INVITE", "OPTIONS"):
        office.send(office.request(method, "sip:10.0.0.1", to_tag="nothing"))
        office.expect_response(481)
    office.send(office.request("ACK", "sip:10.0.0.1", to_tag="nothing"))
    office.expect_nothing()


def test_UAS_08_a_200_is_repeated_on_a_connection_too(world: World, alice: Agent, carrier: Agent) -> None:
    """Proxies behind it may use UDP (RFC 3261 s13.3.1.4)."""
    call_as_alice(alice)
    carrier.answer(carrier.expect_request("INVITE"), 200, body=sdp("10.1.0.2", 50000))
    alice.inbox.clear()
    world.after(1.6)
    ok, again = alice.expect_response(200), alice.expect_response(200)
    assert ok.encode() == again.encode()
    alice.ack(ok)
    world.after(20)
    alice.expect_nothing()


def test_UAS_13_to_need_not_be_the_number_called(office: Agent, carrier: Agent) -> None:
    request = office.request("INVITE", "sip:+4930123456@10.0.0.1", to="<sip:somebody@elsewhere.example>", body=sdp(office.host, 40000))
    office.send(request)
    received = carrier.expect_request("INVITE")
    assert received.uri.user == "+4930123456"
    assert received.to.uri.user == "+4930123456"
    carrier.answer(received, 486)
    assert str(office.inbox[-1].to.with_tag("")) == "<sip:somebody@elsewhere.example>"


@pytest.mark.parametrize(("status", "told"), [(499, 499), (599, 599), (699, 699), (398, 480)])
def test_INV_11_a_status_nobody_knows(office: Agent, carrier: Agent, backup: Agent, status: int, told: int) -> None:
    """Treated as the x00 of its class: 599 is one more 5xx, for which the route goes on."""
    office.invite("+4930123456")
    carrier.answer(carrier.expect_request("INVITE"), status, "Whatever")
    if status == 599:
        backup.answer(backup.expect_request("INVITE"), status, "Whatever")
        backup.expect_request("ACK")
    backup.expect_nothing()
    assert statuses(office) == [100, told]


def test_INV_11_a_6xx_ends_the_hunt(office: Agent, carrier: Agent, backup: Agent) -> None:
    office.invite("+4930123456")
    carrier.answer(carrier.expect_request("INVITE"), 603)
    backup.expect_nothing()
    assert statuses(office) == [100, 603]


def test_INV_07_a_bye_is_answered_when_the_other_side_is_long_gone(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok, _ = connect(office, carrier, "+4930123456")
    world.unreachable.add(("10.1.0.2", 5060))
    office.send(office.within(invite, ok, "BYE"))
    office.expect_response(200)
    assert len(world.records) == 1


@pytest.mark.parametrize("status", [408, 481, 500])
def test_INV_07_whatever_answers_a_bye_the_dialog_is_over(world: World, office: Agent, carrier: Agent, status: int) -> None:
    invite, ok, _ = connect(office, carrier, "+4930123456")
    office.send(office.within(invite, ok, "BYE"))
    carrier.answer(carrier.expect_request("BYE"), status)
    world.after(5.1)
    assert world.core.leftovers().get("dialogs", 0) == 0


def test_INV_01_a_cancel_is_of_the_same_making_as_its_invite(office: Agent, carrier: Agent) -> None:
    invite = office.invite("+4930123456")
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 180)
    office.cancel(invite)
    cancel = carrier.expect_request("CANCEL")
    assert (cancel.uri, cancel.call_id, cancel.to, cancel.from_) == (received.uri, received.call_id, received.to, received.from_)
    assert (cancel.via, cancel.cseq.number) == (received.via, received.cseq.number)
    assert "Require" not in cancel.headers
    assert isinstance(cancel, Request)
    carrier.answer(received, 487)
