"""What XDP may and may not take past the stack: seen by what reaches the engine's sockets meanwhile. Two networks with a cable each."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from media.api import Address, Interface, Packets, SideSpec, Tier
from media.keys import Inbound, Outbound
from media.native import tiers
from media.native.tiers import Express
from media.native.xdp import tier
from sbc.frozen import replace
from tests.unit.media.calls import CLOCKS, CODECS, Call
from tests.unit.media.frames import IPV4, IPV6, Frame, Seen, ipv4
from tests.unit.media.packets import keys, rtcp, rtp
from tests.unit.media.worlds import DEADLINE, PORTS, Peer
from tests.unit.media.xdp_world import Cable, XdpWorld, addresses, cable, passing_program

pytestmark = pytest.mark.namespaces

NETWORKS = {"near": 1, "away": 2}
ALICE, BOB = "10.98.1.2", "10.98.2.2"
ELSEWHERE = "10.98.9.9"
MODES = {"native": Express(native_pairs=True), "generic": Express()}


def ours(name: str) -> str:
    return f"10.98.{NETWORKS[name]}.1"


@pytest.fixture(scope="module")
def wires() -> Iterator[Cable]:
    with cable() as made:
        for name, number in NETWORKS.items():
            made.link(name)
            made.near.run(["ip", "-batch", "-"], text=addresses(name, (ours(name),), f"fd98:{number}::1"))
            made.far.run(["ip", "-batch", "-"], text=addresses(name, (f"10.98.{number}.2", f"10.98.{number}.3"), f"fd98:{number}::2"))
        made.far.run(["ip", "addr", "add", f"{ELSEWHERE}/32", "dev", "lo"])
        yield made


class Wired(XdpWorld):
    """Side A is on the cable `near`, side B on `away`."""

    def begin_there(self) -> None:
        self.begin({name: Interface(ours(name), *PORTS) for name in NETWORKS})

    def stack(self) -> int:
        """UDP datagrams that came to the engine's sockets, or would have."""
        lines = [line.split() for line in Path("/proc/thread-self/net/snmp").read_text().splitlines() if line.startswith("Udp:")]
        counters = dict(zip(*lines, strict=True))
        six = dict(line.split() for line in Path("/proc/thread-self/net/snmp6").read_text().splitlines())
        names = ("InDatagrams", "NoPorts", "InErrors")
        return sum(int(counters[name]) + int(six[f"Udp6{name}"]) for name in names)


def mac_of(made: Cable, link: str) -> bytes:
    words = made.near.run(["ip", "-o", "link", "show", "dev", link]).split()
    return bytes.fromhex(words[words.index("link/ether") + 1].replace(":", ""))


@pytest.fixture(params=MODES)
def world(request: pytest.FixtureRequest, wires: Cable) -> Iterator[Wired]:
    world = Wired(wires, MODES[request.param])
    world.begin_there()
    assert {request.param in tier.name for tier in world.engine.tiers().values()} == {True}, world.engine.tiers()
    yield world
    world.end()


def joined(world: Wired, **how: Any) -> Call:
    """A call whose both directions are out of the engine's sockets."""
    call = Call(world, hosts=(ALICE, BOB), **how)
    call.from_alice(rtp(1))
    call.from_bob(rtp(1))
    world.until(lambda: settled(world, 2))
    return call


def settled(world: Wired, directions: int) -> bool:
    forwarded, handed, waiting = world.engine.express.flows()
    return (forwarded + handed, waiting) == (directions, 0)


class Wire:
    """Frames on a cable, at the peers' end."""

    def __init__(self, made: Cable, link: str) -> None:
        self.socket = made.far.within(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)))
        self.socket.bind((link, 3))
        self.socket.settimeout(2)

    def send(self, *frames: bytes) -> None:
        for frame in frames:
            self.socket.send(frame)

    def next(self) -> Seen:
        while True:
            octets, where = self.socket.recvfrom(4096)
            seen = Seen.read(octets) if where[2] != socket.PACKET_OUTGOING else None
            if seen is not None:
                return seen


@pytest.fixture
def near(wires: Cable) -> Iterator[Wire]:
    wire = Wire(wires, "near")
    yield wire
    wire.socket.close()


@pytest.fixture
def away(wires: Cable) -> Iterator[Wire]:
    wire = Wire(wires, "away")
    yield wire
    wire.socket.close()


