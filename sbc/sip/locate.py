"""Where a SIP server is to be found: RFC 3263 s4 with the weights of RFC 2782 and the address order of RFC 6724 (RFC 7984). Pure.

Whoever can ask (sbc.net.resolver) puts what `next_questions` wants until it wants nothing more; then `servers` has the list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from itertools import groupby
from typing import Literal

from sbc.flow import Address, Transport
from sbc.frozen import frozen
from sbc.sip.server import DEFAULT_PORT, DEFAULT_PORTS

Kind = Literal["NAPTR", "SRV", "A", "AAAA"]

# More is not a service but an attack on whoever tries them all (Kamailio: 32 SRV records of one priority, pjsip: 8 addresses).
MAX_SERVERS = 32
MAX_NAPTR = 8  # of use to us are three: one for each transport

# Without NAPTR the client chooses (RFC 3263 s4.1): the protected one first, the one without a length limit before UDP.
PREFERENCE: tuple[Transport, ...] = ("TLS", "TCP", "UDP")
LAST_RESORT: tuple[Transport, ...] = ("UDP", "TCP", "TLS")  # nothing but an address is known: "UDP for a SIP URI" (s4.1)
SERVICES: Mapping[str, Transport] = {"sips+d2t": "TLS", "sip+d2t": "TCP", "sip+d2u": "UDP"}
SRV_NAMES: Mapping[Transport, str] = {"TLS": "_sips._tcp.", "TCP": "_sip._tcp.", "UDP": "_sip._udp."}


@frozen
class Question:
    """`name` without the final dot, lower case."""

    kind: Kind
    name: str


@frozen
class Naptr:
    """RFC 3403 s4. `replacement` without the final dot."""

    order: int
    preference: int
    flags: str
    service: str
    regexp: str
    replacement: str


@frozen
class Srv:
    """RFC 2782. `target` without the final dot; "" or ".": the service is decidedly not available here."""

    priority: int
    weight: int
    port: int
    target: str


Record = Naptr | Srv | str  # str: the numeric address of an A or AAAA record
Answers = Mapping[Question, tuple[Record, ...]]  # an empty tuple: there is no such record, or nobody could say


@frozen
class Wanted:
    """A URI as far as finding its server goes, and what we can reach it from.

    port, transport   as the URI has them; None: it does not say
    secure            a sips URI: nothing but TLS will do
    sources           the transports we have a listener of, with its address: a family that is not there cannot be used
    """

    host: str
    port: int | None
    transport: Transport | None
    secure: bool
    sources: tuple[tuple[Transport, str], ...]


@frozen
class Server:
    """`name` is what a TLS certificate must prove: the domain of the URI, whatever DNS made of it (RFC 5922 s4)."""

    transport: Transport
    address: Address
    name: str


def next_questions(wanted: Wanted, answers: Answers) -> tuple[Question, ...]:
    """All that can be asked next, at once; nothing: `servers` has what it needs."""
    if is_address(wanted.host):
        return ()
    naptr = Question("NAPTR", wanted.host)
    if _asks_naptr(wanted) and naptr not in answers:
        return (naptr,)
    services = dict.fromkeys(question for _, question in _services(wanted, answers) if question not in answers)
    if services:
        return tuple(services)
    hosts = [
        Question(kind, srv.target)
        for transport, records in _offers(wanted, answers)
        for srv in records
        if not is_address(srv.target)  # a record that should not be, but is meant well
        for kind in _kinds(wanted, transport)
    ]
    return tuple(question for question in dict.fromkeys(hosts) if question not in answers)


def servers(wanted: Wanted, answers: Answers, random: Callable[[int], bytes]) -> tuple[Server, ...]:
    """Where to try, in order, each once; empty: nowhere. `random` gives that many octets, to choose by weight with."""
    if is_address(wanted.host):
        return _at_address(wanted)
    found: list[Server] = []
    for transport, records in _offers(wanted, answers):
        for srv in in_order(records, random):
            addresses = _addresses(wanted, transport, srv.target, answers)
            found += [Server(transport, (address, srv.port), wanted.host) for address in addresses]
    return tuple(dict.fromkeys(found))[:MAX_SERVERS]


def in_order(records: list[Srv], random: Callable[[int], bytes]) -> list[Srv]:
    """By ascending priority, and by chance within one: the weights say how likely each is to come first (RFC 2782)."""
    ordered: list[Srv] = []
    for _, group in groupby(sorted(records, key=lambda record: record.priority), key=lambda record: record.priority):
        # "to provide the possibility for weight 0 to be selected", those come first
        left = sorted(group, key=lambda record: record.weight > 0)
        while len(left) > 1:
            chosen = int.from_bytes(random(8), "big") % (sum(record.weight for record in left) + 1)
            index = 0
            while chosen > left[index].weight:
                chosen -= left[index].weight
                index += 1
            ordered.append(left.pop(index))
        ordered += left
    return ordered


@lru_cache(maxsize=4096)
def is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=4096)
def _at_address(wanted: Wanted) -> tuple[Server, ...]:
    """Remembered: most trunks have a numeric address, and each of their calls asks for it."""
    kind = "AAAA" if ":" in wanted.host else "A"
    places = [(transport, records[0].port) for transport, records in _last_resort(wanted) if kind in _kinds(wanted, transport)]
    return tuple(Server(transport, (wanted.host, port), wanted.host) for transport, port in places)


def _supported(wanted: Wanted) -> list[Transport]:
    """What the URI leaves open and we have a listener for, in our order of preference."""
    ours = {transport for transport, _ in wanted.sources}
    if wanted.secure or wanted.transport is not None:
        ours &= {"TLS" if wanted.secure else wanted.transport or "UDP"}
    return [transport for transport in PREFERENCE if transport in ours]


def _asks_naptr(wanted: Wanted) -> bool:
    return wanted.port is None and wanted.transport is None


def _services(wanted: Wanted, answers: Answers) -> list[tuple[Transport, Question]]:
    """The SRV records to look for, in order. A port says that there are none (RFC 3263 s4.2)."""
    if wanted.port is not None:
        return []
    supported = _supported(wanted)
    if _asks_naptr(wanted):
        named = [record for record in answers[Question("NAPTR", wanted.host)] if isinstance(record, Naptr)]
        usable = [
            (SERVICES[record.service.lower()], Question("SRV", record.replacement))
            for record in sorted(named, key=lambda record: (record.order, record.preference))
            if record.flags.lower() == "s" and not record.regexp and SERVICES.get(record.service.lower()) in supported
        ]
        if usable:
            return usable[:MAX_NAPTR]
    return [(transport, Question("SRV", SRV_NAMES[transport] + wanted.host)) for transport in supported]


def _offers(wanted: Wanted, answers: Answers) -> list[tuple[Transport, list[Srv]]]:
    """Names with their ports, by transport; MAX_SERVERS in all, the urgent ones."""
    found = [(transport, _srv(answers[question])) for transport, question in _services(wanted, answers)]
    if not any(records for _, records in found):
        return _last_resort(wanted)
    offers, room = [], MAX_SERVERS
    for transport, records in found:
        available = [record for record in records if record.target not in ("", ".")]
        offers.append((transport, available[:room]))
        room -= len(available[:room])
    return offers


def _last_resort(wanted: Wanted) -> list[tuple[Transport, list[Srv]]]:
    """The host itself."""
    supported = _supported(wanted)
    for transport in LAST_RESORT:
        if transport in supported:
            return [(transport, [Srv(0, 0, wanted.port or DEFAULT_PORTS.get(transport, DEFAULT_PORT), wanted.host)])]
    return []


def _srv(records: tuple[Record, ...]) -> list[Srv]:
    return sorted((record for record in records if isinstance(record, Srv)), key=lambda record: record.priority)


def _kinds(wanted: Wanted, transport: Transport) -> list[Kind]:
    """The address families we have a listener of that transport in; a question for any other is wasted (RFC 7984 s4.1)."""
    kinds: list[Kind] = ["AAAA" if ":" in source else "A" for own, source in wanted.sources if own == transport]
    return list(dict.fromkeys(kinds))


def _addresses(wanted: Wanted, transport: Transport, name: str, answers: Answers) -> list[str]:
    """Of one name, and never across names (RFC 7984 s4.2), in the order of RFC 6724 s6."""
    sources: dict[Kind, str] = {}
    for own, source in wanted.sources:
        if own == transport:
            sources.setdefault("AAAA" if ":" in source else "A", source)
    if is_address(name):
        return [name] if ("AAAA" if ":" in name else "A") in sources else []
    found: list[tuple[tuple[bool, bool, int, int], str]] = []
    for kind, source in sources.items():
        for record in answers.get(Question(kind, name), ()):
            if isinstance(record, str):
                address = ip_address(record)
                if not address.is_unspecified and not address.is_multicast:
                    found.append((_rank(address, ip_address(source)), record))
    return [address for _, address in sorted(found, key=lambda each: each[0])]


# The default policy table (RFC 6724 s2.1): prefix, precedence, label. IPv4 is looked up as ::ffff:0:0/96.
_POLICY = tuple(
    (IPv6Network(prefix), precedence, label)
    for prefix, precedence, label in (
        ("::1/128", 50, 0),
        ("::ffff:0:0/96", 35, 4),
        ("::/96", 1, 3),
        ("2001::/32", 5, 5),
        ("2002::/16", 30, 2),
        ("3ffe::/16", 1, 12),
        ("fec0::/10", 1, 11),
        ("fc00::/7", 3, 13),
        ("::/0", 40, 1),
    )
)
_GLOBAL, _LINK_LOCAL = 14, 2  # scopes (RFC 4291 s2.7)


def _rank(address: IPv4Address | IPv6Address, source: IPv4Address | IPv6Address) -> tuple[bool, bool, int, int]:
    """Lower is better: rules 2 (matching scope), 5 (matching label), 6 (precedence) and 8 (smaller scope)."""
    precedence, label = _policy(address)
    scope = _scope(address)
    return scope != _scope(source), label != _policy(source)[1], -precedence, scope


def _policy(address: IPv4Address | IPv6Address) -> tuple[int, int]:
    mapped = address if isinstance(address, IPv6Address) else IPv6Address(0xFFFF << 32 | int(address))
    return next((precedence, label) for network, precedence, label in _POLICY if mapped in network)


def _scope(address: IPv4Address | IPv6Address) -> int:
    """RFC 6724 s3.1, s3.2: loopback counts as link-local; private addresses are global."""
    return _LINK_LOCAL if address.is_link_local or address.is_loopback else _GLOBAL
