"""The ends of a link: the edge, where sites are taken in, and the site, which connects itself."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from sbc.errors import ConfigError
from sbc.flow import Address, Flow
from sbc.link.frames import BOOT, NONCE, Frame, Hello, LinkError, Welcome
from sbc.link.handshake import EdgeHandshake, SiteHandshake
from sbc.link.proof import Credential, Trust
from sbc.net.admission import Admission
from sbc.net.links import Links
from sbc.net.ports import Receiver
from sbc.net.quic import REPLACED, LinkConnection, edge_configuration
from sbc.net.quic_edge import EdgeEndpoint
from sbc.net.quic_site import Slot
from sbc.net.stats import Stats
from sbc.net.tasks import Tasks
from sbc.policy.realms import Realm
from sbc.policy.snapshot import Snapshot
from sbc.shield.offences import Offence

REFUSAL = "refused"
LONGEST_REASON = 200  # letters: it may be the other end's


@dataclass(frozen=True, slots=True)
class Welcoming:
    """What we show, and who may connect, by site."""

    credential: Credential
    trusts: Mapping[str, Trust]


def welcoming(realm: Realm, snapshot: Snapshot) -> Welcoming:
    """Of a realm with a listener for sites. Raises ConfigError."""
    if not realm.certificates:
        raise ConfigError(f"realm {realm.name}: a quic:// address needs a certificate; add `certificate: NAME` to the realm")
    chained = authorities(realm.client_ca)
    here = {trunk.link for trunk in snapshot.trunks.values() if trunk.realm == realm.name}
    trusts = {name: Trust(site.pins, site.certificate, chained) for name, site in snapshot.sites.items() if name in here}
    return Welcoming(Credential.read(realm.certificates[0].certificate, realm.certificates[0].key), trusts)


class Edge:
    """One listener for sites; it owns `sock`. `realm` may be changed by a new policy, which calls `admit`, too."""

    def __init__(
        self,
        sock: socket.socket,
        realm: str,
        links: Links,
        *,
        loop: asyncio.AbstractEventLoop,
        admission: Admission,
        stats: Stats,
        receiver: Receiver,
    ) -> None:
        """`receiver` is told who has proved who it is, and who could not."""
        self.realm = realm
        self._links = links
        self._receiver = receiver
        self._endpoint = EdgeEndpoint(sock, self, loop, admission, stats)
        self._welcoming: Welcoming | None = None
        self._handshakes: dict[LinkConnection, EdgeHandshake] = {}

    @property
    def local(self) -> Address:
        return self._endpoint.local

    def admit(self, welcoming: Welcoming) -> None:
        """Those may connect from now on. Who is here and must be somebody else now, has to leave."""
        before, self._welcoming = self._welcoming, welcoming
        self._endpoint.configuration = edge_configuration(welcoming.credential)
        for site, trust in before.trusts.items() if before is not None else ():
            if welcoming.trusts.get(site) != trust:
                self._links.disconnect(site, "who may connect has changed")
        for connection in list(self._handshakes) if before not in (None, welcoming) else ():
            connection.close(REPLACED, "who may connect has changed")

    def start(self) -> None:
        self._endpoint.start()

    def connections(self) -> int:
        """All of them, whoever has proved who it is or not."""
        return len(self._endpoint)

    def close(self) -> None:
        self._endpoint.close()

    def receive_ready(self, connection: LinkConnection) -> None:
        assert self._welcoming is not None
        credential, trusts = self._welcoming.credential, self._welcoming.trusts
        self._handshakes[connection] = EdgeHandshake(credential, trusts.get, connection.identifier, os.urandom(NONCE))

    def receive_frame(self, connection: LinkConnection, frame: Frame) -> None:
        handshake = self._handshakes.get(connection)
        if handshake is None:
            self._links.receive_word(connection, frame)
            return
        try:
            said = handshake.receive(frame, time.time())
        except LinkError as error:
            self._links.refused(connection, str(error))
            raise LinkError(REFUSAL) from None  # why is nobody's business who has not proved who it is
        if not isinstance(said, Hello):
            connection.send_frame(said)
            return
        del self._handshakes[connection]
        peer = self._links.peers.get(said.site)
        if peer is None:
            raise LinkError(REFUSAL)
        self._endpoint.prove(connection)
        self._links.welcome(peer, connection, said)

    def receive_signalling(self, connection: LinkConnection, data: bytes) -> None:
        self._links.receive_signalling(connection, data)

    def receive_media(self, connection: LinkConnection, data: bytes) -> None:
        self._links.receive_media(connection, data)

    def receive_end(self, connection: LinkConnection, reason: str) -> None:
        self._handshakes.pop(connection, None)
        self._links.receive_end(connection, reason)

    def connection_id(self, connection: LinkConnection, cid: bytes, *, valid: bool) -> None:
        """The endpoint has those."""

    def proved(self, source: Address) -> None:
        self._receiver.vouched(self._flow(source))

    def offended(self, source: Address, offence: Offence, reason: str) -> None:
        if offence != "handshake" or reason == REFUSAL:  # of which the log has the reason already
            self._receiver.offended(self._flow(source), offence)
        else:
            self._receiver.handshake_failed(self._flow(source), reason[:LONGEST_REASON])

    def _flow(self, source: Address) -> Flow:
        return Flow(self.realm, "QUIC", self.local, source)


class SiteEnd:
    """We are a remote site. The link is called as the trunk's at the other end of it: `link`."""

    def __init__(self, link: str, realm: Realm, links: Links, loop: asyncio.AbstractEventLoop) -> None:
        """Raises ConfigError."""
        uplink = realm.uplink
        assert uplink is not None
        self.key = (uplink, realm.certificates)
        self._link = link
        self._uplink = uplink
        pair = realm.certificates[0]
        self._credential = Credential.read(pair.certificate, pair.key)
        self._trust = Trust(uplink.pins, uplink.host.lower(), authorities(uplink.authorities))
        self._links = links
        self._loop = loop
        self._handshakes: dict[LinkConnection, tuple[SiteHandshake, int]] = {}
        self._problem = ""
        self._slots: list[asyncio.Task[None]] = []

    def start(self, tasks: Tasks) -> None:
        for number in range(self._uplink.connections):
            slot = Slot(number, self._uplink.host, self._uplink.port, self._loop, self)
            self._slots.append(tasks.start(slot.keep()))

    async def stop(self) -> None:
        for slot in self._slots:
            slot.cancel()
        await asyncio.gather(*self._slots, return_exceptions=True)

    def attempted(self, connection: LinkConnection, slot: int) -> None:
        self._handshakes[connection] = (self._handshake(connection, slot), slot)

    def not_found(self, problem: str) -> None:
        self._tell(f"{self._uplink.host}: {problem}")

    def receive_ready(self, connection: LinkConnection) -> None:
        _, slot = self._handshakes[connection]
        handshake = self._handshake(connection, slot)
        self._handshakes[connection] = handshake, slot
        hello = handshake.begin(connection.certificate, time.time())
        peer = self._links.peers[self._link]
        if hello.signalling and peer.signalling is not None:
            # The way is there, so that what is old is of no use; nothing must come by it once Hello says how much has come
            peer.signalling.close(0, "another connection takes its place")
        connection.send_frame(hello)

    def receive_frame(self, connection: LinkConnection, frame: Frame) -> None:
        found = self._handshakes.get(connection)
        if found is None:
            self._links.receive_word(connection, frame)
            return
        handshake, slot = found
        said = handshake.receive(frame)
        if not isinstance(said, Welcome):
            connection.send_frame(said)
            return
        del self._handshakes[connection]
        connection.prove()
        self._problem = ""
        self._links.welcomed(self._links.peers[self._link], connection, said, signalling=slot == 0)

    def receive_signalling(self, connection: LinkConnection, data: bytes) -> None:
        self._links.receive_signalling(connection, data)

    def receive_media(self, connection: LinkConnection, data: bytes) -> None:
        self._links.receive_media(connection, data)

    def receive_end(self, connection: LinkConnection, reason: str) -> None:
        if self._handshakes.pop(connection, None) is not None:
            self._tell(reason)
        self._links.receive_end(connection, reason)

    def connection_id(self, connection: LinkConnection, cid: bytes, *, valid: bool) -> None:
        """Its socket has this connection alone."""

    def _handshake(self, connection: LinkConnection, slot: int) -> SiteHandshake:
        session = self._links.peers[self._link].session
        hello = Hello(
            self._uplink.site,
            os.urandom(NONCE),
            self._links.boot,
            session.boot if session is not None else bytes(BOOT),
            session.received if session is not None else 0,
            slot == 0,
            self._credential.chain,
        )
        return SiteHandshake(self._credential, self._trust, hello, connection.identifier)

    def _tell(self, problem: str) -> None:
        """Once, until it is another one or it was up in between."""
        if problem != self._problem:
            self._problem = problem
            self._links.not_up(f"{self._uplink.host}:{self._uplink.port}", problem)


def links_of(snapshot: Snapshot) -> dict[str, tuple[str, Address, int]]:
    """As sbc.net.links wants them, at the edge and at a site."""
    found: dict[str, tuple[str, Address, int]] = {}
    for trunk in snapshot.trunks.values():
        realm = snapshot.realms[trunk.realm]
        if trunk.link and realm.listeners:
            most = realm.uplink.connections if realm.uplink is not None else snapshot.sites[trunk.link].connections
            found[trunk.link] = (realm.name, realm.listeners[0].local, most)
    return found


def authorities(path: str | None) -> tuple[x509.Certificate, ...]:
    """Raises ConfigError."""
    if path is None:
        return ()
    try:
        return tuple(x509.load_pem_x509_certificates(Path(path).read_bytes()))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: no certificates that could be read ({error})") from None
