"""Numbers and who has them: where a call goes, and what a caller may show."""

from __future__ import annotations

import pytest

from sbc.call.charging import number_meant
from sbc.errors import SipError
from sbc.sip.uri import Uri
from tests.scenarios.cast import ANONYMOUS_FROM, Cast, policy
from tests.scenarios.test_registration import registered
from tests.world import POLICY

INVENTORY = """
numbers:
  "+493012300-+493012349": office
  "+4930777*": alice
  "+4930*": unassigned
"""
OURS = """\
  - {name: ours, when: {realm: inside, to: "*"}, send_to: [owner]}
  - {name: among-us, when: {realm: outside, to: "*"}, send_to: [owner]}
"""
ABROAD = "+442079460000"


def with_numbers(text: str = POLICY) -> str:
    assert "routes:\n" in text
    return text.replace("routes:\n", "routes:\n" + OURS, 1) + INVENTORY


def test_a_call_finds_the_trunk_that_has_the_number() -> None:
    cast = Cast(with_numbers())
    cast.carrier.invite("+493012345")
    received = cast.office.expect_request("INVITE")
    assert (received.uri.user, received.uri.host) == ("+493012345", "10.0.0.20")
    cast.office.answer(received, 486)
    cast.carrier.expect_response(100)
    cast.carrier.expect_response(486)
    (record,) = cast.world.records
    assert (record["route"], record["called"]) == ("ours", "+493012345")
    cast.world.expect_nothing_left()


def test_a_call_finds_the_phone_that_has_the_number() -> None:
    cast = Cast(with_numbers())
    registered(cast.alice)
    cast.carrier.invite("+49307771")
    received = cast.alice.expect_request("INVITE")
    assert received.uri.user == "alice"
    cast.alice.answer(received, 486)
    cast.carrier.expect_response(100)
    cast.carrier.expect_response(486)


def test_dialled_as_at_home_it_is_the_same_number() -> None:
    """Whose number it is, is asked after the dial plan: `030…` of the office, not `+4930…`, finds alice, who is not there."""
    cast = Cast(with_numbers())
    cast.office.invite("0307771")
    cast.office.expect_response(100)
    cast.office.expect_response(480)
    cast.carrier.expect_nothing()
    (record,) = cast.world.records
    assert (record["route"], record["dialled"], record["called"]) == ("among-us", "0307771", "+49307771")


@pytest.mark.parametrize("number", ["+493012350", "+4930", "030 123-50"])
def test_what_is_ours_and_nobodys_is_404_and_never_goes_back_to_a_carrier(number: str) -> None:
    """Whatever the routes say: the office's route `out` has all numbers."""
    cast = Cast(POLICY + INVENTORY)
    dialled = number.replace(" ", "%20")
    cast.office.invite(dialled)
    refused = cast.office.expect_response(404)
    assert refused.headers.first("Reason") == 'Q.850;cause=1;text="Unallocated number"'
    cast.carrier.expect_nothing()
    (record,) = cast.world.records
    assert (record["note"], record["route"]) == ("ours, and unassigned", None)
    cast.world.expect_nothing_left()


def test_what_is_not_ours_takes_the_next_route_and_comes_from_a_carrier_in_vain() -> None:
    cast = Cast(with_numbers())
    cast.office.invite("+442079460958")
    cast.office.expect_response(100)
    cast.carrier.answer(cast.carrier.expect_request("INVITE"), 486)
    cast.office.expect_response(486)
    cast.carrier.expect_request("ACK")
    cast.carrier.invite("+442079460958")
    cast.carrier.expect_response(404)
    assert [record["note"] for record in cast.world.records] == [None, "no route"]


def test_an_owner_that_is_not_there_has_others_behind_it() -> None:
    text = with_numbers().replace('inside, to: "*"}, send_to: [owner]', 'inside, to: "*"}, send_to: [owner, office], next_on: [480]')
    cast = Cast(text)
    cast.carrier.invite("+49307771")
    received = cast.office.expect_request("INVITE")
    assert received.uri.user == "+49307771"


