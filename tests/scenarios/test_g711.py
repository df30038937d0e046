"""One side has PCMA alone, the other PCMU alone: where the policy says so, each hears the other."""

from __future__ import annotations

import pytest

from media.api import Law, Side
from tests.unit.media.packets import rtp
from tests.unit.media.test_g711 import A_OF_MU, MU_OF_A
from tests.world import POLICY, Agent, World, connect, sdp

ALL = bytes(range(256))
OFFICE, CARRIER = "    peer: sip:10.0.0.20:5060\n    media: plain\n", "    peer: sip:10.1.0.2:5060\n    media: plain\n"
A_LAW, MU_LAW = ("srtp: off, codecs: [PCMA, G729, telephone-event]", "srtp: off, codecs: [PCMU, G729, telephone-event]")


def policy_of(office: str, carrier: str) -> str:
    media = f"  east: {{{office}}}\n  west: {{{carrier}}}\n"
    return (
        POLICY.replace(OFFICE, OFFICE.replace("plain", "east"))
        .replace(CARRIER, CARRIER.replace("plain", "west"))
        .replace("limits:\n  person", media + "limits:\n  person")
    )


def formats(body: bytes) -> str:
    (line,) = (line for line in body.decode().split("\r\n") if line.startswith("m=audio"))
    return line.partition("AVP ")[2]


def heard(world: World, side: Side, packet: bytes) -> bytes:
    """What leaves towards the other side for a packet from this one."""
    (relay,) = world.open_relays
    world.media.receive(relay, side, packet, ("10.0.0.20", 40000) if side is Side.A else ("10.1.0.2", 50000))
    (sent,) = world.media.take_sent()
    return sent.packet


class TestTranslated:
    @pytest.fixture(params=["office", "carrier"])
    def policy(self, request: pytest.FixtureRequest) -> str:
        """One of the two is enough."""
        key = ", g711: translate"
        return policy_of(A_LAW + key * (request.param == "office"), MU_LAW + key * (request.param == "carrier"))

    def test_COD_02_each_side_has_its_own_law(self, world: World, office: Agent, carrier: Agent) -> None:
        invite, ok, received = connect(
            office,
            carrier,
            "+4930123456",
            sdp("10.0.0.20", 40000, "8 18 101"),
            sdp("10.1.0.2", 50000, "0 101"),
        )
        assert formats(received.body) == "18 0 101", "G.729 passes as it is and so comes first"
        assert formats(ok.body) == "8 101"
        a, b = world.updates[-1]
        assert (a.payload_types, a.translate, b.payload_types, b.translate) == (
            {8: 0, 101: 101},
            {8: Law.MU},
            {0: 8, 101: 101},
            {0: Law.A},
        )
        assert heard(world, Side.A, rtp(1, payload_type=8, payload=ALL)) == rtp(1, payload_type=0, payload=MU_OF_A)
        assert heard(world, Side.B, rtp(1, payload_type=0, payload=ALL)) == rtp(1, payload_type=8, payload=A_OF_MU)
        office.send(office.within(invite, ok, "BYE"))
        office.expect_response(200)
        carrier.answer(carrier.expect_request("BYE"), 200)
        (written,) = world.records
        assert written["translated"] == ["g711"]
        assert (written["a"]["codecs"], written["b"]["codecs"]) == (["PCMA", "telephone-event"], ["PCMU", "telephone-event"])  # type: ignore[index]

    def test_COD_02_what_both_have_passes_untouched(self, world: World, office: Agent, carrier: Agent) -> None:
        _, ok, received = connect(office, carrier, "+4930123456", sdp("10.0.0.20", 40000, "8 18"), sdp("10.1.0.2", 50000, "18 0"))
        assert formats(received.body) == "18 0"
        assert formats(ok.body) == "18 8", "in the order of who was called"
        assert heard(world, Side.A, rtp(1, payload_type=18, payload=ALL)) == rtp(1, payload_type=18, payload=ALL)

    def test_COD_02_the_law_may_change_within_a_call(self, world: World, office: Agent, carrier: Agent) -> None:
        _, _, received = connect(office, carrier, "+4930123456", sdp("10.0.0.20", 40000, "8"), sdp("10.1.0.2", 50000, "0"))
        carrier.send(carrier.within_received(received, "INVITE", cseq=2, body=sdp("10.1.0.2", 50000, "0", version=2, direction="sendonly")))
        carrier.expect_response(100)
        offered = office.expect_request("INVITE")
        assert formats(offered.body) == "8"
        office.answer(offered, 200, body=sdp("10.0.0.20", 40000, "8", version=2, direction="recvonly"))
        office.expect_request("ACK")
        assert formats(carrier.expect_response(200).body) == "0"
        assert heard(world, Side.B, rtp(2, payload_type=0, payload=ALL)) == rtp(2, payload_type=8, payload=A_OF_MU)


class TestBothHaveBoth:
    @pytest.fixture
    def policy(self) -> str:
        both = "srtp: off, codecs: [PCMU, PCMA, telephone-event], g711: translate"
        return policy_of(both, both)

    def test_COD_02_ours_stands_behind_theirs(self, world: World, office: Agent, carrier: Agent) -> None:
        offer = sdp("10.0.0.20", 40000, "8 101")
        _, ok, received = connect(office, carrier, "+4930123456", offer, sdp("10.1.0.2", 50000, "8 101"))
        assert formats(received.body) == "8 0 101", "although the rules name it first"
        assert formats(ok.body) == "8 101"
        assert world.updates[-1][0].translate == {}
        assert not world.updates[-1][0].needs_user_space

    def test_COD_02_both_laws_in_the_answer(self, world: World, office: Agent, carrier: Agent) -> None:
        """The one the caller has goes back as it is, and who was called may send either."""
        _, ok, _ = connect(office, carrier, "+4930123456", sdp("10.0.0.20", 40000, "8"), sdp("10.1.0.2", 50000, "0 8"))
        assert formats(ok.body) == "8"
        a, b = world.updates[-1]
        assert (a.payload_types, a.translate) == ({8: 8}, {})
        assert (b.payload_types, b.translate) == ({0: 8, 8: 8}, {0: Law.A})


class TestNotTranslated:
    @pytest.fixture
    def policy(self) -> str:
        return policy_of(A_LAW, MU_LAW)

    def test_SDP_07_without_the_key_there_is_no_common_codec(self, office: Agent, carrier: Agent) -> None:
        office.invite("+4930123456", sdp("10.0.0.20", 40000, "8"))
        office.expect_response(100)
        assert office.expect_response(488).headers.first("Warning") == '305 sbc "no common codec"'
        carrier.expect_nothing()
