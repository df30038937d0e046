"""Codecs by policy: what a callee is offered, who is refused, and what the record says of it."""

from __future__ import annotations

from sbc.sdp.parse import parse_session
from sbc.sip.message import Request
from tests.scenarios.cast import NUMBER, Cast
from tests.world import POLICY, Agent, connect, sdp

OFFER = sdp("10.0.0.20", 40000, codecs="9 18 8 0 13 101")
ANSWER = sdp("10.1.0.2", 50000, codecs="18 101")


def cast(plain: str, carrier: str = "") -> Cast:
    """More keys for the media of the office, and for those of the carrier."""
    text = POLICY.replace(
        "  plain: {srtp: off, codecs: [PCMA, PCMU, G729, telephone-event]}\n",
        f"  plain: {{srtp: off, codecs: [PCMA, PCMU, G729]{plain}}}\n  far: {{srtp: off, codecs: [PCMA, PCMU, G729]{carrier}}}\n",
    )
    return Cast(text.replace("sip:10.1.0.2:5060\n    media: plain", "sip:10.1.0.2:5060\n    media: far"))


def offered(invite: Request) -> tuple[str, ...]:
    (media,) = parse_session(invite.body).media
    return media.formats


def refused(caller: Agent, offer: bytes) -> str | None:
    caller.invite(NUMBER, offer)
    caller.expect_response(100)
    return caller.expect_response(488).headers.first("Warning")


def test_what_was_decided_is_in_the_record() -> None:
    it = cast(", offers_from: {strip: [CN]}", ", offers_to: {allow: [PCMU, G729], prefer: [G729]}")
    invite, ok, received = connect(it.office, it.carrier, NUMBER, OFFER, ANSWER)
    assert offered(received) == ("18", "0", "101")
    it.office.send(it.office.within(invite, ok, "INVITE", body=sdp("10.0.0.20", 40000, codecs="18", version=2, direction="sendonly")))
    it.carrier.answer(it.carrier.expect_request("INVITE"), 200, body=sdp("10.1.0.2", 50000, codecs="18", version=2, direction="recvonly"))
    it.carrier.expect_request("ACK")
    it.office.expect_response(100)
    again = it.office.expect_response(200)
    it.office.send(it.office.within(invite, again, "ACK"))
    it.office.send(it.office.within(invite, ok, "BYE", cseq=3))
    it.carrier.answer(it.carrier.expect_request("BYE"), 200)
    assert it.world.records[0]["offer"] == {
        "side": "a",
        "offered": ["G722", "G729", "PCMA", "PCMU", "CN", "telephone-event"],
        "kept": ["G729", "PCMU", "telephone-event"],
        "chosen": ["G729", "telephone-event"],
        "stripped": [
            {"codec": "G722", "by": "office", "why": "not among the codecs"},
            {"codec": "CN", "by": "office", "why": "stripped from such offers"},
            {"codec": "PCMA", "by": "carrier", "why": "not allowed in such offers"},
        ],
    }


def test_SDP_07_a_caller_without_what_is_required_hears_488() -> None:
    it = cast(", offers_from: {require: [telephone-event]}")
    assert refused(it.office, sdp("10.0.0.20", 40000, codecs="8")) == '305 sbc "telephone-event is required"'
    it.carrier.expect_nothing()
    assert it.world.records[0]["offer"] is None


def test_SDP_07_a_callee_that_would_miss_something_is_not_called() -> None:
    it = cast("", ", offers_to: {require: [G729]}")
    assert refused(it.office, sdp("10.0.0.20", 40000, codecs="8 0 101")) == '305 sbc "G729 is required"'
    it.carrier.expect_nothing()
    connect(it.office, it.carrier, NUMBER, OFFER, ANSWER)


def test_a_re_invite_without_what_is_required_changes_nothing() -> None:
    it = cast(", offers_from: {require: [G729]}")
    invite, ok, _ = connect(it.office, it.carrier, NUMBER, OFFER, ANSWER)
    it.office.send(it.office.within(invite, ok, "INVITE", body=sdp("10.0.0.20", 40000, codecs="8", version=2)))
    assert it.office.expect_response(488).headers.first("Warning") == '305 sbc "G729 is required"'
    it.carrier.expect_nothing()


def test_CN_01_digits_are_agreed_on_though_no_policy_names_them() -> None:
    it = cast("")
    invite, ok, received = connect(it.office, it.carrier, NUMBER, OFFER, ANSWER)
    assert offered(received)[-2:] == ("13", "101")
    assert parse_session(ok.body).media[0].formats == ("18", "101")
    assert invite.method == "INVITE"
