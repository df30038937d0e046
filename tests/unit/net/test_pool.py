"""Connections that we open."""

from __future__ import annotations

import dataclasses
import ipaddress
import socket
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from sbc.effects import Send
from tests.unit.net.bench import LOCALHOST, QUICK, RESPONSE, Authority, bench, free_port, message, realm, run, server, trunk, until

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


def test_TRN_03_a_response_whose_connection_is_gone_goes_to_the_sent_by_port_and_to_no_other() -> None:
    async def scene() -> None:
        async with bench(TCP) as it, server() as (address, peers):
            it.network.send(Send(RESPONSE, it.flow("TCP", address, 99), "k"))  # the port it came from: nobody listens there
            assert it.ear.failures == [("k", "connection closed")]
            it.network.send(Send(RESPONSE, it.flow("TCP", address)))
            await until(lambda: peers)
            assert await peers[0].reader.readexactly(len(RESPONSE)) == RESPONSE

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


WILDCARD = (x509.DNSName("*.gw.example"),)
IN_THE_URI = (x509.UniformResourceIdentifier("sip:a.gw.example"), x509.DNSName("elsewhere.example"))
SIPS = (x509.UniformResourceIdentifier("sips:a.gw.example"),)


@pytest.mark.parametrize(
    ("alternatives", "usage", "wildcards", "served"),
    [
        (IN_THE_URI, None, False, True),
        (IN_THE_URI, ExtendedKeyUsageOID.SERVER_AUTH, False, True),
        (IN_THE_URI, ExtendedKeyUsageOID.CLIENT_AUTH, False, False),
        (SIPS, None, False, False),
        (WILDCARD, None, False, False),
        (WILDCARD, None, True, True),
    ],
)
def test_TLS_02_03_04_who_a_called_peer_may_be(
    authority: Authority, alternatives: tuple[x509.GeneralName, ...], usage: x509.ObjectIdentifier | None, wildcards: bool, served: bool
) -> None:
    gateway = authority.issue("gateway", *alternatives, usage=usage)
    here = realm(("TLS", 0), certificate=authority.edge(), client_ca=authority.pem)
    trunks = (trunk("a.gw.example", wildcard_certificates=wildcards),)

    async def scene() -> None:
        async with bench(here, trunks=trunks) as it, server(authority.server(gateway)) as (address, peers):
            it.network.send(Send(b"request", it.flow("TLS", address), "k", "a.gw.example"))
            if served:
                await until(lambda: peers)
                assert await peers[0].reader.readexactly(7) == b"request"
                peers[0].send(RESPONSE)
                await until(lambda: it.ear.messages)
                assert it.ear.messages[0][2].names == (("a.gw.example",) if alternatives is IN_THE_URI else ("*.gw.example",))
            else:
                await until(lambda: it.ear.failures)
                for peer in peers:
                    assert await peer.closed() == b""

    run(scene())


def test_TLS_05_a_carrier_is_shown_the_certificate_it_knows_us_by(authority: Authority) -> None:
    gateway = authority.issue("gateway", x509.DNSName("gw.example"), x509.DNSName("other.example"))
    ours = authority.issue("ours", x509.DNSName("customer.example"))
    here = realm(("TLS", 0), certificate=authority.edge(), client_ca=authority.pem)
    context = authority.server(gateway)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.pem)

    async def scene() -> None:
        async with bench(here, trunks=(trunk("gw.example", certificate=ours),)) as it, server(context) as (address, peers):
            for name, shown in (("gw.example", "customer.example"), ("other.example", "edge.example")):
                it.network.send(Send(b"x", it.flow("TLS", address), "", name))
                await until(lambda: peers)
                names = peers.pop().writer.get_extra_info("peercert")["subjectAltName"]
                assert ("DNS", shown) in names

    run(scene())


@pytest.mark.parametrize(("alias", "certified"), [(True, True), (False, True), (True, False)])
def test_TLS_06_a_peer_s_own_connection_carries_requests_to_the_names_it_proved(authority: Authority, alias: bool, certified: bool) -> None:
    peer_s = authority.issue("peer", x509.DNSName("gw.example"))
    here = realm(("TLS", 0), certificate=authority.edge(), client_ca=authority.pem, client_certificates="optional")

    async def scene() -> None:
        async with bench(here) as it, server(authority.server(peer_s)) as (address, peers):
            inbound = await it.connect("TLS", authority.client(peer_s if certified else None))
            inbound.send(message())
            await until(lambda: it.ear.messages)
            it.network.trust_flow(it.ear.messages[0][2], address[1] if alias else 0)
            flow = it.flow("TLS", address)
            it.network.send(Send(b"request", flow, "k", "gw.example"))
            if alias and certified:
                assert await inbound.reader.readexactly(7) == b"request"
                it.network.send(Send(b"request", flow, "other", "other.example"))  # a name it has not proved
                await until(lambda: it.ear.failures)
                inbound.close()
                await until(lambda: it.ear.closed)
                it.network.send(Send(b"again", flow, "k", "gw.example"))
                await until(lambda: it.stats.connections_opened == 1)
            else:
                await until(lambda: peers)
                assert await peers[0].reader.readexactly(7) == b"request"
            inbound.close()

    run(scene())


def test_TRN_03_over_tls_the_new_connection_of_a_response_is_to_who_asked(authority: Authority) -> None:
    gateway = authority.issue("gateway", x509.DNSName("gw.example"))
    here = realm(("TLS", 0), certificate=authority.edge(), client_ca=authority.pem)

    async def scene() -> None:
        async with bench(here) as it, server(authority.server(gateway)) as (address, peers):
            flow = it.flow("TLS", address)
            it.network.send(Send(RESPONSE, flow._replace(names=("gw.example",))))
            await until(lambda: peers)
            assert await peers[0].reader.readexactly(len(RESPONSE)) == RESPONSE
            peers[0].close()
            await until(lambda: it.network.connections() == 0)
            it.network.send(Send(RESPONSE, flow, "nobody"))
            it.network.send(Send(RESPONSE, flow._replace(names=("else.example",)), "else"))
            await until(lambda: len(it.ear.failures) == 2)

    run(scene())
