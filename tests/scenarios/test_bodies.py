"""What an INVITE carries beside its session description: crosses where both sides say so, and where somebody needs help."""

from __future__ import annotations

import pytest

from sbc.sip.fields.content import MediaType
from sbc.sip.message import Request
from sbc.sip.multipart import Part, parts, sdp_of
from tests.scenarios.cast import NUMBER, TRUSTED, Cast, policy
from tests.world import POLICY, sdp

ISUP = b"\x01\x00\x60\x01\x0a\xff\r\n--x\r\n\x00"  # any octets, and what looks like somebody else's boundary
PIDF = b'<presence entity="pres:alice@10.0.0.20"><geopriv/></presence>'
PASSED = "pass_bodies: [application/isup, Application/PIDF+XML]"


def piece(kind: str, content: bytes, *headers: str) -> bytes:
    return "\r\n".join((f"--b\r\nContent-Type: {kind}", *headers, "", "")).encode() + content + b"\r\n"


OFFER = piece("application/sdp", sdp("10.0.0.20", 40000))
OF_ISUP = piece("application/isup;version=nxv3;base=etsi121", ISUP, "Content-Disposition: signal;handling=optional")
OF_PIDF = piece("application/pidf+xml", PIDF, "Content-ID: <here@10.0.0.20>", "Content-Secret: 10.0.0.20")
REQUIRED = piece("application/isup", ISUP, "Content-Disposition: signal; handling=required")


def call(cast: Cast, *pieces: bytes, number: str = NUMBER, headers: tuple[tuple[str, str], ...] = ()) -> None:
    request = cast.office.request("INVITE", f"sip:{number}@10.0.0.1:5060", headers=headers)
    request.headers.add("Content-Type", "multipart/mixed;boundary=b")
    request.body = b"".join(pieces) + b"--b--\r\n"
    cast.office.last_invite = request
    cast.office.send(request)


def told(cast: Cast) -> tuple[Request, list[Part]]:
    received = cast.carrier.expect_request("INVITE")
    text = received.headers.first("Content-Type") or ""
    return received, parts(text, received.body) if MediaType.parse(text).name == "multipart/mixed" else []


def test_HDR_17_a_body_both_sides_list_crosses_as_it_came() -> None:
    cast = Cast(policy(office=PASSED, carrier=PASSED))
    call(cast, OF_ISUP, OFFER, OF_PIDF)
    received, found = told(cast)
    assert [part.type for part in found] == ["application/sdp", "application/isup", "application/pidf+xml"]
    assert [part.body for part in found[1:]] == [ISUP, PIDF]
    assert found[1].headers.all("Content-Type") == ["application/isup;version=nxv3;base=etsi121"]
    assert found[1].headers.all("Content-Disposition") == ["signal;handling=optional"]
    assert found[2].headers.all("Content-ID") == ["<here@10.0.0.20>"]
    assert "Content-Secret" not in found[2].headers
    offered = sdp_of(received) or b""
    assert b"10.1.0.1" in offered, "the description is ours"
    assert b"10.0.0.20" not in offered
    cast.carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))
    cast.carrier.expect_request("ACK")
    cast.office.expect_response(100)
    assert b"10.0.0.1" in cast.office.expect_response(200).body


@pytest.mark.parametrize(("office", "carrier"), [("", PASSED), (PASSED, ""), ("", ""), (f"{TRUSTED}; {PASSED}", TRUSTED)])
def test_HDR_17_otherwise_the_description_goes_alone(office: str, carrier: str) -> None:
    cast = Cast(policy(office=office, carrier=carrier))
    call(cast, OFFER, OF_ISUP, OF_PIDF)
    received, _ = told(cast)
    assert received.headers.first("Content-Type") == "application/sdp"
    assert b"isup" not in received.encode()
    assert PIDF not in received.encode()


def test_HDR_17_where_somebody_is_who_calls_for_help() -> None:
    cast = Cast(POLICY)
    call(cast, OFFER, OF_PIDF, OF_ISUP, number="112", headers=(("Geolocation", "<cid:here@10.0.0.20>"),))
    received, found = told(cast)
    assert [part.body for part in found[1:]] == [PIDF], "and nothing else"
    assert received.headers.all("Geolocation") == ["<cid:here@10.0.0.20>"]
    assert found[1].headers.all("Content-ID") == ["<here@10.0.0.20>"], "which names the part"


