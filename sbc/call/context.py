"""What every leg and call may use: identifiers, timers, transactions, the dialog table, and one way out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_address
from typing import Protocol

from media.api import MediaEvent, RelayPorts, RelayStats
from sbc.call.decisions import Decisions
from sbc.call.homes import Homes
from sbc.call.intrusions import Intrusions
from sbc.call.outcomes import Outcomes
from sbc.call.peers import Peers, Vouched
from sbc.call.penalties import Penalties
from sbc.call.voice_reports import VoiceReports
from sbc.clock import Ids, Now
from sbc.effects import Effect, TrustFlow, Vouch
from sbc.flow import Address, Flow, Transport
from sbc.frozen import frozen
from sbc.identity.signature import Signature
from sbc.identity.verdict import Verdict
from sbc.policy.limits import Limits
from sbc.policy.realms import Realm
from sbc.policy.snapshot import Party, Snapshot, Trunk, User, stranger_in
from sbc.shield.acquaintances import Acquaintances
from sbc.shield.queue import Rank
from sbc.sip.fields.via import Via
from sbc.sip.grammar import Params
from sbc.sip.locate import Answers
from sbc.sip.message import Request, Response
from sbc.sip.overload import OFFER, Overload, Relief
from sbc.sip.server import DEFAULT_PORT, DEFAULT_PORTS, ClosedConnections
from sbc.sip.timers import Timers
from sbc.sip.transactions import Transactions
from sbc.sip.uri import Uri, format_host
from sbc.tap import NoTap, Tap

# What we can do inside a dialog; anything else is answered 405 (RFC 3261 s8.2.1).
DIALOG_METHODS = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "PRACK", "UPDATE")
SUPPORTED = "timer, 100rel"
FORMER_LISTENERS = 256  # remembered for the calls that still go by them
SUPPORTED_UNRELIABLE = "timer"  # where a reliable 1xx could not be answered


class DialogUser(Protocol):
    """Owner of a dialog: whoever gets the requests inside it. `party` is the peer, last heard on `flow`."""

    @property
    def party(self) -> Party: ...
    @property
    def flow(self) -> Flow: ...

    def receive_request(self, request: Request, flow: Flow, now: Now) -> None: ...


class RelayUser(Protocol):
    """Owner of a media relay."""

    def relay_opened(self, relay: str, ports: RelayPorts, now: Now) -> None: ...
    def relay_failed(self, relay: str, reason: str, now: Now) -> None: ...
    def relay_closed(self, relay: str, stats: RelayStats, now: Now) -> None: ...
    def media_happened(self, event: MediaEvent, now: Now) -> None: ...


# "transport=ws" stands for both kinds of WebSocket (RFC 7118 s5.2)
CONTACT_PARAMS: Mapping[Transport, str] = {
    "UDP": "",
    "TCP": ";transport=tcp",
    "TLS": ";transport=tls",
    "WS": ";transport=ws",
    "WSS": ";transport=ws",
    "QUIC": ";transport=quic",
}


@frozen
class SentBy:
    """How one of our listeners names itself to its peers: in Via and in Contact. `via_params`: what else stands in each Via."""

    transport: Transport
    host: str
    port: int
    via_params: Params = ()

    def via(self, branch: str) -> Via:
        return Via(self.transport, self.host, self.port, branch, wants_rport=True, params=self.via_params)

    def contact(self, user: str, target: Uri | None = None) -> str:
        """`target`: the Request-URI of the call; a call to a sips URI has sips Contacts (RFC 3261 s12.1.1)."""
        host = format_host(self.host, self.port)
        if target is not None and target.scheme == "sips":
            return f"<sips:{user}@{host}{';transport=ws' if self.transport == 'WSS' else ''}>"
        return f"<sip:{user}@{host}{CONTACT_PARAMS[self.transport]}>"


Way = tuple[Uri, Flow, tuple[str, ...]]
"""Of a registered party: its Contact, the flow it is reached over, and the Route to it, topmost first."""

TRANSPORTS: Mapping[str, Transport] = {"udp": "UDP", "tcp": "TCP", "tls": "TLS"}


@dataclass(slots=True)
class Context:
    ids: Ids
    snapshot: Snapshot
    timers: Timers
    transactions: Transactions
    limits: Limits
    emit: Callable[[Effect], None]
    overload: Overload
    relief: Relief
    registered: Callable[[str, str, Now], tuple[Way, ...] | None]  # how the user or trunk of that name is reached, see Bindings.ways
    dialogs: dict[tuple[str, str], DialogUser] = field(default_factory=dict)  # (Call-ID, our tag)
    relays: dict[str, RelayUser] = field(default_factory=dict)
    questions: dict[str, Callable[[Answers, Now], None]] = field(default_factory=dict)
    proofs: dict[str, Callable[[Verdict, Now], None]] = field(default_factory=dict)
    signatures: dict[str, Callable[[Signature, Now], None]] = field(default_factory=dict)
    peers: Peers = field(default_factory=Peers)
    acquaintances: Acquaintances = field(default_factory=Acquaintances)
    homes: Homes = field(default_factory=Homes)
    penalties: Penalties = field(default_factory=Penalties)
    outcomes: Outcomes = field(default_factory=Outcomes)
    decisions: Decisions = field(default_factory=Decisions)
    intrusions: Intrusions = field(default_factory=Intrusions)
    voice_reports: VoiceReports = field(default_factory=VoiceReports)
    closed: ClosedConnections = field(default_factory=ClosedConnections)
    tap: Tap = field(default_factory=NoTap)
    draining: bool = False
    _former: dict[Address, str] = field(default_factory=dict)  # what peers were told of listeners that are no more
    _sent_by: dict[tuple[bool, str, Transport, str, int], SentBy] = field(default_factory=dict)

    def sent_by(self, flow: Flow, party: Party) -> SentBy:
        """Our own address as `party` sees it on this flow; with `advertise`, the public one (1:1 NAT)."""
        heeds = isinstance(party, Trunk) and party.overload_control
        key = (heeds, flow.realm, flow.transport, *flow.local)
        known = self._sent_by.get(key)
        if known is None:
            realm = self.snapshot.realms.get(flow.realm)
            advertised = {listener.local: listener.advertise for listener in realm.listeners} if realm else {}
            host = advertised.get(flow.local) or self._former.get(flow.local, flow.local[0])
            known = self._sent_by[key] = SentBy(flow.transport, host, flow.local[1], OFFER if heeds else ())
        return known

    def trust(self, flow: Flow, name: str, via: Via | None = None) -> None:
        """The trunk or user of that name has proved who it is on this flow. A connection is told of once, and of its alias if it has one.

        With `alias` in its Via, a peer whose certificate was verified lets us send it requests by the connection it opened
        (RFC 5923 s8.2); by TLS only, and only to the names in that certificate.
        """
        helped = name == stranger_in(flow.realm)  # it has proved nothing: its connection is left alone, and that is all
        self.acquaintances.note(flow, Rank.SEEN if helped else Rank.AUTHENTICATED)
        if not flow.connection:
            return
        alias = 0
        if via is not None and flow.names and flow.transport == "TLS" and via.param("alias") is not None:
            alias = via.port or default_port("TLS")
        known = self.peers.vouched(flow.connection)
        was_helped = known is not None and not helped and self.peers.who(flow.connection) == stranger_in(flow.realm)
        if known is None or was_helped or (alias and not known):
            self.peers.vouch(Vouched(flow, name, alias))
            self.emit(TrustFlow(flow, alias))
            if not helped:
                self.emit(Vouch(flow))

    def replace_snapshot(self, snapshot: Snapshot) -> None:
        """Limits, bans and addresses follow the new policy at once; calls keep the one they began with, and where they are reached."""
        former = {listener.local: listener.advertise for realm in self.snapshot.realms.values() for listener in realm.listeners}
        self._former = dict([*self._former.items(), *former.items()][-FORMER_LISTENERS:])
        self.snapshot = snapshot
        self.limits.follow(snapshot)
        self._sent_by.clear()

    def listens(self, flow: Flow) -> bool:
        """Whether the policy still has the listener that this came by; a connection lives on without."""
        realm = self.snapshot.realms.get(flow.realm)
        if realm is None:
            return False
        return flow.reliable or any(each.local == flow.local for each in realm.listeners if each.transport == flow.transport)

    def is_us(self, host: str, port: int | None) -> bool:
        """Whether a Via names one of our listeners, in any realm."""
        return any(
            host in (listener.address, listener.advertise) and (port or default_port(listener.transport)) == listener.port
            for realm in self.snapshot.realms.values()
            for listener in realm.listeners
        )

    def answer(self, request: Request, status: int, reason: str = "", headers: tuple[tuple[str, str], ...] = ()) -> Response:
        """A response of ours outside the calls' own business."""
        return Response.answer(request, status, reason, to_tag="" if status == 100 else self.ids.tag(), headers=headers)


