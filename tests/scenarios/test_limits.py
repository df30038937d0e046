"""Limits: whom they count, what is answered at one, and what is told of it."""

from __future__ import annotations

import pytest

from sbc.inputs import PolicyChanged
from sbc.policy.counters import LimitState
from sbc.sip.message import Request, Response
from sbc.views import LimitsAsked, LimitsView
from tests.scenarios.cast import Cast, policy
from tests.scenarios.test_registration import call_as_alice, credentials, register
from tests.world import Agent, World, connect, recorded, sdp, snapshot_of

NUMBER = "+4930123456"
BUSY = 'Q.850;cause=34;text="limit"'


def text(limits: str, office: str = "", carrier: str = "", alice: str = "", more: str = "") -> str:
    return policy(office, carrier, alice).replace("limits:\n  person", f"limits:\n{limits}  person") + more


def cast(limits: str, office: str = "", carrier: str = "", alice: str = "", more: str = "", on_route: str = "") -> Cast:
    """`limits`: lines of the policy's section; the rest: more keys of those parties, or of the office's route."""
    written = text(limits, office, carrier, alice, more)
    if on_route:
        written = written.replace("  - name: out\n", f"  - name: out\n    {on_route}\n")
    return Cast(written.replace("{calls: 2, new_calls: 50/s, longest_call: 4h}", "{calls: 100}"))


def refused(agent: Agent, status: int, number: str = NUMBER) -> Response:
    agent.invite(number)
    answer = agent.inbox.popleft()
    if isinstance(answer, Response) and answer.status == 100:
        answer = agent.inbox.popleft()
    assert isinstance(answer, Response)
    assert (answer.status, "Retry-After" in answer.headers) == (status, False)
    return answer


def limits_of(world: World, name: str = "") -> tuple[LimitState, ...]:
    view = world.core.ask(LimitsAsked(50, name), world.now)
    assert isinstance(view, LimitsView)
    return view.limits


def hang_up(caller: Agent, callee: Agent, invite: Request, ok: Response) -> None:
    caller.send(caller.within(invite, ok, "BYE"))
    callee.answer(callee.expect_request("BYE"), 200)
    caller.expect_response(200)


def test_OVL_04_a_carrier_whose_channels_out_are_taken_is_skipped() -> None:
    """It still sends us calls, and the record says why this one went elsewhere."""
    it = Cast(text("  way: {calls: 3, calls_to: 1}\n").replace("limits: carrier", "limits: way"))
    backup = it.world.agent("backup", ("10.1.0.3", 5060), "inside")
    connect(it.office, it.carrier, NUMBER)
    invite, ok, _ = connect(it.office, backup, NUMBER)
    connect(it.carrier, it.office, NUMBER)
    connect(it.carrier, it.office, NUMBER)
    assert refused(it.carrier, 503).headers.first("Reason") == BUSY
    hang_up(it.office, backup, invite, ok)
    assert it.world.records[-1]["attempts"] == [
        {"target": "carrier", "status": 503, "note": "limit calls_to of carrier"},
        {"target": "backup", "status": 200, "server": "UDP 10.1.0.3:5060"},
    ]


def test_who_calls_somebody_without_room_is_told_so() -> None:
    """A gateway that it may try another way, a phone not that we are broken."""
    it = Cast(text("  way: {calls_to: 1}\n").replace("limits: carrier", "limits: way").replace("[carrier, backup]", "[carrier]"))
    connect(it.office, it.carrier, NUMBER)
    assert refused(it.office, 503).headers.first("Reason") == BUSY
    call_as_alice(it.alice)
    it.alice.expect_response(100)
    assert it.alice.expect_response(480).headers.first("Reason") == BUSY
    assert [record["sip_status"] for record in it.world.records] == [503, 503]


