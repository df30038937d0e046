"""Client and server transactions against each other, over a network that loses, repeats and reorders."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from heapq import heappop, heappush

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sbc.flow import Flow
from sbc.sip.message import Request
from sbc.sip.parse import parse_datagram
from tests.unit.sip.peer import TCP, UDP, World, request, response

LOSSES = 5  # fewer than Timer A or E repeats a request: what was meant to arrive arrives in the end
LONGEST_DELAY = 2.0  # seconds, shorter than T4: what comes later may start a transaction anew, and should


class Network:
    """Two worlds with one clock and datagrams on the way between them."""

    def __init__(self, fates: Iterator[tuple[bool, bool, float]], answers: tuple[int, ...], thinking: float) -> None:
        self.client, self.server = World(), World()
        self.fates = fates
        self.answers = answers
        self.thinking = thinking
        self.lost = 0
        self.on_the_way: list[tuple[float, int, str, bytes]] = []
        self.posted = 0
        self.requests_seen: list[str] = []

    def run(self, until: float) -> None:
        instant = 0.0
        while instant < until:
            self.collect()
            instants = [world.timers.next() for world in (self.client, self.server)]
            if self.on_the_way:
                instants.append(self.on_the_way[0][0])
            instant = min([when for when in instants if when is not None], default=until)
            self.client.until(instant)
            self.server.until(instant)
            self.collect()
            while self.on_the_way and self.on_the_way[0][0] <= instant:
                _, _, to, data = heappop(self.on_the_way)
                self.arrive(to, data)

    def collect(self) -> None:
        for world, to in ((self.client, "server"), (self.server, "client")):
            for when, data, _, _ in world.sent:
                lost, repeated, delay = next(self.fates)
                if lost and self.lost < LOSSES:
                    self.lost += 1
                    continue
                self.post(when + delay, to, data)
                if repeated:
                    self.post(when + delay + 0.3, to, data)
            world.sent.clear()

    def post(self, when: float, to: str, data: bytes) -> None:
        self.posted += 1
        heappush(self.on_the_way, (when, self.posted, to, data))

    def arrive(self, to: str, data: bytes) -> None:
        if to == "answer":
            self.answer(int(data))
            return
        message = parse_datagram(data)
        if not isinstance(message, Request):
            self.client.hear(message)
        elif not self.server.absorb(message) and message.method != "ACK":
            self.requests_seen.append(message.method)
            self.transaction = self.server.serve(message)
            for number, status in enumerate(self.answers):
                self.post(self.server.instant + number * self.thinking, "answer", str(status).encode())

    def answer(self, status: int) -> None:
        self.server.answer(self.transaction, response(self.transaction.request, status))


fate = st.tuples(st.booleans(), st.booleans(), st.floats(0.0, LONGEST_DELAY))


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(("OPTIONS", "INVITE")),
    st.lists(fate, max_size=40),
    st.sampled_from(((404,), (100, 404), (180, 500), (100, 180, 603))),
    st.floats(0.0, 3.0),
)
def test_whatever_the_network_does_each_user_sees_one_request_and_one_final(
    method: str, fates: list[tuple[bool, bool, float]], answers: tuple[int, ...], thinking: float
) -> None:
    def endless() -> Iterator[tuple[bool, bool, float]]:
        yield from fates
        while True:
            yield (False, False, 0.01)

    network = Network(endless(), answers, thinking)
    network.client.call(request(method))
    network.run(200.0)
    heard = [entry.split()[1] for entry in network.client.owner.heard]
    assert [entry for entry in heard if not entry.startswith("1")] == [str(answers[-1])]
    assert network.requests_seen == [method]
    assert network.server.owner.heard == [], "the ACK came"
    assert len(network.client.layer) == len(network.server.layer) == 0
    assert len(network.client.timers) == len(network.server.timers) == 0


@pytest.mark.parametrize("flow", [UDP, TCP])
def test_finished_transactions_leave_no_garbage_cycle(flow: Flow) -> None:
    def whole_life() -> None:
        world = World()
        for number, (method, status) in enumerate((("INVITE", 200), ("INVITE", 404), ("OPTIONS", 200))):
            client = world.call(request(method, f"z9hG4bK-{number}"), flow)
            server = world.serve(request(method, f"z9hG4bK-{number}"), flow)
            answer = response(server.request, status)
            world.answer(server, answer)
            world.hear(answer, flow)
            del client, server
        world.until(100.0)
        assert len(world.layer) == 0
        world.timers._heap.clear()
        world.layer = None  # type: ignore[assignment]  # world -> layer -> world.send is the test's own cycle

    whole_life()
    gc.collect()
    gc.disable()
    try:
        whole_life()
        from sbc.sip.machine import Transaction

        assert not [o for o in gc.get_objects() if isinstance(o, Transaction)]
    finally:
        gc.enable()
