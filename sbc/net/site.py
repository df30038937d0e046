"""Our own certificate, for those who verify on this machine: what the policy's `insecure_loopback` asks for, on 127.0.0.1 alone."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from sbc.errors import ConfigError
from sbc.identity.location import check_url
from sbc.net.tasks import Tasks
from sbc.policy.snapshot import Snapshot

HOST = "127.0.0.1"
TIME = 2.0  # seconds for one request: as long as a verifier of ours waits for its answer
MAX_HEAD = 8 * 1024  # octets of a request, as most web servers have it
AT_ONCE = 20  # connections: as many as a fetcher of ours opens
_GONE = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Page:
    """What is at `url`. `proof`: the certificate we show there."""

    url: str
    content: bytes
    proof: bytes
    context: ssl.SSLContext = field(compare=False)


class Site:
    """`say` hears of each page: its URL, and why nobody will find it, or "" when it is served."""

    def __init__(self, tasks: Tasks, say: Callable[[str, str], None]) -> None:
        self._tasks = tasks
        self._say = say
        self._page: Page | None = None
        self._serving: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()
        self._connections = 0

    def read(self, snapshot: Snapshot) -> Page | None:
        """What a policy that has been checked has us serve. ConfigError: it is not readable any more."""
        rules = snapshot.identity
        if rules is None or rules.sign is None or rules.local_certificate is None:
            return None
        ours = rules.local_certificate
        try:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(ours.certificate, ours.key, password=lambda: b"")
            content = Path(rules.sign.certificate.certificate).read_bytes()
            return Page(rules.sign.url, content, Path(ours.certificate).read_bytes(), context)
        except OSError as error:
            raise ConfigError(f"identity: insecure_loopback: {ours.certificate}: {error}") from error

    def apply(self, page: Page | None) -> None:
        """It is served from now on."""
        if page == self._page:
            return
        self._page = page
        self._settled.clear()
        self._serving = self._tasks.start(self._serve(self._serving, page))

    async def settled(self) -> None:
        """Until what was applied last can be fetched, or not."""
        if self._serving is not None:
            await self._settled.wait()

    async def _serve(self, before: asyncio.Task[None] | None, page: Page | None) -> None:
        if before is not None:
            before.cancel()
            await asyncio.wait((before,))
        if page is None:
            self._settled.set()
            return
        try:
            server = await asyncio.start_server(
                self._answer, HOST, check_url(page.url)[1], ssl=page.context, ssl_handshake_timeout=TIME, limit=MAX_HEAD
            )
        except OSError as error:
            self._say(page.url, error.strerror or str(error))
            return
        finally:
            self._settled.set()
        self._say(page.url, "")
        async with server:
            await server.serve_forever()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request of each connection."""
        self._connections += 1
        try:
            async with asyncio.timeout(TIME):
                if self._connections <= AT_ONCE:
                    writer.write(self._answer_to(await reader.readuntil(b"\r\n\r\n")))
                    await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, OSError):
            pass
        finally:
            self._connections -= 1
            writer.close()

    def _answer_to(self, head: bytes) -> bytes:
        page = self._page
        if page is None or head.split(b"\r\n")[0].split(b" ")[:2] != [b"GET", urlsplit(page.url).path.encode()]:
            return _GONE
        rows = f"Content-Type: application/pem-certificate-chain\r\nContent-Length: {len(page.content)}\r\nConnection: close\r\n\r\n"
        return b"HTTP/1.1 200 OK\r\n" + rows.encode() + page.content