def test_a_route_that_is_full_is_no_reason_for_another_one() -> None:
    it = cast("  dear: {calls: 1, longest_call: 5m}\n", on_route="limits: dear")
    invite, ok, _ = connect(it.office, it.carrier, NUMBER)
    assert refused(it.office, 503).headers.first("Reason") == BUSY
    assert (it.world.records[0]["note"], it.world.records[0]["route"]) == ("limit calls of route out", "out")
    connect(it.carrier, it.office, NUMBER)
    hang_up(it.office, it.carrier, invite, ok)
    connect(it.office, it.carrier, NUMBER)
    it.world.after(301)
    assert it.world.records[-1]["note"] == "longest_call reached"


def test_everybody_together() -> None:
    it = cast("  machine: {calls: 2}\n", more="everybody: {limits: machine}\n")
    connect(it.office, it.carrier, NUMBER)
    invite, ok, _ = connect(it.carrier, it.office, NUMBER)
    refused(it.office, 503)
    refused(it.carrier, 503)
    it.office.invite("112")
    it.office.expect_response(100)
    it.carrier.answer(it.carrier.expect_request("INVITE"), 486)
    it.carrier.expect_request("ACK")
    it.office.expect_response(486)
    hang_up(it.carrier, it.office, invite, ok)
    connect(it.office, it.carrier, NUMBER)


@pytest.mark.parametrize(("each", "other"), [("caller", "sip:+4930777@10.0.0.20"), ("called", "sip:office@10.0.0.20")])
def test_each_number_has_a_limit_of_its_own(each: str, other: str) -> None:
    """One extension that was taken over does not get further than one line; one number that is called to block it neither."""
    it = cast(f"  one: {{for_each: {each}, calls: 1}}\n", office="limits: one")
    connect(it.office, it.carrier, NUMBER)
    refused(it.office, 503)
    assert it.world.records[0]["note"] == f"limit calls of office one for {'office' if each == 'caller' else NUMBER}"
    it.send(it.office, NUMBER if each == "caller" else "+4930999", (), f"<{other}>")
    it.office.expect_response(100)
    it.carrier.answer(it.carrier.expect_request("INVITE"), 486)
    it.carrier.expect_request("ACK")
    it.office.expect_response(486)


def test_each_source_has_a_limit_of_its_own() -> None:
    written = text("  one: {for_each: source, calls: 1}\n", office="limits: one").replace("10.0.0.20/32", "10.0.0.0/24")
    it = Cast(written)
    gateway = it.world.agent("office", ("10.0.0.21", 5060), "outside")
    connect(it.office, it.carrier, NUMBER)
    refused(it.office, 503)
    connect(gateway, it.carrier, NUMBER)
    assert [state.scope for state in limits_of(it.world, "one")] == ["office one for 10.0.0.20", "office one for 10.0.0.21"]


def test_requests_within_a_call_and_emergencies_are_exempt() -> None:
    it = cast("  slow: {requests: 1/m}\n", office="limits: slow")
    invite, ok, _ = connect(it.office, it.carrier, NUMBER)
    refused(it.office, 503)
    assert it.world.records[0]["note"] == "limit requests of office"
    it.office.invite("112")
    it.office.expect_response(100)
    it.carrier.answer(it.carrier.expect_request("INVITE"), 486)
    it.carrier.expect_request("ACK")
    it.office.expect_response(486)
    it.office.send(it.office.request("OPTIONS", "sip:10.0.0.1"))
    it.office.expect_response(200)
    hang_up(it.office, it.carrier, invite, ok)


def test_REJ_03_a_registration_over_the_limit_is_told_when_to_come_back() -> None:
    it = World(text("  slow: {requests: 1/m, burst: 2}\n").replace("limits: person", "limits: [person, slow]"))
    phone = it.agent("alice", ("203.0.113.7", 40123), "outside", "TLS", connection=7)
    answers = []
    for cseq in (1, 3, 5):
        request = register(phone, cseq=cseq)
        register(phone, cseq=cseq + 1, auth=(credentials(phone.expect_response(401), request),))
        answer = phone.inbox.popleft()
        assert isinstance(answer, Response)
        answers.append((answer.status, answer.headers.first("Retry-After")))
    assert answers == [(200, None), (200, None), (503, "60")]


