"""All signalling sockets of one policy: opened together or not at all, changed without losing a connection or a call."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import dataclass, field
from errno import EACCES, EADDRINUSE, EADDRNOTAVAIL
from functools import partial

from sbc.effects import Send
from sbc.errors import ConfigError
from sbc.flow import Address, Flow, Transport
from sbc.net import tls
from sbc.net.admission import Admission
from sbc.net.limits import BACKLOG, StreamLimits
from sbc.net.links import Links
from sbc.net.listener import StreamListener
from sbc.net.pool import WEB_SOCKETS, Pool
from sbc.net.ports import Doorman, Receiver
from sbc.net.sockets import open_stream, open_udp
from sbc.net.stats import Stats
from sbc.net.tasks import Tasks
from sbc.net.udp import UdpListener
from sbc.net.uplink import Edge, SiteEnd, Welcoming, links_of, welcoming
from sbc.net.websocket import WebSocket
from sbc.policy.realms import Listener, Realm
from sbc.policy.snapshot import Snapshot

_Key = tuple[Transport, str, int]
_Listener = UdpListener | StreamListener | Edge

LINGER = 35.0  # seconds that a UDP listener outlives its policy: transactions take 32 (64*T1, RFC 3261 s17), calls may take longer


@dataclass(frozen=True, slots=True)
class Listening:
    """What `sbc run` prints."""

    realm: str
    transport: Transport
    address: Address


@dataclass(slots=True)
class Prepared:
    """All that a policy needs of the network, ready to be used. To be committed or discarded, in the same moment if it can be."""

    wanted: dict[_Key, tuple[Realm, Listener]]
    contexts: tls.Contexts
    marks: dict[str, int]
    links: dict[str, tuple[str, Address, int]] = field(default_factory=dict)
    welcomings: dict[str, Welcoming] = field(default_factory=dict)
    uplinks: dict[str, SiteEnd] = field(default_factory=dict)
    opened: dict[_Key, _Listener] = field(default_factory=dict)


class Network:
    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        tasks: Tasks,
        receiver: Receiver,
        stats: Stats,
        doorman: Doorman,
        limits: StreamLimits = StreamLimits(),  # noqa: B008 - frozen
        links: Links | None = None,
    ) -> None:
        """`links`: None where no policy has linked sites."""
        self._loop = loop
        self._tasks = tasks
        self._receiver = receiver
        self._stats = stats
        self._limits = limits
        self._doorman = doorman
        self._links = links
        self._uplinks: dict[str, SiteEnd] = {}
        self._admission = Admission(limits, loop.time, doorman)
        self._pool = Pool(loop, tasks, receiver, limits, stats)
        self._listeners: dict[_Key, _Listener] = {}
        self._retired: dict[_Key, tuple[UdpListener, float]] = {}  # open for calls that began there; since when, loop time
        self._udp: dict[Address, UdpListener] = {}

    def apply(self, snapshot: Snapshot) -> None:
        """`prepare` and `commit`. Raises ConfigError, and then nothing has changed."""
        self.commit(self.prepare(snapshot, tls.read(snapshot)))

    def prepare(self, snapshot: Snapshot, contexts: tls.Contexts) -> Prepared:
        """Open what this policy listens on and is not open. Raises ConfigError; then all is closed again."""
        wanted: dict[_Key, tuple[Realm, Listener]] = {
            (listener.transport, listener.address, listener.port): (realm, listener)
            for realm in snapshot.realms.values()
            for listener in realm.listeners
            if realm.uplink is None
        }
        prepared = Prepared(wanted, contexts, {realm.name: realm.dscp for realm in snapshot.realms.values()}, links_of(snapshot))
        prepared.welcomings = {realm.name: welcoming(realm, snapshot) for (kind, *_), (realm, _) in wanted.items() if kind == "QUIC"}
        prepared.uplinks = self._new_uplinks(snapshot)
        with ExitStack() as undo:
            undo.callback(self.discard, prepared)
            for key, (realm, listener) in wanted.items():
                if key not in self._listeners and key not in self._retired:
                    prepared.opened[key] = self._open(realm, listener, wanted)
            undo.pop_all()
        return prepared

    def discard(self, prepared: Prepared) -> None:
        for listener in prepared.opened.values():
            listener.close()

    def commit(self, prepared: Prepared) -> None:
        """Cannot fail. New listeners are open before old ones close; connections stay."""
        self._pool.trust(prepared.contexts.clients, prepared.marks)
        for key in [key for key in self._listeners if key not in prepared.wanted]:
            self._retire(key, self._listeners.pop(key))
        for key in [key for key in self._retired if key in prepared.wanted]:
            self._listeners[key] = self._retired.pop(key)[0]
        self._listeners.update(prepared.opened)
        if self._links is not None:
            self._links.provide(prepared.links)
        for key, (realm, _) in prepared.wanted.items():
            self._adapt(self._listeners[key], realm, prepared)
        self._know_udp()
        for each in prepared.opened.values():
            each.start()
        self._pool.start()
        self._begin_uplinks(prepared.uplinks)

    def release(self, in_use: Collection[Flow]) -> bool:
        """Close what earlier policies listened on and nothing goes by any more. Whether there is more of that, for later."""
        used = {flow.local for flow in in_use if flow.transport == "UDP"}
        for key, (listener, since) in tuple(self._retired.items()):
            if listener.local not in used and self._loop.time() - since >= LINGER:
                del self._retired[key]
                listener.close()
        self._know_udp()
        return bool(self._retired)

    def listening(self) -> list[Listening]:
        return [Listening(each.realm, key[0], each.local) for key, each in self._listeners.items()]

    def connections(self) -> int:
        return len(self._pool)

    def send(self, effect: Send) -> None:
        flow = effect.flow
        if flow.transport == "QUIC" and self._links is not None:
            self._links.send(effect)
            return
        if flow.transport != "UDP":
            self._pool.send(effect)
            return
        listener = self._udp.get(flow.local)
        if listener is not None:
            listener.send(effect)
        else:  # a new policy has closed it
            self._receiver.receive_failure(effect.key, f"no UDP socket on {flow.local[0]}:{flow.local[1]}")

    def close_flow(self, flow: Flow) -> None:
        self._pool.close_flow(flow)

    def trust_flow(self, flow: Flow, alias: int) -> None:
        self._pool.trust_flow(flow, alias)

    def keep_alive(self, flow: Flow, within: float) -> None:
        self._pool.keep_alive(flow, within)

    async def close(self) -> None:
        """Stop listening, then let connections send what is written."""
        for uplink in self._uplinks.values():
            await uplink.stop()
        self._uplinks.clear()
        for listener in (*self._listeners.values(), *(listener for listener, _ in self._retired.values())):
            listener.close()
        self._listeners.clear()
        self._retired.clear()
        self._udp = {}
        await self._pool.close()

    def _new_uplinks(self, snapshot: Snapshot) -> dict[str, SiteEnd]:
        """By which we shall be a site of others. Raises ConfigError."""
        return {
            trunk.link: SiteEnd(trunk.link, realm, self._links, self._loop)
            for trunk in snapshot.trunks.values()
            if self._links is not None and (realm := snapshot.realms[trunk.realm]).uplink is not None
        }

    def _begin_uplinks(self, wanted: dict[str, SiteEnd]) -> None:
        """Those that stay as they are keep their connections."""
        for name, uplink in wanted.items():
            before = self._uplinks.get(name)
            if before is None or before.key != uplink.key:
                if before is not None:
                    self._tasks.start(before.stop())
                self._uplinks[name] = uplink
                uplink.start(self._tasks)

    def _retire(self, key: _Key, listener: _Listener) -> None:
        """Connections live on without their listener, but calls over UDP do not."""
        if isinstance(listener, UdpListener):
            self._retired[key] = listener, self._loop.time()
        else:
            listener.close()

    def _know_udp(self) -> None:
        listeners = (*self._listeners.values(), *(listener for listener, _ in self._retired.values()))
        self._udp = {each.local: each for each in listeners if isinstance(each, UdpListener)}

    def _open(self, realm: Realm, listener: Listener, wanted: Collection[_Key]) -> _Listener:
        host, port = listener.local
        if listener.transport == "QUIC":
            if self._links is None:
                raise ConfigError(f"realm {realm.name}: no links here")
            sock = _bind(realm, listener, lambda: open_udp(host, port))
            return Edge(
                sock,
                realm.name,
                self._links,
                loop=self._loop,
                admission=self._admission,
                stats=self._stats,
                receiver=self._receiver,
            )
        if listener.transport == "UDP":
            sock = _bind(realm, listener, lambda: open_udp(host, port))
            return UdpListener(sock, realm.name, self._loop, self._receiver, self._stats, self._doorman)
        return StreamListener(
            self._same_place(listener, wanted) or _bind(realm, listener, lambda: open_stream(host, port, BACKLOG)),
            listener.transport,
            self._pool.accept,
            loop=self._loop,
            tasks=self._tasks,
            admission=self._admission,
            limits=self._limits,
            stats=self._stats,
            failed=self._receiver.handshake_failed,
            offended=self._receiver.offended,
        )

    def _same_place(self, listener: Listener, wanted: Collection[_Key]) -> socket.socket | None:
        """The socket of the listener that has to go and is there for another transport, TCP's for TLS: the kernel has one only."""
        for key, each in self._listeners.items():
            if isinstance(each, StreamListener) and each.local == listener.local and key not in wanted:
                return each.duplicate()
        return None

    @staticmethod
    def _adapt(listener: _Listener, realm: Realm, prepared: Prepared) -> None:
        listener.realm = realm.name
        if isinstance(listener, Edge):
            listener.admit(prepared.welcomings[realm.name])
            return
        listener.mark(realm.dscp)
        if isinstance(listener, StreamListener):
            listener.context = prepared.contexts.servers.get((realm.name, listener.transport))
            if listener.transport in WEB_SOCKETS:
                listener.framing = partial(WebSocket, realm.origins)


def _bind(realm: Realm, listener: Listener, bind: Callable[[], socket.socket]) -> socket.socket:
    host, port = listener.local
    where = f"realm {realm.name}: {listener.transport} {f'[{host}]' if ':' in host else host}:{port}"
    try:
        return bind()
    except OSError as error:
        match error.errno:
            case code if code == EADDRINUSE:
                advice = f"another program uses it; find it with `ss -lnp | grep :{port}`, or choose another port"
            case code if code == EADDRNOTAVAIL:
                advice = "this machine does not have that address; `ip address` shows those it has"
            case code if code == EACCES:
                advice = "ports below 1024 need root or the capability CAP_NET_BIND_SERVICE"
            case _:
                advice = os.strerror(error.errno or 0)
        raise ConfigError(f"{where}: cannot listen: {advice}") from error
