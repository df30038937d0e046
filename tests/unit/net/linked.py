"""An edge and a site on loopback, each with a scripted neighbour above it, and a router between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from sbc.effects import Send
from sbc.inputs import Input, LinkCompared
from sbc.link.proof import Credential, fingerprint
from sbc.link.site_file import load_site
from sbc.log import EventLog
from sbc.net.links import Links
from sbc.net.network import Network
from sbc.net.stats import Stats
from sbc.net.tasks import Tasks
from sbc.policy.load import load_policy
from sbc.policy.snapshot import Snapshot
from tests.shim import Shim
from tests.unit.link.certificates import credential, write
from tests.unit.net.bench import Ear, OpenDoor, free_port, message, until

POLICY = """\
version: 1
realms:
  sites: {{signalling: ["quic://127.0.0.1:{port}"], relay: {{address: 127.0.0.1, ports: 30000-30999}}, certificate: edge}}
sites:
  berlin: {{pin: "{pin}", connections: {connections}}}
trunks:
  berlin: {{realm: sites, link: berlin, media: plain}}
media:
  plain: {{srtp: off, codecs: [PCMA]}}
emergency: {{sites: none}}
"""
SITE = """\
version: 1
site: berlin
edge: "127.0.0.1:{port}"
pin: "{pin}"
certificate: berlin
pbx: {{listen: "udp://127.0.0.30:5060", peer: "sip:127.0.0.31:5060"}}
media: {{address: 127.0.0.30, ports: 20000-20999}}
connections: {connections}
"""


class End(Ear):
    """One end: what it hears, and what its media hears. `calls`: the Call-IDs it says it has."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.calls: frozenset[str] = frozenset()
        self.compared: list[LinkCompared] = []
        self.media: list[tuple[str, int, bytes]] = []
        self.on_media: Callable[[bytes], None] = lambda packet: None
        self.lines: list[str] = []
        self.failed: list[BaseException] = []
        self.stats = Stats()
        loop = asyncio.get_running_loop()
        log = EventLog(self.lines.append)
        self.tasks = Tasks(loop, self.failed.append)
        self.links = Links(loop, self, log, self, lambda site: self.calls)
        self.door = OpenDoor()
        self.network = Network(loop, self.tasks, self, self.stats, self.door, links=self.links)

    def receive(self, event: Input | str, flow: int = 0, packet: bytes = b"") -> None:
        """Of the engine, and of the media."""
        if isinstance(event, LinkCompared):
            self.compared.append(event)
        else:
            self.media.append((str(event), flow, packet))
            self.on_media(packet)

    @property
    def link(self) -> str:
        return next(iter(self.links.peers))

    @property
    def is_up(self) -> bool:
        return self.links.peers[self.link].signalling is not None

    def say(self, branch: str) -> None:
        peer = self.links.peers[self.link]
        self.network.send(Send(message(branch=branch), peer.flow, branch))

    def play(self, flow: int, packet: bytes) -> None:
        self.links.send_media(self.link, flow, packet)
        self.links.flush()

    def heard(self) -> list[str]:
        """The Call-IDs of all messages."""
        return [head.decode().partition("Call-ID: ")[2].partition("\r\n")[0] for head, _, _ in self.messages]

    def logged(self, event: str) -> list[str]:
        return [line for line in self.lines if f" {event} " in line]

    async def close(self) -> None:
        await self.network.close()
        await self.tasks.close()
        assert self.failed == []


class Stage:
    """`edge` and `site` know each other's certificates unless others are given."""

    def __init__(
        self,
        folder: Path,
        *,
        edge: Credential | None = None,
        site: Credential | None = None,
        pinned: Credential | None = None,
        connections: int = 1,
    ) -> None:
        """`pinned`: the certificate that the edge expects of the site, if not that which it has."""
        of_edge, of_site = edge or credential("edge.example"), site or credential("berlin.example")
        write(folder / "certs", "edge", of_edge)
        write(folder / "certs", "berlin", of_site)
        self.port = free_port()
        self.shim = Shim(("127.0.0.1", self.port))
        policies = folder / "policies"
        policies.mkdir(exist_ok=True)
        pin = fingerprint((pinned or of_site).chain[0])
        (policies / "sbc.yaml").write_text(POLICY.format(port=self.port, pin=pin, connections=connections))
        file = folder / "site.yaml"
        file.write_text(SITE.format(port=self.shim.local[1], pin=fingerprint(of_edge.chain[0]), connections=connections))
        self.edge_policy: Snapshot = load_policy(policies).snapshot
        self.site_policy: Snapshot = load_site(file).snapshot
        self.edge, self.site = End("edge"), End("site")

    def begin(self) -> None:
        self.edge.network.apply(self.edge_policy)
        self.site.network.apply(self.site_policy)

    async def restart_edge(self, *, kindly: bool) -> None:
        """Another process in its place; `kindly`: the old one says goodbye."""
        old = self.edge
        if not kindly:
            self.shim.is_cut = True
        await old.close()
        self.shim.is_cut = False
        self.edge = End("edge")
        self.edge.network.apply(self.edge_policy)

    async def close(self) -> None:
        await self.site.close()
        await self.edge.close()
        self.shim.close()


@asynccontextmanager
async def linked(folder: Path, **options: object) -> AsyncIterator[Stage]:
    stage = Stage(folder, **options)  # type: ignore[arg-type]
    try:
        stage.begin()
        yield stage
    finally:
        await stage.close()


async def up(stage: Stage, seconds: float = 5.0) -> None:
    await until(lambda: stage.edge.is_up and stage.site.is_up, seconds)


async def both_hear(stage: Stage, word: str, seconds: float = 5.0) -> None:
    stage.edge.say(f"z9hG4bK-e-{word}")
    stage.site.say(f"z9hG4bK-s-{word}")
    await until(lambda: f"z9hG4bK-e-{word}" in stage.site.heard() and f"z9hG4bK-s-{word}" in stage.edge.heard(), seconds)
