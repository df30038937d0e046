"""What is heard before the answer: by policy, by the callee's descriptions, and by the caller's own phone."""

from __future__ import annotations

import pytest

from sbc.sip.message import Request, Response
from tests.world import POLICY, Agent, World, sdp

PLAIN = "plain: {srtp: off, codecs: [PCMA, PCMU, G729, telephone-event]}"
EARLY = sdp("10.1.0.2", 50000)


class Ringing:
    """A call that office began and carrier has not answered yet."""

    def __init__(self, early_media: str = "", number: str = "+4930123456") -> None:
        key = f", early_media: {early_media}}}" if early_media else "}"
        self.world = World(POLICY.replace(PLAIN, PLAIN.replace("}", key)))
        self.office = self.world.agent("office", ("10.0.0.20", 5060), "outside")
        self.carrier = self.world.agent("carrier", ("10.1.0.2", 5060), "inside")
        self.invite = self.office.invite(number)
        self.office.expect_response(100)
        self.received = self.carrier.expect_request("INVITE")

    def progress(self, status: int, body: bytes = b"") -> Response:
        """The provisional answer that comes for this one of the callee."""
        self.carrier.answer(self.received, status, body=body)
        told = self.office.inbox.popleft()
        assert isinstance(told, Response)
        return told

    def heard(self) -> tuple[bool, bool]:
        """Whether the caller hears the callee, and the callee the caller."""
        a, b = self.world.updates[-1] if self.world.updates else (None, None)
        return (a is not None and a.send, b is not None and b.send)

    def answer(self, body: bytes = EARLY) -> Response:
        self.carrier.answer(self.received, 200, body=body)
        self.carrier.expect_request("ACK")
        return self.office.expect_response(200)

    def end(self, ok: Response) -> None:
        self.office.ack(ok)
        self.office.send(self.office.within(self.invite, ok, "BYE"))
        self.office.expect_response(200)
        self.carrier.answer(self.carrier.expect_request("BYE"), 200)
        self.world.expect_nothing_left()


@pytest.mark.parametrize(
    ("policy", "status", "told", "described", "heard"),
    [
        ("", 183, 183, True, (True, True)),
        ("both", 183, 183, True, (True, True)),
        ("both", 180, 180, True, (True, True)),
        ("listen", 183, 183, True, (True, False)),
        ("listen", 180, 180, True, (True, False)),
        ("none", 183, 180, False, (False, False)),
        ("none", 180, 180, False, (False, False)),
    ],
)
def test_SDP_17_the_first_1xx_with_a_description(policy: str, status: int, told: int, described: bool, heard: tuple[bool, bool]) -> None:
    call = Ringing(policy)
    progress = call.progress(status, EARLY)
    assert (progress.status, bool(progress.body)) == (told, described)
    assert call.heard() == heard
    ok = call.answer()
    assert call.heard() == (True, True)
    assert not described or ok.body == progress.body
    call.end(ok)


@pytest.mark.parametrize("policy", ["listen", "none"])
def test_SDP_17_an_emergency_call_is_heard_at_once(policy: str) -> None:
    call = Ringing(policy, "112")
    assert call.progress(183, EARLY).body
    assert call.heard() == (True, True)
    call.end(call.answer())


@pytest.mark.parametrize("policy", ["both", "listen", "none"])
@pytest.mark.parametrize("status", [180, 181, 183])
def test_SDP_17_without_a_description_the_status_passes_as_it_is(policy: str, status: int) -> None:
    call = Ringing(policy)
    assert (call.progress(status).status, call.heard()) == (status, (False, False))
    call.end(call.answer())


def test_SDP_17_a_180_after_early_media_leaves_the_choice_to_the_caller() -> None:
    """Its phone may ring by itself or play what comes (RFC 3960 s3.2): what comes goes on coming."""
    call = Ringing("listen")
    call.progress(183, EARLY)
    ringing = call.progress(180)
    assert (ringing.status, ringing.body) == (180, b"")
    assert call.heard() == (True, False)
    call.end(call.answer())


@pytest.mark.parametrize(("direction", "heard"), [("sendonly", (True, False)), ("inactive", (False, False))])
def test_SDP_17_directions_of_early_media_hold(direction: str, heard: tuple[bool, bool]) -> None:
    call = Ringing()
    call.progress(183, sdp("10.1.0.2", 50000, direction=direction))
    assert call.heard() == heard
    call.end(call.answer())


def test_SDP_17_an_answer_without_a_description_stands_by_the_early_one() -> None:
    call = Ringing("none")
    call.progress(183, EARLY)
    ok = call.answer(b"")
    assert b"m=audio" in ok.body
    assert call.heard() == (True, True)
    call.end(ok)


def test_SDP_17_early_media_authorisations_do_not_cross(world: World, office: Agent, carrier: Agent) -> None:
    """P-Early-Media is worth what the network it comes from is trusted for (RFC 5009 s5): neither side sees the other's."""
    office.invite("+4930123456", headers=(("P-Early-Media", "supported"),))
    office.expect_response(100)
    received = carrier.expect_request("INVITE")
    assert "P-Early-Media" not in received.headers
    carrier.answer(received, 183, body=EARLY, headers=(("P-Early-Media", "sendrecv"),))
    assert "P-Early-Media" not in office.expect_response(183).headers
    carrier.answer(received, 486)
    office.ack(office.expect_response(486))


def test_SDP_16_preconditions_that_are_required_are_refused(world: World, office: Agent, carrier: Agent) -> None:
    office.invite("+4930123456", headers=(("Require", "precondition"),))
    refused = office.expect_response(420)
    assert refused.headers.first("Unsupported") == "precondition"
    office.ack(refused)
    carrier.expect_nothing()


def test_SDP_16_preconditions_that_are_only_supported_hold_nothing_up(world: World, office: Agent, carrier: Agent) -> None:
    qos = "a=curr:qos local none\r\na=curr:qos remote none\r\na=des:qos mandatory local sendrecv\r\na=des:qos none remote sendrecv\r\n"
    office.invite("+4930123456", sdp("10.0.0.20", 40000, extra=qos), headers=(("Supported", "precondition, 100rel"),))
    office.expect_response(100)
    received: Request = carrier.expect_request("INVITE")
    assert b"qos" not in received.body
    assert "precondition" not in (received.headers.first("Supported") or "")
    carrier.answer(received, 180)
    assert "precondition" not in office.expect_response(180).encode().decode()
    carrier.answer(received, 486)
    office.ack(office.expect_response(486))
