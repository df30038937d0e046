"""Each profile against messages of the peers it is for, as their equipment sends them."""

from __future__ import annotations

import re

import pytest

from sbc.flow import Transport
from sbc.policy.profile import SHIPPED
from sbc.sip.message import Request, Response
from sbc.sip.multipart import sdp_of
from sbc.sip.parse import parse_datagram
from tests.vectors.messages import octets
from tests.world import POLICY, World, sdp
from tests.zones import zone

NUMBER = "+4930123456"
PROFILES = {"asterisk", "freepbx", "3cx", "teams", "generic-carrier"}


def policy(profile: str, own: str = "") -> str:
    """The world's, whose office is a peer of that kind, over TLS as those want it."""
    office = re.search(r"  office:\n(?:    .*\n)+", POLICY)
    assert office is not None
    transport = "" if profile == "generic-carrier" else ":5061;transport=tls"
    keys = f"    realm: outside\n    accept_from: [10.0.0.20/32]\n    peer: sip:10.0.0.20{transport}\n    profile: {profile}\n{own}"
    return POLICY.replace(office[0], f"  office:\n{keys}").replace('{trunk: office, to: "+*"}', '{trunk: office, to: "*"}')


class Cast:
    def __init__(self, profile: str, own: str = "") -> None:
        transport: Transport = "UDP" if profile == "generic-carrier" else "TLS"
        self.world = World(policy(profile, own))
        port = 5060 if transport == "UDP" else 5061
        self.peer = self.world.agent("office", ("10.0.0.20", port), "outside", transport, connection=0 if transport == "UDP" else 3)
        self.carrier = self.world.agent("carrier", ("10.1.0.2", 5060), "inside")

    def send(self, file: str) -> Request:
        """One of the samples, with the transport it would really come by."""
        data = re.sub(rb"(?i)^(via: SIP/2.0/)\w+", rb"\1" + self.peer.flow.transport.encode(), octets("samples", file), flags=re.M)
        request = parse_datagram(data)
        assert isinstance(request, Request)
        self.peer.send(request)
        return request

    def called(self, body: bytes | None = None) -> Request:
        """The INVITE that peer gets when the carrier calls it."""
        self.carrier.invite(NUMBER, body)
        return self.peer.expect_request("INVITE")

    def over(self) -> None:
        self.world.shut_down()
        for agent in (self.peer, self.carrier):
            agent.inbox.clear()


def test_there_is_a_test_for_each() -> None:
    assert {file.stem for file in SHIPPED.glob("*.yaml")} == PROFILES


@pytest.mark.parametrize("profile", ["asterisk", "freepbx"])
def test_asterisk_calls_and_is_called(profile: str) -> None:
    cast = Cast(profile)
    cast.send("asterisk_pjsip_invite.sip")  # plain RTP, which this trunk is not to send
    cast.peer.expect_response(100)
    assert cast.peer.expect_response(488).headers.first("Warning")
    cast.send("asterisk_options_qualify.sip")
    cast.peer.expect_response(200)
    invite = cast.called()
    answer = sdp_of(parse_datagram(octets("samples", "asterisk_pjsip_200_srtp.sip")))
    assert answer is not None
    (tag,) = re.findall(rb"a=crypto:(\d+) AES_CM_128_HMAC_SHA1_80 ", invite.body)
    cast.peer.answer(invite, 200, body=answer.replace(b"a=crypto:1", b"a=crypto:" + tag))
    cast.peer.expect_request("ACK")
    assert [call.state for call in cast.world.calls()] == ["connected"]
    cast.over()


@pytest.mark.parametrize(("profile", "file"), [("asterisk", "asterisk_pjsip_invite.sip"), ("freepbx", "freepbx_pjsip_invite.sip")])
def test_without_encryption_where_the_trunk_says_so(profile: str, file: str) -> None:
    cast = Cast(profile, "    media: plain\n")
    request = cast.send(file)
    cast.peer.expect_response(100)
    invite = cast.carrier.expect_request("INVITE")
    offered, passed = (set(re.findall(rb"a=rtpmap:\d+ (\S+?)/", message.body)) for message in (request, invite))
    assert passed == offered & {b"PCMA", b"PCMU", b"G729", b"telephone-event"}
    assert b"candidate" not in invite.body
    cast.carrier.answer(invite, 200, body=sdp(cast.carrier.host, 50000, "0 101"))
    assert cast.peer.expect_response(200).body.startswith(b"v=0")
    cast.over()