def test_an_emergency_number_is_nobodys() -> None:
    """It is matched as dialled, before the dial plan makes another number of it, and before anybody is asked whose that is."""
    text = with_numbers(POLICY.replace('{"00": "+", "0": "+49"}', '{"": "+4930"}'))
    cast = Cast(text)
    cast.office.invite("112")
    received = cast.carrier.expect_request("INVITE")
    assert received.uri.user == "112"
    cast.carrier.answer(received, 486)
    assert cast.office.invite("113")
    cast.office.expect_response(100)
    cast.office.expect_response(486)
    cast.office.expect_response(404)  # +4930113: ours, and nobody's


@pytest.mark.parametrize(
    ("plan", "dialled", "emergency"),
    [
        ('{"9": "", "0": "+49"}', "9112", True),  # the PBX's way out
        ('{"9": "", "0": "+49"}', "112", True),
        ('{"9": "", "0": "+49"}', "91-1-2", True),
        ('{"9": "", "0": "+49"}', "0112", False),
        ('{"9": "", "0": "+49"}', "91120", False),
        ('{"1": "+491"}', "112", True),  # before a dial plan can make another number of it
        ('{"0": ""}', "0112", True),
        ('{"110": "112"}', "110", True),
        ('{"0": "+49"}', "9112", False),
    ],
)
def test_REG_04_an_emergency_number_is_one_as_dialled_and_as_the_dial_plan_makes_it(plan: str, dialled: str, emergency: bool) -> None:
    """Exempt from limits, and by the route of emergencies: the carrier has no place left."""
    text = POLICY.replace('{"00": "+", "0": "+49"}', plan).replace("carrier: {calls: 2,", "carrier: {calls: 1,")
    cast = Cast(text.replace("    send_to: [carrier, backup]\n    next_on: [408, 5xx]", "    send_to: [carrier]"))
    cast.office.invite("+442079460000")
    cast.carrier.expect_request("INVITE")
    cast.office.inbox.clear()
    cast.office.invite(dialled)
    if emergency:
        assert cast.carrier.expect_request("INVITE").uri.user == "112"
    else:
        cast.carrier.expect_nothing()
    cast.world.shut_down()
    cast.world.after(40)
    record = next(record for record in cast.world.records if record["dialled"] == dialled)
    assert record["emergency"] is emergency


# What a caller may show


FOREIGN = "foreign_numbers: {}; numbers: [+493012345]"


def cast_with(way: str) -> Cast:
    return Cast(policy(office=FOREIGN.format(way)) + INVENTORY)


def from_of(number: str) -> str:
    return f'"Office" <sip:{number}@10.0.0.20>' if number else '"Office" <sip:10.0.0.20>'


@pytest.mark.parametrize(
    ("way", "shown", "seen"),
    [
        ("pass", "+442079460958", "+442079460958"),
        ("replace", "+442079460958", "+493012345"),
        ("refuse", "+442079460958", None),
        ("refuse", "+49309999", None),
        ("replace", "+493012301", "+493012301"),  # by the inventory
        ("refuse", "+493012301", "+493012301"),
        ("refuse", "030123-01", "+493012301"),  # after the dial plan
        ("refuse", "00493012301", "+493012301"),
        ("refuse", "+493012345", "+493012345"),  # by its own list
        ("replace", "office", "+493012345"),
        ("refuse", "office", None),
        ("replace", "%E2%82%AC", "+493012345"),
        ("refuse", "", None),
        ("refuse", "112", None),
    ],
)
def test_ID_02_what_a_call_shows(way: str, shown: str, seen: str | None) -> None:
    cast = cast_with(way)
    cast.send(cast.office, ABROAD, (), from_of(shown))
    if seen is None:
        refused = cast.office.expect_response(403)
        assert refused.headers.first("Reason") == 'Q.850;cause=21;text="Calling number not allowed"'
        cast.carrier.expect_nothing()
        (record,) = cast.world.records
        assert "is no number of office" in str(record["note"])
        cast.world.expect_nothing_left()
        return
    received = cast.carrier.expect_request("INVITE")
    assert received.from_.uri.user == seen
    assert received.from_.display == "Office"


def test_ID_02_the_number_it_prefers_is_shown_instead_if_it_is_its_own() -> None:
    cast = cast_with("replace")
    received = cast.told(("P-Preferred-Identity", "<sip:+493012302@10.0.0.20>"), from_=from_of("+442079460958"), number=ABROAD)
    assert received.from_.uri.user == "+493012302"
    other = cast_with("replace")
    received = other.told(("P-Preferred-Identity", "<sip:+442079460000@10.0.0.20>"), from_=from_of("+442079460958"), number=ABROAD)
    assert received.from_.uri.user == "+493012345"


