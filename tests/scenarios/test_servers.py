"""One trunk, several servers: who is tried, in which order, and what goes where (RFC 3263, RFC 3261 s18.1.1)."""

from __future__ import annotations

import pytest

from sbc.effects import Log
from sbc.flow import Flow
from sbc.inputs import Resolved
from sbc.sip.fields.nameaddr import NameAddr
from sbc.sip.fields.via import Via
from sbc.sip.message import Request
from sbc.sip.parse import parse_datagram
from tests.world import POLICY, Agent, World, sdp
from tests.zones import zone

NUMBER = "+4930123456"
NAMED = POLICY.replace("peer: sip:10.1.0.2:5060", "peer: sip:carrier.example")
PATIENT = NAMED.replace("ring_for: 60s", "ring_for: 10m").replace(
    "carrier: {calls: 2, new_calls: 50/s,", "carrier: {calls: 20, new_calls: 50/s,"
)
THREE = zone("""
    _sip._udp.carrier.example SRV 1 0 5060 a.carrier.example
    _sip._udp.carrier.example SRV 2 0 5070 b.carrier.example
    _sip._udp.carrier.example SRV 3 0 5060 c.carrier.example
    a.carrier.example A 10.1.0.11
    b.carrier.example A 10.1.0.12
    c.carrier.example A 10.1.0.13
""")
TOO_LONG = (("Identity", "x" * 900),)  # crosses, and is longer than what is left of 1,300 octets


class Scene(World):
    """A world whose carrier is found by name, with agents at `a`, `b` and `c`."""

    def __init__(self, policy: str = PATIENT) -> None:
        super().__init__(policy)
        self.zone = THREE
        self.office = self.agent("office", ("10.0.0.20", 5060), "outside")
        self.a = self.agent("a", ("10.1.0.11", 5060), "inside")
        self.b = self.agent("b", ("10.1.0.12", 5070), "inside")
        self.c = self.agent("c", ("10.1.0.13", 5060), "inside")
        self.backup = self.agent("backup", ("10.1.0.3", 5060), "inside")

    def call(self, **options: object) -> Request:
        request = self.office.invite(NUMBER, **options)  # type: ignore[arg-type]
        self.office.expect_response(100)
        return request

    def answered_by(self, agent: Agent) -> None:
        """The call in progress reaches that agent, and is over at once."""
        received = agent.expect_request("INVITE")
        agent.answer(received, 486)
        agent.expect_request("ACK")
        self.office.ack(self.office.expect_response(486))

    def attempts(self) -> list[tuple[object, ...]]:
        """Of the last record."""
        return [(each["server"], each["status"]) for each in self.records[-1]["attempts"]]  # type: ignore[attr-defined]

    def sent_to_a(self) -> list[str]:
        return [send.data.partition(b" ")[0].decode() for send in self.sent if send.flow.remote == self.a.flow.remote]

    def invites(self) -> list[tuple[Request, Flow]]:
        """Sent, without repetitions."""
        found: dict[str, tuple[Request, Flow]] = {}
        for effect in self.sent:
            message = parse_datagram(effect.data)
            if isinstance(message, Request) and message.method == "INVITE":
                found.setdefault(message.via.branch, (message, effect.flow))
        return list(found.values())


def test_DNS_04_the_next_server_after_503_silence_and_a_broken_transport() -> None:
    world = Scene()
    world.unreachable.add(world.b.flow.remote)
    world.call()
    first = world.a.expect_request("INVITE")
    world.a.answer(first, 503)
    assert world.a.expect_request("ACK").via == first.via
    world.c.expect_request("INVITE")
    world.after(32)
    assert world.backup.expect_request("INVITE").uri.host == "10.1.0.3"  # the route's next trunk
    invites = world.invites()
    assert [flow.remote for _, flow in invites] == [("10.1.0.11", 5060), ("10.1.0.12", 5070), ("10.1.0.13", 5060), ("10.1.0.3", 5060)]
    assert len({request.via.branch for request, _ in invites}) == 4, "every attempt is a new one"
    assert len({(request.call_id, request.from_.tag) for request, _ in invites}) == 4
    assert {request.uri.host for request, _ in invites[:3]} == {"carrier.example"}
    world.shut_down()
    assert world.attempts()[:3] == [("UDP 10.1.0.11:5060", 503), ("UDP 10.1.0.12:5070", 503), ("UDP 10.1.0.13:5060", 408)]
    world.office.inbox.clear()
    world.expect_nothing_left()


