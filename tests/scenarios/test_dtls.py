"""Calls with keys by DTLS, with real handshakes through the whole core: office has them, the carrier has plain RTP."""

from __future__ import annotations

import pytest

from media.api import EventKind, Role, Side
from media.dtls import PATIENCE
from media.keys import Inbound, Outbound
from sbc.sdp.parse import parse_session
from sbc.sip.message import Request, Response
from tests.unit.media import stun
from tests.unit.media.dtls_peer import DtlsPeer, certificate
from tests.unit.media.packets import rtcp, rtp
from tests.unit.media.worlds import Arrival, Peer
from tests.world import POLICY, Agent, World, sdp

NUMBER = "+4930123456"


@pytest.fixture
def policy() -> str:
    office = POLICY.replace("peer: sip:10.0.0.20:5060\n    media: plain", "peer: sip:10.0.0.20:5060\n    media: by_dtls")
    return office.replace("media:\n", "media:\n  by_dtls: {srtp: dtls, codecs: [PCMA, PCMU, telephone-event]}\n", 1)


class Endpoint(Peer):
    """Where the office has its media: a peer of the world's relay."""

    def __init__(self, world: World, side: Side, *, rtcp: bool = False) -> None:
        self.address = ("10.0.0.20", 40000 + rtcp)
        self.world = world
        self.side = side
        self.rtcp = rtcp

    def send(self, packet: bytes, to: object = None) -> None:
        (relay,) = self.world.open_relays
        self.world.media.receive(relay, self.side, packet, self.address, rtcp=self.rtcp)

    def pending(self) -> list[Arrival]:
        sent = self.world.media.take_sent()
        return [Arrival(each.packet, each.destination[:2]) for each in sent if (each.side, each.rtcp) == (self.side, self.rtcp)]


def keyed(body: bytes, setup: str, *lines: str) -> bytes:
    said = [f"a=fingerprint:{certificate().fingerprint()}", f"a=setup:{setup}", *lines]
    return body.replace(b"RTP/AVP", b"UDP/TLS/RTP/SAVP") + "".join(f"{line}\r\n" for line in said).encode()


def shaken(partner: DtlsPeer) -> DtlsPeer:
    for _ in range(10):
        partner.step(("", 0))
    assert partner.done
    return partner


def speaks(world: World, partner: DtlsPeer, side: Side, number: int = 1) -> None:
    """Media of the office reaches the carrier in the clear, and the carrier's the office under the keys."""
    (relay,) = world.open_relays
    ours, theirs = partner.keys()
    world.media.take_sent()
    partner.peer.send(Outbound(ours).rtp(rtp(number)), ("", 0))
    assert [sent.packet for sent in world.media.take_sent()] == [rtp(number)]
    world.media.receive(relay, side.other, rtp(number), ("10.1.0.2", 50000))
    (arrival,) = partner.peer.pending()
    assert Inbound(theirs).rtp(arrival.packet) == rtp(number)


def office_calls(world: World, office: Agent, carrier: Agent, *lines: str) -> tuple[Request, Response]:
    invite = office.invite(NUMBER, keyed(sdp("10.0.0.20", 40000), "actpass", *lines))
    office.expect_response(100)
    received = carrier.expect_request("INVITE")
    assert b"RTP/AVP" in received.body
    assert b"fingerprint" not in received.body
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))
    carrier.expect_request("ACK")
    ok = office.expect_response(200)
    office.ack(ok)
    return invite, ok


