"""A whole small world in one process: one Core, a clock that jumps, a network without sockets, and scripted user agents.

Tests built on it read as ladder diagrams:

    call = alice.invite("+4930123456")
    alice.expect(100)
    bob.expect("INVITE")
    bob.answer(180)
    alice.expect(180)
"""

from __future__ import annotations

from base64 import b64encode
from collections import deque
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

from media.api import MediaEvent, SideSpec
from media.fake import FakeEngine
from sbc import devcerts
from sbc.call.call import Call
from sbc.clock import Now
from sbc.effects import (
    CloseFlow,
    CloseRelay,
    Effect,
    ForgetBindings,
    KeepAlive,
    KeepRecording,
    Log,
    Offended,
    OpenRelay,
    Recorded,
    Resolve,
    Send,
    SendDigit,
    Sign,
    StoreBindings,
    TrustFlow,
    UpdateRelay,
    Verify,
    Vouch,
    WriteRecord,
)
from sbc.explain.ids import CountingIds
from sbc.flow import Address, Flow, Transport
from sbc.frozen import replace
from sbc.identity.credential import Trust
from sbc.identity.sign import Key, origid_of
from sbc.identity.signature import Signature, ToSign
from sbc.identity.verify import Credentials, verify
from sbc.inputs import (
    Begun,
    DrainBegun,
    DrainEnded,
    FlowClosed,
    Input,
    MalformedIn,
    MediaHappened,
    PolicyChanged,
    RelayClosed,
    RelayFailed,
    RelayOpened,
    RequestIn,
    Resolved,
    ResponseIn,
    SendFailed,
    Signed,
    Verified,
)
from sbc.policy.load import load_policy
from sbc.policy.snapshot import Snapshot
from sbc.recording.core import RecordingCore
from sbc.recording.recording import decode
from sbc.recording.replay import first_difference, play
from sbc.sip.fields.cseq import CSeq
from sbc.sip.fields.nameaddr import NameAddr
from sbc.sip.fields.via import Via
from sbc.sip.locate import Answers
from sbc.sip.message import Request, Response
from sbc.sip.names import REPLACES
from sbc.sip.parse import Malformed, parse_datagram
from sbc.sip.uri import Uri, format_host
from tests.zones import ask

START = Now(1000.0, 1_800_000_000.0)

POLICY = """
version: 1
realms:
  outside:
    signalling: [udp://10.0.0.1:5060, tls://10.0.0.1:5061]
    certificate: edge
    relay: {address: 10.0.0.1, ports: 20000-20999}
    domains: [sbc.example.com]
  inside:
    signalling: [udp://10.1.0.1:5060]
    relay: {address: 10.1.0.1, ports: 30000-30999}
users:
  alice:
    realm: outside
    password: {file: alice.secret}
    media: encrypted
    limits: person
trunks:
  office:
    realm: outside
    accept_from: [10.0.0.20/32]
    peer: sip:10.0.0.20:5060
    media: plain
    dial_plan: {"00": "+", "0": "+49"}
  carrier:
    realm: inside
    accept_from: [10.1.0.2/32]
    peer: sip:10.1.0.2:5060
    media: plain
    limits: carrier
  backup:
    realm: inside
    accept_from: [10.1.0.3/32]
    peer: sip:10.1.0.3:5060
    media: plain
routes:
  - name: out
    when: {trunk: office, to: "+*"}
    send_to: [carrier, backup]
    next_on: [408, 5xx]
    ring_for: 60s
  - name: alice-out
    when: {user: alice, to: "*"}
    send_to: [carrier]
  - name: in
    when: {trunk: carrier, to: "+4930*"}
    send_to: [office]
  - name: to-alice
    when: {trunk: carrier, to: "alice"}
    send_to: [alice]
media:
  encrypted: {srtp: optional, codecs: [PCMA, PCMU, G729, telephone-event]}
  plain: {srtp: off, codecs: [PCMA, PCMU, G729, telephone-event]}
limits:
  person: {calls: 1}
  carrier: {calls: 2, new_calls: 50/s, longest_call: 4h}
  stranger: {requests: 5/s}
emergency:
  outside: {numbers: ["112"], send_to: [carrier]}
  inside: none
strangers: {answer: nothing, limits: stranger}
"""


