from __future__ import annotations

import asyncio
import os
import socket
import sys

import pytest

from sbc.effects import Send
from sbc.errors import ConfigError
from sbc.flow import Address, Flow
from sbc.net import network, tls
from sbc.net.network import Listening
from tests.unit.net.bench import LOCALHOST, Authority, bench, free_port, message, realm, run, snapshot, until


def listens(kind: socket.SocketKind, port: int) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind == socket.SOCK_STREAM:
            return probe.connect_ex((LOCALHOST, port)) == 0
        try:
            probe.bind((LOCALHOST, port))
        except OSError:
            return True
        return False


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_port_in_use_is_one_clear_line_and_closes_what_was_open(kind: socket.SocketKind) -> None:
    async def scene() -> None:
        ours, theirs = free_port(), free_port()
        with socket.socket(socket.AF_INET, kind) as other:
            other.bind((LOCALHOST, theirs))
            if kind == socket.SOCK_STREAM:
                other.listen()
            with pytest.raises(ConfigError, match=rf"outside: \w+ 127.0.0.1:{theirs}: cannot listen: another program") as caught:
                async with bench(realm(("UDP", ours), ("TCP", ours), ("TCP" if kind == socket.SOCK_STREAM else "UDP", theirs))):
                    pass
        assert "\n" not in str(caught.value)
        assert not listens(socket.SOCK_DGRAM, ours)

    run(scene())


def test_an_address_that_is_not_ours() -> None:
    async def scene() -> None:
        with pytest.raises(ConfigError, match="does not have that address"):
            async with bench(realm(("UDP", 5060), address="192.0.2.1")):
                pass

    run(scene())


def test_a_new_policy_opens_and_closes_listeners_and_keeps_connections() -> None:
    async def scene() -> None:
        first, second = free_port(), free_port()
        async with bench(realm(("TCP", first), ("UDP", first))) as it:
            peer = await it.connect("TCP")
            peer.send(message())
            await until(lambda: it.ear.messages)
            it.reload(realm(("TCP", second), ("UDP", first), name="renamed"))
            assert not listens(socket.SOCK_STREAM, first)
            peer.send(message())
            await until(lambda: len(it.ear.messages) == 2)
            assert it.ear.messages[1][2] == it.ear.messages[0][2]
            another = await it.connect("TCP")
            another.send(message())
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
                phone.sendto(b"x", (LOCALHOST, first))
                await until(lambda: len(it.ear.messages) == 3 and it.ear.datagrams)
            assert {it.ear.messages[2][2].realm, it.ear.datagrams[0][1].realm} == {"renamed"}

    run(scene())


def test_a_new_policy_that_fails_changes_nothing(authority: Authority) -> None:
    async def scene() -> None:
        ours, theirs, wanted = free_port(), free_port(), free_port()
        with socket.socket() as other:
            other.bind((LOCALHOST, theirs))
            other.listen()
            async with bench(realm(("TCP", ours))) as it:
                before = it.network.listening()
                for wrong in (realm(("TCP", wanted), ("TCP", theirs)), realm(("TCP", wanted), ("TLS", theirs))):
                    with pytest.raises(ConfigError):
                        it.reload(wrong)
                    assert it.network.listening() == before
                    assert not listens(socket.SOCK_STREAM, wanted)
                peer = await it.connect("TCP")
                peer.send(message())
                await until(lambda: it.ear.messages)

    run(scene())


def test_calls_over_udp_keep_the_socket_they_began_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "LINGER", 0.2)

    async def scene() -> None:
        first, second = free_port(), free_port()
        async with bench(realm(("UDP", first))) as it:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
                phone.bind((LOCALHOST, 0))
                phone.setblocking(False)
                flow = it.flow("UDP", phone.getsockname())
                it.reload(realm(("UDP", second)))
                assert [each.address[1] for each in it.network.listening()] == [second]
                phone.sendto(b"x", (LOCALHOST, first))
                await until(lambda: it.ear.datagrams)
                assert it.ear.datagrams[0][1] == flow
                it.network.send(Send(b"y", flow))
                assert phone.recv(10) == b"y"
                assert it.network.release([])  # transactions may still run
                await asyncio.sleep(0.25)
                assert it.network.release([flow])
                assert listens(socket.SOCK_DGRAM, first)
                assert not it.network.release([flow._replace(transport="TCP")])
                assert not listens(socket.SOCK_DGRAM, first)
                it.network.send(Send(b"y", flow, "z9hG4bK1"))
                assert it.ear.failures == [("z9hG4bK1", f"no UDP socket on {LOCALHOST}:{first}")]

    run(scene())


