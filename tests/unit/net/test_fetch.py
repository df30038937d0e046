"""Certificates from a real HTTPS server on loopback: slow, dead, wrong, redirecting, too large, inside."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sbc import devcerts
from sbc.clock import Now
from sbc.identity.location import public
from sbc.identity.passport import signed
from sbc.identity.verdict import Claimed, Verstat
from sbc.inputs import Verified
from sbc.net.fetch import FREQUENT, Certificates, Unavailable, _client
from sbc.net.tasks import Tasks
from sbc.net.verifier import Verifier
from sbc.sip.fields.signed_identity import SignedIdentity
from tests.unit.identity import pki
from tests.world import POLICY, snapshot_of

HOST = "certs.example.org"
AUTHORITY = pki.Authority()
KEY, LEAF = AUTHORITY.leaf()
CHAIN = pki.pem(LEAF, AUTHORITY.certificate)
Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


def content(octets: bytes, extra: str = "") -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(octets)}\r\n{extra}\r\n".encode() + octets)

    return answer


def status(line: str) -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n".encode())

    return answer


async def silent(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(100):
        writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        await writer.drain()


class Site:
    """An HTTPS server that answers one path, and what a fetcher makes of it. Its port stands for 443 by what names resolve to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.paths: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.failures: list[str] = []
        self.address = "127.0.0.81"
        self.hosts: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                path = head.split(b" ")[1].decode()
                self.asked.append(path)
                await self.paths.get(path, status("404 Not Found"))(writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        self.hosts.append(host)
        return [self.address]


@asynccontextmanager
async def site(
    folder: Path, names: tuple[str, ...] = (HOST,), *, reachable: Callable[[str], bool] = lambda _: True
) -> AsyncIterator[tuple[Site, Certificates]]:
    devcerts.make(folder, names, users=())
    made = Site(folder)
    context = tls(folder)
    loop = asyncio.get_running_loop()
    faults: list[BaseException] = []
    tasks = Tasks(loop, faults.append)
    server = await asyncio.start_server(made.serve, made.address, 8443, ssl=context)
    fetcher = Certificates(
        loop,
        tasks,
        lambda url, why: made.failures.append(why),
        trusted=ssl.create_default_context(cafile=str(folder / "ca.pem")),
        addresses=made.addresses,
        reachable=reachable,
    )
    try:
        yield made, fetcher
    finally:
        server.close()
        await tasks.close()
        await fetcher.close()
        assert not faults


@pytest.mark.parametrize(
    ("addresses", "problem"),
    [
        (["127.0.0.1"], None),
        (["::1", "127.0.0.1"], None),
        (["10.0.0.1"], f"{HOST} leads inside, to 10.0.0.1"),
        (["127.0.0.1", "10.0.0.1"], f"{HOST} leads inside, to 127.0.0.1"),
        (["127.0.0.1", "93.184.216.34"], f"{HOST} leads inside, to 127.0.0.1"),
        (["127.0.0.2"], f"{HOST} leads inside, to 127.0.0.2"),
        (["169.254.169.254"], f"{HOST} leads inside, to 169.254.169.254"),
    ],
)
def test_STV_06_this_machine_is_asked_only_where_the_policy_says_so(tmp_path: Path, addresses: list[str], problem: str | None) -> None:
    async def scene() -> None:
        async with site(tmp_path, reachable=public) as (made, fetcher):
            made.paths["/a"] = content(CHAIN)

            async def found(host: str, port: int) -> Sequence[str]:
                return addresses

            fetcher._addresses = found
            server = await asyncio.start_server(made.serve, "127.0.0.1", 8443, ssl=tls(tmp_path))
            async with server:
                with pytest.raises(Unavailable, match="leads inside"):
                    await fetcher.fetch(url("/a"))
                fetcher.trust_here(ssl.create_default_context(cafile=str(tmp_path / "ca.pem")))
                if problem is None:
                    assert await fetcher.fetch(url("/a")) == CHAIN
                    assert (await fetcher.chains([url("/a")], 1.0))[0]
                    fetcher.trust_here(None)  # what was fetched so is forgotten with it
                    assert (await fetcher.chains([url("/a")], 1.0))[0] == {}
                    fetcher.trust_here(ssl.create_default_context())
                    with pytest.raises(Unavailable, match="certificate verify failed"):
                        await fetcher.fetch(url("/a"))
                else:
                    with pytest.raises(Unavailable, match=problem):
                        await fetcher.fetch(url("/a"))

    asyncio.run(scene())


def test_STV_06_the_authority_of_this_machine_stands_for_nobody_else(tmp_path: Path) -> None:
    async def scene() -> None:
        async with site(tmp_path) as (made, fetcher):
            made.paths["/a"] = content(CHAIN)
            fetcher._client = _client(ssl.create_default_context())
            fetcher.trust_here(ssl.create_default_context(cafile=str(tmp_path / "ca.pem")))
            with pytest.raises(Unavailable, match="certificate verify failed"):
                await fetcher.fetch(url("/a"))

    asyncio.run(scene())


def tls(folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "edge.pem", folder / "edge.key")
    return context


def url(path: str) -> str:
    return f"https://{HOST}:8443{path}"


def test_STV_07_a_hundred_calls_are_one_fetch(tmp_path: Path) -> None:
    async def scene() -> None:
        async with site(tmp_path) as (made, fetcher):
            made.paths["/a.pem"] = content(CHAIN)
            found = await asyncio.gather(*(fetcher.chains([url("/a.pem")], 2.0) for _ in range(100)))
            assert all(each == ({url("/a.pem"): CHAIN}, False) for each in found)
            assert await fetcher.chains([url("/a.pem")], 2.0) == found[0]
            assert (made.asked, fetcher.fetched) == (["/a.pem"], 1)

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (status("404 Not Found"), "answered 404"),
        (status("302 Found\r\nLocation: https://127.0.0.1/"), "answered 302"),
        (content(b"<html>"), "no certificate"),
        (content(b"x" * 70_000), "more than"),
        (endless, "more than"),
    ],
)
def test_STV_06_what_is_no_certificate(tmp_path: Path, answer: Answer, why: str) -> None:
    async def scene() -> None:
        async with site(tmp_path) as (made, fetcher):
            made.paths["/a.pem"] = answer
            for _ in range(2):  # the second time nobody is asked
                assert await fetcher.chains([url("/a.pem")], 2.0) == ({}, False)
            assert made.asked == ["/a.pem"]
            (said,) = made.failures
            assert why in said

    asyncio.run(scene())