def test_ID_02_who_hides_shows_no_number_and_is_answered_for() -> None:
    cast = Cast(policy(office=FOREIGN.format("refuse"), carrier="trusted: true") + INVENTORY)
    received = cast.told(from_=ANONYMOUS_FROM, number=ABROAD)
    assert received.from_.uri.user == "anonymous"
    assert "+493012345" in (received.headers.first("P-Asserted-Identity") or "")


def test_ID_02_who_hides_and_has_no_number_at_all_is_refused() -> None:
    cast = Cast(policy(office="foreign_numbers: refuse") + INVENTORY)
    cast.send(cast.office, ABROAD, (), ANONYMOUS_FROM)
    cast.office.expect_response(403)


def test_REG_04_an_emergency_call_shows_what_it_shows() -> None:
    cast = cast_with("refuse")
    cast.send(cast.office, "112", (), from_of("+442079460958"))
    assert cast.carrier.expect_request("INVITE").from_.uri.user == "+442079460958"


def test_ID_02_a_message_shows_no_other_number_either() -> None:
    cast = Cast(policy(office=FOREIGN.format("refuse") + "; messages: pass", carrier="messages: pass") + INVENTORY)
    for number, status in (("+442079460958", 403), ("+493012301", None)):
        request = cast.office.request("MESSAGE", "sip:+442079460000@10.0.0.1", body=b"hello", headers=())
        request.headers.set("Content-Type", "text/plain")
        request.headers.set("From", f"{from_of(number)};tag=1")
        cast.office.send(request)
        if status is None:
            assert cast.carrier.expect_request("MESSAGE").from_.uri.user == "+493012301"
        else:
            cast.office.expect_response(status)
            cast.carrier.expect_nothing()


def test_ID_02_a_number_of_the_inventory_is_asserted_of_its_owner() -> None:
    cast = Cast(policy(carrier="trusted: true") + INVENTORY)
    received = cast.told(from_=from_of("+493012301"), number=ABROAD)
    assert "+493012301" in (received.headers.first("P-Asserted-Identity") or "")
    other = Cast(policy(carrier="trusted: true") + INVENTORY)
    received = other.told(from_=from_of("+49307771"), number=ABROAD)  # alice's
    assert "P-Asserted-Identity" not in received.headers


# Kinds of numbers


@pytest.mark.parametrize(
    ("dialled", "status", "kind"),
    [
        ("00449012345678", 403, ("GB", "premium")),
        ("0044999123456", 484, ("GB", "invalid")),
        ("00210123456", 484, (None, "invalid")),
        ("030123456", None, ("DE", "geographic")),
        ("112", None, (None, None)),
    ],
)
def test_what_kind_of_number_may_be_called(dialled: str, status: int | None, kind: tuple[str | None, str | None]) -> None:
    cast = Cast(policy(office="refuse_to: [invalid, premium]"))
    cast.office.invite(dialled)
    if status is None:
        cast.office.expect_response(100)
        cast.carrier.answer(cast.carrier.expect_request("INVITE"), 486)
        cast.carrier.expect_request("ACK")
        status = 486
    refused = cast.office.expect_response(status)
    assert (status == 486) or (refused.headers.first("Reason") or "").startswith("Q.850;cause=2")
    (record,) = cast.world.records
    assert (record["country"], record["number_type"]) == kind


def test_nor_by_a_message_or_whoever_is_asked_to_call() -> None:
    cast = Cast(policy(office="refuse_to: premium; messages: pass", carrier="messages: pass"))
    for number, status in (("+449012345678", 403), ("+442079460958", None)):
        cast.office.send(cast.office.request("MESSAGE", f"sip:{number}@10.0.0.1"))
        if status is None:
            cast.carrier.expect_request("MESSAGE")
        else:
            cast.office.expect_response(status)
    office = cast.world.snapshot.trunks["office"]
    with pytest.raises(SipError) as refused:
        number_meant(cast.world.snapshot, office, Uri.parse("sip:+449012345678@10.0.0.1"))
    assert refused.value.status == 403
