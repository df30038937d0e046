"""Our own certificate, fetched as others would from a real HTTPS server, and compared with the one in use."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sbc.net.publication import Publication
from tests.unit.identity import pki
from tests.unit.net.test_fetch import CHAIN, LEAF, content, site, status, url

URL = url("/ours.pem")


def test_STI_12_what_verifiers_find_is_compared_with_what_we_use(tmp_path: Path) -> None:
    async def scene() -> None:
        said: list[tuple[str, str]] = []
        async with site(tmp_path) as (made, fetcher):
            watch = Publication(fetcher, lambda url, problem: said.append((url, problem)))
            await watch.look()
            assert made.asked == []  # we sign nothing
            watch.apply({URL: CHAIN})
            _, other = pki.Authority().leaf()
            answers = [
                (content(CHAIN), ""),
                (status("404 Not Found"), "certs.example.org answered 404"),
                (status("404 Not Found"), None),  # said once
                (content(pki.pem(other)), "there is another certificate there, with serial number"),
                (content(pki.pem(LEAF)), "the certificate of CN=root, which stands behind ours, is missing there"),
                (content(b"<html>"), "no certificate where one should be"),
                (content(CHAIN), ""),
            ]
            for answer, problem in answers:
                made.paths["/ours.pem"] = answer
                said.clear()
                await watch.look()
                assert [each[0] for each in said] == ([URL] if problem is not None else [])
                assert problem is None or said[0][1].startswith(problem)
                assert bool(problem) == bool(said and said[0][1])
            assert len(made.asked) == len(answers)  # nothing that is kept counts

    asyncio.run(scene())


def test_STI_12_another_certificate_is_another_matter(tmp_path: Path) -> None:
    async def scene() -> None:
        said: list[str] = []
        async with site(tmp_path) as (made, fetcher):
            made.paths["/ours.pem"] = content(CHAIN)
            watch = Publication(fetcher, lambda url, problem: said.append(problem))
            watch.apply({URL: CHAIN})
            await watch.look()
            watch.apply({URL: pki.pem(pki.Authority().leaf()[1])})
            await watch.look()
            assert said[0] == ""
            assert said[1].startswith("there is another certificate")

    asyncio.run(scene())