@lru_cache
def snapshot_of(policy: str = POLICY) -> Snapshot:
    with TemporaryDirectory() as folder:
        policies = Path(folder) / "policies"
        policies.mkdir()
        (policies / "sbc.yaml").write_text(policy)
        devcerts.make(Path(folder) / "certs", ["sbc.example.com"], users=())
        devcerts.make_stir(Path(folder) / "certs")
        devcerts.write_new(policies / "alice.secret", b"wonderland\n", devcerts.PRIVATE_MODE)
        return load_policy(policies).snapshot


def recorded(snapshot: Snapshot) -> Snapshot:
    """The same policy, and every call of everybody is recorded."""
    trunks = {name: replace(trunk, record="always") for name, trunk in snapshot.trunks.items()}
    users = {name: replace(user, record="always") for name, user in snapshot.users.items()}
    return replace(snapshot, trunks=trunks, users=users)


def sdp(address: str, port: int, codecs: str = "8 0 101", *, version: int = 1, direction: str = "sendrecv", extra: str = "") -> bytes:
    return (
        f"v=0\r\no=peer 4711 {version} IN IP4 {address}\r\ns=peer secret\r\nc=IN IP4 {address}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP {codecs}\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na={direction}\r\n{extra}"
    ).encode()


def secure_answer(offer: bytes, address: str, port: int) -> bytes:
    """An SRTP answer that takes the offer's AES_CM_128_HMAC_SHA1_80 line."""
    line = next(line for line in offer.decode().split("\r\n") if "AES_CM_128_HMAC_SHA1_80" in line)
    tag = line.removeprefix("a=crypto:").partition(" ")[0]
    key = b64encode(bytes(range(30))).decode()
    return sdp(address, port, extra=f"a=crypto:{tag} AES_CM_128_HMAC_SHA1_80 inline:{key}\r\n").replace(b"RTP/AVP", b"RTP/SAVP")


