from __future__ import annotations

import asyncio
import socket
import struct

import pytest

from sbc.effects import Send
from sbc.net import stun, udp
from sbc.net.limits import DATAGRAMS_PER_WAKEUP, STUN_PER_SOURCE
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


def binding_request(*attributes: bytes, kind: int = 1) -> bytes:
    body = b"".join(attributes)
    return struct.pack(">HHI12s", kind, len(body), stun.MAGIC_COOKIE, b"transaction!") + body


def test_TRN_31_a_binding_request_is_answered_on_the_sip_port() -> None:
    async def scene() -> None:
        async with bench(UDP) as it:
            with peer() as phone:
                phone.sendto(binding_request(), it.local("UDP"))
                await until(lambda: it.stats.datagrams_out)
                answer = phone.recv(100)
                kind, length, cookie, transaction = struct.unpack_from(">HHI12s", answer)
                assert (kind, length, cookie, transaction) == (0x0101, 12, stun.MAGIC_COOKIE, b"transaction!")
                family, port, host = struct.unpack_from(">xBHI", answer, 24)
                assert (family, port ^ 0x2112, host ^ stun.MAGIC_COOKIE) == (1, phone.getsockname()[1], 0x7F000001)
                phone.sendto(message(), it.local("UDP"))
                await until(lambda: it.ear.datagrams)
                assert it.stats.keepalives == 1

    run(scene())


@pytest.mark.parametrize(
    ("host", "mapped"),
    [
        ("192.0.2.1", "0001a147e112a643"),
        ("2001:db8:1234:5678:11:2233:4455:6677", "0002a1470113a9faa5d3f179bc25f4b5bed2b9d9"),
    ],
)
def test_TRN_31_the_addresses_of_rfc_5769(host: str, mapped: str) -> None:
    request = binding_request().replace(b"transaction!", bytes.fromhex("b7e7a701bc34d686fa87dfae"))
    answer = stun.binding_response(request, (host, 32853))
    assert answer is not None
    assert answer[24:].hex() == mapped


@pytest.mark.parametrize(
    ("request_", "answered"),
    [
        (binding_request(b"\x80\x22\x00\x05phone\0\0\0"), True),  # SOFTWARE
        (binding_request(b"\x80\x28\x00\x04\1\2\3\4"), True),  # FINGERPRINT
        (binding_request(b"\x00\x06\x00\x04user"), False),  # USERNAME: of ICE, not of a phone that keeps its flow alive
        (binding_request(b"\x00\x03\x00\x04\0\0\0\6"), False),  # CHANGE-REQUEST would steer the answer elsewhere
        (binding_request(b"\x80\x22\x00\x09phone\0\0\0"), False),
        (binding_request(b"\x80\x22\x00\x05") + b"phone", False),
        (binding_request()[:-1], False),
        (binding_request() + b"\0\0\0\0", False),
        (binding_request(b"\x80\x22\x01\x00" + bytes(256)), False),
        (binding_request(kind=0x0003), False),
        (binding_request(kind=0x0101), False),
        (binding_request().replace(struct.pack(">I", stun.MAGIC_COOKIE), b"\0\0\0\0"), False),
        (b"\0\1", False),
    ],
)
def test_TRN_31_nothing_else_of_stun_is(request_: bytes, answered: bool) -> None:
    assert (stun.binding_response(request_, ("192.0.2.1", 5060)) is not None) is answered


def test_TRN_31_a_flood_of_binding_requests_is_bounded() -> None:
    async def scene() -> None:
        async with bench(UDP) as it:
            with peer() as phone:
                for _ in range(5):
                    for _ in range(100):
                        phone.sendto(binding_request(), it.local("UDP"))
                    await asyncio.sleep(0)
                await until(lambda: it.stats.datagrams_in == 500)
                assert it.stats.datagrams_out <= STUN_PER_SOURCE[1] + 50
                assert it.stats.stun_ignored == 500 - it.stats.datagrams_out
                assert it.ear.datagrams == []

    run(scene())


def test_OVL_05_whoever_is_banned_is_not_even_read() -> None:
    async def scene() -> None:
        async with bench(UDP) as it:
            with peer() as phone:
                it.doorman.banned.add(LOCALHOST)
                for data in (b"INVITE", b"\r\n\r\n", b"\0\1"):
                    phone.sendto(data, it.local("UDP"))
                await until(lambda: it.stats.datagrams_in == 3)
                assert it.ear.datagrams == []
                assert (it.stats.keepalives, it.stats.datagrams_out) == (0, 0)

    run(scene())
