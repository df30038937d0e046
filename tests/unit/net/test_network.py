from __future__ import annotations

import socket

import pytest

from sbc.effects import Send
from sbc.errors import ConfigError
from sbc.flow import Flow
from tests.unit.net.bench import LOCALHOST, Authority, bench, free_port, message, realm, run, until


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


def _has_loopback6() -> bool:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
        return True
