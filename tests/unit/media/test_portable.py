"""What only an engine with sockets can do wrong."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import socket
import subprocess
import sys
import weakref
from collections.abc import Iterator
from unittest import mock

import pytest

from media import portable
from media.api import Address, EventKind, MediaError, MediaEvent, PortsExhausted, Side, SideSpec
from media.portable import BATCH, PortableEngine
from media.relay import MOST_PACKETS
from tests.unit.media.packets import keys, rtp
from tests.unit.media.worlds import LoopbackWorld


@pytest.fixture
def world() -> Iterator[LoopbackWorld]:
    world = LoopbackWorld(asyncio.new_event_loop)
    world.begin()
    yield world
    world.end()


@pytest.mark.interpreted
@pytest.mark.parametrize(("number", "error"), [(errno.EMFILE, PortsExhausted), (errno.ENOBUFS, PortsExhausted), (errno.EACCES, MediaError)])
def test_limits_of_the_machine_are_temporary(world: LoopbackWorld, number: int, error: type[MediaError]) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with mock.patch.object(portable, "_bound", side_effect=OSError(number, os.strerror(number))), pytest.raises(MediaError) as raised:
        world.open()
    assert type(raised.value) is error
    assert len(os.listdir("/proc/self/fd")) == before
    world.open()


@pytest.mark.interpreted
def test_no_room_in_the_epoll_is_temporary_and_leaves_nothing_behind(world: LoopbackWorld) -> None:
    before = len(os.listdir("/proc/self/fd"))
    poll = mock.Mock(wraps=world.engine._poll)  # type: ignore[attr-defined]
    poll.register.side_effect = [None, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))]
    with mock.patch.object(world.engine, "_poll", poll), pytest.raises(PortsExhausted):
        world.open()
    assert len(os.listdir("/proc/self/fd")) == before
    world.open()


def test_one_wake_up_takes_one_packet_of_each_socket(world: LoopbackWorld) -> None:
    """A flood on one port costs the other calls, and signalling, no more than a packet's time."""
    ports = world.open()
    alice, bob = world.peer(), world.peer("127.0.0.11")
    world.engine.update("call", SideSpec(remote=alice.address, payload_types={8: 8}), SideSpec(remote=bob.address, payload_types={8: 8}))
    before_bob: list[int] = []

    def note(event: MediaEvent) -> None:
        if (event.side, event.kind) == (Side.B, EventKind.FIRST_PACKET):
            before_bob.append(world.engine.stats("call").a.packets_received)

    world.engine.on_event(note)
    for sequence in range(BATCH):
        alice.send(rtp(sequence), ports.a)
    bob.send(rtp(1), ports.b)
    world.until(lambda: bool(before_bob))
    assert before_bob[0] < BATCH
    assert len(world.expect(bob, BATCH)) == BATCH


def test_RTP_09_a_circle_of_relays_runs_dry(world: LoopbackWorld) -> None:
    """Two calls of one plotter, each told that its peers are at the other's ports: one packet would go round for ever."""
    one, two = world.open("one"), world.open("two")
    peer = world.peer()

    def said(remote: Address) -> SideSpec:
        return SideSpec(remote=remote, latch_from=(peer.address[0],), payload_types={8: 8})

    world.engine.update("one", said(peer.address), said(two.b))
    world.engine.update("two", said(one.a), said(one.b))
    peer.send(rtp(1), one.a)
    world.until(lambda: world.engine.stats("one").a.packets_received == 1)
    world.engine.update("one", said(two.a), said(two.b))
    for sequence in range(2, 12):
        peer.send(rtp(sequence), one.a)  # still admitted: they may have been on the way
    world.until(lambda: world.engine.stats("one").a.over_rate + world.engine.stats("two").b.over_rate >= 10)
    world.advance(2)
    before = world.engine.stats("one").a.packets_received
    assert 100 < before <= MOST_PACKETS + 1
    world.turn()
    assert world.engine.stats("one").a.packets_received == before


def test_a_packet_that_cannot_be_sent_is_not_counted_as_sent(world: LoopbackWorld) -> None:
    ports = world.open()
    alice = world.peer()
    broadcast = SideSpec(remote=("255.255.255.255", 4000), payload_types={8: 8})  # refused by the kernel
    world.engine.update("call", SideSpec(remote=alice.address, payload_types={8: 8}), broadcast)
    alice.send(rtp(1), ports.a)
    world.until(lambda: world.engine.stats("call").a.packets_received == 1)
    assert world.engine.stats("call").b.packets_sent == 0


def test_a_socket_that_a_child_process_inherited_does_not_confuse(world: LoopbackWorld) -> None:
    """Between fork and exec a child holds copies, and the epoll goes on reporting a socket that was closed here."""
    ports = world.open()
    descriptors = [int(name) for name in os.listdir("/proc/self/fd")]
    kept = [descriptor for descriptor in descriptors if _local(descriptor) == ports.a]
    copy = os.dup(kept[0])
    world.engine.close("call")
    world.peer().send(rtp(1), ports.a)
    world.turn()
    world.open("next")
    os.close(copy)


def _local(descriptor: int) -> object:
    try:
        borrowed = socket.socket(fileno=os.dup(descriptor))
    except OSError:
        return None
    with borrowed:
        return borrowed.getsockname() if borrowed.family == socket.AF_INET else None


def test_shutdown_twice_and_without_relays() -> None:
    loop = asyncio.new_event_loop()
    engine = PortableEngine(loop)
    engine.shutdown()
    engine.shutdown()
    loop.close()


@pytest.mark.interpreted  # compiled classes take no weak references
def test_shutdown_leaves_nothing_on_the_loop() -> None:
    loop = asyncio.new_event_loop()
    engine = PortableEngine(loop)
    gone = weakref.ref(engine)
    engine.shutdown()
    del engine
    loop.run_until_complete(asyncio.sleep(0))
    gc.collect()
    assert gone() is None
    loop.close()


def test_a_closed_relay_is_freed_without_the_collector(world: LoopbackWorld) -> None:
    spec = SideSpec(remote=("127.0.0.10", 4000), receive_keys=keys(1), send_keys=keys(2), payload_types={8: 8})
    gc.collect()
    gc.disable()
    try:
        for number in range(10):
            world.engine.open(str(number), "near", "away")
            world.engine.update(str(number), spec, spec)
            world.engine.close(str(number))
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_importing_media_needs_nothing_of_the_product() -> None:
    """media never imports sbc."""
    script = "import sys, media.portable, media.fake; sys.exit(any(name.split('.')[0] == 'sbc' for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
