"""Phones report how a call was heard (RFC 6035): in its record while it lasts, in the log when it is over or not ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from sbc.sip.fields.replaces import Replaces
from sbc.sip.message import Request
from sbc.sip.parse import parse_datagram
from tests.scenarios.test_transfer import PERFORMED, accept_blind, call_the_office, expect_report
from tests.world import Agent, World, connect, sdp

SAMPLE = Path(__file__).parents[1] / "vectors" / "samples" / "snom_publish_vqrtcpxr.sip"
SNOM = parse_datagram(SAMPLE.read_bytes()).body
ITS_CALL = b"825962570309-8ds5sl3mca99"
FIGURES = {
    "kind": "session",
    "codec": "PCMA",
    "loss_percent": 5.0,
    "discard_percent": 0.0,
    "burst_loss_percent": 0.0,
    "burst_ms": 0.0,
    "gap_loss_percent": 5.0,
    "gap_ms": 5930.0,
    "round_trip_ms": 0.0,
    "end_system_ms": 0.0,
    "jitter_ms": 0.0,
    "mos_lq": 4.1,
    "mos_cq": 4.1,
}


def publish(agent: Agent, body: bytes, *headers: tuple[str, str], content_type: str = "application/vq-rtcpxr") -> Request:
    local = agent.flow.local
    rows = (("Event", "vq-rtcpxr"), ("Content-Type", content_type), *headers)
    request = agent.request("PUBLISH", f"sip:{local[0]}:{local[1]}", headers=rows)
    request.body = body
    agent.send(request)
    return request


def about(call: Request) -> bytes:
    return SNOM.replace(ITS_CALL, call.call_id.encode())


def hang_up(office: Agent, carrier: Agent, invite: Request, ok: object) -> None:
    office.send(office.within(invite, ok, "BYE"))  # type: ignore[arg-type]
    office.expect_response(200)
    carrier.answer(carrier.expect_request("BYE"), 200)


def test_XR_02_a_report_is_taken_and_tagged(world: World, office: Agent, carrier: Agent) -> None:
    publish(office, SNOM, ("Expires", "600"))
    ok = office.expect_response(200)
    assert ok.headers.first("Expires") == "600"
    publish(office, SNOM)
    again = office.expect_response(200)
    assert again.headers.first("Expires") == "3600"
    tags = {ok.headers.first("SIP-ETag"), again.headers.first("SIP-ETag")}
    assert len(tags) == 2
    assert None not in tags
    carrier.expect_nothing()
    publish(office, b"", ("SIP-If-Match", ok.headers.first("SIP-ETag") or ""))
    office.expect_response(412)


def test_XR_02_in_the_record_of_its_call(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok, received = connect(office, carrier, "+4930123456")
    publish(office, about(invite).replace(b"CallTerm", b"").replace(b"VQSessionReport:", b"VQIntervalReport"))
    office.expect_response(200)
    publish(carrier, about(received) + b"RemoteMetrics:\r\nPacketLoss:NLR=1.5 JDR=127\r\nQualityEst:RLQ=82 MOSLQ=12.7\r\n")
    carrier.expect_response(200)
    hang_up(office, carrier, invite, ok)
    (record,) = world.records
    assert record["a"]["reported"] == {**FIGURES, "kind": "interval"}  # type: ignore[index]
    assert record["b"]["reported"] == {**FIGURES, "remote": {"loss_percent": 1.5, "r_lq": 82.0}}  # type: ignore[index]
    assert world.logs == []


def test_XR_02_in_the_log_once_the_record_is_written(world: World, office: Agent, carrier: Agent) -> None:
    invite, ok, _ = connect(office, carrier, "+4930123456")
    hang_up(office, carrier, invite, ok)
    (record,) = world.records
    assert (record["a"]["reported"], record["b"]["reported"]) == (None, None)  # type: ignore[index]
    publish(office, about(invite))
    office.expect_response(200)
    (log,) = world.logs
    assert (log.event, log.facts) == ("quality reported", {"call": record["id"], "side": "a", "party": "office", **FIGURES})
    connected_later(world, office, carrier)
    publish(office, about(invite))
    office.expect_response(200)
    assert world.logs[1].facts == {"party": "office", "call_id": invite.call_id, **FIGURES}, "after a minute it is forgotten"


def connected_later(world: World, office: Agent, carrier: Agent) -> None:
    """Another call, a minute later."""
    world.after(61)
    hang_up(office, carrier, *connect(office, carrier, "+4930123456")[:2])


def test_XR_02_only_of_who_is_in_the_call(world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
    invite, ok, received = connect(office, carrier, "+4930123456")
    for foreign in (invite, received):
        publish(backup, about(foreign))
        backup.expect_response(200)
    assert [log.facts.get("call") for log in world.logs] == [None, None]
    hang_up(office, carrier, invite, ok)
    assert (world.records[0]["a"]["reported"], world.records[0]["b"]["reported"]) == (None, None)  # type: ignore[index]


def test_XR_02_strangers_report_nothing(world: World) -> None:
    stranger = world.agent("stranger", ("10.1.0.66", 5060), "inside")
    publish(stranger, SNOM)
    stranger.expect_nothing()
    assert world.logs == []


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"", "application/vq-rtcpxr", 400),
        (b"VQSessionReport\r\nLocalMetrics:\r\n", "application/vq-rtcpxr", 400),
        (b"CallID:x\r\nVQSessionReport\r\n", "application/vq-rtcpxr", 400),
        (b"VQSessionReport\r\nCallID:" + b"x" * 257, "application/vq-rtcpxr", 400),
        (b"VQSessionReport\r\nCallID:x" + b"\r\n" * 200, "application/vq-rtcpxr", 400),
        (b"VQSessionReport\r\nCallID:x" + b"\r\nx:" * 2800, "application/vq-rtcpxr", 413),
        (SNOM, "application/pidf+xml", 415),
        (SNOM, "nonsense", 400),
    ],
)
def test_XR_02_what_is_no_report(world: World, office: Agent, body: bytes, content_type: str, status: int) -> None:
    publish(office, body, content_type=content_type)
    office.expect_response(status)
    assert world.logs == []


def test_XR_02_as_many_a_second_as_other_requests(world: World, office: Agent) -> None:
    for _ in range(10):
        publish(office, SNOM)
        office.expect_response(200)
    publish(office, SNOM)
    assert "Retry-After" not in office.expect_response(503).headers


class TestTransferred:
    @pytest.fixture
    def policy(self) -> str:
        return PERFORMED

    def test_XR_02_a_leg_is_of_the_call_it_is_in_now(self, world: World, office: Agent, carrier: Agent) -> None:
        call = call_the_office(carrier, office)
        replaces = Replaces(call.received.call_id, call.received.from_.tag, "to-office")
        invite = office.invite("+4930123456", headers=(("Replaces", str(replaces)),))
        office.expect_response(100)
        carrier.answer(carrier.expect_request("INVITE"), 200, body=sdp("10.1.0.2", 40000))
        carrier.expect_request("ACK")
        office.answer(office.expect_request("BYE"), 200)
        ok = office.expect_response(200)
        office.ack(ok)
        publish(carrier, about(call.invite))
        carrier.expect_response(200)
        hang_up(office, carrier, invite, ok)
        first, second = world.records
        assert first["a"]["reported"] is None  # type: ignore[index]
        assert second["b"]["reported"] == FIGURES  # type: ignore[index]

    def test_XR_02_and_so_is_the_one_that_was_transferred(self, world: World, office: Agent, carrier: Agent, backup: Agent) -> None:
        call, received = accept_blind(world, office, carrier, backup)
        backup.answer(received, 200, body=sdp("10.1.0.3", 50500))
        backup.expect_request("ACK")
        expect_report(office, "200 OK", "terminated;reason=noresource")
        office.answer(office.expect_request("BYE"), 200)
        carrier.answer(carrier.expect_request("INVITE"), 200, body=sdp("10.1.0.2", 40000))
        carrier.expect_request("ACK")
        publish(carrier, about(call.invite))
        carrier.expect_response(200)
        carrier.send(carrier.within(call.invite, call.ok, "BYE", cseq=2))
        carrier.expect_response(200)
        backup.answer(backup.expect_request("BYE"), 200)
        assert world.records[1]["a"]["reported"] == FIGURES  # type: ignore[index]
