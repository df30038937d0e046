"""Contract: ICE with the relay as the lite agent, on Alice's side; Bob's has none."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from media.api import EventKind, Ice, Interface, MediaError, Side
from media.ice import CONSENT, MAX_CHECKED, MOST_CHECKS
from tests.unit.media import stun
from tests.unit.media.calls import Call
from tests.unit.media.packets import keys, rtp
from tests.unit.media.worlds import Peer, World

VECTORS = json.loads((Path(__file__).parents[2] / "vectors/stun_ice/stun.json").read_text())
CASES = {case["case"]: case for case in VECTORS["ice_lite_cases"]}
USERNAME, PASSWORD = "sbcU:peerU", "sbcicepwd0123456789abcdef"
ICE = Ice(USERNAME, PASSWORD)
CHECK = "valid check from controlling peer"
NOMINATION = "with USE-CANDIDATE"


class IceCall(Call):
    """`check` asks from any of Alice's addresses and gives the answer."""

    def __init__(self, world: World) -> None:
        super().__init__(world, a={"ice": ICE, "rtcp_mux": True})
        self.number = 100

    def case(self, name: str, peer: Peer | None = None) -> None:
        (peer or self.alice).send(bytes.fromhex(CASES[name]["hex"]), self.ports.a)

    def check(self, peer: Peer, *extra: bytes, nominate: bool = False, username: str = USERNAME, password: str = PASSWORD) -> stun.Answer:
        self.number += 1
        peer.send(stun.check(self.number, username, password, *extra, nominate=nominate), self.ports.a)
        answer = stun.answer(self.world.expect(peer)[0].packet, password)
        assert answer.transaction == self.number
        return answer

    def refused(self, packet: bytes, peer: Peer | None = None) -> None:
        """Counted, and nobody hears anything of it."""
        sender = peer or self.alice
        self.dropped(sender, packet, "stun_refused")
        assert sender.pending() == []


