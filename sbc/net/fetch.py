"""Certificates of those who sign calls, fetched by HTTPS from where they say (RFC 8224 s6.2 step 3).

Whoever calls us chooses the URL: so this asks nobody inside, takes no redirection, reads no more than a chain can have, and makes
no call wait longer than its patience.
"""

from __future__ import annotations

import asyncio
import random
import re
import socket
import ssl
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

import httpx

from sbc.errors import SipError
from sbc.identity.credential import MAX_OCTETS, read_chain
from sbc.identity.location import check_url, public
from sbc.net.tasks import Tasks

TIME = 2.0  # seconds for one file, from the name to its last octet; a call waits less, the next one finds it there
AT_ONCE = 20  # connections; a flood of calls with URLs made up must not become one of ours against somebody
WAITING = 200  # files asked for and not yet there; beyond, a call goes on without
KEPT = 1000  # chains of some 3 KB
MIN_TIME, MAX_TIME = 60.0, 86_400.0  # a chain is kept, whatever its server says: a new one has another URL (ATIS-1000080)
USUAL_TIME = 3600.0  # when its server says nothing
FREQUENT = 10  # uses of a chain; whose calls come so often is fetched again before it is too old, and nobody waits
EARLY = 0.1  # of its time
HERE = "127.0.0.1"  # the one address of this machine that a policy may allow
FAILED_TIME = (30.0, 60.0)  # until it is asked for again, at random between: not all of us at once

Addresses = Callable[[str, int], Awaitable[Sequence[str]]]
_max_age = re.compile(r"(?:^|,)\s*(?:s-)?max-?age=(\d{1,9})\b").search
_no_store = re.compile(r"(?:^|,)\s*no-(?:store|cache)\b").search


class Unavailable(Exception):
    """Why there is no certificate, in a few words."""


@dataclass(slots=True)
class _Kept:
    """`octets`: None when it could not be had. Loop time; from `early` on it is fetched again if it is used much."""

    octets: bytes | None
    until: float
    early: float
    uses: int = 0


