"""All linked sites: who is connected, SIP to and from them across connections, and their media to and from the relay."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from media.api import LinkStats
from sbc.effects import Send
from sbc.flow import Address, Flow
from sbc.inputs import LinkCompared
from sbc.link.frames import BOOT, Calls, Frame, Hello, LinkError, Received, Welcome, datagram, split_datagram
from sbc.link.session import Session
from sbc.log import EventLog
from sbc.net.ports import Receiver
from sbc.net.quic import LARGEST_PACKET, REPLACED, LinkConnection
from sbc.policy.sites import site_address
from sbc.sip.framing import FramingLost, Message
from sbc.sip.uri import format_host

RESUMED_WITHIN = 30.0  # seconds without any connection; then what waits is given up, and new calls are refused at once
MOVES_TOLD_EVERY = 10.0  # seconds: a site whose address changes with each packet shall not fill the log
COMPARED_AFTER = 5.0  # seconds that a call must have been answered for when only one end knows it, unless the other end is new


class Media(Protocol):
    def receive(self, link: str, flow: int, packet: bytes) -> None:
        """What came by the link, for that relay port of ours."""
        ...


@dataclass(slots=True)
class Peer:
    """The other end of one link. `flow` is what the core knows it by, `most` how many connections it may have.

    signalling  by which SIP goes; None: none for now
    lost_at     loop time when the last connection ended; None: there is one
    """

    name: str
    flow: Flow
    most: int
    session: Session | None = None
    connections: list[LinkConnection] = field(default_factory=list)
    signalling: LinkConnection | None = None
    lost_at: float | None = None
    lost: int = 0  # by connections that are over
    dropped: int = 0
    seen_at: Address = ("", 0)
    moved_at: float = float("-inf")


class Links:
    """What both ends do alike. `calls_of` gives the Call-IDs of all calls with the trunk at a link."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        receiver: Receiver,
        log: EventLog,
        media: Media,
        calls_of: Callable[[str], frozenset[str]],
    ) -> None:
        self.boot = os.urandom(BOOT)
        self.peers: dict[str, Peer] = {}
        self._loop = loop
        self._receiver = receiver
        self._log = log
        self._media = media
        self._calls_of = calls_of
        self._of: dict[LinkConnection, Peer] = {}
        self._by_address: dict[Address, Peer] = {}
        self._touched: dict[LinkConnection, None] = {}

    def provide(self, wanted: Mapping[str, tuple[str, Address, int]]) -> None:
        """The links there may be, by site: realm, our own address in it, connections. Others end."""
        for name in [name for name in self.peers if name not in wanted]:
            self.disconnect(name, "there is no such site any more")
            self._give_up(self.peers.pop(name))
        for name, (realm, local, most) in wanted.items():
            flow = Flow(realm, "QUIC", local, site_address(name), names=(name,))
            if (peer := self.peers.get(name)) is not None:
                peer.flow, peer.most = flow, most
            else:
                self.peers[name] = Peer(name, flow, most)
        self._by_address = {peer.flow.remote: peer for peer in self.peers.values()}

    # SIP

    def send(self, effect: Send) -> None:
        peer = self._by_address.get(effect.flow.remote)
        if peer is None or peer.session is None or self._is_given_up(peer):
            self._receiver.receive_failure(effect.key, "its site is not connected")
        elif not peer.session.write(effect.data, effect.key):
            self._receiver.receive_failure(effect.key, "too much waits for its site")
        elif (connection := peer.signalling) is not None:  # which may be over when that is too much for it
            connection.send_signalling(effect.data)
            connection.flush()

    def receive_signalling(self, connection: LinkConnection, data: bytes) -> None:
        peer = self._of.get(connection)
        if peer is None or peer.session is None or connection is not peer.signalling:
            return
        try:
            frames = peer.session.receive(data)
        except FramingLost as error:
            raise LinkError("SIP of which nobody knows where it ends") from error
        for frame in frames:
            if isinstance(frame, Message):
                self._receiver.receive_message(frame.head, frame.body, peer.flow)
        if peer.session.shall_tell():
            self.tell(peer)

    def tell(self, peer: Peer) -> None:
        """How much of its SIP has come, so that it need not keep that."""
        if peer.session is not None and peer.signalling is not None:
            peer.session.told()
            peer.signalling.send_frame(Received(peer.session.received))

    def receive_word(self, connection: LinkConnection, frame: Frame) -> None:
        """What is said once both ends know each other. Raises LinkError."""
        peer = self._of.get(connection)
        if peer is None or peer.session is None or connection is not peer.signalling:
            return
        match frame:
            case Received(count):
                peer.session.heard(count)
            case Calls() if connection.compared:
                raise LinkError("compares calls twice")  # each time all of ours are looked at
            case Calls(call_ids, fresh):
                connection.compared = True
                self._receiver.receive(LinkCompared(peer.name, tuple(sorted(call_ids)), 0.0 if fresh else COMPARED_AFTER))
            case _:
                raise LinkError(f"{type(frame).__name__} at the wrong time")

    # Connections

    def add(self, peer: Peer, connection: LinkConnection) -> None:
        """It is proven to be of that site. One that is too many takes the place of the one that was silent for longest."""
        peer.connections.append(connection)
        while len(peer.connections) > peer.most:
            silent = min(peer.connections[:-1], key=lambda each: (each.waiting_since is None, each.waiting_since or 0.0, each.began))
            silent.close(REPLACED, "another connection took its place")
        self._of[connection] = peer
        peer.lost_at = None
        peer.seen_at = connection.remote

    def carry_signalling(self, peer: Peer, connection: LinkConnection) -> None:
        """SIP goes by this connection from now on, and no more by the one before."""
        before, peer.signalling = peer.signalling, connection
        if before is not None and before is not connection:
            before.close(REPLACED, "another connection took its place")

    def begin(self, peer: Peer, boot: bytes) -> None:
        """A new session: what waited belongs to calls that the other end knows nothing of."""
        self._give_up(peer)
        peer.session = Session(boot)

    def compare(self, peer: Peer, *, fresh: bool) -> None:
        if peer.signalling is not None:
            peer.signalling.send_frame(Calls(self._calls_of(peer.name), fresh))

    def welcome(self, peer: Peer, connection: LinkConnection, hello: Hello) -> None:
        """The edge takes in a site that has proved who it is."""
        self.add(peer, connection)
        if not hello.signalling:
            connection.send_frame(Welcome(self.boot, resumed=False, received=0))
            return
        self.carry_signalling(peer, connection)
        waiting = None
        if peer.session is not None and peer.session.boot == hello.boot and hello.edge_boot == self.boot:
            waiting = resumed(peer.session, hello.received)
        if waiting is None:
            self.begin(peer, hello.boot)
        assert peer.session is not None
        connection.send_frame(Welcome(self.boot, waiting is not None, peer.session.received))
        connection.send_signalling(waiting or b"")
        self.compare(peer, fresh=waiting is None)
        self._tell_log(peer, connection, waiting is not None)

    def welcomed(self, peer: Peer, connection: LinkConnection, welcome: Welcome, *, signalling: bool) -> None:
        """The site has been taken in."""
        self.add(peer, connection)
        if not signalling:
            return
        self.carry_signalling(peer, connection)
        waiting = resumed(peer.session, welcome.received) if welcome.resumed and peer.session is not None else None
        if waiting is None:
            self.begin(peer, welcome.boot)
        connection.send_signalling(waiting or b"")
        self.compare(peer, fresh=waiting is None)
        self._tell_log(peer, connection, waiting is not None)

    def receive_end(self, connection: LinkConnection, reason: str) -> None:
        peer = self._of.pop(connection, None)
        self._touched.pop(connection, None)
        if peer is None:
            return
        peer.connections.remove(connection)
        peer.lost += connection.window.lost
        peer.dropped += connection.media.dropped
        if connection is peer.signalling:
            peer.signalling = None
        if not peer.connections:
            peer.lost_at = self._loop.time()
            self._log.event("warning", "link_lost", {"site": peer.name, "problem": reason})

    def disconnect(self, link: str, why: str) -> None:
        for connection in list(self.peers[link].connections) if link in self.peers else ():
            connection.close(REPLACED, why)

    def not_up(self, edge: str, problem: str) -> None:
        self._log.event("warning", "link_not_up", {"edge": edge, "problem": problem})

    def refused(self, connection: LinkConnection, problem: str) -> None:
        """Somebody is not who it should be."""
        self._log.event("warning", "link_refused", {"remote": format_host(*connection.remote), "problem": problem})

    def _is_given_up(self, peer: Peer) -> bool:
        if peer.lost_at is None or self._loop.time() - peer.lost_at <= RESUMED_WITHIN:
            return False
        self._give_up(peer)
        return True

    def _give_up(self, peer: Peer) -> None:
        session, peer.session = peer.session, None
        for key in session.lost() if session is not None else ():
            self._receiver.receive_failure(key, "the link was lost")

    def _tell_log(self, peer: Peer, connection: LinkConnection, is_resumed: bool) -> None:
        facts: dict[str, object] = {"site": peer.name, "remote": format_host(*connection.remote), "resumed": is_resumed}
        self._log.event("info", "link_up", facts)

    # Media

    def receive_media(self, connection: LinkConnection, data: bytes) -> None:
        peer = self._of.get(connection)
        found = split_datagram(data) if peer is not None else None
        if peer is not None and found is not None:
            self._media.receive(peer.name, *found)
            if connection.remote != peer.seen_at and len(peer.connections) == 1:
                self._moved(peer, connection)

    def send_media(self, link: str, flow: int, packet: bytes) -> None:
        """To be followed by `flush`. What has no way is lost, as on the wire."""
        peer = self.peers.get(link)
        if peer is None or not peer.connections or len(packet) > LARGEST_PACKET:
            return
        connections = peer.connections  # RTP and RTCP of a call by the same one
        connection = connections[(flow >> 1) % len(connections)] if len(connections) > 1 else connections[0]
        connection.send_media(datagram(flow, packet))
        self._touched[connection] = None

    def flush(self) -> None:
        touched, self._touched = self._touched, {}
        for connection in touched:
            connection.flush()

    def figures(self, link: str) -> LinkStats | None:
        """How the link is just now; None: there is none of that name."""
        peer = self.peers.get(link)
        if peer is None:
            return None
        connections = peer.connections
        return LinkStats(
            connections=len(connections),
            remote=format_host(*peer.seen_at) if connections else "",
            rtt_ms=round(1000 * max((each.round_trip for each in connections), default=0.0), 1),
            window=sum(each.window.congestion_window for each in connections),
            lost=peer.lost + sum(each.window.lost for each in connections),
            late=peer.dropped + sum(each.media.dropped for each in connections),
            queue_ms=round(1000 * max((each.media.delay for each in connections), default=0.0), 1),
        )

    def _moved(self, peer: Peer, connection: LinkConnection) -> None:
        peer.seen_at = connection.remote
        now = self._loop.time()
        if now - peer.moved_at > MOVES_TOLD_EVERY:
            peer.moved_at = now
            self._log.event("info", "link_moved", {"site": peer.name, "remote": format_host(*connection.remote)})


def resumed(session: Session, count: int) -> bytes | None:
    """What is to be said again when the other end has so many octets; None: the session cannot be gone on with."""
    try:
        return session.resume(count)
    except LinkError:
        return None
