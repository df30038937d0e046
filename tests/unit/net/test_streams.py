"""Connections that peers open: what they may cost, and how long."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from sbc.effects import Send
from sbc.errors import SipError
from sbc.flow import Flow
from tests.unit.net.bench import LOCALHOST, QUICK, RESPONSE, bench, message, realm, run, server, until

TCP = realm(("TCP", 0))


def test_messages_in_any_pieces() -> None:
    async def scene() -> None:
        async with bench(TCP) as it:
            peer = await it.connect("TCP")
            data = message(body=b"12345") + message("INVITE")
            for octet in data[:300]:
                peer.send(bytes([octet]))
            await peer.writer.drain()
            peer.send(data[300:])
            await until(lambda: len(it.ear.messages) == 2)
            (head, body, flow), (second, _, same) = it.ear.messages
            assert head + b"\r\n\r\n" + body == message(body=b"12345")
            assert second.startswith(b"INVITE")
            assert flow == same == it.flow("TCP", peer.address, flow.connection)
            assert flow.connection > 0
            peer.close()
            await until(lambda: it.ear.closed == [flow])

    run(scene())


def test_TRN_30_ping_is_answered_with_one_pong_and_a_single_line_end_is_not() -> None:
    async def scene() -> None:
        async with bench(TCP) as it:
            peer = await it.connect("TCP")
            peer.send(b"\r\n")
            peer.send(message())
            await until(lambda: it.ear.messages)
            peer.send(b"\r\n\r\n")
            assert await peer.reader.readexactly(2) == b"\r\n"
            peer.send(b"\r\n\r\n" * 10_000)
            await until(lambda: it.stats.keepalives > 1)
            it.network.send(Send(RESPONSE, it.ear.messages[0][2]))
            back = await peer.reader.readuntil(b"SIP/2.0 200")
            assert len(back) < 1000
            peer.close()

    run(scene())


def test_slow_loris_before_the_first_message() -> None:
    async def scene() -> None:
        async with bench(TCP, limits=dataclasses.replace(QUICK, first_message_time=0.1)) as it:
            silent, trickling = await it.connect("TCP"), await it.connect("TCP")

            async def trickle() -> None:
                while not trickling.reader.at_eof():
                    trickling.send(b"\r\n\r\n")
                    await asyncio.sleep(0.01)

            async with asyncio.timeout(2), asyncio.TaskGroup() as group:
                group.create_task(trickle())
                await silent.closed()
                await trickling.closed()
            assert it.stats.connections_slow == 2
            assert it.ear.offences == [(LOCALHOST, "slow")] * 2
            assert it.ear.closed == [it.ear.closed[0]]  # only that of the one we had answered; a silent one is nobody's business

    run(scene())


def test_slow_loris_in_the_middle_of_a_later_message() -> None:
    async def scene() -> None:
        async with bench(TCP, limits=dataclasses.replace(QUICK, message_time=0.1)) as it:
            peer = await it.connect("TCP")
            peer.send(message())
            await until(lambda: it.ear.messages)

            async def trickle() -> None:
                for octet in message("INVITE", body=b"x" * 1000):
                    if peer.reader.at_eof() or peer.writer.is_closing():
                        return
                    peer.send(bytes([octet]))
                    await asyncio.sleep(0.01)

            async with asyncio.timeout(2), asyncio.TaskGroup() as group:
                group.create_task(trickle())
                await peer.closed()
            assert it.stats.connections_slow == 1
            assert len(it.ear.messages) == 1

    run(scene())


def test_idle_connections_close_and_pings_keep_them_open() -> None:
    async def scene() -> None:
        async with bench(TCP, limits=dataclasses.replace(QUICK, idle_time=0.15)) as it:
            idle, pinging = await it.connect("TCP"), await it.connect("TCP")
            for peer in (idle, pinging):
                peer.send(message())
            await until(lambda: len(it.ear.messages) == 2)
            for _ in range(8):
                pinging.send(b"\r\n\r\n")
                await asyncio.sleep(0.04)
            await idle.closed()
            assert not pinging.reader.at_eof()
            assert it.stats.connections_idle == 1
            pinging.close()

    run(scene())


def test_a_header_of_10_megabytes_costs_64_kilobytes() -> None:
    async def scene() -> None:
        async with bench(TCP) as it:
            peer = await it.connect("TCP")
            it.ear.on_malformed = lambda error, flow: it.network.send(Send(b"SIP/2.0 513 no\r\n\r\n", flow))
            peer.send(message()[:-2] + b"X: " + b"y" * 10_000_000)
            assert (await peer.closed()).startswith(b"SIP/2.0 513")
            assert [error.status for error, _ in it.ear.malformed] == [513]
            assert it.ear.messages == []

    run(scene())


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\x02\x00" + bytes(512), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\xff" * 300_000])
def test_garbage_closes(garbage: bytes) -> None:
    async def scene() -> None:
        async with bench(TCP, limits=dataclasses.replace(QUICK, first_message_time=0.2)) as it:
            peer = await it.connect("TCP")
            peer.send(garbage)
            await peer.closed()
            assert it.ear.messages == []
            await until(lambda: it.network.connections() == 0)

    run(scene())


def test_SYN_03_lost_framing_is_answered_then_closed() -> None:
    async def scene() -> None:
        async with bench(TCP) as it:
            answered: list[SipError] = []

            def answer(error: SipError, flow: Flow) -> None:
                answered.append(error)
                it.network.send(Send(RESPONSE, flow))

            it.ear.on_malformed = answer
            peer = await it.connect("TCP")
            peer.send(message("BYE") + message().replace(b"Content-Length: 0", b"Content-Length: x") + message())
            assert await peer.closed() == RESPONSE
            assert [error.status for error in answered] == [400]
            assert len(it.ear.messages) == 1  # the one before; what came after cannot be told from its body

    run(scene())


def test_a_peer_that_sends_nothing_but_malformed_messages_is_closed() -> None:
    async def scene() -> None:
        async with bench(TCP) as it:
            it.ear.on_message = lambda head, flow: False
            peer = await it.connect("TCP")
            peer.send(message() * 50)
            await peer.closed()
            assert len(it.ear.messages) == QUICK.malformed

    run(scene())


def test_a_peer_that_does_not_read_is_closed() -> None:
    async def scene() -> None:
        async with bench(TCP) as it:
            peer = await it.connect("TCP")
            peer.send(message())
            await until(lambda: it.ear.messages)
            flow = it.ear.messages[0][2]
            for _ in range(2000):
                it.network.send(Send(RESPONSE + b"x" * 10_000, flow))
                if it.stats.connections_overflowed:
                    break
            assert it.stats.connections_overflowed == 1
            await until(lambda: it.ear.closed == [flow])
            peer.close()

    run(scene())


def test_OVL_05_connections_per_source() -> None:
    async def scene() -> None:
        async with bench(TCP, limits=dataclasses.replace(QUICK, connections_per_source=3)) as it:
            first, *_ = [await it.connect("TCP") for _ in range(3)]
            for _ in range(2):
                with pytest.raises(ConnectionResetError):
                    await it.connect("TCP")
            assert (it.stats.connections_accepted, it.stats.connections_refused) == (3, 2)
            assert it.ear.offences == [(LOCALHOST, "flood")] * 2
            first.close()
            await until(lambda: it.network.connections() == 2)
            again = await it.connect("TCP")
            again.send(message())
            await until(lambda: it.ear.messages)

    run(scene())


def test_a_response_finds_another_connection_to_the_same_peer_or_fails() -> None:
    async def scene() -> None:
        async with bench(TCP) as it:
            peer = await it.connect("TCP")
            peer.send(message())
            await until(lambda: it.ear.messages)
            flow = it.ear.messages[0][2]
            it.network.send(Send(RESPONSE, flow._replace(connection=99), "k1"))
            assert await peer.reader.readexactly(len(RESPONSE)) == RESPONSE
            it.network.send(Send(message(), flow._replace(connection=99), "k2"))
            it.network.send(Send(RESPONSE, flow._replace(connection=99, remote=("127.0.0.1", 1)), "k3"))
            assert it.ear.failures == [("k2", "connection closed"), ("k3", "connection closed")]
            peer.close()

    run(scene())


def test_close_flow_lets_the_last_octets_leave() -> None:
    async def scene() -> None:
        async with bench(TCP) as it:
            peer = await it.connect("TCP")
            peer.send(message())
            await until(lambda: it.ear.messages)
            flow = it.ear.messages[0][2]
            it.network.send(Send(RESPONSE + b"x" * 500_000, flow))
            it.network.close_flow(flow)
            assert len(await peer.closed()) == len(RESPONSE) + 500_000

    run(scene())


def test_TRN_30_who_does_not_answer_our_ping_is_gone() -> None:
    """As a client: RFC 5626 s4.4.1."""

    async def scene() -> None:
        async with bench(TCP) as it, server() as (address, peers):
            it.network.send(Send(b"x" * 10, it.flow("TCP", address)))
            await until(lambda: peers)
            peers[0].send(RESPONSE)
            await until(lambda: it.ear.messages)
            flow = it.ear.messages[0][2]
            for _ in range(3):
                it.network.keep_alive(flow, 0.2)
                await peers[0].reader.readuntil(b"\r\n\r\n")
                peers[0].send(b"\r\n")
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.3)
            assert it.ear.closed == []
            it.network.keep_alive(flow, 0.1)
            await until(lambda: it.ear.closed == [flow])
            it.network.keep_alive(flow, 0.1)  # of a connection that is gone
            assert await peers[0].reader.read() == b"\r\n\r\n", "no pong of ours for two of theirs"

    run(scene())


def test_TRN_31_pings_keep_a_connection_of_ours_without_any_pong() -> None:
    async def scene() -> None:
        async with bench(TCP, limits=dataclasses.replace(QUICK, idle_time=0.2)) as it, server() as (address, peers):
            it.network.send(Send(b"x" * 10, it.flow("TCP", address)))
            await until(lambda: peers)
            peers[0].send(RESPONSE)
            await until(lambda: it.ear.messages)
            flow = it.ear.messages[0][2]
            for _ in range(5):
                await asyncio.sleep(0.1)
                it.network.keep_alive(flow, 0.0)
            assert it.ear.closed == []
            await until(lambda: it.ear.closed == [flow])

    run(scene())


def test_a_line_end_of_a_stranger_is_no_pong_and_buys_no_time() -> None:
    async def scene() -> None:
        async with bench(TCP, limits=dataclasses.replace(QUICK, first_message_time=0.1)) as it:
            stranger = await it.connect("TCP")
            for _ in range(3):
                stranger.send(b"\r\n")
                await asyncio.sleep(0.03)
            await stranger.closed()
            assert it.stats.connections_slow == 1

    run(scene())