def test_what_is_wanted_again_is_taken_back() -> None:
    async def scene() -> None:
        first, second = free_port(), free_port()
        async with bench(realm(("UDP", first))) as it:
            for _ in range(3):
                it.reload(realm(("UDP", second), name="other"))
                it.reload(realm(("UDP", first)))
            assert it.network.listening() == [Listening("outside", "UDP", (LOCALHOST, first))]
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
                phone.sendto(b"x", (LOCALHOST, first))
                await until(lambda: it.ear.datagrams)
            assert it.network.release([])

    run(scene())


def test_TLS_instead_of_TCP_at_the_same_place(authority: Authority) -> None:
    async def scene() -> None:
        port, edge = free_port(), authority.edge()
        async with bench(realm(("TCP", port))) as it:
            plain = await it.connect("TCP")
            plain.send(message())
            await until(lambda: it.ear.messages)
            it.reload(realm(("TLS", port), certificate=edge))
            plain_again = snapshot(realm(("TCP", port)))
            secure = await it.connect("TLS", authority.client())
            for peer in (secure, plain):
                peer.send(message())
            await until(lambda: len(it.ear.messages) == 3)
            it.network.discard(it.network.prepare(plain_again, tls.read(plain_again)))
            await it.connect("TLS", authority.client())
            it.reload(realm(("TCP", port)))
            (await it.connect("TCP")).send(message())
            await until(lambda: len(it.ear.messages) == 4)
            with pytest.raises(ConfigError, match="another program uses it"):
                it.reload(realm(("TCP", port), ("TLS", port), certificate=edge))

    run(scene())


def test_ipv6() -> None:
    if not socket.has_ipv6 or not _has_loopback6():
        pytest.fail("this machine has no IPv6 loopback; the product needs one to be tested")

    async def scene() -> None:
        async with bench(realm(("UDP", 0), ("TCP", 0), address="::1")) as it:
            with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as phone:
                phone.bind(("::1", 0))
                phone.setblocking(False)
                phone.sendto(b"x", it.local("UDP"))
                await until(lambda: it.ear.datagrams)
                flow = it.ear.datagrams[0][1]
                assert flow == Flow("outside", "UDP", it.local("UDP"), ("::1", phone.getsockname()[1]))
                it.network.send(Send(b"y", flow))
                assert phone.recv(10) == b"y"
            dead = it.flow("UDP", ("::1", free_port()))
            it.network.send(Send(message(branch="z9hG4bK6"), dead, "z9hG4bK6"))
            await until(lambda: it.ear.failures == [("z9hG4bK6", "ICMP: unreachable")])
            peer = await it.connect("TCP")
            peer.send(message())
            await until(lambda: it.ear.messages)

    run(scene())


def mark(address: Address, option: tuple[int, int]) -> int:
    """That `option` of the one socket here that is connected to `address`."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            with socket.socket(fileno=os.dup(int(name))) as each:
                if each.getpeername()[:2] == address:
                    found.append(each.getsockopt(*option))
        except OSError:  # no socket, or not connected
            continue
    (value,) = found
    return value


@pytest.mark.parametrize(
    ("address", "option", "receive"),
    [
        (LOCALHOST, (socket.IPPROTO_IP, socket.IP_TOS), (socket.IPPROTO_IP, socket.IP_RECVTOS)),
        ("::1", (socket.IPPROTO_IPV6, socket.IPV6_TCLASS), (socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS)),
    ],
)
def test_RTP_10_signalling_is_marked(address: str, option: tuple[int, int], receive: tuple[int, int]) -> None:
    async def scene() -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        async with bench(realm(("UDP", 0), ("TCP", 0), address=address)) as it:
            with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as phone:
                phone.bind((address, 0))
                phone.setsockopt(*receive, 1)
                for dscp in (24, 40):
                    it.reload(realm(("UDP", 0), ("TCP", 0), address=address, dscp=dscp))
                    it.network.send(Send(b"y", it.flow("UDP", phone.getsockname()[:2])))
                    _, ((_, _, octet),), _, _ = phone.recvmsg(10, 64)
                    assert int.from_bytes(octet[:4], sys.byteorder) == dscp << 2
            accepted = await it.connect("TCP")
            accepted.send(message())
            await until(lambda: it.ear.messages)
            assert mark(accepted.address, option) == 40 << 2
            with socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as server:
                server.bind((address, 0))
                server.listen()
                it.network.send(Send(b"x", it.flow("TCP", server.getsockname()[:2])))
                await until(lambda: it.stats.connections_opened)
                assert mark(server.getsockname()[:2], option) == 40 << 2

    run(scene())


def _has_loopback6() -> bool:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
        return True
