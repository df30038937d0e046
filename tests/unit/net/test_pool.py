"""Connections that we open."""

from __future__ import annotations

import dataclasses
import ipaddress
import socket
from pathlib import Path

import pytest
from cryptography import x509

from sbc.effects import Send
from tests.unit.net.bench import LOCALHOST, QUICK, RESPONSE, Authority, bench, free_port, message, realm, run, server, until

TCP = realm(("TCP", 0))


def test_TRN_06_one_connection_for_everything_to_a_peer() -> None:
    async def scene() -> None:
        async with bench(TCP) as it, server() as (address, peers):
            flow = it.flow("TCP", address)
            for number in range(100):
                it.network.send(Send(b"%03d " % number, flow))
            await until(lambda: peers)
            assert await peers[0].reader.readexactly(400) == b"".join(b"%03d " % number for number in range(100))
            it.network.send(Send(b"more", flow))
            assert await peers[0].reader.readexactly(4) == b"more"
            assert (len(peers), it.stats.connections_opened) == (1, 1)
            assert peers[0].writer.get_extra_info("peername")[0] == LOCALHOST
            peers[0].send(RESPONSE)
            await until(lambda: it.ear.messages)
            assert it.ear.messages[0][2] == flow._replace(connection=it.ear.messages[0][2].connection)

    run(scene())


def test_TRN_07_refused() -> None:
    async def scene() -> None:
        async with bench(TCP) as it:
            flow = it.flow("TCP", (LOCALHOST, free_port()))
            for key in ("a", "", "b"):
                it.network.send(Send(b"x", flow, key))
            await until(lambda: len(it.ear.failures) == 3)
            assert [key for key, _ in it.ear.failures] == ["a", "", "b"]
            assert it.stats.connections_failed == 1
            assert it.ear.closed == []

    run(scene())


def test_TMD_20_no_connection_in_time() -> None:
    async def scene() -> None:
        full = socket.socket()
        full.bind((LOCALHOST, 0))
        full.listen(0)
        with full, socket.create_connection(full.getsockname()), socket.socket() as second:
            second.setblocking(False)
            second.connect_ex(full.getsockname())  # the backlog is full now: a further SYN is ignored
            async with bench(TCP, limits=dataclasses.replace(QUICK, connect_time=0.1)) as it:
                it.network.send(Send(b"x", it.flow("TCP", full.getsockname()), "late"))
                await until(lambda: it.ear.failures)
                assert it.ear.failures == [("late", "no connection in time")]

    run(scene())


def test_what_waits_for_a_connection_is_bounded() -> None:
    async def scene() -> None:
        async with bench(TCP, limits=dataclasses.replace(QUICK, pending=2)) as it, server() as (address, peers):
            for number in range(3):
                it.network.send(Send(b"%d" % number, it.flow("TCP", address), str(number)))
            assert [key for key, _ in it.ear.failures] == ["2"]
            await until(lambda: peers)
            assert await peers[0].reader.readexactly(2) == b"01"

    run(scene())


def test_how_many_we_open_is_bounded() -> None:
    async def scene() -> None:
        async with bench(TCP, limits=dataclasses.replace(QUICK, opened=1)) as it, server() as (address, peers), server() as (other, _):
            it.network.send(Send(b"1", it.flow("TCP", address), "1"))
            it.network.send(Send(b"2", it.flow("TCP", other), "2"))
            assert it.ear.failures == [("2", "too many connections")]
            await until(lambda: peers)
            peers[0].close()
            await until(lambda: it.network.connections() == 0 and it.ear.closed)
            it.network.send(Send(b"3", it.flow("TCP", other), "3"))
            await until(lambda: it.network.connections() == 1)

    run(scene())


def test_TRN_07_a_connection_lost_fails_what_was_sent_since_the_peer_was_last_heard() -> None:
    async def scene() -> None:
        async with bench(TCP) as it, server() as (address, peers):
            flow = it.flow("TCP", address)
            it.network.send(Send(b"1", flow, "heard"))
            await until(lambda: peers)
            peers[0].send(RESPONSE)
            await until(lambda: it.ear.messages)
            it.network.send(Send(b"2", flow, "unheard"))
            await peers[0].reader.readexactly(2)
            peers[0].close()
            await until(lambda: it.ear.closed)
            assert [key for key, _ in it.ear.failures] == ["unheard"]

    run(scene())


