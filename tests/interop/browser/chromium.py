"""A real browser without a head, with a web phone in a page, driven over its DevTools socket."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from websockets.sync.client import ClientConnection, connect

from tests import tones
from tests.interop.namespaces import Namespace
from tests.interop.wait import Expired, until

PAGE = Path(__file__).parent / "page"
PORT, DEVTOOLS = 8000, 9222
ORIGIN = f"http://127.0.0.1:{PORT}"  # of the page, which this phone's own host serves
START_TIMEOUT = 30.0
ANSWER = 10.0  # seconds for a command

OPTIONS = (
    "--headless",
    "--no-sandbox",  # root has none
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-domain-reliability",
    "--disable-sync",
    "--no-first-run",
    "--no-pings",
    "--no-proxy-server",
    "--disable-features=OptimizationHints,MediaRouter,Translate,AutofillServerCommunication",
    "--autoplay-policy=no-user-gesture-required",
    f"--remote-debugging-port={DEVTOOLS}",
)


class Leaving(Exception):
    """The page makes way for the next one, and what it was asked stays without an answer."""


@dataclass
class WebPhone:
    """`folder` keeps the browser's log and profile."""

    host: Namespace
    folder: Path
    devtools: ClientConnection
    number: int = 0
    samples: list[int] = field(default_factory=list)
    taken: int = 0  # events expected so far

    def run(self, script: str) -> object:
        """What that JavaScript of the page evaluates to, awaited."""
        self.number += 1
        params = {"expression": script, "awaitPromise": True, "returnByValue": True}
        self.devtools.send(json.dumps({"id": self.number, "method": "Runtime.evaluate", "params": params}))
        while (answer := json.loads(self.devtools.recv(ANSWER))).get("id") != self.number:
            pass
        if "error" in answer:
            raise Leaving(answer["error"]["message"])
        result = answer["result"]
        if "exceptionDetails" in result:
            raise AssertionError(f"{script}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def events(self) -> list[str]:
        """Everything that has happened to this phone."""
        try:
            found = self.run("window.events ?? []")
        except Leaving:
            return []
        assert isinstance(found, list)
        return found

    def expect(self, event: str, seconds: float = 15.0) -> None:
        """Wait for it (registered, incoming, ringing, answered, ended …), take it and all before it."""

        def position() -> int | None:
            return next((i + 1 for i, name in enumerate(self.events()) if i >= self.taken and name == event), None)

        try:
            self.taken = until(position, seconds, f"{self.host.name}: no {event}")
        except Expired as expired:
            raise Expired(f"{expired}; events: {self.events()}; see {self.folder}") from None

    def reload(self) -> None:
        """As with F5: the phone begins anew, and its events with it."""
        self.run("window.events = undefined, location.reload()")
        self.taken = 0

    def heard(self, *frequencies: float) -> list[float | None]:
        """The tones of all calls, one after the other; see tests.tones.heard."""
        self.samples += tones.decode(base64.b64decode(str(self.run("audio.take()"))))
        return tones.heard(self.samples, frequencies)

    def pieces(self) -> int:
        """How often sound began: with each call, and after each hold."""
        return int(str(self.run("audio.pieces"))) + self.events().count("resumed")


def trusted_key(certificate: Path) -> str:
    """What makes Chromium take this certificate, and no other that it does not know, for good."""
    key = x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()
    return base64.b64encode(hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()).decode()


@contextlib.contextmanager
def web_phone(
    host: Namespace, folder: Path, bundles: Path, *, stack: str, tone: float, certificate: Path, account: dict[str, str]
) -> Iterator[WebPhone]:
    """A page with the phone of `stack` (jssip, sipjs) and this account (server, domain, user, password); wait for registered.

    `bundles`: the folder with the stacks. `certificate`: of the server, which is trusted.
    """
    shutil.copytree(PAGE, folder / "page")
    (folder / "page" / "dist").symlink_to(bundles)
    serve = (sys.executable, "-m", "http.server", str(PORT), "--bind", "127.0.0.1", "--directory", folder / "page")
    trust = f"--ignore-certificate-errors-spki-list={trusted_key(certificate)}"
    browse = ("chromium", *OPTIONS, trust, f"--user-data-dir={folder / 'profile'}", "about:blank")
    pages = host.start(serve, log=folder / "pages")
    browser = host.start(browse, log=folder / "log", env={"HOME": str(folder)})
    try:
        devtools = until(lambda: _devtools(host, browser), START_TIMEOUT, f"Chromium does not start, see {folder}/log")
        with devtools:
            phone = WebPhone(host, folder, devtools)
            query = urlencode({**account, "stack": stack, "tone": tone})
            phone.run(f"location.href = '{ORIGIN}/?{query}'")
            yield phone
    finally:
        for process in (browser, pages):
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()


def _devtools(host: Namespace, browser: subprocess.Popen[bytes]) -> ClientConnection | None:
    """The socket of the one page there is."""
    if browser.poll() is not None:
        raise Expired(f"Chromium ended with {browser.returncode}")

    def open_it() -> ClientConnection | None:
        try:
            with urlopen(f"http://127.0.0.1:{DEVTOOLS}/json") as answer:
                pages = [target for target in json.load(answer) if target["type"] == "page"]
            return connect(pages[0]["webSocketDebuggerUrl"], max_size=None, proxy=None) if pages else None
        except OSError:
            return None

    return host.within(open_it)