def test_nobody_waits_longer_than_the_patience(tmp_path: Path) -> None:
    async def scene() -> None:
        async with site(tmp_path) as (made, fetcher):
            made.paths["/slow.pem"] = silent
            made.paths["/a.pem"] = content(CHAIN)
            await fetcher.chains([url("/a.pem")], 2.0)
            loop = asyncio.get_running_loop()
            begun = loop.time()
            found, late = await fetcher.chains([url("/slow.pem"), url("/a.pem")], 0.1)
            assert loop.time() - begun < 0.5
            assert (list(found), late) == ([url("/a.pem")], True)

    asyncio.run(scene())


def test_what_comes_late_is_there_for_the_next_call(tmp_path: Path) -> None:
    async def scene() -> None:
        async with site(tmp_path) as (made, fetcher):
            go = asyncio.Event()

            async def late(writer: asyncio.StreamWriter) -> None:
                await go.wait()
                await content(CHAIN)(writer)

            made.paths["/a.pem"] = late
            assert await fetcher.chains([url("/a.pem")], 0.05) == ({}, True)
            go.set()
            assert await fetcher.chains([url("/a.pem")], 2.0) == ({url("/a.pem"): CHAIN}, False)
            assert made.asked == ["/a.pem"]

    asyncio.run(scene())


def test_STV_06_a_name_that_leads_inside(tmp_path: Path) -> None:
    async def scene() -> None:
        async with site(tmp_path, reachable=lambda address: not address.startswith("127.")) as (made, fetcher):
            made.paths["/a.pem"] = content(CHAIN)
            assert await fetcher.chains([url("/a.pem")], 2.0) == ({}, False)
            assert made.asked == []
            assert "leads inside" in made.failures[0]

    asyncio.run(scene())


def test_STV_06_the_server_must_be_who_it_says(tmp_path: Path) -> None:
    async def scene() -> None:
        async with site(tmp_path, names=("other.example.org",)) as (made, fetcher):
            made.paths["/a.pem"] = content(CHAIN)
            assert await fetcher.chains([url("/a.pem")], 2.0) == ({}, False)
            assert made.asked == []
            assert "certificate" in made.failures[0].lower()

    asyncio.run(scene())