def test_a_closed_connection_is_opened_anew() -> None:
    async def scene() -> None:
        async with bench(TCP) as it, server() as (address, peers):
            flow = it.flow("TCP", address)
            it.network.send(Send(b"1", flow))
            await until(lambda: peers)
            peers[0].close()
            await until(lambda: it.ear.closed)
            it.network.send(Send(b"2", flow))
            await until(lambda: len(peers) == 2)
            assert await peers[1].reader.readexactly(1) == b"2"

    run(scene())


def test_a_response_never_opens_a_connection() -> None:
    async def scene() -> None:
        async with bench(TCP) as it, server() as (address, peers):
            it.network.send(Send(RESPONSE, it.flow("TCP", address), "k"))
            assert it.ear.failures == [("k", "connection closed")]
            assert peers == []

    run(scene())


def test_TLS_04_only_the_right_name_gets_a_request(authority: Authority) -> None:
    gateway = authority.issue("gateway", x509.DNSName("gw.example"))
    here = realm(("TLS", 0), certificate=authority.edge(), client_ca=authority.pem)

    async def scene() -> None:
        async with bench(here) as it, server(authority.server(gateway)) as (address, peers):
            flow = it.flow("TLS", address)
            it.network.send(Send(b"wrong", flow, "wrong", "other.example"))
            await until(lambda: it.ear.failures)
            assert it.ear.failures == [("wrong", "the certificate is for gw.example, not for other.example")]
            it.network.send(Send(b"right", flow, "right", "GW.example"))
            await until(lambda: it.network.connections() == 1)
            await until(lambda: peers)
            assert await peers[-1].reader.readexactly(5) == b"right"
            # Proven to be one name is not proven to be another, on the same address and port.
            it.network.send(Send(b"wrong", flow, "again", "other.example"))
            await until(lambda: len(it.ear.failures) == 2)
            for refused in peers:  # a refused one may be gone before its handshake is over at the other end
                if refused is not peers[-1]:
                    assert await refused.closed() == b""
            assert it.ear.closed == []

    run(scene())


def test_TLS_a_peer_called_by_address_proves_the_address(authority: Authority) -> None:
    gateway = authority.issue("gateway", x509.IPAddress(ipaddress.ip_address(LOCALHOST)))
    here = realm(("TLS", 0), certificate=authority.edge(), client_ca=authority.pem)

    async def scene() -> None:
        async with bench(here) as it, server(authority.server(gateway)) as (address, peers):
            it.network.send(Send(b"x", it.flow("TLS", address)))
            await until(lambda: peers)
            assert await peers[0].reader.readexactly(1) == b"x"

    run(scene())


@pytest.mark.parametrize("fault", ["unknown authority", "expired", "no tls", "no such name"])
def test_TLS_peers_that_are_not_to_be_trusted(authority: Authority, tmp_path: Path, fault: str) -> None:
    (tmp_path / "other").mkdir()
    maker = Authority(tmp_path / "other") if fault == "unknown authority" else authority
    gateway = maker.issue("gateway", x509.DNSName("gw.example"), days=-1 if fault == "expired" else 365)
    here = realm(("TLS", 0), certificate=authority.edge(), client_ca=authority.pem)

    async def scene() -> None:
        async with bench(here) as it, server(None if fault == "no tls" else authority.server(gateway)) as (address, peers):
            name = "." * 300 if fault == "no such name" else "gw.example"
            it.network.send(Send(message(), it.flow("TLS", address), "k", name))
            await until(lambda: it.ear.failures)
            assert [key for key, _ in it.ear.failures] == ["k"]
            assert it.network.connections() == 0
            for peer in peers:
                assert b"OPTIONS" not in await peer.closed()

    run(scene())
