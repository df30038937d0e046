"""On the way to the peer as a call would go: DNS, connection, certificate, and an OPTIONS with its answer."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from sbc.call.context import SentBy, flow_to
from sbc.call.targets import uri_of, wanted_of
from sbc.doctor import certificates
from sbc.doctor.finding import Finding, good, note, wrong
from sbc.errors import ConfigError
from sbc.flow import Flow
from sbc.inputs import Resolved
from sbc.net import tls
from sbc.net.resolver import Resolver
from sbc.net.tasks import Tasks
from sbc.policy.realms import Realm
from sbc.policy.snapshot import Peer, Snapshot, Trunk
from sbc.sip.fields.cseq import CSeq
from sbc.sip.fields.nameaddr import NameAddr
from sbc.sip.fields.via import Via
from sbc.sip.framing import Message, StreamFramer
from sbc.sip.locate import Server, Srv, servers
from sbc.sip.message import Request, Response
from sbc.sip.parse import Malformed, parse_datagram, parse_message
from sbc.sip.uri import Uri, format_host
from sbc.system import SystemIds

TRIED = 4  # servers; who has more is found by the calls
CONNECT = 4.0  # seconds for a connection, and once more for its handshake
ANSWER = 5.0  # for the answer to OPTIONS
REPEATS = (0.5, 1.0, 2.0, 1.5)  # seconds after each datagram (RFC 3261 s17.1.2.2), together no more than that
LARGEST_DATAGRAM = 65535


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to OPTIONS by one server. `flow`: what it went over, with the port it left from."""

    server: Server
    flow: Flow
    response: Response


class NotTheOne(Exception):
    """Its certificate verifies, but is somebody else's."""


class NoAnswer(Exception):
    """It was reached, and said nothing that is an answer."""


@dataclass(slots=True)
class Reached:
    findings: list[Finding] = field(default_factory=list)
    servers: tuple[Server, ...] = ()
    answers: list[Answered] = field(default_factory=list)


async def reach(snapshot: Snapshot, trunk: Trunk, *, dns_port: int = 53) -> Reached:
    """`dns_port`: another than usual, for tests."""
    assert trunk.peer is not None
    realm = snapshot.realms[trunk.realm]
    reached = Reached()
    reached.servers = await _find(snapshot, trunk, trunk.peer, realm, reached.findings, dns_port)
    if not reached.servers:
        return reached
    try:
        outward = tls.outward(realm, snapshot)
    except ConfigError as error:
        reached.findings.append(wrong(str(error), "see there"))
        return reached
    for server in reached.servers[:TRIED]:
        await _ask(realm, trunk, trunk.peer, server, outward, reached)
    if len(reached.servers) > TRIED:
        reached.findings.append(note(f"{len(reached.servers) - TRIED} more servers were not asked"))
    return reached


async def _find(snapshot: Snapshot, trunk: Trunk, peer: Peer, realm: Realm, findings: list[Finding], dns_port: int) -> tuple[Server, ...]:
    wanted = wanted_of(peer, realm)
    loop = asyncio.get_running_loop()
    tasks, answered = Tasks(loop, lambda error: None), asyncio.Event()
    resolved: list[Resolved] = []

    def take(answer: Resolved) -> None:
        resolved.append(answer)
        answered.set()

    resolver = Resolver(loop, tasks, take, port=dns_port)
    resolver.apply(snapshot)
    resolver.ask("doctor", realm.name, wanted)
    await answered.wait()
    await tasks.close()
    answers = resolved[0].answers
    found = servers(wanted, answers, os.urandom)
    for question, records in answers.items():
        shown = ", ".join(f"{each.target or '.'}:{each.port}" if isinstance(each, Srv) else str(each) for each in records)
        if records and question.kind != "NAPTR":
            findings.append(good(f"DNS: {question.kind} {question.name}: {shown}"))
    who = ", ".join(name for name in realm.name_servers) or "the system's name servers"
    if not found:
        what = f"{peer.host} has no address that realm {realm.name} can reach (asked: {who})"
        change = f"is the name in 'peer' of trunk {trunk.name} right, and 'name_servers' of the realm? is there a listener of its kind?"
        findings.append(wrong(what, change))
    return found


async def _ask(realm: Realm, trunk: Trunk, peer: Peer, server: Server, outward: tls.Outward, reached: Reached) -> None:
    where = f"{server.transport} {format_host(*server.address)}"
    flow = flow_to(realm, server.transport, *server.address)
    if flow is None:
        reached.findings.append(note(f"{where}: realm {realm.name} has no {server.transport.lower()}:// listener of that family"))
        return
    begun = asyncio.get_running_loop().time()
    try:
        if server.transport == "UDP":
            answer = await _by_datagrams(realm, peer, server, flow)
        else:
            answer = await _by_stream(realm, peer, server, flow, outward, reached.findings)
    except NotTheOne as error:
        change = f"write that name in 'peer' of trunk {trunk.name}; if it begins with '*.', see insecure_wildcard_certificates"
        reached.findings.append(wrong(f"{where}: {error}", change))
    except NoAnswer:
        reached.findings.append(_silent(where, flow))
    except OSError as error:
        reached.findings.append(wrong(f"{where}: {_why(error)}", _what_then(error, realm, server)))
    else:
        reached.answers.append(answer)
        reached.findings += _judged(where, answer, 1000 * (asyncio.get_running_loop().time() - begun))