def test_a_pbx_may_send_a_call_on() -> None:
    for profile in ("asterisk", "freepbx", "3cx"):
        trunk = World(policy(profile)).snapshot.trunks["office"]
        assert (trunk.services.transfers, trunk.services.redirects) == ("perform", "follow")


def test_3cx_is_called_with_an_offer_and_answers_with_a_list_of_digits() -> None:
    cast = Cast("3cx", "    media: plain\n")
    invite = cast.called(b"")
    assert b"m=audio" in invite.body, "the caller had made no offer"
    answered = parse_datagram(octets("samples", "3cx_200_invite.sip"))
    assert isinstance(answered, Response)
    cast.peer.answer(invite, 200, body=answered.body)
    cast.peer.expect_request("ACK")
    ok = [message for message in cast.carrier.inbox if isinstance(message, Response)][-1]
    assert ok.status == 200
    assert b"0-11,16" in ok.body
    cast.over()
    offer = Cast("3cx")
    assert re.findall(rb"a=crypto:\d+ (\S+)", offer.called().body) == [b"AES_CM_128_HMAC_SHA1_80"]
    offer.over()


def test_teams_calls_with_the_one_suite_it_has() -> None:
    cast = Cast("teams")
    cast.send("teams_options_from_sbc.sip")
    cast.peer.expect_response(200)
    cast.send("teams_invite_outbound.sip")
    cast.peer.expect_response(100)
    invite = cast.carrier.expect_request("INVITE")
    assert not any(name.lower().startswith("x-ms") or name.lower() == "history-info" for name, _ in invite.headers)
    cast.carrier.answer(invite, 200, body=sdp(cast.carrier.host, 50000, "8 101"))
    answer = cast.peer.expect_response(200).body
    assert re.findall(rb"a=crypto:(\d+) (\S+)", answer) == [(b"1", b"AES_CM_128_HMAC_SHA1_80")]
    cast.over()


def test_teams_has_more_than_one_data_centre() -> None:
    text = policy("teams").replace("sip:10.0.0.20:5061", "sip:teams.example:5061")
    world = World(text)
    world.zone = zone("teams.example A 10.0.0.20\nteams.example A 10.0.0.21")
    one, two = (world.agent(host, (host, 5061), "outside", "TLS") for host in ("10.0.0.20", "10.0.0.21"))
    carrier = world.agent("carrier", ("10.1.0.2", 5060), "inside")
    busy = parse_datagram(octets("samples", "teams_503_retry_after.sip"))
    assert isinstance(busy, Response)
    carrier.invite(NUMBER)
    one.answer(one.expect_request("INVITE"), busy.status, busy.reason, headers=(("Retry-After", busy.headers.first("Retry-After") or ""),))
    one.expect_request("ACK")
    two.expect_request("INVITE")
    world.after(4.1)
    carrier.expect_response(100)
    carrier.expect_response(408)  # the second one has said nothing


@pytest.mark.parametrize("file", ["audiocodes_invite_compact.sip", "diversion_history_privacy.sip"])
def test_a_carrier_calls(file: str) -> None:
    cast = Cast("generic-carrier")
    cast.send(file)
    cast.peer.expect_response(100)
    cast.carrier.expect_request("INVITE")
    cast.over()


def test_a_carrier_is_called_with_an_offer_and_not_for_long() -> None:
    cast = Cast("generic-carrier")
    assert b"m=audio" in cast.called(b"").body
    cast.world.after(6.1)
    assert 408 in [message.status for message in cast.carrier.inbox if isinstance(message, Response)]
    cast.over()
