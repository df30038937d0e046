"""What only the engine in C can do wrong: locks, threads, descriptors, the interpreter beneath it."""

from __future__ import annotations

import asyncio
import os
import resource
import select
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop

from media.api import EventKind, MediaError, MediaEvent, PortsExhausted, Side
from media.native import core
from tests.unit.media.calls import Call
from tests.unit.media.packets import rtp
from tests.unit.media.worlds import DEADLINE, LoopbackWorld, NativeWorld

ENGINES: dict[str, Callable[[], LoopbackWorld]] = {
    "portable": lambda: LoopbackWorld(asyncio.new_event_loop),
    "native": lambda: NativeWorld(uvloop.new_event_loop),
}


@pytest.fixture
def world() -> Iterator[NativeWorld]:
    world = NativeWorld(uvloop.new_event_loop)
    world.begin()
    yield world
    world.end()


@pytest.fixture(params=ENGINES)
def any_world(request: pytest.FixtureRequest) -> Iterator[LoopbackWorld]:
    world = ENGINES[request.param]()
    world.begin()
    yield world
    world.end()


# A core with one open relay, whose A side has an event once `flood` ran. What deadlocks holds the whole process: hence one of its own.
PRELUDE = """
import gc, socket
from media.native import core
engine = core.Engine(1, 0.002, -1.0)
handle = engine.open(engine.bind("127.0.0.2", 43000), engine.bind("127.0.0.3", 43000))
peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
peer.bind(("127.0.0.4", 0))
def spec(silence):
    rest = None, {}, (), None, 0, False, 0, 46
    return peer.getsockname(), None, False, (), (), (), (), (), {8: 8}, {}, True, silence, False, False, *rest
def happen():
    engine.update(handle, spec(None), spec(None))
    for host in ("127.0.0.2", "127.0.0.3"):
        peer.sendto(bytes((0x80, 8)) + bytes(20), (host, 43000))
    while not all(side[0] for side in engine.stats(handle)):
        pass
    held.extend(([], (number, number, number)) for number in range(5000))  # nothing is left that needs no allocation
held = []
"""


