from __future__ import annotations

import pytest

from sbc.errors import ParseError, SipError
from sbc.sip.dialog import MAX_ROUTES, Dialog, record_route_rows
from sbc.sip.fields.via import Via
from sbc.sip.message import Request, Response
from sbc.sip.parse import parse_datagram
from sbc.sip.uri import Uri
from tests.unit.sip.peer import FROM, request, response

VIA = Via("UDP", "10.0.0.1", 5060, "z9hG4bK-new")
CONTACT = "Contact: <sip:alice@192.0.2.7:5062>"
IN_DIALOG = "<sip:bob@example.com>;tag=ours"


def uas(*headers: str, contact: str = CONTACT, uri: str = "sip:bob@10.0.0.1", cseq: int = 5) -> Dialog:
    return Dialog.from_request(request("INVITE", "z9hG4bK-1", contact, *headers, uri=uri, cseq=cseq), "ours")


def answer(invite: Request, status: int = 200, *headers: tuple[str, str], tag: str = "theirs") -> Response:
    return response(invite, status, tag, *headers)


def uac(*headers: tuple[str, str], status: int = 200, uri: str = "sip:bob@10.0.0.1") -> Dialog:
    invite = request("INVITE", "z9hG4bK-1", CONTACT, uri=uri, cseq=5)
    return Dialog.from_response(invite, answer(invite, status, ("Contact", "<sip:bob@198.51.100.3:5064>"), *headers))


def routes(message: Request) -> list[str]:
    return message.headers.all("Route")


def on_the_wire(message: Request) -> Request:
    parsed = parse_datagram(message.encode())
    assert isinstance(parsed, Request)
    return parsed


def test_the_uas_side() -> None:
    dialog = uas()
    assert dialog.key == ("c1", "ours", "a1")
    assert (dialog.local_tag, dialog.remote_tag) == ("ours", "a1")
    assert (dialog.remote_cseq, dialog.local_cseq, dialog.secure, dialog.early) == (5, 0, False, False)
    bye = on_the_wire(dialog.request("BYE", via=VIA))
    assert str(bye.uri) == "sip:alice@192.0.2.7:5062"
    assert str(bye.from_) == "<sip:bob@example.com>;tag=ours"
    assert str(bye.to) == FROM
    assert (bye.call_id, str(bye.cseq), bye.via.branch) == ("c1", "1 BYE", "z9hG4bK-new")
    assert bye.headers.first("Contact") is None
    assert bye.headers.first("Max-Forwards") == "70"


def test_the_uac_side() -> None:
    dialog = uac()
    assert dialog.key == ("c1", "a1", "theirs")
    assert (dialog.remote_cseq, dialog.local_cseq) == (None, 5)
    update = on_the_wire(
        dialog.request(
            "UPDATE",
            via=VIA,
            contact="<sip:us@10.0.0.1>",
            max_forwards=10,
            headers=[("Supported", "timer")],
            body=b"v=0\r\n",
            content_type="application/sdp",
        )
    )
    assert str(update.uri) == "sip:bob@198.51.100.3:5064"
    assert str(update.from_) == FROM
    assert str(update.to) == "<sip:bob@example.com>;tag=theirs"
    assert str(update.cseq) == "6 UPDATE"
    assert [update.headers.first(name) for name in ("Contact", "Supported", "Max-Forwards", "Content-Type")] == [
        "<sip:us@10.0.0.1>", "timer", "10", "application/sdp"
    ]  # fmt: skip
    assert update.body == b"v=0\r\n"
    assert str(dialog.request("BYE", via=VIA).cseq) == "7 BYE"


def test_the_ack_of_a_2xx_has_the_number_of_its_invite() -> None:
    dialog = uac()
    dialog.request("INFO", via=VIA)
    ack = on_the_wire(dialog.ack(5, VIA, headers=[("Proxy-Authorization", "Digest x=y")]))
    assert (ack.method, str(ack.cseq), dialog.local_cseq) == ("ACK", "5 ACK", 6)
    assert ack.headers.first("Proxy-Authorization") == "Digest x=y"


def test_secure_when_made_by_a_sips_uri() -> None:
    assert uas(uri="sips:bob@10.0.0.1").secure
    assert uac(uri="sips:bob@10.0.0.1").secure
    assert not uac().secure


# Routes


def test_INV_06_the_route_set_of_the_uas_is_the_record_route_in_order() -> None:
    dialog = uas("Record-Route: <sip:p1.example.com;lr>, <sip:p2.example.com;lr>;x=1", "Record-Route: <sip:[2001:db8::1]:5070;lr>")
    bye = on_the_wire(dialog.request("BYE", via=VIA))
    assert routes(bye) == ["<sip:p1.example.com;lr>", "<sip:p2.example.com;lr>;x=1", "<sip:[2001:db8::1]:5070;lr>"]
    assert str(bye.uri) == "sip:alice@192.0.2.7:5062"
    assert str(dialog.next_hop) == "sip:p1.example.com;lr"