def test_plain_rtp_never_meets_the_stack(world: Wired, near: Wire, away: Wire) -> None:
    call = joined(world, a={"payload_types": {96: 101, 8: 8}, "clock_rates": {96: 8000, 8: 8000}}, b={"dscp": 26})
    before = world.stack()
    while away.next().payload != rtp(1):
        continue
    near.send(Frame(mac_of(world.cable, "near"), call.alice.address, call.ports.a, rtp(2, payload_type=96, marker=True)).octets)
    assert world.expect(call.bob) == [(rtp(2, payload_type=101, marker=True), call.ports.b)]
    seen = away.next()
    assert (seen.intact, seen.hops, seen.traffic_class) == (True, 64, 26 << 2)
    assert call.from_bob(rtp(2)) == (rtp(2), call.ports.a)
    assert world.stack() == before
    call.from_alice(rtp(5))
    stats = call.stats
    assert (stats.a.packets_received, stats.b.packets_sent, stats.a.lost, stats.a.loss_runs) == (3, 3, 2, 1)
    assert stats.a.octets_received == stats.b.octets_sent == 3 * len(rtp(1))


def test_by_ipv6(world: Wired) -> None:
    world.engine.provide({name: Interface(f"fd98:{number}::1", *PORTS) for name, number in NETWORKS.items()})
    call = Call(world, hosts=("fd98:1::2", "fd98:2::2"), a={"payload_types": {96: 8, 8: 8}})
    call.from_alice(rtp(1))
    call.from_bob(rtp(1))
    world.until(lambda: world.engine.express.flows() == (2, 0, 0))
    before = world.stack()
    assert call.from_alice(rtp(2, payload_type=96)).packet == rtp(2)
    assert call.from_bob(rtp(2)).packet == rtp(2)
    assert world.stack() == before


def test_between_ipv4_and_ipv6_by_af_xdp(world: Wired) -> None:
    world.engine.provide({"near": Interface(ours("near"), *PORTS), "away": Interface("fd98:2::1", *PORTS)})
    call = Call(world, hosts=(ALICE, "fd98:2::2"))
    call.from_alice(rtp(1))
    call.from_bob(rtp(1))
    world.until(lambda: world.engine.express.flows() == (0, 2, 0))
    before = world.stack()
    assert call.from_alice(rtp(2)).packet == rtp(2)
    assert call.from_bob(rtp(2, payload=b"odd")).packet == rtp(2, payload=b"odd")
    assert world.stack() == before


def test_srtp_by_af_xdp_octet_for_octet(world: Wired, away: Wire) -> None:
    call = Call(world, hosts=(ALICE, BOB), b={"receive_keys": keys(3), "send_keys": keys(4)})
    bob, at_bob = Outbound(keys(3)), Inbound(keys(4))
    at_bob.rtp(call.from_alice(rtp(1)).packet)
    call.from_bob(bob.rtp(rtp(1)))
    world.until(lambda: world.engine.express.flows() == (0, 2, 0))
    before = world.stack()
    for sequence in range(2, 30):
        packet = rtp(sequence, payload=bytes(range(sequence)))
        arrived = call.from_alice(packet)
        assert (at_bob.rtp(arrived.packet), arrived.source) == (packet, call.ports.b)
        assert call.from_bob(bob.rtp(packet)) == (packet, call.ports.a)
    assert world.stack() == before
    assert away.next().intact


@pytest.mark.parametrize("workers", [1, 2])
def test_every_queue_is_served_for_every_worker(wires: Cable, workers: int) -> None:
    """The peers' end chooses a queue by the addresses, we a worker by turns: some are served by one and belong to the other."""
    world = Wired(wires, MODES["native"], workers=workers)
    world.begin_there()
    try:
        calls = [an_encrypted_call(world, str(number)) for number in range(12)]
        world.until(lambda: world.engine.express.flows() == (0, 24, 0))
        before = world.stack()
        for alice, bob, _, at_b in calls:
            bob.send(rtp(2), at_b)
            world.expect(alice)
        assert world.stack() == before
        for number in range(0, 12, 2):
            world.engine.close(str(number))
        for alice, bob, _, at_b in calls[1::2]:
            bob.send(rtp(3), at_b)
            world.expect(alice)
        assert world.stack() == before
    finally:
        world.end()


