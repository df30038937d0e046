"""Why was it refused? What the core remembers of that."""

from __future__ import annotations

from sbc.call.decisions import CALLS, LONGEST, SOURCES, Decisions, refused_request
from sbc.flow import Flow
from sbc.sip.message import Request
from sbc.sip.parse import parse_datagram
from sbc.views import RefusalsAsked, RefusalsView
from tests.world import World


def refusals(world: World, about: str = "") -> RefusalsView:
    view = world.core.ask(RefusalsAsked(50, about), world.now)
    assert isinstance(view, RefusalsView)
    return view


def test_a_refused_call_is_remembered_with_the_step_and_the_reason() -> None:
    world = World()
    office = world.agent("office", ("10.0.0.20", 5060), "outside")
    carrier = world.agent("carrier", ("10.1.0.2", 5060), "inside")
    carrier.invite("+4940")
    invite = office.invite("abc def".replace(" ", ""))
    for about in (invite.call_id, str(world.records[-1]["id"]), "10.0.0.20", "office"):
        (found,) = refusals(world, about).refusals
        assert (found.step, found.status, found.note, found.party, found.by) == ("route", 404, "no route", "office", "address")
        assert (found.called, found.source, found.method) == ("abcdef", "10.0.0.20", "INVITE")
    assert [each.party for each in refusals(world).refusals] == ["office", "carrier"]


def test_each_question_is_told_apart() -> None:
    world = World()
    office = world.agent("office", ("10.0.0.20", 5060), "outside")
    carrier = world.agent("carrier", ("10.1.0.2", 5060), "inside")
    office.invite("+0")
    office.invite("+4930", headers=(("Require", "nonsense"),))
    office.invite("+4930", body=b"v=0\\r\\n")
    for _ in range(2):
        carrier.invite("+4930")
    carrier.invite("+4930")
    steps = [each.step for each in reversed(refusals(world).refusals)]
    assert steps == ["number", "allowed", "media", "limits"]


def test_a_target_that_refused_is_remembered_with_what_was_tried() -> None:
    world = World()
    office = world.agent("office", ("10.0.0.20", 5060), "outside")
    carrier = world.agent("carrier", ("10.1.0.2", 5060), "inside")
    office.invite("0301234567")
    carrier.answer(carrier.expect_request("INVITE"), 486)
    (found,) = refusals(world).refusals
    assert (found.step, found.status, found.route) == ("target", 486, "out")
    assert found.line.endswith(":37") or ":" in found.line
    assert [(each["target"], each["status"]) for each in found.attempts] == [("carrier", 486)]


def test_a_call_that_was_answered_or_given_up_is_no_refusal() -> None:
    world = World()
    office = world.agent("office", ("10.0.0.20", 5060), "outside")
    carrier = world.agent("carrier", ("10.1.0.2", 5060), "inside")
    invite = office.invite("0301234567")
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 180)
    office.cancel(invite)
    carrier.answer(received, 487)
    assert world.records[-1]["sip_status"] == 487
    assert refusals(world).refusals == ()


def test_a_stranger_has_one_entry_however_often_it_comes() -> None:
    world = World()
    stranger = world.agent("nobody", ("10.1.0.99", 5060), "inside")
    for _ in range(3):
        last = stranger.invite("+4930")
    (source,) = refusals(world, "10.1.0.99").strangers
    assert (source.count, source.last.step, source.last.status, source.last.call_id) == (3, "who", 0, last.call_id)
    assert refusals(world, last.call_id).strangers == (source,)
    assert refusals(world, "10.1.0.98").strangers == ()
    assert refusals(world).total == 1


def test_a_wrong_password_is_a_refusal_and_a_challenge_is_none() -> None:
    world = World()
    phone = world.agent("alice", ("203.0.113.7", 40123), "outside", "TLS", connection=7)
    phone.invite("+4930")
    assert refusals(world).total == 0
    wrong = 'Digest username="alice", realm="sbc.example.com", nonce="1", uri="sip:x", response="0"'
    phone.invite("+4930", headers=(("Authorization", wrong),))
    (source,) = refusals(world, "203.0.113.7").strangers
    assert source.last.note == "has not proved who it is"


def request(size: int = 0) -> Request:
    head = b"OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:x>\r\nCSeq: 1 OPTIONS\r\n"
    message = parse_datagram(head + b"Call-ID: " + b"c" * (size + 1) + b"\r\n\r\n")
    assert isinstance(message, Request)
    return message


def test_what_is_remembered_is_bounded_in_number_and_length() -> None:
    decisions = Decisions()
    for number in range(SOURCES + 10):
        flow = Flow("outside", "UDP", ("10.0.0.1", 5060), (f"10.{number >> 8}.{number & 255}.1", 5060))
        decisions.add(refused_request(request(5000), flow, float(number), "who", (0, "r" * 5000, "n" * 5000)))
    assert len(decisions) == SOURCES
    assert decisions.strangers("10.0.0.1", 5) == ()
    (last,) = decisions.strangers("", 1)
    assert max(map(len, (last.last.call_id, last.last.reason, last.last.note))) == LONGEST
    for number in range(CALLS + 10):
        decisions.add(refused_request(request(), flow, float(number), "allowed", (403, "", ""), "office"))
    assert len(decisions) == SOURCES + CALLS
    assert decisions.about("office", 1)[0].at == CALLS + 9.0