def test_DTLS_01_DTLS_02_an_office_with_DTLS_calls(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok = office_calls(world, office, carrier)
    line = parse_session(ok.body).media[0]
    assert (line.protocol, line.first("setup"), line.first("fingerprint")) == ("UDP/TLS/RTP/SAVP", "passive", world.media.fingerprint)
    partner = shaken(DtlsPeer(Endpoint(world, Side.A), Role.ACTIVE))
    assert partner.fingerprint() == world.media.fingerprint
    office.send(office.within(invite, ok, "BYE"))
    carrier.answer(carrier.expect_request("BYE"), 200)
    office.expect_response(200)
    (record,) = world.records
    assert isinstance(record["a"], dict)
    assert isinstance(record["b"], dict)
    assert (record["a"]["srtp"], record["b"]["srtp"], record["note"]) == ("AEAD_AES_256_GCM", None, None)


def test_DTLS_01_a_call_to_an_office_with_DTLS(world: World, office: Agent, carrier: Agent) -> None:
    carrier.invite("+4930111", sdp("10.1.0.2", 50000))
    carrier.expect_response(100)
    received = office.expect_request("INVITE")
    line = parse_session(received.body).media[0]
    assert (line.protocol, line.first("setup"), parse_session(received.body).first("ice-lite")) == ("UDP/TLS/RTP/SAVP", "actpass", "")
    office.answer(received, 200, body=keyed(sdp("10.0.0.20", 40000), "active", "a=rtcp-mux"))
    office.expect_request("ACK")
    carrier.ack(carrier.expect_response(200))
    partner = shaken(DtlsPeer(Endpoint(world, Side.B), Role.ACTIVE))
    speaks(world, partner, Side.B)


def test_DTLS_05_a_re_INVITE_keeps_the_keys(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok = office_calls(world, office, carrier)
    partner = shaken(DtlsPeer(Endpoint(world, Side.A), Role.ACTIVE))
    speaks(world, partner, Side.A)
    offer = keyed(sdp("10.0.0.20", 40000, version=2, direction="sendonly"), "actpass")
    office.send(office.within(invite, ok, "INVITE", cseq=2, body=offer))
    office.expect_response(100)
    carrier.answer(carrier.expect_request("INVITE"), 200, body=sdp("10.1.0.2", 50000, version=2, direction="recvonly"))
    carrier.expect_request("ACK")
    office.expect_response(200)
    office.send(office.within(invite, ok, "ACK", cseq=2))
    world.media.take_sent()
    ours, _ = partner.keys()
    partner.peer.send(Outbound(ours).rtp(rtp(70)), ("", 0))
    assert [sent.packet for sent in world.media.take_sent()] == [rtp(70)]


def test_ICE_02_a_browser_calls(world: World, office: Agent, carrier: Agent) -> None:
    lines = (
        "a=ice-ufrag:peerU",
        "a=ice-pwd:aaaaaaaaaaaaaaaaaaaaaaaa",
        "a=candidate:1 1 udp 1 10.0.0.20 40000 typ host",
        "a=rtcp-mux",
        "a=mid:0",
    )
    _, ok = office_calls(world, office, carrier, *lines)
    line = parse_session(ok.body).media[0]
    assert (line.first("mid"), line.first("rtcp-mux")) == ("0", "")
    endpoint = Endpoint(world, Side.A)
    endpoint.address = ("198.51.100.7", 61000)  # as its NAT shows it
    name, password = line.first("ice-ufrag") or "", line.first("ice-pwd") or ""
    endpoint.send(stun.check(1, f"{name}:peerU", password, nominate=True))
    (arrival,) = endpoint.pending()
    assert stun.answer(arrival.packet, password).kind == 0x0101
    speaks(world, shaken(DtlsPeer(endpoint, Role.ACTIVE)), Side.A)


def test_DTLS_02_another_certificate_ends_the_call(world: World, office: Agent, carrier: Agent) -> None:
    office_calls(world, office, carrier)
    mallory = DtlsPeer(Endpoint(world, Side.A), Role.ACTIVE, identity="mallory")
    for _ in range(5):
        if world.open_relays:
            mallory.step(("", 0))
            world.after(0)
    assert 'text="no media keys"' in (office.expect_request("BYE").headers.first("Reason") or "")
    carrier.expect_request("BYE")
    (record,) = world.records
    assert record["note"] == "DTLS certificate is not the one that was signalled"
    assert isinstance(record["a"], dict)
    assert record["a"]["srtp"] is None


def test_DTLS_03_RTCP_without_multiplexing(world: World, office: Agent, carrier: Agent) -> None:
    _, ok = office_calls(world, office, carrier)
    assert parse_session(ok.body).media[0].first("rtcp-mux") is None
    speech = shaken(DtlsPeer(Endpoint(world, Side.A), Role.ACTIVE))
    control = shaken(DtlsPeer(Endpoint(world, Side.A, rtcp=True), Role.ACTIVE))
    (relay,) = world.open_relays
    ours, theirs = control.keys()
    control.peer.send(Outbound(ours).rtcp(rtcp(1)), ("", 0))
    assert [sent.packet for sent in world.media.take_sent()] == [rtcp(1)]
    world.media.receive(relay, Side.B, rtcp(2), ("10.1.0.2", 50001), rtcp=True)
    (arrival,) = control.peer.pending()
    assert (Inbound(theirs).rtcp(arrival.packet), arrival.source) == (rtcp(2), ("10.0.0.20", 40001))
    speaks(world, speech, Side.A)


def test_DTLS_02_another_certificate_for_RTCP_is_told_of_once(world: World, office: Agent, carrier: Agent) -> None:
    office_calls(world, office, carrier)
    speech = shaken(DtlsPeer(Endpoint(world, Side.A), Role.ACTIVE))
    for _ in range(2):
        mallory = DtlsPeer(Endpoint(world, Side.A, rtcp=True), Role.ACTIVE, identity="mallory")
        for _ in range(5):
            mallory.step(("", 0))
            world.after(0)
    assert [log.event for log in world.logs if log.facts.get("side") == "a"] == [
        "DTLS certificate of RTCP is not the one that was signalled"
    ]
    office.expect_nothing()
    speaks(world, speech, Side.A)
    world.after(3 * PATIENCE)
    office.expect_nothing()


def test_DTLS_02_no_handshake_ends_the_call_at_the_second_report(world: World, office: Agent, carrier: Agent) -> None:
    office_calls(world, office, carrier)
    world.after(PATIENCE + 1)
    assert [log.event for log in world.logs if log.facts.get("side") == "a"] == ["DTLS handshake does not come to an end"]
    office.expect_nothing()
    world.after(PATIENCE + 1)
    office.expect_request("BYE")
    carrier.expect_request("BYE")
    assert world.records[0]["note"] == "no DTLS handshake"


def test_DTLS_02_a_late_handshake_is_in_time(world: World, office: Agent, carrier: Agent) -> None:
    office_calls(world, office, carrier)
    world.after(PATIENCE + 1)
    speaks(world, shaken(DtlsPeer(Endpoint(world, Side.A), Role.ACTIVE)), Side.A)
    world.after(3 * PATIENCE)
    office.expect_nothing()


def test_DTLS_01_plain_RTP_is_refused(world: World, office: Agent, carrier: Agent) -> None:
    office.invite(NUMBER)
    office.expect_response(100)
    refusal = office.expect_response(488)
    assert "RTP/SAVP expected" in (refusal.headers.first("Warning") or "")
    carrier.expect_nothing()
    assert EventKind.SECURED not in [log.event for log in world.logs]
