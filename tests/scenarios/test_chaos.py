"""Whatever the network does to the messages of a call, it ends: one final answer each, one record, nothing left behind."""

from __future__ import annotations

from random import Random

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sbc.sip.message import Request, Response
from tests.world import POLICY, Agent, World, sdp
from tests.zones import zone


class Phone:
    """Drives an agent by itself: rings, answers, acknowledges, hangs up when told. Loses, repeats and delays what it sends."""

    def __init__(self, world: World, agent: Agent, random: Random) -> None:
        self.world = world
        self.agent = agent
        self.random = random
        self.finals: list[int] = []
        self.dialog: tuple[Request, Response] | None = None
        self.received: Request | None = None
        self.answered: set[str] = set()

    def send(self, message: Request | Response) -> None:
        for _ in range(self.random.choice((0, 1, 1, 1, 1, 2))):
            self.agent.send(message)

    def work(self) -> None:
        """Whatever has come, in an order of the network's choosing."""
        messages = list(self.agent.inbox)
        self.agent.inbox.clear()
        self.random.shuffle(messages)
        for message in messages:
            if isinstance(message, Request):
                self._serve(message)
            elif message.cseq.method == "INVITE" and message.status >= 200:
                self._finish(message)

    def _serve(self, request: Request) -> None:
        match request.method:
            case "INVITE" if not request.to.tag:
                self.received = request
                if request.via.branch not in self.answered:
                    self.send(Response.answer(request, 180, to_tag="ring", headers=(("Contact", self.agent.contact),)))
                if self.random.random() < 0.5:
                    self._answer(request)
            case "CANCEL":
                self.send(Response.answer(request, 200, to_tag="ring"))
                if self.received is not None and self.received.via.branch not in self.answered:
                    self.send(Response.answer(self.received, 487, to_tag="ring"))
            case "ACK":
                pass
            case _:
                self.send(Response.answer(request, 200, to_tag="ring"))

    def _answer(self, request: Request) -> None:
        self.answered.add(request.via.branch)
        body = sdp(self.agent.host, 50000)
        headers = (("Contact", self.agent.contact),)
        self.send(Response.answer(request, 200, to_tag="ring", headers=headers, body=body, content_type="application/sdp"))

    def _finish(self, response: Response) -> None:
        if response.status not in self.finals:
            self.finals.append(response.status)
        assert self.agent.last_invite is not None
        if response.status < 300:
            self.dialog = (self.agent.last_invite, response)
        self.send(self.agent.within(self.agent.last_invite, response, "ACK", cseq=1))

    def hang_up(self) -> None:
        if self.dialog is not None:
            self.send(self.agent.within(*self.dialog, "BYE", cseq=2))


SEVERAL = POLICY.replace("peer: sip:10.1.0.2:5060", "peer: sip:carrier.example").replace("carrier: {calls: 2,", "carrier: {calls: 9,")


class Server(Phone):
    """One of several of a carrier, often out of order."""

    def _answer(self, request: Request) -> None:
        if self.random.random() < 0.5:
            super()._answer(request)
            return
        self.answered.add(request.via.branch)
        self.send(Response.answer(request, self.random.choice((404, 503, 503)), to_tag="ring", headers=(("Retry-After", "40"),)))


@settings(max_examples=max(60, settings().max_examples // 10), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**32),
    steps=st.lists(st.sampled_from(["call", "work", "work", "wait", "cancel", "bye", "down", "up"]), min_size=4, max_size=40),
)
@example(seed=501, steps=["wait", "call", "wait", "work", "call", "call", "cancel"])  # an ACK with the tag of another call
def test_every_call_over_failing_servers_ends_and_leaves_one_record(seed: int, steps: list[str]) -> None:
    random = Random(seed)
    world = World(SEVERAL)
    names = ("a", "b", "c")
    services = [f"_sip._udp.carrier.example SRV {n // 2} 5 5060 {name}.example" for n, name in enumerate(names)]
    addresses = [f"{name}.example A 10.1.0.1{n}" for n, name in enumerate(names)]
    world.zone = zone("\n".join(services + addresses))
    office = Phone(world, world.agent("office", ("10.0.0.20", 5060), "outside"), random)
    servers = [Server(world, world.agent(name, (f"10.1.0.1{n}", 5060), "inside"), random) for n, name in enumerate(names)]
    backup = Phone(world, world.agent("backup", ("10.1.0.3", 5060), "inside"), random)
    calls = [office.agent.invite("+4930123456")]
    for step in steps:
        match step:
            case "call":
                calls.append(office.agent.invite("+4930123456"))
            case "work":
                for phone in (*servers, backup, office):
                    phone.work()
            case "wait":
                world.after(random.choice((0.1, 0.5, 4.0, 33.0, 70.0)))
            case "cancel":
                office.agent.cancel(random.choice(calls))
            case "bye":
                office.hang_up()
            case "down":
                world.unreachable.add(random.choice(servers).agent.flow.remote)
            case "up":
                world.unreachable.clear()
    world.shut_down()
    for _ in range(40):
        world.after(2)
        for phone in (*servers, backup, office):
            phone.work()
    world.expect_nothing_left()
    assert len(world.records) == len(calls)
    assert len({record["id"] for record in world.records}) == len(calls)


@settings(max_examples=max(120, settings().max_examples // 10), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**32),
    steps=st.lists(st.sampled_from(["work", "work", "wait", "cancel", "bye", "repeat"]), min_size=4, max_size=25),
)
@example(seed=977, steps=["wait", "work", *["cancel"] * 3, "work", "wait", "wait", "repeat", "cancel"])  # a branch used for two calls
@example(seed=33373, steps=["wait", "wait", "work", "work", "wait", "cancel", "wait", "repeat", "cancel", "cancel"])  # the same, refused
def test_every_call_ends_and_leaves_one_record(seed: int, steps: list[str]) -> None:
    random = Random(seed)
    world = World()
    office = Phone(world, world.agent("office", ("10.0.0.20", 5060), "outside"), random)
    carrier = Phone(world, world.agent("carrier", ("10.1.0.2", 5060), "inside"), random)
    backup = Phone(world, world.agent("backup", ("10.1.0.3", 5060), "inside"), random)
    invite = office.agent.invite("+4930123456")
    for step in steps:
        match step:
            case "work":
                for phone in (carrier, backup, office):
                    phone.work()
            case "wait":
                world.after(random.choice((0.1, 0.5, 4.0, 33.0)))
            case "cancel":
                office.agent.cancel(invite)
            case "bye":
                office.hang_up()
            case "repeat":
                office.agent.send(invite)
    world.shut_down()
    for _ in range(40):
        world.after(2)
        for phone in (carrier, backup, office):
            phone.work()
    world.expect_nothing_left()
    assert len(world.records) >= 1
    assert len({record["id"] for record in world.records}) == len(world.records), "one record for each attempt"
    assert len(world.records) == 1 or "repeat" in steps, world.records
    assert len([status for status in office.finals if status >= 200]) <= 1 or "repeat" in steps, office.finals
