"""Edits of headers in calls: what each side is told and heard, after trust and before it."""

from __future__ import annotations

from sbc.inputs import PolicyChanged
from sbc.sip.message import Request, Response
from tests.scenarios.cast import NUMBER, TRUSTED, Cast, policy
from tests.world import World, connect, sdp

HEADERS = """
headers:
  cut:
    - keep: standard
    - remove: Subject
  mark:
    - set: {X-Trunk: north}
  named:
    - rename: {X-Caller: P-Asserted-Identity}
  digits:
    - replace: {header: P-Asserted-Identity, match: "\\\\+49", by: "0"}
      methods: [INVITE]
  asks:
    - {set: {X-Asked: 1}, messages: requests}
    - {set: {X-Told: 1}, messages: responses}
"""


def cast(office: str = "", carrier: str = "", alice: str = "") -> Cast:
    return Cast(policy(office, carrier, alice) + HEADERS)


def value(message: Request | Response, name: str) -> str | None:
    return message.headers.first(name)


def test_nothing_is_edited_without_being_asked_for() -> None:
    told = cast().told(("X-Caller", "<sip:+4930@h>"))
    assert (value(told, "User-Agent"), value(told, "X-Trunk"), value(told, "X-Caller")) == (None, None, None)


def test_out_is_after_trust() -> None:
    """What pass_headers lets cross can still be taken away, and what is added needs nobody's leave."""
    keys = "pass_headers: [X-Customer, Subject, User-to-User]"
    people = cast(office=keys, carrier=f"{keys}; headers_out: [cut, mark]")
    told = people.told(("X-Customer", "4711"), ("Subject", "s"), ("User-to-User", "00;encoding=hex"))
    assert [value(told, name) for name in ("X-Customer", "Subject", "User-to-User", "X-Trunk")] == [None, None, "00;encoding=hex", "north"]


def test_in_is_before_trust() -> None:
    """What becomes an asserted identity is one, if its sender is trusted; from anybody else it is a wish."""
    number = ("X-Caller", "<sip:+4930777@h>")
    believed = cast(office=f"{TRUSTED}; headers_in: [named]", carrier=TRUSTED).told(number)
    assert value(believed, "P-Asserted-Identity") == "<sip:+4930777@10.1.0.1;user=phone>"
    distrusted = cast(office="headers_in: [named]", carrier=TRUSTED).told(number)
    assert value(distrusted, "P-Asserted-Identity") is None
    own = cast(office='headers_in: [named]; numbers: ["+4930*"]', carrier=TRUSTED).told(number)
    assert value(own, "P-Asserted-Identity") == "<sip:+4930777@10.1.0.1;user=phone>"


def test_a_value_is_rewritten_in_what_is_told() -> None:
    people = cast(office=TRUSTED, carrier=f"{TRUSTED}; headers_out: [digits]")
    told = people.told(("P-Asserted-Identity", "<sip:+4930777@h>"))
    assert value(told, "P-Asserted-Identity") == "<sip:030777@10.1.0.1;user=phone>"


def test_every_message_of_a_call() -> None:
    """Both sides have edits: requests and answers, in the dialog and out of it."""
    both = "headers_out: [asks]; headers_in: [asks]; info: pass"
    people = cast(office=both, carrier=both)
    world, office, carrier = people.world, people.office, people.carrier
    invite = office.invite(NUMBER)
    assert value(office.expect_response(100), "X-Told") is None, "from hop to hop"
    received = carrier.expect_request("INVITE")
    carrier.answer(received, 180)
    ringing = office.expect_response(180)
    carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))
    ack = carrier.expect_request("ACK")
    ok = office.expect_response(200)
    office.ack(ok)
    assert [value(each, "X-Asked") for each in (received, ack, ringing, ok)] == ["1", "1", None, None]
    assert [value(each, "X-Told") for each in (received, ack, ringing, ok)] == [None, None, "1", "1"]
    world.after(1)
    digit = office.within(invite, ok, "INFO", body=b"Signal=5\r\nDuration=160\r\n")
    digit.headers.set("Content-Type", "application/dtmf-relay")
    office.send(digit)
    info = carrier.expect_request("INFO")
    carrier.answer(info, 200)
    assert (value(info, "X-Asked"), value(office.expect_response(200), "X-Told")) == ("1", "1")
    office.send(office.within(invite, ok, "BYE", cseq=3))
    assert value(office.expect_response(200), "X-Told") == "1"
    bye = carrier.expect_request("BYE")
    carrier.answer(bye, 200)
    assert value(bye, "X-Asked") == "1"
    world.expect_nothing_left()