def an_encrypted_call(world: Wired, name: str) -> tuple[Peer, Peer, Address, Address]:
    """The peers, and where they send to."""
    ports = world.open(name)
    alice, bob = world.peer(ALICE), world.peer(BOB)
    common: dict[str, Any] = {"payload_types": CODECS, "clock_rates": CLOCKS}
    a = SideSpec(remote=alice.address, receive_keys=keys(1), send_keys=keys(2), **common)
    world.engine.update(name, a, SideSpec(remote=bob.address, **common))
    alice.send(Outbound(keys(1)).rtp(rtp(1)), ports.a)
    world.expect(bob)
    bob.send(rtp(1), ports.b)
    world.expect(alice)
    return alice, bob, ports.a, ports.b


def test_a_broken_checksum_is_for_the_stack_to_drop(world: Wired, near: Wire) -> None:
    call = joined(world)
    before = world.stack()
    good = Frame(mac_of(world.cable, "near"), call.alice.address, call.ports.a, rtp(2))
    near.send(replace(good, check=1).octets)
    world.until(lambda: world.stack() == before + 1)
    assert (call.bob.pending(), call.stats.a.packets_received) == ([], 1)
    near.send(good.octets)
    assert world.expect(call.bob)[0].packet == rtp(2)
    near.send(replace(good, payload=rtp(3), check=None).octets)
    assert world.expect(call.bob)[0].packet == rtp(3), "UDP over IPv4 may go without"
    assert world.stack() == before + 1


def test_a_broken_checksum_by_af_xdp(world: Wired, near: Wire) -> None:
    call = joined(world, b={"send_keys": keys(4)})
    good = Frame(mac_of(world.cable, "near"), call.alice.address, call.ports.a, rtp(2))
    near.send(replace(good, check=1).octets, good.octets)
    assert Inbound(keys(4)).rtp(world.expect(call.bob)[0].packet) == rtp(2)
    assert call.stats.a.packets_received == 2


@pytest.mark.parametrize("what", ["fragments", "options"])
def test_fragments_and_options_are_the_stacks(world: Wired, near: Wire, what: str) -> None:
    call = joined(world)
    before = world.stack()
    packet = rtp(2, payload=bytes(range(200)) * 4)
    frame = Frame(mac_of(world.cable, "near"), call.alice.address, call.ports.a, packet)
    hosts = call.alice.address[0], call.ports.a[0]
    if what == "fragments":
        near.send(frame.ethernet(IPV4, ipv4(*hosts, frame.udp[:400], fragment=0x2000)))
        near.send(frame.ethernet(IPV4, ipv4(*hosts, frame.udp[400:], fragment=50)))
    else:
        near.send(frame.ethernet(IPV4, ipv4(*hosts, frame.udp, options=b"\x01" * 4)))
    assert world.expect(call.bob)[0].packet == packet
    assert world.stack() == before + 1


def test_a_fragment_that_looks_whole_is_none(world: Wired, near: Wire) -> None:
    call = joined(world)
    good = Frame(mac_of(world.cable, "near"), call.alice.address, call.ports.a, rtp(2))
    hosts = call.alice.address[0], call.ports.a[0]
    near.send(good.ethernet(IPV4, ipv4(*hosts, good.udp, fragment=0x2000)), replace(good, payload=rtp(3)).octets)
    assert world.expect(call.bob)[0].packet == rtp(3)
    assert call.stats.a.packets_received == 2


def test_what_has_a_tag_is_of_another_network(world: Wired, near: Wire) -> None:
    call = joined(world)
    good = Frame(mac_of(world.cable, "near"), call.alice.address, call.ports.a, rtp(2))
    near.send(replace(good, vlan=7).octets, replace(good, payload=rtp(3)).octets)
    assert world.expect(call.bob)[0].packet == rtp(3)
    assert call.stats.a.packets_received == 2


@pytest.mark.parametrize("length", [0, 1, 17, 38, 45, 61])
def test_what_is_cut_or_is_no_ip_harms_nobody(world: Wired, near: Wire, length: int) -> None:
    call = joined(world)
    good = Frame(mac_of(world.cable, "near"), call.alice.address, call.ports.a, rtp(2))
    near.send(good.octets[: 14 + length], good.ethernet(IPV6, bytes(length)), good.ethernet(0x1234, bytes(length)))
    near.send(good.octets)
    assert world.expect(call.bob)[0].packet == rtp(2)
    assert call.stats.a.packets_received == 2


