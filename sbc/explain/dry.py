"""A core of its own, a clock that jumps, and peers that answer as they are told: nothing is sent, nothing is waited for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from media.api import RelayPorts, RelayStats
from sbc.call.context import Way
from sbc.call.decisions import Decision
from sbc.clock import Now
from sbc.core import Core
from sbc.effects import CloseRelay, Effect, OpenRelay, Resolve, Send, Verify, WriteRecord
from sbc.errors import SipError
from sbc.explain.asked import ANSWERS, FINGERPRINT, PEER_PORT, Asked, Contact
from sbc.explain.ids import CountingIds
from sbc.explain.witness import Witness
from sbc.flow import Address, Flow
from sbc.frozen import replace
from sbc.identity.verdict import NO_HEADER, Failure, Verdict, Verstat
from sbc.inputs import DrainEnded, Input, MalformedIn, RelayClosed, RelayOpened, RequestIn, Resolved, ResponseIn, Verified
from sbc.policy.snapshot import Party, Snapshot, Trunk
from sbc.sdp.codecs import STATIC, parse_encoding
from sbc.sdp.offer import MediaLeg
from sbc.sdp.rules import MediaRules
from sbc.sip.locate import Answers, Question, Record, Wanted, is_address, next_questions
from sbc.sip.message import Request, Response
from sbc.sip.parse import Malformed, parse_datagram
from sbc.sip.prover import Prover
from sbc.sip.server import DEFAULT_PORT, DEFAULT_PORTS
from sbc.sip.uri import Uri, format_host
from sbc.views import RefusalsAsked, RefusalsView

BEGIN = Now(1000.0, 1_800_000_000.0)
PATIENCE_S = 900.0  # of the dry clock: five targets that do not answer have rung for as long as they may
MOST_STEPS = 10_000  # a core that never came to an end would be a fault of ours, which shall be seen
SILENT = 408
VERDICTS = {
    "passed": Verdict(Verstat.PASSED, attest="A"),
    "failed": Verdict(Verstat.FAILED, (Failure(438, "Invalid Identity Header", "the signature is assumed to be wrong"),)),
    "unsigned": Verdict(Verstat.NONE, (NO_HEADER,)),
}
# Whatever is offered is taken: the callee is not what is asked about.
TAKES_ALL = MediaRules(srtp="optional", keying=("sdes", "dtls"), fax="pass")


@dataclass(frozen=True, slots=True)
class Answer:
    """As it would leave: what a broken request is answered with may be broken itself, where it repeats it."""

    status: int
    reason: str
    rows: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, data: bytes) -> Answer:
        first, *rows = data.partition(b"\r\n\r\n")[0].decode("utf-8", "replace").split("\r\n")
        _, status, reason = first.split(" ", 2)
        pairs = [row.partition(":") for row in rows]
        return cls(int(status), reason, tuple([(name, value.strip()) for name, _, value in pairs]))


@dataclass(slots=True)
class Outcome:
    """What became of a request.

    received   as it came, after a challenge was answered: with the answer
    sent       the INVITEs (or other requests) that left for targets, with the party each was for, in order
    answers    what the caller was told, in order; those to a challenge that was answered are not among them
    record     of the call, if it came to one
    refusal    why it was refused, if it was
    """

    received: Request | None
    sent: list[tuple[Party | None, Request, Flow]] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    record: dict[str, Any] | None = None
    refusal: Decision | None = None

    @property
    def final(self) -> Answer | None:
        return next((each for each in self.answers if each.status >= 200), None)


def run(snapshot: Snapshot, asked: Asked) -> tuple[Outcome, Witness]:
    """The whole of a request, from its octets to the record of the call."""
    world = _World(snapshot, asked)
    world.begin()
    return world.outcome, world.witness


class _World:
    def __init__(self, snapshot: Snapshot, asked: Asked) -> None:
        self._snapshot = snapshot
        self._asked = asked
        self._hosts: dict[str, int] = {}  # made-up addresses of names, by the order they were asked for
        instead: dict[str, Any] = {"ways": self._ways, "home": self._home}
        if asked.bringer.as_who is not None:
            instead["admit"] = lambda request, realm, flow, now: asked.bringer.as_who
        self.witness = Witness(instead)
        self._ids = CountingIds()
        self._core = Core(snapshot, self._ids, self.witness)
        self._now = BEGIN
        self._inputs: deque[Input] = deque()
        self._registered: dict[str, list[Address]] = {}  # where those who were asked for are
        self._seen: set[str] = set()  # branches of INVITEs that were answered
        account = asked.bringer.account
        self._prover = Prover(account.user, account.password, self._ids.random) if account is not None else None
        self.outcome = Outcome(None)

    def begin(self) -> None:
        self._take_places()
        self._bring(self._asked.octets)
        self._until(lambda: self.outcome.final is not None)
        view = self._core.ask(RefusalsAsked(1), self._now)
        if isinstance(view, RefusalsView):
            found = view.refusals or tuple([source.last for source in view.strangers])
            self.outcome.refusal = found[0] if found else None
        self._inputs.append(DrainEnded())
        self._until(lambda: not self._core.busy())

    def _take_places(self) -> None:
        """What is counted, and calls that are in progress already."""
        self._core.assume(self._asked.assumed.limits, self._now)
        for name, number in self._asked.assumed.calls.items():
            party = self._snapshot.party(self._snapshot.inventory.owner_of(name) or name)
            for _ in range(number):
                self._core.occupy(party, name)

    def _bring(self, octets: bytes) -> None:
        flow = self._asked.bringer.flow
        try:
            message = parse_datagram(octets)
        except Malformed as error:
            self._inputs.append(MalformedIn(error, error.request, flow))
            self.outcome.received = error.request
            return
        if isinstance(message, Request):
            self.outcome.received = parse_request(octets)
            self._inputs.append(RequestIn(message, flow))

    def _until(self, is_over: Callable[[], bool]) -> None:
        end = self._now.monotonic + PATIENCE_S
        for _ in range(MOST_STEPS):
            while self._inputs:
                self._core.receive(self._inputs.popleft(), self._now)
                for effect in self._core.take_effects():
                    self._carry_out(effect)
            due = self._core.next_timeout()
            if is_over() or due is None or due > end:
                return
            step = max(0.0, due - self._now.monotonic)
            self._now = Now(self._now.monotonic + step, self._now.wall + step)
            self._core.handle_timeout(self._now)
            for effect in self._core.take_effects():
                self._carry_out(effect)

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Send(data, flow):
                self._deliver(data, flow)
            case OpenRelay(relay, realm_a, realm_b):
                a, b = (self._snapshot.realms[name] for name in (realm_a, realm_b))
                ports = RelayPorts((a.relay.address, a.relay.first_port), (b.relay.address, b.relay.first_port), FINGERPRINT)
                self._inputs.append(RelayOpened(relay, ports))
            case CloseRelay(relay):
                self._inputs.append(RelayClosed(relay, RelayStats()))
            case Resolve(question, _, wanted):
                self._inputs.append(Resolved(question, self._resolve(wanted)))
            case Verify(question):
                self._inputs.append(Verified(question, VERDICTS[self._asked.assumed.signed]))
            case WriteRecord(record):
                self.outcome.record = record
            case _:
                pass  # nobody is here to be told

    def _deliver(self, data: bytes, flow: Flow) -> None:
        if data.startswith(b"SIP/2.0 "):
            if flow.remote == self._asked.bringer.flow.remote:
                self._hear(data)
            return
        message = parse_datagram(data)
        assert isinstance(message, Request)
        if message.method not in ("ACK", "CANCEL", "BYE", "OPTIONS") and message.via.branch not in self._seen:
            self._seen.add(message.via.branch)
            self._answer(message, flow)

    def _hear(self, data: bytes) -> None:
        """What the caller does about a challenge, and nothing else."""
        answer, received = Answer.of(data), self.outcome.received
        if answer.status in (401, 407) and self._prover is not None and received is not None:
            challenge = parse_datagram(data)
            if isinstance(challenge, Response) and self._prover.learn(challenge):
                self._bring(self._prover.again(received, received.cseq.number + 1, "z9hG4bKexplained").encode())
                return
        self.outcome.answers.append(answer)

    # Those it goes to

    def _answer(self, request: Request, flow: Flow) -> None:
        party = self._at(flow)
        self.outcome.sent.append((party, request, flow))
        reply = self._asked.assumed.answers.get(party.name, ANSWERS) if party is not None else ANSWERS
        if reply.status == SILENT:
            return
        headers, body = reply.headers, b""
        if request.method == "INVITE" and reply.status < 300:
            headers, body = (*headers, ("Contact", f"<sip:{format_host(*flow.remote)}>")), self._description(request, flow)
        kind = "application/sdp" if body else ""
        response = Response.answer(request, reply.status, reply.reason, to_tag="callee", headers=headers, body=body, content_type=kind)
        heard = parse_datagram(response.encode())
        if isinstance(heard, Response):
            self._inputs.append(ResponseIn(heard, flow))

    def _description(self, request: Request, flow: Flow) -> bytes:
        """Of a callee that can do all it is asked for."""
        offer = request.body
        rules = replace(TAKES_ALL, codecs=_names(offer))
        leg = MediaLeg(rules, 2, accept_loopback=True)
        leg.listen((flow.remote[0], 50000), fingerprint=FINGERPRINT)
        try:
            if not offer:
                return leg.make_offer(None, self._ids, flow.secure)
            return leg.make_answer(leg.receive_offer(offer, flow.secure), self._ids)
        except SipError:
            return b""

    def _at(self, flow: Flow) -> Party | None:
        """Whose address that is. Several trunks may share a host: then the port tells."""
        near = [party for party in self._parties() if party.realm == flow.realm and flow.remote in self._addresses(party, flow)]
        return near[0] if near else None

    def _parties(self) -> list[Party]:
        return [*self._snapshot.trunks.values(), *self._snapshot.users.values()]

    def _addresses(self, party: Party, flow: Flow) -> list[tuple[str, int]]:
        here = ":" in flow.remote[0]
        peers = [party.peer] if isinstance(party, Trunk) and party.peer is not None else []
        places = [(self._host(peer.host, here), peer.port or DEFAULT_PORTS.get(flow.transport, DEFAULT_PORT)) for peer in peers]
        places += self._registered.get(party.name, [])
        return places or [(self._host(f"party {party.name}", here), PEER_PORT)]

    def _host(self, name: str, ipv6: bool) -> str:
        """A made-up address for each name; what is an address is one."""
        if is_address(name):
            return name
        number = self._hosts.setdefault(name, len(self._hosts) + 1)
        return f"2001:2::{number:x}:1" if ipv6 else f"198.19.{number >> 8 & 255}.{number & 255}"

    def _resolve(self, wanted: Wanted) -> Answers:
        """No SRV, and one address for each name: where DNS would lead, only DNS knows."""
        answers: dict[Question, tuple[Record, ...]] = {}
        while questions := next_questions(wanted, answers):
            for question in questions:
                found = question.kind in ("A", "AAAA")
                answers[question] = (self._host(question.name, question.kind == "AAAA"),) if found else ()
        return answers

    # What the core's own tables would know

    def _ways(self, account: str, token: str, now: Now) -> tuple[Way, ...] | None:
        if account in self._asked.assumed.absent:
            return None
        party = self._snapshot.party(account)
        if self._asked.assumed.contacts is not None:
            return self._ways_known(party)
        flow = self._registered_flow(party)
        user = party.registers.user if isinstance(party, Trunk) and party.registers is not None else party.name
        return ((Uri.sip(user, *flow.remote), flow, ()),)

    def _ways_known(self, party: Party) -> tuple[Way, ...] | None:
        contacts = self._asked.assumed.contacts_of(party.name)
        if contacts is None:
            return None
        found = []
        for contact in contacts:
            flow = self._flow_to(party, contact)
            self._registered.setdefault(party.name, []).append(flow.remote)
            found.append((Uri.parse(contact.uri), flow, ()))
        return tuple(found)

    def _flow_to(self, party: Party, contact: Contact) -> Flow:
        """By the listener that a flow like that would have come to."""
        realm, ipv6 = self._snapshot.realms[party.realm], ":" in contact.address[0]
        fitting = [each for each in realm.listeners if each.transport == contact.transport and (":" in each.address) == ipv6]
        local = fitting[0].local if fitting else realm.listeners[0].local
        return Flow(realm.name, contact.transport, local, contact.address, 0 if contact.transport == "UDP" else 2)

    def _home(self, trunk: str) -> tuple[Flow, str, tuple[str, ...]] | None:
        if trunk in self._asked.assumed.absent:
            return None
        party = self._snapshot.trunks[trunk]
        return self._registered_flow(party), party.register_to.registrar.host if party.register_to is not None else "", ()

    def _registered_flow(self, party: Party) -> Flow:
        """Over TLS where the realm has it, as the party's media may want it."""
        realm = self._snapshot.realms[party.realm]
        wanted = ("TLS", "WSS", "TCP", "UDP", "WS") if party.media.srtp != "off" else ("UDP", "TCP", "TLS", "WS", "WSS")
        listener = min(realm.listeners, key=lambda each: wanted.index(each.transport))
        place = self._addresses(party, Flow(realm.name, listener.transport, listener.local, ("::" if ":" in listener.address else "", 0)))
        return Flow(realm.name, listener.transport, listener.local, place[0], 0 if listener.transport == "UDP" else 2)


def _names(offer: bytes) -> tuple[str, ...]:
    """All encodings of an offer; of none, the usual ones."""
    found: dict[str, None] = {}
    for line in offer.decode("utf-8", "replace").splitlines():
        if line.startswith("m=audio"):
            found |= {STATIC[number].name: None for number in line.split()[3:] if number in STATIC}
        elif line.startswith("a=rtpmap:") and (encoding := parse_encoding(line.partition(" ")[2])) is not None:
            found[encoding.name] = None
    return tuple(found) or TAKES_ALL.codecs


def parse_request(octets: bytes) -> Request:
    """A copy that nobody changes while it is worked on."""
    message = parse_datagram(octets)
    assert isinstance(message, Request)
    return message
