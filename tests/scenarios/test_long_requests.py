"""Requests within a call that are too long for a datagram (RFC 3261 s18.1.1): by TCP, and by UDP after all."""

from __future__ import annotations

import pytest

from sbc.flow import Flow
from sbc.sip.message import Request, Response
from sbc.sip.names import CONTACT
from sbc.sip.parse import parse_datagram
from tests.scenarios.test_update import ALLOWS
from tests.world import POLICY, World, connect, sdp

BOTH = "signalling: [udp://10.1.0.1:5060, tcp://10.1.0.1:5060]"
STREAM = (
    POLICY.replace("signalling: [udp://10.1.0.1:5060]", BOTH)
    .replace("    peer: sip:10.1.0.2:5060\n", "    peer: sip:10.1.0.2:5060\n    messages: pass\n    trusted: true\n")
    .replace("    peer: sip:10.0.0.20:5060\n", "    peer: sip:10.0.0.20:5060\n    messages: pass\n    trusted: true\n")
)
LONG = b"x" * 1200
LONG_NAME = (("P-Asserted-Identity", f'"{"y" * 1000}" <sip:+4930777@10.0.0.20>'),)


class Scene(World):
    """A call of the office to the carrier that is connected, all of it by UDP."""

    def __init__(self, policy: str = STREAM) -> None:
        super().__init__(policy)
        self.office = self.agent("office", ("10.0.0.20", 5060), "outside")
        self.carrier = self.agent("carrier", ("10.1.0.2", 5060), "inside")
        self.invite, self.ok, self.received = connect(self.office, self.carrier, "+4930123456")
        self.sent.clear()

    def say(self, text: bytes, cseq: int) -> Request:
        """A MESSAGE of the office within the call; what the carrier gets."""
        request = self.office.within(self.invite, self.ok, "MESSAGE", cseq=cseq, headers=(("Content-Type", "text/plain"),))
        request.body = text
        self.office.send(request)
        return self.carrier.expect_request("MESSAGE")

    def ways(self, method: str) -> list[tuple[str, Flow]]:
        """By which transport its Via says a request of that method was sent to the carrier, and by which it was; no repetitions."""
        found: dict[str, tuple[str, Flow]] = {}
        for send in self.sent:
            message = parse_datagram(send.data)
            if isinstance(message, Request) and message.method == method and send.flow.remote == self.carrier.flow.remote:
                found.setdefault(message.via.branch, (message.via.transport, send.flow))
        return list(found.values())

    def transports(self, method: str) -> list[str]:
        for via, flow in self.ways(method):
            assert via == flow.transport
        return [via for via, _ in self.ways(method)]

    def end(self) -> None:
        self.office.send(self.office.within(self.invite, self.ok, "BYE", cseq=99))
        self.office.expect_response(200)
        self.carrier.answer(self.carrier.expect_request("BYE"), 200)
        assert self.transports("BYE") == ["UDP"], "it is short"
        self.expect_nothing_left()


def test_TRN_04_within_a_call_too() -> None:
    scene = Scene()
    for cseq, text in ((2, b"short"), (3, LONG), (4, b"short")):
        crossed = scene.say(text, cseq)
        assert (crossed.body, crossed.call_id) == (text, scene.received.call_id)
        scene.carrier.answer(crossed, 200)
        scene.office.expect_response(200)
    assert scene.transports("MESSAGE") == ["UDP", "TCP", "UDP"]
    assert scene.ways("MESSAGE")[1][1].remote == ("10.1.0.2", 5060)
    scene.end()