class World:
    """`agents` by the address they receive at; `records` and `logs` as the core wrote them."""

    def __init__(self, policy: str = POLICY, ids: CountingIds | None = None) -> None:
        self.now = START
        self.snapshot = recorded(snapshot_of(policy))
        self.core = RecordingCore(self.snapshot, ids or CountingIds())
        self.recordings: list[Recorded] = []
        self.moved = False  # somebody wanted a call to be moved: from then on it is part of another
        self.media = FakeEngine()
        self.media.provide({name: realm.relay for name, realm in self.snapshot.realms.items()})
        self.media.on_event(self._media_event)
        self.agents: dict[Address, Agent] = {}
        self.zone: Answers | None = {}  # what DNS knows; None: it takes its time
        self.unreachable: set[Address | tuple[Transport, Address]] = set()  # by every transport, or by that one
        self.unanswered: list[str] = []  # questions to DNS
        self.chains: dict[str, bytes] | None = {}  # certificates of signers, by URL; None: they take their time
        self.credentials = Credentials(Trust(()))
        self.unverified: list[str] = []  # questions about callers
        self.key: Key | None = None  # signs for us; None: it takes its time
        self.unsigned: list[tuple[str, ToSign]] = []  # questions to it
        self.records: list[dict[str, object]] = []
        self.logs: list[Log] = []
        self.stored: dict[str, str] = {}  # bindings, by account
        self.closed_flows: list[Flow] = []
        self.offences: list[Offended] = []
        self.vouched: list[Flow] = []
        self.pings: list[tuple[float, KeepAlive]] = []  # with their instants
        self.trusted_flows: list[TrustFlow] = []
        self.open_relays: set[str] = set()
        self.updates: list[tuple[SideSpec, SideSpec]] = []
        self.sent: list[Send] = []
        self.lossy: set[str] = set()  # methods and statuses that get lost on the way to the agents
        self._inputs: deque[Input] = deque()

    def agent(
        self, name: str, address: Address, realm: str, transport: Transport = "UDP", connection: int = 0, names: tuple[str, ...] = ()
    ) -> Agent:
        listener = next(one for one in self.snapshot.realms[realm].listeners if one.transport == transport)
        agent = Agent(self, name, Flow(realm, transport, listener.local, address, connection, names))
        self.agents[address] = agent
        return agent

    def receive(self, happened: Input) -> None:
        """One input, and everything that follows from it at this instant."""
        if isinstance(happened, RequestIn) and (happened.request.method == "REFER" or REPLACES in happened.request.headers):
            self.moved = True
        if isinstance(happened, PolicyChanged):
            happened = PolicyChanged(recorded(happened.snapshot))
        self._inputs.append(happened)
        self.now = Now(self.now.monotonic + 1e-6, self.now.wall + 1e-6)
        self._receive_all()

    def _receive_all(self) -> None:
        while self._inputs:
            self.core.receive(self._inputs.popleft(), self.now)
            self._execute()

    def after(self, seconds: float) -> World:
        """Let time pass: every timer fires at its own instant, none is slept for."""
        end = self.now.monotonic + seconds
        while (due := self.core.next_timeout()) is not None and due <= end:
            self._jump(max(due, self.now.monotonic))
            self.core.handle_timeout(self.now)
            self._execute()
            self._receive_all()
        self._jump(end)
        self._receive_all()
        return self

    def _jump(self, monotonic: float) -> None:
        step = monotonic - self.now.monotonic
        self.now = Now(monotonic, self.now.wall + step)
        if step > 0:
            self.media.advance(step)

    def begin(self) -> None:
        """From here on we register at carriers."""
        self.receive(Begun())

    def drain(self) -> None:
        self.receive(DrainBegun())

    def shut_down(self) -> None:
        self.receive(DrainEnded())

    def _media_event(self, event: MediaEvent) -> None:
        self._inputs.append(MediaHappened(event))

    def _execute(self) -> None:
        for effect in self.core.take_effects():
            self._carry_out(effect)

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Send(data, flow, key):
                self.sent.append(effect)
                if flow.remote in self.unreachable or (flow.transport, flow.remote) in self.unreachable:
                    if key:
                        self._inputs.append(SendFailed(key, "unreachable"))
                elif flow.remote in self.agents:
                    message = parse_datagram(data)
                    sign = message.method if isinstance(message, Request) else str(message.status)
                    if sign not in self.lossy:
                        self.agents[flow.remote].inbox.append(message)
            case OpenRelay(relay, realm_a, realm_b):
                try:
                    ports = self.media.open(relay, realm_a, realm_b)
                except Exception as error:
                    self._inputs.append(RelayFailed(relay, str(error), temporary=True))
                else:
                    self.open_relays.add(relay)
                    self._inputs.append(RelayOpened(relay, ports))
            case UpdateRelay(relay, a, b):
                self.updates.append((a, b))
                self.media.update(relay, a, b)
            case SendDigit(relay, side, digit):
                self.media.send_digit(relay, side, digit)
            case CloseRelay(relay):
                self.open_relays.remove(relay)
                self._inputs.append(RelayClosed(relay, self.media.close(relay)))
            case Resolve(question, _, wanted):
                if self.zone is None:
                    self.unanswered.append(question)
                else:
                    self._inputs.append(Resolved(question, ask(wanted, self.zone)[0]))
            case Verify(question, asked, _):
                if self.chains is None:
                    self.unverified.append(question)
                else:
                    self._inputs.append(Verified(question, verify(asked, self.chains, self.credentials, self.now.wall)))
            case Sign(question, to_sign):
                if self.key is None:
                    self.unsigned.append((question, to_sign))
                else:
                    origid = origid_of(b"secret", to_sign.customer)
                    attest, identity = to_sign.attest or None, self.key.sign(to_sign, origid)
                    self._inputs.append(Signed(question, Signature(identity, attest, origid if attest else None)))
            case WriteRecord(record):
                self.records.append(record)
            case KeepRecording(recording):
                self.recordings.append(recording)
            case StoreBindings(account, bindings):
                self.stored[account] = bindings
            case ForgetBindings(account):
                self.stored.pop(account, None)
            case Log():
                self.logs.append(effect)
            case KeepAlive():
                self.pings.append((self.now.monotonic, effect))
            case Offended():
                self.offences.append(effect)
            case Vouch(flow):
                self.vouched.append(flow)
            case TrustFlow():
                self.trusted_flows.append(effect)
            case CloseFlow(flow):
                self.closed_flows.append(flow)
                self._inputs.append(FlowClosed(flow))

    def calls(self) -> tuple[Call, ...]:
        """Those in progress, to look into."""
        return tuple(self.core.core._reception.calls)

    def expect_nothing_left(self) -> None:
        """Once the calls are released, nothing may remain: no relay, no call, no transaction, no timer, no dialog."""
        self.shut_down()
        self.after(120)
        assert self.core.busy() == 0
        assert not self.open_relays
        assert self.core.next_timeout() is None, "a timer is left"
        assert self.core.leftovers() == {}, self.core.leftovers()
        self.expect_replayable()

    def expect_replayable(self) -> None:
        """Each call was recorded, and in an empty core it comes to the same, byte for byte. One that is moved is so up to then."""
        recordings = [decode(recording.encode(), recording.policy) for recording in self.recordings]
        told, written = sorted(recording.call for recording in recordings), sorted(str(record["id"]) for record in self.records)
        assert set(told) <= set(written) if self.moved else told == written
        for recording in recordings:
            assert first_difference(play(recording)) is None


