"""Our own certificate, served on this machine and fetched from there as a verifier fetches it."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sbc import devcerts
from sbc.net import site as serving
from sbc.net.fetch import Certificates, Unavailable
from sbc.net.site import HOST, Page, Site
from sbc.net.tasks import Tasks
from sbc.policy.load import load_policy
from sbc.policy.snapshot import Snapshot
from tests.unit.net.test_signer import policy

PORT = 8443
URL = f"https://localhost:{PORT}/stir.pem"
OURS = 'identity: {sign: {certificate: stir, url: "' + URL + '"}%s}\n'
SERVED = OURS % ", insecure_loopback: {authority: ../certs/ca.pem, certificate: edge}"


def snapshot(folder: Path, identity: str) -> Snapshot:
    return load_policy(policy(folder, identity)).snapshot


@asynccontextmanager
async def sites(folder: Path) -> AsyncIterator[tuple[Site, Certificates, list[tuple[str, str]]]]:
    loop = asyncio.get_running_loop()
    said: list[tuple[str, str]] = []
    faults: list[BaseException] = []
    tasks = Tasks(loop, faults.append)
    site = Site(tasks, lambda url, problem: said.append((url, problem)))
    fetcher = Certificates(loop, tasks, lambda url, why: None)
    fetcher.trust_here(ssl.create_default_context(cafile=folder / "certs" / "ca.pem"))
    try:
        yield site, fetcher, said
    finally:
        await tasks.close()
        await fetcher.close()
        assert not faults


def scene(folder: Path, act: Callable[[Site, Certificates, list[tuple[str, str]]], Awaitable[None]]) -> None:
    async def run() -> None:
        devcerts.make(folder / "certs")
        async with sites(folder) as (site, fetcher, said):
            await act(site, fetcher, said)

    asyncio.run(run())


def test_only_a_policy_that_asks_for_it_serves_anything(tmp_path: Path) -> None:
    async def act(site: Site, fetcher: Certificates, said: list[tuple[str, str]]) -> None:
        assert site.read(snapshot(tmp_path, "")) is None
        assert site.read(snapshot(tmp_path, OURS % "")) is None
        assert site.read(snapshot(tmp_path, OURS % ", insecure_loopback: {authority: ../certs/ca.pem}")) is None
        site.apply(None)
        await site.settled()
        with pytest.raises(Unavailable):
            await fetcher.fetch(URL)

    scene(tmp_path, act)


def test_verifiers_here_find_it_until_the_policy_says_otherwise(tmp_path: Path) -> None:
    async def act(site: Site, fetcher: Certificates, said: list[tuple[str, str]]) -> None:
        page = site.read(snapshot(tmp_path, SERVED))
        site.apply(page)
        await site.settled()
        assert await fetcher.fetch(URL) == (tmp_path / "certs" / "stir.pem").read_bytes()
        with pytest.raises(Unavailable, match="404"):
            await fetcher.fetch(f"https://localhost:{PORT}/stir.key")
        site.apply(site.read(snapshot(tmp_path, SERVED)))  # the same: nothing to do
        await site.settled()
        assert said == [(URL, "")]
        for name in ("stir.pem", "stir.key"):
            (tmp_path / "certs" / name).unlink()
        site.apply(site.read(snapshot(tmp_path, SERVED)))
        await site.settled()
        assert await fetcher.fetch(URL) == (tmp_path / "certs" / "stir.pem").read_bytes()
        site.apply(None)
        await site.settled()
        with pytest.raises(Unavailable, match="connection attempts failed"):
            await fetcher.fetch(URL)

    scene(tmp_path, act)


def test_a_port_that_is_taken_is_said_and_no_more(tmp_path: Path) -> None:
    async def act(site: Site, fetcher: Certificates, said: list[tuple[str, str]]) -> None:
        with socket.create_server((HOST, PORT)):
            site.apply(site.read(snapshot(tmp_path, SERVED)))
            await site.settled()
            ((url, problem),) = said
            assert url == URL
            assert "address already in use" in problem.lower()

    scene(tmp_path, act)


def test_who_says_nothing_or_too_much_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "TIME", 0.2)

    async def act(site: Site, fetcher: Certificates, said: list[tuple[str, str]]) -> None:
        page = site.read(snapshot(tmp_path, SERVED))
        assert isinstance(page, Page)
        site.apply(page)
        await site.settled()
        trusted = ssl.create_default_context(cafile=tmp_path / "certs" / "ca.pem")
        for octets in (b"", b"GET /stir.pem HTTP/1.1\r\n", b"GET /" + b"x" * 20_000, b"\x00\r\n\r\n"):
            reader, writer = await asyncio.open_connection(HOST, PORT, ssl=trusted, server_hostname="localhost")
            writer.write(octets)
            assert b"BEGIN CERTIFICATE" not in await asyncio.wait_for(reader.read(), 2.0)
            writer.close()
        assert await fetcher.fetch(URL) == page.content

    scene(tmp_path, act)
