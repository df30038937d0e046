"""Everything that can happen to calls, in any order: no exception, nothing left behind, and the next call works.

A step is three numbers; which message or peer they mean depends on what has come and gone by then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from sbc.effects import CloseFlow, Effect, OpenRelay, Send, UpdateRelay
from sbc.errors import SipError
from sbc.inputs import DrainBegun, FlowClosed, PolicyChanged, RelayFailed
from sbc.sip.digest import answer as digest_answer
from sbc.sip.fields.auth import Challenge
from sbc.sip.fields.cseq import CSeq
from sbc.sip.message import Request, Response
from sbc.sip.parse import Malformed, parse_datagram
from tests.fuzz.mutate import descriptions, messages, mutate
from tests.world import POLICY, Agent, World, connect, sdp, secure_answer, snapshot_of

T = TypeVar("T")

CALM = POLICY.replace("plain: {srtp: off,", "plain: {silence: 60s, fax: pass, srtp: off,")
GENEROUS = CALM
for _peer, _services in (
    (
        "10.0.0.20:5060",
        "transfers: perform\n    redirects: follow\n    info: pass\n    messages: pass\n    events: [presence, refer]\n    trusted: true",
    ),
    (
        "10.1.0.2:5060",
        "transfers: pass\n    redirects: pass\n    info: pass\n    info_packages: [foo]\n    messages: pass\n    events: [presence]\n"
        "    trusted: true\n    overload_control: true",
    ),
    ("10.1.0.3:5060", "transfers: perform\n    redirects: follow\n    info: pass\n    overload_control: true"),
):
    GENEROUS = GENEROUS.replace(f"    peer: sip:{_peer}\n", f"    peer: sip:{_peer}\n    {_services}\n")
POLICIES = (
    CALM,
    GENEROUS,
    GENEROUS,
    CALM.replace("domains: [sbc.example.com]", "domains: [sbc.example.com]\n    digest: [MD5]"),
    CALM.replace("send_to: [carrier, backup]", "send_to: [backup]").replace("strangers: {answer: nothing", "strangers: {answer: 403"),
    CALM.replace("srtp: optional", "srtp: sdes").replace("calls: 2", "calls: 1"),
)
NUMBERS = ("+4930123456", "+4930123456", "0030123", "alice", "112", "1" * 20, "nobody")
STATUSES = (100, 180, 183, 183, 200, 200, 200, 200, 302, 401, 404, 408, 481, 486, 487, 488, 491, 500, 503, 600)
ERRANDS = ("MESSAGE", "SUBSCRIBE", "SUBSCRIBE", "PUBLISH", "NOTIFY", "OPTIONS", "REFER")
METHODS = (
    "ACK",
    "ACK",
    "MESSAGE",
    "NOTIFY",
    "SUBSCRIBE",
    "BYE",
    "BYE",
    "INVITE",
    "INVITE",
    "UPDATE",
    "OPTIONS",
    "PRACK",
    "INFO",
    "REFER",
    "CANCEL",
    "NOTIFY",
    "X",
)
WAITS = (0.01, 0.2, 0.5, 1.0, 4.0, 33.0, 70.0, 200.0, 2000.0, 15_000.0)
HEADERS: tuple[tuple[tuple[str, str], ...], ...] = (
    (),
    (),
    (("Supported", "timer, 100rel, replaces"),),
    (("Require", "100rel"), ("RSeq", "1")),
    (("Session-Expires", "90;refresher=uac"), ("Supported", "timer")),
    (("Session-Expires", "1800;refresher=uas"),),
    (("Require", "timer"), ("Session-Expires", "1800")),
    (("Min-SE", "5"),),
    (("Record-Route", "<sip:10.9.9.9;lr>, <sip:proxy.example.com>"),),
    (("Retry-After", "3"),),
    (("Event", "refer"), ("Subscription-State", "terminated;reason=noresource")),
    (("Refer-To", "<sip:+4930555@h>"),),
    (("Event", "presence"), ("Subscription-State", "active;expires=60"), ("Expires", "600")),
    (("Event", "presence"), ("Subscription-State", "active"), ("Expires", "0")),
    (("Info-Package", "foo"), ("Contact", "<sip:+4930777@h>;q=0.5")),
    (("P-Asserted-Identity", "<sip:+4930888@h>"),),
    (("P-Asserted-Identity", '"Other" <sip:+4930999@h>'), ("Privacy", "id"), ("Allow", "INVITE, ACK, BYE, CANCEL, UPDATE")),
)


class Stormy(World):
    """A world in which relays may fail; what cannot be read is an answer that quotes what somebody wrote."""

    failing = False

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Send(data):
                try:
                    parse_datagram(data)
                except Malformed:
                    assert data.startswith(b"SIP/2.0 "), data
                    return
            case CloseFlow(flow):
                self.closed_flows.append(flow)
                self._inputs.append(FlowClosed(flow))
                return
            case OpenRelay(relay) if self.failing:
                self._inputs.append(RelayFailed(relay, "no ports", temporary=True))
                return
            case UpdateRelay(relay) if self.failing:
                self._inputs.append(RelayFailed(relay, "no such address", temporary=False))
                return
        super()._carry_out(effect)


class Play:
    """The peers, what each has heard and said, and the steps they can take."""

    def __init__(self) -> None:
        self.world = world = Stormy(GENEROUS)
        self.office = world.agent("office", ("10.0.0.20", 5060), "outside")
        self.carrier = world.agent("carrier", ("10.1.0.2", 5060), "inside")
        self.alice = world.agent("alice", ("203.0.113.7", 40123), "outside", "TLS", connection=7)
        self.agents = [
            *(self.office, self.carrier, self.alice, world.agent("backup", ("10.1.0.3", 5060), "inside")),
            world.agent("stranger", ("10.0.0.99", 5060), "outside"),
        ]
        self.heard: list[tuple[Agent, Request | Response]] = []
        self.said: list[tuple[Agent, bytes]] = [(self.office, messages()[0])]
        self.steps: Sequence[Callable[[int, Random], None]] = (
            *(self.call, self.call, self.register, self.respond, self.respond, self.respond, self.acknowledge, self.acknowledge),
            *(self.within, self.within, self.within, self.transfer, self.transfer, self.errand, self.cancel, self.repeat),
            *(self.spoil, self.spoil, self.reflect, self.litter, self.wait, self.wait, self.disturb),
        )

    def step(self, what: int, which: int, seed: int) -> None:
        self.steps[what % len(self.steps)](which, Random(seed))
        for agent in self.agents:
            self.heard += ((agent, message) for message in agent.inbox)
            agent.inbox.clear()

    def recent(self, things: Sequence[T], which: int) -> T | None:
        """The `which`-th from the end."""
        return things[-1 - which % min(len(things), 12)] if things else None

    def send(self, agent: Agent, data: bytes) -> None:
        self.said.append((agent, data))
        agent.send_bytes(data)

    # Steps

    def call(self, which: int, random: Random) -> None:
        agent = random.choice((self.office, self.office, self.carrier, self.alice))
        number = random.choice(NUMBERS)
        local = "sbc.example.com" if agent is self.alice else agent.flow.local[0]
        headers = random.choice(HEADERS)
        request = agent.request(
            "INVITE",
            f"sip:{number}@{local}",
            body=self.body(agent, random),
            headers=self.proof(agent, headers, "INVITE", f"sip:{number}@{local}"),
        )
        agent.last_invite = request
        self.send(agent, request.encode())

    def register(self, which: int, random: Random) -> None:
        uri = "sip:sbc.example.com"
        headers = (("Expires", random.choice(("0", "1", "60", "600", "99999999"))),)
        request = self.alice.request(
            "REGISTER",
            uri,
            to="<sip:alice@sbc.example.com>",
            call_id="reg",
            cseq=len(self.said),
            headers=self.proof(self.alice, headers, "REGISTER", uri),
        )
        self.send(self.alice, request.encode())

    def respond(self, which: int, random: Random) -> None:
        """To some request, rightly or not."""
        requests = [(agent, message) for agent, message in self.heard if isinstance(message, Request) and message.method != "ACK"]
        if (found := self.recent(requests, which)) is None:
            return
        agent, request = found
        status = random.choice(STATUSES)
        body = self.body(agent, random, request.body) if status < 300 else b""
        headers = (("Contact", agent.contact), *random.choice(HEADERS))
        tag = "" if status == 100 else random.choice(("one", "one", "one", "two"))
        response = Response.answer(request, status, to_tag=tag, headers=headers, body=body, content_type="application/sdp" if body else "")
        self.send(agent, response.encode())

    def acknowledge(self, which: int, random: Random) -> None:
        finals = [(a, m) for a, m in self.heard if isinstance(m, Response) and m.cseq.method == "INVITE" and m.status >= 200]
        if (found := self.recent(finals, which)) is not None:
            agent, response = found
            body = self.body(agent, random) if random.random() < 0.3 else b""
            self.inside(agent, response, "ACK", response.cseq.number, body, response.via.branch if response.status >= 300 else "", ())

    def within(self, which: int, random: Random) -> None:
        """Some request in some dialog, the sender being who made it or who was called."""
        made = [(a, m) for a, m in self.heard if m.cseq.method == "INVITE"]
        if (found := self.recent(made, which)) is None:
            return
        agent, message = found
        method = random.choice(METHODS)
        cseq = message.cseq.number + random.choice((0, 1, 1, 1, 2, 3, -1))
        body = self.body(agent, random) if method in ("INVITE", "UPDATE", "PRACK", "INFO") else b""
        self.inside(agent, message, method, max(cseq, 0), body, "", random.choice(HEADERS))

    def inside(
        self,
        agent: Agent,
        message: Request | Response,
        method: str,
        cseq: int,
        body: bytes,
        branch: str,
        headers: tuple[tuple[str, str], ...],
    ) -> None:
        ours, theirs = (message.from_, message.to) if isinstance(message, Response) else (message.to.with_tag("one"), message.from_)
        try:
            request = agent.request(
                method,
                message.headers.first("Contact").strip("<>") if message.headers.first("Contact") else "sip:x@10.0.0.1",  # type: ignore[union-attr]
                call_id=message.call_id,
                cseq=cseq,
                from_tag=ours.tag or "none",
                to=str(theirs.with_tag("")),
                to_tag=theirs.tag,
                body=body,
                branch=branch,
                headers=headers,
            )
        except SipError:
            return
        self.send(agent, request.encode())

    def transfer(self, which: int, random: Random) -> None:
        """A REFER in one dialog, or an INVITE, that names another dialog of the same agent, or a number."""
        made = [(a, m) for a, m in self.heard if m.cseq.method == "INVITE" and (isinstance(m, Request) or m.status == 200)]
        if (found := self.recent(made, which)) is None:
            return
        agent, message = found
        named = random.choice([m for a, m in made if a is agent])
        ours, theirs = (named.from_.tag, named.to.tag) if isinstance(named, Response) else ("one", named.from_.tag)
        replaces = f"{named.call_id};to-tag={theirs};from-tag={ours}"
        if random.random() < 0.3:
            headers: tuple[tuple[str, str], ...] = (("Replaces", replaces),)
            self.send(agent, agent.request("INVITE", "sip:+4930123456@10.0.0.1", body=self.body(agent, random), headers=headers).encode())
            return
        embedded = replaces.replace(";", "%3B").replace("=", "%3D").replace("@", "%40")
        target = random.choice(("<sip:+4930555@h>", "<sip:040555@h>", f"<sip:x@h?Replaces={embedded}>", f"<sip:x@h?Replaces={embedded}>"))
        headers = (("Refer-To", target), *random.choice(((), (("Refer-Sub", "false"),))))
        self.inside(agent, message, "REFER", message.cseq.number + random.randrange(4), b"", "", headers)

    def errand(self, which: int, random: Random) -> None:
        """What is no call, outside of dialogs or in the dialog of a subscription."""
        made = [(a, m) for a, m in self.heard if m.cseq.method == "SUBSCRIBE"]
        found = self.recent(made, which)
        method = random.choice(ERRANDS)
        headers = (("Event", "presence"), ("Subscription-State", random.choice(("active", "terminated"))), ("Expires", str(which)))
        if found is not None and random.random() < 0.6:
            agent, message = found
            self.inside(agent, message, method, message.cseq.number + random.randrange(3), b"", "", headers)
            return
        agent = random.choice((self.office, self.carrier))
        request = agent.request(method, f"sip:{random.choice(NUMBERS)}@{agent.flow.local[0]}", headers=headers)
        request.body = random.choice((b"", b"hello", b"x" * 1400))
        self.send(agent, request.encode())

    def cancel(self, which: int, random: Random) -> None:
        agent = random.choice((self.office, self.office, self.carrier, self.alice))
        if (invite := agent.last_invite) is not None:
            cseq = CSeq(invite.cseq.number, "CANCEL")
            cancel = Request.build(
                "CANCEL", invite.uri, via=invite.via, from_=invite.from_, to=invite.to, call_id=invite.call_id, cseq=cseq
            )
            self.send(agent, cancel.encode())

    def repeat(self, which: int, random: Random) -> None:
        if (found := self.recent(self.said, which)) is not None:
            agent, data = found
            (agent if random.random() < 0.8 else random.choice(self.agents)).send_bytes(data)

    def spoil(self, which: int, random: Random) -> None:
        if (found := self.recent(self.said, which)) is not None:
            agent, data = found
            agent.send_bytes(mutate(data, random, messages()))

    def reflect(self, which: int, random: Random) -> None:
        """What we sent comes back to us, from its receiver or somebody else, whole or spoilt."""
        if (found := self.recent(self.heard, which)) is not None:
            agent, message = found
            data = message.encode()
            random.choice((agent, agent, self.agents[which % 5])).send_bytes(
                mutate(data, random, messages()) if random.random() < 0.7 else data
            )

    def litter(self, which: int, random: Random) -> None:
        self.agents[which % 5].send_bytes(random.choice(messages()))

    def wait(self, which: int, random: Random) -> None:
        self.world.after(WAITS[which % len(WAITS)])

    def disturb(self, which: int, random: Random) -> None:
        """What is no message: connections, networks, relays and policies change."""
        world = self.world
        match which % 5:
            case 0:
                world.receive(FlowClosed(self.alice.flow))
            case 1:
                world.unreachable ^= {random.choice(self.agents).flow.remote}
            case 2:
                world.failing = not world.failing
            case 3:
                world.receive(PolicyChanged(snapshot_of(random.choice(POLICIES))))
            case _:
                if random.random() < 0.1:
                    world.receive(DrainBegun())

    # Material

    def body(self, agent: Agent, random: Random, offer: bytes = b"") -> bytes:
        match random.randrange(10):
            case 0:
                return b""
            case 1:
                return mutate(sdp(agent.host, 40000), random, descriptions())
            case 2:
                return random.choice(descriptions())
            case 3:
                return sdp(agent.host, 40000 + 2 * random.randrange(3), direction=random.choice(("sendonly", "inactive", "recvonly")))
            case 4:  # fax, taken up where it was offered, more often than not
                head = sdp(agent.host, 40000, version=random.randrange(3)).partition(b"m=")[0]
                return head + random.choice((b"m=image 40000 udptl t38\r\n", b"m=audio 0 RTP/AVP 8\r\nm=image 40002 udptl t38\r\n"))
            case 5:
                return sdp(agent.host, 0, version=random.randrange(3))
            case _:
                if b"m=image" in offer:
                    return sdp(agent.host, 40000).partition(b"m=")[0] + b"m=image 40000 udptl t38\r\n"
                if b"AES_CM_128_HMAC_SHA1_80" in offer:
                    return secure_answer(offer.decode("utf-8", "replace").encode(), agent.host, 50000)
                return sdp(agent.host, 40000 + 2 * random.randrange(3), version=random.randrange(3))

    def proof(self, agent: Agent, headers: tuple[tuple[str, str], ...], method: str, uri: str) -> tuple[tuple[str, str], ...]:
        """`headers`, and credentials for the last challenge that was heard."""
        for who, message in reversed(self.heard):
            if who is agent is self.alice and isinstance(message, Response) and message.status == 401:
                challenges = [Challenge.parse(value) for value in message.headers.all("WWW-Authenticate")]
                return (
                    *headers,
                    ("Authorization", digest_answer(challenges, "alice", "wonderland", method, uri, len(self.said), "cnonce")),
                )
        return headers

    # The end

    def expect_good_end(self) -> None:
        world = self.world
        world.failing = False
        world.unreachable.clear()
        world.shut_down()
        world.after(4000)  # registrations too
        world.expect_nothing_left()
        assert len({record["id"] for record in world.records}) == len(world.records)
        core = world.core.core
        limits = core._context.limits
        assert [name for name in ("alice", "office", "carrier", "backup", "limits.carrier", "limits.person") if limits.calls(name)] == []
        if not core._context.draining:
            self.expect_good_call()

    def expect_good_call(self) -> None:
        world = self.world
        world.receive(PolicyChanged(snapshot_of(CALM)))
        for agent in self.agents:
            agent.inbox.clear()
        invite, ok, _ = connect(self.office, self.carrier, "+4930123456")
        self.office.send(self.office.within(invite, ok, "BYE"))
        self.office.expect_response(200)
        self.carrier.answer(self.carrier.expect_request("BYE"), 200)
        world.expect_nothing_left()


@settings(max_examples=max(100, settings().max_examples // 10))
@given(st.lists(st.tuples(st.integers(0, 22), st.integers(0, 59), st.integers(0, 2**32)), min_size=5, max_size=60))
def test_any_sequence_ends_well(steps: list[tuple[int, int, int]]) -> None:
    play = Play()
    for step in steps:
        play.step(*step)
    play.expect_good_end()