def test_INV_06_the_route_set_of_the_uac_is_the_record_route_reversed() -> None:
    dialog = uac(("Record-Route", "<sip:p1.example.com;lr>, <sip:p2.example.com;lr>"), ("Record-Route", "<sip:p3.example.com;lr>"))
    assert routes(dialog.request("BYE", via=VIA)) == ["<sip:p3.example.com;lr>", "<sip:p2.example.com;lr>", "<sip:p1.example.com;lr>"]
    assert str(dialog.next_hop) == "sip:p3.example.com;lr"


def test_INV_06_a_strict_router_gets_itself_as_request_uri_and_the_target_last() -> None:
    dialog = uas("Record-Route: <sip:strict.example.com;method=INVITE?Subject=x>;y=z, <sip:p2.example.com;lr>")
    bye = on_the_wire(dialog.request("BYE", via=VIA))
    assert str(bye.uri) == "sip:strict.example.com"
    assert routes(bye) == ["<sip:p2.example.com;lr>", "<sip:alice@192.0.2.7:5062>"]
    assert dialog.next_hop.host == "strict.example.com"


def test_INV_06_without_record_route_the_target_is_the_next_hop() -> None:
    dialog = uac()
    assert routes(dialog.request("BYE", via=VIA)) == []
    assert str(dialog.next_hop) == "sip:bob@198.51.100.3:5064"


def test_INV_06_a_private_contact_is_reached_by_the_route() -> None:
    invite = request("INVITE", "z9hG4bK-1", CONTACT)
    contact = ("Contact", "<sip:+15550100@172.25.59.92:5060;transport=udp>")
    success = answer(invite, 200, contact, ("Record-Route", "<sip:54.172.60.0;lr;ftag=a1>"))
    dialog = Dialog.from_response(invite, success)
    bye = dialog.request("BYE", via=VIA)
    assert str(bye.uri) == "sip:+15550100@172.25.59.92:5060;transport=udp"
    assert dialog.next_hop == Uri.parse("sip:54.172.60.0;lr;ftag=a1")


def test_INV_06_the_route_set_stays_when_the_target_is_refreshed() -> None:
    dialog = uas("Record-Route: <sip:p1.example.com;lr>")
    again = ("Contact: <sip:alice@192.0.2.99>", "Record-Route: <sip:evil.example.com;lr>")
    dialog.receive(request("INVITE", "z9hG4bK-2", *again, to=IN_DIALOG, cseq=6))
    bye = dialog.request("BYE", via=VIA)
    assert str(bye.uri) == "sip:alice@192.0.2.99"
    assert routes(bye) == ["<sip:p1.example.com;lr>"]


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_INV_06_a_2xx_refreshes_the_target(method: str) -> None:
    dialog = uac(("Record-Route", "<sip:p1.example.com;lr>"))
    again = dialog.request(method, via=VIA, contact="<sip:us@10.0.0.1>")
    moved = ("Contact", "<sip:bob@203.0.113.5>")
    dialog.receive_response(answer(again, 180, moved))
    dialog.receive_response(answer(again, 488, moved))
    assert str(dialog.remote_target) == "sip:bob@198.51.100.3:5064"
    dialog.receive_response(answer(again, 200, moved, ("Record-Route", "<sip:evil.example.com;lr>")))
    assert str(dialog.remote_target) == "sip:bob@203.0.113.5"
    assert routes(dialog.request("BYE", via=VIA)) == ["<sip:p1.example.com;lr>"]


def test_INV_06_other_requests_and_responses_leave_the_target() -> None:
    dialog = uas()
    dialog.receive(request("INFO", "z9hG4bK-2", "Contact: <sip:alice@192.0.2.99>", to=IN_DIALOG, cseq=6))
    info = dialog.request("INFO", via=VIA)
    dialog.receive_response(answer(info, 200, ("Contact", "<sip:alice@192.0.2.99>")))
    dialog.receive(request("UPDATE", "z9hG4bK-3", to=IN_DIALOG, cseq=7))
    assert str(dialog.remote_target) == "sip:alice@192.0.2.7:5062"


