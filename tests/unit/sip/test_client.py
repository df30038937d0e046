from __future__ import annotations

import pytest

from sbc.clock import Now
from sbc.flow import Flow
from sbc.sip.message import Request, Response
from sbc.sip.tables import State
from sbc.sip.timers import TimerValues
from sbc.sip.transactions import ClientTransaction, cancel_request
from tests.unit.sip.peer import TCP, TLS, UDP, Owner, World, received, request, response

INVITE_SENDS = [0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
OTHER_SENDS = [0.0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]


def test_TXN_03_an_unanswered_invite_is_sent_seven_times_and_fails_after_32_seconds() -> None:
    world = World()
    invite = world.call(request())
    world.until(100.0)
    assert world.instants() == INVITE_SENDS
    assert world.owner.heard == ["32.0 timeout"]
    assert invite.state is State.TERMINATED
    assert world.layer.counts() == (0, 0)
    assert len({data for _, data, _, _ in world.sent}) == 1, "byte for byte"


@pytest.mark.parametrize("status", [100, 180])
def test_TXN_03_the_first_1xx_ends_the_retransmissions_and_timer_b(status: int) -> None:
    world = World()
    invite = world.call(request())
    world.until(1.6)
    assert world.hear(response(invite.request, status))
    world.until(300.0)
    assert world.instants() == [0.0, 0.5, 1.5]
    assert invite.state is State.PROCEEDING
    assert world.owner.heard == ([] if status == 100 else ["1.6 180"])


def test_TXN_04_an_unanswered_request_is_sent_eleven_times_and_fails_after_32_seconds() -> None:
    world = World()
    world.call(request("OPTIONS"))
    world.until(100.0)
    assert world.instants() == OTHER_SENDS
    assert world.owner.heard == ["32.0 timeout"]
    assert world.layer.counts() == (0, 0)


def test_TXN_04_after_a_1xx_a_request_is_sent_every_t2() -> None:
    world = World()
    options = world.call(request("OPTIONS"))
    world.until(0.6)
    world.hear(response(options.request, 100))
    world.until(100.0)
    assert world.instants() == [0.0, 0.5, 1.5, 5.5, 9.5, 13.5, 17.5, 21.5, 25.5, 29.5]
    assert world.owner.heard == ["32.0 timeout"]


def test_TXN_04_a_final_response_is_told_once_and_absorbed_for_t4() -> None:
    world = World()
    options = world.call(request("OPTIONS"))
    answer = response(options.request, 200)
    world.until(1.0)
    assert world.hear(answer)
    assert world.hear(answer)
    world.until(5.9)
    assert world.hear(answer)
    world.until(6.1)
    assert not world.hear(answer)
    assert world.owner.heard == ["1.0 200"]
    assert world.instants() == [0.0, 0.5]


def test_TXN_05_a_failure_is_acknowledged_on_the_same_hop() -> None:
    world = World()
    routes = ("Route: <sip:p1.example.com;lr>, <sip:p2.example.com;lr>", 'Proxy-Authorization: Digest username="x"', "Require: 100rel")
    invite = world.call(request("INVITE", "z9hG4bK-a", *routes, uri="sip:bob@example.com;x=y", cseq=7))
    original = invite.request
    world.hear(response(original, 486, "callee"))
    _, data, flow, key = world.sent[-1]
    ack = received(data)
    assert isinstance(ack, Request)
    assert (ack.method, ack.uri, str(ack.cseq)) == ("ACK", original.uri, "7 ACK")
    assert ack.headers.all("Via") == original.headers.all("Via")
    assert ack.headers.all("Route") == original.headers.all("Route")
    assert (str(ack.from_), ack.call_id) == (str(original.from_), original.call_id)
    assert str(ack.to) == "<sip:bob@example.com>;tag=callee"
    assert (flow, key) == (UDP, "z9hG4bK-a")
    assert ack.headers.first("Require") is None


def test_AUTH_05_the_ack_of_a_failure_has_the_credentials_of_the_invite() -> None:
    world = World()
    credentials = 'Digest username="a", realm="r", nonce="n", uri="sip:x", response="0"'
    invite = world.call(request("INVITE", "z9hG4bK-a", f"Proxy-Authorization: {credentials}", f"Authorization: {credentials}"))
    world.hear(response(invite.request, 403))
    ack = world.last()
    assert ack.headers.all("Proxy-Authorization") == ack.headers.all("Authorization") == [credentials]


def test_TXN_05_each_repeated_failure_is_acknowledged_again_with_the_same_octets() -> None:
    world = World()
    invite = world.call(request())
    failure = response(invite.request, 503)
    for instant in (1.0, 1.5, 2.5, 32.9):
        world.until(instant)
        assert world.hear(failure)
    assert world.owner.heard == ["1.0 503"]
    acks = [data for _, data, _, _ in world.sent if data.startswith(b"ACK")]
    assert len(acks) == 4
    assert len(set(acks)) == 1
    world.until(33.1)  # Timer D: 32 s after the first
    assert not world.hear(failure)
    assert world.layer.counts() == (0, 0)


def test_TXN_05_timer_d_is_32_seconds_at_least() -> None:
    world = World(TimerValues(t1=0.1, t2=4.0))
    invite = world.call(request())
    failure = response(invite.request, 404)
    world.hear(failure)
    world.until(31.9)
    assert world.hear(failure)
    world.until(32.1)
    assert not world.hear(failure)


def test_TXN_06_every_2xx_is_told_until_timer_m() -> None:
    world = World()
    invite = world.call(request())
    original = invite.request
    world.until(3.0)
    world.hear(response(original, 200, "one"))
    world.until(3.5)
    world.hear(response(original, 200, "one"))
    world.until(34.0)
    world.hear(response(original, 200, "fork"))
    assert invite.state is State.ACCEPTED
    world.until(35.1)
    assert not world.hear(response(original, 200, "one"))
    assert world.owner.heard == ["3.0 200", "3.5 200", "34.0 200"]
    assert [data for _, data, _, _ in world.sent if data.startswith(b"ACK")] == []


def test_TXN_06_after_a_2xx_other_responses_are_absorbed_in_silence() -> None:
    world = World()
    invite = world.call(request())
    original = invite.request
    world.hear(response(original, 200))
    assert world.hear(response(original, 180))
    assert world.hear(response(original, 486))
    assert world.owner.heard == ["0.0 200"]


def test_TXN_06_after_release_a_2xx_is_a_stray_and_nothing_is_held() -> None:
    world = World()
    invite = world.call(request())
    original = invite.request
    world.hear(response(original, 200))
    invite.release()
    assert not world.hear(response(original, 200))
    assert invite.user is None
    with pytest.raises(LookupError, match="over"):
        assert invite.request
    world.until(33.0)
    assert world.layer.counts() == (0, 0)


@pytest.mark.parametrize("flow", [TCP, TLS])
def test_TXN_12_over_a_reliable_transport_an_invite_is_sent_once(flow: Flow) -> None:
    world = World()
    world.call(request(), flow)
    world.until(31.9)
    assert world.owner.heard == []
    world.until(100.0)
    assert world.instants() == [0.0]
    assert world.owner.heard == ["32.0 timeout"]


def test_TXN_12_over_a_reliable_transport_d_and_k_are_zero() -> None:
    world = World()
    invite, options = world.call(request(), TCP), world.call(request("OPTIONS", "z9hG4bK-2"), TCP)
    world.until(2.0)
    assert world.hear(response(invite.request, 500), TCP)
    assert world.hear(response(options.request, 200), TCP)
    assert world.layer.counts() == (0, 0)
    assert len(world.timers) == 0
    assert world.owner.heard == ["2.0 500", "2.0 200"]
    assert world.instants("ACK") == [2.0]


def test_TXN_12_over_a_reliable_transport_timer_m_stays() -> None:
    world = World()
    invite = world.call(request(), TCP)
    original = invite.request
    world.hear(response(original, 200), TCP)
    world.until(31.9)
    assert world.hear(response(original, 200), TCP)
    world.until(32.1)
    assert not world.hear(response(original, 200), TCP)


def test_TXN_13_a_peer_may_have_timers_of_its_own() -> None:
    world = World()
    world.call(request(), values=TimerValues(invite_timeout=6.0))
    world.call(request("OPTIONS", "z9hG4bK-2"), values=TimerValues(t1=1.0))
    world.until(100.0)
    assert world.instants("INVITE") == [0.0, 0.5, 1.5, 3.5]
    assert world.instants("OPTIONS")[:4] == [0.0, 1.0, 3.0, 7.0]
    assert world.owner.heard == ["6.0 timeout", "64.0 timeout"]


def test_TXN_13_a_short_timer_b_does_not_end_a_call_that_rings() -> None:
    world = World()
    invite = world.call(request(), values=TimerValues(invite_timeout=6.0))
    world.until(5.0)
    world.hear(response(invite.request, 180))
    world.until(100.0)
    assert world.owner.heard == ["5.0 180"]


def test_TRN_07_a_transport_failure_is_told_once() -> None:
    world = World()
    invite, options = world.call(request()), world.call(request("OPTIONS", "z9hG4bK-2"))
    world.until(0.2)
    world.layer.transport_failed(invite.key, world.now)
    world.layer.transport_failed(options.key, world.now)
    world.layer.transport_failed(options.key, world.now)
    world.layer.transport_failed("z9hG4bK-unknown", world.now)
    world.until(100.0)
    assert world.owner.heard == ["0.2 transport", "0.2 transport"]
    assert world.layer.counts() == (0, 0)


def test_TRN_07_a_lost_ack_or_an_accepted_call_does_not_fail() -> None:
    world = World()
    refused, accepted = world.call(request()), world.call(request("INVITE", "z9hG4bK-2"))
    world.hear(response(refused.request, 486))
    world.hear(response(accepted.request, 200))
    world.layer.transport_failed(refused.key, world.now)
    world.layer.transport_failed(accepted.key, world.now)
    assert world.owner.heard == ["0.0 486", "0.0 200"]
    assert (refused.state, accepted.state) == (State.TERMINATED, State.ACCEPTED)


def test_INV_01_a_cancel_waits_for_a_1xx() -> None:
    world = World()
    invite = world.call(request("INVITE", "z9hG4bK-1", "Route: <sip:p.example.com;lr>", "Require: 100rel", cseq=4))
    original = invite.request
    world.until(0.1)
    world.layer.cancel(invite, world.now, Owner(), (("Reason", "SIP;cause=200"),))
    world.until(0.7)
    assert world.instants("CANCEL") == []
    world.hear(response(original, 100))
    assert world.instants("CANCEL") == [0.7]
    cancel = world.last()
    assert isinstance(cancel, Request)
    assert (cancel.uri, cancel.call_id, str(cancel.from_), str(cancel.to)) == (
        original.uri, original.call_id, str(original.from_), str(original.to)
    )  # fmt: skip
    assert str(cancel.cseq) == "4 CANCEL"
    assert cancel.headers.all("Via") == original.headers.all("Via")
    assert cancel.headers.all("Route") == ["<sip:p.example.com;lr>"]
    assert cancel.headers.all("Reason") == ["SIP;cause=200"]
    assert cancel.headers.first("Require") is None


def test_INV_01_while_ringing_a_cancel_goes_at_once_and_only_one() -> None:
    world = World()
    invite = world.call(request())
    world.hear(response(invite.request, 180))
    world.layer.cancel(invite, world.now, Owner())
    world.layer.cancel(invite, world.now, Owner())
    assert world.instants("CANCEL") == [0.0]
    assert world.layer.counts() == (0, 2)


@pytest.mark.parametrize("status", [200, 486])
def test_INV_01_after_a_final_response_no_cancel_is_sent(status: int) -> None:
    world = World()
    invite = world.call(request())
    world.layer.cancel(invite, world.now, Owner())
    world.hear(response(invite.request, status))
    world.layer.cancel(invite, world.now, Owner())
    world.until(100.0)
    assert world.instants("CANCEL") == []


def test_INV_01_an_invite_without_answer_to_its_cancel_is_given_up_after_32_seconds() -> None:
    world = World()
    invite = world.call(request())
    canceller = Owner()
    world.hear(response(invite.request, 180))
    world.until(10.0)
    world.layer.cancel(invite, world.now, canceller)
    cancel = world.last()
    assert isinstance(cancel, Request)
    world.until(10.2)
    world.hear(response(cancel, 200))
    world.until(100.0)
    assert canceller.heard == ["10.2 200"]
    assert world.owner.heard == ["0.0 180", "42.0 timeout"]


def test_INV_03_a_200_that_crosses_the_cancel_is_told() -> None:
    world = World()
    invite = world.call(request())
    original = invite.request
    world.hear(response(original, 180))
    world.layer.cancel(invite, world.now, Owner())
    world.until(1.0)
    world.hear(response(original, 200))
    assert world.owner.heard == ["0.0 180", "1.0 200"]
    assert invite.state is State.ACCEPTED


def test_TXN_11_responses_match_by_branch_and_method() -> None:
    world = World()
    invite = world.call(request())
    canceller = Owner()
    world.hear(response(invite.request, 180))
    world.layer.cancel(invite, world.now, canceller)
    cancel = cancel_request(invite)
    assert cancel.via.branch == invite.branch
    assert world.hear(response(cancel, 200)), "is the CANCEL's"
    assert invite.state is State.PROCEEDING
    assert (canceller.heard, world.owner.heard) == (["0.0 200"], ["0.0 180"])
    assert not world.hear(response(request("OPTIONS"), 200)), "same branch, method of no transaction"
    assert not world.hear(response(request("INVITE", "z9hG4bK-2"), 200))


def test_a_finished_client_transaction_lets_go_of_request_and_user() -> None:
    world = World()
    for number, (method, status) in enumerate((("INVITE", 404), ("OPTIONS", 200))):
        transaction = world.call(request(method, f"z9hG4bK-{number}"))
        world.hear(response(transaction.request, status))
        assert transaction.user is None
        with pytest.raises(LookupError, match="over"):
            assert transaction.request


def test_a_user_may_send_the_next_request_from_within() -> None:
    world = World()

    class Retry(Owner):
        def receive_response(self, transaction: ClientTransaction, response: Response, now: Now) -> None:
            super().receive_response(transaction, response, now)
            world.call(request("INVITE", "z9hG4bK-again", cseq=2))

    invite = world.layer.client(request(), UDP, world.now, Retry())
    world.hear(response(invite.request, 401))
    assert [received(data).cseq.number for _, data, _, _ in world.sent] == [1, 1, 2]
    assert world.layer.counts() == (0, 2)


class Proof:
    """Answers the first `times` challenges."""

    def __init__(self, times: int = 1) -> None:
        self.left = times

    def __call__(self, challenged: Request, response: Response, now: Now) -> Request | None:
        if not self.left:
            return None
        self.left -= 1
        number = challenged.cseq.number + 1
        return request(challenged.method, f"z9hG4bK-{number}", "Authorization: proof", cseq=number)


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS"])
@pytest.mark.parametrize("flow", [UDP, TCP])
def test_AUTH_06_a_challenged_request_goes_again_and_is_the_same_transaction_to_its_user(method: str, flow: Flow) -> None:
    world = World()
    first = request(method)
    transaction = world.layer.client(first, flow, world.now, world.owner, again=Proof())
    assert world.hear(response(first, 401), flow)
    again = transaction.request
    assert (again.cseq.number, again.via.branch) == (2, "z9hG4bK-2")
    sent = [received(data) for _, data, _, _ in world.sent]
    assert [message.method for message in sent if isinstance(message, Request)] == [
        method,
        *(["ACK"] if method == "INVITE" else []),
        method,
    ]
    assert world.owner.heard == []
    assert world.hear(response(again, 200), flow)
    assert world.owner.heard == ["0.0 200"]
    world.until(100.0)
    assert world.layer.counts() == (0, 0)


def test_AUTH_05_the_refusal_that_was_answered_is_acknowledged_as_often_as_it_comes() -> None:
    world = World()
    first = request()
    transaction = world.layer.client(first, UDP, world.now, world.owner, again=Proof())
    for _ in range(3):
        assert world.hear(response(first, 407))
    sent = [received(data) for _, data, _, _ in world.sent]
    acks = [message for message in sent if isinstance(message, Request) and message.method == "ACK"]
    assert {(ack.via.branch, ack.cseq.number) for ack in acks} == {("z9hG4bK-1", 1)}
    assert len(acks) == 3
    assert transaction.state is State.CALLING
    world.until(100.0)
    assert world.owner.heard == ["32.0 timeout"], "of the second one"
    assert world.layer.counts() == (0, 0)


def test_AUTH_06_a_challenge_that_is_not_answered_is_the_answer() -> None:
    world = World()
    first = request()
    world.layer.client(first, UDP, world.now, world.owner, again=Proof(2))
    for number in range(1, 4):
        latest = request(branch=f"z9hG4bK-{number}", cseq=number)
        assert world.hear(response(latest, 401))
    assert world.owner.heard == ["0.0 401"]
    world.until(100.0)
    assert world.layer.counts() == (0, 0)


def test_a_request_that_is_cancelled_does_not_go_again() -> None:
    world = World()
    first = request()
    transaction = world.layer.client(first, UDP, world.now, world.owner, again=Proof())
    world.hear(response(first, 180))
    world.layer.cancel(transaction, world.now, world.owner)
    world.hear(response(first, 401))
    assert world.owner.heard == ["0.0 180", "0.0 401"]


def test_where_the_last_response_came_from_is_known() -> None:
    world = World()
    first = request("OPTIONS")
    transaction = world.call(first, TCP._replace(connection=0))
    assert transaction.heard is None
    world.hear(response(first, 200), TCP)
    assert transaction.heard == TCP
