"""A peer whose crypto line has several keys (RFC 4568 s6.1): it may go from one to the other in the middle of a call."""

from __future__ import annotations

import base64
import re

from media.api import MOST_KEYS, Side
from sbc.sip.message import Request
from tests.scenarios.test_registration import call_as_alice
from tests.unit.media.contract_keys import key, sealed
from tests.unit.media.packets import rtp
from tests.world import Agent, World, sdp


def offer(alice: Agent, count: int, *further: str) -> bytes:
    infos = [f"inline:{base64.b64encode(key(number).master).decode()}|2^31|{number}:4" for number in range(1, count + 1)]
    lines = [f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 {';'.join(infos)}", *further]
    return sdp(alice.host, 40000, extra="".join(f"{line}\r\n" for line in lines)).replace(b"RTP/AVP", b"RTP/SAVP")


def answered(alice: Agent, carrier: Agent, body: bytes) -> tuple[Request, bytes]:
    invite = call_as_alice(alice, offer=body)
    alice.expect_response(100)
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))
    carrier.expect_request("ACK")
    ok = alice.expect_response(200)
    alice.ack(ok)
    return invite, ok.body


def test_SRTP_05_either_key_is_heard_and_we_answer_with_one(world: World, alice: Agent, carrier: Agent) -> None:
    _, answer = answered(alice, carrier, offer(alice, 2))
    (line,) = re.findall(rb"a=crypto:(.*)\r\n", answer)
    assert re.fullmatch(rb"1 AES_CM_128_HMAC_SHA1_80 inline:[A-Za-z0-9+/=]{40}\|1:4", line)
    (relay,) = world.open_relays
    for number, under in enumerate((key(1), key(2), key(1)), 1):
        world.media.receive(relay, Side.A, sealed(under, number), (alice.host, 40000))
        assert [sent.packet for sent in world.media.take_sent()] == [rtp(number)]
    world.media.receive(relay, Side.A, sealed(key(3), 4), (alice.host, 40000))
    assert world.media.take_sent() == []
    world.expect_replayable()


def test_SRTP_05_a_line_with_too_many_keys_is_passed_over(world: World, alice: Agent, carrier: Agent) -> None:
    alone = "a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:" + base64.b64encode(key(9).master).decode()
    _, answer = answered(alice, carrier, offer(alice, MOST_KEYS + 1, alone))
    assert b"a=crypto:2 AES_CM_128_HMAC_SHA1_32 " in answer


def test_SRTP_05_and_refused_where_there_is_no_other(world: World, alice: Agent, carrier: Agent) -> None:
    call_as_alice(alice, offer=offer(alice, MOST_KEYS + 1))
    alice.expect_response(100)
    refusal = alice.expect_response(488)
    assert "no usable a=crypto line" in (refusal.headers.first("Warning") or "")
    carrier.expect_nothing()
