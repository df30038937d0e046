"""Links with bad people at the other end: strangers who speak QUIC, and sites that have proved who they are and mean harm."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from aioquic.tls import Epoch

from sbc.link.frames import Calls, Received
from sbc.net.guard import doors_of
from sbc.net.quic import PACKETS, SITE_SIP, STRANGERS, UNHEARD, LinkConnection
from sbc.net.quic_bounds import CRYPTO, OPENING, WINDOW
from tests.unit.link.certificates import credential
from tests.unit.net.bench import message, run, until
from tests.unit.net.linked import Stage, both_hear, linked, up
from tests.unit.net.stranger import Client, skip

pytestmark = pytest.mark.interpreted


def at_site(stage: Stage) -> LinkConnection:
    return stage.site.links.peers["edge"].connections[0]


def at_edge(stage: Stage) -> LinkConnection:
    return stage.edge.links.peers["berlin"].connections[0]


def has_heard(stage: Stage, count: int) -> bool:
    return len(stage.edge.messages) > count


def waiting(connection: LinkConnection) -> int:
    """Octets kept behind gaps."""
    return sum(len(stream.receiver._buffer) for stream in connection._quic._streams.values())


def test_a_stranger_who_leaves_a_gap_gets_no_larger_window(tmp_path: Path) -> None:
    """Else each packet of its would take twice the memory of the one before."""

    async def scene() -> None:
        async with linked(tmp_path) as stage:
            client = Client(stage.port)
            await client.run(0.2)
            client.is_greedy()
            client.skip(0, OPENING - 100)
            client.quic.send_stream_data(0, b"x")
            await client.run(0.2)
            assert client.reason == ""
            client.skip(0, OPENING)
            client.quic.send_stream_data(0, b"x")
            await client.run(5.0)
            assert client.reason == "Over connection data limit"
            client.sock.close()

    run(scene())


def test_a_site_that_leaves_a_gap_gets_no_larger_window(tmp_path: Path) -> None:
    async def scene() -> None:
        async with linked(tmp_path) as stage:
            await up(stage)
            await both_hear(stage, "before")
            site, edge = at_site(stage), at_edge(stage)
            site._quic._remote_max_data = 1 << 40
            for _ in range(20):
                skip(site._quic, SITE_SIP, WINDOW // 4)
                site.send_signalling(message())
                site.flush()
                await asyncio.sleep(0.01)
                assert waiting(edge) <= WINDOW
                if not edge.is_open:
                    break
            assert not edge.is_open

    run(scene())


def test_much_sip_in_order_is_no_such_gap(tmp_path: Path) -> None:
    """More than any window at once, both ways, and not a message is lost."""

    async def scene() -> None:
        async with linked(tmp_path) as stage:
            await up(stage)
            edge = at_edge(stage)
            count = 3 * WINDOW // len(message())
            for number in range(count):
                stage.site.say(f"z9hG4bK{number}")
                if number % 100 == 0:
                    await until(partial(has_heard, stage, number - 300))
            await until(lambda: len(stage.edge.messages) == count)
            assert edge.is_open
            assert stage.site.failures == []

    run(scene())


def test_a_handshake_with_a_gap_takes_no_memory(tmp_path: Path) -> None:
    async def scene() -> None:
        async with linked(tmp_path) as stage:
            client = Client(stage.port)
            await client.take_token()  # with which it begins anew
            stream = client.quic._crypto_streams[Epoch.INITIAL]
            stream.sender._buffer_start = stream.sender._buffer_stop = CRYPTO
            stream.sender._pending.subtract(0, CRYPTO)
            stream.sender.write(b"hello")
            await client.run(5.0)
            assert client.reason == "too much of a handshake"
            client.sock.close()

    run(scene())


def test_a_site_that_says_it_has_heard_what_it_does_not_take(tmp_path: Path) -> None:
    """Its word frees what the session keeps; what QUIC keeps has a bound of its own."""

    async def scene() -> None:
        async with linked(tmp_path) as stage:
            await up(stage)
            edge = at_edge(stage)
            edge._quic._remote_max_data = edge._quic._remote_max_data_used
            session = stage.edge.links.peers["berlin"].session
            assert session is not None
            for number in range(2 * UNHEARD // len(message())):
                if not edge.is_open:
                    break
                stage.edge.say(f"z9hG4bK{number}")
                session.heard(session._base + len(session._unheard))
            assert not edge.is_open
            assert "does not take what it is told" in stage.edge.logged("link_lost")[0]

    run(scene())


@pytest.mark.parametrize(
    ("frame", "times", "why"),
    [(Calls(frozenset(), fresh=False), 1, "compares calls twice"), (Received(0), 300, "says too much")],
    ids=["calls", "words"],
)
def test_a_site_that_has_us_look_at_all_calls_again_and_again(tmp_path: Path, frame: Calls | Received, times: int, why: str) -> None:
    async def scene() -> None:
        async with linked(tmp_path) as stage:
            await up(stage)
            await until(lambda: stage.edge.compared)
            for _ in range(times):
                at_site(stage).send_frame(frame)
            at_site(stage).flush()
            await until(lambda: stage.edge.logged("link_lost"))
            assert why in stage.edge.logged("link_lost")[0]
            assert len(stage.edge.compared) == 1

    run(scene())


def test_packets_beyond_what_a_site_can_need_are_not_even_decrypted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        async with linked(tmp_path) as stage:
            await up(stage)
            edge, read = at_edge(stage), 0

            def count(*_: object) -> None:
                nonlocal read
                read += 1

            monkeypatch.setattr(edge._quic, "receive_datagram", count)
            for _ in range(3 * int(PACKETS[1])):
                edge.receive(b"\x40" + bytes(100), edge.remote)
            assert PACKETS[1] - 1 <= read < 2 * PACKETS[1]
            monkeypatch.undo()

    run(scene())


def test_a_fault_in_reading_one_connection_is_none_of_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        async with linked(tmp_path) as stage:
            await up(stage)

            def fail(*_: object) -> None:
                raise IndexError("made up")

            client = Client(stage.port)
            await client.run(0.2)
            (listener,) = stage.edge.network._listeners.values()
            (theirs,) = [each for each in listener._endpoint._guests if each is not at_edge(stage)]  # type: ignore[union-attr]
            monkeypatch.setattr(theirs._quic, "receive_datagram", fail)
            client.quic.send_ping(1)
            await client.run(0.2)
            assert not theirs.is_open
            assert "IndexError: made up" in stage.edge.handshakes[0][1]
            await both_hear(stage, "all the same")
            client.sock.close()

    run(scene())


def test_nobody_can_have_more_sent_to_an_address_than_he_sends_in_its_name(tmp_path: Path) -> None:
    async def scene() -> None:
        async with linked(tmp_path) as stage:
            client = Client(stage.port)
            initial = client.quic.datagrams_to_send(0.0)[0][0]
            answered = []
            for data in (initial, initial[:1199], b"\x40" + bytes(39), b"\x40" + bytes(38), b"\xc0" + bytes(1199), b"", bytes(1200)):
                client.sock.sendto(data, ("127.0.0.1", stage.port))
                await asyncio.sleep(0.05)
                back = 0
                with suppress(BlockingIOError):
                    while True:
                        back += len(client.sock.recv(2048))
                assert back == 0 or back < len(data)
                answered.append(back > 0)
            assert answered == [True, False, True, False, False, False, True]  # a token, and twice that there is no such connection
            client.sock.close()

    run(scene())


# What the shield is told


def test_who_does_not_prove_who_it_is_is_told_to_the_shield_as_bad_tls_is(tmp_path: Path) -> None:
    async def scene() -> None:
        async with linked(tmp_path, pinned=credential("berlin.example")) as stage:
            await until(lambda: stage.edge.offences)
            assert stage.edge.offences[0] == ("127.0.0.1", "handshake")
            assert stage.edge.vouches == []
            client = Client(stage.port)
            await client.run(0.2)
            client.quic.send_stream_data(0, bytes(range(192, 256)))
            await client.run(0.2)
            (flow, reason) = stage.edge.handshakes[0]
            assert (flow.realm, flow.transport, flow.remote) == ("sites", "QUIC", client.sock.getsockname())
            assert "a frame of" in reason
            client.sock.close()

    run(scene())


def test_a_stranger_that_moves_to_the_address_of_another_does_not_have_it_banned(tmp_path: Path) -> None:
    """What counts is where the token was, not where packets say that they come from later."""

    async def scene() -> None:
        async with linked(tmp_path) as stage:
            client = Client(stage.port)
            await client.run(0.2)
            own = client.sock.getsockname()
            client.sock.close()
            client.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            client.sock.setblocking(False)
            client.sock.bind(("127.0.0.66", 0))
            client.quic.send_stream_data(0, bytes(range(192, 256)))
            await client.run(0.2)
            ((flow, _),) = stage.edge.handshakes
            assert flow.remote == own
            client.sock.close()

    run(scene())


def test_a_site_that_has_proved_who_it_is_is_no_stranger(tmp_path: Path) -> None:
    async def scene() -> None:
        async with linked(tmp_path) as stage:
            await up(stage)
            await stage.site.network.close()
            await until(lambda: not stage.edge.is_up)
            assert stage.edge.vouches == ["127.0.0.1"]
            assert stage.edge.offences == []
            assert stage.edge.handshakes == []

    run(scene())


def test_who_is_banned_gets_not_even_a_token(tmp_path: Path) -> None:
    async def scene() -> None:
        stage = Stage(tmp_path)
        stage.edge.door.banned.add("127.0.0.1")
        try:
            stage.begin()
            client = Client(stage.port)
            await client.run(0.3)
            assert client.events == []
            assert stage.edge.stats.connections_banned > 0
            assert stage.edge.stats.connections_accepted == 0
            client.sock.close()
        finally:
            await stage.close()

    run(scene())


def test_a_ban_of_its_neighbours_keeps_a_site_out_and_does_not_end_its_link(tmp_path: Path) -> None:
    """Several phones behind one NAT: what is connected has proved who it is. The kernel, which sees addresses alone, is told nothing."""

    async def scene() -> None:
        async with linked(tmp_path) as stage:
            await up(stage)
            stage.edge.door.banned.add("127.0.0.1")
            await both_hear(stage, "banned")
            assert doors_of(stage.edge_policy) == []

    run(scene())


def test_a_stranger_reads_little_of_our_time(tmp_path: Path) -> None:
    async def scene() -> None:
        async with linked(tmp_path) as stage:
            client = Client(stage.port)
            await client.run(0.2)
            (listener,) = stage.edge.network._listeners.values()
            (theirs,) = [each for each in listener._endpoint._guests if not each.proven]  # type: ignore[union-attr]
            for _ in range(3 * int(STRANGERS[1])):
                theirs.receive(b"\x40" + bytes(100), client.sock.getsockname())
            assert theirs._packets.refused >= STRANGERS[1]
            client.sock.close()

    run(scene())
