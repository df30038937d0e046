from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from sbc.effects import Send
from sbc.errors import ConfigError
from sbc.net import tls
from tests.bench.hostile import TLS_1_2, Tls
from tests.unit.net.bench import LOCALHOST, QUICK, RESPONSE, Authority, Bench, bench, message, realm, run, until


def raw(it: Bench, data: bytes = b"") -> socket.socket:
    sock = socket.create_connection(it.local("TLS"))
    sock.sendall(data)
    return sock


def test_a_message_over_tls_and_its_answer(authority: Authority) -> None:
    async def scene() -> None:
        async with bench(realm(("TLS", 0), certificate=authority.edge())) as it:
            peer = await it.connect("TLS", authority.client())
            peer.send(message())
            await until(lambda: it.ear.messages)
            flow = it.ear.messages[0][2]
            assert flow.secure
            it.network.send(Send(RESPONSE, flow))
            assert await peer.reader.readexactly(len(RESPONSE)) == RESPONSE
            peer.close()
            await until(lambda: it.ear.closed == [flow])

    run(scene())


def test_TLS_01_versions_and_ciphers(authority: Authority) -> None:
    context = tls.server_context(realm(("TLS", 0), certificate=authority.edge()), "never")
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.options & ssl.OP_NO_COMPRESSION
    older = {cipher["name"] for cipher in context.get_ciphers() if cipher["protocol"] == "TLSv1.2"}
    assert older
    assert all(name.startswith("ECDHE-") and ("GCM" in name or "CHACHA20" in name) for name in older)


def test_TLS_01_an_old_version_gets_nowhere(authority: Authority) -> None:
    async def scene() -> None:
        async with bench(realm(("TLS", 0), certificate=authority.edge())) as it:
            context = authority.client()
            context.set_ciphers("AES128-SHA")
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await it.connect("TLS", context)
            await until(lambda: it.stats.handshakes_failed == 1)
            assert it.network.connections() == 0
            ((flow, reason),) = it.ear.handshakes
            assert flow.remote[0] == "127.0.0.1"
            assert "cipher" in reason.lower()

    run(scene())


def test_TLS_01_nobody_negotiates_again(authority: Authority) -> None:
    async def scene() -> None:
        async with bench(realm(("TLS", 0), certificate=authority.edge())) as it:
            client, to = Tls(TLS_1_2), it.local("TLS")

            def twice() -> bool:
                sock, connection = client.connect(to)
                try:
                    return client.renegotiate(connection)
                finally:
                    client.close(sock, connection)

            assert not await asyncio.get_running_loop().run_in_executor(None, twice)
            assert it.stats.connections_accepted == 1
            assert it.stats.handshakes_failed == 0, "its first was no fault"

    run(scene())


@pytest.mark.parametrize("proven", [False, True], ids=["stranger", "proven"])
def test_TLS_01_new_keys_on_and_on_with_nothing_said_end_the_connection(authority: Authority, proven: bool) -> None:
    async def scene() -> None:
        async with bench(realm(("TLS", 0), certificate=authority.edge()), limits=dataclasses.replace(QUICK, look=0.01)) as it:
            client, to = Tls(), it.local("TLS")
            talking = await it.connect("TLS", authority.client())
            beside = asyncio.get_running_loop().run_in_executor
            sock, connection = await beside(None, client.connect, to)
            await until(lambda: it.network.connections() == 2)
            if proven:
                it.network.trust_flow(it.flow("TLS", to, 2), 0)

            def updates() -> int:
                done = 0
                while client.update(connection):
                    done += 1
                    with contextlib.suppress(BlockingIOError):
                        if not sock.recv(65536, socket.MSG_DONTWAIT):
                            break
                return done

            with contextlib.suppress(ConnectionError):
                assert await beside(None, updates) < 50_000
            await until(lambda: it.stats.connections_rekeying == 1)
            assert it.ear.offences == ([] if proven else [(LOCALHOST, "rekeying")])
            client.close(sock, connection)
            for number in range(90):  # more octets than are allowed without a word
                talking.send(message(branch=f"z9hG4bK{number}"))
                await talking.writer.drain()
            await until(lambda: len(it.ear.messages) == 90)
            assert it.stats.connections_rekeying == 1

    run(scene())