def test_DNS_04_the_server_that_answers_is_kept() -> None:
    world = Scene()
    invite = world.call()
    world.a.answer(world.a.expect_request("INVITE"), 503)
    world.a.expect_request("ACK")
    received = world.b.expect_request("INVITE")
    world.b.answer(received, 180)
    world.office.expect_response(180)
    world.b.answer(received, 200, body=sdp(world.b.host, 50000))
    world.b.expect_request("ACK")
    ok = world.office.expect_response(200)
    world.office.ack(ok)
    world.office.send(world.office.within(invite, ok, "BYE"))
    world.office.expect_response(200)
    world.b.answer(world.b.expect_request("BYE"), 200)
    assert world.attempts() == [("UDP 10.1.0.11:5060", 503), ("UDP 10.1.0.12:5070", 200)]
    leg = world.records[0]["b"]
    assert isinstance(leg, dict)
    assert (leg["peer"], leg["trunk"]) == ("10.1.0.12:5070", "carrier")
    for agent in (world.a, world.c, world.backup):
        agent.expect_nothing()
    world.expect_nothing_left()


@pytest.mark.parametrize("status", [404, 408, 486, 500, 504, 603])
def test_DNS_04_an_answer_is_no_failure_of_the_server(status: int) -> None:
    """Only 503 is (RFC 3263 s4.3); whether another trunk is tried is the route's business."""
    world = Scene()
    world.call()
    world.a.answer(world.a.expect_request("INVITE"), status)
    world.a.expect_request("ACK")
    world.b.expect_nothing()
    if status in (408, 500, 504):
        world.answered_by(world.backup)
    else:
        world.office.ack(world.office.expect_response(status))
    world.expect_nothing_left()


def test_DNS_04_once_it_rang_no_other_server_is_tried() -> None:
    world = Scene()
    world.call()
    received = world.a.expect_request("INVITE")
    world.a.answer(received, 180)
    world.office.expect_response(180)
    world.a.answer(received, 503)
    world.a.expect_request("ACK")
    world.b.expect_nothing()
    world.answered_by(world.backup)
    world.expect_nothing_left()


def test_DNS_04_all_servers_of_a_trunk_share_the_time_the_route_gives_it() -> None:
    world = Scene(NAMED)  # ring_for: 60s
    world.call()
    world.after(59)
    world.a.expect_request("INVITE")
    world.b.expect_request("INVITE")
    world.c.expect_nothing()
    world.after(1)
    world.c.expect_nothing()
    world.a.inbox.clear()
    world.b.inbox.clear()
    world.answered_by(world.backup)
    world.expect_nothing_left()


def test_DNS_04_no_place_among_the_limits_is_lost_or_taken_twice() -> None:
    world = Scene(NAMED)  # the carrier takes two calls at a time
    world.unreachable |= {world.a.flow.remote, world.b.flow.remote}
    for _ in range(3):
        world.call()
        world.answered_by(world.c)
    world.expect_nothing_left()


def test_DNS_05_INV_01_cancel_and_ack_go_to_the_server_of_their_invite() -> None:
    world = Scene()
    world.unreachable.add(world.a.flow.remote)
    invite = world.call()
    received = world.b.expect_request("INVITE")
    world.office.cancel(invite)
    world.office.expect_response(200)
    world.office.ack(world.office.expect_response(487))
    world.b.expect_nothing()  # "If no provisional response has been received, the CANCEL request MUST NOT be sent" (RFC 3261 s9.1)
    world.b.answer(received, 100)
    cancel = world.b.expect_request("CANCEL")
    assert (cancel.via, cancel.uri, cancel.call_id, cancel.cseq.number) == (received.via, received.uri, received.call_id, 1)
    assert (cancel.from_, cancel.to) == (received.from_, received.to)
    world.b.answer(cancel, 200)
    world.b.answer(received, 487)
    ack = world.b.expect_request("ACK")
    assert (ack.via, ack.uri) == (received.via, received.uri)
    for agent in (world.a, world.c, world.backup):
        agent.expect_nothing()
    world.expect_nothing_left()


