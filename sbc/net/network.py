"""All signalling sockets of one policy: opened together or not at all, changed without losing a connection."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from errno import EACCES, EADDRINUSE, EADDRNOTAVAIL
from functools import partial

from sbc.effects import Send
from sbc.errors import ConfigError
from sbc.flow import Address, Flow, Transport
from sbc.net import tls
from sbc.net.admission import Admission
from sbc.net.limits import BACKLOG, StreamLimits
from sbc.net.listener import StreamListener
from sbc.net.pool import WEB_SOCKETS, Pool
from sbc.net.ports import Receiver
from sbc.net.sockets import open_stream, open_udp
from sbc.net.stats import Stats
from sbc.net.tasks import Tasks
from sbc.net.udp import UdpListener
from sbc.net.websocket import WebSocket
from sbc.policy.snapshot import Listener, Presented, Realm, Snapshot

_Key = tuple[Transport, str, int]


@dataclass(frozen=True, slots=True)
class Listening:
    """What `sbc run` prints."""

    realm: str
    transport: Transport
    address: Address


class Network:
    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        tasks: Tasks,
        receiver: Receiver,
        stats: Stats,
        limits: StreamLimits = StreamLimits(),  # noqa: B008 - frozen
    ) -> None:
        self._loop = loop
        self._tasks = tasks
        self._receiver = receiver
        self._stats = stats
        self._limits = limits
        self._admission = Admission(limits, loop.time)
        self._pool = Pool(loop, tasks, receiver, limits, stats)
        self._listeners: dict[_Key, UdpListener | StreamListener] = {}
        self._udp: dict[Address, UdpListener] = {}

    def apply(self, snapshot: Snapshot) -> None:
        """Open what this policy listens on and close what it no longer does; certificates are read anew.

        Connections stay. Raises ConfigError, and then nothing has changed.
        """
        wanted: dict[_Key, tuple[Realm, Listener]] = {
            (listener.transport, listener.address, listener.port): (realm, listener)
            for realm in snapshot.realms.values()
            for listener in realm.listeners
        }
        secure: dict[tuple[str, Transport], Realm] = {
            (realm.name, transport): realm for (transport, *_), (realm, _) in wanted.items() if transport in ("TLS", "WSS")
        }
        servers = {key: tls.server_context(realm, _presented(realm, key[1])) for key, realm in secure.items()}
        clients = {name: tls.outward(realm, snapshot) for (name, transport), realm in secure.items() if transport == "TLS"}
        opened: dict[_Key, UdpListener | StreamListener] = {}
        with ExitStack() as undo:
            for key, (realm, listener) in wanted.items():
                if key not in self._listeners:
                    opened[key] = self._open(realm, listener)
                    undo.callback(opened[key].close)
            undo.pop_all()
        # From here on nothing can fail. New ones are open before old ones close.
        self._pool.trust(clients, {realm.name: realm.dscp for realm in snapshot.realms.values()})
        for key in [key for key in self._listeners if key not in wanted]:
            self._listeners.pop(key).close()
        self._listeners.update(opened)
        for key, (realm, _) in wanted.items():
            self._adapt(self._listeners[key], realm, servers)
        self._udp = {each.local: each for each in self._listeners.values() if isinstance(each, UdpListener)}
        for each in opened.values():
            each.start()
        self._pool.start()

    def listening(self) -> list[Listening]:
        return [Listening(each.realm, key[0], each.local) for key, each in self._listeners.items()]

    def connections(self) -> int:
        return len(self._pool)

    def send(self, effect: Send) -> None:
        flow = effect.flow
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
        for listener in self._listeners.values():
            listener.close()
        self._listeners.clear()
        self._udp = {}
        await self._pool.close()

    def _open(self, realm: Realm, listener: Listener) -> UdpListener | StreamListener:
        host, port = listener.local
        if listener.transport == "UDP":
            sock = _bind(realm, listener, lambda: open_udp(host, port))
            return UdpListener(sock, realm.name, self._loop, self._receiver, self._stats)
        return StreamListener(
            _bind(realm, listener, lambda: open_stream(host, port, BACKLOG)),
            listener.transport,
            self._pool.accept,
            loop=self._loop,
            tasks=self._tasks,
            admission=self._admission,
            limits=self._limits,
            stats=self._stats,
            failed=self._receiver.handshake_failed,
        )

    @staticmethod
    def _adapt(listener: UdpListener | StreamListener, realm: Realm, contexts: dict[tuple[str, Transport], ssl.SSLContext]) -> None:
        listener.realm = realm.name
        listener.mark(realm.dscp)
        if isinstance(listener, StreamListener):
            listener.context = contexts.get((realm.name, listener.transport))
            if listener.transport in WEB_SOCKETS:
                listener.framing = partial(WebSocket, realm.origins)


def _presented(realm: Realm, transport: Transport) -> Presented:
    """A browser that is asked for a certificate asks its user: on WebSockets only where there is no way without."""
    return "never" if transport == "WSS" and realm.client_certificates == "optional" else realm.client_certificates


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