class Agent:
    """A scripted peer. It sends what it is told and keeps what comes; nothing is automatic."""

    def __init__(self, world: World, name: str, flow: Flow) -> None:
        self.world = world
        self.name = name
        self.flow = flow
        self.inbox: deque[Request | Response] = deque()
        self.calls = 0
        self.last_invite: Request | None = None

    @property
    def host(self) -> str:
        return self.flow.remote[0]

    # Sending

    def send(self, message: Request | Response) -> None:
        """Over the wire and back, so that what the core gets was parsed from octets."""
        self.send_bytes(message.encode())

    def send_bytes(self, data: bytes) -> None:
        try:
            message = parse_datagram(data)
        except Malformed as error:
            self.world.receive(MalformedIn(error, error.request, self.flow))
            return
        happened = RequestIn(message, self.flow) if isinstance(message, Request) else ResponseIn(message, self.flow)
        self.world.receive(happened)

    def request(
        self,
        method: str,
        uri: str,
        *,
        call_id: str = "",
        cseq: int = 1,
        from_tag: str = "",
        to: str = "",
        to_tag: str = "",
        body: bytes = b"",
        headers: tuple[tuple[str, str], ...] = (),
        branch: str = "",
        max_forwards: int = 70,
    ) -> Request:
        self.calls += 1
        to_value = NameAddr.parse(to or f"<{uri}>")
        return Request.build(
            method,
            Uri.parse(uri),
            via=Via(self.flow.transport, *self.flow.remote, branch=branch or f"z9hG4bK-{self.name}-{self.calls}", wants_rport=True),
            from_=NameAddr.parse(f'"{self.name.title()}" <sip:{self.name}@{format_host(self.host, None)}>').with_tag(
                from_tag or f"from-{self.name}"
            ),
            to=to_value.with_tag(to_tag) if to_tag else to_value,
            call_id=call_id or f"call-{self.name}-{self.calls}@{self.host}",
            cseq=CSeq(cseq, method),
            max_forwards=max_forwards,
            headers=(("Contact", self.contact), *headers),
            body=body,
            content_type="application/sdp" if body else "",
        )

    @property
    def contact(self) -> str:
        return f"<sip:{self.name}@{format_host(*self.flow.remote)}>"

    def invite(self, number: str, body: bytes | None = None, **options: object) -> Request:
        offer = sdp(self.host, 40000) if body is None else body
        local = format_host(self.flow.local[0], self.flow.local[1])
        request = self.request("INVITE", f"sip:{number}@{local}", body=offer, **options)  # type: ignore[arg-type]
        self.last_invite = request
        self.send(request)
        return request

    def ack(self, response: Response, body: bytes = b"") -> None:
        """For a 2xx a request of its own, for anything else with the INVITE's branch."""
        assert self.last_invite is not None
        self.send(self.within(self.last_invite, response, "ACK", cseq=response.cseq.number, body=body))

    def within(self, invite: Request, response: Response, method: str, *, cseq: int = 2, body: bytes = b"", **options: object) -> Request:
        """A request inside the dialog that `response` to our own INVITE made."""
        contact = response.headers.first("Contact")
        uri = str(NameAddr.parse(contact).uri) if contact else str(invite.uri)
        branch = invite.via.branch if method == "ACK" and response.status >= 300 else ""
        return self.request(
            method,
            uri,
            call_id=invite.call_id,
            cseq=cseq,
            from_tag=invite.from_.tag,
            to=str(response.to.with_tag("")),
            to_tag=response.to.tag,
            body=body,
            branch=branch,
            **options,  # type: ignore[arg-type]
        )

    def within_received(
        self, invite: Request, method: str, *, cseq: int = 1, body: bytes = b"", tag: str = "", **options: object
    ) -> Request:
        """A request inside the dialog that the core's INVITE to us made."""
        contact = invite.headers.first("Contact")
        assert contact is not None
        return self.request(
            method,
            str(NameAddr.parse(contact).uri),
            call_id=invite.call_id,
            cseq=cseq,
            from_tag=tag or f"to-{self.name}",
            to=str(invite.from_.with_tag("")),
            to_tag=invite.from_.tag,
            body=body,
            **options,  # type: ignore[arg-type]
        )

    def cancel(self, invite: Request) -> None:
        self.send(
            Request.build(
                "CANCEL",
                invite.uri,
                via=invite.via,
                from_=invite.from_,
                to=invite.to,
                call_id=invite.call_id,
                cseq=CSeq(invite.cseq.number, "CANCEL"),
            )
        )

    def answer(
        self,
        request: Request,
        status: int,
        reason: str = "",
        body: bytes = b"",
        headers: tuple[tuple[str, str], ...] = (),
        tag: str = "",
    ) -> None:
        rows = (("Contact", self.contact), *headers) if status < 300 and request.method == "INVITE" else headers
        self.send(
            Response.answer(
                request,
                status,
                reason,
                to_tag="" if status == 100 else tag or f"to-{self.name}",
                headers=rows,
                body=body,
                content_type="application/sdp" if body else "",
            )
        )

    # Receiving

    def expect_request(self, method: str) -> Request:
        assert self.inbox, f"{self.name} expected {method}, nothing came"
        message = self.inbox.popleft()
        assert isinstance(message, Request), f"{self.name} expected {method}, got {message!r}"
        assert message.method == method, f"{self.name} expected {method}, got {message!r}"
        return message

    def expect_response(self, status: int) -> Response:
        assert self.inbox, f"{self.name} expected {status}, nothing came"
        message = self.inbox.popleft()
        assert isinstance(message, Response), f"{self.name} expected {status}, got {message!r}"
        assert message.status == status, f"{self.name} expected {status}, got {message!r}"
        return message

    def expect_nothing(self) -> None:
        assert not self.inbox, f"{self.name} expected nothing, got {list(self.inbox)!r}"


def connect(
    caller: Agent, callee: Agent, number: str, offer: bytes | None = None, answer: bytes | None = None
) -> tuple[Request, Response, Request]:
    """A whole call set-up: the caller's INVITE, the 200 it got, and the INVITE the callee got."""
    invite = caller.invite(number, offer)
    caller.expect_response(100)
    received = callee.expect_request("INVITE")
    callee.answer(received, 180)
    caller.expect_response(180)
    callee.answer(received, 200, body=sdp(callee.host, 50000) if answer is None else answer)
    callee.expect_request("ACK")
    ok = caller.expect_response(200)
    caller.ack(ok)
    return invite, ok, received