def test_DNS_07_tls_must_prove_the_name_in_the_policy() -> None:
    world = Scene(
        PATIENT.replace("peer: sip:carrier.example", "peer: sips:carrier.example").replace(
            "signalling: [udp://10.1.0.1:5060]", "signalling: [udp://10.1.0.1:5060, tls://10.1.0.1:5061]\n    certificate: edge"
        )
    )
    world.zone = zone("""
        _sips._tcp.carrier.example SRV 1 0 5061 host7.elsewhere.example
        _sips._tcp.carrier.example SRV 2 0 5061 host8.elsewhere.example
        host7.elsewhere.example A 10.1.0.11
        host8.elsewhere.example A 10.1.0.12
    """)
    world.unreachable.add(("10.1.0.11", 5061))
    world.call()
    world.core.core._context.peers._names.clear()
    world.after(30)
    world.call()
    sent = [(send.data.partition(b" ")[0], send.flow.remote[0]) for send in world.sent if send.flow.realm == "inside"]
    assert sent == [(b"INVITE", "10.1.0.11"), (b"INVITE", "10.1.0.12"), (b"OPTIONS", "10.1.0.11"), (b"INVITE", "10.1.0.12")]
    for send in world.sent:
        if send.flow.realm == "inside":
            assert (send.flow.transport, send.server_name) == ("TLS", "carrier.example")
            assert b"elsewhere" not in send.data
    world.expect_nothing_left()


def test_DNS_08_a_server_that_failed_is_tried_last_for_a_while() -> None:
    world = Scene()
    world.unreachable.add(world.a.flow.remote)
    world.call()
    world.answered_by(world.b)
    assert len(world.invites()) == 2
    world.unreachable.clear()
    world.call()
    world.answered_by(world.b)  # at once
    assert len(world.invites()) == 3
    world.after(30)
    world.call()
    world.answered_by(world.b)  # no caller has to find out …
    options = world.a.expect_request("OPTIONS")
    assert (str(options.uri), options.headers.first("Max-Forwards")) == ("sip:carrier.example", "70")
    world.call()
    world.answered_by(world.b)
    world.a.expect_nothing()  # … and one question is enough
    world.a.answer(options, 405)  # whoever says so is there
    world.call()
    world.answered_by(world.a)
    facts: dict[str, object] = {"realm": "inside", "server": "UDP 10.1.0.11:5060"}
    assert world.logs == [Log("warning", "server failed", facts), Log("info", "server is back", facts)]
    world.expect_nothing_left()


@pytest.mark.parametrize("silence", [True, False])
def test_DNS_08_a_server_that_is_not_back_is_not_called(silence: bool) -> None:
    world = Scene()
    world.unreachable.add(world.a.flow.remote)
    world.call()
    world.answered_by(world.b)
    world.unreachable.clear()
    world.after(30)
    world.call()
    world.answered_by(world.b)
    options = world.a.expect_request("OPTIONS")
    if silence:
        world.after(32)
    else:
        world.a.answer(options, 503)
    world.a.inbox.clear()
    world.after(59)
    world.call()
    world.answered_by(world.b)
    world.a.expect_nothing()
    world.after(1)
    world.call()
    world.answered_by(world.b)
    world.a.answer(world.a.expect_request("OPTIONS"), 200)
    world.call()
    world.answered_by(world.a)
    world.expect_nothing_left()


