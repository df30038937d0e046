"""INFO within a call: digits and key frames cross, packages are agreed on, and whatever happens the call goes on."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from sbc.sip.fields.tokens import parse_tokens
from sbc.sip.message import Request
from sbc.sip.parse import parse_datagram
from tests.world import POLICY, Agent, World, connect, sdp

WITH_INFO = (
    POLICY.replace("    peer: sip:10.0.0.20:5060\n", "    peer: sip:10.0.0.20:5060\n    info: pass\n    info_packages: [foo, bar]\n")
    .replace("    peer: sip:10.1.0.2:5060\n", "    peer: sip:10.1.0.2:5060\n    info: pass\n    info_packages: [foo]\n")
)  # fmt: skip
VECTORS = Path(__file__).parents[1] / "vectors"
DIGIT = b"Signal=5\r\nDuration=160\r\n"
KEY_FRAME = b"<media_control><vc_primitive><to_encoder><picture_fast_update/></to_encoder></vc_primitive></media_control>"


@pytest.fixture
def policy() -> str:
    return WITH_INFO


def info(request: Request, body: bytes, content_type: str, *headers: tuple[str, str]) -> Request:
    """The request the agent would send, with a body that is no session description."""
    request.headers.remove("Content-Type")
    for name, value in (("Content-Type", content_type), *headers) if content_type else headers:
        request.headers.add(name, value)
    request.body = body
    return request


@pytest.mark.parametrize(
    ("content_type", "body"),
    [("application/dtmf-relay", DIGIT), ("application/dtmf", b"5"), ("application/media_control+xml", KEY_FRAME)],
)
def test_INF_01_legacy_info_crosses_and_its_answer_comes_back(
    world: World, office: Agent, carrier: Agent, content_type: str, body: bytes
) -> None:
    invite, ok, received = connect(office, carrier, "+4930123456")
    assert "INFO" in (ok.headers.first("Allow") or "")
    assert "INFO" in (received.headers.first("Allow") or "")
    office.send(info(office.within(invite, ok, "INFO"), body, content_type))
    crossed = carrier.expect_request("INFO")
    assert (crossed.body, crossed.headers.first("Content-Type")) == (body, content_type)
    assert (crossed.call_id, crossed.cseq.number) == (received.call_id, received.cseq.number + 1)
    assert b"10.0.0" not in crossed.encode(), "nothing of the other side crosses with it"
    carrier.answer(crossed, 200)
    assert office.expect_response(200).call_id == invite.call_id


def test_DTMF_03_digits_of_the_callee_cross_as_they_came(world: World, office: Agent, carrier: Agent) -> None:
    _, _, received = connect(office, carrier, "+4930123456")
    sample = parse_datagram((VECTORS / "samples" / "info_dtmf_plain.sip").read_bytes())
    content_type = sample.headers.first("Content-Type") or ""
    carrier.send(info(carrier.within_received(received, "INFO"), sample.body, content_type))
    crossed = office.expect_request("INFO")
    assert (crossed.body, crossed.headers.first("Content-Type")) == (sample.body, content_type)
    office.answer(crossed, 200)
    carrier.expect_response(200)


class TestOneSideAlone:
    """The carrier may do it all, the office nothing but call; or the other way around."""

    @pytest.fixture(params=["10.0.0.20", "10.1.0.2"])
    def policy(self, request: pytest.FixtureRequest) -> str:
        peer = f"    peer: sip:{request.param}:5060\n"
        keys = ("info: pass", "info_packages: [foo]", "messages: pass", "transfers: pass")
        return POLICY.replace(peer, peer + "".join(f"    {key}\n" for key in keys))

    def test_HDR_10_what_is_not_relayed_is_not_promised(self, world: World, office: Agent, carrier: Agent) -> None:
        invite, ok, received = connect(office, carrier, "+4930123456")
        office.send(office.within(invite, ok, "INVITE", cseq=2, body=sdp("10.0.0.20", 40000, version=2, direction="sendonly")))
        office.expect_response(100)
        again = carrier.expect_request("INVITE")
        office.send(office.within(invite, ok, "OPTIONS", cseq=3))
        for message in (received, ok, again, office.expect_response(200)):
            allowed = set(parse_tokens(message.headers.all("Allow")))
            assert {"INVITE", "UPDATE", "PRACK"} <= allowed
            assert not {"INFO", "MESSAGE", "REFER", "NOTIFY"} & allowed
            assert "Recv-Info" not in message.headers


def test_HDR_10_what_both_sides_can_is_told_to_both(world: World, office: Agent, carrier: Agent) -> None:
    _, ok, received = connect(office, carrier, "+4930123456")
    for message in (ok, received):
        assert "INFO" in parse_tokens(message.headers.all("Allow"))
        assert message.headers.all("Recv-Info") == ["foo"], "bar is one side's alone"
        assert parse_tokens(message.headers.all("Supported")) == ("timer", "100rel")


@pytest.mark.parametrize(("status", "told"), [(405, 405), (415, 415), (501, 501), (500, 500), (401, 500), (503, 500), (302, 480)])
def test_INF_01_a_refused_info_changes_nothing(world: World, office: Agent, carrier: Agent, status: int, told: int) -> None:
    invite, ok, _ = connect(office, carrier, "+4930123456")
    office.send(info(office.within(invite, ok, "INFO"), DIGIT, "application/dtmf-relay"))
    carrier.answer(carrier.expect_request("INFO"), status)
    office.expect_response(told)
    assert world.core.busy() == 1


def test_INF_01_an_info_without_an_answer_changes_nothing(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok, _ = connect(office, carrier, "+4930123456")
    office.send(info(office.within(invite, ok, "INFO"), DIGIT, "application/dtmf-relay"))
    world.after(33)
    office.expect_nothing()  # "never 408 to a non-INVITE" (RFC 4320 s4.2)
    assert world.core.busy() == 1
    carrier.inbox.clear()


def test_INV_09_an_info_that_finds_no_dialog_ends_the_call(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok, _ = connect(office, carrier, "+4930123456")
    office.send(info(office.within(invite, ok, "INFO"), DIGIT, "application/dtmf-relay"))
    carrier.answer(carrier.expect_request("INFO"), 481)
    office.expect_response(481)
    office.answer(office.expect_request("BYE"), 200)
    assert world.core.busy() == 0


def test_INF_01_an_info_package_both_sides_may_use(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok, received = connect(office, carrier, "+4930123456")
    assert received.headers.first("Recv-Info") == "foo"
    assert ok.headers.first("Recv-Info") == "foo"
    office.send(info(office.within(invite, ok, "INFO"), b"I am a foo message", "application/foo", ("Info-Package", "Foo")))
    crossed = carrier.expect_request("INFO")
    assert crossed.headers.first("Info-Package") == "Foo"
    assert crossed.body == b"I am a foo message"
    carrier.answer(crossed, 200)
    assert "Recv-Info" not in office.expect_response(200).headers


@pytest.mark.parametrize(("package", "listed"), [("unknown", "foo, bar"), ("bar", "foo")])
def test_INF_01_an_unknown_info_package(world: World, office: Agent, carrier: Agent, package: str, listed: str) -> None:
    invite, ok, _ = connect(office, carrier, "+4930123456")
    office.send(info(office.within(invite, ok, "INFO"), b"x", "text/plain", ("Info-Package", package)))
    assert office.expect_response(469).headers.first("Recv-Info") == listed
    carrier.expect_nothing()


def test_INF_01_a_469_of_the_peer_keeps_its_list(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok, _ = connect(office, carrier, "+4930123456")
    office.send(info(office.within(invite, ok, "INFO"), b"x", "text/plain", ("Info-Package", "foo")))
    carrier.answer(carrier.expect_request("INFO"), 469, headers=(("Recv-Info", "P, R"),))
    assert office.expect_response(469).headers.first("Recv-Info") == "P, R"


def test_INF_01_the_messages_of_rfc_6086(world: World, office: Agent, carrier: Agent) -> None:
    """Every INFO of the RFC, within a call of ours, is answered: those of package foo cross, others get 469."""
    shown = json.loads((VECTORS / "callflows" / "rfc6086.json").read_text())["messages"]
    texts = [one["message"] for one in shown if one["message"].startswith("INFO ")]
    samples = [parse_datagram(re.sub(r"\r\nContent-length:[^\r]*", "", text, flags=re.IGNORECASE).encode()) for text in texts]
    assert samples
    invite, ok, _ = connect(office, carrier, "+4930123456")
    for cseq, sample in enumerate(samples, 2):
        package = sample.headers.first("Info-Package") or ""
        rows = (("Info-Package", package),)
        office.send(info(office.within(invite, ok, "INFO", cseq=cseq), sample.body, sample.headers.first("Content-Type") or "", *rows))
        if package.lower() == "foo":
            carrier.answer(carrier.expect_request("INFO"), 200)
            office.expect_response(200)
        else:
            office.expect_response(469)
            carrier.expect_nothing()


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [("text/html", b"<p>", 415), ("application/dtmf-relay", b"x" * 16_385, 413), ("broken", b"x", 400), ("", b"", 200)],
)
def test_INF_01_what_does_not_cross(world: World, office: Agent, carrier: Agent, content_type: str, body: bytes, status: int) -> None:
    invite, ok, _ = connect(office, carrier, "+4930123456")
    office.send(info(office.within(invite, ok, "INFO"), body, content_type))
    office.expect_response(status)
    carrier.expect_nothing()
    assert world.core.busy() == 1


def test_INF_01_too_many_at_once(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok, _ = connect(office, carrier, "+4930123456")
    for number in range(9):
        office.send(info(office.within(invite, ok, "INFO", cseq=2 + number), DIGIT, "application/dtmf-relay"))
    assert office.expect_response(500).headers.first("Retry-After") == "1"
    waiting = [message for message in carrier.inbox if isinstance(message, Request)]
    assert len(waiting) == 8
    carrier.answer(waiting[0], 200)
    office.expect_response(200)
    carrier.inbox.clear()
    office.send(info(office.within(invite, ok, "INFO", cseq=20), DIGIT, "application/dtmf-relay"))
    carrier.expect_request("INFO")


def test_INF_01_before_there_is_anybody_to_tell(world: World, office: Agent, carrier: Agent) -> None:
    invite = office.invite("+4930123456")
    office.expect_response(100)
    carrier.answer(carrier.expect_request("INVITE"), 180)
    ringing = office.expect_response(180)
    office.send(info(office.within(invite, ringing, "INFO"), DIGIT, "application/dtmf-relay"))
    office.expect_response(480)
    carrier.expect_nothing()


def test_INF_01_outside_of_a_dialog(world: World, office: Agent) -> None:
    office.send(info(office.request("INFO", "sip:+4930123456@10.0.0.1"), DIGIT, "application/dtmf-relay"))
    office.expect_response(481)


def test_INF_01_the_other_side_wants_none(office: Agent, backup: Agent, carrier: Agent) -> None:
    """`backup` has no `info: pass`."""
    office.invite("+4930123456")
    office.expect_response(100)
    carrier.answer(carrier.expect_request("INVITE"), 503)
    received = backup.expect_request("INVITE")
    assert "Recv-Info" not in received.headers
    backup.answer(received, 200, body=sdp("10.1.0.3", 50000))
    ok = office.expect_response(200)
    office.ack(ok)
    assert office.last_invite is not None
    office.send(info(office.within(office.last_invite, ok, "INFO"), DIGIT, "application/dtmf-relay"))
    office.expect_response(403)
    backup.expect_request("ACK")
    backup.expect_nothing()
    backup.send(info(backup.within_received(received, "INFO"), DIGIT, "application/dtmf-relay"))
    backup.expect_response(405)
    office.expect_nothing()
