"""Media of calls by a link, between the link and a relay that knows nothing of it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from media.api import Interface, LinkStats, SideSpec, SideStats
from media.portable import PortableEngine
from sbc.flow import Address
from sbc.net.linked_media import LinkedMedia
from tests.unit.net.bench import run, until

INNER, OUTER, PHONE = "127.0.0.1", "127.0.0.40", "127.0.0.41"
G711 = {8: 8}
FIGURES = LinkStats(connections=1, remote="203.0.113.9:40000", rtt_ms=40.0, window=65536, lost=1, late=2, queue_ms=0.5)


def rtp(number: int) -> bytes:
    return bytes((0x80, 8)) + number.to_bytes(2, "big") + (160 * number).to_bytes(4, "big") + b"ssrc" + bytes(160)


class Scene:
    """An engine with an inner interface and an outer one that has the same ports, and a link that writes down what it is given."""

    def __init__(self, outer: Interface) -> None:
        self.engine = PortableEngine(asyncio.get_running_loop(), choose=lambda below: 0)
        self.media = LinkedMedia(self.engine, asyncio.get_running_loop())
        self.media.provide({"sites": Interface(INNER, 21000, 21009), "outside": outer})
        self.media.connect(self)
        self.sent: list[tuple[str, int, bytes]] = []
        self.phone = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.phone.setblocking(False)
        self.phone.bind((PHONE, 0))
        self.phone_rtcp = ("127.0.0.41", 9)

    def send_media(self, link: str, flow: int, packet: bytes) -> None:
        self.sent.append((link, flow, packet))

    def flush(self) -> None:
        """All of it is on its way already."""

    def figures(self, link: str) -> LinkStats | None:
        return FIGURES if link == "berlin" else None

    def call(self, relay: str, link: str = "berlin", flow: int = 40000) -> tuple[Address, Address]:
        """Between the link and the phone; the other end has its relay at port `flow`, wherever its description says that is."""
        ports = self.media.open(relay, "sites" if link else "outside", "outside")
        at_site = SideSpec(("192.168.7.2", flow), ("192.168.7.2", flow + 1), link=link, payload_types=G711)
        self.media.update(relay, at_site, SideSpec(self.phone.getsockname(), self.phone_rtcp, payload_types=G711))
        return ports.a, ports.b

    async def hears(self) -> bytes:
        """The next packet that the phone gets."""
        found: list[bytes] = []
        loop = asyncio.get_running_loop()
        loop.add_reader(self.phone, lambda: found.append(self.phone.recv(2048)))
        await until(lambda: found)
        loop.remove_reader(self.phone)
        return found[0]


@asynccontextmanager
async def scene(outer: Interface = Interface(OUTER, 21000, 21009)) -> AsyncIterator[Scene]:  # noqa: B008 - frozen
    made = Scene(outer)
    try:
        yield made
    finally:
        made.media.shutdown()
        made.phone.close()


def test_packets_cross_between_the_link_and_the_relay_and_the_figures_have_the_link() -> None:
    async def play() -> None:
        async with scene() as it:
            inner, outer = it.call("call")
            it.phone.sendto(rtp(1), outer)
            await until(lambda: it.sent)
            assert it.sent == [("berlin", 40000, rtp(1))]
            it.media.receive("berlin", inner[1], rtp(2))
            assert (await it.hears())[12:] == rtp(2)[12:]
            stats = it.media.close("call")
            assert stats.a.link == FIGURES
            assert stats.b.link is None
            assert (stats.a.packets_received, stats.b.packets_received) == (1, 1)

    run(play())


def test_what_comes_by_another_link_or_for_no_call_goes_nowhere() -> None:
    async def play() -> None:
        async with scene() as it:
            inner, _ = it.call("call")
            for link, flow in (("paris", inner[1]), ("berlin", inner[1] + 2), ("berlin", 0), ("berlin", 70_000), ("berlin", 1 << 61)):
                it.media.receive(link, flow, rtp(1))
            assert it.media.unknown == 5
            it.media.close("call")
            it.media.receive("berlin", inner[1], rtp(1))
            assert it.media.unknown == 6

    run(play())


def test_a_call_without_a_link_that_has_the_same_port_elsewhere_changes_nothing() -> None:
    """Ranges of two realms may overlap: what counts is the port at the inner address."""

    async def play() -> None:
        async with scene() as it:
            plain, _ = it.call("plain", link="")
            inner, outer = it.call("linked")
            assert inner[1] == plain[1]
            it.media.close("plain")
            it.phone.sendto(rtp(1), outer)
            await until(lambda: it.sent)
            it.media.receive("berlin", inner[1], rtp(2))
            assert it.media.unknown == 0

    run(play())


def test_a_side_without_an_address_hears_nothing_and_says_nothing() -> None:
    async def play() -> None:
        async with scene() as it:
            inner, outer = it.call("call")
            it.media.update("call", SideSpec(link="berlin"), SideSpec(it.phone.getsockname(), it.phone_rtcp))
            it.media.receive("berlin", inner[1], rtp(1))
            assert it.media.unknown == 1
            it.phone.sendto(rtp(1), outer)
            await asyncio.sleep(0.05)
            assert it.sent == []

    run(play())


def test_what_is_at_no_link_passes_as_it_is() -> None:
    async def play() -> None:
        async with scene() as it:
            it.call("plain", link="")
            stats = it.media.close("plain")
            assert (stats.a, stats.b) == (SideStats(), SideStats())
            assert it.media._socket is None

    run(play())