def test_the_kernel_forwards_from_where_the_peer_was_said_to_be_once_it_is_there(world: Wired) -> None:
    """Whoever was faster is forwarded until then, and nobody's packets are dropped unseen."""
    call, mallory = Call(world, hosts=(ALICE, BOB)), world.peer(ALICE)
    mallory.send(rtp(1, ssrc=0x2222), call.ports.a)
    world.expect(call.bob)
    call.bob.send(rtp(1), call.ports.b)
    world.expect(mallory)
    world.until(lambda: settled(world, 2))
    call.from_alice(rtp(1))
    world.until(lambda: settled(world, 2))
    before = world.stack()
    assert call.from_alice(rtp(2)).packet == rtp(2)
    assert call.from_bob(rtp(2)).packet == rtp(2)
    assert world.stack() == before
    call.dropped(mallory, rtp(2, ssrc=0x2222), "wrong_source")
    assert (call.stats.a.latched, mallory.pending()) == (call.alice.address, [])


def test_a_wrong_source_is_counted_and_not_forwarded(world: Wired) -> None:
    call = joined(world)
    before = world.stack()
    for mallory in (world.peer("10.98.1.3"), world.peer(ALICE)):
        for sequence in range(1000):
            mallory.send(rtp(sequence), call.ports.a)
        world.turn()
        call.dropped(mallory, rtp(2), "wrong_source")
        assert call.stats.a.stranger == mallory.address, "one packet a sweep shows it to the engine"
    assert call.stats.a.wrong_source == 2002, "each is counted once"
    assert world.stack() - before < 500
    assert call.stats.a.packets_received == 1


def test_a_flood_is_cut_in_the_kernel(world: Wired) -> None:
    """Where the engine reads the figures at that moment, a packet goes by the socket: most do not."""
    call = joined(world)
    before = world.stack()
    for sequence in range(2, 2000):
        call.alice.send(rtp(sequence), call.ports.a)
    world.until(lambda: call.stats.a.over_rate > 0)
    assert call.stats.a.packets_received == 1000
    assert world.stack() - before < 900, "of 1,998"


def test_a_flood_by_af_xdp_goes_to_its_socket_and_not_into_the_rings_of_all(wires: Cable) -> None:
    world = Wired(wires, MODES["native"], sweep_every=0.3)
    world.begin_there()
    try:
        call = Call(world, hosts=(ALICE, BOB), b={"send_keys": keys(4)})
        call.from_alice(rtp(1))
        world.until(lambda: settled(world, 1))
        before = world.stack()
        for sequence in range(2, 8000):
            call.alice.send(rtp(sequence), call.ports.a)
        assert world.stack() > before
        world.until(lambda: settled(world, 1))
    finally:
        world.end()


def test_rtcp_and_strange_payload_types_go_by_the_socket_and_disturb_nothing(world: Wired) -> None:
    call = joined(world)
    call.alice_rtcp.send(rtcp(), call.rtcp_ports[0])
    world.expect(call.bob_rtcp)
    call.dropped(call.alice, rtp(2, payload_type=99), "payload_type_mismatch")
    call.from_alice(rtp(4))
    call.from_alice(rtp(3))
    stats = call.stats.a
    assert (stats.packets_received, stats.lost, stats.reordered, stats.rtcp_received) == (4, 0, 1, 1)
    assert world.engine.express.flows() == (2, 0, 0)


def test_nothing_is_relayed_after_the_end(world: Wired) -> None:
    call = joined(world)
    final = world.engine.close("call")
    assert (final.a.packets_received, world.engine.express.flows()) == (1, (0, 0, 0))
    before = world.stack()
    call.alice.send(rtp(2), call.ports.a)
    world.until(lambda: world.stack() == before + 1)
    assert call.bob.pending() == []


def test_an_update_is_obeyed_at_once(world: Wired) -> None:
    call = joined(world)
    call.change(b={"send": False})
    call.alice.send(rtp(2), call.ports.a)
    world.until(lambda: call.stats.a.packets_received == 2)
    world.turn()
    assert call.bob.pending() == []
    assert world.engine.express.flows()[0] == 1, "the other direction alone"