def test_what_the_policy_says_now_counts_for_calls_that_go_on() -> None:
    it = cast("  few: {calls: 5}\n", office="limits: few")
    world = it.world
    for _ in range(2):
        connect(it.office, it.carrier, NUMBER)
    world.receive(PolicyChanged(recorded(snapshot_of(text("  few: {calls: 2}\n", office="limits: few")))))
    refused(it.office, 503)
    assert limits_of(world, "few") == (LimitState("few", "office", "calls", 2, 2, 2, 1),)


def test_OVL_04_four_fifths_are_in_the_log_once_and_can_be_seen() -> None:
    it = cast("  ten: {calls: 10}\n", office="limits: ten")
    for _ in range(9):
        connect(it.office, it.carrier, NUMBER)
    told = [(log.level, log.event, log.facts) for log in it.world.logs]
    assert told == [("warning", "limit nearly reached", {"limit": "ten", "of": "office", "what": "calls", "now": 8, "most": 10})]
    connect(it.office, it.carrier, NUMBER)
    refused(it.office, 503)
    assert [log.event for log in it.world.logs] == ["limit nearly reached", "limit reached"]
    assert limits_of(it.world)[0] == LimitState("ten", "office", "calls", 10, 10, 10, 1)
    assert limits_of(it.world, "office") == limits_of(it.world, "ten")


def test_a_caller_refused_by_the_route_keeps_no_place() -> None:
    it = cast("  none: {new_calls: 1/h}\n  own: {calls: 1}\n", office="limits: own", on_route="limits: none")
    invite, ok, _ = connect(it.office, it.carrier, NUMBER)
    hang_up(it.office, it.carrier, invite, ok)
    for _ in range(3):
        refused(it.office, 503)
        assert str(it.world.records[-1]["note"]) == "limit new_calls of route out"
    assert it.world.core.core._context.limits.calls("office") == 0


def test_an_offer_that_cannot_be_taken_gives_all_places_back() -> None:
    it = cast("  one: {calls: 1}\n", office="limits: one", on_route="limits: one", more="everybody: {limits: one}\n")
    for _ in range(3):
        it.office.invite(NUMBER, sdp(it.office.host, 40000, codecs="97"))
        it.office.expect_response(100)
        it.office.expect_response(488)
    connect(it.office, it.carrier, NUMBER)


G729 = sdp("10.0.0.20", 40000, codecs="18 101")
BOTH = sdp("10.0.0.20", 40000, codecs="8 18 101")


def bandwidth(world: World, name: str) -> tuple[int, int]:
    """What is taken of it, and how often it was not enough."""
    (state,) = [state for state in limits_of(world, name) if state.what == "bandwidth"]
    return state.now, state.refused


def test_OVL_04_bandwidth_is_that_of_the_codecs() -> None:
    """Room for the most that an offer may come to, then what was agreed on; a target without room is skipped."""
    it = Cast(text("  link: {bandwidth: 200k}\n").replace("limits: carrier", "limits: link"))
    backup = it.world.agent("backup", ("10.1.0.3", 5060), "inside")
    invite, ok, _ = connect(it.office, it.carrier, NUMBER, BOTH)
    assert bandwidth(it.world, "link") == (80_000, 0)
    small = connect(it.office, it.carrier, NUMBER, BOTH, sdp(it.carrier.host, 50002, codecs="18 101"))
    assert bandwidth(it.world, "link") == (104_000, 0)
    connect(it.office, it.carrier, NUMBER, BOTH)
    connect(it.office, backup, NUMBER, BOTH)
    assert bandwidth(it.world, "link") == (184_000, 1)
    refused = it.carrier.invite(NUMBER)
    answer = it.carrier.expect_response(100) and it.carrier.expect_response(503)
    assert (answer.headers.first("Warning"), "Retry-After" in answer.headers) == ('370 sbc "Insufficient bandwidth"', False)
    assert it.world.records[-1]["note"] == "limit bandwidth of carrier"
    assert refused.method == "INVITE"
    hang_up(it.office, it.carrier, invite, ok)
    hang_up(it.office, it.carrier, *small[:2])
    assert bandwidth(it.world, "link") == (80_000, 2)
    connect(it.carrier, it.office, NUMBER, sdp(it.carrier.host, 50004))
    assert bandwidth(it.world, "link") == (160_000, 2)


