"""SIP over WebSocket (RFC 7118), with a client that follows RFC 6455 and some that do not."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable

import pytest
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.typing import Origin, Subprotocol
from websockets.uri import parse_uri

from sbc.effects import Send
from sbc.errors import SipError
from sbc.flow import Flow
from sbc.net.limits import StreamLimits
from sbc.net.websocket import MAX_FRAGMENTS, MAX_HANDSHAKE
from sbc.sip.parse import parse_message
from tests.unit.net.bench import LOCALHOST, QUICK, RESPONSE, Authority, Bench, Peer, bench, message, realm, run, until
from tests.vectors.messages import octets

PAGE = "https://phone.example"
WS = realm(("WS", 0), origins=(PAGE,))


class Browser:
    """A WebSocket client on `peer`, as far as its `connect` got; it masks what it sends, as it must."""

    def __init__(self, peer: Peer, origin: str | None, subprotocols: list[str], deflate: bool) -> None:
        self.peer = peer
        self.protocol = ClientProtocol(
            parse_uri("ws://edge.example/"),
            origin=Origin(origin) if origin else None,
            subprotocols=[Subprotocol(each) for each in subprotocols] or None,
            extensions=[ClientPerMessageDeflateFactory()] if deflate else None,
        )
        self.protocol.send_request(self.protocol.connect())
        self.frames: list[Frame] = []
        self.response: Response | None = None

    def flush(self) -> None:
        for data in self.protocol.data_to_send():
            self.peer.send(data)

    def send(self, *frames: Frame) -> None:
        for frame in frames:
            self.peer.send(frame.serialize(mask=True))

    def say(self, data: bytes, opcode: Opcode = Opcode.TEXT) -> None:
        self.send(Frame(opcode, data))

    async def hear(self) -> Frame:
        """The next frame that came."""
        while not self.frames:
            data = await self.peer.reader.read(65536)
            assert data, "closed"
            self._take(data)
        return self.frames.pop(0)

    async def last_word(self) -> int | None:
        """The code of the Close frame that came before the connection ended."""
        self._take(await self.peer.closed())
        return self.protocol.close_rcvd.code if self.protocol.close_rcvd else None

    def _take(self, data: bytes) -> None:
        self.protocol.receive_data(data)
        for event in self.protocol.events_received():
            if isinstance(event, Response):
                self.response = event
            elif isinstance(event, Frame):
                self.frames.append(event)

    async def open(self) -> Response:
        """What the server answered to the handshake."""
        self.flush()
        while self.response is None:
            data = await self.peer.reader.read(65536)
            assert data, "closed"
            self._take(data)
        return self.response


async def browser(
    it: Bench, origin: str | None = PAGE, subprotocols: tuple[str, ...] = ("sip",), *, deflate: bool = False, open_it: bool = True
) -> Browser:
    client = Browser(await it.connect("WS"), origin, list(subprotocols), deflate)
    if open_it:
        assert (await client.open()).status_code == 101
    return client


def sip(method: str = "OPTIONS", branch: str = "z9hG4bK1", *, length: bool = True, body: bytes = b"") -> bytes:
    data = message(method, branch, body).replace(b"SIP/2.0/TCP 127.0.0.1:5999", b"SIP/2.0/WS df7jal23ls0d.invalid")
    return data if length else data.replace(b"Content-Length: %d\r\n" % len(body), b"")


@pytest.mark.parametrize(
    ("origin", "subprotocols", "status"),
    [
        (PAGE, ("sip",), 101),
        (None, ("sip",), 101),  # no browser, so no page that could be a foreign one
        (PAGE, ("chat", "sip"), 101),
        ("https://evil.example", ("sip",), 403),
        ("null", ("sip",), 403),
        (PAGE + ":8443", ("sip",), 403),
        (PAGE, ("chat",), 400),
        (PAGE, (), 400),
    ],
)
def test_WS_01_subprotocol_and_origin(origin: str | None, subprotocols: tuple[str, ...], status: int) -> None:
    async def scene() -> None:
        async with bench(WS) as it:
            client = await browser(it, origin, subprotocols, open_it=False)
            response = await client.open()
            assert response.status_code == status
            assert response.headers.get("Sec-WebSocket-Protocol") == ("sip" if status == 101 else None)
            if status != 101:
                await client.peer.closed()
                await until(lambda: it.stats.handshakes_failed == 1 and it.network.connections() == 0)

    run(scene())


def test_WS_01_without_origins_no_browser_is_served() -> None:
    async def scene() -> None:
        async with bench(realm(("WS", 0))) as it:
            client = await browser(it, open_it=False)
            assert (await client.open()).status_code == 403
            await browser(it, None)

    run(scene())


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"426"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", b"405"),
        (message(), b""),
        (b"\x16\x03\x01\x02\x00" + bytes(64) + b"\r\n\r\n", b""),
    ],
)
def test_WS_01_what_is_no_handshake(request_: bytes, status: bytes) -> None:
    async def scene() -> None:
        async with bench(WS) as it:
            peer = await it.connect("WS")
            peer.send(request_)
            answer = await peer.closed()
            assert answer[9:12] == status
            assert (b"Sec-WebSocket-Version: 13\r\n" in answer) is (status == b"426")
            assert it.ear.messages == []
            assert it.ear.malformed == []
            await until(lambda: it.stats.handshakes_failed == 1)

    run(scene())


@pytest.mark.parametrize("opcode", [Opcode.TEXT, Opcode.BINARY])
@pytest.mark.parametrize("length", [True, False])
def test_WS_02_a_message_a_frame_answered_in_kind(opcode: Opcode, length: bool) -> None:
    async def scene() -> None:
        async with bench(WS) as it:
            client = await browser(it)
            client.say(sip("INVITE", length=length, body="grüß".encode()), opcode)
            await until(lambda: it.ear.messages)
            head, body, flow = it.ear.messages[0]
            assert head.startswith(b"INVITE")
            assert head.lower().count(b"content-length: 6") == 1
            assert body.decode() == "grüß"
            assert (flow.transport, flow.secure, flow.reliable) == ("WS", False, True)
            it.network.send(Send(RESPONSE, flow))
            frame = await client.hear()
            assert (frame.opcode, bytes(frame.data)) == (opcode, RESPONSE)
            it.network.send(Send(RESPONSE + b"\xff", flow))  # no text can carry that
            assert (await client.hear()).opcode is Opcode.BINARY

    run(scene())


def test_WS_03_what_a_browser_says_first() -> None:
    async def scene() -> None:
        async with bench(WS) as it:
            client = await browser(it)
            client.say(octets("samples", "jssip_register_outbound.sip"))
            await until(lambda: it.ear.messages)
            assert parse_message(*it.ear.messages[0][:2]).via.host == "df7jal23ls0d.invalid"

    run(scene())


def test_WS_02_fragments_become_one_message() -> None:
    async def scene() -> None:
        async with bench(WS) as it:
            client = await browser(it)
            data = sip(body="ü".encode() * 1000)
            cut = data.index("ü".encode()) + 1  # in the middle of a character
            client.send(
                Frame(Opcode.TEXT, data[:10], fin=False),
                Frame(Opcode.CONT, data[10:cut], fin=False),
                Frame(Opcode.PING, b"?"),
                Frame(Opcode.CONT, data[cut:]),
            )
            await until(lambda: it.ear.messages)
            head, body, _ = it.ear.messages[0]
            assert head + b"\r\n\r\n" + body == data
            assert (await client.hear()).opcode is Opcode.PONG

    run(scene())


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (sip() + sip(branch="z9hG4bK2"), 400),
        (sip(body=b"12345") + b"6", 400),
        (sip(body=b"12345")[:-1], 400),
        (sip()[:-2], 400),
        (b"INVITE", 400),
        (sip()[:-2] + b"X: " + b"y" * 70_000 + b"\r\n\r\n", 513),
    ],
)
def test_WS_02_what_is_not_one_message_is_answered_and_closes(data: bytes, status: int) -> None:
    async def scene() -> None:
        async with bench(WS) as it:

            def answer(error: SipError, flow: Flow) -> None:
                it.network.send(Send(b"SIP/2.0 %d no\r\n\r\n" % error.status, flow))

            it.ear.on_malformed = answer
            client = await browser(it)
            client.say(sip(branch="z9hG4bK0"))
            client.say(data)
            assert await client.last_word() == 1003
            assert bytes(client.frames[0].data).startswith(b"SIP/2.0 %d" % status)
            assert len(it.ear.messages) == 1

    run(scene())


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([Frame(Opcode.TEXT, sip() + b"\xff")], 1007),
        ([Frame(Opcode.BINARY, b"x" * 300_000)], 1009),
        ([Frame(Opcode.BINARY, b"x" * 200_000, fin=False), Frame(Opcode.CONT, b"x" * 200_000)], 1009),
        ([Frame(Opcode.TEXT, b"I", fin=False)] + [Frame(Opcode.CONT, b"", fin=False)] * MAX_FRAGMENTS, 1009),
        ([Frame(Opcode.CONT, sip())], 1002),
        ([Frame(Opcode.TEXT, b"I", fin=False), Frame(Opcode.TEXT, sip())], 1002),
        ([Frame(Opcode.PING, b"x" * 126)], 1002),
    ],
)
def test_WS_02_limits_of_the_framing(frames: list[Frame], code: int) -> None:
    async def scene() -> None:
        async with bench(WS) as it:
            client = await browser(it)
            for frame in frames:
                client.peer.send(_serialized(frame))
            assert await client.last_word() == code
            assert it.ear.messages == []

    run(scene())


def _serialized(frame: Frame) -> bytes:
    """Also what the library would not send."""
    if frame.opcode is Opcode.PING and len(frame.data) > 125:
        return b"\x89\xfe\x00\x7e\0\0\0\0" + bytes(frame.data)
    return frame.serialize(mask=True)


def test_WS_02_an_unmasked_frame_closes() -> None:
    async def scene() -> None:
        async with bench(WS) as it:
            client = await browser(it)
            client.peer.send(Frame(Opcode.TEXT, sip()).serialize(mask=False))
            assert await client.last_word() == 1002
            assert it.ear.messages == []

    run(scene())


def test_WS_03_an_answer_goes_by_the_connection_of_the_request_or_not_at_all() -> None:
    async def scene() -> None:
        async with bench(WS) as it:
            client = await browser(it)
            client.say(sip())
            await until(lambda: it.ear.messages)
            flow = it.ear.messages[0][2]
            for other in (flow._replace(connection=0), flow._replace(connection=99)):
                it.network.send(Send(RESPONSE, other, "response"))
                it.network.send(Send(sip(), other, "request"))
            assert it.ear.failures == [(key, "connection closed") for key in ("response", "request")] * 2
            client.peer.close()
            await until(lambda: it.ear.closed == [flow])
            it.network.send(Send(RESPONSE, flow, "late"))
            assert it.ear.failures[-1] == ("late", "connection closed")
            assert it.stats.connections_opened == it.stats.connections_failed == 0

    run(scene())


def test_WS_05_both_kinds_of_ping() -> None:
    async def scene() -> None:
        async with bench(WS) as it:
            client = await browser(it)
            client.send(Frame(Opcode.PING, b"are you there?"))
            pong = await client.hear()
            assert (pong.opcode, bytes(pong.data)) == (Opcode.PONG, b"are you there?")
            for opcode in (Opcode.TEXT, Opcode.BINARY):
                client.say(b"\r\n\r\n", opcode)
                pong = await client.hear()
                assert (pong.opcode, bytes(pong.data)) == (opcode, b"\r\n")
            client.say(b"\r\n")  # a pong of theirs
            client.say(sip())
            await until(lambda: it.ear.messages)
            assert not client.frames

    run(scene())


def test_WS_05_the_closing_handshake() -> None:
    async def scene() -> None:
        async with bench(WS) as it:
            leaving, told = await browser(it), await browser(it)
            leaving.say(sip())
            await until(lambda: it.ear.messages)
            leaving.protocol.send_close(1001)
            leaving.flush()
            assert await leaving.last_word() == 1001
            await until(lambda: it.ear.closed)
            told.say(sip())
            await until(lambda: len(it.ear.messages) == 2)
            it.network.close_flow(it.ear.messages[1][2])
            assert await told.last_word() == 1000

    run(scene())


def test_WS_06_nothing_is_inflated() -> None:
    async def scene() -> None:
        async with bench(WS) as it:
            client = await browser(it, deflate=True)
            assert client.response is not None
            assert "Sec-WebSocket-Extensions" not in client.response.headers
            bomb = bytearray(Frame(Opcode.TEXT, zlib.compress(b"x" * 10_000_000)).serialize(mask=True))
            bomb[0] |= 0x40  # RSV1: compressed (RFC 7692 s6)
            client.peer.send(bytes(bomb))
            assert await client.last_word() == 1002

    run(scene())


def test_WS_06_who_pings_and_does_not_read_is_closed() -> None:
    async def scene() -> None:
        async with bench(WS, limits=dataclasses.replace(QUICK, unsent=64 * 1024)) as it:
            client = await browser(it)
            client.peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
            pings = Frame(Opcode.PING, b"x" * 125).serialize(mask=True) * 1000

            def flood() -> bool:
                if not client.peer.writer.is_closing():
                    client.peer.send(pings)
                return it.stats.connections_overflowed == 1

            await until(flood)
            await until(lambda: it.network.connections() == 0)
            assert it.ear.failures == []

    run(scene())


HANDSHAKE = dataclasses.replace(QUICK, handshake_time=0.1)
PER_SOURCE = dataclasses.replace(QUICK, handshake_time=1.0, handshakes_per_source=3)


def _half(client: Browser) -> None:
    client.peer.send(b"GET / HTTP/1.1\r\nHost: x\r\n")


def _never(client: Browser) -> None:
    pass


@pytest.mark.parametrize("begin", [_half, _never])
def test_WS_06_a_handshake_has_its_time(begin: Callable[[Browser], None]) -> None:
    async def scene() -> None:
        async with bench(WS, limits=HANDSHAKE) as it:
            client = await browser(it, open_it=False)
            begin(client)
            await client.peer.closed()
            assert (it.stats.connections_slow, it.stats.handshakes_failed) == (1, 1)

    run(scene())


def test_WS_06_a_handshake_has_its_size() -> None:
    async def scene() -> None:
        async with bench(WS, limits=dataclasses.replace(QUICK, handshake_time=30.0)) as it:
            peer = await it.connect("WS")
            peer.send(b"GET / HTTP/1.1\r\n" + (b"Cookie: " + b"x" * 1000 + b"\r\n") * (MAX_HANDSHAKE // 1000 + 1))
            assert await peer.closed() == b""
            assert it.stats.handshakes_failed == 1

    run(scene())


def test_WS_06_handshakes_per_source_and_a_place_is_free_again_when_one_is_over() -> None:
    async def scene() -> None:
        async with bench(WS, limits=PER_SOURCE) as it:
            waiting = [await browser(it, open_it=False) for _ in range(3)]
            with pytest.raises(ConnectionResetError):
                await browser(it, open_it=False)
            assert it.stats.handshakes_refused == 1
            await waiting[0].open()
            await browser(it)

    run(scene())


STRANGERS = dataclasses.replace(QUICK, strangers_per_source=3, stranger_messages=5)


def test_WS_06_strangers_per_source_and_whoever_is_proven_is_none() -> None:
    async def scene() -> None:
        async with bench(WS, limits=STRANGERS) as it:
            clients = [await browser(it) for _ in range(3)]
            with pytest.raises(ConnectionResetError):
                await browser(it)
            assert it.stats.connections_refused == 1
            clients[0].say(sip())
            await until(lambda: it.ear.messages)
            it.network.trust_flow(it.ear.messages[0][2], 0)
            await browser(it)
            for _ in range(10):
                clients[0].say(sip())
                clients[1].say(sip())
            assert await clients[1].last_word() == 1000
            assert it.stats.connections_unproven == 1
            assert it.ear.offences == [(LOCALHOST, "flood"), (LOCALHOST, "slow")]
            await until(lambda: len(it.ear.messages) == 1 + 10 + 5)

    run(scene())


def test_WS_06_a_stranger_s_time_is_over_whatever_it_says(authority: Authority) -> None:
    limits: StreamLimits = dataclasses.replace(QUICK, stranger_time=0.2, stranger_messages=1000)

    async def scene() -> None:
        async with bench(realm(("WS", 0), ("TCP", 0)), limits=limits) as it:
            known, unknown = await browser(it, None), await it.connect("TCP")
            known.say(sip())
            await until(lambda: it.ear.messages)
            it.network.trust_flow(it.ear.messages[0][2], 0)

            def talk() -> bool:
                if not unknown.writer.is_closing():
                    unknown.send(message())
                return it.stats.connections_unproven == 1

            await until(talk)
            known.send(Frame(Opcode.PING, b""))
            assert (await known.hear()).opcode is Opcode.PONG

    run(scene())


def test_WS_03_wss_is_secure(authority: Authority) -> None:
    async def scene() -> None:
        async with bench(realm(("WSS", 0), certificate=authority.edge())) as it:
            client = Browser(await it.connect("WSS", authority.client()), None, ["sip"], deflate=False)
            assert (await client.open()).status_code == 101
            client.say(sip())
            await until(lambda: it.ear.messages)
            flow = it.ear.messages[0][2]
            assert (flow.transport, flow.secure, flow.reliable) == ("WSS", True, True)
            it.network.send(Send(RESPONSE, flow))
            assert bytes((await client.hear()).data) == RESPONSE

    run(scene())