@pytest.mark.parametrize(("office", "carrier"), [("", ""), (PASSED, ""), ("", PASSED)])
def test_HDR_17_what_is_required_crosses_or_there_is_no_call(office: str, carrier: str) -> None:
    cast = Cast(policy(office=office, carrier=carrier))
    call(cast, OFFER, REQUIRED)
    if office:
        cast.office.expect_response(100)
    assert (cast.office.expect_response(415).headers.first("Accept") or "").startswith("application/sdp")
    cast.carrier.expect_nothing()
    assert cast.world.records[0]["sip_status"] == 415


def test_HDR_17_what_is_required_and_listed_crosses() -> None:
    cast = Cast(policy(office=PASSED, carrier=PASSED))
    call(cast, OFFER, REQUIRED)
    _, found = told(cast)
    assert found[1].handling == "required"


def test_HDR_17_a_required_location_is_nobody_elses_business() -> None:
    cast = Cast(policy(carrier=PASSED))
    call(cast, OFFER, piece("application/pidf+xml", PIDF, "Content-Disposition: render;handling=required"))
    cast.office.expect_response(100)
    cast.office.expect_response(415)
    cast.carrier.expect_nothing()


def test_HDR_17_without_a_description_too() -> None:
    cast = Cast(policy(office=PASSED, carrier=PASSED))
    request = cast.office.request("INVITE", f"sip:{NUMBER}@10.0.0.1:5060", headers=(("Content-Type", "application/isup"),))
    request.body = ISUP
    cast.office.send(request)
    received, found = told(cast)
    assert [part.body for part in found] == [ISUP]
    assert sdp_of(received) is None, "the callee is to offer"


def test_HDR_17_it_goes_with_every_attempt_and_with_no_later_request() -> None:
    cast = Cast(policy(office=PASSED, carrier=PASSED))
    call(cast, OFFER, OF_ISUP)
    received, _ = told(cast)
    cast.carrier.answer(received, 422, headers=(("Min-SE", "3600"),))
    cast.carrier.expect_request("ACK")
    received, found = told(cast)
    assert [part.body for part in found[1:]] == [ISUP]
    cast.carrier.answer(received, 200, body=sdp("10.1.0.2", 50000))
    cast.carrier.expect_request("ACK")
    cast.office.expect_response(100)
    ok = cast.office.expect_response(200)
    cast.office.ack(ok)
    assert cast.office.last_invite is not None
    again = cast.office.within(cast.office.last_invite, ok, "INVITE", cseq=2)
    again.headers.add("Content-Type", "multipart/mixed;boundary=b")
    again.body = piece("application/sdp", sdp("10.0.0.20", 40000, version=2, direction="sendonly")) + OF_ISUP + b"--b--\r\n"
    cast.office.send(again)
    cast.office.expect_response(100)
    assert cast.carrier.expect_request("INVITE").headers.first("Content-Type") == "application/sdp"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/mixed;boundary=b", OFFER),
        ("multipart/mixed", OFFER + b"--b--\r\n"),
        ("multipart/mixed;boundary=b", OFFER + piece("nonsense", b"x") + b"--b--\r\n"),
        ("multipart/mixed;boundary=b", OFFER + piece("application/isup", b"x", "Content-Disposition: ;;") + b"--b--\r\n"),
        ("nonsense", OFFER),
    ],
)
def test_HDR_17_what_cannot_be_read_costs_nothing(content_type: str, body: bytes) -> None:
    """Nobody has to understand it, and so it is looked at when the caller already has a place among the limits."""
    cast = Cast(policy(office=f"{PASSED}; limits: person"))
    for _ in range(3):
        request = cast.office.request(
            "INVITE", f"sip:{NUMBER}@10.0.0.1:5060", headers=(("Content-Disposition", "session;handling=optional"),)
        )
        request.headers.add("Content-Type", content_type)
        request.body = body
        cast.office.send(request)
        cast.world.shut_down()
        cast.world.after(33)
    assert cast.world.core.core._context.limits.calls("office") == 0
    assert len(cast.world.records) == 3
