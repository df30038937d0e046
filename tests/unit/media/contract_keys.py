"""Contract: several keys to receive under, told apart by the MKIs of the packets (RFC 3711 s3.1, RFC 4568 s6.1)."""

from __future__ import annotations

import pytest

from media.api import MOST_KEYS, EventKind, Keys, MediaError, Side, Suite
from sbc.frozen import replace
from tests.unit.media.calls import Call
from tests.unit.media.oracle import named, protect_rtcp, protect_rtp
from tests.unit.media.packets import keys, rtcp, rtp
from tests.unit.media.worlds import World


def key(number: int, suite: Suite = Suite.AES_CM_128_HMAC_SHA1_80) -> Keys:
    """Named by its number."""
    return replace(keys(number, suite), mki=number.to_bytes(4, "big"))


def several(*each: Keys) -> Keys:
    return replace(each[0], more=each[1:])


def sealed(under: Keys, number: int, rollover: int = 0) -> bytes:
    return named(under, protect_rtp(under, rollover, rtp(number)))


class SeveralKeys:
    @pytest.mark.parametrize("suite", [Suite.AES_CM_128_HMAC_SHA1_32, Suite.AEAD_AES_256_GCM])
    def test_SRTP_05_packets_under_either_key(self, world: World, suite: Suite) -> None:
        one, two, three = key(1, suite), key(2, suite), key(3, suite)
        call = Call(world, a={"receive_keys": several(one, two, three), "send_keys": key(9, suite)})
        for number, under in enumerate((one, two, one, three, two, three, one), 1):
            assert call.from_alice(sealed(under, number)).packet == rtp(number)
        for index, under in enumerate((three, one, two), 1):
            call.alice_rtcp.send(named(under, protect_rtcp(under, index, rtcp()), is_rtcp=True), call.rtcp_ports[0])
            assert world.expect(call.bob_rtcp)[0].packet == rtcp()
        assert call.from_bob(rtp(1)).packet == sealed(key(9, suite), 1)

    def test_SRTP_05_a_name_that_is_nobody_s_and_a_key_under_another_s_name(self, world: World) -> None:
        call = Call(world, a={"receive_keys": several(key(1), key(2))})
        call.dropped(call.alice, sealed(key(3), 1), "srtp_auth_failed")
        call.dropped(call.alice, named(key(2), protect_rtp(key(1), 0, rtp(2))), "srtp_auth_failed")
        call.dropped(call.alice, protect_rtp(key(1), 0, rtp(3)), "srtp_auth_failed")
        call.dropped(call.alice, b"\x80\x08" + bytes(11), "malformed")
        assert call.from_alice(sealed(key(2), 4)).packet == rtp(4)

    def test_SRTP_04_each_key_has_its_replays(self, world: World) -> None:
        call = Call(world, a={"receive_keys": several(key(1), key(2))})
        for number, under in ((1, key(1)), (2, key(2)), (3, key(1))):
            call.from_alice(sealed(under, number))
        for number, under in ((1, key(1)), (2, key(2)), (3, key(1))):
            call.dropped(call.alice, sealed(under, number), "replayed")

    def test_SRTP_05_the_same_keys_keep_their_context(self, world: World) -> None:
        call = Call(world, a={"receive_keys": several(key(1), key(2))})
        call.from_alice(sealed(key(2), 7))
        call.change(a={"receive_keys": several(key(1), key(2))})
        call.dropped(call.alice, sealed(key(2), 7), "replayed")
        call.change(a={"receive_keys": several(key(1), key(3))})  # another set is a new context
        assert call.from_alice(sealed(key(1), 7)).packet == rtp(7)
        call.dropped(call.alice, sealed(key(2), 8), "srtp_auth_failed")

    def test_SRTP_06_keys_that_went_serve_until_one_of_the_new_ones_does(self, world: World) -> None:
        call = Call(world, a={"receive_keys": several(key(1), key(2))})
        call.change(a={"receive_keys": several(key(3), key(4))})
        assert call.from_alice(sealed(key(2), 1)).packet == rtp(1)
        assert call.from_alice(sealed(key(4), 2)).packet == rtp(2)
        call.dropped(call.alice, sealed(key(1), 3), "srtp_auth_failed")

    def test_SRTP_04_each_key_wears_by_itself(self, world: World) -> None:
        call = Call(world, a={"receive_keys": several(replace(key(1), lifetime=2), replace(key(2), lifetime=2))})
        for number, under, told in ((1, key(1), 0), (2, key(2), 0), (3, key(1), 1), (4, key(1), 1), (5, key(2), 2)):
            call.from_alice(sealed(under, number))
            world.turn()
            assert call.events(EventKind.KEY_WORN) == [Side.A] * told

    def test_what_are_no_keys_of_one_direction(self, world: World) -> None:
        for bad in (
            [*map(key, range(MOST_KEYS + 1))],
            [keys(1), keys(2)],
            [key(1), replace(key(2), mki=b"\1")],
            [key(1), replace(keys(2), mki=key(1).mki)],
            [key(1), key(2, Suite.AES_CM_128_HMAC_SHA1_32)],
            [key(1), several(key(2), key(3))],
        ):
            with pytest.raises(MediaError):
                several(*bad)
        assert Call(world, a={"receive_keys": several(*map(key, range(MOST_KEYS)))}).a.receive_keys

    def test_SRTP_07_none_of_them_is_shown(self, world: World) -> None:
        assert key(2).master.hex() not in repr(several(key(1), key(2)))
        assert repr(key(2).master)[2:-1] not in repr(several(key(1), key(2)))
