"""What only the engine in C has: threads, handles, and an RTCP port that goes with rtcp-mux."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest
import uvloop

from media.api import MediaError, SideSpec
from media.native import core
from tests.unit.media.calls import Call
from tests.unit.media.contract_keys import key, sealed, several
from tests.unit.media.packets import rtcp, rtp
from tests.unit.media.worlds import NativeWorld


@pytest.fixture
def world() -> Iterator[NativeWorld]:
    world = NativeWorld(uvloop.new_event_loop)
    world.begin()
    yield world
    world.end()


def is_bound(address: tuple[str, int]) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        try:
            other.bind(address)
        except OSError:
            return True
    return False


def test_RTP_05_with_mux_the_rtcp_port_is_given_up_and_taken_back(world: NativeWorld) -> None:
    call = Call(world, a={"rtcp_mux": True}, b={"rtcp_mux": True})
    near, away = call.rtcp_ports
    world.advance(4)
    assert is_bound(near)
    world.advance(1.1)
    world.until(lambda: not is_bound(near) and not is_bound(away))
    call.from_alice(rtcp())
    call.change(a={"rtcp_mux": False})
    assert (is_bound(near), is_bound(away)) == (True, False)
    call.alice_rtcp.send(rtcp(), near)
    assert world.expect(call.bob)[0].packet == rtcp()
    call.bob.send(rtcp(), call.ports.b)
    assert world.expect(call.alice_rtcp)[0].packet == rtcp()


def test_an_rtcp_port_that_others_took_meanwhile_is_an_error_that_changes_nothing(world: NativeWorld) -> None:
    call = Call(world, a={"rtcp_mux": True}, b={"rtcp_mux": True})
    world.advance(6)
    world.until(lambda: not is_bound(call.rtcp_ports[0]))
    world.occupy(call.rtcp_ports[0])
    with pytest.raises(MediaError, match="in use"):
        call.change(a={"rtcp_mux": False})
    call.from_alice(rtcp())
    assert call.from_alice(rtp(1)).packet == rtp(1)


def test_too_many_hosts_to_latch_from(world: NativeWorld) -> None:
    world.open()
    with pytest.raises(MediaError, match="more than 6"):
        world.engine.update("call", SideSpec(latch_from=tuple(f"10.0.0.{number}" for number in range(7))), SideSpec())


def test_handles_of_closed_relays_name_nobody() -> None:
    engine = core.Engine(2, 1.0, -1.0)
    before = len(os.listdir("/proc/self/fd"))
    first = engine.open(engine.bind("127.0.0.2", 42000), engine.bind("127.0.0.3", 42000))
    engine.close(first)
    for port in (42002, 42004):  # both workers
        engine.open(engine.bind("127.0.0.2", port), engine.bind("127.0.0.3", port))
    for handle in (first, 0, 2**64 - 1):
        with pytest.raises(KeyError):
            engine.stats(handle)
        with pytest.raises(KeyError):
            engine.close(handle)
    assert len(os.listdir("/proc/self/fd")) == before + 8
    engine.stop()
    engine.stop()
    with pytest.raises(RuntimeError):
        engine.stats(first)


def test_an_engine_that_is_dropped_ends_its_threads() -> None:
    before = len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))
    engine = core.Engine(3, 1.0, -1.0)
    assert len(os.listdir("/proc/self/task")) == before[0] + 3
    engine.open(engine.bind("127.0.0.2", 42000), engine.bind("127.0.0.3", 42000))
    del engine
    assert (len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))) == before


def test_SRTP_04_the_roll_over_counter_is_one_for_all_keys_of_a_stream(world: NativeWorld) -> None:
    """RFC 3711 s3.2.1; libsrtp, and what is made with it, have one for each key set instead of one for each key, too."""
    one, two = key(1), key(2)
    call = Call(world, a={"receive_keys": several(one, two)})
    for number in (65534, 65535, 65536):
        assert call.from_alice(sealed(one, number, number >> 16)).packet == rtp(number)
    assert call.from_alice(sealed(two, 65537, 1)).packet == rtp(65537)
    call.dropped(call.alice, sealed(two, 65536, 1), "replayed")