def test_a_peer_that_shows_up_elsewhere_is_followed(world: Wired) -> None:
    """Bob is where his packets come from, not where he was said to be; what goes to him is led there at once."""
    call = Call(world, hosts=(ALICE, BOB), b={"remote": (BOB, 9)})
    call.alice.send(rtp(1), call.ports.a)
    world.until(lambda: world.engine.express.flows()[0] == 1)
    call.from_bob(rtp(1))
    assert call.from_alice(rtp(2)).packet == rtp(2)


def test_another_neighbour_in_mid_call(world: Wired, wires: Cable, away: Wire) -> None:
    call = joined(world)
    moved = bytes.fromhex("02aabbccdd01")
    sequences = itertools.count(2)
    wires.near.run(["ip", "neigh", "replace", BOB, "lladdr", "02:aa:bb:cc:dd:01", "dev", "away", "nud", "permanent"])
    try:
        before = world.stack()

        def arrives() -> bool:
            call.alice.send(rtp(next(sequences)), call.ports.a)
            return away.next().to == moved

        world.until(arrives)
        assert world.stack() == before
    finally:
        wires.near.run(["ip", "neigh", "del", BOB, "dev", "away"])
    ways_until(world, call, sequences, "stack")  # which looks for him
    ways_until(world, call, sequences, "kernel")


def ways_until(world: Wired, call: Call, sequences: Iterator[int], wanted: str) -> None:
    """Packets, until one arrives that way."""
    ways: list[str] = []
    deadline = time.monotonic() + DEADLINE
    while wanted not in ways:
        assert time.monotonic() < deadline, ways
        before, packet = world.stack(), rtp(next(sequences))
        call.alice.send(packet, call.ports.a)
        world.turn()
        if packet in [arrival.packet for arrival in call.bob.pending()]:
            ways.append("kernel" if world.stack() == before else "stack")


@pytest.mark.parametrize("secret", [{}, {"send_keys": keys(4)}], ids=["forwarded", "af_xdp"])
def test_another_route_in_mid_call(world: Wired, wires: Cable, near: Wire, secret: dict[str, Any]) -> None:
    wires.near.run(["ip", "route", "replace", f"{ELSEWHERE}/32", "via", BOB])
    call = Call(world, hosts=(ALICE, ELSEWHERE), b=secret)
    for sequence in range(1, 3):
        call.from_alice(rtp(sequence))
    world.until(lambda: world.engine.express.flows()[2] == 0)
    wires.near.run(["ip", "route", "replace", f"{ELSEWHERE}/32", "via", ALICE])
    size, sequence = len(call.from_alice(rtp(3)).packet), 3

    def by_the_other_cable() -> bool:
        nonlocal sequence
        sequence += 1
        call.from_alice(rtp(sequence))
        try:
            return len(near.next().payload) == size
        except TimeoutError:
            return False

    near.socket.settimeout(0.05)
    deadline = time.monotonic() + DEADLINE
    while not by_the_other_cable():
        assert time.monotonic() < deadline
    before = world.stack()
    call.from_alice(rtp(sequence + 1))
    assert world.stack() == before


def test_sockets_and_xdp_take_turns_in_mid_call(world: Wired) -> None:
    call = joined(world)
    sockets = {name: Interface(ours(name), *PORTS) for name in NETWORKS}
    super(type(world.engine), world.engine).provide(sockets)
    assert {tier.name for tier in world.engine.tiers().values()} == {tiers.SOCKETS}
    before = world.stack()
    call.from_alice(rtp(2))
    assert world.stack() == before + 1
    world.engine.provide(sockets)
    world.settle()
    call.from_alice(rtp(3))
    world.settle()
    before = world.stack()
    assert call.from_alice(rtp(4)).packet == rtp(4)
    assert (world.stack(), call.stats.a.packets_received, call.stats.a.lost) == (before, 4, 0)


def test_somebody_elses_program_stays(wires: Cable) -> None:
    with passing_program() as program:
        wires.near.run(["ip", "link", "set", "near", "xdp", "obj", program, "sec", "xdp"])
    world = Wired(wires, MODES["generic"])
    try:
        world.begin_there()
        tier = world.engine.tiers()["near"]
        assert tier.name == tiers.SOCKETS
        assert tier.problem == "near has the XDP program 'somebodys' of somebody else; packets go through sockets"
        call = Call(world, hosts=(ALICE, BOB))
        assert call.from_alice(rtp(1)).packet == rtp(1)
    finally:
        world.end()
        has = wires.near.run(["ip", "link", "show", "near"])
        wires.near.run(["ip", "link", "set", "near", "xdp", "off"])
    assert "xdp" in has