def test_a_change_of_codec_is_counted_and_never_refused() -> None:
    it = cast("  link: {bandwidth: 90k}\n", office="limits: link", on_route="limits: link", more="everybody: {limits: link}\n")
    invite, ok, received = connect(it.office, it.carrier, NUMBER, G729, sdp(it.carrier.host, 50002, codecs="18 101"))
    assert [(state.scope, state.now) for state in limits_of(it.world, "link")] == [
        ("office", 24_000), ("route out", 24_000), ("everybody together", 24_000)
    ]  # fmt: skip
    it.office.send(it.office.within(invite, ok, "INVITE", body=sdp(it.office.host, 40000, version=2)))
    it.carrier.answer(it.carrier.expect_request("INVITE"), 200, body=sdp(it.carrier.host, 50002, version=2))
    it.carrier.expect_request("ACK")
    it.office.expect_response(100)
    again = it.office.expect_response(200)
    it.office.send(it.office.within(invite, again, "ACK"))
    assert {state.now for state in limits_of(it.world, "link")} == {80_000}
    assert received.method == "INVITE"
    refused(it.office, 503)
    it.carrier.send(it.carrier.within_received(received, "BYE"))
    it.office.answer(it.office.expect_request("BYE"), 200)
    assert {state.now for state in limits_of(it.world, "link")} == {0}


def test_a_transfer_that_is_refused_leaves_the_call_its_room() -> None:
    it = cast("  link: {bandwidth: 90k}\n", office="limits: link\n    transfers: perform")
    invite, ok, _ = connect(it.office, it.carrier, NUMBER)
    assert bandwidth(it.world, "link") == (80_000, 0)
    it.office.send(it.office.within(invite, ok, "REFER", cseq=2, headers=(("Refer-To", "<sip:nowhere@10.0.0.1>"),)))
    it.office.expect_response(404)
    assert bandwidth(it.world, "link") == (80_000, 0)


def test_emergency_calls_need_no_room() -> None:
    it = cast("  link: {bandwidth: 30k}\n", office="limits: link")
    connect(it.office, it.carrier, "112")
    assert bandwidth(it.world, "link") == (80_000, 0)
    refused(it.office, 503)


def test_an_invite_without_an_offer_needs_room_for_any_codec() -> None:
    it = cast("  link: {bandwidth: 70k}\n", office="limits: link")
    it.office.send(it.office.request("INVITE", f"sip:{NUMBER}@10.0.0.1"))
    it.office.expect_response(100)
    it.office.expect_response(503)


@pytest.mark.parametrize(("before", "after", "ends"), [("1h", "10m", 600), ("10m", "1h", 3600), ("1h", "1m", 120), ("1h", "", 0)])
def test_how_long_a_call_may_last_is_said_by_the_policy_of_today(before: str, after: str, ends: int) -> None:
    """Two minutes after its answer the policy changes. What is over by then ends at once."""
    it = cast(f"  office: {{longest_call: {before}}}\n", office="limits: office")
    connect(it.office, it.carrier, NUMBER)
    it.world.after(120)
    rules = f"longest_call: {after}" if after else "calls: 9"
    new = text(f"  office: {{{rules}}}\n", office="limits: office").replace("{calls: 2, new_calls: 50/s, longest_call: 4h}", "{calls: 9}")
    it.world.receive(PolicyChanged(recorded(snapshot_of(new))))
    if not ends:
        it.world.after(7200)
        assert it.world.core.busy() == 1
        it.world.shut_down()
        return
    it.world.after(ends - 121)
    assert it.world.core.busy() == 1 or ends == 120
    it.world.after(3)
    assert it.world.records[0]["note"] == "longest_call reached"
    assert it.world.records[0]["duration_ms"] == ends * 1000
