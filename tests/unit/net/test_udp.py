from __future__ import annotations

import asyncio
import socket

from sbc.effects import Send
from sbc.net import udp
from sbc.net.limits import DATAGRAMS_PER_WAKEUP
from tests.unit.net.bench import LOCALHOST, RESPONSE, bench, free_port, message, realm, run, until

UDP = realm(("UDP", 0))


def peer() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((LOCALHOST, 0))
    sock.setblocking(False)
    return sock


def test_datagram_in_and_answer_from_the_address_it_came_to() -> None:
    async def scene() -> None:
        async with bench(UDP) as it:
            with peer() as phone:
                phone.sendto(b"one", it.local("UDP"))
                await until(lambda: it.ear.datagrams)
                data, flow = it.ear.datagrams[0]
                assert data == b"one"
                assert flow == it.flow("UDP", phone.getsockname())
                it.network.send(Send(b"two", flow))
                await until(lambda: it.stats.datagrams_out)
                assert phone.recvfrom(100) == (b"two", it.local("UDP"))

    run(scene())


def test_the_largest_datagram_comes_whole() -> None:
    async def scene() -> None:
        async with bench(UDP) as it:
            with peer() as phone:
                phone.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 200_000)
                phone.sendto(b"x" * 65_507, it.local("UDP"))
                await until(lambda: it.ear.datagrams)
                assert len(it.ear.datagrams[0][0]) == 65_507

    run(scene())


def test_keepalives_and_empty_datagrams_go_no_further() -> None:
    async def scene() -> None:
        async with bench(UDP) as it:
            with peer() as phone:
                for data in (b"", b"\r\n", b"\r\n\r\n", b"\0\0\0\0", b"end"):
                    phone.sendto(data, it.local("UDP"))
                await until(lambda: it.ear.datagrams)
                assert [data for data, _ in it.ear.datagrams] == [b"end"]
                assert it.stats.keepalives == 4
                assert it.stats.datagrams_out == 0

    run(scene())


def test_a_flood_is_read_in_batches() -> None:
    async def scene() -> None:
        async with bench(UDP) as it:
            with peer() as phone:
                for number in range(3 * DATAGRAMS_PER_WAKEUP):
                    phone.sendto(b"%d" % number, it.local("UDP"))
                batches: list[int] = []
                while sum(batches) < 3 * DATAGRAMS_PER_WAKEUP:
                    before = len(it.ear.datagrams)
                    await asyncio.sleep(0)
                    batches.append(len(it.ear.datagrams) - before)
                assert max(batches) == DATAGRAMS_PER_WAKEUP

    run(scene())


def test_TRN_07_icmp_unreachable_fails_the_request_it_quotes() -> None:
    async def scene() -> None:
        async with bench(UDP) as it:
            nobody = it.flow("UDP", (LOCALHOST, free_port()))
            it.network.send(Send(message(branch="z9hG4bKgone", body=b"x" * 2000), nobody, "z9hG4bKgone"))
            await until(lambda: it.ear.failures)
            assert it.ear.failures == [("z9hG4bKgone", "ICMP: unreachable")]

    run(scene())


def test_icmp_errors_neither_make_us_deaf_nor_hit_the_next_to_send() -> None:
    async def scene() -> None:
        async with bench(UDP) as it:
            with peer() as phone:
                for _ in range(5):
                    it.network.send(Send(RESPONSE, it.flow("UDP", (LOCALHOST, free_port()))))
                    it.network.send(Send(b"hello", it.flow("UDP", phone.getsockname()), "z9hG4bKfine"))
                await until(lambda: it.stats.icmp_errors == 5)
                for _ in range(5):
                    assert await asyncio.get_running_loop().sock_recv(phone, 100) == b"hello"
                phone.sendto(b"still there?", it.local("UDP"))
                await until(lambda: it.ear.datagrams)
                assert it.ear.failures == []

    run(scene())


def test_what_cannot_be_sent_at_all_fails_at_once() -> None:
    async def scene() -> None:
        async with bench(UDP) as it:
            it.network.send(Send(b"x" * 70_000, it.flow("UDP", (LOCALHOST, 9)), "too long"))
            it.network.send(Send(b"x", it.flow("UDP", (LOCALHOST, 70_000)), "no such port"))
            it.network.send(Send(b"x", it.flow("UDP", (LOCALHOST, 9))._replace(local=(LOCALHOST, 1)), "no such listener"))
            assert [key for key, _ in it.ear.failures] == ["too long", "no such port", "no such listener"]

    run(scene())


def test_the_branch_of_a_quoted_request() -> None:
    assert udp._top_branch(message(branch="z9hG4bKa")) == "z9hG4bKa"
    assert udp._top_branch(b"INVITE sip:a SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKcut") == ""  # cut short: whose is it?
    assert udp._top_branch(b"") == ""