def test_INV_05_the_2xx_confirms_an_early_dialog_and_sets_its_routes_anew() -> None:
    invite = request("INVITE", "z9hG4bK-1", CONTACT, cseq=5)
    dialog = Dialog.from_response(invite, answer(invite, 183, ("Record-Route", "<sip:p1.example.com;lr>")))
    assert (dialog.early, str(dialog.remote_target)) == (True, "sip:bob@10.0.0.1"), "1xx often have no Contact"
    contact = ("Contact", "<sip:bob@198.51.100.3>")
    dialog.receive_response(answer(invite, 200, contact, ("Record-Route", "<sip:p2.example.com;lr>, <sip:p3.example.com;lr>")))
    assert (dialog.early, str(dialog.remote_target)) == (False, "sip:bob@198.51.100.3")
    assert routes(dialog.ack(5, VIA)) == ["<sip:p3.example.com;lr>", "<sip:p2.example.com;lr>"]
    dialog.receive_response(answer(invite, 200, contact))
    assert len(dialog.route_set) == 2, "fixed from then on"


def test_the_target_loses_what_a_request_uri_must_not_have() -> None:
    dialog = uas(contact="Contact: <sip:alice@192.0.2.7;method=BYE;transport=tcp?Route=%3Csip:x%3E>")
    assert str(dialog.request("BYE", via=VIA).uri) == "sip:alice@192.0.2.7;transport=tcp"


def test_record_routes_to_repeat_are_as_they_came() -> None:
    invite = request("INVITE", "z9hG4bK-1", CONTACT, "Record-Route: <sip:p1;lr> , <sip:p2;lr>", "Record-Route: <sip:p3;lr>")
    assert record_route_rows(invite) == [("record-route", "<sip:p1;lr> , <sip:p2;lr>"), ("record-route", "<sip:p3;lr>")]


@pytest.mark.parametrize(
    ("contact", "more"),
    [
        ("Subject: none", ()),
        ("Contact: *", ()),
        ("Contact: <sip:a@b>, <sip:c@d>", ()),
        ("Contact: <sip:a@b", ()),
        ("Contact: <tel:+4930123>", ()),
        (CONTACT, ("Record-Route: <sip:p1", )),
        (CONTACT, ("Record-Route: " + ", ".join(["<sip:p;lr>"] * (MAX_ROUTES + 1)),)),
    ],
)  # fmt: skip
def test_an_invite_that_makes_no_dialog_is_answered_with_400(contact: str, more: tuple[str, ...]) -> None:
    with pytest.raises(ParseError) as refused:
        uas(*more, contact=contact)
    assert refused.value.status == 400


def test_the_longest_route_set_is_taken() -> None:
    assert len(uas("Record-Route: " + ", ".join(["<sip:p;lr>"] * MAX_ROUTES)).route_set) == MAX_ROUTES


def test_an_rfc_2543_peer_has_no_tag() -> None:
    invite = request("INVITE", "z9hG4bK-1", CONTACT)
    dialog = Dialog.from_response(invite, answer(invite, 200, tag=""))
    assert dialog.key == ("c1", "a1", "")
    assert str(dialog.request("BYE", via=VIA).to) == "<sip:bob@example.com>"


# Order


def test_UAS_05_an_older_request_is_refused_with_500_and_changes_nothing() -> None:
    dialog = uas(cseq=5)
    dialog.receive(request("INFO", "z9hG4bK-2", to=IN_DIALOG, cseq=9))
    with pytest.raises(SipError) as refused:
        dialog.receive(request("INVITE", "z9hG4bK-3", "Contact: <sip:evil@192.0.2.99>", to=IN_DIALOG, cseq=8))
    assert refused.value.status == 500
    assert (dialog.remote_cseq, str(dialog.remote_target)) == (9, "sip:alice@192.0.2.7:5062")


def test_UAS_05_a_gap_is_accepted() -> None:
    dialog = uas(cseq=5)
    dialog.receive(request("BYE", "z9hG4bK-2", to=IN_DIALOG, cseq=2**31 - 1))
    assert dialog.remote_cseq == 2**31 - 1


def test_UAS_05_the_first_request_of_the_callee_sets_the_number() -> None:
    dialog = uac()
    dialog.receive(request("BYE", "z9hG4bK-2", to=IN_DIALOG, cseq=0))
    assert dialog.remote_cseq == 0


def test_UAS_05_ack_and_cancel_are_never_refused() -> None:
    dialog = uas(cseq=5)
    dialog.receive(request("UPDATE", "z9hG4bK-2", to=IN_DIALOG, cseq=6))
    dialog.receive(request("ACK", "z9hG4bK-3", to=IN_DIALOG, cseq=5))
    dialog.receive(request("CANCEL", "z9hG4bK-4", to=IN_DIALOG, cseq=5))
    assert dialog.remote_cseq == 6


def test_a_malformed_contact_changes_nothing() -> None:
    dialog = uas(cseq=5)
    with pytest.raises(ParseError):
        dialog.receive(request("INVITE", "z9hG4bK-2", "Contact: <sip:", to=IN_DIALOG, cseq=6))
    assert dialog.remote_cseq == 5