def test_DNS_08_the_longer_a_server_is_down_the_more_seldom_it_is_tried() -> None:
    world = Scene()
    world.unreachable.add(world.a.flow.remote)
    world.call()
    world.answered_by(world.b)
    for pause in (30, 60, 120, 240, 300, 300):
        before = len(world.sent_to_a())
        world.after(pause - 1)
        world.call()
        world.answered_by(world.b)
        assert len(world.sent_to_a()) == before, f"left alone for {pause} s"
        world.after(1)
        world.call()
        world.answered_by(world.b)
        assert len(world.sent_to_a()) == before + 1
    assert world.sent_to_a() == ["INVITE"] + 6 * ["OPTIONS"]
    world.unreachable.clear()
    world.after(300)
    world.call()
    world.answered_by(world.b)
    world.a.answer(world.a.expect_request("OPTIONS"), 200)
    world.unreachable.add(world.a.flow.remote)
    world.call()
    world.answered_by(world.b)
    world.after(30)
    world.call()
    world.answered_by(world.b)
    assert world.sent_to_a()[-2:] == ["INVITE", "OPTIONS"]  # it had been well in between: 30 s again
    world.expect_nothing_left()


def test_DNS_08_a_server_is_left_alone_for_as_long_as_it_asks() -> None:
    world = Scene()
    world.call()
    world.a.answer(world.a.expect_request("INVITE"), 503, headers=(("Retry-After", "120"),))
    world.a.expect_request("ACK")
    world.answered_by(world.b)
    for retry_after, pause in ((86400, 120), (1, 300), (1, 300)):
        world.after(pause - 1)
        world.call()
        world.answered_by(world.b)
        world.a.expect_nothing()
        world.after(1)
        world.call()
        world.answered_by(world.b)
        world.a.answer(world.a.expect_request("OPTIONS"), 503, headers=(("Retry-After", str(retry_after)),))
    world.expect_nothing_left()


def test_DNS_08_the_only_server_is_tried_however_often_it_failed() -> None:
    world = Scene()
    world.zone = zone("carrier.example A 10.1.0.11")
    for pause in (0, 20, 301):  # before, within and after its penalty
        world.after(pause)
        world.call()
        world.a.answer(world.a.expect_request("INVITE"), 503)
        world.a.expect_request("ACK")
        world.answered_by(world.backup)
    world.expect_nothing_left()


def test_DNS_08_a_name_without_an_address_leaves_the_next_trunk() -> None:
    world = Scene()
    world.zone = {}
    world.call()
    world.answered_by(world.backup)
    attempts = world.records[0]["attempts"]
    assert isinstance(attempts, list)
    assert attempts[0] == {"target": "carrier", "status": 503, "note": "carrier.example has no address we can reach from realm inside"}
    world.expect_nothing_left()


def test_DNS_08_dns_cannot_make_us_call_ourselves() -> None:
    world = Scene()
    world.zone = zone("carrier.example A 10.1.0.1")
    world.call()
    world.answered_by(world.backup)
    assert [flow.remote for _, flow in world.invites()] == [("10.1.0.3", 5060)]
    world.expect_nothing_left()


def test_DNS_08_an_answer_of_dns_that_nobody_waits_for_any_more() -> None:
    world = Scene()
    world.zone = None
    invite = world.call()
    world.after(1.5)
    assert world.invites() == []
    world.office.cancel(invite)
    world.office.expect_response(200)
    world.office.ack(world.office.expect_response(487))
    (question,) = world.unanswered
    world.receive(Resolved(question, THREE))
    assert world.invites() == []
    world.expect_nothing_left()


def test_DNS_08_half_an_answer_is_none() -> None:
    world = Scene()
    world.zone = None
    world.call()
    world.receive(Resolved(world.unanswered[0], {}))
    world.answered_by(world.backup)
    world.expect_nothing_left()


def test_DNS_03_the_choice_by_weight_is_the_cores_own() -> None:
    """The same inputs and identifiers choose the same servers: a recording replays."""
    lines = [f"_sip._udp.carrier.example SRV 1 10 5060 s{n}.example\ns{n}.example A 10.1.1.{n}" for n in range(8)]

    def first_servers() -> list[str]:
        world = Scene()
        world.zone = zone("\n".join(lines))
        for _ in range(15):
            world.call()
        return [flow.remote[0] for _, flow in world.invites()]

    chosen = first_servers()
    assert chosen == first_servers()
    assert len(set(chosen)) > 3, "and it is a choice"