class Certificates:
    """Fetches each file once for all who want it, and keeps it. `trusted`, `addresses`, `reachable`: other than usual, for tests.

    `trust_here`: what a policy's `insecure_loopback` allows on top.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        tasks: Tasks,
        failed: Callable[[str, str], None],
        *,
        trusted: ssl.SSLContext | None = None,
        addresses: Addresses | None = None,
        reachable: Callable[[str], bool] = public,
    ) -> None:
        """`failed` is told a URL and why it could not be had."""
        self._loop = loop
        self._tasks = tasks
        self._failed = failed
        self._client = _client(trusted or ssl.create_default_context())
        self._here: httpx.AsyncClient | None = None
        self._addresses = addresses or self._look_up
        self._reachable = reachable
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._asked: dict[str, asyncio.Task[None]] = {}
        self._turn = asyncio.Semaphore(AT_ONCE)
        self.fetched = 0

    def trust_here(self, trusted: ssl.SSLContext | None) -> None:
        """Fetch from this machine, too, from servers that these authorities know; None: never, and forget what was."""
        before, self._here = self._here, _client(trusted) if trusted is not None else None
        if before is not None:
            self._kept.clear()
            self._tasks.start(before.aclose())

    async def chains(self, urls: Sequence[str], patience: float) -> tuple[dict[str, bytes], bool]:
        """What could be had of them in that many seconds, PEM by URL, and whether something is still to come: for the next call."""
        wanted = [url for url in urls if not self._known(url)]
        waiting = [task for url in wanted if (task := self._ask(url)) is not None]
        if waiting:
            await asyncio.wait(waiting, timeout=patience)
        found = {url: kept.octets for url in urls if (kept := self._kept.get(url)) is not None and kept.octets is not None}
        return found, any(url not in found and (url in self._asked or url not in self._kept) for url in urls)

    async def fetch(self, url: str) -> bytes:
        """The file as it is now, whatever is kept of it. Unavailable."""
        octets, _ = await self._in_time(url)
        return octets

    async def close(self) -> None:
        await self._client.aclose()
        if self._here is not None:
            await self._here.aclose()

    def _known(self, url: str) -> bool:
        kept = self._kept.get(url)
        now = self._loop.time()
        if kept is None or kept.until <= now:
            return False
        kept.uses += 1
        if kept.octets is not None and kept.early <= now and kept.uses >= FREQUENT:
            self._ask(url)
        self._kept.move_to_end(url)
        return True

    def _ask(self, url: str) -> asyncio.Task[None] | None:
        if url not in self._asked:
            if len(self._asked) >= WAITING:
                return None
            self._asked[url] = self._tasks.start(self._fetch(url))
        return self._asked[url]

    async def _fetch(self, url: str) -> None:
        try:
            octets, seconds = await self._in_time(url)
            self._keep(url, octets, min(max(seconds, MIN_TIME), MAX_TIME))
        except Unavailable as error:
            self._failed(url, str(error))
            old = self._kept.get(url)  # better than nothing: a certificate has an end of its own
            self._keep(url, old.octets if old else None, random.uniform(*FAILED_TIME))  # noqa: S311
        finally:
            del self._asked[url]

    async def _in_time(self, url: str) -> tuple[bytes, float]:
        try:
            async with self._turn, asyncio.timeout(TIME):
                return await self._get(url)
        except (SipError, OSError, TimeoutError, ValueError, httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unavailable(str(error) or type(error).__name__) from error

    async def _get(self, url: str) -> tuple[bytes, float]:
        """The file, and for how long it is good. By the address that was looked at: another look-up might lead elsewhere."""
        host, port = check_url(url)
        found = await self._addresses(host, port)
        client, address = self._client, next(iter(found), "")
        inside = [each for each in found if not self._reachable(each)]
        if self._here is not None and HERE in found and all(ip_address(each).is_loopback for each in found):
            client, address = self._here, HERE
        elif inside or not found:
            raise Unavailable(f"{host} leads inside, to {inside[0]}" if inside else f"{host} has no address")
        target = httpx.URL(url).copy_with(host=address)
        asked = client.build_request(
            "GET", target, headers={"Host": host if port == 443 else f"{host}:{port}", "Accept": "*/*"}, extensions={"sni_hostname": host}
        )
        self.fetched += 1
        answer = await client.send(asked, stream=True)
        try:
            if answer.status_code != 200:
                raise Unavailable(f"{host} answered {answer.status_code}")
            octets = await body_of(answer, MAX_OCTETS)
            if octets is None:
                raise Unavailable(f"{host} sends more than {MAX_OCTETS} octets")
        finally:
            await answer.aclose()
        read_chain(octets)
        return octets, _seconds(answer.headers.get("Cache-Control", ""))

    async def _look_up(self, host: str, port: int) -> Sequence[str]:
        found = await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return [str(address[0]) for *_, address in found]

    def _keep(self, url: str, octets: bytes | None, seconds: float) -> None:
        until = self._loop.time() + seconds
        self._kept[url] = _Kept(octets, until, until - EARLY * seconds)
        self._kept.move_to_end(url)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)


def _client(trusted: ssl.SSLContext) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE, keepalive_expiry=30.0)
    return httpx.AsyncClient(verify=trusted, follow_redirects=False, timeout=TIME, trust_env=False, limits=limits)


def _seconds(cache_control: str) -> float:
    said = cache_control.lower()
    if _no_store(said):
        return MIN_TIME
    found = _max_age(said)
    return float(found[1]) if found else USUAL_TIME


async def body_of(answer: httpx.Response, most: int) -> bytes | None:
    """What a streamed answer says; None: more octets than that, of which the rest is not read."""
    octets = b""
    async for chunk in answer.aiter_bytes():
        octets += chunk
        if len(octets) > most:
            return None
    return octets