def alone(script: str) -> str:
    """What `script` prints after PRELUDE in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
        cwd=Path(__file__).parents[3],
    ).stdout.strip()


def test_no_conversion_runs_under_the_lock() -> None:
    script = """
        class Silence:
            def __float__(self):
                engine.stats(handle)
                return 5.0
        engine.update(handle, spec(Silence()), spec(None))
        print("done")
    """
    assert alone(script) == "done"


def test_no_collection_runs_under_the_lock() -> None:
    script = """
        happen()
        seen = []
        gc.callbacks.append(lambda phase, info: seen.append(engine.stats(handle)))
        gc.set_threshold(1)
        events = engine.take_events()
        gc.set_threshold(0)
        print(len(events), bool(seen))
    """
    assert alone(script) == "2 True"


def test_the_engine_cannot_be_stopped_beneath_a_call() -> None:
    script = """
        happen()
        collections, refused = [], []
        def stop(phase, info):
            collections.append(phase)
            if len(collections) <= 2:  # the first may come before the call is under way
                return
            try:
                engine.stop()
            except RuntimeError as error:
                refused.append(str(error))
        gc.callbacks.append(stop)
        gc.set_threshold(1)
        events = engine.take_events()
        gc.set_threshold(0)
        print(len(events), set(refused))
    """
    assert alone(script) == "2 {'the engine is in use'}"


@contextmanager
def child(run: Callable[[], None]) -> Iterator[None]:
    """A fork that runs `run`, and lives until the block is done."""
    ready, done = os.pipe(), os.pipe()
    process = os.fork()
    if not process:
        code = 1
        try:
            run()
            os.write(ready[1], b".")
            select.select([done[0]], [], [], DEADLINE)
            code = 0
        finally:
            os._exit(code)
    try:
        assert select.select([ready[0]], [], [], DEADLINE)[0], "the child did not come so far"
        yield
    finally:
        os.write(done[1], b".")
        assert os.waitpid(process, 0)[1] == 0
        for descriptor in (*ready, *done):
            os.close(descriptor)


def test_a_fork_cannot_stop_the_engine_of_its_parent(world: NativeWorld) -> None:
    call = Call(world)

    def shut_down() -> None:
        for what in (lambda: world.engine.stats("call"), world.engine.shutdown):
            with pytest.raises(RuntimeError, match="in the process that started it"):
                what()
        world.engine._core.stop()

    with child(shut_down):
        assert call.from_alice(rtp(1)).packet == rtp(1)
    assert call.from_bob(rtp(1)).packet == rtp(1)


def watched() -> list[str]:
    """Every descriptor that an epoll of this process watches."""
    found = []
    for each in Path("/proc/self/fdinfo").iterdir():
        try:
            found += [line for line in each.read_text().splitlines() if line.startswith("tfd:")]
        except FileNotFoundError:  # the one that listed the folder
            continue
    return found


def test_what_a_fork_keeps_open_is_watched_no_more(any_world: LoopbackWorld) -> None:
    """Or it would be ready for ever with the next packet, and nobody could read it."""
    any_world.turn()  # the loop has registered what it watches itself
    before = len(watched())
    Call(any_world)
    assert len(watched()) == before + 4
    with child(lambda: None):
        any_world.engine.close("call")
        assert len(watched()) == before


def test_a_closed_rtcp_port_is_watched_no_more_while_a_fork_has_it(world: NativeWorld) -> None:
    world.turn()
    before = len(watched())
    Call(world, a={"rtcp_mux": True})
    with child(lambda: None):
        world.advance(5.0)
        assert len(watched()) == before + 3


def test_a_listener_that_fails_costs_no_other_event(any_world: LoopbackWorld) -> None:
    failures: list[dict[str, Any]] = []
    heard: list[MediaEvent] = []

    def listen(event: MediaEvent) -> None:
        heard.append(event)
        raise ValueError

    any_world._loop.set_exception_handler(lambda loop, context: failures.append(context))
    any_world.engine.on_event(listen)
    Call(any_world, a={"silence": 1.0}, b={"silence": 1.0})
    any_world.advance(2.0)
    any_world.until(lambda: len(heard) == 2)
    assert [(event.side, event.kind) for event in heard] == [(Side.A, EventKind.SILENCE), (Side.B, EventKind.SILENCE)]
    assert len(failures) == 2


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@contextmanager
def descriptors_left(count: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(each) for each in os.listdir("/proc/self/fd"))
    fillers = [os.open("/dev/null", os.O_RDONLY)]
    while fillers[-1] < highest:  # the holes
        fillers.append(os.open("/dev/null", os.O_RDONLY))
    resource.setrlimit(resource.RLIMIT_NOFILE, (fillers[-1] + 1 + count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for each in fillers:
            os.close(each)


@pytest.mark.parametrize("left", range(4))
def test_a_relay_without_descriptors_leaves_none_behind(world: NativeWorld, left: int) -> None:
    before = descriptors()
    with descriptors_left(left), pytest.raises(PortsExhausted):
        world.open()
    assert descriptors() == before
    world.open()


@pytest.mark.parametrize("left", range(4))
def test_an_engine_without_descriptors_leaves_none_behind(left: int) -> None:
    before = descriptors()
    with descriptors_left(left), pytest.raises(OSError, match="Too many open files"):
        core.Engine(2, 1.0, -1.0)
    assert descriptors() == before


@pytest.mark.parametrize("sweep_every", [0.0, -1.0, float("nan"), float("inf"), 1e9])
def test_a_sweep_takes_a_reasonable_time(sweep_every: float) -> None:
    with pytest.raises(ValueError, match="sweep"):
        core.Engine(1, sweep_every, -1.0)


def pauses() -> int:
    """How often the threads that move packets went to sleep."""
    tasks = [task for task in Path("/proc/self/task").iterdir() if (task / "comm").read_text() == "media\n"]
    lines = [line for task in tasks for line in (task / "status").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))


def test_of_a_socket_that_has_something_look_after_look_some_are_taken_at_once(world: NativeWorld) -> None:
    """Or a port could take no more than one packet in the time between two looks."""
    call = Call(world)
    before = pauses()
    for number in range(150):
        call.alice.send(rtp(number), call.ports.a)
    world.expect(call.bob, 150)
    assert pauses() - before < 100


def test_an_rtcp_port_that_another_process_took_meanwhile(world: NativeWorld) -> None:
    """Nothing is changed; once the port is free again the relay has it again."""
    call = Call(world, a={"rtcp_mux": True})
    world.advance(5.0)
    other = world.peer(*call.rtcp_ports[0])
    with pytest.raises(MediaError, match="in use"):
        call.change(a={"rtcp_mux": False})
    assert call.from_alice(rtp(1)).packet == rtp(1)
    other.socket.close()  # type: ignore[attr-defined]
    call.change(a={"rtcp_mux": False})
