"""Hold by re-INVITE as the devices of the field write it, through the whole core."""

from __future__ import annotations

import pytest

from sbc.sdp.parse import parse_session
from tests.world import Agent, World, connect, sdp

SPEECH = sdp("10.0.0.20", 40000, version=2)
DIALECTS = {
    "sendonly": (sdp("10.0.0.20", 40000, version=2, direction="sendonly"), "sendonly"),
    "inactive": (sdp("10.0.0.20", 40000, version=2, direction="inactive"), "inactive"),
    "0.0.0.0": (SPEECH.replace(b"c=IN IP4 10.0.0.20", b"c=IN IP4 0.0.0.0"), "sendonly"),
    "::": (SPEECH.replace(b"c=IN IP4 10.0.0.20", b"c=IN IP6 ::"), "sendonly"),
    "of the session": (SPEECH.replace(b"a=sendrecv\r\n", b"").replace(b"t=0 0", b"t=0 0\r\na=sendonly"), "sendonly"),
    "port 0": (SPEECH.replace(b"m=audio 40000", b"m=audio 0"), "inactive"),
}
ANSWER = {"sendonly": "recvonly", "inactive": "inactive"}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_SDP_05_hold_music_and_resume(world: World, office: Agent, carrier: Agent, dialect: str) -> None:
    offer, asked = DIALECTS[dialect]
    invite, ok, _ = connect(office, carrier, "+4930123456")
    office.send(office.within(invite, ok, "INVITE", cseq=2, body=offer))
    office.expect_response(100)
    hold = carrier.expect_request("INVITE")
    media = parse_session(hold.body).media[0]
    assert (parse_session(hold.body).direction(media), bool(media.port)) == (asked, True)
    carrier.answer(hold, 200, body=sdp("10.1.0.2", 50000, version=2, direction=ANSWER[asked]))
    carrier.expect_request("ACK")
    held = office.expect_response(200)
    assert bool(parse_session(held.body).media[0].port) is (dialect != "port 0")
    office.send(office.within(invite, ok, "ACK", cseq=2))
    a, b = world.updates[-1]
    assert (a.send, b.send) == (False, asked == "sendonly")
    # A refresh meanwhile changes nothing and asks nobody.
    office.send(office.within(invite, ok, "INVITE", cseq=3, body=offer))
    assert office.expect_response(200).body == held.body
    office.send(office.within(invite, ok, "ACK", cseq=3))
    carrier.expect_nothing()
    office.send(office.within(invite, ok, "INVITE", cseq=4, body=sdp("10.0.0.20", 40000, version=3)))
    office.expect_response(100)
    resume = carrier.expect_request("INVITE")
    assert parse_session(resume.body).direction(parse_session(resume.body).media[0]) == "sendrecv"
    carrier.answer(resume, 200, body=sdp("10.1.0.2", 50000, version=3))
    carrier.expect_request("ACK")
    assert parse_session(office.expect_response(200).body).media[0].port
    office.send(office.within(invite, ok, "ACK", cseq=4))
    a, b = world.updates[-1]
    assert (a.send, b.send, a.remote) == (True, True, ("10.0.0.20", 40000))


def test_SDP_02_both_sides_hold(world: World, office: Agent, carrier: Agent) -> None:
    """Each asks for it in its own re-INVITE; letting go on one side is not yet a call."""
    invite, ok, received = connect(office, carrier, "+4930123456")
    office.send(office.within(invite, ok, "INVITE", cseq=2, body=DIALECTS["sendonly"][0]))
    office.expect_response(100)
    carrier.answer(carrier.expect_request("INVITE"), 200, body=sdp("10.1.0.2", 50000, version=2, direction="recvonly"))
    carrier.expect_request("ACK")
    office.expect_response(200)
    office.send(office.within(invite, ok, "ACK", cseq=2))
    carrier.send(carrier.within_received(received, "INVITE", cseq=7, body=sdp("10.1.0.2", 50000, version=3, direction="inactive")))
    carrier.expect_response(100)
    office.answer(office.expect_request("INVITE"), 200, body=sdp("10.0.0.20", 40000, version=3, direction="inactive"))
    office.expect_request("ACK")
    carrier.expect_response(200)
    carrier.send(carrier.within_received(received, "ACK", cseq=7))
    assert [side.send for side in world.updates[-1]] == [False, False]
    office.send(office.within(invite, ok, "INVITE", cseq=3, body=sdp("10.0.0.20", 40000, version=4)))
    office.expect_response(100)
    carrier.answer(carrier.expect_request("INVITE"), 200, body=sdp("10.1.0.2", 50000, version=4, direction="sendonly"))
    carrier.expect_request("ACK")
    office.expect_response(200)
    office.send(office.within(invite, ok, "ACK", cseq=3))
    assert [side.send for side in world.updates[-1]] == [True, False]
