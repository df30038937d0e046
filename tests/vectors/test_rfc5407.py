"""The races of RFC 5407 s3, with the messages it prints: Alice is the office, Bob the carrier, and we stand between them.

Dialog identifiers, ways and Contacts are those of this world; method, CSeq, session timer and description are as printed. Where the RFC
leaves a body of 147 octets out, it is Alice's description with a hold.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sbc.sip.message import Request, Response
from sbc.sip.parse import parse_datagram
from sbc.sip.transactions import acknowledgement
from tests.vectors.messages import VECTORS
from tests.vectors.test_callflows import messages
from tests.world import Agent, World, sdp

BOB = sdp("192.0.2.201", 3456, "0", version=1)
RECORDS = json.loads((VECTORS / "callflows" / "rfc5407.json").read_text())["messages"]
NAMES = [f"{record['section'].split()[0]} {record['label'].split()[0]}" for record in RECORDS]
PRINTED = dict(zip(NAMES, messages("rfc5407.json"), strict=True))
KEPT = ("session-expires", "supported")


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.expect_nothing_left()


@pytest.fixture
def alice(world: World) -> Agent:
    return world.agent("alice", ("10.0.0.20", 5060), "outside")


@pytest.fixture
def bob(world: World) -> Agent:
    return world.agent("bob", ("10.1.0.2", 5060), "inside")


def printed(name: str) -> Request:
    message = parse_datagram(PRINTED[name])
    assert isinstance(message, Request)
    return message


def body_of(message: Request) -> bytes:
    if message.body or message.method == "ACK" or message.headers.first("Session-Expires"):
        return message.body
    first = parse_datagram(PRINTED["3.1.4 F1"]).body
    return first.replace(b"2890844526 2890844526", b"2890844526 2890844527") + b"a=sendonly\r\n"


def kept(message: Request) -> tuple[tuple[str, str], ...]:
    return tuple((name.spelling, value) for name, value in message.headers if name in KEPT)


def invite(alice: Agent, name: str) -> Request:
    message = printed(name)
    return alice.invite("+4930123456", message.body, headers=kept(message))


def from_alice(alice: Agent, first: Request, ok: Response, name: str) -> Request:
    message = printed(name)
    request = alice.within(first, ok, message.method, cseq=message.cseq.number, body=body_of(message), headers=kept(message))
    alice.send(request)
    return request


def from_bob(bob: Agent, received: Request, name: str) -> Request:
    message = printed(name)
    cseq = message.cseq.number
    request = bob.within_received(received, message.method, cseq=cseq, body=body_of(message), headers=kept(message))
    bob.send(request)
    return request


def refused(agent: Agent, request: Request, status: int) -> None:
    agent.send(acknowledgement(request, agent.expect_response(status)))


def established(alice: Agent, bob: Agent) -> tuple[Request, Response, Request]:
    first = invite(alice, "3.1.4 F1")
    alice.expect_response(100)
    received = bob.expect_request("INVITE")
    bob.answer(received, 200, body=BOB, headers=(("Allow", "INVITE, ACK, BYE, CANCEL, UPDATE"),))
    bob.expect_request("ACK")
    ok = alice.expect_response(200)
    alice.ack(ok)
    return first, ok, received


def test_INV_08_s3_1_4_reinvite_in_the_moratorium_state(world: World, alice: Agent, bob: Agent) -> None:
    """The ACK is lost; a re-INVITE says as well that the 200 has arrived."""
    first = invite(alice, "3.1.4 F1")
    alice.expect_response(100)
    received = bob.expect_request("INVITE")
    bob.answer(received, 200, body=BOB)
    bob.expect_request("ACK")
    ok = alice.expect_response(200)
    from_alice(alice, first, ok, "3.1.4 F6")
    alice.expect_response(100)
    changed = bob.expect_request("INVITE")
    bob.answer(changed, 200, body=BOB.replace(b"4711 1", b"4711 2").replace(b"sendrecv", b"recvonly"))
    bob.expect_request("ACK")
    assert alice.expect_response(200).cseq.number == 2
    from_alice(alice, first, ok, "3.1.4 F9")
    world.after(33)
    alice.expect_nothing()
    assert world.core.busy() == 1


def test_INV_08_s3_1_5_reinvite_while_our_offer_is_not_answered(world: World, alice: Agent, bob: Agent) -> None:
    """The ACK with the answer is lost: until it comes again the re-INVITE has to wait."""
    first = invite(alice, "3.1.5 F1")
    alice.expect_response(100)
    received = bob.expect_request("INVITE")
    assert received.body == b""
    bob.answer(received, 200, body=BOB)
    ok = alice.expect_response(200)
    refused(alice, from_alice(alice, first, ok, "3.1.5 F6"), 491)
    world.after(0.6)
    from_alice(alice, first, alice.expect_response(200), "3.1.5 F4")
    assert b"m=audio 30" in bob.expect_request("ACK").body
    again = alice.within(first, ok, "INVITE", cseq=3, body=body_of(printed("3.1.5 F6")))
    alice.send(again)
    alice.expect_response(100)
    assert b"a=sendonly" in bob.expect_request("INVITE").body


def test_INV_08_s3_2_3_200_of_a_reinvite_in_the_mortal_state(world: World, alice: Agent, bob: Agent) -> None:
    """Alice's BYE overtakes her 200 to Bob's re-INVITE: it is acknowledged all the same, and no session timer begins."""
    first, ok, received = established(alice, bob)
    from_bob(bob, received, "3.2.3 F5")
    bob.expect_response(100)
    reinvite = alice.expect_request("INVITE")
    alice.send(alice.within(first, ok, "BYE", cseq=2))
    alice.expect_response(200)
    bob.expect_response(487)
    bye = bob.expect_request("BYE")
    alice.answer(reinvite, 200, body=sdp("192.0.2.101", 49172, "0"), tag=first.from_.tag)
    alice.expect_request("ACK")
    from_bob(bob, received, "3.2.3 F9")  # an ACK of nothing is never answered
    bob.answer(bye, 200)
    bob.expect_nothing()
    world.after(300)
    alice.expect_nothing()


def test_INV_08_s3_3_1_reinvites_cross(world: World, alice: Agent, bob: Agent) -> None:
    first, ok, received = established(alice, bob)
    change = from_alice(alice, first, ok, "3.3.1 F5")
    alice.expect_response(100)
    ours = bob.expect_request("INVITE")
    refused(bob, from_bob(bob, received, "3.3.1 F6"), 491)
    bob.answer(ours, 491)
    bob.expect_request("ACK")
    refused(alice, change, 491)
    world.after(3)
    from_alice(alice, first, ok, "3.3.1 F14")
    alice.expect_response(100)
    bob.answer(bob.expect_request("INVITE"), 200, body=BOB.replace(b"4711 1", b"4711 2").replace(b"sendrecv", b"recvonly"))
    bob.expect_request("ACK")
    assert b"a=recvonly" in alice.expect_response(200).body
    alice.send(alice.within(first, ok, "ACK", cseq=3))


def test_INV_08_s3_3_2_update_and_reinvite_cross(world: World, alice: Agent, bob: Agent) -> None:
    first, ok, received = established(alice, bob)
    from_alice(alice, first, ok, "3.3.2 F5")
    ours = bob.expect_request("UPDATE")
    refused(bob, from_bob(bob, received, "3.3.2 F6"), 491)
    bob.answer(ours, 491)
    alice.expect_response(491)
    world.after(3)
    from_alice(alice, first, ok, "3.3.2 F13")
    bob.answer(bob.expect_request("UPDATE"), 200, body=BOB.replace(b"4711 1", b"4711 2").replace(b"sendrecv", b"recvonly"))
    assert b"a=recvonly" in alice.expect_response(200).body
    alice.expect_nothing()


def test_every_message_is_played() -> None:
    played = Path(__file__).read_text()
    assert len(PRINTED) == 14
    assert all(f'"{name}"' in played for name in PRINTED)
