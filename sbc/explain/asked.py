"""What is asked: a request, who brings it, and what the world is assumed to be like."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from sbc.call.context import SentBy
from sbc.errors import ConfigError, SipError
from sbc.explain.capture import Captured
from sbc.explain.ids import CountingIds
from sbc.flow import TRANSPORTS, Address, Flow, Transport
from sbc.frozen import replace
from sbc.policy.counters import LimitState
from sbc.policy.decide import Admitted, trunk_at
from sbc.policy.problems import did_you_mean
from sbc.policy.realms import Listener, Realm
from sbc.policy.snapshot import Credentials, Party, Snapshot, Trunk, User
from sbc.sdp.offer import MediaLeg
from sbc.sdp.rules import AS_NAMED, MediaRules
from sbc.sip.locate import is_address
from sbc.sip.message import Request
from sbc.sip.names import AUTHORIZATION, PROXY_AUTHORIZATION
from sbc.sip.parse import Malformed, parse_datagram
from sbc.sip.uri import Uri, format_host

PEER_PORT = 5060
SOMEWHERE = {4: "198.18.0.1", 6: "2001:2::1"}  # networks for tests (RFC 2544, 5180): nobody's, whatever the policy says
FINGERPRINT = "sha-256 " + ":".join(["5B"] * 32)

Verified = Literal["passed", "failed", "unsigned"]


@dataclass(frozen=True, slots=True)
class Reply:
    """What somebody answers an INVITE with. `reason`: "": the usual one."""

    status: int
    reason: str = ""
    headers: tuple[tuple[str, str], ...] = ()


ANSWERS = Reply(200)


@dataclass(frozen=True, slots=True)
class Contact:
    """Where somebody is registered: `uri` to call it by, and the way there."""

    uri: str
    transport: Transport
    address: Address


Contacts = Callable[[str], tuple[Contact, ...] | None]
"""Of an account, by its name; (): it is registered, but its connection is lost. None: it is not."""


@dataclass(frozen=True, slots=True)
class Assumed:
    """What is not in the policy.

    answers   by trunk or user; 408: it does not answer. Others answer 200
    calls     by trunk, user, or number of one: how many it has already
    absent    those who would register, but have not
    signed    what verifying the caller's signature comes to
    limits    what is counted already
    contacts  of those who register here; None: all have, wherever
    """

    answers: Mapping[str, Reply] = field(default_factory=dict)
    calls: Mapping[str, int] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()
    signed: Verified = "unsigned"
    limits: tuple[LimitState, ...] = ()
    contacts: Contacts | None = None

    def contacts_of(self, name: str) -> tuple[Contact, ...] | None:
        """None: it is not registered."""
        return self.contacts(name) if self.contacts is not None and name not in self.absent else None

    def is_away(self, party: Party) -> bool:
        """Nobody would know it, because it is not registered."""
        through_us = party.register_at is not None and self.contacts is not None
        return party.name in self.absent or (through_us and not self.contacts_of(party.name))


NOTHING_SPECIAL = Assumed()


@dataclass(frozen=True, slots=True)
class Bringer:
    """Who brings a request, and by which way.

    account   what a challenge is answered with
    as_who    who it is taken for, where no proof can be made here: it has registered somewhere
    """

    flow: Flow
    account: Credentials | None = None
    as_who: Admitted | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    octets: bytes
    bringer: Bringer
    assumed: Assumed = NOTHING_SPECIAL


@dataclass(frozen=True, slots=True)
class Flags:
    """A call in words. `to`, `caller`: a number, a name or a URI. `source`: an address, with or without port.

    headers   rows that go along
    codecs    of the offer; none: all that the caller's media names
    offer     the session description itself; None: one is made; empty: a call without
    """

    to: str
    trunk: str = ""
    user: str = ""
    source: str = ""
    realm: str = ""
    transport: str = ""
    caller: str = ""
    name: str = ""
    method: str = "INVITE"
    headers: tuple[tuple[str, str], ...] = ()
    codecs: tuple[str, ...] = ()
    offer: bytes | None = None


def asked(snapshot: Snapshot, flags: Flags, assumed: Assumed = NOTHING_SPECIAL) -> Asked:
    """Raises ConfigError: there is no such trunk, the address belongs to no realm, the text would break the message."""
    _check_names(snapshot, assumed)
    for text in (flags.to, flags.caller, flags.name, flags.method, *(part for row in flags.headers for part in row)):
        if any(ord(character) < 32 for character in text):
            raise ConfigError(f"{text!r} has a line end or another control character in it")
    bringer = bring(snapshot, flags, assumed)
    return Asked(_octets(snapshot, flags, bringer), bringer, assumed)


def brought(snapshot: Snapshot, flags: Flags, octets: bytes, assumed: Assumed = NOTHING_SPECIAL) -> Asked:
    """The same of a message. Whose it is: `trunk`, `user` or `source`, else whoever its top Via names. Raises ConfigError."""
    _check_names(snapshot, assumed)
    try:
        message = parse_datagram(octets)
    except Malformed as error:
        if not (flags.trunk or flags.user or flags.source):
            raise ConfigError(f"the message cannot be read ({error}); say who brings it: --trunk, --user or --source") from None
        return Asked(octets, bring(snapshot, flags, assumed), assumed)
    if not isinstance(message, Request):
        raise ConfigError("that is an answer: what is decided are requests")
    if not (flags.trunk or flags.user or flags.source):
        flags = replace(flags, source=_sender(message))
    bringer = bring(snapshot, flags, assumed)
    if bringer.account is not None:  # its credentials, if there are any, answer a challenge that is long over
        for name in (AUTHORIZATION, PROXY_AUTHORIZATION):
            message.headers.remove(name)
        octets = message.encode()
    return Asked(octets, bringer, assumed)


def captured(
    snapshot: Snapshot, flags: Flags, found: list[Captured], assumed: Assumed = NOTHING_SPECIAL, call_id: str = ""
) -> tuple[Asked, list[str]]:
    """The call of that Call-ID, else the first in a capture that came to us; and the Call-IDs of the others. Raises ConfigError."""
    begun: dict[str, Captured] = {}
    for each in found:
        message = _readable(each.octets)
        if message is not None and not message.to.tag and message.method not in ("ACK", "CANCEL", "PRACK", "BYE"):
            begun.setdefault(message.call_id, each)
    if not begun:
        raise ConfigError("there is no request in it that begins a call")
    if call_id and call_id not in begun:
        raise ConfigError(f"there is no call {call_id!r} in it; there are: {', '.join(list(begun)[:20])}")
    ours = {each: one for each, one in begun.items() if _listener_at(snapshot, one) is not None}
    chosen = call_id or next(iter(ours or begun))
    one = begun[chosen]
    at = _listener_at(snapshot, one)
    if at is None and not (flags.trunk or flags.user or flags.source):
        raise ConfigError(
            f"it went to {format_host(*one.destination)}, where this policy does not listen; say who brings it: --trunk, --user or --source"
        )
    if at is not None and not (flags.trunk or flags.user):
        flags = replace(flags, source=format_host(*one.source), realm=at[0], transport=at[1])
    return brought(snapshot, flags, one.octets, assumed), [each for each in begun if each != chosen]


def _readable(octets: bytes) -> Request | None:
    try:
        message = parse_datagram(octets)
    except Malformed as error:
        return error.request
    return message if isinstance(message, Request) else None


def _listener_at(snapshot: Snapshot, one: Captured) -> tuple[str, str] | None:
    """The realm and the transport of ours that it came to, at our own address or the one that NAT has for us."""
    for realm in snapshot.realms.values():
        for listener in realm.listeners:
            here = (listener.local, (listener.advertise, listener.port))
            if one.destination in here and (listener.transport == "UDP") == (one.transport == "UDP"):
                return realm.name, listener.transport
    return None


def _sender(message: Request) -> str:
    via = message.via
    host = via.param("received") or via.host
    if not is_address(host):
        raise ConfigError(f"who brings it? Its Via names {host}, which is no address: --trunk, --user or --source")
    return format_host(host, via.port or PEER_PORT)


def _check_names(snapshot: Snapshot, assumed: Assumed) -> None:
    for name in (*assumed.answers, *assumed.calls, *assumed.absent):
        party_of(snapshot, snapshot.inventory.owner_of(name) or name)


def bring(snapshot: Snapshot, flags: Flags, assumed: Assumed = NOTHING_SPECIAL) -> Bringer:
    """The way of a request of that trunk or user, or from that source."""
    if flags.trunk and flags.user:
        raise ConfigError("either --trunk or --user: a call has one caller")
    name = flags.trunk or flags.user
    if not name and not flags.source:
        raise ConfigError("who calls? --trunk NAME, --user NAME or --source ADDRESS")
    party = party_of(snapshot, name, trunk=bool(flags.trunk), user=bool(flags.user)) if name else None
    if party is not None and not flags.source and (contacts := assumed.contacts_of(name)):
        flags = replace(flags, source=format_host(*contacts[0].address), transport=flags.transport or contacts[0].transport)
    realm = _realm(snapshot, flags, party)
    flow = _flow(snapshot, realm, flags, party)
    if party is None:
        return Bringer(flow)
    if flow.names or (trunk_at(snapshot, flow) is party and isinstance(party, Trunk) and party.authenticates is None):
        return Bringer(flow)
    account = _account(party)
    if account is not None and party.register_at is None:
        return Bringer(flow, account)
    if _registers(party) and assumed.is_away(party):
        return Bringer(flow)
    return Bringer(flow, as_who=Admitted(party, "registration" if _registers(party) else "address"))


def party_of(snapshot: Snapshot, name: str, *, trunk: bool = True, user: bool = True) -> Party:
    """Raises ConfigError."""
    known: dict[str, Party] = {**(snapshot.trunks if trunk else {}), **(snapshot.users if user else {})}
    if name not in known:
        what = " or ".join(["trunk"] * trunk + ["user"] * user)
        if name in snapshot.trunks or name in snapshot.users:
            raise ConfigError(f"{name!r} is no {what}, but a {'user' if trunk else 'trunk'}")
        raise ConfigError(f"there is no {what} {name!r}{did_you_mean(name, known)}")
    return known[name]


def _realm(snapshot: Snapshot, flags: Flags, party: Party | None) -> Realm:
    if flags.realm and flags.realm not in snapshot.realms:
        raise ConfigError(f"there is no realm {flags.realm!r}{did_you_mean(flags.realm, snapshot.realms)}")
    if party is not None:
        if flags.realm not in ("", party.realm):
            raise ConfigError(f"{party.name} is in realm {party.realm}")
        return snapshot.realms[party.realm]
    if flags.realm:
        return snapshot.realms[flags.realm]
    host, _ = _address(flags.source)
    near = [realm for name, realm in snapshot.realms.items() if _is_known_there(snapshot, name, host)]
    if len(near) == 1 or len(snapshot.realms) == 1:
        return (near or list(snapshot.realms.values()))[0]
    raise ConfigError(f"which network does {host} come by? --realm {', '.join(snapshot.realms)}")


def _is_known_there(snapshot: Snapshot, realm: str, host: str) -> bool:
    return trunk_at(snapshot, Flow(realm, "UDP", ("", 0), (host, PEER_PORT))) is not None


def _flow(snapshot: Snapshot, realm: Realm, flags: Flags, party: Party | None) -> Flow:
    names = (party.accept_certificate[:1] if isinstance(party, Trunk) else ()) if not flags.source else ()
    host, port = _address(flags.source) if flags.source else _place_of(snapshot, realm, party)
    listener = _listener(realm, flags, party, host, by_certificate=bool(names))
    host = host or SOMEWHERE[6 if ":" in listener.address else 4]
    connection = 0 if listener.transport == "UDP" else 1
    return Flow(realm.name, listener.transport, listener.local, (host, port), connection, names)


def _place_of(snapshot: Snapshot, realm: Realm, party: Party | None) -> tuple[str, int]:
    """An address that the trunk is known by, and no other one; "": anywhere."""
    for network in party.accept_from if isinstance(party, Trunk) else ():
        for host in _hosts(network):
            found = trunk_at(snapshot, Flow(realm.name, "UDP", ("", 0), (host, PEER_PORT)))
            if found is party or (party is not None and isinstance(party, Trunk) and party.authenticates is not None):
                return host, PEER_PORT
    return "", PEER_PORT


def _hosts(network: str) -> Iterable[str]:
    """The first, one in the middle and the last: within a network may be that of another trunk."""
    net = ipaddress.ip_network(network)
    size = net.num_addresses
    return dict.fromkeys(str(net[index]) for index in (min(1, size - 1), size // 2, size - 1, 0))


def _listener(realm: Realm, flags: Flags, party: Party | None, host: str, *, by_certificate: bool) -> Listener:
    if flags.transport and flags.transport.upper() not in TRANSPORTS:
        raise ConfigError(f"a transport is one of {', '.join(TRANSPORTS).lower()}")
    wanted = TRANSPORTS[flags.transport.upper()] if flags.transport else None
    usual = _usual(party, by_certificate=by_certificate)
    fitting = [each for each in realm.listeners if not host or (":" in each.address) == (":" in host)]
    for transport in (wanted,) if wanted else (*usual, *(each.transport for each in fitting)):
        for each in fitting:
            if each.transport == transport:
                return each
    raise ConfigError(f"realm {realm.name} has no listener{f' for {wanted}' if wanted else ''} that {host or 'it'} could come to")


def _usual(party: Party | None, *, by_certificate: bool) -> tuple[Transport, ...]:
    """How it comes if nobody says: keys of SRTP and certificates want TLS."""
    if by_certificate or (party is not None and party.media.srtp != "off"):
        return ("TLS", "WSS") if by_certificate else ("TLS", "WSS", "UDP")
    peer = party.peer if isinstance(party, Trunk) else None
    return (peer.transport,) if peer is not None and peer.transport is not None else ("UDP",)


def _address(source: str) -> tuple[str, int]:
    host, port = source, PEER_PORT
    if source.count(":") == 1 or source.startswith("["):
        host, _, digits = source.rpartition(":")
        if not digits.isascii() or not digits.isdigit() or not 0 < int(digits) < 65536:
            raise ConfigError(f"{source}: a source is an address, or an address and a port: 192.0.2.7:5060")
        host, port = host.strip("[]"), int(digits)
    try:
        return str(ipaddress.ip_address(host)), port
    except ValueError:
        raise ConfigError(f"{source}: a source is a numeric address") from None


def _account(party: Party) -> Credentials | None:
    if isinstance(party, User):
        return Credentials(party.name, party.password)
    return party.registers or party.authenticates


def _registers(party: Party) -> bool:
    return party.register_at is not None or (isinstance(party, Trunk) and party.register_to is not None)


def _octets(snapshot: Snapshot, flags: Flags, bringer: Bringer) -> bytes:
    """As it would come: what is no number is not made one, so that a wrong one is refused where it would be."""
    flow, realm = bringer.flow, snapshot.realms[bringer.flow.realm]
    party = _party_known(snapshot, bringer)
    ours, theirs = format_host(realm.domains[0], None), format_host(*flow.remote)
    caller = flags.caller or (party.headers.main_number or party.name if party is not None else "caller")
    via = SentBy(flow.transport, *flow.remote).via("z9hG4bKexplain")
    target, from_ = _uri(flags.to, ours), _uri(caller, theirs)
    body = b"" if flags.method != "INVITE" else _offer(flags, party, flow) if flags.offer is None else flags.offer
    rows = [
        f"{flags.method} {target} SIP/2.0",
        f"Via: {via}",
        "Max-Forwards: 70",
        f"From: {_quoted(flags.name)}<{from_}>;tag=explain",
        f"To: <{target if _is_uri(target) else f'sip:{ours}'}>",
        f"Call-ID: explain@{theirs}",
        f"CSeq: 1 {flags.method}",
        f"Contact: <sip:{'' if party is None else party.name + '@'}{theirs}>",
        *(f"{name}: {value}" for name, value in flags.headers),
        *(["Content-Type: application/sdp"] if body else []),
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join((*rows, "", "")).encode("utf-8", "surrogateescape") + body


def _party_known(snapshot: Snapshot, bringer: Bringer) -> Party | None:
    if bringer.as_who is not None:
        return bringer.as_who.party
    if bringer.account is not None:
        return snapshot.accounts.get((bringer.flow.realm, bringer.account.user))
    return trunk_at(snapshot, bringer.flow)


def _uri(text: str, host: str) -> str:
    scheme = text.partition(":")[0].lower()
    return text if scheme in ("sip", "sips", "tel", "urn") and ":" in text else f"sip:{text}@{host}" if text else f"sip:{host}"


def _is_uri(text: str) -> bool:
    try:
        Uri.parse(text)
    except SipError:
        return False
    return True


def _quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '" ' if name else ""


def _offer(flags: Flags, party: Party | None, flow: Flow) -> bytes:
    """What its side of the policy allows it to say; what is done with offers to it, or from it, is not its own affair."""
    rules = replace(party.media, offers_to=AS_NAMED) if party is not None else MediaRules()
    if flags.codecs:
        rules = replace(rules, codecs=flags.codecs)
    leg = MediaLeg(rules, 1, accept_loopback=True)
    leg.listen((flow.remote[0], 40000), fingerprint=FINGERPRINT)
    try:
        return leg.make_offer(None, CountingIds(), flow.secure)
    except SipError as error:
        if rules.srtp == "required" and not flow.secure:
            raise ConfigError(f"no SRTP keys over {flow.transport}: --transport tls") from None
        raise ConfigError(f"no offer can be made of these codecs: {error}") from None