def test_TRN_07_a_closed_port_is_a_503() -> None:
    world = Scene()
    world.unreachable |= {world.a.flow.remote, world.b.flow.remote, world.c.flow.remote, world.backup.flow.remote}
    world.call()
    world.office.ack(world.office.expect_response(500))  # a 503 of theirs is not a 503 of ours
    assert [status for _, status in world.attempts()] == [503, 503, 503, 503]
    assert world.records[0]["sip_status"] == 503
    world.expect_nothing_left()


def test_TXN_13_a_silent_server_is_given_up_when_the_trunk_says() -> None:
    world = Scene(PATIENT.replace("    limits: carrier\n", "    limits: carrier\n    timers: {t1: 200ms, give_up_after: 4s}\n", 1))
    world.call()
    world.after(3.9)
    assert [request.cseq.number for request in world.a.inbox if isinstance(request, Request)] == [1] * 5  # 0, 0.2, 0.6, 1.4, 3.0
    world.b.expect_nothing()
    world.after(0.2)
    world.b.answer(world.b.expect_request("INVITE"), 100)
    world.after(30)
    world.c.expect_nothing()  # one word, and it has the time the route gives it
    world.a.inbox.clear()
    world.shut_down()
    world.b.answer(world.b.expect_request("CANCEL"), 200)
    world.office.inbox.clear()
    world.expect_nothing_left()


def test_TXN_13_within_a_call_nobody_is_given_up_sooner() -> None:
    world = Scene(PATIENT.replace("    limits: carrier\n", "    limits: carrier\n    timers: {give_up_after: 4s}\n", 1))
    invite = world.call()
    received = world.a.expect_request("INVITE")
    world.a.answer(received, 200, body=sdp(world.a.host, 50000))
    world.a.expect_request("ACK")
    ok = world.office.expect_response(200)
    world.office.ack(ok)
    world.office.send(world.office.within(invite, ok, "INVITE", body=sdp(world.office.host, 40002, version=2)))
    world.after(20)
    assert world.core.busy() == 1
    assert world.records == []
    world.office.inbox.clear()
    world.shut_down()
    world.after(120)


STREAM = PATIENT.replace("signalling: [udp://10.1.0.1:5060]", "signalling: [udp://10.1.0.1:5060, tcp://10.1.0.1:5060]")


def test_TRN_04_what_is_too_long_for_a_datagram_goes_by_tcp() -> None:
    world = Scene(STREAM)
    invite = world.call(headers=TOO_LONG)
    received = world.a.expect_request("INVITE")
    ((_, flow),) = world.invites()
    assert (flow.transport, flow.remote) == ("TCP", world.a.flow.remote)
    assert received.via.transport == "TCP"
    contact = NameAddr.parse(received.headers.first("Contact") or "")
    assert contact.uri.param("transport") == "tcp"
    assert len(received.encode()) > 1300
    over_tcp = world.agent("a", world.a.flow.remote, "inside", "TCP", connection=9)
    over_tcp.answer(received, 200, body=sdp(world.a.host, 50000))
    over_tcp.expect_request("ACK")
    ok = world.office.expect_response(200)
    world.office.ack(ok)
    world.office.send(world.office.within(invite, ok, "BYE"))
    world.office.expect_response(200)
    over_tcp.answer(over_tcp.expect_request("BYE"), 200)
    assert {send.flow.transport for send in world.sent if send.flow.remote == over_tcp.flow.remote} == {"TCP"}
    leg = world.records[0]["b"]
    assert isinstance(leg, dict)
    assert leg["transport"] == "TCP"
    world.expect_nothing_left()


def test_TRN_04_1300_octets_fit_and_1301_do_not() -> None:
    """RFC 3261 s18.1.1: "larger than 1300 bytes and the path MTU is unknown"."""
    for size, transport in ((1300, "UDP"), (1301, "TCP")):
        world = Scene(PATIENT)
        world.call(headers=(("Identity", "x"),))
        padding = size - len(world.invites()[0][0].encode()) + 1
        world = Scene(STREAM)
        world.call(headers=(("Identity", "x" * padding),))
        ((request, flow),) = world.invites()
        assert (flow.transport, request.via.transport) == (transport, transport)
        assert len(request.encode()) - len(";transport=tcp") * (transport == "TCP") == size
        world.a.inbox.clear()
        world.office.inbox.clear()
        world.expect_nothing_left()


