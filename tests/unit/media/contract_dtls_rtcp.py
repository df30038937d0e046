"""Contract: without rtcp-mux RTCP has a DTLS handshake of its own, on its own port (RFC 5764 s4.1). Alice has it, Bob has plain RTP."""

from __future__ import annotations

from typing import Any

import pytest

from media.api import Dtls, EventKind, MediaError, Role, Side
from media.dtls import MAX_BEGUN, PATIENCE
from media.keys import Inbound, Outbound
from tests.unit.media.contract_dtls import DtlsCall, dtls
from tests.unit.media.dtls_peer import DtlsPeer, certificate, media
from tests.unit.media.packets import keys, rtcp, rtp
from tests.unit.media.worlds import Peer, World


class ApartCall(DtlsCall):
    def __init__(self, world: World, spec: Dtls | None = None, **a: Any) -> None:
        super().__init__(world, spec or dtls(), **({"rtcp_mux": False} | a))

    def control(self, peer: Peer | None = None, **more: Any) -> DtlsPeer:
        """The peer of the second handshake."""
        return self.partner(peer or self.alice_rtcp, **more)

    def shake_control(self, control: DtlsPeer) -> None:
        def stepping() -> bool:
            control.step(self.rtcp_ports[0])
            return control.done

        self.world.until_stepping(stepping)
        control.step(self.rtcp_ports[0])
        self.world.turn()

    def silent_control(self, control: DtlsPeer) -> None:
        """What is said to it comes to nothing."""
        for _ in range(8):  # twice what a handshake takes
            control.step(self.rtcp_ports[0])
            self.world.turn()
        assert not control.done

    def reports(self, control: DtlsPeer, number: int = 1) -> None:
        """RTCP crosses both ways under the keys of the second handshake, and not without."""
        ours, theirs = control.keys()
        control.peer.send(Outbound(ours).rtcp(rtcp(number)), self.rtcp_ports[0])
        assert self.world.expect(self.bob_rtcp)[0].packet == rtcp(number)
        self.bob_rtcp.send(rtcp(number + 1), self.rtcp_ports[1])
        (arrival,) = self.world.expect(control.peer)
        assert arrival.source == self.rtcp_ports[0]
        assert Inbound(theirs).rtcp(arrival.packet) == rtcp(number + 1)

    def no_reports(self) -> None:
        """Whatever is sent, RTCP crosses in neither direction."""
        before = self.stats.b.rtcp_received
        self.alice_rtcp.send(rtcp(7), self.rtcp_ports[0])
        self.alice_rtcp.send(Outbound(keys(1)).rtcp(rtcp(7)), self.rtcp_ports[0])
        self.bob_rtcp.send(rtcp(8), self.rtcp_ports[1])
        self.world.until(lambda: self.stats.b.rtcp_received == before + 1)
        self.world.turn()
        assert self.bob_rtcp.pending() == []
        assert [each.packet for each in self.alice_rtcp.pending() if each.packet[0] >= 128] == []
        assert media(self.alice.pending()) == []
        assert (self.stats.a.rtcp_received, self.stats.a.rtcp_sent) == (0, 0)


class BothHandshakes:
    """What matters most, for engines whose RTCP goes the same way as another's."""

    @pytest.mark.parametrize("role", Role)
    def test_DTLS_03_RTCP_has_keys_of_its_own(self, world: World, role: Role) -> None:
        call = ApartCall(world, dtls(role))
        speech, control = call.partner(), call.control()
        call.shake(speech)
        call.shake_control(control)
        assert control.fingerprint() == speech.fingerprint() == world.engine.fingerprint
        assert control.keys() != speech.keys()
        call.speaks(speech)
        call.reports(control)
        assert (call.stats.a.rtcp_received, call.stats.a.rtcp_sent) == (1, 1)
        assert (call.stats.b.rtcp_received, call.stats.b.rtcp_sent) == (1, 1)
        assert call.events(EventKind.SECURED) == [Side.A]

    def test_DTLS_02_another_certificate_on_the_RTCP_port(self, world: World) -> None:
        """Speech is with whom it was signalled to be, and goes on; RTCP does not."""
        call = ApartCall(world)
        call.shake(speech := call.partner())
        mallory = call.control(identity="mallory")
        for _ in range(4):
            mallory.step(call.rtcp_ports[0])
            world.turn()
        world.until_stepping(lambda: call.events(EventKind.RTCP_MISMATCH) == [Side.A])
        assert call.events(EventKind.FINGERPRINT_MISMATCH) == []
        call.no_reports()
        call.speaks(speech)
        world.advance(PATIENCE + 1)  # told again, for nobody may have been listening while it rang
        world.until_stepping(lambda: call.events(EventKind.RTCP_MISMATCH) == [Side.A] * 2)
        call.shake_control(control := call.control())  # the right one after all
        call.reports(control)