async def _by_datagrams(realm: Realm, peer: Peer, server: Server, flow: Flow) -> Answered:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET6 if ":" in flow.local[0] else socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.setblocking(False)
        link.bind((flow.local[0], 0))
        await loop.sock_connect(link, server.address)
        flow = flow._replace(local=link.getsockname()[:2])
        request = _options(realm, flow, peer).encode()
        for pause in REPEATS:
            await loop.sock_sendall(link, request)
            with suppress(TimeoutError, Malformed):
                async with asyncio.timeout(pause):
                    message = parse_datagram(await loop.sock_recv(link, LARGEST_DATAGRAM))
                    if isinstance(message, Response) and message.status >= 200:
                        return Answered(server, flow, message)
    raise NoAnswer


async def _by_stream(realm: Realm, peer: Peer, server: Server, flow: Flow, outward: tls.Outward, findings: list[Finding]) -> Answered:
    context = outward.context_for(server.name) if flow.secure else None
    reader, writer = await _connected(flow, server, context)
    try:
        if context is not None:
            certificate = writer.get_extra_info("peercert")
            if refusal := outward.expected(server.name).refusal(certificate):
                raise NotTheOne(refusal)
            version = writer.get_extra_info("ssl_object").version()
            findings.append(good(f"TLS with {format_host(*server.address)}: {version}, and it is {server.name}"))
            findings += certificates.of_peer(certificate, server.name)
        flow = flow._replace(local=writer.get_extra_info("sockname")[:2])
        writer.write(_options(realm, flow, peer).encode())
        return Answered(server, flow, await _response(reader))
    finally:
        writer.transport.abort()


async def _connected(flow: Flow, server: Server, context: ssl.SSLContext | None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    link = socket.socket(socket.AF_INET6 if ":" in flow.local[0] else socket.AF_INET, socket.SOCK_STREAM)
    try:
        link.setblocking(False)
        link.bind((flow.local[0], 0))
        async with asyncio.timeout(CONNECT):
            await asyncio.get_running_loop().sock_connect(link, server.address)
    except OSError:
        link.close()
        raise
    try:
        async with asyncio.timeout(CONNECT):
            return await asyncio.open_connection(sock=link, ssl=context, server_hostname=server.name if context else None)
    except TimeoutError:
        raise ssl.SSLError from None


async def _response(reader: asyncio.StreamReader) -> Response:
    framer = StreamFramer()
    try:
        async with asyncio.timeout(ANSWER):
            while octets := await reader.read(65536):
                for frame in framer.feed(octets):
                    message = parse_message(*frame) if isinstance(frame, Message) else None
                    if isinstance(message, Response) and message.status >= 200:
                        return message
    except (TimeoutError, Malformed):
        pass
    raise NoAnswer


def _options(realm: Realm, flow: Flow, peer: Peer) -> Request:
    """As we ask whether a server is back, but from another port."""
    ids = SystemIds()
    told = next(each.advertise for each in realm.listeners if each.local[0] == flow.local[0])
    sent_by = SentBy(flow.transport, told, flow.local[1])
    uri = uri_of(peer, None, secure=peer.secure)
    tag = ids.tag()
    return Request.build(
        "OPTIONS",
        uri,
        via=Via(flow.transport, told, flow.local[1], ids.branch(), wants_rport=True),
        from_=NameAddr("", Uri.sip(None, told)).with_tag(tag),
        to=NameAddr("", uri),
        call_id=ids.call_id(),
        cseq=CSeq(1, "OPTIONS"),
        headers=(("Contact", sent_by.contact(tag, uri)), ("Accept", "application/sdp")),
    )


def _judged(where: str, answer: Answered, milliseconds: float) -> Iterator[Finding]:
    status, took = answer.response.status, f"after {milliseconds:.0f} ms"
    if status == 503:
        yield wrong(f"{where}: OPTIONS is answered 503 {took}", "it is overloaded, or being stopped: ask its operator")
    elif status in (401, 403, 407):
        yield note(f"{where}: OPTIONS is answered {status} {took}", "it is there, but does not know us: has its operator our address?")
    else:
        yield good(f"{where}: OPTIONS is answered {status} {took}")


def _silent(where: str, flow: Flow) -> Finding:
    if flow.reliable:
        return wrong(f"{where}: connected, but OPTIONS is not answered within {ANSWER:g} s", "is that a SIP server? ask its operator")
    return wrong(
        f"{where}: OPTIONS is not answered within {ANSWER:g} s",
        f"is UDP from {flow.local[0]} let through by the firewalls, and has its operator that address? (asked from another port than "
        f"{flow.local[1]}, which some do not answer: then see `sbc trunks`)",
    )


def _what_then(error: OSError, realm: Realm, server: Server) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        if "expired" in error.verify_message or "not yet valid" in error.verify_message:
            return "tell its operator, unless the clock of this machine is wrong (timedatectl)"
        return f"put the authority that signed it into 'client_ca' of realm {realm.name} (now: {realm.client_ca or 'those of the system'})"
    if isinstance(error, ssl.SSLError):
        return "does that port speak TLS 1.2 or 1.3? does it want a certificate of ours ('certificate' of the trunk)?"
    if isinstance(error, ConnectionRefusedError):
        return f"nothing listens there: is port {server.address[1]} right, and the transport?"
    return "is it let through by the firewalls on the way, and is there a route to it?"


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate does not verify ({error.verify_message})"
    if isinstance(error, ssl.SSLError):
        return f"no TLS ({(getattr(error, 'reason', None) or 'handshake failed').replace('_', ' ').lower()})"
    if isinstance(error, TimeoutError):
        return f"no connection within {CONNECT:g} s"
    return f"no connection ({getattr(error, 'strerror', None) or type(error).__name__})"