@pytest.mark.parametrize("failure", ["refused", "silent"])
def test_TRN_04_without_tcp_it_goes_by_udp_after_all(failure: str) -> None:
    world = Scene(STREAM)
    if failure == "refused":
        world.unreachable.add(("TCP", world.a.flow.remote))
    world.call(headers=TOO_LONG)
    if failure == "silent":
        world.a.expect_request("INVITE")
        world.after(32)
    received = world.a.expect_request("INVITE")
    assert received.via.transport == "UDP"
    assert "transport" not in (received.headers.first("Contact") or "")
    world.a.answer(received, 486)
    world.a.expect_request("ACK")
    world.office.ack(world.office.expect_response(486))
    assert world.attempts() == [("TCP 10.1.0.11:5060", 503 if failure == "refused" else 408), ("UDP 10.1.0.11:5060", 486)]
    world.call(headers=TOO_LONG)
    assert [flow.transport for _, flow in world.invites()] == ["TCP", "UDP", "UDP"], "no second try for a while"
    world.answered_by(world.a)
    world.unreachable.clear()
    world.after(30)
    world.call()  # whatever its length: whether there is TCP by now is not for a caller to find out
    options = world.a.expect_request("OPTIONS")
    assert options.via.transport == "TCP"
    world.answered_by(world.a)
    world.a.answer(options, 200)
    world.call(headers=TOO_LONG)
    assert world.a.expect_request("INVITE").via.transport == "TCP"
    world.office.inbox.clear()
    world.expect_nothing_left()


def test_TRN_04_a_503_over_tcp_is_an_answer() -> None:
    world = Scene(STREAM)
    world.call(headers=TOO_LONG)
    world.a.answer(world.a.expect_request("INVITE"), 503)
    world.a.expect_request("ACK")
    received = world.b.expect_request("INVITE")
    assert received.via.transport == "TCP"
    world.b.answer(received, 486)
    world.office.inbox.clear()
    world.expect_nothing_left()


def test_DNS_05_cancel_follows_the_invite_onto_tcp() -> None:
    world = Scene(STREAM)
    invite = world.call(headers=TOO_LONG)
    received = world.a.expect_request("INVITE")
    world.a.answer(received, 100)
    world.office.cancel(invite)
    cancel = world.a.expect_request("CANCEL")
    assert cancel.via == received.via
    assert {send.flow.transport for send in world.sent if send.flow.remote == world.a.flow.remote} == {"TCP"}
    world.a.answer(cancel, 200)
    world.a.answer(received, 487)
    world.office.inbox.clear()
    world.expect_nothing_left()


@pytest.mark.parametrize(
    "policy",
    [
        pytest.param(STREAM.replace("peer: sip:carrier.example", "peer: sip:carrier.example;transport=udp"), id="the policy wants UDP"),
        pytest.param(PATIENT, id="no TCP listener to send from"),
    ],
)
def test_TRN_04_udp_alone_where_that_is_all_there_is(policy: str) -> None:
    world = Scene(policy)
    world.call(headers=TOO_LONG)
    received = world.a.expect_request("INVITE")
    assert Via.parse(received.headers.first("Via") or "").transport == "UDP"
    assert len(received.encode()) > 1300
    world.a.answer(received, 486)
    world.office.inbox.clear()
    world.expect_nothing_left()


def test_TRN_04_a_numeric_peer_is_found_the_same_way() -> None:
    world = Scene(STREAM.replace("peer: sip:carrier.example", "peer: sip:10.1.0.11:5060"))
    world.call(headers=TOO_LONG)
    assert world.a.expect_request("INVITE").via.transport == "TCP"
    world.office.inbox.clear()
    world.expect_nothing_left()