def test_an_answer_is_edited_once_however_often_it_goes() -> None:
    text = policy("headers_out: [more]") + HEADERS + "  more:\n    - {add: {X-More: 1}, messages: responses}\n"
    people = Cast(text)
    _, ok, _ = connect(people.office, people.carrier, NUMBER)
    assert ok.headers.all("X-More") == ["1"]
    people.office.inbox.clear()


def test_repeated_2xx_have_it_too() -> None:
    people = Cast(policy("headers_out: [more]") + HEADERS + "  more:\n    - {add: {X-More: 1}, messages: responses}\n")
    people.office.invite(NUMBER)
    people.office.expect_response(100)
    received = people.carrier.expect_request("INVITE")
    people.carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))
    people.carrier.expect_request("ACK")
    first = people.office.expect_response(200)
    people.world.after(0.6)
    again = people.office.expect_response(200)
    assert first.headers.all("X-More") == again.headers.all("X-More") == ["1"]


def test_refusals_are_edited() -> None:
    people = cast(office="headers_out: [asks]")
    people.office.invite("+4330")
    people.office.expect_response(100)
    people.carrier.answer(people.carrier.expect_request("INVITE"), 404)
    people.carrier.expect_request("ACK")
    assert value(people.office.expect_response(404), "X-Told") == "1"
    people.office.ack(Response.answer(people.office.last_invite, 404, to_tag="x"))  # type: ignore[arg-type]
    refused = cast(office="headers_out: [asks]")
    refused.office.invite("nowhere")
    assert value(refused.office.expect_response(404), "X-Told") == "1", "ours, too"


def test_what_we_call_ourselves() -> None:
    people = cast(office="user_agent: Example PBX edge", carrier="user_agent: Example SBC")
    people.office.invite(NUMBER)
    people.office.expect_response(100)
    received = people.carrier.expect_request("INVITE")
    assert value(received, "User-Agent") == "Example SBC"
    people.carrier.answer(received, 486)
    people.carrier.expect_request("ACK")
    assert value(people.office.expect_response(486), "Server") == "Example PBX edge"


def test_what_a_user_says_and_hears() -> None:
    """Out of dialogs, too: OPTIONS of a trunk."""
    people = cast(office="headers_out: [asks]")
    office = people.office
    office.send(office.request("OPTIONS", "sip:10.0.0.1:5060"))
    assert value(office.expect_response(200), "X-Told") == "1"


def test_answers_are_edited_before_they_are_read() -> None:
    """A carrier's private header becomes what the caller is told of who answered."""
    people = Cast(policy(carrier=f"{TRUSTED}; headers_in: [named]", office=TRUSTED) + HEADERS)
    people.office.invite(NUMBER)
    people.office.expect_response(100)
    received = people.carrier.expect_request("INVITE")
    people.carrier.answer(received, 180, headers=(("X-Caller", "<sip:+4930999@h>"),))
    ringing = people.office.expect_response(180)
    assert value(ringing, "P-Asserted-Identity") == "<sip:+4930999@10.0.0.1;user=phone>"


def test_calls_keep_the_edits_they_began_with() -> None:
    people = cast(office="headers_out: [asks]")
    invite, ok, _ = connect(people.office, people.carrier, NUMBER)
    other = World(policy())
    people.world.receive(PolicyChanged(other.snapshot))
    people.office.send(people.office.within(invite, ok, "BYE"))
    assert value(people.office.expect_response(200), "X-Told") == "1"
