"""MESSAGE: passed like a call, with nothing of either side but the text; no dialog, one final answer."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from sbc.sip.message import Request
from sbc.sip.parse import parse_datagram
from tests.scenarios.test_registration import DOMAIN, credentials, registered
from tests.world import POLICY, Agent, World, connect

WITH_MESSAGES = POLICY
for _peer in ("10.0.0.20:5060", "10.1.0.2:5060", "10.1.0.3:5060"):
    WITH_MESSAGES = WITH_MESSAGES.replace(f"    peer: sip:{_peer}\n", f"    peer: sip:{_peer}\n    messages: pass\n")
WITH_MESSAGES = WITH_MESSAGES.replace("    limits: person\n", "    limits: person\n    messages: pass\n").replace(
    "person: {calls: 1}", "person: {calls: 1, new_calls: 2/s}"
)
CALLFLOWS = Path(__file__).parents[1] / "vectors" / "callflows"


@pytest.fixture
def policy() -> str:
    return WITH_MESSAGES


def text(agent: Agent, uri: str, body: bytes = b"Watson, come here.", *headers: tuple[str, str], **options: object) -> Request:
    request = agent.request("MESSAGE", uri, **options)  # type: ignore[arg-type]
    for name, value in (("Content-Type", "text/plain;charset=UTF-8"), *headers):
        request.headers.add(name, value)
    request.body = body
    agent.send(request)
    return request


def test_MSG_01_a_message_passes(world: World, office: Agent, carrier: Agent) -> None:
    sent = text(office, "sip:040555@10.0.0.1", b"Watson", ("Subject", "?"), ("X-Secret", "10.0.0.20"), ("In-Reply-To", "a@10.0.0.20"))
    passed = carrier.expect_request("MESSAGE")
    assert str(passed.uri) == "sip:+4940555@10.1.0.2:5060"
    assert passed.body == b"Watson"
    assert passed.headers.first("Content-Type") == "text/plain;charset=UTF-8"
    assert passed.headers.first("Subject") == "?"
    assert passed.headers.first("Max-Forwards") == "69"
    assert "Contact" not in passed.headers, "RFC 3428 s4: a MESSAGE makes no dialog"
    assert b"10.0.0" not in passed.encode()
    assert (passed.call_id, passed.from_.tag) != (sent.call_id, sent.from_.tag)
    carrier.answer(passed, 202, "Held")
    ok = office.expect_response(202)
    assert ok.to.tag
    assert "Contact" not in ok.headers
    assert world.core.leftovers().keys() <= {"transactions", "timers"}


def test_MSG_01_the_messages_of_rfc_3428(world: World, office: Agent, carrier: Agent) -> None:
    shown = json.loads((CALLFLOWS / "rfc3428.json").read_text())["messages"]
    for one in shown:
        if not one["message"].startswith("MESSAGE"):
            continue
        sample = parse_datagram(re.sub(r"\r\nContent-Length:[^\r]*", "", one["message"]).encode())
        text(office, "sip:+4940555@10.0.0.1", sample.body or b"Watson, come here.")
        carrier.answer(carrier.expect_request("MESSAGE"), 200)
        office.expect_response(200)


@pytest.mark.parametrize(("status", "told"), [(404, 404), (480, 480), (401, 500), (302, 480), (603, 603)])
def test_MSG_01_refusals(world: World, office: Agent, carrier: Agent, status: int, told: int) -> None:
    text(office, "sip:+4940555@10.0.0.1")
    carrier.answer(carrier.expect_request("MESSAGE"), status, headers=(("Contact", "<sip:secret@10.1.0.9>"),))
    assert b"10.1.0" not in office.expect_response(told).encode()


def test_MSG_01_the_next_target(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    text(office, "sip:+4940555@10.0.0.1")
    carrier.answer(carrier.expect_request("MESSAGE"), 503)
    backup.answer(backup.expect_request("MESSAGE"), 200)
    office.expect_response(200)
    world.unreachable.add(carrier.flow.remote)
    text(office, "sip:+4940555@10.0.0.1")
    backup.answer(backup.expect_request("MESSAGE"), 200)
    office.expect_response(200)


def test_TXN_10_no_answer_at_all(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    text(office, "sip:+4940555@10.0.0.1")
    world.after(40)
    assert [message.method for message in carrier.inbox if isinstance(message, Request)] == ["MESSAGE"] * 11
    assert [message.status for message in office.inbox if not isinstance(message, Request)] in ([], [100])
    backup.expect_nothing()
    carrier.inbox.clear()
    office.inbox.clear()


@pytest.mark.parametrize(
    ("number", "options", "status"),
    [
        ("+1", {"max_forwards": 0}, 483),
        ("bob", {}, 404),
        ("%00", {}, 484),
        ("+4940555", {"headers": (("Require", "foo"),)}, 420),
    ],
)
def test_MSG_01_what_does_not_pass(
    world: World, office: Agent, carrier: Agent, number: str, options: dict[str, object], status: int
) -> None:
    text(office, f"sip:{number}@10.0.0.1", b"x", **options)
    office.expect_response(status)
    carrier.expect_nothing()


@pytest.mark.parametrize(("size", "status"), [(32_769, 413), (1200, 513)])
def test_MSG_01_too_long(world: World, office: Agent, carrier: Agent, size: int, status: int) -> None:
    text(office, "sip:+4940555@10.0.0.1", b"x" * size)
    office.expect_response(status)
    carrier.expect_nothing()


def test_MSG_01_our_own_message_comes_back(world: World, office: Agent, carrier: Agent) -> None:
    text(office, "sip:+4940555@10.0.0.1", b"x", ("Via", "SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKours"))
    office.expect_response(482)


def test_MSG_01_a_phone_proves_who_it_is(world: World, alice: Agent, carrier: Agent) -> None:
    first = text(alice, f"sip:+4940555@{DOMAIN}")
    proof = credentials(alice.expect_response(401), first)
    text(alice, f"sip:+4940555@{DOMAIN}", b"hello", proof, cseq=2)
    passed = carrier.expect_request("MESSAGE")
    assert passed.from_.uri.user == "alice"
    assert "Authorization" not in passed.headers
    carrier.answer(passed, 200)
    alice.expect_response(200)


def test_MSG_01_a_message_for_a_phone(world: World, alice: Agent, carrier: Agent) -> None:
    text(carrier, "sip:alice@10.1.0.1")
    carrier.expect_response(480)
    registered(alice)
    text(carrier, "sip:alice@10.1.0.1", b"x" * 2000)
    passed = alice.expect_request("MESSAGE")
    assert len(passed.body) == 2000, "over TLS there is room"
    alice.answer(passed, 200)
    carrier.expect_response(200)


def test_MSG_01_as_many_a_second_as_calls(world: World, office: Agent, carrier: Agent) -> None:
    for _ in range(10):
        text(office, "sip:+4940555@10.0.0.1")
        carrier.answer(carrier.expect_request("MESSAGE"), 200)
        office.expect_response(200)
    text(office, "sip:+4940555@10.0.0.1")
    office.expect_response(503)
    world.after(1)
    text(office, "sip:+4940555@10.0.0.1")
    carrier.answer(carrier.expect_request("MESSAGE"), 200)
    office.expect_response(200)


def test_MSG_01_within_a_call(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok, received = connect(office, carrier, "+4930123456")
    assert "MESSAGE" in (ok.headers.first("Allow") or "")
    request = office.within(invite, ok, "MESSAGE")
    request.headers.add("Content-Type", "text/plain")
    request.body = b"hello"
    office.send(request)
    passed = carrier.expect_request("MESSAGE")
    assert (passed.body, passed.call_id) == (b"hello", received.call_id)
    carrier.answer(passed, 200)
    office.expect_response(200)


def test_UAS_10_options_say_so_and_stay_here(world: World, office: Agent, carrier: Agent) -> None:
    office.send(office.request("OPTIONS", "sip:+4940555@10.0.0.1", max_forwards=0))
    assert "MESSAGE" in (office.expect_response(200).headers.first("Allow") or "")
    carrier.expect_nothing()


class TestRefused:
    @pytest.fixture
    def policy(self) -> str:
        return WITH_MESSAGES.replace("    peer: sip:10.0.0.20:5060\n    messages: pass\n", "    peer: sip:10.0.0.20:5060\n")

    def test_MSG_01_not_from_everybody(self, world: World, office: Agent) -> None:
        text(office, "sip:+4940555@10.0.0.1")
        assert "MESSAGE" not in (office.expect_response(405).headers.first("Allow") or "")

    def test_MSG_01_not_to_everybody(self, world: World, office: Agent, carrier: Agent) -> None:
        text(carrier, "sip:+4930123@10.1.0.1")
        carrier.expect_response(403)
        office.expect_nothing()