def test_TRN_04_where_we_are_reached_stays_as_it_was() -> None:
    scene = Scene()
    update = scene.office.within(scene.invite, scene.ok, "INVITE", cseq=2, headers=(*LONG_NAME, *ALLOWS))
    update.body = sdp("10.0.0.20", 40000, version=2, direction="sendonly")
    update.headers.add("Content-Type", "application/sdp")
    scene.office.send(update)
    scene.office.expect_response(100)
    crossed = scene.carrier.expect_request("INVITE")
    assert len(crossed.encode()) > 1300
    assert crossed.headers.all(CONTACT) == scene.received.headers.all(CONTACT), "a short request of the peer's goes by UDP"
    scene.carrier.answer(crossed, 200, body=sdp("10.1.0.2", 50000, version=2, direction="recvonly"))
    assert scene.carrier.expect_request("ACK").via.transport == "UDP"
    answer = scene.office.expect_response(200)
    scene.office.ack(answer)
    assert scene.transports("INVITE") == ["TCP"]
    scene.end()


def test_TRN_04_by_udp_after_all_where_there_is_no_tcp() -> None:
    scene = Scene()
    scene.unreachable.add(("TCP", scene.carrier.flow.remote))
    crossed = scene.say(LONG, 2)
    scene.carrier.answer(crossed, 200)
    scene.office.expect_response(200)
    assert scene.transports("MESSAGE") == ["TCP", "UDP"]
    first, second = (parse_datagram(send.data) for send in scene.sent if b"MESSAGE sip:" in send.data)
    assert isinstance(first, Request)
    assert (first.cseq, first.body) == (second.cseq, second.body), "one request"
    assert first.via.branch != second.via.branch, "two transactions"
    scene.carrier.answer(scene.say(LONG, 3), 200)
    scene.office.expect_response(200)
    assert scene.transports("MESSAGE") == ["TCP", "UDP", "UDP"], "no second try for a while"
    assert [log.event for log in scene.logs] == ["server failed"]
    scene.end()


def test_TRN_04_a_change_goes_on_by_udp_and_is_cancelled_there() -> None:
    """The transaction is another one, the change is the same."""
    scene = Scene()
    scene.unreachable.add(("TCP", scene.carrier.flow.remote))
    again = scene.office.within(scene.invite, scene.ok, "INVITE", cseq=2, headers=(*LONG_NAME, *ALLOWS))
    again.body = sdp("10.0.0.20", 40000, version=2, direction="sendonly")
    again.headers.add("Content-Type", "application/sdp")
    scene.office.send(again)
    scene.office.expect_response(100)
    crossed = scene.carrier.expect_request("INVITE")
    assert crossed.via.transport == "UDP"
    scene.carrier.answer(crossed, 100)
    scene.office.cancel(again)
    assert {response.status for response in scene.office.inbox if isinstance(response, Response)} == {200, 487}
    scene.office.inbox.clear()
    cancel = scene.carrier.expect_request("CANCEL")
    assert cancel.via == crossed.via
    scene.carrier.answer(cancel, 200)
    scene.carrier.answer(crossed, 487)
    scene.carrier.expect_request("ACK")
    assert scene.core.busy() == 1
    scene.end()


def test_TRN_04_what_fails_on_both_ways_has_failed() -> None:
    scene = Scene()
    scene.unreachable |= {("TCP", scene.carrier.flow.remote), ("UDP", scene.carrier.flow.remote)}
    request = scene.office.within(scene.invite, scene.ok, "MESSAGE", cseq=2, headers=(("Content-Type", "text/plain"),))
    request.body = LONG
    scene.office.send(request)
    scene.office.expect_response(500)
    assert scene.transports("MESSAGE") == ["TCP", "UDP"]
    scene.unreachable.clear()
    scene.end()


@pytest.mark.parametrize(
    "policy",
    [
        pytest.param(STREAM.replace("peer: sip:10.1.0.2:5060", "peer: sip:10.1.0.2:5060;transport=udp"), id="the policy wants UDP"),
        pytest.param(STREAM.replace(BOTH, "signalling: [udp://10.1.0.1:5060]"), id="no TCP listener to send from"),
    ],
)
def test_TRN_04_udp_alone_within_a_call(policy: str) -> None:
    scene = Scene(policy)
    scene.carrier.answer(scene.say(LONG, 2), 200)
    scene.office.expect_response(200)
    assert scene.transports("MESSAGE") == ["UDP"]
    scene.end()