def test_a_program_whose_name_is_not_told_may_be_ours(wires: Cable) -> None:
    """To a service without CAP_SYS_ADMIN, which checks its policy beside the one that runs."""
    script = "import sys; from media.native.xdp.tier import Tier; Tier(1, True).probe(sys.argv[1])"
    with passing_program() as program:
        wires.near.run(["ip", "link", "set", "near", "xdp", "obj", program, "sec", "xdp"])
    try:
        with pytest.raises(subprocess.CalledProcessError) as refused:
            wires.near.run(["setpriv", "--bounding-set", "-sys_admin", sys.executable, "-c", script, ours("near")])
    finally:
        wires.near.run(["ip", "link", "set", "near", "xdp", "off"])
    assert "near has an XDP program, perhaps that of an SBC that runs: root is told its name" in refused.value.stderr


def test_a_killed_one_leaves_nothing_behind(wires: Cable, tmp_path: Path) -> None:
    script = "import sys, time; from media.native.xdp.tier import Tier; t = Tier(1, True); t.attach(sys.argv[1], False); time.sleep(60)"
    process = wires.near.start([sys.executable, "-c", script, ours("near")], log=tmp_path / "log")
    deadline = time.monotonic() + 10
    while "xdp" not in wires.near.run(["ip", "link", "show", "near"]):
        assert time.monotonic() < deadline, (tmp_path / "log").read_text()
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    while "xdp" in wires.near.run(["ip", "link", "show", "near"]):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("address", "problem"),
    [("127.0.0.1", "lo is the loopback"), ("192.0.2.1", "no interface has the address"), ("nowhere", "'nowhere' is not a numeric address")],
)
def test_where_there_is_nothing_to_take(address: str, problem: str) -> None:
    (tier,) = tiers.probe({"r": Interface(address, *PORTS, Packets.XDP)}).values()
    assert tier == Tier(tiers.SOCKETS, f"{problem}; packets go through sockets")


def test_what_a_probe_says_is_what_comes(wires: Cable) -> None:
    wanted = {"near": Interface(ours("near"), *PORTS, Packets.XDP), "away": Interface(ours("away"), *PORTS)}
    found = wires.near.within(lambda: tiers.probe(wanted))
    assert found == {"near": Tier("native/xdp at near, generic, 2 queues"), "away": Tier(tiers.SOCKETS)}
    assert "xdp" not in wires.near.run(["ip", "link", "show", "near"])


def test_without_privilege() -> None:
    script = """
from media.api import Interface, Packets
from media.native import tiers
print(tiers.probe({"r": Interface("10.0.0.1", 2, 9, Packets.XDP)})["r"].problem)
"""
    command = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "XDP needs root, or the capabilities NET_ADMIN, NET_RAW, BPF and PERFMON; packets go through sockets\n"


def test_a_queue_is_had_again_at_once(wires: Cable) -> None:
    def turn(it: tier.Tier) -> tuple[str, bool, int, str]:
        made = it.attach(ours("near"), True)
        it.detach(ours("near"))
        return made

    def turns() -> list[tuple[str, bool, int, str]]:
        it = tier.Tier(1, True)
        try:
            return [turn(it) for _ in range(5)]
        finally:
            it.close()

    assert {problem for _, _, _, problem in wires.near.within(turns)} == {""}


def test_addresses_that_were_left_take_no_room(wires: Cable) -> None:
    """64 there may be at once, whichever there were before."""
    addresses = [f"10.98.200.{number}" for number in range(1, 71)]

    def turns() -> None:
        it = tier.Tier(1, True)
        try:
            for address in addresses:
                it.attach(address, False)
                it.detach(address)
            for address in addresses[:64]:
                it.attach(address, False)
            with pytest.raises(OSError, match="there are 64 addresses already"):
                it.attach(addresses[64], False)
        finally:
            it.close()

    for address in addresses:
        wires.near.run(["ip", "addr", "add", f"{address}/32", "dev", "near"])
    try:
        wires.near.within(turns)
    finally:
        for address in addresses:
            wires.near.run(["ip", "addr", "del", f"{address}/32", "dev", "near"])