def test_TLS_09_half_a_handshake_is_given_up_and_its_place_is_free_again(authority: Authority) -> None:
    limits = dataclasses.replace(QUICK, handshake_time=0.15, handshakes_per_source=2)

    async def scene() -> None:
        async with bench(realm(("TLS", 0), certificate=authority.edge()), limits=limits) as it:
            with contextlib.ExitStack() as peers:
                half = [peers.enter_context(raw(it, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")) for _ in range(2)]
                await until(lambda: it.stats.connections_accepted == 2)
                refused = peers.enter_context(raw(it))
                await until(lambda: it.stats.handshakes_refused == 1)
                with pytest.raises(ConnectionResetError):
                    refused.recv(1)
                await until(lambda: it.stats.handshakes_failed == 2)
                for peer in half:
                    peer.settimeout(1)
                    with contextlib.suppress(ConnectionResetError):
                        while peer.recv(100):  # perhaps an alert first
                            pass
                served = await it.connect("TLS", authority.client())
                served.send(message())
                await until(lambda: it.ear.messages)

    run(scene())


def test_OVL_05_a_flood_of_handshakes_is_bounded_in_all(authority: Authority) -> None:
    limits = dataclasses.replace(QUICK, handshake_time=1.0, handshakes=5, handshakes_per_source=100)

    async def scene() -> None:
        async with bench(realm(("TLS", 0), certificate=authority.edge()), limits=limits) as it:
            with contextlib.ExitStack() as peers:
                for _ in range(60):
                    peers.enter_context(raw(it))
                await until(lambda: it.stats.handshakes_refused == 55)
                assert it.stats.connections_accepted == 5

    run(scene())


def test_plain_sip_to_a_tls_port_closes(authority: Authority) -> None:
    async def scene() -> None:
        async with bench(realm(("TLS", 0), certificate=authority.edge())) as it:
            with raw(it, message()):
                await until(lambda: it.stats.handshakes_failed == 1)
            assert it.ear.messages == []

    run(scene())


def test_TLS_05_client_certificates(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other")
    right = authority.issue("phone", x509.DNSName("phone.example"))
    wrong = stranger.issue("phone", x509.DNSName("phone.example"))
    expired = authority.issue("expired", x509.DNSName("phone.example"), days=-1)

    async def scene() -> None:
        async with bench(realm(("TLS", 0), certificate=authority.edge(), client_ca=authority.pem)) as it:
            for refused in (None, wrong, expired):
                # With TLS 1.3 the client learns that it was refused only after its own side has finished.
                with contextlib.suppress(ConnectionError, ssl.SSLError):
                    peer = await it.connect("TLS", authority.client(refused))
                    peer.send(message())
                    await peer.closed()
            await until(lambda: it.stats.handshakes_failed == 3)
            assert it.ear.messages == []
            peer = await it.connect("TLS", authority.client(right))
            peer.send(message())
            await until(lambda: it.ear.messages)

    run(scene())


def test_TLS_05_an_optional_certificate_names_the_peer(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other")
    right = authority.issue("peer", x509.UniformResourceIdentifier("sip:Peer.example"), x509.DNSName("host.example"))
    none_for_us = authority.issue("user", x509.UniformResourceIdentifier("sip:user@peer.example"))
    wrong = stranger.issue("peer", x509.DNSName("peer.example"))
    expired = authority.issue("expired", x509.DNSName("peer.example"), days=-1)
    revoked = authority.issue("revoked", x509.DNSName("peer.example"))
    server_only = authority.issue("server", x509.DNSName("peer.example"), usage=ExtendedKeyUsageOID.SERVER_AUTH)
    authority.revoke(revoked)

    async def scene() -> None:
        here = realm(("TLS", 0), certificate=authority.edge(), client_ca=authority.pem, client_certificates="optional")
        async with bench(here) as it:
            for refused in (wrong, expired, revoked, server_only):
                with contextlib.suppress(ConnectionError, ssl.SSLError):
                    peer = await it.connect("TLS", authority.client(refused))
                    peer.send(message())
                    await peer.closed()
            await until(lambda: it.stats.handshakes_failed == 4)
            assert it.ear.messages == []
            for certificate, names in ((None, ()), (none_for_us, ()), (right, ("peer.example",))):
                peer = await it.connect("TLS", authority.client(certificate))
                peer.send(message())
                await until(lambda: it.ear.messages)
                assert it.ear.messages.pop()[2].names == names

    run(scene())


def test_TLS_05_who_phones_on_a_websocket_is_not_asked_for_an_optional_certificate(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    foreign = Authority(tmp_path / "other").issue("peer", x509.DNSName("peer.example"))

    async def scene() -> None:
        here = realm(("WSS", 0), certificate=authority.edge(), client_ca=authority.pem, client_certificates="optional")
        async with bench(here) as it:
            await it.connect("WSS", authority.client(foreign))  # shown when asked for, and then refused
            await until(lambda: it.network.connections() == 1)
            assert it.stats.handshakes_failed == 0

    run(scene())


def test_TLS_09_each_gets_the_certificate_of_the_name_it_asks_for(authority: Authority) -> None:
    edge = authority.edge()
    tenant = authority.issue("tenant", x509.DNSName("tenant.example"), x509.UniformResourceIdentifier("sip:sip.tenant.example"))
    many = authority.issue("many", x509.DNSName("*.many.example"))
    nameless = authority.issue("nameless", common_name="nameless.example")

    async def shown(it: Bench, name: str | None) -> bytes:
        context = authority.client()
        context.check_hostname = False
        peer = await it.connect("TLS", context, name or LOCALHOST)  # an address is not sent as a name
        certificate = peer.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        peer.close()
        assert isinstance(certificate, bytes)
        return certificate

    def der(path: Path) -> bytes:
        return ssl.PEM_cert_to_DER_cert(path.read_text())

    async def scene() -> None:
        here = realm(("TLS", 0), certificate=edge, more=(tenant, many, nameless))
        async with bench(here) as it:
            for name, path in (
                ("edge.example", edge),
                ("tenant.example", tenant),
                ("SIP.Tenant.example", tenant),
                ("a.many.example", many),
                ("a.b.many.example", edge),
                ("nameless.example", edge),
                ("nobody.example", edge),
                (None, edge),
            ):
                assert await shown(it, name) == der(path), name
            it.reload(realm(("TLS", 0), certificate=tenant))
            assert await shown(it, "edge.example") == der(tenant)

    run(scene())


def test_TLS_09_no_tickets(authority: Authority) -> None:
    async def scene() -> None:
        async with bench(realm(("TLS", 0), certificate=authority.edge())) as it:
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                context = authority.client()
                context.maximum_version = version
                peer = await it.connect("TLS", context)
                peer.send(b"\r\n\r\n")
                await peer.reader.readexactly(2)  # TLS 1.3 sends tickets after the handshake
                assert not peer.writer.get_extra_info("ssl_object").session.has_ticket

    run(scene())


def test_TLS_09_a_new_certificate_without_losing_a_connection(authority: Authority) -> None:
    async def scene() -> None:
        edge = authority.edge()
        now = realm(("TLS", 0), certificate=edge)
        async with bench(now) as it:
            before = await it.connect("TLS", authority.client())
            before.send(message())
            await until(lambda: it.ear.messages)
            authority.issue("edge", x509.DNSName("new.example"))
            it.reload(now)
            after = await it.connect("TLS", authority.client(), "new.example")
            for peer in (before, after):
                peer.send(message())
            await until(lambda: len(it.ear.messages) == 3)

    run(scene())


def test_what_is_wrong_with_files_is_said_in_one_line(authority: Authority, tmp_path: Path) -> None:
    edge = authority.edge()
    other = authority.issue("other", x509.DNSName("x.example"))
    text = tmp_path / "text.pem"
    text.write_text("not PEM")
    for wrong, words in (
        (realm(("TLS", 0)), "needs a certificate"),
        (realm(("TLS", 0), certificate=tmp_path / "none.pem"), "none.pem does not exist"),
        (realm(("TLS", 0), certificate=edge, key=tmp_path / "none.key"), "none.key does not exist"),
        (realm(("TLS", 0), certificate=edge, key=other.with_suffix(".key")), "is not the key of"),
        (realm(("TLS", 0), certificate=text, key=edge.with_suffix(".key")), "not usable"),
        (realm(("TLS", 0), certificate=tmp_path, key=edge.with_suffix(".key")), "cannot be read"),
        (realm(("TLS", 0), certificate=edge, client_ca=text), "client_ca"),
    ):
        with pytest.raises(ConfigError, match=words) as caught:
            tls.server_context(wrong, wrong.client_certificates)
        assert "\n" not in str(caught.value)
        assert "outside" in str(caught.value)


def test_many_handshakes_cost_their_places_only_while_they_last(authority: Authority) -> None:
    limits = dataclasses.replace(QUICK, handshakes_per_source=4)

    async def scene() -> None:
        async with bench(realm(("TLS", 0), certificate=authority.edge()), limits=limits) as it:
            context = authority.client()
            for _ in range(5):
                await asyncio.gather(*(it.connect("TLS", context) for _ in range(3)))
            assert it.stats.handshakes_refused == 0
            await until(lambda: it.network.connections() == 15)

    run(scene())


def test_who_does_not_say_goodbye_sees_the_end_all_the_same(authority: Authority) -> None:
    """PJSIP takes no notice of a close_notify: until the end of the TCP connection it goes on sending into it."""
    limits = dataclasses.replace(QUICK, close_time=30.0, farewell_time=0.1)

    async def scene() -> None:
        async with bench(realm(("TLS", 0), certificate=authority.edge()), limits=limits) as it:
            reader, writer = await asyncio.open_connection(*it.local("TLS"))
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls_client = authority.client().wrap_bio(incoming, outgoing, server_hostname=LOCALHOST)
            while True:
                try:
                    tls_client.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    writer.write(outgoing.read())
                    incoming.write(await reader.read(65536))
            tls_client.write(message())
            writer.write(outgoing.read())
            await until(lambda: it.ear.messages)
            flow = it.ear.messages[0][2]
            it.network.close_flow(flow)
            async with asyncio.timeout(5):
                await reader.read()
            await until(lambda: it.ear.closed == [flow])
            writer.close()

    run(scene())