def flow_to(realm: Realm, transport: Transport, host: str, port: int) -> Flow | None:
    """A flow from this realm's listener of that transport, of the peer's address family; None: there is no such listener."""
    for listener in realm.listeners:
        if listener.transport == transport and (transport == "QUIC" or (":" in listener.address) == (":" in host)):
            return Flow(realm.name, transport, (listener.address, listener.port), (host, port))
    return None


@lru_cache(maxsize=4096)
def is_private(host: str) -> bool | None:
    """None: a name, not an address."""
    try:
        return ip_address(host).is_private
    except ValueError:
        return None


def flow_within(context: Context, party: Party, realm: Realm, flow: Flow, hop: Uri, now: Now) -> Flow:
    """Where a request inside a dialog goes (RFC 3261 s12.2.1.1), given the flow the peer was last heard on.

    A living connection is used again, and users are only ever reached where they came from: behind a NAT their Contact
    is of no use (RFC 5626 s4.3); one that lost its connection may have registered on another. A trunk is reached at its
    Contact or first Route, unless that is a name, or a private address behind a public source.
    """
    gone = flow.connection != 0 and flow.connection in context.closed
    if isinstance(party, User) or (flow.reliable and not gone):
        registered = context.registered(party.name, "", now) if gone else None
        return registered[0][1] if registered else flow
    if (hop.host, hop.port or 5060) == flow.remote and not hop.params and not gone:
        return flow  # nearly always
    private = is_private(hop.host)
    if private is None or (private and not is_private(flow.remote[0])):
        return flow._replace(connection=0)
    # Never down from TLS, whatever a Contact says or leaves out (RFC 3261 s26.2.1)
    transport = flow.transport if flow.secure else TRANSPORTS.get((hop.param("transport") or "").lower(), flow.transport)
    if transport == flow.transport and (":" in hop.host) == (":" in flow.local[0]):
        way = flow._replace(remote=(hop.host, hop.port or default_port(transport)), connection=0)
    else:
        way = flow_to(realm, transport, hop.host, hop.port or default_port(transport)) or flow._replace(connection=0)
    if way.secure and party.peer is not None and not context.peers.expected(way):
        context.peers.expect(party.peer.host, way)  # an address out of a Contact proves nothing: the certificate there must be the trunk's
    return way


def default_port(transport: Transport) -> int:
    return DEFAULT_PORTS.get(transport, DEFAULT_PORT)
