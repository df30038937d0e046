"""Links over real sockets: who gets in, what goes over them, and what they survive."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection

from sbc.frozen import replace
from sbc.link.frames import MAX_OPENING
from sbc.net import links
from sbc.net.quic import ALPN, CONTROL, SITE_SIP
from sbc.net.quic_site import SILENCE
from sbc.net.uplink import Edge
from tests.unit.link.certificates import credential, write
from tests.unit.net.bench import message, run, until
from tests.unit.net.linked import Stage, both_hear, linked, up
from tests.unit.net.stranger import Client


def test_sip_and_media_cross_both_ways(tmp_path: Path) -> None:
    async def scene() -> None:
        async with linked(tmp_path) as stage:
            await up(stage)
            await both_hear(stage, "one")
            (_, _, flow) = stage.edge.messages[0]
            assert (flow.transport, flow.names, flow.connection) == ("QUIC", ("berlin",), 0)
            assert flow.secure
            for number in range(20):
                stage.edge.play(30_000, b"from edge %d" % number)
                stage.site.play(20_001, b"from site %d" % number)
            await until(lambda: len(stage.edge.media) == len(stage.site.media) == 20)
            assert stage.site.media[0] == ("edge", 30_000, b"from edge 0")
            assert stage.edge.media[19] == ("berlin", 20_001, b"from site 19")
            figures = stage.edge.links.figures("berlin")
            assert figures is not None
            assert figures.connections == 1
            assert figures.rtt_ms > 0
            assert figures.window > 0
            stage.site.play(20_001, bytes(1400))  # what does not fit into a datagram is not sent at all
            assert stage.site.links.figures("paris") is None

    run(scene())


def test_a_link_on_which_nothing_is_said_waits_for_nothing(tmp_path: Path) -> None:
    """Else the site would take it for dead after SILENCE, again and again."""

    async def scene() -> None:
        async with linked(tmp_path) as stage:
            await up(stage)
            both = [end.links.peers[end.link].connections[0] for end in (stage.edge, stage.site)]
            await until(lambda: all(each.waiting_since is None for each in both))

    run(scene())


def test_large_messages_cross_whole_and_in_order(tmp_path: Path) -> None:
    async def scene() -> None:
        async with linked(tmp_path) as stage:
            stage.shim.loss = 0.1
            await up(stage, 10.0)
            branches = [f"z9hG4bK{number}" for number in range(300)]
            for branch in branches:
                stage.site.say(branch)
                stage.edge.say(branch)
            await until(lambda: len(stage.edge.messages) == len(stage.site.messages) == 300, 10.0)
            assert stage.edge.heard() == stage.site.heard() == branches

    run(scene())


def test_the_address_of_a_site_changes_and_nothing_is_lost(tmp_path: Path) -> None:
    async def scene() -> None:
        async with linked(tmp_path) as stage:
            await up(stage)
            await both_hear(stage, "before")
            stage.shim.rebind()
            for number in range(100):
                stage.site.play(20_000, b"%d" % number)
                await asyncio.sleep(0.002)
            await until(lambda: len(stage.edge.media) == 100)
            await both_hear(stage, "after")
            stage.edge.play(30_000, b"to the new address")
            await until(lambda: stage.site.media)
            assert len(stage.edge.logged("link_moved")) == 1
            assert stage.edge.logged("link_lost") == []

    run(scene())


def test_an_outage_in_which_the_site_looks_for_another_way(tmp_path: Path) -> None:
    """What was said meanwhile arrives, once and in order; media does not wait that long."""

    async def scene() -> None:
        async with linked(tmp_path) as stage:
            await up(stage)
            await both_hear(stage, "before")
            stage.edge.calls = stage.site.calls = frozenset({"call"})
            stage.shim.is_cut = True
            end = asyncio.get_running_loop().time() + SILENCE + 1.0
            count = 0
            while asyncio.get_running_loop().time() < end:
                count += 1
                stage.site.play(20_000, b"speech")
                stage.edge.play(30_000, b"speech")
                if count % 20 == 0:
                    stage.site.say(f"z9hG4bK-s-{count}")
                    stage.edge.say(f"z9hG4bK-e-{count}")
                await asyncio.sleep(0.02)
            assert len(stage.edge.messages) == 1
            stage.shim.is_cut = False
            said = count // 20
            await until(lambda: len(stage.edge.messages) == len(stage.site.messages) == 1 + said, 3.0)
            assert stage.edge.heard()[1:] == [f"z9hG4bK-s-{20 * number}" for number in range(1, said + 1)]
            assert stage.edge.failures == stage.site.failures == []
            await until(lambda: len(stage.edge.compared) == len(stage.site.compared) == 2)
            assert stage.edge.compared[-1].call_ids == ("call",)
            assert stage.edge.compared[-1].older > 0
            stage.edge.media.clear()
            stage.site.play(20_000, b"speech again")
            await until(lambda: ("berlin", 20_000, b"speech again") in stage.edge.media)
            assert any("resumed=true" in line for line in stage.edge.logged("link_up"))

    run(scene())


@pytest.mark.parametrize("kindly", [True, False])
def test_the_edge_starts_again(tmp_path: Path, kindly: bool) -> None:
    """The site is back in less than two seconds and hears that its calls are not known any more."""

    async def scene() -> None:
        async with linked(tmp_path) as stage:
            await up(stage)
            await both_hear(stage, "before")
            stage.site.calls = frozenset({"call"})
            await stage.restart_edge(kindly=kindly)
            stage.site.play(20_000, b"speech")  # which is how the site notices, when nobody said goodbye
            since = asyncio.get_running_loop().time()
            await until(lambda: stage.edge.is_up, 2.0)
            assert asyncio.get_running_loop().time() - since < 2.0
            await until(lambda: len(stage.site.compared) == 2)
            assert stage.site.compared[-1].call_ids == ()
            assert stage.site.compared[-1].older == 0.0
            await both_hear(stage, "after")

    run(scene())


def test_what_waits_for_a_site_that_does_not_come_back_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        async with linked(tmp_path) as stage:
            stage.edge.say("z9hG4bK-early")
            assert stage.edge.failures == [("z9hG4bK-early", "its site is not connected")]
            await up(stage)
            await stage.site.network.close()
            await until(lambda: not stage.edge.is_up)
            stage.edge.say("z9hG4bK-waits")
            assert len(stage.edge.failures) == 1
            monkeypatch.setattr(links, "RESUMED_WITHIN", -1.0)
            stage.edge.say("z9hG4bK-late")
            assert stage.edge.failures[1:] == [("z9hG4bK-waits", "the link was lost"), ("z9hG4bK-late", "its site is not connected")]

    run(scene())


def test_a_wrong_pin_is_refused_and_the_log_says_why(tmp_path: Path) -> None:
    async def scene() -> None:
        async with linked(tmp_path, pinned=credential("berlin.example")) as stage:
            await until(lambda: stage.site.logged("link_not_up"))
            assert "refused" in stage.site.logged("link_not_up")[0]
            await until(lambda: stage.edge.logged("link_refused"))
            assert "not the pinned one" in stage.edge.logged("link_refused")[0]
            assert not stage.edge.is_up
            assert not stage.site.is_up

    run(scene())


def test_an_expired_certificate_is_refused_though_it_is_pinned(tmp_path: Path) -> None:
    async def scene() -> None:
        async with linked(tmp_path, site=credential("berlin.example", days=-1)) as stage:
            await until(lambda: stage.edge.logged("link_refused"))
            assert "expired on" in stage.edge.logged("link_refused")[0]

    run(scene())


def test_an_edge_that_is_not_the_right_one_hears_nothing_of_the_site(tmp_path: Path) -> None:
    async def scene() -> None:
        stage = Stage(tmp_path)
        wrong = stage.edge_policy
        file = tmp_path / "certs" / "edge.pem"
        try:
            write(tmp_path / "certs", "edge", credential("edge.example"))
            assert file.exists()
            stage.edge.network.apply(wrong)
            stage.site.network.apply(stage.site_policy)
            await until(lambda: stage.site.logged("link_not_up"))
            assert "this is not the edge" in stage.site.logged("link_not_up")[0]
            assert stage.edge.logged("link_refused") == []
        finally:
            await stage.close()

    run(scene())


def test_several_connections_share_the_media_of_many_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        async with linked(tmp_path, connections=3) as stage:
            await until(lambda: all(len(end.links.peers[end.link].connections) == 3 for end in (stage.edge, stage.site)))
            await both_hear(stage, "one")
            carried: list[list[bytes]] = [[], [], []]
            for connection, into in zip(stage.site.links.peers["edge"].connections, carried, strict=True):
                monkeypatch.setattr(connection.media, "put", partial(carry, connection.media.put, into))
            for flow in range(20_000, 20_060):
                stage.site.play(flow, b"%d" % flow)
            await until(lambda: len(stage.edge.media) == 60)
            assert [len(each) for each in carried] == [20, 20, 20]
            for each in carried:  # RTCP of a call goes where its RTP does
                flows = {int(datagram[-5:]) for datagram in each}
                assert {flow ^ 1 for flow in flows} == flows

    run(scene())


def carry(put: Callable[[bytes, float], None], into: list[bytes], datagram: bytes, now: float) -> None:
    into.append(datagram)
    put(datagram, now)


def test_a_site_has_no_more_connections_than_it_may(tmp_path: Path) -> None:
    async def scene() -> None:
        async with linked(tmp_path, connections=1) as stage:
            await up(stage)
            first = stage.edge.links.peers["berlin"].connections[0]
            await stage.site.network.close()
            stage.site.network.apply(stage.site_policy)
            await until(lambda: stage.edge.links.peers["berlin"].connections not in ([first], []))
            assert len(stage.edge.links.peers["berlin"].connections) == 1

    run(scene())


def test_a_site_that_may_not_connect_any_more_has_to_leave(tmp_path: Path) -> None:
    async def scene() -> None:
        async with linked(tmp_path) as stage:
            await up(stage)
            other = Stage(tmp_path / "other", pinned=credential("berlin.example"))
            other.shim.close()
            await other.edge.close()
            await other.site.close()
            realm = stage.edge_policy.realms["sites"]
            stage.edge.network.apply(replace(stage.edge_policy, sites=other.edge_policy.sites, realms={"sites": realm}))
            await until(lambda: stage.edge.logged("link_refused"))
            assert not stage.edge.is_up

    run(scene())


@pytest.mark.parametrize(
    ("stream", "data"),
    [(CONTROL, bytes(2 * MAX_OPENING)), (CONTROL, bytes(range(192, 256))), (SITE_SIP, message()), (8, b"x")],
    ids=["flood", "junk", "sip", "other"],
)
def test_TRAP_14_who_has_proved_nothing_gets_nowhere_though_quic_let_it_in(tmp_path: Path, stream: int, data: bytes) -> None:
    async def scene() -> None:
        async with linked(tmp_path) as stage:
            await up(stage)
            client = Client(stage.port)
            await client.run(0.2)
            assert "HandshakeCompleted" in client.events
            client.is_greedy()
            client.quic.send_datagram_frame(b"\x40\x00media")
            client.quic.send_stream_data(stream, data)
            await client.run(1.0)
            assert "ConnectionTerminated" in client.events
            assert not stage.edge.messages
            assert not stage.edge.media
            client.sock.close()

    run(scene())


def test_no_early_data_is_ever_taken(tmp_path: Path) -> None:
    """No ticket is given out, so that nobody has anything to resume: what may come twice begins nothing."""

    async def scene() -> None:
        async with linked(tmp_path) as stage:
            tickets: list[object] = []
            client = Client(stage.port)
            client.quic._session_ticket_handler = tickets.append
            await client.run(0.3)
            assert "HandshakeCompleted" in client.events
            assert tickets == []
            assert stage.edge.network._listeners  # it still serves
            client.sock.close()

    run(scene())


def test_junk_costs_no_memory_and_does_not_keep_sites_out(tmp_path: Path) -> None:
    """At 10,000 datagrams a second: nothing, short headers, long headers, and Initials with tokens that somebody made up."""

    async def scene() -> None:
        async with linked(tmp_path) as stage:
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.setblocking(False)
            real = QuicConnection(configuration=QuicConfiguration(alpn_protocols=[ALPN]))
            real.connect(("127.0.0.1", stage.port), 0.0)
            initial = real.datagrams_to_send(0.0)[0][0]
            kinds = [b"", b"\x40" + bytes(40), os.urandom(1200), b"\xc0\x00\x00\x00\x01\x08" + os.urandom(1200), initial]
            loop = asyncio.get_running_loop()
            sent = 0

            async def flood(seconds: float) -> None:
                nonlocal sent
                end = loop.time() + seconds
                while loop.time() < end:
                    for number in range(100):
                        try:
                            sock.sendto(kinds[number % len(kinds)], ("127.0.0.1", stage.port))
                        except BlockingIOError:
                            continue
                        sent += 1
                    await asyncio.sleep(0.01)

            await flood(1.0)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            await flood(1.5)
            after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            assert sent > 5_000
            assert after - before < 2048  # KiB
            (listener,) = stage.edge.network._listeners.values()
            assert isinstance(listener, Edge)
            assert listener.connections() == 1
            await both_hear(stage, "all the same")
            sock.close()

    run(scene())