class Lite:
    def test_ICE_02_a_check_is_answered_with_where_it_came_from(self, world: World) -> None:
        call = IceCall(world)
        call.case(CHECK)
        packet, source = world.expect(call.alice)[0]
        answer = stun.answer(packet, PASSWORD)
        assert (answer.kind, source) == (0x0101, call.ports.a)
        assert answer.mapped == (socket.inet_aton("127.0.0.10"), call.alice.address[1])

    def test_ICE_02_IPv6(self, world: World) -> None:
        world.begin({"near": Interface(world.ours6, 43000, 43099), "away": Interface("127.0.0.3", 43000, 43099)})
        world.open()
        call = Call(world, a={"ice": ICE, "remote": None, "remote_rtcp": None}, hosts=(world.theirs6, "127.0.0.11"))
        call.alice.send(stun.check(1, USERNAME, PASSWORD, nominate=True), call.ports.a)
        answer = stun.answer(world.expect(call.alice)[0].packet, PASSWORD)
        assert answer.mapped == (socket.inet_pton(socket.AF_INET6, world.theirs6), call.alice.address[1])
        assert call.from_bob(rtp(1)).packet == rtp(1)

    @pytest.mark.parametrize(
        "name", ["bad MESSAGE-INTEGRITY", "missing USERNAME", "wrong USERNAME fragment", "no MESSAGE-INTEGRITY", "bad FINGERPRINT"]
    )
    def test_ICE_02_ICE_08_what_is_not_authentic_is_dropped_in_silence(self, world: World, name: str) -> None:
        call = IceCall(world)
        call.refused(bytes.fromhex(CASES[name]["hex"]))
        call.dropped(call.alice, rtp(1), "wrong_source")

    def test_ICE_02_malformed(self, world: World) -> None:
        call = IceCall(world)
        good = bytes.fromhex(CASES[CHECK]["hex"])
        longer = good[:2] + (len(good) - 20 + 4).to_bytes(2, "big") + good[4:]
        for bad in (good[:19], good[:-4], good + bytes(4), longer + bytes(4), b"\1\1" + good[2:], good[:4] + b"\0" + good[5:], b"\0"):
            call.refused(bad)
        overrun = bytearray(good)
        overrun[23] = 0xFF  # the length of the user name
        call.refused(bytes(overrun))
        for size in range(20, len(good), 4):
            call.refused(good[:2] + (size - 20).to_bytes(2, "big") + good[4:size])

    def test_ICE_02_an_unknown_attribute_is_420(self, world: World) -> None:
        call = IceCall(world)
        call.case("unknown comprehension-required attribute 0x0077")
        answer = stun.answer(world.expect(call.alice)[0].packet, PASSWORD)
        assert (answer.kind, answer.attributes[stun.ERROR_CODE], answer.attributes[0x000A]) == (0x0111, b"\0\0\4\x14", b"\0\x77")
        call.dropped(call.alice, rtp(1), "wrong_source")
        many = [stun.attribute(0x100 + number) for number in range(20)]
        answer = call.check(call.alice, *many)
        assert len(answer.attributes[0x000A]) == 16
        assert call.check(call.alice, stun.attribute(0x8022, b"name"), stun.attribute(0x001C, bytes(32))).kind == 0x0101

    def test_ICE_02_every_check_of_RFC_5769(self, world: World) -> None:
        vector = VECTORS["rfc5769"][0]
        call = IceCall(world)
        call.change(a={"ice": Ice(vector["username"], vector["password"])})
        call.alice.send(bytes.fromhex(vector["hex"]), call.ports.a)
        answer = stun.answer(world.expect(call.alice)[0].packet, vector["password"])
        assert answer.transaction.to_bytes(12, "big").hex() == vector["hex"][16:40]

    def test_a_keep_alive_gets_no_answer(self, world: World) -> None:
        call = IceCall(world)
        call.case("binding indication keepalive")
        world.turn()
        assert (call.alice.pending(), call.stats.a.stun_refused) == ([], 0)

    def test_ICE_03_packets_go_to_the_nominated_address(self, world: World) -> None:
        call = IceCall(world)
        other = world.peer("127.0.0.20")
        call.bob.send(rtp(1), call.ports.b)  # nobody has shown that it wants it
        call.dropped(call.alice, rtp(2), "wrong_source")
        call.check(other)
        call.bob.send(rtp(3), call.ports.b)
        assert world.expect(other)[0].packet == rtp(3)  # a pair that works, until one is nominated
        call.check(call.alice, nominate=True)
        assert call.from_bob(rtp(4)).packet == rtp(4)
        assert call.stats.a.latched == call.alice.address
        other.send(rtp(5), call.ports.a)  # checked, too
        assert world.expect(call.bob)[0].packet == rtp(5)
        assert call.from_bob(rtp(6)).packet == rtp(6)  # media moves nothing
        call.check(other, nominate=True)
        call.bob.send(rtp(7), call.ports.b)
        assert world.expect(other)[0].packet == rtp(7)

    def test_ICE_03_media_is_taken_from_checked_addresses_only(self, world: World) -> None:
        call = IceCall(world)
        call.check(call.alice, nominate=True)
        assert call.from_alice(rtp(1)).packet == rtp(1)
        call.dropped(world.peer("127.0.0.10"), rtp(2), "wrong_source")
        call.dropped(call.alice_rtcp, rtp(3), "wrong_source")

    def test_ICE_05_who_takes_itself_for_controlled_nominates_nothing(self, world: World) -> None:
        call = IceCall(world)
        call.case("peer claims ICE-CONTROLLED (role conflict)")
        assert stun.answer(world.expect(call.alice)[0].packet, PASSWORD).kind == 0x0101
        call.check(call.alice, stun.attribute(stun.CONTROLLED, bytes(8)), nominate=True)
        assert call.stats.a.latched is None

    def test_ICE_08_a_flood_of_checks(self, world: World) -> None:
        call = IceCall(world)
        for _ in range(MOST_CHECKS):
            call.check(call.alice, nominate=True)
        call.refused(stun.check(9, USERNAME, PASSWORD))
        assert call.from_alice(rtp(1)).packet == rtp(1)
        world.advance(1.0)
        call.check(call.alice)

    def test_ICE_08_what_is_refused_takes_nothing_from_the_peer(self, world: World) -> None:
        call = IceCall(world)
        mallory = world.peer("127.0.0.66")
        for _ in range(MOST_CHECKS + 10):
            call.refused(stun.check(9, USERNAME, "guess"), mallory)
        call.check(call.alice, nominate=True)

    def test_the_checked_addresses_are_few(self, world: World) -> None:
        call = IceCall(world)
        peers = [world.peer("127.0.0.10") for _ in range(MAX_CHECKED + 1)]
        for peer in peers:
            call.check(peer)
        call.dropped(peers[0], rtp(1), "wrong_source")
        for peer in peers[1:]:
            peer.send(rtp(2), call.ports.a)
            world.expect(call.bob)

    def test_ICE_04_a_restart_keeps_what_was_until_something_new_is_nominated(self, world: World) -> None:
        call = IceCall(world)
        call.check(call.alice, nominate=True)
        call.change(a={"ice": Ice("newU:peer2", PASSWORD[::-1]), "remote": ("127.0.0.77", 9)})
        assert call.from_bob(rtp(1)).packet == rtp(1)
        assert call.from_alice(rtp(2)).packet == rtp(2)
        call.refused(stun.check(9, USERNAME, PASSWORD))
        elsewhere = world.peer("127.0.0.21")
        call.check(elsewhere, nominate=True, username="newU:peer2", password=PASSWORD[::-1])
        call.bob.send(rtp(3), call.ports.b)
        assert world.expect(elsewhere)[0].packet == rtp(3)

    def test_ICE_06_TMD_16_without_checks_sending_stops(self, world: World) -> None:
        call = IceCall(world)
        call.check(call.alice, nominate=True)
        world.advance(CONSENT - 1)
        call.check(call.alice)
        world.advance(CONSENT - 1)
        assert call.from_bob(rtp(1)).packet == rtp(1)
        assert call.events(EventKind.SILENCE) == []
        world.advance(2)
        world.until(lambda: call.events(EventKind.SILENCE) == [Side.A])
        call.bob.send(rtp(2), call.ports.b)
        world.turn()
        assert call.alice.pending() == []
        call.dropped(call.alice, rtp(3), "wrong_source")
        world.advance(CONSENT + 1)
        assert call.events(EventKind.SILENCE) == [Side.A]  # once
        call.check(call.alice, nominate=True)
        assert call.from_bob(rtp(4)).packet == rtp(4)

    def test_ICE_06_keep_alives_are_no_consent(self, world: World) -> None:
        call = IceCall(world)
        call.check(call.alice, nominate=True)
        world.advance(CONSENT - 1)
        call.case("binding indication keepalive")
        world.advance(2)
        world.until(lambda: call.events(EventKind.SILENCE) == [Side.A])

    def test_from_ICE_to_none_and_back(self, world: World) -> None:
        call = IceCall(world)
        call.check(call.alice, nominate=True)
        call.change(a={"ice": None})
        assert call.from_alice(rtp(1)).packet == rtp(1)
        assert call.stats.a.latched == call.alice.address
        call.change(a={"ice": ICE})
        call.dropped(call.alice, rtp(2), "wrong_source")
        call.bob.send(rtp(3), call.ports.b)
        world.turn()
        assert call.alice.pending() == []

    def test_DTLS_04_STUN_without_ICE_is_nothing_to_us(self, world: World) -> None:
        call = Call(world)
        call.dropped(call.alice, bytes.fromhex(CASES[CHECK]["hex"]), "stun_refused")
        call.dropped(call.alice, bytes.fromhex("0001000000000000") + bytes(12), "stun_refused")  # as RFC 3489 had it
        call.dropped(call.alice_rtcp, bytes.fromhex(CASES[CHECK]["hex"]), "stun_refused", call.rtcp_ports[0])
        call.dropped(call.alice, bytes.fromhex(CASES[CHECK]["hex"])[:19], "malformed")
        assert (call.stats.a.malformed, call.alice.pending(), call.alice_rtcp.pending()) == (1, [], [])

    def test_DTLS_04_first_octets_that_nobody_knows_here(self, world: World) -> None:
        call = IceCall(world)
        call.check(call.alice, nominate=True)
        for first in (16, 19, 20, 63, 64, 79, 80, 127, 192, 255):
            call.dropped(call.alice, bytes([first]) + rtp(1)[1:], "malformed")

    def test_SRTP_keys_and_ICE_together(self, world: World) -> None:
        call = IceCall(world)
        call.change(a={"receive_keys": keys(1), "send_keys": keys(2)})
        call.check(call.alice, nominate=True)
        call.dropped(call.alice, rtp(1), "srtp_auth_failed")

    def test_credentials_that_are_too_long(self, world: World) -> None:
        call = Call(world)
        for bad in (Ice("u" * 513, PASSWORD), Ice(USERNAME, "p" * 257)):
            with pytest.raises(MediaError):
                call.change(a={"ice": bad})

    def test_the_password_is_not_shown(self, world: World) -> None:
        assert PASSWORD not in repr(IceCall(world).a)
