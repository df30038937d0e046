"""Transfers that are passed to the other party: whatever names a dialog or a place is ours on each side."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from sbc.sip.fields.refer_to import ReferTo
from sbc.sip.fields.replaces import Replaces
from tests.world import POLICY, Agent, World, connect, sdp

PASSED = (
    POLICY.replace("    peer: sip:10.0.0.20:5060\n", "    peer: sip:10.0.0.20:5060\n    transfers: pass\n")
    .replace("    peer: sip:10.1.0.2:5060\n", "    peer: sip:10.1.0.2:5060\n    transfers: pass\n")
    .replace("carrier: {calls: 2", "carrier: {calls: 3")
    .replace('to: "+*"}', 'to: "+49*", not_to: "+4990*"}')
)
CALLFLOWS = Path(__file__).parents[1] / "vectors" / "callflows"


@pytest.fixture
def policy() -> str:
    return PASSED


def test_REF_02_a_transfer_is_passed(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok, received = connect(office, carrier, "+4930123456")
    rows = (
        ("Refer-To", "<sip:040555@10.0.0.1;x-m=8:orgid:0815;transport=tcp?Route=%3Csip:evil%3E>"),
        ("Referred-By", "<sip:boss@10.0.0.20>"),
    )
    office.send(office.within(invite, ok, "REFER", headers=rows))
    passed = carrier.expect_request("REFER")
    assert passed.headers.all("Refer-To") == ["<sip:+4940555@10.1.0.1:5060;x-m=8:orgid:0815>"]
    assert passed.call_id == received.call_id
    assert passed.headers.first("Contact") == received.headers.first("Contact")
    assert b"10.0.0" not in passed.encode(), "nothing the referrer says of itself crosses"
    carrier.answer(passed, 202)
    office.expect_response(202)
    report = carrier.within_received(received, "NOTIFY", headers=(("Event", "refer"), ("Subscription-State", "active;expires=60;x=y")))
    report.headers.add("Content-Type", "message/sipfrag")
    report.body = b"SIP/2.0 180 Ringing\r\nContact: <sip:secret@10.1.0.77>\r\n"
    carrier.send(report)
    told = office.expect_request("NOTIFY")
    assert told.body == b"SIP/2.0 180 Ringing\r\n"
    assert told.headers.first("Event") == "refer;id=2", "the office's own CSeq"
    assert told.headers.first("Subscription-State") == "active;expires=60"
    office.answer(told, 200)
    carrier.expect_response(200)


REFERRED_BY = ("Referred-By", '"Boss" <sip:030-777@10.0.0.20:5060;x=pbx.local>;cid="20398823.2UWQFN309shb3@10.0.0.20"')
TRUSTED_OFFICE, TRUSTED_CARRIER = (
    ("    peer: sip:10.0.0.20:5060\n", "    peer: sip:10.0.0.20:5060\n    trusted: true\n"),
    ("    peer: sip:10.1.0.2:5060\n", "    peer: sip:10.1.0.2:5060\n    trusted: true\n"),
)


class TestReferredBy:
    """Who asked for a transfer is unsigned: it is taken from and told to trusted sides alone."""

    @pytest.fixture(params=[(), (TRUSTED_OFFICE,), (TRUSTED_CARRIER,), (TRUSTED_OFFICE, TRUSTED_CARRIER)])
    def trust(self, request: pytest.FixtureRequest) -> tuple[tuple[str, str], ...]:
        trust: tuple[tuple[str, str], ...] = request.param
        return trust

    @pytest.fixture
    def policy(self, trust: tuple[tuple[str, str], ...]) -> str:
        text = PASSED
        for old, new in trust:
            text = text.replace(old, new)
        return text

    def test_REF_04_of_a_refer_and_of_the_call_it_makes(
        self, world: World, office: Agent, carrier: Agent, trust: tuple[tuple[str, str], ...]
    ) -> None:
        crosses = len(trust) == 2
        invite, ok, _ = connect(office, carrier, "+4930123456")
        office.send(office.within(invite, ok, "REFER", headers=(("Refer-To", "<sip:+4940555@10.0.0.1>"), REFERRED_BY)))
        passed = carrier.expect_request("REFER")
        told = passed.headers.all("Referred-By")
        assert told == (['"Boss" <sip:+4930777@10.1.0.1;user=phone>'] if crosses else [])
        assert b"10.0.0.20" not in passed.encode()
        carrier.answer(passed, 429)
        office.expect_response(429)
        carrier.invite("+4930999", headers=(("Referred-By", "<sip:+4930777@10.1.0.1>"),))
        carrier.expect_response(100)
        rows = office.expect_request("INVITE").headers.all("Referred-By")
        assert rows == (["<sip:+4930777@10.0.0.1;user=phone>"] if crosses else [])

    @pytest.mark.parametrize("rows", [(REFERRED_BY, REFERRED_BY), (("Referred-By", "<sip:"),), (("Referred-By", "<mailto:x@y>"),)])
    def test_REF_04_one_that_cannot_be_read_names_nobody(
        self, world: World, office: Agent, carrier: Agent, rows: tuple[tuple[str, str], ...]
    ) -> None:
        invite, ok, _ = connect(office, carrier, "+4930123456")
        office.send(office.within(invite, ok, "REFER", headers=(("Refer-To", "<sip:+4940555@10.0.0.1>"), *rows)))
        assert "Referred-By" not in carrier.expect_request("REFER").headers


def test_REF_01_the_report_that_ends_it(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok, received = connect(office, carrier, "+4930123456")
    office.send(office.within(invite, ok, "REFER", headers=(("Refer-To", "<sip:+4940555@10.0.0.1>"),)))
    passed = carrier.expect_request("REFER")
    for number, (event, status) in enumerate(((f"refer;id={passed.cseq.number}", 200), ("refer", 481)), 1):
        rows = (("Event", event), ("Subscription-State", "terminated;reason=noresource"))
        report = carrier.within_received(received, "NOTIFY", cseq=number, headers=rows)
        report.body = b"SIP/2.0 200 OK"
        carrier.send(report)
        if status == 200:  # before the answer to the REFER, as it may be (RFC 6665 s4.1.2.4)
            office.answer(office.expect_request("NOTIFY"), 200)
        carrier.expect_response(status)
    carrier.answer(passed, 202)
    office.expect_response(202)
    assert world.core.busy() == 1


@pytest.mark.parametrize(
    ("event", "state", "body", "status"),
    [
        ("presence", "active", b"SIP/2.0 200 OK", 489),
        ("", "active", b"SIP/2.0 200 OK", 400),
        ("refer;id=99", "active", b"SIP/2.0 200 OK", 481),
        ("refer", "", b"SIP/2.0 200 OK", 400),
        ("refer", "active", b"HTTP/1.1 200 OK", 400),
        ("refer", "active", b"SIP/2.0 999 x", 400),
        ("refer", "active", b"", 400),
    ],
)
def test_REF_01_reports_that_do_not_cross(
    world: World, office: Agent, carrier: Agent, event: str, state: str, body: bytes, status: int
) -> None:
    invite, ok, received = connect(office, carrier, "+4930123456")
    office.send(office.within(invite, ok, "REFER", headers=(("Refer-To", "<sip:+4940555@10.0.0.1>"),)))
    carrier.answer(carrier.expect_request("REFER"), 202)
    office.expect_response(202)
    rows = tuple(row for row in (("Event", event), ("Subscription-State", state)) if row[1])
    report = carrier.within_received(received, "NOTIFY", headers=rows)
    report.body = body
    carrier.send(report)
    carrier.expect_response(status)
    office.expect_nothing()


def test_REF_02_replaces_names_the_dialog_the_far_side_knows(world: World, office: Agent, carrier: Agent) -> None:
    """The carrier holds both far ends, and finds the second one among its own dialogs."""
    invite, ok, _ = connect(office, carrier, "+4930123456")
    _, second, received = connect(office, carrier, "+4940555")
    named = f"{second.call_id};to-tag={second.to.tag};from-tag={second.from_.tag}"
    refer_to = f"<sip:x@10.0.0.1?Replaces={named.replace('@', '%40').replace(';', '%3B').replace('=', '%3D')}>"
    office.send(office.within(invite, ok, "REFER", headers=(("Refer-To", refer_to),)))
    passed = carrier.expect_request("REFER")
    told = ReferTo.parse_rows(passed.headers.all("Refer-To"))
    assert told.replaces == Replaces(received.call_id, "to-carrier", received.from_.tag)
    assert told.uri.user == "+4940555"
    carrier.answer(passed, 202)
    office.expect_response(202)
    # It may as well call by way of us, with the identifiers it was given
    carrier.invite("+4940555", sdp("10.1.0.2", 47000), headers=(("Replaces", str(told.replaces)),))
    carrier.expect_response(100)
    reinvite = carrier.expect_request("INVITE")
    assert reinvite.call_id == received.call_id
    carrier.answer(reinvite, 200, body=sdp("10.1.0.2", 50000))
    carrier.expect_request("ACK")
    carrier.ack(carrier.expect_response(200))
    office.answer(office.expect_request("BYE"), 200)
    assert world.core.busy() == 2
    assert {side.remote for side in world.updates[-1]} == {("10.1.0.2", 47000), ("10.1.0.2", 50000)}


@pytest.mark.parametrize("refer_to", ["<sip:+4990123@h>", "<sip:+1555@h>", "<sip:bob@elsewhere.example>"])
def test_REF_05_a_target_the_referrer_may_not_call(world: World, office: Agent, carrier: Agent, refer_to: str) -> None:
    invite, ok, _ = connect(office, carrier, "+4930123456")
    office.send(office.within(invite, ok, "REFER", headers=(("Refer-To", refer_to),)))
    office.expect_response(404)
    carrier.expect_nothing()
    assert world.records[0]["transferred_by"] == "office"


@pytest.mark.parametrize(("status", "told"), [(603, 603), (405, 405), (401, 500)])
def test_REF_02_the_far_party_refuses(world: World, office: Agent, carrier: Agent, status: int, told: int) -> None:
    invite, ok, _ = connect(office, carrier, "+4930123456")
    office.send(office.within(invite, ok, "REFER", headers=(("Refer-To", "<sip:+4940555@10.0.0.1>"),)))
    carrier.answer(carrier.expect_request("REFER"), status)
    office.expect_response(told)
    assert world.core.busy() == 1


def test_REF_02_a_party_that_is_not_to_be_referred(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    office.invite("+4930123456")
    office.expect_response(100)
    carrier.answer(carrier.expect_request("INVITE"), 503)
    received = backup.expect_request("INVITE")
    backup.answer(received, 200, body=sdp("10.1.0.3", 50000))
    ok = office.expect_response(200)
    office.ack(ok)
    backup.expect_request("ACK")
    assert office.last_invite is not None
    office.send(office.within(office.last_invite, ok, "REFER", headers=(("Refer-To", "<sip:+4940555@10.0.0.1>"),)))
    office.expect_response(403)
    backup.expect_nothing()


def test_REF_01_every_refer_of_the_rfcs_is_answered(world: World, office: Agent, carrier: Agent) -> None:
    """Their targets are nobody we know: each is refused by name, none by accident."""
    invite, ok, _ = connect(office, carrier, "+4930123456")
    cseq, seen = 1, 0
    for file in ("rfc3515.json", "rfc5589.json"):
        for message in json.loads((CALLFLOWS / file).read_text())["messages"]:
            refer_to = re.search(r"\r\nRefer-To: *([^\r(]+)\r", message["message"])
            if message["message"].startswith("REFER ") and refer_to:
                cseq += 1
                office.send(office.within(invite, ok, "REFER", cseq=cseq, headers=(("Refer-To", refer_to[1]),)))
                if "tag3D" in refer_to[1]:
                    office.expect_response(400)
                else:
                    office.expect_response(404)
                    seen += 1
    assert seen > 5
    carrier.expect_nothing()