class ControlHandshakes(BothHandshakes):
    def test_DTLS_03_another_suite_than_that_of_speech(self, world: World) -> None:
        call = ApartCall(world)
        call.shake(call.partner(profiles="SRTP_AEAD_AES_128_GCM"))
        control = call.control(profiles="SRTP_AES128_CM_SHA1_80")
        call.shake_control(control)
        call.reports(control)

    def test_DTLS_03_both_sides(self, world: World) -> None:
        call = ApartCall(world)
        call.change(b={"dtls": dtls(), "rtcp_mux": False})
        near, far = call.control(), DtlsPeer(call.bob_rtcp, Role.ACTIVE)
        call.shake_control(near)

        def stepping() -> bool:
            far.step(call.rtcp_ports[1])
            return far.done

        world.until_stepping(stepping)
        world.turn()
        near.peer.send(Outbound(near.keys()[0]).rtcp(rtcp(1)), call.rtcp_ports[0])
        assert Inbound(far.keys()[1]).rtcp(world.expect(call.bob_rtcp)[0].packet) == rtcp(1)

    def test_DTLS_03_speech_does_not_wait_for_RTCP(self, world: World) -> None:
        call = ApartCall(world)
        call.shake(speech := call.partner())
        call.speaks(speech)
        call.no_reports()

    def test_DTLS_03_nor_RTCP_for_speech(self, world: World) -> None:
        call = ApartCall(world)
        call.shake_control(control := call.control())
        call.reports(control)
        call.bob.send(rtp(1), call.ports.b)
        world.turn()
        assert media(call.alice.pending()) == []
        call.shake(speech := call.partner())
        call.speaks(speech, 10)
        call.reports(control, 10)

    def test_DTLS_03_keys_of_speech_are_none_for_RTCP(self, world: World) -> None:
        call = ApartCall(world)
        call.shake(speech := call.partner())
        call.shake_control(control := call.control())
        call.dropped(call.alice_rtcp, Outbound(speech.keys()[0]).rtcp(rtcp(1)), "srtp_auth_failed", call.rtcp_ports[0])
        call.dropped(call.alice, Outbound(control.keys()[0]).rtp(rtp(1)), "srtp_auth_failed")
        call.speaks(speech, 10)
        call.reports(control, 10)

    def test_DTLS_02_another_certificate_later_takes_nothing_away(self, world: World) -> None:
        call = ApartCall(world)
        call.shake_control(control := call.control())
        mallory = call.control(world.peer("127.0.0.10"), identity="mallory")
        call.silent_control(mallory)
        assert call.events(EventKind.RTCP_MISMATCH) == []
        call.reports(control)

    def test_DTLS_04_from_elsewhere_there_is_no_handshake_for_RTCP(self, world: World) -> None:
        call = ApartCall(world)
        stranger = call.control(world.peer("127.0.0.66"))
        call.silent_control(stranger)
        assert call.stats.a.wrong_source >= 1
        assert stranger.peer.pending() == []
        call.shake_control(control := call.control())
        call.reports(control)

    def test_DTLS_04_where_RTCP_was_heard_it_stays(self, world: World) -> None:
        """Once authentic RTCP has shown the source, not even the peer's host gets another handshake."""
        call = ApartCall(world)
        call.shake_control(control := call.control())
        call.reports(control)
        call.silent_control(call.control(world.peer("127.0.0.10")))
        call.reports(control, 5)

    def test_DTLS_06_a_hello_for_RTCP_has_to_come_back_with_a_cookie(self, world: World) -> None:
        call = ApartCall(world)
        control = call.control()
        control.lose = lambda datagram: True
        control.step(call.rtcp_ports[0])
        (arrival,) = world.expect(call.alice_rtcp)
        assert (arrival.packet[0], arrival.packet[13], arrival.source) == (22, 3, call.rtcp_ports[0])  # HelloVerifyRequest

    def test_garbage_on_the_RTCP_port_does_no_harm(self, world: World) -> None:
        call = ApartCall(world)
        control = call.control()
        for junk in (b"", b"\x16", b"\x16" * 70, b"\x14\xfe\xfd" + bytes(60), b"\x3f" * 1500, b"\0\1" + bytes(18), b"\xff" * 40):
            call.alice_rtcp.send(junk, call.rtcp_ports[0])
        control.step(call.rtcp_ports[0])
        for junk in (b"\x16" * 70, b"\x17\xfe\xfd" + bytes(60)):
            call.alice_rtcp.send(junk, call.rtcp_ports[0])
        call.shake_control(control)
        call.reports(control)
        call.shake(speech := call.partner())
        call.speaks(speech)

    def test_an_end_to_signing_for_RTCP_alone(self, world: World) -> None:
        call = ApartCall(world)
        for _ in range(MAX_BEGUN):
            call.control(world.peer("127.0.0.10")).step(call.rtcp_ports[0])
            world.turn()
        call.silent_control(call.control())
        call.shake(speech := call.partner())
        call.speaks(speech)

    def test_nobody_is_told_of_RTCP_that_never_comes(self, world: World) -> None:
        """Many peers have none. One that has it late is still in time."""
        call = ApartCall(world)
        call.shake(speech := call.partner())
        for _ in range(3):
            world.advance(PATIENCE + 1)
        assert call.events(EventKind.HANDSHAKE_TIMEOUT) == []
        call.shake_control(control := call.control())
        call.reports(control)
        call.speaks(speech, 10)

    def test_a_peer_behind_a_NAT_gets_RTCP_where_its_handshake_came_from(self, world: World) -> None:
        call = ApartCall(world, remote=("127.0.0.99", 4000), remote_rtcp=("127.0.0.99", 4001), latch_from=("127.0.0.10",))
        call.shake(call.partner())
        call.shake_control(control := call.control())
        _, theirs = control.keys()
        call.bob_rtcp.send(rtcp(1), call.rtcp_ports[1])  # nothing was heard from Alice yet
        assert Inbound(theirs).rtcp(world.expect(call.alice_rtcp)[0].packet) == rtcp(1)
        call.reports(control, 5)

    def test_DTLS_05_hold_and_resume_keep_both_keys(self, world: World) -> None:
        call = ApartCall(world)
        call.shake(speech := call.partner())
        call.shake_control(control := call.control())
        call.change(a={"send": False, "dtls": dtls()})
        call.change(a={"send": True})
        call.speaks(speech)
        call.reports(control)

    def test_DTLS_05_a_new_association_is_a_new_one_for_RTCP_too(self, world: World) -> None:
        call = ApartCall(world, dtls(association="one"))
        call.shake_control(first := call.control())
        before = Outbound(first.keys()[0])
        call.alice_rtcp.send(before.rtcp(rtcp(1)), call.rtcp_ports[0])
        world.expect(call.bob_rtcp)
        call.change(a={"dtls": dtls(Role.PASSIVE, certificate("new").fingerprint(), association="two")})
        call.alice_rtcp.send(before.rtcp(rtcp(2)), call.rtcp_ports[0])
        world.expect(call.bob_rtcp)
        call.shake_control(second := call.control(identity="new"))
        call.alice_rtcp.send(before.rtcp(rtcp(3)), call.rtcp_ports[0])  # on the way while the keys changed
        world.expect(call.bob_rtcp)
        call.reports(second, 10)

    def test_from_two_ports_to_one_and_back(self, world: World) -> None:
        call = ApartCall(world)
        call.shake(speech := call.partner())
        call.shake_control(control := call.control())
        call.reports(control)
        call.change(a={"rtcp_mux": True})
        call.alice_rtcp.send(Outbound(control.keys()[0]).rtcp(rtcp(5)), call.rtcp_ports[0])
        call.alice.send(Outbound(speech.keys()[0]).rtcp(rtcp(6)), call.ports.a)
        assert world.expect(call.bob_rtcp)[0].packet == rtcp(6)
        call.change(a={"rtcp_mux": False})
        call.bob_rtcp.send(rtcp(7), call.rtcp_ports[1])
        world.turn()
        assert media(call.alice_rtcp.pending()) == []  # what had been agreed on for that port is over
        call.shake_control(again := call.control())
        call.reports(again, 10)

    def test_the_keys_are_nobody_else_s_to_give(self, world: World) -> None:
        call = ApartCall(world)
        for bad in ({"rtcp_keys": (keys(1), keys(2))}, {"rtcp_keys": (keys(1), keys(2)), "dtls": None}):
            with pytest.raises(MediaError):
                call.change(a=bad)

    def test_closed_in_the_middle_of_the_second_handshake(self, world: World) -> None:
        call = ApartCall(world)
        call.control().step(call.rtcp_ports[0])
        world.engine.close("call")
        world.turn()
        assert world.events == []
