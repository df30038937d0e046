"""Contract: SRTP keys by DTLS on Alice's side; Bob's side is plain RTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from media.api import Dtls, EventKind, Ice, MediaError, Role, Side, Suite
from media.dtls import MAX_ATTEMPTS, MAX_BEGUN, PATIENCE
from media.keys import Inbound, Outbound
from tests.unit.media import stun
from tests.unit.media.calls import Call
from tests.unit.media.dtls_peer import DTLS_1_0, DtlsPeer, certificate, media
from tests.unit.media.packets import keys, rtcp, rtp
from tests.unit.media.worlds import Peer, World

ICE = Ice("sbcU:peerU", "sbcicepwd0123456789abcdef")
SUITES = {
    "SRTP_AEAD_AES_256_GCM": Suite.AEAD_AES_256_GCM,
    "SRTP_AEAD_AES_128_GCM": Suite.AEAD_AES_128_GCM,
    "SRTP_AES128_CM_SHA1_80": Suite.AES_CM_128_HMAC_SHA1_80,
    "SRTP_AES128_CM_SHA1_32": Suite.AES_CM_128_HMAC_SHA1_32,
}


def dtls(role: Role = Role.PASSIVE, *fingerprints: str, association: str = "", **more: Any) -> Dtls:
    return Dtls(role, fingerprints or (certificate().fingerprint(),), association, **more)


class DtlsCall(Call):
    def __init__(self, world: World, spec: Dtls, **a: Any) -> None:
        super().__init__(world, a={"dtls": spec, "rtcp_mux": True, **a})
        self.spec = spec

    def partner(self, peer: Peer | None = None, **more: Any) -> DtlsPeer:
        role = Role.PASSIVE if self.spec.role is Role.ACTIVE else Role.ACTIVE
        return DtlsPeer(peer or self.alice, role, **more)

    def shake(self, partner: DtlsPeer, times: int = 1) -> None:
        """Until both have their keys; `times`: how many handshakes that makes."""

        self.meets(partner, lambda: partner.done and len(self.events(EventKind.SECURED)) == times)
        partner.step(self.ports.a)

    def meets(self, partner: DtlsPeer, condition: Callable[[], bool]) -> None:
        """What the partner says leads to that."""

        def stepping() -> bool:
            partner.step(self.ports.a)
            return condition()

        self.world.until_stepping(stepping)

    def speaks(self, partner: DtlsPeer, number: int = 1) -> None:
        """Media crosses both ways under the partner's keys, and not without."""
        ours, theirs = partner.keys()
        partner.peer.send(Outbound(ours).rtp(rtp(number)), self.ports.a)
        assert self.world.expect(self.bob)[0].packet == rtp(number)
        self.bob.send(rtp(number + 1), self.ports.b)
        assert Inbound(theirs).rtp(self.world.expect(partner.peer)[0].packet) == rtp(number + 1)
        self.dropped(partner.peer, rtp(number + 2), "srtp_auth_failed")

    def silent(self, partner: DtlsPeer) -> None:
        """What is said to it comes to nothing."""
        for _ in range(8):  # twice what a handshake takes
            partner.step(self.ports.a)
            self.world.turn()
        assert not partner.done