def test_STV_06_a_url_that_is_not_asked(tmp_path: Path) -> None:
    async def scene() -> None:
        async with site(tmp_path) as (made, fetcher):
            assert await fetcher.chains(["https://10.0.0.1/a.pem", "http://x/a"], 2.0) == ({}, False)
            assert made.hosts == []

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("said", "seconds"), [("max-age=10", 60), ("max-age=7200", 7200), ("no-store", 60), ("", 3600), ("max-age=999999999", 86400)]
)
def test_STV_07_for_how_long_a_chain_is_kept(tmp_path: Path, said: str, seconds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        async with site(tmp_path) as (made, fetcher):
            made.paths["/a.pem"] = content(CHAIN, f"Cache-Control: {said}\r\n")
            await fetcher.chains([url("/a.pem")], 2.0)
            loop = asyncio.get_running_loop()
            clock = loop.time
            for later, fetches in ((seconds - 5, 1), (seconds + 5, 2)):
                with monkeypatch.context() as patched:
                    patched.setattr(loop, "time", lambda later=later: clock() + later)
                    stale = fetcher._known(url("/a.pem"))
                assert stale is (fetches == 1)

    asyncio.run(scene())


def test_a_chain_that_cannot_be_refreshed_is_still_there(tmp_path: Path) -> None:
    async def scene() -> None:
        async with site(tmp_path) as (made, fetcher):
            made.paths["/a.pem"] = content(CHAIN)
            await fetcher.chains([url("/a.pem")], 2.0)
            fetcher._keep(url("/a.pem"), CHAIN, 0.0)
            made.paths["/a.pem"] = status("503 Busy")
            assert await fetcher.chains([url("/a.pem")], 2.0) == ({url("/a.pem"): CHAIN}, False)
            assert made.asked == ["/a.pem", "/a.pem"]

    asyncio.run(scene())


@pytest.mark.parametrize(("answer", "patience", "verstat", "late"), [
    (content(CHAIN), 2.0, Verstat.PASSED, False),
    (status("404 Not Found"), 2.0, Verstat.FAILED, False),
    (silent, 0.05, Verstat.NONE, True),
])  # fmt: skip
def test_TMD_19_the_verifier_always_answers(tmp_path: Path, answer: Answer, patience: float, verstat: Verstat, late: bool) -> None:
    async def scene() -> None:
        async with site(tmp_path) as (made, fetcher):
            made.paths["/a.pem"] = answer
            loop, answers = asyncio.get_running_loop(), asyncio.Queue[Verified]()
            tasks = Tasks(loop, lambda error: None)
            verifier = Verifier(tasks, fetcher, lambda: Now(loop.time(), pki.NOW), answers.put_nowait)
            (tmp_path / "roots.pem").write_bytes(pki.pem(AUTHORITY.certificate))
            verifier.apply(verifier.read(snapshot_of(f"{POLICY}identity: {{roots: {tmp_path / 'roots.pem'}}}\n")))
            claims = {"attest": "A", "dest": {"tn": ["2"]}, "iat": pki.NOW, "orig": {"tn": "1"}, "origid": "x"}
            header = SignedIdentity(signed(claims, KEY, url("/a.pem"), "shaken"), url("/a.pem"), ppt="shaken")
            verifier.ask("question", Claimed((str(header),), ("1",), "2", "2"), patience)
            told = await asyncio.wait_for(answers.get(), 5)
            assert (told.question, told.verdict.verstat, told.verdict.late) == ("question", verstat, late)
            await tasks.close()

    asyncio.run(scene())


def test_STV_07_whose_calls_come_often_is_fetched_again_before_it_is_too_old(tmp_path: Path) -> None:
    async def scene() -> None:
        async with site(tmp_path) as (made, fetcher):
            for path, uses, fetches in (("/often.pem", FREQUENT, 2), ("/seldom.pem", FREQUENT - 2, 1)):
                made.paths[path] = content(CHAIN)
                made.asked.clear()
                for _ in range(uses):
                    assert await fetcher.chains([url(path)], 2.0) == ({url(path): CHAIN}, False)
                kept = fetcher._kept[url(path)]
                kept.early = 0.0
                made.paths[path] = silent if fetches == 1 else content(CHAIN)
                assert await fetcher.chains([url(path)], 2.0) == ({url(path): CHAIN}, False)
                if task := fetcher._asked.get(url(path)):
                    await task
                assert made.asked == [path] * fetches

    asyncio.run(scene())


def test_STV_12_a_proof_that_comes_with_another_call_is_noted(tmp_path: Path) -> None:
    async def scene() -> None:
        async with site(tmp_path) as (made, fetcher):
            made.paths["/a.pem"] = content(CHAIN)
            loop, answers = asyncio.get_running_loop(), asyncio.Queue[Verified]()
            verifier = Verifier(Tasks(loop, lambda error: None), fetcher, lambda: Now(loop.time(), pki.NOW), answers.put_nowait)
            (tmp_path / "roots.pem").write_bytes(pki.pem(AUTHORITY.certificate))
            verifier.apply(verifier.read(snapshot_of(f"{POLICY}identity: {{roots: {tmp_path / 'roots.pem'}}}\n")))
            claims = {"attest": "A", "dest": {"tn": ["2"]}, "iat": pki.NOW, "orig": {"tn": "1"}, "origid": "x"}
            header = str(SignedIdentity(signed(claims, KEY, url("/a.pem"), "shaken"), url("/a.pem"), ppt="shaken"))
            for call_id, replayed in (("first", False), ("first", False), ("second", True)):
                verifier.ask("question", Claimed((header,), ("1",), "2", "2", call_id=call_id), 2.0)
                told = await asyncio.wait_for(answers.get(), 5)
                assert (told.verdict.verstat, told.verdict.replayed) == (Verstat.PASSED, replayed)

    asyncio.run(scene())