class Handshakes:
    @pytest.mark.parametrize("role", Role)
    @pytest.mark.parametrize("profile", SUITES)
    def test_DTLS_03_every_profile_in_either_role(self, world: World, role: Role, profile: str) -> None:
        call = DtlsCall(world, dtls(role))
        partner = call.partner(profiles=profile)
        call.shake(partner)
        assert partner.keys()[0].suite is SUITES[profile]
        assert call.stats.a.suite is SUITES[profile]
        assert call.stats.b.suite is None
        assert partner.fingerprint() == world.engine.fingerprint == call.ports.fingerprint
        call.speaks(partner)

    def test_DTLS_03_the_order_of_our_suites_decides(self, world: World) -> None:
        call = DtlsCall(world, dtls(suites=(Suite.AES_256_CM_HMAC_SHA1_80, Suite.AEAD_AES_128_GCM, Suite.AES_CM_128_HMAC_SHA1_80)))
        partner = call.partner(profiles="SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_128_GCM:SRTP_AEAD_AES_256_GCM")
        call.shake(partner)
        assert call.stats.a.suite is Suite.AEAD_AES_128_GCM

    def test_DTLS_03_control_packets_use_the_same_keys(self, world: World) -> None:
        call = DtlsCall(world, dtls())
        partner = call.partner()
        call.shake(partner)
        ours, theirs = partner.keys()
        call.alice.send(Outbound(ours).rtcp(rtcp()), call.ports.a)
        assert world.expect(call.bob_rtcp)[0].packet == rtcp()
        call.bob_rtcp.send(rtcp(2), call.rtcp_ports[1])
        assert Inbound(theirs).rtcp(world.expect(call.alice)[0].packet) == rtcp(2)
        call.alice_rtcp.send(Outbound(ours).rtcp(rtcp(3)), call.rtcp_ports[0])  # another 5-tuple
        world.turn()
        assert (call.stats.a.rtcp_received, call.bob_rtcp.pending()) == (1, [])

    def test_DTLS_02_nothing_passes_before_the_keys(self, world: World) -> None:
        call = DtlsCall(world, dtls())
        call.alice.send(rtp(1), call.ports.a)
        call.alice.send(Outbound(keys(1)).rtp(rtp(2)), call.ports.a)
        call.bob.send(rtp(3), call.ports.b)
        call.bob_rtcp.send(rtcp(), call.rtcp_ports[1])
        world.until(lambda: call.stats.b.packets_received == 1 and call.stats.b.rtcp_received == 1)
        assert (call.alice.pending(), call.bob.pending(), call.stats.a.latched) == ([], [], None)
        call.shake(partner := call.partner())
        call.speaks(partner, 10)

    @pytest.mark.parametrize("name", ["sha-1", "sha-224", "sha-256", "sha-384", "sha-512"])
    def test_DTLS_02_every_hash(self, world: World, name: str) -> None:
        call = DtlsCall(world, dtls(Role.PASSIVE, certificate().fingerprint(name)))
        call.shake(partner := call.partner())
        call.speaks(partner)

    def test_DTLS_02_one_of_several_fingerprints(self, world: World) -> None:
        other = certificate("other").fingerprint
        call = DtlsCall(world, dtls(Role.PASSIVE, other(), certificate().fingerprint(), other("sha-1")))
        call.shake(partner := call.partner())
        call.speaks(partner)

    @pytest.mark.parametrize("role", Role)
    def test_DTLS_02_another_certificate_gets_no_keys(self, world: World, role: Role) -> None:
        call = DtlsCall(world, dtls(role))
        mallory = call.partner(identity="mallory")
        call.meets(mallory, lambda: call.events(EventKind.FINGERPRINT_MISMATCH) == [Side.A])
        if role is Role.PASSIVE:
            call.silent(mallory)
        call.bob.send(rtp(1), call.ports.b)
        world.turn()
        assert media(call.alice.pending()) == []
        assert call.stats.a.suite is None
        assert call.events(EventKind.SECURED) == []

    def test_DTLS_02_the_strongest_hash_counts(self, world: World) -> None:
        """A second preimage of the weak one does not help."""
        call = DtlsCall(world, dtls(Role.PASSIVE, certificate().fingerprint("sha-1"), certificate("other").fingerprint("sha-512")))
        partner = call.partner()
        call.meets(partner, lambda: call.events(EventKind.FINGERPRINT_MISMATCH) == [Side.A])

    def test_DTLS_02_hashes_that_prove_nothing(self, world: World) -> None:
        call = DtlsCall(world, dtls(Role.PASSIVE, "md5 " + ":".join(["00"] * 16)))
        partner = call.partner()
        call.meets(partner, lambda: call.events(EventKind.FINGERPRINT_MISMATCH) == [Side.A])

    def test_an_RSA_certificate(self, world: World) -> None:
        for role in Role:
            call = DtlsCall(world, dtls(role, certificate("rsa").fingerprint(), association=role))
            call.shake(partner := call.partner(identity="rsa"))
            call.speaks(partner)
            world.engine.close("call")
            del world.ports["call"]
            world.events.clear()

    def test_DTLS_06_older_than_1_2_is_refused(self, world: World) -> None:
        call = DtlsCall(world, dtls())
        partner = call.partner(version=DTLS_1_0)
        call.meets(partner, lambda: bool(partner.alert))
        assert call.events(EventKind.SECURED) == []

    def test_DTLS_06_without_a_profile_for_SRTP_there_are_no_keys(self, world: World) -> None:
        call = DtlsCall(world, dtls())
        partner = call.partner(profiles="")
        for _ in range(5):
            partner.step(call.ports.a)
            world.turn()
        assert call.events(EventKind.SECURED) == []
        call.bob.send(rtp(1), call.ports.b)
        world.turn()
        assert media(call.alice.pending()) == []

    def test_DTLS_06_without_ICE_a_hello_has_to_come_back_with_a_cookie(self, world: World) -> None:
        """So a forged source gets 60 octets, not a certificate."""
        call = DtlsCall(world, dtls())
        partner = call.partner()
        partner.lose = lambda datagram: True
        partner.step(call.ports.a)
        arrived = world.expect(call.alice)
        assert [(arrival.packet[0], arrival.packet[13]) for arrival in arrived] == [(22, 3)]  # HelloVerifyRequest
        assert len(arrived[0].packet) < 100

    def test_DTLS_04_from_elsewhere_there_is_no_handshake(self, world: World) -> None:
        call = DtlsCall(world, dtls())
        stranger = call.partner(world.peer("127.0.0.66"))
        call.silent(stranger)
        assert call.stats.a.wrong_source >= 1
        assert stranger.peer.pending() == []
        call.shake(partner := call.partner())
        call.speaks(partner)

    def test_a_peer_behind_a_NAT_gets_media_where_its_handshake_came_from(self, world: World) -> None:
        call = DtlsCall(world, dtls(), remote=("127.0.0.99", 4000), latch_from=("127.0.0.10",))
        call.shake(partner := call.partner())
        _, theirs = partner.keys()
        call.bob.send(rtp(1), call.ports.b)  # nothing was heard from Alice yet
        assert Inbound(theirs).rtp(world.expect(call.alice)[0].packet) == rtp(1)
        call.change(a={"send": False})
        call.change(a={"send": True})
        call.speaks(partner, 5)

    def test_several_that_claim_to_be_the_peer(self, world: World) -> None:
        """Hellos from the peer's host do not keep the peer out."""
        call = DtlsCall(world, dtls())
        for _ in range(MAX_ATTEMPTS + 2):
            call.partner(world.peer("127.0.0.10")).step(call.ports.a)
        world.turn()
        call.shake(partner := call.partner())
        call.speaks(partner)

    def test_an_end_to_signing(self, world: World) -> None:
        call = DtlsCall(world, dtls())
        for _ in range(MAX_BEGUN):
            call.partner(world.peer("127.0.0.10")).step(call.ports.a)
            world.turn()
        late = call.partner()
        call.silent(late)

    def test_garbage_does_no_harm(self, world: World) -> None:
        call = DtlsCall(world, dtls())
        partner = call.partner()
        for junk in (
            b"\x16",
            b"\x16" * 70,
            b"\x14\xfe\xfd" + bytes(60),
            b"\x3f" * 1500,
            bytes([22, 254, 253]) + bytes(10) + b"\1" + bytes(80),
        ):
            call.alice.send(junk, call.ports.a)
        partner.step(call.ports.a)
        for junk in (b"\x16" * 70, b"\x17\xfe\xfd" + bytes(60)):
            call.alice.send(junk, call.ports.a)
        call.shake(partner)
        call.speaks(partner)

    def test_DTLS_05_the_same_association_keeps_its_keys(self, world: World) -> None:
        call = DtlsCall(world, dtls())
        call.shake(partner := call.partner())
        call.speaks(partner)
        call.change(a={"send": False, "dtls": dtls()})
        call.change(a={"send": True})
        ours, _ = partner.keys()
        call.alice.send(Outbound(ours).rtp(rtp(100)), call.ports.a)
        assert world.expect(call.bob)[0].packet == rtp(100)
        assert call.events(EventKind.SECURED) == [Side.A]

    def test_DTLS_05_a_new_association_and_the_old_keys_until_it_is_there(self, world: World) -> None:
        call = DtlsCall(world, dtls(association="one"))
        call.shake(first := call.partner())
        before = Outbound(first.keys()[0])
        call.alice.send(before.rtp(rtp(1)), call.ports.a)
        world.expect(call.bob)
        call.change(a={"dtls": dtls(Role.PASSIVE, certificate("new").fingerprint(), association="two")})
        call.change(a={"send": True})
        call.alice.send(before.rtp(rtp(2)), call.ports.a)
        world.expect(call.bob)
        call.shake(second := call.partner(identity="new"), 2)
        call.alice.send(before.rtp(rtp(3)), call.ports.a)  # on the way while the keys changed
        world.expect(call.bob)
        call.speaks(second, 10)

    def test_DTLS_05_a_peer_that_begins_again(self, world: World) -> None:
        """It was started anew, or is another phone with the certificate of its PBX."""
        call = DtlsCall(world, dtls())
        call.shake(call.partner())
        call.shake(second := call.partner(), 2)
        call.speaks(second)

    def test_from_DTLS_to_plain(self, world: World) -> None:
        call = DtlsCall(world, dtls())
        call.shake(call.partner())
        call.change(a={"dtls": None, "rtcp_mux": False})
        assert call.from_alice(rtp(1)).packet == rtp(1)
        assert call.stats.a.suite is None

    def test_DTLS_06_the_last_flight_is_repeated_for_who_did_not_hear_it(self, world: World) -> None:
        call = DtlsCall(world, dtls())
        partner = call.partner()
        partner.lose = lambda datagram: datagram[0] == 20  # ChangeCipherSpec, and what comes with it
        call.meets(partner, lambda: call.events(EventKind.SECURED) == [Side.A])
        world.turn()
        partner.step(call.ports.a)
        assert not partner.done
        partner.lose = lambda datagram: False
        partner.impatient = True
        call.meets(partner, lambda: partner.done)
        call.speaks(partner)

    def test_a_handshake_that_does_not_come_to_an_end(self, world: World) -> None:
        call = DtlsCall(world, dtls())
        world.advance(PATIENCE - 1)
        assert call.events(EventKind.HANDSHAKE_TIMEOUT) == []
        world.advance(2)
        world.until_stepping(lambda: call.events(EventKind.HANDSHAKE_TIMEOUT) == [Side.A])
        call.shake(partner := call.partner())  # late is better than never
        call.speaks(partner)

    def test_with_ICE_only_a_checked_address_shakes_hands(self, world: World) -> None:
        call = DtlsCall(world, dtls(), ice=ICE)
        partner = call.partner()
        call.silent(partner)
        call.alice.send(stun.check(1, ICE.username, ICE.password, nominate=True), call.ports.a)
        world.expect(call.alice)
        call.shake(again := call.partner())
        call.speaks(again)

    def test_with_ICE_the_client_begins_when_there_is_an_address(self, world: World) -> None:
        call = DtlsCall(world, dtls(Role.ACTIVE), ice=ICE)
        partner = call.partner()
        call.silent(partner)
        call.alice.send(stun.check(1, ICE.username, ICE.password, nominate=True), call.ports.a)
        call.shake(partner)
        call.speaks(partner)

    def test_what_does_not_go_together(self, world: World) -> None:
        call = Call(world)
        for bad in (
            {"dtls": dtls(), "receive_keys": keys(1)},
            {"dtls": Dtls(Role.PASSIVE, ())},
            {"dtls": dtls(suites=(Suite.AES_256_CM_HMAC_SHA1_80,))},
        ):
            with pytest.raises(MediaError):
                call.change(a=bad)
            call.change(a={"dtls": None, "receive_keys": None})
        with pytest.raises(MediaError):
            call.change(a={"dtls": dtls(), "udptl": True, "payload_types": {}}, b={"udptl": True, "payload_types": {}})

    def test_closed_in_the_middle(self, world: World) -> None:
        call = DtlsCall(world, dtls())
        partner = call.partner()
        partner.step(call.ports.a)
        world.engine.close("call")
        world.turn()
        assert call.events(EventKind.SECURED) == []
